//! A panic for misuse of paused time has the location of the call.

use heist::runtime::Runtime;
use heist::time::{Duration, advance, pause, resume};

use crate::kit::{current_thread, poll_once, workers};
use crate::panics::panics_in;
use crate::{HOUR, paused};

type Make = fn() -> Runtime;
type Case = (&'static str, Make, &'static [&'static str], fn());

const OUTSIDE: [&str; 2] = ["no heist runtime", "block_on"];

#[test]
fn paused_time_misuse_panics_at_call() {
    let going: Make = current_thread;
    let many: Make = || workers(1);
    let cases: [Case; 6] = [
        ("pause", many, &["new_current_thread"], || pause()),
        ("pause, twice", going, &["already paused", "once"], || {
            pause();
            pause();
        }),
        ("pause in a runtime that began paused", paused, &["already paused", "start"], || pause()),
        ("resume", many, &["new_current_thread"], || resume()),
        ("resume", going, &["`time::pause` first"], || resume()),
        ("resume, twice", paused, &["`time::pause` first"], || {
            resume();
            resume();
        }),
    ];
    for (name, runtime, parts, call) in cases {
        panics_in(file!(), name, parts, || runtime().block_on(async { call() }));
    }
    panics_in(file!(), "pause", &OUTSIDE, || pause());
    panics_in(file!(), "resume", &OUTSIDE, || resume());
}

#[test]
fn advance_misuse_panics_at_await_or_poll() {
    let cases: [(Make, Duration, &[&str]); 3] = [
        (|| workers(1), HOUR, &["new_current_thread"]),
        (current_thread, HOUR, &["`time::pause` first"]),
        (paused, Duration::MAX, &["584 years", "advance by less"]),
    ];
    for (runtime, by, parts) in cases {
        panics_in(file!(), "advance", parts, || runtime().block_on(async move { advance(by).await }));
        // The call itself does not panic.
        let runtime = runtime();
        let _guard = runtime.enter();
        drop(advance(by));
    }
    drop(advance(HOUR));
    panics_in(file!(), "advance", &OUTSIDE, || poll_once(&mut Box::pin(async { advance(HOUR).await })));
}
