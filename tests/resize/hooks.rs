//! Hooks and naming functions: what they may resize, and where they must not wait for it.

use std::sync::{Arc, Mutex};
use std::thread;

use heist::runtime::{Handle, ResizeError, Runtime};
use heist::time::Duration;

use super::kit::{Count, Door, panic_text, says};
use super::{all_at_once, builder, one_each, parts, until, workers};

/// The hook's own resize runs at once, and is reported after this one.
#[test]
fn after_resize_hook_may_resize_and_wait() {
    let (handle_cell, reported) = (HandleCell::default(), Arc::new(Mutex::new(Vec::new())));
    let (handle, hook) = (handle_cell.clone(), Arc::clone(&reported));
    let runtime = builder(1)
        .after_resize(move |resized| {
            hook.lock().unwrap().push(parts(resized));
            if resized.to > 2 {
                assert_eq!(parts(handle.get().unwrap().resize(2).wait().unwrap()), (4, 2, 2));
            }
        })
        .build()
        .unwrap();
    handle_cell.set(&runtime);
    assert_eq!(parts(runtime.resize(4).wait().unwrap()), (1, 4, 1));
    assert_eq!(*reported.lock().unwrap(), [(1, 4, 1), (4, 2, 2)]);
    assert_eq!(runtime.worker_threads(), 2);
}

#[test]
fn after_resize_hook_that_panics_is_called_again() {
    let calls = Count::new();
    let counted = calls.clone();
    let runtime = builder(1)
        .after_resize(move |_| {
            counted.add();
            panic!("a hook's panic");
        })
        .build()
        .unwrap();
    for size in [2, 1, 3] {
        runtime.resize(size).wait().unwrap();
    }
    assert_eq!(calls.get(), 3);
    all_at_once(&runtime, 3);
}

/// The naming function is called while threads are being started. A resize that it requests runs
/// next.
#[test]
fn thread_name_with_gets_seat_and_version() {
    let handle_cell = HandleCell::default();
    let handle = handle_cell.clone();
    let runtime = builder(2)
        .thread_name_with(move |at| {
            if at.version == 1 {
                drop(handle.get().unwrap().resize(5));
            }
            if at.version == 2 && at.index == 4 {
                panic!("a naming function's panic");
            }
            format!("v{} s{}", at.version, at.index)
        })
        .build()
        .unwrap();
    handle_cell.set(&runtime);
    assert_eq!(parts(runtime.resize(4).wait().unwrap()), (2, 4, 1));
    assert_eq!(runtime.worker_threads(), 5);
    let name = || thread::current().name().map(str::to_owned);
    let named = one_each(&runtime, 5, |_| async move { name() });
    let mut names: Vec<_> = named.into_iter().map(|task| runtime.block_on(task).unwrap().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["heist-worker", "v0 s0", "v0 s1", "v1 s2", "v1 s3"]);
}

/// The handle of the runtime, for its hooks.
#[derive(Clone, Default)]
struct HandleCell(Arc<Mutex<Option<Handle>>>);

impl HandleCell {
    fn set(&self, runtime: &Runtime) {
        *self.0.lock().unwrap() = Some(runtime.handle().clone());
    }

    /// Returns `None` while the runtime is being built.
    fn get(&self) -> Option<Handle> {
        self.0.lock().unwrap().clone()
    }
}

/// Waits for a resize on this thread in each way, and returns the panic messages.
fn wait_in_each_way(handle: &Handle, size: usize) -> [String; 3] {
    [
        panic_text(|| handle.resize(size).wait()),
        panic_text(|| handle.block_on(handle.resize(size))),
        panic_text(|| futures::executor::block_on(handle.resize(size))),
    ]
}

/// The next request begins when the function has returned. A function that waits for it would wait
/// for itself, and block every later resize.
#[test]
fn thread_name_with_waiting_for_resize_panics() {
    let (handle_cell, texts) = (HandleCell::default(), Arc::new(Mutex::new(Vec::new())));
    let (handle, collected) = (handle_cell.clone(), Arc::clone(&texts));
    let runtime = builder(1)
        .thread_name_with(move |at| {
            if at.version == 1 && at.index == 1 {
                collected.lock().unwrap().extend(wait_in_each_way(&handle.get().unwrap(), 5));
            }
            format!("seat {}", at.index)
        })
        .build()
        .unwrap();
    handle_cell.set(&runtime);
    assert_eq!(parts(runtime.resize(3).wait().unwrap()), (1, 3, 1));
    let texts = texts.lock().unwrap();
    assert_eq!(texts.len(), 3);
    texts.iter().for_each(|text| says(text, &["function that names threads", "drop it", "thread of its own"]));
    // The resizes have taken effect all the same, and so does the next one.
    assert_eq!(runtime.worker_threads(), 5);
    all_at_once(&runtime, 5);
    assert_eq!(parts(runtime.resize(2).wait().unwrap()), (5, 2, 3));
}

/// The hook may wait for its own worker to retire.
#[test]
fn start_hook_waiting_for_resize_panics() {
    let (handle_cell, texts) = (HandleCell::default(), Arc::new(Mutex::new(Vec::new())));
    let (handle, collected) = (handle_cell.clone(), Arc::clone(&texts));
    let hook = move || {
        if let Some(handle) = handle.get() {
            let texts = wait_in_each_way(&handle, 1);
            collected.lock().unwrap().extend(texts);
        }
    };
    let runtime = builder(1).on_thread_start(hook).build().unwrap();
    all_at_once(&runtime, 1);
    handle_cell.set(&runtime);
    drop(runtime.resize(4));
    until(|| texts.lock().unwrap().len() == 9);
    texts.lock().unwrap().iter().for_each(|text| says(text, &["`on_thread_start` hook", "has to leave", "drop it"]));
    until(|| runtime.worker_threads() == 1);
    all_at_once(&runtime, 1);
}

/// The worker has vacated its seat. So no resize waits for the hook, whatever seats that resize
/// claims or retires.
#[test]
fn stop_hook_may_wait_for_resize() {
    for size in [1, 2, 3] {
        let (handle_cell, outcomes) = (HandleCell::default(), Arc::new(Mutex::new(Vec::new())));
        let (handle, collected) = (handle_cell.clone(), Arc::clone(&outcomes));
        let both_have_left = Door::new();
        let left = both_have_left.clone();
        let hook = move || {
            let handle = handle.get().unwrap();
            // Otherwise one resize would claim back the worker of the other.
            left.wait();
            collected.lock().unwrap().push(handle.resize(size).wait());
            collected.lock().unwrap().push(handle.block_on(handle.resize(size)));
        };
        let runtime = builder(3).on_thread_stop(hook).build().unwrap();
        handle_cell.set(&runtime);
        all_at_once(&runtime, 3);
        runtime.resize(1).wait().unwrap();
        both_have_left.open();
        until(|| outcomes.lock().unwrap().len() == 4);
        assert!(outcomes.lock().unwrap().iter().all(|outcome| outcome.as_ref().is_ok_and(|done| done.to == size)));
        assert_eq!(runtime.worker_threads(), size);
        all_at_once(&runtime, size);
        drop(runtime);
        let outcomes = outcomes.lock().unwrap();
        assert_eq!(outcomes.len(), 4 + 2 * size);
        assert!(outcomes[4..].iter().all(|outcome| matches!(outcome, Err(ResizeError::ShutDown))));
    }
}

/// A resize within another one leaves its hook call to that one.
#[test]
fn after_resize_hook_is_not_called_in_a_naming_function() {
    thread_local! {
        static NAMES: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    let (handle_cell, reported) = (HandleCell::default(), Arc::new(Mutex::new(Vec::new())));
    let (handle, hook) = (handle_cell.clone(), Arc::clone(&reported));
    let runtime = builder(1)
        .thread_name_with(move |at| {
            NAMES.set(true);
            // The hook has not been called for the version before.
            if at.version == 1 || at.version == 2 {
                drop(handle.get().unwrap().resize(at.version as usize + 2));
            }
            NAMES.set(false);
            at.index.to_string()
        })
        .after_resize(move |resized| hook.lock().unwrap().push((resized.version, NAMES.get())))
        .build()
        .unwrap();
    handle_cell.set(&runtime);
    runtime.resize(2).wait().unwrap();
    assert_eq!(runtime.worker_threads(), 4);
    assert_eq!(*reported.lock().unwrap(), [(1, false), (2, false), (3, false)]);
}

/// The grace is unlimited: a thread that waited would wait for itself.
#[test]
fn runtime_dropped_in_a_hook_does_not_wait() {
    type Slot = Arc<Mutex<Option<Runtime>>>;
    let take = |slot: &Slot, dropped: &Count| {
        let runtime = slot.lock().unwrap().take();
        if let Some(runtime) = runtime {
            drop(runtime);
            dropped.add();
        }
    };
    for hook_name in ["name", "start", "stop", "after"] {
        let (slot, dropped) = (Slot::default(), Count::new());
        let hook = |at: &'static str| {
            let (slot, dropped) = (Arc::clone(&slot), dropped.clone());
            move || {
                if hook_name == at {
                    take(&slot, &dropped)
                }
            }
        };
        let (name, after) = (hook("name"), hook("after"));
        let runtime = builder(2)
            .shutdown_grace(Duration::MAX)
            .thread_name_with(move |at| {
                name();
                at.index.to_string()
            })
            .on_thread_start(hook("start"))
            .on_thread_stop(hook("stop"))
            .after_resize(move |_| after())
            .build()
            .unwrap();
        all_at_once(&runtime, 2);
        let handle = runtime.handle().clone();
        *slot.lock().unwrap() = Some(runtime);
        let outcome = handle.resize(if hook_name == "stop" { 1 } else { 3 }).wait();
        assert!(!matches!(&outcome, Ok(resized) if resized.version != 1), "{outcome:?}");
        until(|| dropped.get() == 1);
        assert!(matches!(handle.resize(1).wait(), Err(ResizeError::ShutDown)));
    }
}

#[test]
fn resize_wait_in_async_code_panics() {
    let runtime = workers(2);
    let text = runtime.block_on(async { panic_text(|| Handle::current().resize(1).wait()) });
    says(&text, &["Resize::wait", "async code", ".await", "spawn_blocking"]);
    // The resize has taken effect all the same.
    until(|| runtime.worker_threads() == 1);
    let waited = runtime.block_on(runtime.spawn_blocking({
        let handle = runtime.handle().clone();
        move || handle.resize(3).wait()
    }));
    assert_eq!(parts(waited.unwrap().unwrap()), (1, 3, 2));
}
