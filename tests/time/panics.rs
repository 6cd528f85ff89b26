//! A panic comes at the call, not at a poll, and has the location of the call.

use std::future::pending;
use std::time::Duration;

use heist::hyper::HeistTimer;
use heist::runtime::Builder;
use heist::time::{Instant, interval, interval_at, sleep, sleep_until, timeout, timeout_at};
use hyper::rt::Timer;

use crate::kit::each;
use crate::panics::{panic_of, panics_in};

const SECOND: Duration = Duration::from_secs(1);

/// A call that creates a timer, without a poll.
const CALLS: [(&str, fn()); 8] = [
    ("sleep", || drop(sleep(SECOND))),
    ("sleep_until", || drop(sleep_until(Instant::now()))),
    ("timeout", || drop(timeout(SECOND, pending::<()>()))),
    ("timeout_at", || drop(timeout_at(Instant::now(), pending::<()>()))),
    ("interval", || drop(interval(SECOND))),
    ("interval_at", || drop(interval_at(Instant::now(), SECOND))),
    ("HeistTimer::sleep", || drop(HeistTimer.sleep(SECOND))),
    ("HeistTimer::sleep_until", || drop(HeistTimer.sleep_until(std::time::Instant::now()))),
];

const OUTSIDE: [&str; 4] = ["no heist runtime", "task", "block_on", "enter"];
const WITHOUT: [&str; 4] = ["without timers", "enable_time", "enable_all", "Builder"];

#[test]
fn timer_outside_of_runtime_panics_at_call() {
    for (name, call) in CALLS {
        panics_in(file!(), name, &OUTSIDE, call);
    }
}

#[test]
fn timer_in_runtime_without_timers_panics_at_call() {
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = builder.build().unwrap();
        for (name, call) in CALLS {
            panics_in(file!(), name, &WITHOUT, || runtime.block_on(async { call() }));
            let _guard = runtime.enter();
            panics_in(file!(), name, &WITHOUT, call);
        }
    }
}

/// The runtime that was entered last decides, also inside of another one.
#[test]
fn timer_belongs_to_innermost_runtime() {
    let without = Builder::new_current_thread().build().unwrap();
    each(|runtime| {
        for (name, call) in CALLS {
            runtime.block_on(async {
                assert_eq!(panic_of(call), None, "{name}");
                let _guard = without.enter();
                panics_in(file!(), name, &WITHOUT, call);
            });
            let in_task = runtime.spawn(async move { call() });
            runtime.block_on(in_task).unwrap();
            let _guard = without.enter();
            panics_in(file!(), name, &WITHOUT, call);
            let _guard = runtime.enter();
            assert_eq!(panic_of(call), None, "{name}");
        }
    });
}

#[test]
fn interval_period_of_zero_panics_at_call() {
    let calls: [(&str, fn()); 2] = [
        ("interval", || drop(interval(Duration::ZERO))),
        ("interval_at", || drop(interval_at(Instant::now(), Duration::ZERO))),
    ];
    for (name, call) in calls {
        panics_in(file!(), name, &["interval", "period", "longer than zero", "yield_now"], call);
        each(|runtime| {
            panics_in(file!(), name, &["interval", "period", "longer than zero", "yield_now"], || {
                runtime.block_on(async { call() });
            });
        });
    }
}

#[test]
fn instant_out_of_range_panics_at_operator() {
    type Operator = fn(Instant);
    let operators: [(&str, &str, Operator); 4] = [
        ("+", "checked_add", |at| _ = at + Duration::MAX),
        ("+=", "checked_add", |mut at| at += Duration::MAX),
        ("-", "checked_sub", |at| _ = at - Duration::MAX),
        ("-=", "checked_sub", |mut at| at -= Duration::MAX),
    ];
    for (name, remedy, operator) in operators {
        panics_in(file!(), name, &["cannot represent", remedy], || operator(Instant::now()));
    }
}
