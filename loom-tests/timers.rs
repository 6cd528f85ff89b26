//! Models of timers. See docs/timers.md.

use std::pin::Pin;
use std::task::{Wake, Waker};

use super::support::start;
use super::support::wheel_owner::{LATE, SOON, Token, armer};
use crate::clock::Clock;
use crate::primitive::statics::{AtomicUsize, Ordering};
use crate::primitive::{Arc, Mutex, model};
use crate::timer::{State, Timer, TimerWheel};
use crate::util::wake_list::WakeList;

/// Counts its wake-ups. The count is not part of any model.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn new() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn wheel(sleeper_waker: Arc<Token>) -> Arc<TimerWheel> {
    Arc::new(TimerWheel::new(Clock::new(), sleeper_waker))
}

fn arm(timer: Pin<&mut Timer>, wheel: &Arc<TimerWheel>, nanos: u64, waker: &Waker) -> State {
    timer.arm(
        Arc::clone(wheel),
        wheel.clock().real_deadline(Some(nanos)).expect("an instant that the system can name"),
        waker,
    )
}

fn reset(timer: Pin<&mut Timer>, wheel: &TimerWheel, nanos: u64) {
    timer.reset(wheel.clock().real_deadline(Some(nanos)).expect("an instant that the system can name"));
}

/// Fires what is due at `now`, and wakes.
fn fire_due(wheel: &TimerWheel, now: u64) {
    wheel.fire_due(now, &mut WakeList::new());
}

#[test]
fn cancelled_timer_is_not_accessed_and_its_waker_is_dropped() {
    model(|| {
        let wheel = wheel(Token::new());
        let (count, waker) = Count::new();
        let mut timer = Box::pin(Timer::new());
        assert_eq!(arm(timer.as_mut(), &wheel, SOON, &waker), State::Armed);
        let firing = {
            let wheel = Arc::clone(&wheel);
            start(move || fire_due(&wheel, LATE))
        };
        // Loom checks that the drop has exclusive access to the timer's cells.
        drop(timer);
        firing.join().expect("the firing thread");
        assert!(count.get() <= 1);
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1);
        assert_eq!(wheel.begin_sleep(), None);
    });
}

#[test]
fn timer_seen_as_fired_belongs_to_its_owner() {
    model(|| {
        let wheel = wheel(Token::new());
        let (count, waker) = Count::new();
        let mut timer = Box::pin(Timer::new());
        assert_eq!(arm(timer.as_mut(), &wheel, SOON, &waker), State::Armed);
        let firing = {
            let wheel = Arc::clone(&wheel);
            start(move || fire_due(&wheel, LATE))
        };
        // As an interval does: it checks the state, and continues without a lock.
        let fired = timer.state() == State::Fired;
        if fired {
            reset(timer.as_mut(), &wheel, SOON);
            assert_eq!(timer.state(), State::Idle);
            assert_eq!(arm(timer.as_mut(), &wheel, LATE * 2, &waker), State::Armed);
        }
        firing.join().expect("the firing thread");
        assert_eq!(count.get(), 1);
        let expected = if fired { State::Armed } else { State::Fired };
        assert_eq!(timer.state(), expected);
    });
}

#[test]
fn reset_timer_wakes_exactly_once() {
    model(|| {
        let wheel = wheel(Token::new());
        let (count, waker) = Count::new();
        let mut timer = Box::pin(Timer::new());
        assert_eq!(arm(timer.as_mut(), &wheel, SOON, &waker), State::Armed);
        let firing = {
            let wheel = Arc::clone(&wheel);
            start(move || fire_due(&wheel, SOON * 2))
        };
        reset(timer.as_mut(), &wheel, LATE);
        firing.join().expect("the firing thread");
        match timer.state() {
            State::Idle => assert_eq!(count.get(), 1),
            State::Armed => assert_eq!(count.get(), 0),
            other => panic!("{other:?} after a reset"),
        }
        fire_due(&wheel, LATE * 2);
        assert_eq!(count.get(), 1);
    });
}

/// The poll after the reset sees that the deadline has passed, and ends the timer, while another
/// thread fires or closes the wheel.
#[test]
fn timer_reset_to_a_due_time_is_fired_at_the_next_poll() {
    for closes in [false, true] {
        model(move || {
            let wheel = wheel(Token::new());
            let (count, waker) = Count::new();
            let mut timer = Box::pin(Timer::new());
            assert_eq!(arm(timer.as_mut(), &wheel, LATE, &waker), State::Armed);
            let firing = {
                let wheel = Arc::clone(&wheel);
                start(move || if closes { wheel.close_wheel(&mut WakeList::new()) } else { fire_due(&wheel, LATE * 2) })
            };
            reset(timer.as_mut(), &wheel, 0);
            timer.as_mut().mark_fired();
            assert_eq!(timer.state(), State::Fired);
            firing.join().expect("the firing thread");
            assert_eq!(timer.state(), State::Fired, "the wheel does not access it any more");
            assert!(count.get() <= 1);
            drop((timer, waker));
            assert_eq!(Arc::strong_count(&count), 1);
            assert!(wheel.is_empty());
        });
    }
}

#[test]
fn waker_of_the_last_pending_poll_is_woken() {
    model(|| {
        let wheel = wheel(Token::new());
        let (_, first) = Count::new();
        let (second, waker) = Count::new();
        let mut timer = Box::pin(Timer::new());
        assert_eq!(arm(timer.as_mut(), &wheel, SOON, &first), State::Armed);
        let firing = {
            let wheel = Arc::clone(&wheel);
            start(move || fire_due(&wheel, LATE))
        };
        let pending = timer.as_mut().update_waker(&waker) == State::Armed;
        firing.join().expect("the firing thread");
        // If the update returns that the timer has fired, the waker may have been woken too.
        assert!(!pending || second.get() == 1);
        assert!(second.get() <= 1);
        drop(waker);
        assert_eq!(Arc::strong_count(&second), 1);
    });
}

#[test]
fn wheel_owner_going_to_sleep_does_not_miss_an_earlier_timer() {
    for armed_before in [false, true] {
        model(move || {
            let token = Token::new();
            let wheel = wheel(Arc::clone(&token));
            let mut late = Box::pin(Timer::new());
            if armed_before {
                assert_eq!(arm(late.as_mut(), &wheel, LATE, Waker::noop()), State::Armed);
            }
            let armer = armer(&wheel);
            // In this model a sleep until LATE, or without a deadline, ends by a wake or never.
            while wheel.begin_sleep().is_none_or(|until| until > SOON) {
                token.park();
                wheel.end_sleep();
            }
            armer.join().expect("the armer");
            fire_due(&wheel, SOON);
            assert!(wheel.begin_sleep().is_none_or(|until| until == LATE));
            late.as_mut().cancel();
        });
    }
}

/// A wheel owner that checks its token before it sleeps consumes the wakes that come meanwhile. It
/// has to store its deadline after that.
#[test]
fn timer_armed_while_the_wheel_owner_checks_is_not_slept_past() {
    model(|| {
        let token = Token::new();
        let wheel = wheel(Arc::clone(&token));
        let armer = armer(&wheel);
        loop {
            token.discard_wake();
            if wheel.begin_sleep().is_some() {
                break;
            }
            token.park();
            wheel.end_sleep();
        }
        armer.join().expect("the armer");
        fire_due(&wheel, SOON);
    });
}

#[test]
fn wheel_owner_that_leaves_does_not_overwrite_its_successors_deadline() {
    model(|| {
        let token = Token::new();
        let wheel = wheel(Arc::clone(&token));
        // The thread that has this lock is the wheel owner.
        let driver = Arc::new(Mutex::new(()));
        let armer = armer(&wheel);
        let successor = {
            let (wheel, driver) = (Arc::clone(&wheel), Arc::clone(&driver));
            start(move || {
                let _driver = driver.lock();
                while wheel.begin_sleep().is_none_or(|until| until > SOON) {
                    token.park();
                    wheel.end_sleep();
                }
            })
        };
        {
            // Something else ends the sleep of this wheel owner.
            let guard = driver.lock();
            let _ = wheel.begin_sleep();
            wheel.end_sleep();
            drop(guard);
        }
        armer.join().expect("the armer");
        successor.join().expect("the successor");
        fire_due(&wheel, SOON);
    });
}

#[test]
fn timer_reset_to_an_earlier_time_ends_the_wheel_owners_sleep() {
    model(|| {
        let token = Token::new();
        let wheel = wheel(Arc::clone(&token));
        let mut timer = Box::pin(Timer::new());
        assert_eq!(arm(timer.as_mut(), &wheel, LATE, Waker::noop()), State::Armed);
        let owner = {
            let wheel = Arc::clone(&wheel);
            start(move || {
                reset(timer.as_mut(), &wheel, SOON);
                std::mem::forget(timer);
            })
        };
        while wheel.begin_sleep().is_none_or(|until| until > SOON) {
            token.park();
            wheel.end_sleep();
        }
        owner.join().expect("the owner");
        fire_due(&wheel, SOON);
    });
}

#[test]
fn arm_during_the_close_is_refused_or_woken() {
    model(|| {
        let wheel = wheel(Token::new());
        let (count, waker) = Count::new();
        let closer = {
            let wheel = Arc::clone(&wheel);
            start(move || wheel.close_wheel(&mut WakeList::new()))
        };
        let mut timer = Box::pin(Timer::new());
        let armed = arm(timer.as_mut(), &wheel, SOON, &waker) == State::Armed;
        closer.join().expect("the closer");
        assert_eq!(timer.state(), State::Closed);
        assert_eq!(count.get(), usize::from(armed));
        drop((timer, waker));
        assert_eq!(Arc::strong_count(&count), 1);
        assert_eq!(Arc::strong_count(&wheel), 1);
    });
}

#[test]
fn timer_fired_by_two_threads_fires_once() {
    model(|| {
        let wheel = wheel(Token::new());
        let (count, waker) = Count::new();
        let mut timer = Box::pin(Timer::new());
        assert_eq!(arm(timer.as_mut(), &wheel, SOON, &waker), State::Armed);
        let firing = {
            let wheel = Arc::clone(&wheel);
            start(move || fire_due(&wheel, LATE))
        };
        fire_due(&wheel, LATE);
        firing.join().expect("the firing thread");
        assert_eq!((timer.state(), count.get()), (State::Fired, 1));
    });
}

/// close × cancel: the closer does not access a timer that its owner has dropped.
#[test]
fn timer_cancelled_during_the_close_is_not_accessed() {
    model(|| {
        let wheel = wheel(Token::new());
        let (count, waker) = Count::new();
        let mut timer = Box::pin(Timer::new());
        assert_eq!(arm(timer.as_mut(), &wheel, SOON, &waker), State::Armed);
        let closing = {
            let wheel = Arc::clone(&wheel);
            start(move || wheel.close_wheel(&mut WakeList::new()))
        };
        // Loom checks that the drop has exclusive access to the timer's cells.
        drop(timer);
        closing.join().expect("the closing thread");
        assert!(count.get() <= 1);
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1);
        assert_eq!(wheel.begin_sleep(), None);
    });
}
