//! Aborts the process if a case of a table does not end, and names the case.

use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// How long a case may last. Only a deadlock lasts longer.
const LIMIT: Duration = Duration::from_secs(20);

/// The name of a case, and a function that describes what it has come to.
type Case = (String, Box<dyn FnOnce() -> String + Send>);

/// A thread that aborts the process if a case lasts too long.
pub(crate) struct Watch(Sender<Option<Case>>);

impl Watch {
    pub(crate) fn start() -> Watch {
        let (sender, receiver) = channel();
        thread::spawn(move || watch(&receiver));
        Watch(sender)
    }

    /// Begins a case.
    pub(crate) fn begin(&self, name: &str, describe: impl FnOnce() -> String + Send + 'static) {
        self.0.send(Some((name.to_owned(), Box::new(describe)))).expect("the thread watches");
    }

    /// Ends the case that has begun.
    pub(crate) fn end(&self) {
        self.0.send(None).expect("the thread watches");
    }
}

fn watch(cases: &Receiver<Option<Case>>) {
    while let Ok(case) = cases.recv() {
        let Some((name, describe)) = case else { continue };
        if matches!(cases.recv_timeout(LIMIT), Err(RecvTimeoutError::Timeout)) {
            // The test's harness would keep what `eprintln` prints.
            let _ = writeln!(std::io::stderr(), "{name}: the case does not end");
            let (sender, described) = channel();
            thread::spawn(move || sender.send(writeln!(std::io::stderr(), "{}", describe())));
            // The description may hang, too.
            let _ = described.recv_timeout(Duration::from_secs(1));
            std::process::abort();
        }
    }
}
