//! Runs every analysis and every conversion on the bytes of a file.

use std::fmt::Write as _;
use std::io;

use heist_trace::diff::Diff;
use heist_trace::history::History;
use heist_trace::summary::Summary;
use heist_trace::{Trace, chrome, flame, perfetto, report};

/// An output that counts what is written, and keeps nothing.
struct Count(u64);

impl std::fmt::Write for Count {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 += text.len() as u64;
        Ok(())
    }
}

/// Returns true if the bytes are a trace. Then every analysis has run.
pub(crate) fn run_all(file: &[u8]) -> bool {
    let Ok(trace) = Trace::parse(file) else { return false };
    let history = History::new(&trace);
    let mut count = Count(0);
    write!(count, "{}", Summary::new(&history)).expect("a summary");
    write!(count, "{}", Diff::new(&history, &history)).expect("a diff");
    assert!(count.0 > 0);
    let mut sink = io::sink();
    flame::write(&history, &mut sink).expect("folded stacks");
    chrome::write(&history, &mut sink).expect("JSON");
    perfetto::write(&history, &mut sink).expect("a trace of Perfetto");
    report::write(file, &mut sink).expect("a page");
    true
}
