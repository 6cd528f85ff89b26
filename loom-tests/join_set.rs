//! Models of `JoinSet`: members finish while the joiner polls for the next one. See
//! `src/task/finished.rs`.

use std::task::{Context, Poll};

use super::support::{Bell, Counted, Counts, Home, Output, start};
use crate::primitive::{Arc, model};
use crate::task::JoinSet;

/// Returns a set whose members finish at their first poll.
fn set(home: &Arc<Home>, members: usize) -> JoinSet<Output> {
    let mut set = JoinSet::new();
    for _ in 0..members {
        set.insert(home.spawn(Counted { counts: Counts::new(), poll: |_: &_| true }));
    }
    set
}

fn poll(set: &mut JoinSet<Output>, bell: &Arc<Bell>) -> Poll<bool> {
    set.poll_join_next(&mut Context::from_waker(&bell.waker()))
        .map(|joined| joined.is_some_and(|output| output.is_ok()))
}

/// finish × finish × join: a joiner that finds nothing is woken by the next finish, once.
#[test]
fn member_that_finishes_is_joined_or_wakes_joiner() {
    model(|| {
        let (home, bell) = (Home::new(), Bell::new());
        let mut set = set(&home, 2);
        let workers = [(); 2].map(|()| {
            let runnable = home.next().expect("a member");
            let home = Arc::clone(&home);
            start(move || drop(runnable.run(&*home)))
        });
        let mut joined = 0;
        let mut waits = 0;
        while joined < 2 && waits == bell.rings() {
            match poll(&mut set, &bell) {
                Poll::Ready(output) => joined += usize::from(output),
                Poll::Pending => waits += 1,
            }
        }
        for worker in workers {
            worker.join().expect("a worker");
        }
        assert_eq!(bell.rings(), waits, "the joiner was not woken, or was woken twice");
        while let Poll::Ready(true) = poll(&mut set, &bell) {
            joined += 1;
        }
        assert_eq!((joined, set.len()), (2, 0));
    });
}

/// insert × finish: a member that has finished before it is in the set is joined, too.
#[test]
fn member_that_finishes_during_insert_is_joined_once() {
    model(|| {
        let (home, bell, counts) = (Home::new(), Bell::new(), Counts::new());
        let handle = home.spawn(Counted { counts: Arc::clone(&counts), poll: |_: &_| true });
        let runnable = home.next().expect("the task");
        let scheduler = Arc::clone(&home);
        let worker = start(move || drop(runnable.run(&*scheduler)));
        let mut set = JoinSet::new();
        set.insert(handle);
        worker.join().expect("the worker");
        assert_eq!(poll(&mut set, &bell), Poll::Ready(true));
        assert_eq!((set.len(), counts.outputs(), bell.rings()), (0, 1, 0));
    });
}

/// insert × finish, while the joiner waits: the inserted member wakes it once.
#[test]
fn member_that_finishes_during_insert_wakes_joiner_once() {
    model(|| {
        let (home, bell, counts) = (Home::new(), Bell::new(), Counts::new());
        let mut set = JoinSet::new();
        set.insert(home.spawn(Counted { counts: Counts::new(), poll: |_: &_| false }));
        drop(home.next().expect("the first task").run(&*home));
        assert!(poll(&mut set, &bell).is_pending());
        let handle = home.spawn(Counted { counts: Arc::clone(&counts), poll: |_: &_| true });
        let runnable = home.next().expect("the second task");
        let scheduler = Arc::clone(&home);
        let worker = start(move || drop(runnable.run(&*scheduler)));
        set.insert(handle);
        worker.join().expect("the worker");
        assert_eq!((bell.rings(), set.len()), (1, 2));
        assert_eq!(poll(&mut set, &bell), Poll::Ready(true));
        assert_eq!((set.len(), counts.outputs()), (1, 1));
        drop(set);
        home.run_all();
    });
}

/// drop of the set × finish: one of the two drops the output and the completion, once.
#[test]
fn set_dropped_while_member_finishes_leaks_nothing() {
    model(|| {
        let (home, bell, counts) = (Home::new(), Bell::new(), Counts::new());
        let mut set = JoinSet::new();
        set.insert(home.spawn(Counted { counts: Arc::clone(&counts), poll: |_: &_| true }));
        assert!(poll(&mut set, &bell).is_pending());
        let scheduler = Arc::clone(&home);
        let worker = start(move || scheduler.run_all());
        drop(set);
        worker.join().expect("the worker");
        assert_eq!(counts.futures(), 1);
        assert!(home.is_empty() && bell.is_alone());
    });
}
