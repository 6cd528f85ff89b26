//! The task cell: wakers, the poller, the joiner and the aborter of one task. See `docs/task.md`.
//!
//! What a waker has written is read with Relaxed in these models: only the task's own transitions
//! can make it visible.

use std::ptr::NonNull;
use std::task::{Poll, Waker};

use super::support::{Bell, Counted, Counts, Home, Oneshot, Output, Receive, idle_task, poll_join, start};
use crate::raw_task::{Header, JoinHandle, Schedule};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, model};

/// wake × suspend: the wake falls between the poll's last look and its end.
#[test]
fn a_wake_during_a_poll_is_followed_by_a_poll_that_sees_it() {
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

/// wake × wake × poll: one of the two merges into the other, or both into one that has queued the
/// task before.
#[test]
fn a_merged_wake_is_seen_by_the_next_poll() {
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

/// wake × wake, each of them by somebody who polls, too.
#[test]
fn a_task_is_polled_by_one_thread_at_a_time() {
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
        assert!(home.is_deserted());
    });
}

/// wake × suspend × wake: the first of the two has come just before the task would have been idle.
#[test]
fn a_task_that_is_queued_again_is_queued_once() {
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
        assert!(home.is_deserted());
    });
}

/// yield × wake: the task stays active, and the wake leaves its mark.
#[test]
fn a_wake_of_a_task_that_yields_is_followed_by_a_poll_that_sees_it() {
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
        // The one that leaves the waker; that of the first wake, and the one after its yield; that
        // of the second wake.
        assert!(counts.polls() <= 4, "{} polls", counts.polls());
        assert_eq!(counts.futures(), 1);
    });
}

/// yield × abort × run elsewhere.
#[test]
fn a_task_that_yields_is_aborted_once() {
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
        assert!(home.is_deserted());
    });
}

/// Idle, and can be woken by the answered waker. Its second poll yields; a later one ends it if
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
                // SAFETY: we are in a poll of the task that this waker wakes.
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
fn a_oneshot_arrives() {
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

/// join × complete.
#[test]
fn a_joiner_is_woken_or_finds_the_output() {
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
fn a_joiner_is_woken_by_the_waker_that_it_left_last() {
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

/// leave × complete: of a handle that has left a waker, or has not.
#[test]
fn an_output_whose_handle_leaves_is_dropped_once() {
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

/// take × finish: the handle takes the output and goes while the poller still has the joiner's
/// waker in its hands.
#[test]
fn a_joiner_that_is_served_while_the_poller_wakes_it_frees_once() {
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

/// abort × poll × leave.
#[test]
fn an_aborted_task_ends_once() {
    model(|| {
        let (home, counts) = (Home::new(), Counts::new());
        let (handle, waker) = idle_task(&home, &counts, || true);
        let abort = handle.abort_handle();
        waker.wake();
        let aborter = start(move || abort.abort());
        let leaver = start(move || drop(handle));
        home.run_all();
        aborter.join().expect("the aborter");
        leaver.join().expect("the leaver");
        home.run_all();
        assert_eq!(counts.futures(), 1);
        assert_eq!(counts.outputs(), counts.polls() - 1);
        assert!(home.is_deserted());
    });
}

/// abort × first poll: the flag comes before, while or after the task is filed; it may be run by
/// another thread at once.
#[test]
fn a_task_that_is_aborted_in_its_first_poll_does_not_stay_filed() {
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
        assert!(home.is_deserted());
    });
}

/// drop of a waker × wake by value × complete, detached: any of the three is the last.
#[test]
fn the_last_waker_and_the_end_free_the_cell_once() {
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
        assert!(home.is_deserted());
    });
}

/// abort handle × join × complete.
#[test]
fn an_abort_handle_a_joiner_and_the_end_free_the_cell_once() {
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

/// cancel of a live list × wake × poll.
#[test]
fn a_live_list_that_is_cancelled_leaves_no_task() {
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
        assert!(home.is_deserted());
    });
}

/// Tells when its thread runs tasks; no model looks at it.
static RUNS: crate::sync::statics::AtomicUsize = crate::sync::statics::AtomicUsize::new(0);

/// Drops by somebody who runs no tasks. A panic in a destructor would be contained.
static ASTRAY: crate::sync::statics::AtomicUsize = crate::sync::statics::AtomicUsize::new(0);

/// Part of a future that may be touched only where tasks are run.
struct Local;

impl Drop for Local {
    fn drop(&mut self) {
        ASTRAY.fetch_add(1 - RUNS.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// wake × abort × leave, elsewhere: what a local runtime's futures rely on. In some of the orders
/// whoever drops the future does so while its own thread runs nothing.
#[test]
fn a_future_is_dropped_only_where_tasks_are_run() {
    model(|| {
        let run = |home: &Home| {
            RUNS.store(1, Ordering::Relaxed);
            home.run_all();
            RUNS.store(0, Ordering::Relaxed);
        };
        let (home, counts, local) = (Home::new(), Counts::new(), Local);
        RUNS.store(1, Ordering::Relaxed);
        let (handle, waker) = idle_task(&home, &counts, move || {
            let _ = &local;
            false
        });
        RUNS.store(0, Ordering::Relaxed);
        let abort = handle.abort_handle();
        let aborter = start(move || {
            abort.abort();
            drop(abort);
        });
        let leaver = start(move || {
            waker.wake();
            drop(handle);
        });
        run(&home);
        aborter.join().expect("the aborter");
        leaver.join().expect("the leaver");
        run(&home);
        assert_eq!(ASTRAY.load(Ordering::Relaxed), 0);
        assert_eq!((counts.futures(), counts.outputs()), (1, 0));
        assert!(home.is_deserted());
    });
}
