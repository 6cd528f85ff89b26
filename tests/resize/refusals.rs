//! Threads that the operating system refuses, and sizes out of range.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{io, thread};

use heist::runtime::{Builder, Handle, ResizeError};

use super::kit::{Count, Door, panic_text, says};
use super::{all_at_once, builder, one_each, parts, until};

fn no_thread() -> io::Error {
    io::Error::new(io::ErrorKind::WouldBlock, "no more threads")
}

/// Each of the threads is refused in turn. The runtime goes on with those that it got, and a later
/// resize works.
#[test]
fn resize_with_refused_thread_keeps_the_size_reached() {
    for nth in 1..6 {
        let limit = Arc::new(AtomicUsize::new(nth));
        let news: Arc<Mutex<Vec<_>>> = Arc::default();
        let (seen, hook) = (Arc::clone(&limit), Arc::clone(&news));
        let runtime = builder(1)
            .refuse_worker(move |seat| (seat >= seen.load(Ordering::SeqCst)).then(no_thread))
            .after_resize(move |resized| hook.lock().unwrap().push(parts(resized)))
            .build()
            .unwrap();
        let error = runtime.resize(6).wait().unwrap_err();
        let ResizeError::Refused { asked: 6, resized, error } = error else { panic!("{error:?}") };
        let version = u64::from(nth > 1);
        assert_eq!(parts(resized), (1, nth, version));
        assert_eq!(error.to_string(), "no more threads");
        assert_eq!(runtime.worker_threads(), nth);
        all_at_once(&runtime, nth);
        limit.store(100, Ordering::SeqCst);
        assert_eq!(parts(runtime.resize(6).wait().unwrap()), (nth, 6, version + 1));
        all_at_once(&runtime, 6);
        let expected = [(1, nth, 1), (nth, 6, version + 1)];
        assert_eq!(*news.lock().unwrap(), expected[usize::from(nth == 1)..]);
    }
}

/// The worker of the highest seat has not retired yet, and is claimed back. Then a thread below it
/// is refused, so that worker is asked to retire again.
#[test]
fn resize_with_refused_thread_leaves_no_gap() {
    let refuse = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&refuse);
    let runtime = builder(4)
        .thread_name_with(|at| at.index.to_string())
        .refuse_worker(move |_| seen.load(Ordering::SeqCst).then(no_thread))
        .build()
        .unwrap();
    let (go, begun) = (Door::new(), Count::new());
    let tasks = one_each(&runtime, 4, |_| {
        let (go, begun) = (go.clone(), begun.clone());
        async move {
            begun.add();
            if thread::current().name() == Some("3") {
                go.wait();
            }
        }
    });
    until(|| begun.get() == 4);
    let down = runtime.resize(1);
    until(|| runtime.worker_threads() == 2);
    refuse.store(true, Ordering::SeqCst);
    let error = runtime.resize(4).wait().unwrap_err();
    let ResizeError::Refused { asked: 4, resized, .. } = error else { panic!("{error:?}") };
    assert_eq!(parts(resized), (1, 1, 1));
    assert_eq!(parts(down.wait().unwrap()), (4, 1, 1), "it had been taken back for a moment");
    go.open();
    until(|| runtime.worker_threads() == 1);
    tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    refuse.store(false, Ordering::SeqCst);
    assert_eq!(parts(runtime.resize(3).wait().unwrap()), (1, 3, 2));
    all_at_once(&runtime, 3);
}

#[test]
fn resize_errors_name_the_remedy() {
    let runtime = builder(2).refuse_worker(|seat| (seat > 2).then(no_thread)).build().unwrap();
    let refused = |size: usize| runtime.resize(size).wait().unwrap_err();
    assert!(matches!(refused(0), ResizeError::Zero));
    says(&refused(0).to_string(), &["resize(0)", "at least one worker", "drop the `Runtime`"]);
    assert!(matches!(refused(17), ResizeError::AboveMaximum { asked: 17, most: 16 }));
    says(&refused(usize::MAX).to_string(), &["at most 16 workers", "max_worker_threads"]);
    says(
        &refused(5).to_string(),
        &["resize(5)", "no more threads", "goes on with 3 worker", "ulimit -u", "resize again"],
    );
    assert_eq!(runtime.worker_threads(), 3);
    let handle = runtime.handle().clone();
    drop(runtime);
    let ended = handle.resize(1).wait().unwrap_err();
    assert!(matches!(ended, ResizeError::ShutDown));
    says(&ended.to_string(), &["has ended", "while its `Runtime` lives"]);
    let single = Builder::new_current_thread().max_worker_threads(4).build().unwrap();
    let error = single.block_on(async { Handle::current().resize(1).await.unwrap_err() });
    assert!(matches!(error, ResizeError::CurrentThread));
    says(&error.to_string(), &["current-thread", "new_multi_thread"]);
    assert_eq!(single.worker_threads(), 1);
}

#[test]
fn builder_worker_limits_out_of_range_are_refused() {
    let builder = Builder::new_multi_thread;
    says(&panic_text(|| builder().max_worker_threads(0).build()), &["max_worker_threads(0)", "at least one"]);
    let below = builder().worker_threads(4).max_worker_threads(3).build().unwrap_err();
    says(&below.to_string(), &["max_worker_threads(3)", "number of worker threads, 4", "raise it"]);
    let above = builder().max_worker_threads(100_000).build().unwrap_err();
    says(&above.to_string(), &["100000", "at most 16384", "several runtimes"]);
    let runtime = builder().worker_threads(1).build().unwrap();
    assert!(matches!(runtime.resize(1 << 14).wait(), Err(ResizeError::AboveMaximum { most: 64.., .. })));
}
