//! Shows each kind of fault to the inspector.

use super::inspect;

/// Returns the faults of a small source tree, given as (path, text). Its files are as short as they
/// like.
fn faults(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<_> = files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect();
    inspect(&files).into_iter().filter(|fault| !fault.contains("are the least")).collect()
}

#[track_caller]
fn one_fault(files: &[(&str, &str)], says: &str) {
    let faults = faults(files);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].contains(says), "expected {says:?} in {}", faults[0]);
}

#[test]
fn inspect_of_sound_sources_finds_nothing() {
    let idle = r##"
        //! `crate::scheduler` in a comment /* and */ "unclosed
        /* crate::scheduler /* nested */ crate::scheduler */
        use crate::{util::List, primitive::{Arc, Mutex as Lock}};
        use crate::park;
        pub(crate) fn f<'a>(x: &'a str) -> char { let _ = ("crate::scheduler", r#"crate::"scheduler"#, b"std::sync"); '"' }
        fn g() -> char { '\'' }
        #[cfg(test)]
        use crate::scheduler::{Worker, Other};
        #[cfg(all(test, not(heist_loom)))]
        #[allow(unused)]
        mod tests { use crate::scheduler::Worker; use std::sync::mpsc; struct Core; }
        #[cfg(test)]
        mod more;
        struct Word { #[cfg(test)] seen: crate::scheduler::Seen, kept: u32 }
    "##;
    let files = [
        ("primitive.rs", "pub(crate) use std::sync::Arc;"),
        ("util.rs", ""),
        ("park.rs", ""),
        ("idle.rs", idle),
        ("idle/more.rs", "use crate::scheduler::Worker;"),
        ("scheduler.rs", "use crate::idle; mod inner { use super::super::idle; }"),
        ("pool.rs", "mod seat; use crate::pool::seat::Seat;"),
        ("pool/seat.rs", "use super::Pool; use crate::drain::state::DrainState;"),
        ("drain.rs", ""),
        ("drain/state.rs", ""),
        ("drain/reaper.rs", "use crate::pool::Pool;"),
        ("runtime/handle.rs", "pub struct Handle;"),
        ("runtime.rs", ""),
        ("lib.rs", "mod idle; pub use crate::runtime::handle::Handle;"),
    ];
    assert_eq!(faults(&files), Vec::<String>::new());
}

#[test]
fn inspect_of_an_import_that_goes_up_finds_it() {
    for text in [
        "use crate::scheduler::Worker;",
        "use crate::{primitive, scheduler};",
        "fn f() { crate::scheduler::go() }",
        "use super::scheduler::Worker;",
        "mod deep { use super::super::scheduler; }",
        "#[cfg(not(test))] use crate::scheduler::Worker;",
        "#[cfg(any(test, unix))] use crate::scheduler::Worker;",
        "#[cfg(test)] use crate::util; use crate::scheduler::Worker;",
        "#[cfg(test)] fn f() {} use crate::scheduler::Worker;",
        "#[cfg(feature = \"test\")] use crate::scheduler::Worker;",
    ] {
        one_fault(
            &[("util.rs", ""), ("primitive.rs", ""), ("scheduler.rs", ""), ("idle.rs", text)],
            "src/idle.rs:1: `idle` (layer 2",
        );
    }
    one_fault(&[("scheduler.rs", ""), ("idle/part.rs", "\nuse super::super::scheduler;")], "src/idle/part.rs:2");
}

#[test]
fn inspect_of_one_folder_in_two_layers_tells_its_files_apart() {
    let files = [("drain/state.rs", "use crate::drain::reaper::run;"), ("drain/reaper.rs", ""), ("drain.rs", "")];
    one_fault(&files, "`drain::state` (layer 2 protocols) names `drain::reaper` (layer 5");
}

#[test]
fn inspect_of_a_cycle_finds_it() {
    let files =
        [("idle.rs", "use crate::park;"), ("park.rs", "use crate::reactor;"), ("reactor.rs", "use crate::idle;")];
    one_fault(&files, "cycle idle -> park -> reactor -> idle");
}

#[test]
fn inspect_of_a_file_without_a_layer_finds_it() {
    one_fault(&[("attic.rs", "")], "src/attic.rs: the file is in no layer");
}

#[test]
fn inspect_of_a_name_through_the_root_finds_it() {
    one_fault(&[("idle.rs", "use crate::Thing;")], "`crate::Thing` is in no file");
}

#[test]
fn inspect_of_an_empty_name_finds_it() {
    one_fault(&[("runtime.rs", "struct Core;")], "called `Core`");
    one_fault(&[("pool.rs", "pub(crate) struct Handle<T>(T);")], "called `Handle`");
}

#[test]
fn inspect_of_an_import_past_primitive_finds_it() {
    for text in [
        "use std::sync::Arc;",
        "use std::{fmt, sync::{mpsc}};",
        "use std::cell::{Cell, UnsafeCell};",
        "fn f() { ::std::thread::spawn(|| ()); }",
        "use core::sync::atomic::AtomicBool;",
        "use parking_lot::Mutex;",
    ] {
        one_fault(&[("idle.rs", text)], "does not come through `crate::primitive`");
    }
    one_fault(
        &[("idle.rs", "use std::cell::Cell; thread_local! { static X: Cell<u8> = Cell::new(0); }")],
        "std's `thread_local!`",
    );
    one_fault(&[("idle.rs", "use std::time::Instant; fn f() { Instant::now(); }")], "std's clock");
    let imported = "use crate::primitive::{Arc, thread_local}; thread_local! { static X: u8 = 0; }";
    assert_eq!(faults(&[("primitive.rs", ""), ("idle.rs", imported)]), Vec::<String>::new());
}

#[test]
fn inspect_of_a_file_of_the_wrong_size_or_place_finds_it() {
    one_fault(&[("idle.rs", &"\n".repeat(601))], "601 lines");
    one_fault(&[("net.rs", ""), ("net/tcp/stream.rs", "")], "one folder deep");
    one_fault(&[("net/mod.rs", "")], "without `mod.rs`");
    let short: Vec<_> = inspect(&[("idle.rs".to_owned(), String::new())]);
    assert!(short.iter().any(|fault| fault.contains("0 lines, and 60 are the least")), "{short:#?}");
}
