//! Orders of spawn, wake, abort, panic, drop of the handle, join and shutdown.
//!
//! Every combination is a case. A model of a few lines says how often the future is polled, whether
//! there is an output, and how the handle resolves. The drops of future, output and joiner's waker
//! are counted. Gates order the steps, so that each count is exact.

#[path = "support/kit.rs"]
mod kit;
#[path = "support/watch.rs"]
mod watch;

#[path = "task_combinations/case.rs"]
mod case;
#[path = "task_combinations/play.rs"]
mod play;

use case::{Case, Ending, all_cases};
use heist::runtime::Runtime;
use play::{Totals, play};
use watch::Watch;

/// Plays the cases that share one runtime, and those that end one of their own.
fn play_all(build: fn() -> Runtime, exact: bool) -> usize {
    std::panic::set_hook(Box::new(|info| {
        if !info.to_string().contains("(planned)") {
            eprintln!("{info}");
        }
    }));
    let (watch, totals) = (Watch::start(), Totals::default());
    let shared = build();
    let group = shared.group("cases").build().unwrap();
    let cases: Vec<Case> = all_cases(exact).collect();
    for case in &cases {
        watch.begin(&format!("{case:?}"), String::new);
        if case.ending == Ending::Lives {
            play(case, &shared, &group, &totals);
        } else {
            let own = build();
            let group = own.group("cases").build().unwrap();
            play::play_to_the_end(case, own, &group, &totals);
        }
        watch.end();
    }
    drop(shared);
    totals.check(cases.len());
    cases.len()
}

#[test]
fn combinations_on_a_current_thread_runtime_have_exact_counts() {
    let count = play_all(kit::current_thread, true);
    assert!(count > 8_000, "only {count} combinations");
}

#[test]
fn combinations_on_two_workers_have_exact_counts() {
    let count = play_all(|| kit::workers(2), false);
    assert!(count > 5_000, "only {count} combinations");
}
