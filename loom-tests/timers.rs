//! Timers: see docs/timers.md.

use std::pin::Pin;
use std::task::{Wake, Waker};

use super::support::start;
use super::support::wheel_owner::{LATE, SOON, Token, armer};
use crate::clock::Clock;
use crate::sync::statics::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, model};
use crate::timer::{State, Timer, TimerWheel};
use crate::util::wake_list::WakeList;

/// Counts its wakes; no model looks at the count itself.
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
    timer.arm(Arc::clone(wheel), wheel.clock().real_deadline(Some(nanos)).expect("a nameable instant"), waker)
}

fn reset(timer: Pin<&mut Timer>, wheel: &TimerWheel, nanos: u64) {
    timer.reset(wheel.clock().real_deadline(Some(nanos)).expect("a nameable instant"));
}

/// Turns the wheel and wakes.
fn turn(wheel: &TimerWheel, now: u64) {
    wheel.turn(now, &mut WakeList::new());
}

#[test]
fn a_cancelled_timer_is_touched_by_nobody_and_its_waker_is_gone() {
    model(|| {
        let wheel = wheel(Token::new());
        let (count, waker) = Count::new();
        let mut timer = Box::pin(Timer::new());
        assert_eq!(arm(timer.as_mut(), &wheel, SOON, &waker), State::Armed);
        let turner = {
            let wheel = Arc::clone(&wheel);
            start(move || turn(&wheel, LATE))
        };
        // Its cells check that the drop has them to itself.
        drop(timer);
        turner.join().expect("the turner");
        assert!(count.get() <= 1);
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1);
        assert_eq!(wheel.begin_sleep(), None);
    });
}

#[test]
fn a_timer_seen_as_fired_is_its_owners_again() {
    model(|| {
        let wheel = wheel(Token::new());
        let (count, waker) = Count::new();
        let mut timer = Box::pin(Timer::new());
        assert_eq!(arm(timer.as_mut(), &wheel, SOON, &waker), State::Armed);
        let turner = {
            let wheel = Arc::clone(&wheel);
            start(move || turn(&wheel, LATE))
        };
        // As an interval does it: looks, and goes on from there without a lock.
        let fired = timer.state() == State::Fired;
        if fired {
            reset(timer.as_mut(), &wheel, SOON);
            assert_eq!(timer.state(), State::Idle);
            assert_eq!(arm(timer.as_mut(), &wheel, LATE * 2, &waker), State::Armed);
        }
        turner.join().expect("the turner");
        assert_eq!(count.get(), 1);
        let expected = if fired { State::Armed } else { State::Fired };
        assert_eq!(timer.state(), expected);
    });
}

#[test]
fn a_reset_timer_wakes_at_either_deadline_exactly_once() {
    model(|| {
        let wheel = wheel(Token::new());
        let (count, waker) = Count::new();
        let mut timer = Box::pin(Timer::new());
        assert_eq!(arm(timer.as_mut(), &wheel, SOON, &waker), State::Armed);
        let turner = {
            let wheel = Arc::clone(&wheel);
            start(move || turn(&wheel, SOON * 2))
        };
        reset(timer.as_mut(), &wheel, LATE);
        turner.join().expect("the turner");
        match timer.state() {
            State::Idle => assert_eq!(count.get(), 1),
            State::Armed => assert_eq!(count.get(), 0),
            other => panic!("{other:?} after a reset"),
        }
        turn(&wheel, LATE * 2);
        assert_eq!(count.get(), 1);
    });
}

/// The poll after the reset sees that the deadline has passed, and ends the timer, while another
/// thread fires or closes the wheel.
#[test]
fn a_timer_reset_to_a_due_time_is_fired_at_the_next_poll() {
    for closes in [false, true] {
        model(move || {
            let wheel = wheel(Token::new());
            let (count, waker) = Count::new();
            let mut timer = Box::pin(Timer::new());
            assert_eq!(arm(timer.as_mut(), &wheel, LATE, &waker), State::Armed);
            let turner = {
                let wheel = Arc::clone(&wheel);
                start(move || if closes { wheel.close_wheel(&mut WakeList::new()) } else { turn(&wheel, LATE * 2) })
            };
            reset(timer.as_mut(), &wheel, 0);
            timer.as_mut().mark_fired();
            assert_eq!(timer.state(), State::Fired);
            turner.join().expect("the turner");
            assert_eq!(timer.state(), State::Fired, "the wheel has let go of it");
            assert!(count.get() <= 1);
            drop((timer, waker));
            assert_eq!(Arc::strong_count(&count), 1);
            assert!(wheel.is_empty());
        });
    }
}

#[test]
fn the_waker_of_the_last_pending_poll_is_woken() {
    model(|| {
        let wheel = wheel(Token::new());
        let (_, first) = Count::new();
        let (second, waker) = Count::new();
        let mut timer = Box::pin(Timer::new());
        assert_eq!(arm(timer.as_mut(), &wheel, SOON, &first), State::Armed);
        let turner = {
            let wheel = Arc::clone(&wheel);
            start(move || turn(&wheel, LATE))
        };
        let pending = timer.as_mut().update_waker(&waker) == State::Armed;
        turner.join().expect("the turner");
        // Who is told that it has fired may have been woken too.
        assert!(!pending || second.get() == 1);
        assert!(second.get() <= 1);
        drop(waker);
        assert_eq!(Arc::strong_count(&second), 1);
    });
}

#[test]
fn a_keeper_going_to_sleep_does_not_miss_an_earlier_timer() {
    for armed_before in [false, true] {
        model(move || {
            let token = Token::new();
            let wheel = wheel(Arc::clone(&token));
            let mut late = Box::pin(Timer::new());
            if armed_before {
                assert_eq!(arm(late.as_mut(), &wheel, LATE, Waker::noop()), State::Armed);
            }
            let armer = armer(&wheel);
            // Here a sleep to LATE, or without a deadline, ends by a wake or never.
            while wheel.begin_sleep().is_none_or(|until| until > SOON) {
                token.park();
                wheel.end_sleep();
            }
            armer.join().expect("the armer");
            turn(&wheel, SOON);
            assert!(wheel.begin_sleep().is_none_or(|until| until == LATE));
            late.as_mut().cancel();
        });
    }
}

/// A keeper that looks about before it sleeps swallows the wakes that come meanwhile: it has to
/// note its deadline after that.
#[test]
fn a_timer_armed_while_the_keeper_looks_about_is_not_slept_past() {
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
        turn(&wheel, SOON);
    });
}

#[test]
fn a_keeper_that_leaves_does_not_undo_its_successors_note() {
    model(|| {
        let token = Token::new();
        let wheel = wheel(Arc::clone(&token));
        // Who sits here keeps the wheel.
        let driver = Arc::new(Mutex::new(()));
        let armer = armer(&wheel);
        let successor = {
            let (wheel, driver) = (Arc::clone(&wheel), Arc::clone(&driver));
            start(move || {
                let _seated = driver.lock();
                while wheel.begin_sleep().is_none_or(|until| until > SOON) {
                    token.park();
                    wheel.end_sleep();
                }
            })
        };
        {
            // Something else ends this one's sleep.
            let seated = driver.lock();
            let _ = wheel.begin_sleep();
            wheel.end_sleep();
            drop(seated);
        }
        armer.join().expect("the armer");
        successor.join().expect("the successor");
        turn(&wheel, SOON);
    });
}

#[test]
fn a_timer_reset_to_an_earlier_time_ends_the_keepers_sleep() {
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
        turn(&wheel, SOON);
    });
}

#[test]
fn an_arm_that_meets_closing_is_refused_or_told() {
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
fn two_turners_fire_a_timer_once() {
    model(|| {
        let wheel = wheel(Token::new());
        let (count, waker) = Count::new();
        let mut timer = Box::pin(Timer::new());
        assert_eq!(arm(timer.as_mut(), &wheel, SOON, &waker), State::Armed);
        let turner = {
            let wheel = Arc::clone(&wheel);
            start(move || turn(&wheel, LATE))
        };
        turn(&wheel, LATE);
        turner.join().expect("the turner");
        assert_eq!((timer.state(), count.get()), (State::Fired, 1));
    });
}
