//! What is spawned inside of a group belongs to it.

use std::sync::Arc;

use heist::runtime::{Builder, Handle, Runtime};
use heist::task::{self, JoinSet};

fn group_name() -> Option<String> {
    task::current_group().map(|group| group.name().to_owned())
}

#[test]
fn child_of_a_group_task_belongs_to_the_group() {
    for runtime in [Runtime::new().unwrap(), Builder::new_current_thread().enable_all().build().unwrap()] {
        let group = runtime.group("parent").build().unwrap();
        let names = runtime.block_on(group.spawn(async {
            let child = heist::spawn(async {
                task::yield_now().await;
                (group_name(), heist::spawn(async { group_name() }).await.unwrap())
            });
            child.await.unwrap()
        }));
        let expected = Some("parent".to_owned());
        assert_eq!(names.unwrap(), (expected.clone(), expected));
        assert_eq!(group.metrics().completed, 3);
        assert_eq!(group.metrics().live_tasks, 0);
    }
}

#[test]
fn child_spawned_by_handle_has_no_group() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("parent").build().unwrap();
    let name = runtime.block_on(group.spawn(async { Handle::current().spawn(async { group_name() }).await }));
    assert_eq!(name.unwrap().unwrap(), None);
    assert_eq!(group.metrics().spawned, 1);
}

#[test]
fn child_spawned_after_an_inner_enter_belongs_to_the_group() {
    let runtime = Runtime::new().unwrap();
    let other = Runtime::new().unwrap();
    let other_handle = other.handle().clone();
    let group = runtime.group("parent").build().unwrap();
    let names = runtime.block_on(group.spawn(async move {
        let inner = {
            let _entered = other_handle.enter();
            heist::spawn(async { group_name() })
        };
        (inner.await.unwrap(), heist::spawn(async { group_name() }).await.unwrap())
    }));
    assert_eq!(names.unwrap(), (None, Some("parent".to_owned())));
    drop(other);
}

#[test]
fn scope_sets_the_group_of_spawns_and_ends_with_the_poll() {
    let runtime = Runtime::new().unwrap();
    let outer = runtime.group("outer").build().unwrap();
    let inner = runtime.group("inner").build().unwrap();
    let scoped = || async {
        task::yield_now().await;
        (group_name(), heist::spawn(async { group_name() }).await.unwrap())
    };
    let expected = (Some("inner".to_owned()), Some("inner".to_owned()));
    // At the root of a `block_on`, in a task without a group, and in a task of another group.
    assert_eq!(runtime.block_on(inner.scope(scoped())), expected);
    assert_eq!(group_name(), None);
    let scope = inner.clone();
    let task = runtime.spawn(async move { (scope.scope(scoped()).await, group_name()) });
    assert_eq!(runtime.block_on(task).unwrap(), (expected.clone(), None));
    let task = outer.spawn(async move { (inner.scope(scoped()).await, group_name()) });
    assert_eq!(runtime.block_on(task).unwrap(), (expected, Some("outer".to_owned())));
}

#[test]
fn join_set_and_builder_spawn_in_their_group() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("set").build().unwrap();
    let mut set = JoinSet::in_group(&group);
    set.spawn(async { group_name() });
    let _abort = runtime.block_on(async { set.build_task().name("named").spawn(async { group_name() }).unwrap() });
    let builder = task::Builder::new().name("built").group(&group);
    let built = builder.spawn_on(async { group_name() }, runtime.handle()).unwrap();
    let names = runtime.block_on(set.join_all());
    assert_eq!(names, [Some("set".to_owned()), Some("set".to_owned())]);
    assert_eq!(runtime.block_on(built).unwrap(), Some("set".to_owned()));
}

#[test]
fn blocking_job_of_the_builder_of_a_set_counts_in_the_group() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("set").max_blocking(1).build().unwrap();
    let mut set = JoinSet::in_group(&group);
    let (end, waits) = std::sync::mpsc::channel();
    runtime.block_on(async {
        set.spawn_blocking(move || waits.recv().unwrap());
        set.build_task().name("waits").spawn_blocking(|| ()).unwrap();
    });
    let metrics = group.metrics();
    assert_eq!((metrics.blocking_jobs, metrics.waiting_jobs), (1, 1));
    end.send(()).unwrap();
    assert_eq!(runtime.block_on(set.join_all()).len(), 2);
}

#[test]
fn builder_with_a_group_of_another_runtime_returns_an_error() {
    let (one, other) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let group = one.group("mine").build().unwrap();
    let spawned = task::Builder::new().group(&group).spawn_on(async {}, other.handle());
    let error = spawned.unwrap_err().to_string();
    assert!(error.contains("\"mine\"") && error.contains("another runtime"), "{error}");
}

#[test]
fn blocking_job_of_a_group_task_counts_in_the_group() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("disk").max_blocking(1).build().unwrap();
    let running = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let jobs = runtime.block_on(group.spawn(async move {
        let mut jobs = JoinSet::new();
        for _ in 0..20 {
            let running = Arc::clone(&running);
            let job = move || {
                let before = running.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                std::thread::yield_now();
                running.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                before
            };
            jobs.spawn_blocking(job);
        }
        jobs.join_all().await
    }));
    assert_eq!(jobs.unwrap(), [0; 20], "two jobs ran at once");
    assert_eq!(group.metrics().completed, 1);
    // A job passes its slot on after its handle has resolved.
    while group.metrics().blocking_jobs > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn panic_of_a_blocking_job_is_that_of_its_handle() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("disk").build().unwrap();
    let error = runtime.block_on(group.spawn_blocking(|| panic!("broken disk"))).unwrap_err();
    assert_eq!(error.into_panic().downcast_ref(), Some(&"broken disk"));
}

#[test]
fn group_is_removed_with_its_last_task_and_handle() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("short").build().unwrap();
    let clone = group.clone();
    let task = group.spawn(std::future::pending::<()>());
    drop((group, clone));
    assert_eq!(runtime.handle().groups().len(), 1, "a task lives");
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    // The worker that has ended the task holds the group until its slice is over.
    while !runtime.handle().groups().is_empty() {
        std::thread::yield_now();
    }
    assert!(runtime.group("short").build().is_ok());
}

#[test]
fn group_outlives_its_runtime_and_refuses_tasks() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("late").build().unwrap();
    let handle = runtime.handle().clone();
    let task = group.spawn(std::future::pending::<()>());
    drop(runtime);
    assert!(task.is_finished());
    assert_eq!(group.try_spawn(async {}).unwrap_err().refusal(), heist::runtime::Refusal::Closed);
    assert_eq!(handle.group("new").build().unwrap_err(), heist::runtime::GroupError::Closed);
    drop(handle);
    assert!(group.spawn(async {}).is_finished());
    assert!(group.set_weight(7).is_err());
    assert_eq!(group.metrics().active_workers, 0);
    group.abort_all();
}

#[test]
fn child_of_a_full_group_is_accepted_and_counted() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("full").max_tasks(1).build().unwrap();
    let live = group.clone();
    let task = group.spawn(async move {
        let child = heist::spawn(async move { live.metrics().live_tasks });
        child.await.unwrap()
    });
    assert_eq!(runtime.block_on(task).unwrap(), 2);
    assert_eq!(group.metrics().refused, 0);
}

#[test]
fn spawn_in_a_scope_of_a_full_group_is_refused() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("full").max_tasks(1).build().unwrap();
    let held = group.try_admit().unwrap();
    let error = runtime.block_on(group.scope(async { heist::spawn(async {}).await })).unwrap_err();
    assert_eq!(error.refusal(), Some(heist::runtime::Refusal::Full));
    drop(held);
    runtime.block_on(group.scope(async { heist::spawn(async {}).await })).unwrap();
}

#[test]
fn code_of_a_blocking_job_is_inside_its_group() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("disk").build().unwrap();
    let handle = runtime.handle().clone();
    let names = runtime.block_on(group.spawn_blocking(move || {
        (group_name(), handle.block_on(async { heist::spawn(async { group_name() }).await.unwrap() }))
    }));
    let expected = Some("disk".to_owned());
    assert_eq!(names.unwrap(), (expected.clone(), expected));
}

#[test]
fn blocking_job_that_waits_is_cancelled_by_the_shutdown() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("disk").max_blocking(1).build().unwrap();
    let (entered, begun) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let running = group.spawn_blocking(move || {
        entered.send(()).unwrap();
        released.recv().unwrap();
    });
    begun.recv().unwrap();
    let waiting: Vec<_> = (0..1_000).map(|_| group.spawn_blocking(|| ())).collect();
    assert_eq!((group.metrics().blocking_jobs, group.metrics().waiting_jobs), (1, 1_000));
    let dropped = std::thread::spawn(move || drop(runtime));
    while group.metrics().waiting_jobs > 0 {
        std::thread::yield_now();
    }
    release.send(()).unwrap();
    dropped.join().unwrap();
    assert!(running.is_finished() && waiting.iter().all(|job| job.is_finished()));
    assert_eq!((group.metrics().blocking_jobs, group.metrics().waiting_jobs), (0, 0));
}

#[test]
fn scope_further_up_the_stack_does_not_apply_to_tasks_of_another_runtime() {
    let runtime = Runtime::new().unwrap();
    let outer = runtime.group("outer").build().unwrap();
    let name = runtime.block_on(runtime.spawn(outer.scope(async {
        task::block_in_place(|| {
            let nested = Builder::new_current_thread().build().unwrap();
            let inner = nested.group("inner").build().unwrap();
            nested.block_on(inner.spawn(async { (group_name(), heist::spawn(async { group_name() }).await.unwrap()) }))
        })
    })));
    let expected = Some("inner".to_owned());
    assert_eq!(name.unwrap().unwrap(), (expected.clone(), expected));
}

#[test]
fn enter_of_the_same_runtime_stays_inside_the_group() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("parent").build().unwrap();
    let name = runtime.block_on(group.spawn(async {
        let child = {
            let handle = Handle::current();
            let _entered = handle.enter();
            heist::spawn(async { group_name() })
        };
        child.await.unwrap()
    }));
    assert_eq!(name.unwrap().as_deref(), Some("parent"));
}

#[test]
fn group_of_a_local_runtime_runs_its_tasks() {
    let runtime = heist::runtime::LocalRuntime::new().unwrap();
    let group = runtime.group("local").max_workers(1).build().unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            group.spawn(async move {
                task::yield_now().await;
                n
            })
        })
        .collect();
    let sum = runtime.block_on(async {
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 4950);
    let left = group.spawn(std::future::pending::<()>());
    drop(runtime);
    assert!(left.is_finished());
}
