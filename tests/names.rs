//! Names of tasks, in every place that shows them.

#[path = "support/kit.rs"]
mod kit;

use std::future::pending;
use std::io;
use std::task::Poll;
use std::time::Duration;

use heist::runtime::{Runtime, Straggler};
use heist::task::{Builder, JoinHandle, JoinSet};
use kit::{Door, current_thread, each, each_owned, panic_text, workers, yield_now};

/// Returns the names in the report of a drain with a deadline of zero.
fn late(runtime: Runtime) -> Vec<Option<String>> {
    let report = runtime.drain(Duration::ZERO).wait();
    let name = |straggler: Straggler| straggler.name.map(|name| name.to_string());
    let mut names: Vec<_> = report.stragglers.into_iter().map(name).collect();
    names.sort();
    names
}

#[test]
fn drain_report_names_idle_and_queued_tasks_and_jobs() {
    each_owned(|runtime| {
        let door = Door::new();
        let jobs = heist::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let (first, waits) = (Door::new(), door.clone());
        let begun = first.clone();
        let job = Builder::new().name("runs").spawn_blocking_on(
            move || {
                begun.open();
                waits.wait();
            },
            jobs.handle(),
        );
        first.wait();
        let queued = Builder::new().name("queued").spawn_blocking_on(|| (), jobs.handle());
        let idle = Builder::new().name("idle").spawn_on(pending::<()>(), runtime.handle());
        let unnamed = runtime.spawn(pending::<()>());
        let drained = jobs.drain(Duration::ZERO);
        while !queued.as_ref().unwrap().is_finished() {
            std::thread::yield_now();
        }
        door.open();
        let names: Vec<_> = drained.wait().stragglers.into_iter().map(|late| late.name.unwrap().to_string()).collect();
        assert!(names.contains(&String::from("queued")), "{names:?}");
        assert_eq!(late(runtime), [None, Some(String::from("idle"))]);
        drop((job, queued, idle, unnamed));
    });
}

#[test]
fn drain_report_names_task_stuck_in_first_poll() {
    let (begun, end) = (Door::new(), Door::new());
    let runtime =
        heist::runtime::Builder::new_multi_thread().worker_threads(1).shutdown_grace(Duration::ZERO).build().unwrap();
    let (begins, ends) = (begun.clone(), end.clone());
    let task = async move {
        begins.open();
        ends.wait();
    };
    let task = Builder::new().name("stuck").spawn_on(task, runtime.handle()).unwrap();
    begun.wait();
    let report = runtime.drain(Duration::ZERO).wait();
    let names: Vec<_> = report.stragglers.iter().map(|late| (late.id, late.name.as_deref())).collect();
    assert_eq!(names, [(task.id(), Some("stuck"))]);
    assert!(report.to_string().contains("\"stuck\" spawned at tests/names.rs"), "{report}");
    end.open();
}

#[test]
fn named_tasks_behave_as_tasks() {
    each(|runtime| {
        let answers = runtime.block_on(async {
            let handle = runtime.handle();
            let all: [io::Result<JoinHandle<usize>>; 4] = [
                Builder::new().name("one").spawn(async { 1 }),
                Builder::new().name("two").spawn_on(async { 2 }, handle),
                Builder::new().name("three").spawn_blocking(|| 3),
                Builder::new().spawn_blocking_on(|| 4, handle),
            ];
            let mut answers = Vec::new();
            for task in all {
                answers.push(task.unwrap().await.unwrap());
            }
            let panics = Builder::new().name("panics").spawn(async { panic!("boom") }).unwrap();
            let error = panics.await.unwrap_err();
            // The id identifies the task; names are for people.
            assert_eq!(error.to_string(), format!("task {} panicked with message \"boom\"", error.id()));
            let aborted = Builder::new().name("aborted").spawn(pending::<()>()).unwrap();
            aborted.abort();
            assert!(aborted.await.unwrap_err().is_cancelled());
            answers
        });
        assert_eq!(answers, [1, 2, 3, 4]);
    });
}

#[test]
fn task_name_is_freed_with_its_task() {
    // A task with a future too large for its cell, one with the empty name, and one whose handle
    // stays.
    let runtime = workers(2);
    let large = [0u8; 64 * 1024];
    let sum = async move {
        yield_now().await;
        large.iter().map(|&byte| usize::from(byte)).sum::<usize>()
    };
    let kept = Builder::new().name("large").spawn_on(sum, runtime.handle()).unwrap();
    let empty = Builder::new().name("").spawn_on(async { 1 }, runtime.handle()).unwrap();
    let name = String::from("borrowed");
    let borrowed = Builder::new().name(&name).spawn_on(async { 2 }, runtime.handle()).unwrap();
    drop(name);
    assert_eq!(
        runtime.block_on(async { (kept.await.unwrap(), empty.await.unwrap(), borrowed.await.unwrap()) }),
        (0, 1, 2)
    );
}

#[test]
fn set_members_have_names() {
    each(|runtime| {
        let outputs = runtime.block_on(async {
            let mut set = JoinSet::new();
            let handle = runtime.handle();
            set.build_task().name("one").spawn(async { 1 }).unwrap();
            set.build_task().name("two").spawn_on(async { 2 }, handle).unwrap();
            set.build_task().name("three").spawn_blocking(|| 3).unwrap();
            set.build_task().spawn_blocking_on(|| 4, handle).unwrap();
            let mut outputs = set.join_all().await;
            outputs.sort();
            outputs
        });
        assert_eq!(outputs, [1, 2, 3, 4]);
    });
}

#[test]
fn builder_outside_of_runtime_panics_as_spawn() {
    let said = panic_text(|| Builder::new().name("nowhere").spawn(async {}));
    assert!(said.contains("no heist runtime is running on this thread"), "{said}");
    let said = panic_text(|| Builder::new().name("nowhere").spawn_blocking(|| ()));
    assert!(said.contains("no heist runtime is running on this thread"), "{said}");
}

#[test]
fn named_task_refused_is_cancelled() {
    let runtime = current_thread();
    let handle = runtime.handle().clone();
    drop(runtime);
    let mut task = Builder::new().name("late").spawn_on(async {}, &handle).unwrap();
    let Poll::Ready(Err(error)) = kit::poll_once(&mut task) else { panic!("it is not refused") };
    assert!(error.is_cancelled());
}
