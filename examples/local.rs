//! Tasks that share an `Rc`: a local runtime keeps them on this thread. Other threads reach them
//! through channels.
//!
//! ```text
//! cargo run --example local
//! ```

use std::cell::RefCell;
use std::collections::HashMap;
use std::process::ExitCode;
use std::rc::Rc;
use std::{io, thread};

use heist::runtime::LocalRuntime;
use heist::task::spawn_local;

/// Counts words in a shared map, without a lock.
type Words = Rc<RefCell<HashMap<String, usize>>>;

async fn count(lines: async_channel::Receiver<String>, words: Words) {
    while let Ok(line) = lines.recv().await {
        for word in line.split_whitespace() {
            *words.borrow_mut().entry(word.to_owned()).or_default() += 1;
        }
    }
}

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        eprintln!("usage: local (it takes no arguments)");
        return ExitCode::from(2);
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let runtime = LocalRuntime::new()?;
    let words = Words::default();
    let (sender, lines) = async_channel::bounded(16);

    // Another thread, which knows nothing of the runtime, sends. Its sends wake the tasks on this
    // thread.
    let writer = thread::spawn(move || {
        for line in ["one fish two fish", "red fish blue fish"] {
            sender.send_blocking(line.to_owned()).expect("the counters receive until the sender is dropped");
        }
    });

    runtime.block_on(async {
        let counters: Vec<_> = (0..4).map(|_| spawn_local(count(lines.clone(), Rc::clone(&words)))).collect();
        drop(lines);
        for counter in counters {
            counter.await.expect("the counter does not panic");
        }
    });
    writer.join().expect("the writer does not panic");

    let words = words.take();
    let (all, fish) = (words.values().sum::<usize>(), words["fish"]);
    println!("{all} words, {fish} of them fish");
    if (all, fish) == (8, 4) { Ok(()) } else { Err(io::Error::other("the counts are not 8 and 4")) }
}
