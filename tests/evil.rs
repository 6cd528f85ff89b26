//! User code that calls back into the runtime, panics or blocks, wherever a runtime calls it.
//!
//! The tables are places (`evil/places.rs`) and actions (`evil/actions.rs`). Each pair is a case. A
//! case asserts that it ends, that each future and each output is dropped once, and that each
//! handle resolves. As many tasks end as were spawned. `docs/user-code.md` describes the places.
//!
//! `HEIST_EVIL=on_stall cargo test --test evil` plays the cases whose names contain that text.
//! With `HEIST_EVIL_TRACE=1` and `--nocapture`, each case is named before it is played.
#![cfg(unix)]

#[path = "support/kit.rs"]
mod kit;
#[path = "support/wakers.rs"]
mod wakers;
#[path = "support/watch.rs"]
mod watch;

mod evil {
    pub(crate) mod actions;
    pub(crate) mod cases;
    pub(crate) mod globals;
    pub(crate) mod places;
    pub(crate) mod stage;
}

use std::collections::BTreeSet;

use evil::cases::play_all;
use evil::places;
use evil::stage::Flavor;

#[test]
fn user_code_on_two_workers_ends_each_task_once() {
    assert!(play_all(Flavor::Workers) > 4_500 || std::env::var_os("HEIST_EVIL").is_some());
}

#[test]
fn user_code_under_block_on_ends_each_task_once() {
    assert!(play_all(Flavor::BlockOn) > 3_000 || std::env::var_os("HEIST_EVIL").is_some());
}

#[test]
fn user_code_under_drain_wait_ends_each_task_once() {
    assert!(play_all(Flavor::Drained) > 3_500 || std::env::var_os("HEIST_EVIL").is_some());
}

/// The page names each place of the test, and no other.
#[test]
fn page_about_user_code_names_the_places_of_the_test() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/user-code.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("|--")).skip(1);
    let mut written = BTreeSet::new();
    for row in rows {
        let names = row.split('|').nth(2).expect("a second column");
        for name in names.split('`').skip(1).step_by(2) {
            assert!(written.insert(name.to_owned()), "the page names `{name}` twice");
        }
    }
    let tested: BTreeSet<String> = places::all().map(|place| place.name.to_owned()).collect();
    assert_eq!(tested.len(), places::all().count(), "two places have one name");
    let missing: Vec<_> = tested.difference(&written).collect();
    let superfluous: Vec<_> = written.difference(&tested).collect();
    assert!(missing.is_empty() && superfluous.is_empty(), "not on the page: {missing:?}; not tested: {superfluous:?}");
    assert!(tested.len() > 80, "only {} places", tested.len());
}
