//! `task_local!`, for every place where the value is read and every way in which its scope ends.

#[path = "support/kit.rs"]
mod kit;

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use heist::task::LocalKey;
use kit::{Count, OnDrop, current_thread, each, panic_text, yield_now};

heist::task_local! {
    /// A number.
    pub(crate) static NUMBER: u32;
    static CELL: Cell<u32>;
    static GUARD: kit::Dropped
}

heist::task_local! {}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn value_outside_of_scope_is_an_error() {
    let error = NUMBER.try_with(|_| ()).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), format!("{error:?}").as_str()),
        ("task-local value not set", "AccessError")
    );
    assert_eq!(NUMBER.try_get(), Err(error));
    for said in [panic_text(|| NUMBER.get()), panic_text(|| NUMBER.with(|_| ()))] {
        assert!(said.starts_with("task-local value not set"), "{said}");
    }
}

#[test]
fn value_of_task_moves_with_it_between_threads() {
    each(|runtime| {
        runtime.block_on(async {
            let ask = |number| async move {
                for _ in 0..100 {
                    assert_eq!(NUMBER.get(), number);
                    yield_now().await;
                }
                NUMBER.try_get()
            };
            let tasks: Vec<_> = (0..20).map(|number| heist::spawn(NUMBER.scope(number, ask(number)))).collect();
            for (number, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.unwrap(), Ok(number as u32));
            }
            assert!(NUMBER.try_get().is_err());
        });
    });
}

#[test]
fn value_of_innermost_scope_is_visible() {
    current_thread().block_on(NUMBER.scope(1, async {
        NUMBER
            .scope(2, async {
                assert_eq!(NUMBER.get(), 2);
                yield_now().await;
                assert_eq!(NUMBER.sync_scope(3, || NUMBER.get()), 3);
                assert_eq!(NUMBER.get(), 2);
            })
            .await;
        assert_eq!(NUMBER.get(), 1);
    }));
}

#[test]
fn value_is_not_inherited_by_spawned_tasks() {
    each(|runtime| {
        runtime.block_on(NUMBER.scope(1, async {
            assert!(heist::spawn(async { NUMBER.try_get() }).await.unwrap().is_err());
            assert!(heist::task::spawn_blocking(|| NUMBER.try_get()).await.unwrap().is_err());
        }));
    });
}

#[test]
fn value_changed_in_scope_stays_changed() {
    current_thread().block_on(CELL.scope(Cell::new(0), async {
        for turn in 0..10 {
            assert_eq!(CELL.with(|cell| cell.replace(turn + 1)), turn);
            yield_now().await;
        }
    }));
}

#[test]
fn sync_scope_ends_with_its_function_or_a_panic() {
    let drops = Count::new();
    let said = panic_text(|| {
        GUARD.sync_scope(drops.on_drop(), || {
            assert!(GUARD.try_with(|_| ()).is_ok());
            panic!("boom")
        })
    });
    assert_eq!((said.as_str(), drops.get(), GUARD.try_with(|_| ()).is_err()), ("boom", 1, true));
}

#[test]
fn scope_poll_that_panics_exits_and_keeps_value() {
    let mut scope = pin!(NUMBER.scope(5, async {
        assert_eq!(NUMBER.get(), 5);
        panic!("boom")
    }));
    let polled: Result<Poll<()>, _> = catch_unwind(AssertUnwindSafe(|| poll(scope.as_mut())));
    assert!(polled.is_err() && NUMBER.try_get().is_err());
    assert_eq!(scope.take_value(), Some(5));
}

#[test]
fn scope_future_is_dropped_inside_and_value_after_it() {
    let (seen, drops) = (Count::new(), Count::new());
    let notes = |seen: Count, drops: Count| {
        OnDrop::new(move || {
            assert!(GUARD.try_with(|_| ()).is_ok());
            assert_eq!(drops.get(), 0);
            seen.add();
        })
    };
    // Before the first poll, between two, and when it is ready.
    for polls in 0..3 {
        let (seen, drops) = (Count::new(), Count::new());
        let note = notes(seen.clone(), drops.clone());
        let mut scope = Box::pin(GUARD.scope(drops.on_drop(), async move {
            let _note = note;
            yield_now().await;
        }));
        for turn in 0..polls {
            assert_eq!(poll(scope.as_mut()).is_ready(), turn == 1);
        }
        assert_eq!((seen.get(), drops.get()), (usize::from(polls == 2), 0));
        drop(scope);
        assert_eq!((seen.get(), drops.get()), (1, 1));
    }
    let note = notes(seen.clone(), drops.clone());
    let task = async move {
        let _note = note;
        pending::<()>().await;
    };
    let runtime = current_thread();
    let task = runtime.spawn(GUARD.scope(drops.on_drop(), task));
    runtime.block_on(yield_now());
    drop(runtime);
    assert!(task.is_finished());
    assert_eq!((seen.get(), drops.get()), (1, 1));
}

#[test]
fn take_value_before_and_after_poll_returns_it() {
    let mut scope = pin!(NUMBER.scope(5, async { NUMBER.try_get() }));
    assert_eq!(scope.as_mut().take_value(), Some(5));
    assert!(matches!(poll(scope.as_mut()), Poll::Ready(Err(_))));
    assert_eq!(scope.take_value(), None);
    let mut scope = pin!(NUMBER.scope(6, async { NUMBER.get() }));
    assert_eq!(poll(scope.as_mut()), Poll::Ready(6));
    assert_eq!(format!("{:?}", &*scope), "TaskLocalFuture { value: Some(6), .. }");
    assert_eq!(scope.take_value(), Some(6));
}

#[test]
fn scope_polled_after_ready_panics() {
    let mut scope = pin!(NUMBER.scope(5, async {}));
    assert!(poll(scope.as_mut()).is_ready());
    let said = panic_text(|| poll(scope.as_mut()));
    assert_eq!(said, "a `TaskLocalFuture` was polled again after it was ready");
    assert!(NUMBER.try_get().is_err());
}

#[test]
fn scope_entered_while_value_is_borrowed_panics() {
    fn refused(key: &'static LocalKey<u32>, enter: impl FnOnce()) {
        let said = key.sync_scope(1, || panic_text(|| key.with(|_| enter())));
        assert!(said.starts_with("a task-local scope was entered inside of `with`"), "{said}");
        assert!(key.try_get().is_err());
    }
    refused(&NUMBER, || NUMBER.sync_scope(2, || unreachable!("it must not be entered")));
    refused(&NUMBER, || {
        let polled: Poll<()> = poll(pin!(NUMBER.scope(2, async { unreachable!("it must not be entered") })));
        assert!(polled.is_pending(), "it must not be entered");
    });
    // Dropping it there is allowed: the future is dropped outside of its scope.
    let drops = Count::new();
    let guard = drops.on_drop();
    let inner = NUMBER.scope(2, async move {
        let _guard = guard;
        pending::<()>().await;
    });
    NUMBER.sync_scope(1, || {
        NUMBER.with(|number| {
            drop(inner);
            assert_eq!((drops.get(), *number), (1, 1));
        })
    });
    // Further reads work, and so do scopes of other keys.
    NUMBER.sync_scope(1, || {
        NUMBER.with(|_| {
            assert_eq!(NUMBER.get(), 1);
            CELL.sync_scope(Cell::new(0), || ());
        })
    });
}

#[test]
fn scope_works_on_every_executor() {
    let number = futures::executor::block_on(NUMBER.scope(9, poll_fn(|_| Poll::Ready(NUMBER.get()))));
    assert_eq!(number, 9);
}

#[test]
fn value_in_destructor_of_thread_local_is_an_error() {
    struct Late(Count);
    impl Drop for Late {
        fn drop(&mut self) {
            if NUMBER.try_get().is_err() {
                self.0.add();
            }
        }
    }
    thread_local! {
        static LATE: Cell<Option<Late>> = const { Cell::new(None) };
    }
    let asked = Count::new();
    let late = Late(asked.clone());
    std::thread::spawn(move || {
        LATE.set(Some(late));
        NUMBER.sync_scope(1, || ());
    })
    .join()
    .unwrap();
    assert_eq!(asked.get(), 1);
}
