//! The task cell: wakers, the poller, the joiner and the aborter of one task. See `docs/task.md`.
//!
//! These models read with Relaxed what a waker has written. So only the task's own transitions can
//! make it visible.

use std::ptr::NonNull;
use std::task::{Poll, Waker};

use super::support::{Bell, Counted, Counts, Home, Oneshot, Output, Receive, idle_task, poll_join, start};
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, Mutex, model};
use crate::raw_task::{Header, JoinHandle, Schedule};

/// wake × suspend: the wake comes between the poll's last read and its end.
#[test]
fn wake_during_a_poll_is_followed_by_a_poll_that_sees_it() {
    model(|| {
        let (home, counts, written) = (Home::new(), Counts::new(), Arc::new(AtomicUsize::new(0)));
        let seen = Arc::clone(&written);
        let (handle, waker) = idle_task(&home, &counts, move || seen.load(Ordering::Relaxed) == 1);
        waker.wake_by_ref();
        let writer = start(move || {
            written.store(1, Ordering::Relaxed);
            waker.wake();
        });
        home.run_all();
        writer.join().expect("the writer");
        home.run_all();
        assert!(handle.is_finished());
        assert_eq!(counts.futures(), 1);
    });
}

/// wake × wake × poll: one of the two merges into the other, or both merge into an earlier one that
/// has queued the task.
#[test]
fn merged_wake_is_seen_by_the_next_poll() {
    for queued in [false, true] {
        model(move || {
            let home = Home::new();
            let counts = Counts::new();
            let written = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
            let seen = written.clone();
            let ready = move || seen.iter().all(|word| word.load(Ordering::Relaxed) == 1);
            let (handle, waker) = idle_task(&home, &counts, ready);
            if queued {
                waker.wake_by_ref();
            }
            let writers = written.map(|word| {
                let waker = waker.clone();
                start(move || {
                    word.store(1, Ordering::Relaxed);
                    waker.wake_by_ref();
                })
            });
            home.run_all();
            for writer in writers {
                writer.join().expect("a writer");
            }
            home.run_all();
            assert!(handle.is_finished());
        });
    }
}

/// wake × wake, each of them by a thread that polls, too.
#[test]
fn task_is_polled_by_one_thread_at_a_time() {
    model(|| {
        let (home, counts) = (Home::new(), Counts::new());
        let (handle, waker) = idle_task(&home, &counts, || false);
        let pollers = [(); 2].map(|()| {
            let (home, waker) = (Arc::clone(&home), waker.clone());
            start(move || {
                waker.wake();
                home.run_all();
            })
        });
        for poller in pollers {
            poller.join().expect("a poller");
        }
        home.run_all();
        assert!((2..=3).contains(&counts.polls()), "{} polls of two wakes", counts.polls() - 1);
        handle.abort();
        home.run_all();
        assert_eq!((counts.futures(), counts.outputs()), (1, 0));
        assert!(home.is_empty());
    });
}

/// wake × suspend × wake: the first of the two has come just before the task would have been idle.
#[test]
fn task_woken_while_suspending_is_queued_once() {
    model(|| {
        let (home, counts) = (Home::new(), Counts::new());
        let (handle, waker) = idle_task(&home, &counts, || false);
        waker.wake_by_ref();
        let wakers = [(); 2].map(|()| {
            let waker = waker.clone();
            start(move || waker.wake())
        });
        home.run_all();
        for waker in wakers {
            waker.join().expect("a waker");
        }
        home.run_all();
        assert!((2..=4).contains(&counts.polls()), "{} polls of three wakes", counts.polls() - 1);
        drop((handle, waker));
        home.owned_tasks().cancel_all().into_iter().for_each(|runnable| runnable.cancel(&|_, _| ()));
        assert_eq!((counts.futures(), counts.outputs()), (1, 0));
        assert!(home.is_empty());
    });
}

/// yield × wake: the task stays active, and the wake sets its mark.
#[test]
fn wake_of_a_yielding_task_is_followed_by_a_poll_that_sees_it() {
    model(|| {
        let (home, counts, written) = (Home::new(), Counts::new(), Arc::new(AtomicUsize::new(0)));
        let (handle, waker) = yielding_task(&home, &counts, &written);
        waker.wake_by_ref();
        let writer = start(move || {
            written.store(1, Ordering::Relaxed);
            waker.wake();
        });
        home.run_all();
        writer.join().expect("the writer");
        home.run_all();
        assert!(handle.is_finished());
        // The poll that stores the waker; that of the first wake, and the one after its yield; that
        // of the second wake.
        assert!(counts.polls() <= 4, "{} polls", counts.polls());
        assert_eq!(counts.futures(), 1);
    });
}

/// yield × abort × run elsewhere.
#[test]
fn yielding_task_is_aborted_once() {
    model(|| {
        let (home, counts) = (Home::new(), Counts::new());
        let (handle, waker) = yielding_task(&home, &counts, &Arc::new(AtomicUsize::new(0)));
        waker.wake();
        let aborter = {
            let home = Arc::clone(&home);
            start(move || {
                handle.abort();
                home.run_all();
            })
        };
        home.run_all();
        aborter.join().expect("the aborter");
        home.run_all();
        assert_eq!((counts.futures(), counts.outputs()), (1, 0));
        assert!(home.is_empty());
    });
}

/// Returns an idle task, and a waker for it. Its second poll yields. A later one ends it if
/// `written` is set.
fn yielding_task(home: &Home, counts: &Arc<Counts>, written: &Arc<AtomicUsize>) -> (JoinHandle<Output>, Waker) {
    let (seen, left) = (Arc::clone(written), Arc::new(Mutex::new(None)));
    let place = Arc::clone(&left);
    let mut polls = 0;
    let poll = move |waker: &Waker| {
        polls += 1;
        match polls {
            1 => *place.lock() = Some(waker.clone()),
            2 => {
                let task = NonNull::new(waker.data().cast_mut()).expect("a task").cast();
                // SAFETY: this code runs in a poll of the task that this waker wakes.
                assert!(unsafe { Header::mark_yielded(task, waker) });
            }
            _ => return seen.load(Ordering::Relaxed) == 1,
        }
        false
    };
    let handle = home.spawn(Counted { counts: Arc::clone(counts), poll });
    home.run_all();
    let waker = left.lock().take().expect("the first poll leaves a waker");
    (handle, waker)
}

/// The cell under what a user would write.
#[test]
fn oneshot_value_reaches_its_receiver() {
    model(|| {
        let (home, oneshot) = (Home::new(), Oneshot::new());
        let mut handle = home.spawn(Receive(Arc::clone(&oneshot)));
        let sender = start(move || oneshot.send(7));
        home.run_all();
        sender.join().expect("the sender");
        home.run_all();
        let Poll::Ready(Ok(value)) = poll_join(&mut handle, &Bell::new()) else { panic!("nothing arrived") };
        assert_eq!(value, 7);
    });
}

/// join × complete, if the joiner is a task, whose own waker is one pointer in the slot. With
/// `abort`, the joiner is aborted meanwhile.
#[test]
fn task_that_awaits_a_task_is_woken_by_its_end_and_frees_once() {
    for abort in [false, true] {
        model(move || {
            let (home, awaited_home) = (Home::new(), Home::new());
            let awaited = awaited_home.spawn(async { 7 });
            let mut joiner = home.spawn(awaited);
            let poller = start(move || awaited_home.run_all());
            if abort {
                joiner.abort();
            }
            home.run_all();
            poller.join().expect("the poller");
            home.run_all();
            match poll_join(&mut joiner, &Bell::new()) {
                Poll::Ready(Ok(output)) => assert_eq!(output.expect("it was not aborted"), 7),
                Poll::Ready(Err(error)) => assert!(abort && error.is_cancelled()),
                Poll::Pending => panic!("the joiner was not woken"),
            }
            drop(joiner);
            assert!(home.is_empty());
        });
    }
}

/// join × complete.
#[test]
fn joiner_is_woken_or_finds_the_output() {
    model(|| {
        let (home, counts, bell) = (Home::new(), Counts::new(), Bell::new());
        let mut handle = home.spawn(Counted { counts: Arc::clone(&counts), poll: |_: &_| true });
        let worker = {
            let home = Arc::clone(&home);
            start(move || home.run_all())
        };
        let early = poll_join(&mut handle, &bell);
        worker.join().expect("the worker");
        match early {
            Poll::Ready(output) => assert!(output.is_ok()),
            Poll::Pending => {
                assert_eq!(bell.rings(), 1);
                assert!(matches!(poll_join(&mut handle, &bell), Poll::Ready(Ok(_))));
            }
        }
        assert_eq!((counts.futures(), counts.outputs()), (1, 1));
        assert!(bell.is_alone());
    });
}

/// join × join with another waker × complete.
#[test]
fn joiner_is_woken_by_its_latest_waker() {
    model(|| {
        let (home, counts, bells) = (Home::new(), Counts::new(), [Bell::new(), Bell::new()]);
        let mut handle = home.spawn(Counted { counts: Arc::clone(&counts), poll: |_: &_| true });
        let worker = {
            let home = Arc::clone(&home);
            start(move || home.run_all())
        };
        let mut ready = poll_join(&mut handle, &bells[0]).is_ready();
        ready = ready || poll_join(&mut handle, &bells[1]).is_ready();
        worker.join().expect("the worker");
        let rings = [bells[0].rings(), bells[1].rings()];
        if !ready {
            assert_eq!(rings, [0, 1]);
            assert!(poll_join(&mut handle, &bells[1]).is_ready());
        }
        assert!(rings[0] + rings[1] <= 1);
        assert_eq!(counts.outputs(), 1);
        assert!(bells.iter().all(Bell::is_alone));
    });
}

/// drop of the handle × complete: the handle has stored a waker, or has not.
#[test]
fn output_of_a_dropped_handle_is_dropped_once() {
    for joined in [false, true] {
        model(move || {
            let (home, counts, bell) = (Home::new(), Counts::new(), Bell::new());
            let mut handle = home.spawn(Counted { counts: Arc::clone(&counts), poll: |_: &_| true });
            if joined {
                assert!(poll_join(&mut handle, &bell).is_pending());
            }
            let worker = {
                let home = Arc::clone(&home);
                start(move || home.run_all())
            };
            drop(handle);
            worker.join().expect("the worker");
            assert_eq!((counts.futures(), counts.outputs()), (1, 1));
            assert!(bell.is_alone());
        });
    }
}

/// take × finish: the handle takes the output and is dropped while the poller still holds the
/// joiner's waker.
#[test]
fn joiner_that_takes_the_output_while_being_woken_frees_once() {
    model(|| {
        let (home, counts, bell) = (Home::new(), Counts::new(), Bell::new());
        let mut handle = home.spawn(Counted { counts: Arc::clone(&counts), poll: |_: &_| true });
        assert!(poll_join(&mut handle, &bell).is_pending());
        let worker = {
            let home = Arc::clone(&home);
            start(move || home.run_all())
        };
        let ready = poll_join(&mut handle, &bell).is_ready();
        drop(handle);
        worker.join().expect("the worker");
        assert!(ready || bell.rings() <= 1);
        assert_eq!(counts.outputs(), 1);
        assert!(bell.is_alone());
    });
}

/// abort × poll × drop of the handle.
#[test]
fn aborted_task_ends_once() {
    model(|| {
        let (home, counts) = (Home::new(), Counts::new());
        let (handle, waker) = idle_task(&home, &counts, || true);
        let abort = handle.abort_handle();
        waker.wake();
        let aborter = start(move || abort.abort());
        let dropper = start(move || drop(handle));
        home.run_all();
        aborter.join().expect("the aborter");
        dropper.join().expect("the dropper");
        home.run_all();
        assert_eq!(counts.futures(), 1);
        assert_eq!(counts.outputs(), counts.polls() - 1);
        assert!(home.is_empty());
    });
}

/// abort × first poll: the flag comes before, while or after the task is linked. Another thread may
/// run it at once.
#[test]
fn task_aborted_in_its_first_poll_does_not_stay_linked() {
    model(|| {
        let (home, counts) = (Home::new(), Counts::new());
        let handle = home.spawn(Counted { counts: Arc::clone(&counts), poll: |_: &_| false });
        let aborter = {
            let home = Arc::clone(&home);
            start(move || {
                handle.abort();
                home.run_all();
            })
        };
        home.run_all();
        aborter.join().expect("the aborter");
        home.run_all();
        assert_eq!((counts.futures(), counts.outputs()), (1, 0));
        assert!(home.is_empty());
    });
}

/// drop of a waker × wake by value × complete, detached: any of the three is the last.
#[test]
fn cell_is_freed_once_by_the_last_waker_or_the_end() {
    model(|| {
        let (home, counts) = (Home::new(), Counts::new());
        let (handle, waker) = idle_task(&home, &counts, || true);
        drop(handle);
        let (dropped, woken) = (waker.clone(), waker.clone());
        waker.wake();
        let dropper = start(move || drop(dropped));
        let other = start(move || woken.wake());
        home.run_all();
        dropper.join().expect("the dropper");
        other.join().expect("the other waker");
        home.run_all();
        assert_eq!((counts.polls(), counts.futures(), counts.outputs()), (2, 1, 1));
        assert!(home.is_empty());
    });
}

/// abort handle × join × complete.
#[test]
fn cell_is_freed_once_by_abort_handle_joiner_or_the_end() {
    model(|| {
        let (home, counts, bell) = (Home::new(), Counts::new(), Bell::new());
        let mut handle = home.spawn(Counted { counts: Arc::clone(&counts), poll: |_: &_| true });
        let abort = handle.abort_handle();
        let asker = start(move || {
            if !abort.is_finished() {
                abort.abort();
            }
        });
        let joiner = {
            let bell = Arc::clone(&bell);
            start(move || drop(poll_join(&mut handle, &bell)))
        };
        home.run_all();
        asker.join().expect("the asker");
        joiner.join().expect("the joiner");
        assert_eq!(counts.futures(), 1);
        assert_eq!(counts.outputs(), counts.polls());
        assert!(bell.is_alone());
    });
}

/// cancel of all owned tasks × wake × poll.
#[test]
fn owned_tasks_cancelled_leave_no_task() {
    model(|| {
        let (home, counts) = (Home::new(), Counts::new());
        let (handle, waker) = idle_task(&home, &counts, || false);
        drop(handle);
        let canceller = {
            let home = Arc::clone(&home);
            start(move || drop(home.owned_tasks().cancel_all()))
        };
        let other = start(move || waker.wake());
        home.run_all();
        canceller.join().expect("the canceller");
        other.join().expect("the waker");
        home.run_all();
        assert_eq!((counts.futures(), counts.outputs()), (1, 0));
        assert!(home.is_empty());
    });
}

/// 1 while the main thread runs tasks. No model checks it.
static RUNS_TASKS: crate::primitive::statics::AtomicUsize = crate::primitive::statics::AtomicUsize::new(0);

/// Drops by a thread that runs no tasks. A panic in a destructor would be caught.
static DROPS_ELSEWHERE: crate::primitive::statics::AtomicUsize = crate::primitive::statics::AtomicUsize::new(0);

/// Part of a future that may be accessed only where tasks are run.
struct Local;

impl Drop for Local {
    fn drop(&mut self) {
        DROPS_ELSEWHERE.fetch_add(1 - RUNS_TASKS.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// wake × abort × drop of the handle, elsewhere: what a local runtime's futures rely on. In some of
/// the orders, the future would be dropped while its own thread runs nothing.
#[test]
fn future_is_dropped_only_where_tasks_are_run() {
    model(|| {
        let run = |home: &Home| {
            RUNS_TASKS.store(1, Ordering::Relaxed);
            home.run_all();
            RUNS_TASKS.store(0, Ordering::Relaxed);
        };
        let (home, counts, local) = (Home::new(), Counts::new(), Local);
        RUNS_TASKS.store(1, Ordering::Relaxed);
        let (handle, waker) = idle_task(&home, &counts, move || {
            let _ = &local;
            false
        });
        RUNS_TASKS.store(0, Ordering::Relaxed);
        let abort = handle.abort_handle();
        let aborter = start(move || {
            abort.abort();
            drop(abort);
        });
        let dropper = start(move || {
            waker.wake();
            drop(handle);
        });
        run(&home);
        aborter.join().expect("the aborter");
        dropper.join().expect("the dropper");
        run(&home);
        assert_eq!(DROPS_ELSEWHERE.load(Ordering::Relaxed), 0);
        assert_eq!((counts.futures(), counts.outputs()), (1, 0));
        assert!(home.is_empty());
    });
}
