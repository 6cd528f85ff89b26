//! A model of the local sets of the crate `tokio` over heist. See docs/tokio-facade.md.

use std::task::{Context, Waker};

use super::support::{Bell, Counted, Counts, start};
use crate::facade::LocalTasks;
use crate::primitive::{Arc, Mutex, model};

/// A wake on another thread × the drop of the set: the task ends, and what the waker uses lives on.
#[test]
fn local_set_dropped_while_its_task_is_woken_ends_the_task() {
    model(|| {
        let (set, counts, bell) = (LocalTasks::new(), Counts::new(), Bell::new());
        let kept = Arc::new(Mutex::new(None));
        let keeps = Arc::clone(&kept);
        let poll = move |waker: &Waker| {
            *keeps.lock() = Some(waker.clone());
            false
        };
        let handle = set.spawn(Counted { counts: Arc::clone(&counts), poll });
        assert!(!set.poll_tasks(&mut Context::from_waker(&bell.waker())));
        let waker = kept.lock().take().expect("the task has been polled");
        let waking_thread = start(move || waker.wake());
        drop(set);
        assert!(handle.is_finished());
        assert_eq!(counts.futures(), 1);
        waking_thread.join().expect("the waking thread");
        assert!(bell.is_alone(), "the waker of the set is left");
    });
}
