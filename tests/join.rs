//! `JoinHandle` and `AbortHandle`.

#[path = "support/kit.rs"]
mod kit;

use std::error::Error;
use std::future::{pending, poll_fn};
use std::panic::panic_any;
use std::pin::Pin;
use std::sync::mpsc::{Sender, channel};
use std::task::Poll;
use std::thread;

use heist::task::{Id, JoinError};
use kit::{Count, Door, OnDrop, each, each_owned, panic_text, poll_once, workers, yield_now};

#[test]
fn join_handle_awaited_returns_output() {
    each(|runtime| {
        let text = runtime.block_on(async {
            let task = heist::spawn(async { String::from("done") });
            task.await.unwrap()
        });
        assert_eq!(text, "done");
    });
}

#[test]
fn join_handle_dropped_detaches_task() {
    each(|runtime| {
        let (outputs, (send, receive)) = (Count::new(), async_channel::unbounded());
        let output = outputs.on_drop();
        runtime.block_on(async {
            let door = Door::new();
            let opened = door.opened();
            drop(heist::spawn(async move {
                let _last = OnDrop::new(move || send.try_send(()).unwrap());
                opened.await;
                output
            }));
            yield_now().await;
            door.open();
            receive.recv().await.unwrap();
        });
        while outputs.get() == 0 {
            runtime.block_on(yield_now());
            thread::yield_now();
        }
        assert_eq!(outputs.get(), 1);
    });
}

#[test]
fn output_not_taken_is_dropped_with_the_handle() {
    each(|runtime| {
        let outputs = Count::new();
        let output = outputs.on_drop();
        runtime.block_on(async {
            let task = heist::spawn(async move { output });
            while !task.is_finished() {
                yield_now().await;
            }
            assert_eq!(outputs.get(), 0);
            drop(task);
            assert_eq!(outputs.get(), 1);
        });
    });
}

#[test]
fn is_finished_means_future_was_dropped() {
    each(|runtime| {
        let (door, drops) = (Door::new(), Count::new());
        let (opened, guard) = (door.opened(), drops.on_drop());
        runtime.block_on(async {
            let task = heist::spawn(async move {
                let _guard = guard;
                opened.await;
            });
            let abort = task.abort_handle();
            yield_now().await;
            assert!(!task.is_finished() && !abort.is_finished());
            door.open();
            while !task.is_finished() {
                yield_now().await;
            }
            assert_eq!(drops.get(), 1, "the future goes before the task counts as finished");
            assert!(abort.is_finished());
            task.await.unwrap();
        });
    });
}

#[test]
fn future_is_dropped_before_joiner_is_woken() {
    each(|runtime| {
        let drops = Count::new();
        for _ in 0..100 {
            let before = drops.get();
            let guard = drops.on_drop();
            runtime.block_on(async {
                heist::spawn(async move {
                    let _guard = guard;
                    yield_now().await;
                })
                .await
                .unwrap();
            });
            assert_eq!(drops.get(), before + 1);
        }
    });
}

#[test]
fn abort_of_queued_task_drops_it_unpolled() {
    each(|runtime| {
        let (polls, drops) = (Count::new(), Count::new());
        let (counted, guard) = (polls.clone(), drops.on_drop());
        runtime.block_on(async {
            // All workers are kept busy until the task is aborted, so that it cannot have begun.
            let busy = Door::new();
            let mut blockers = Vec::new();
            let mut begun = Vec::new();
            if runtime.handle().runtime_flavor() == heist::runtime::RuntimeFlavor::MultiThread {
                for _ in 0..runtime.metrics().num_workers() {
                    let (busy, (send, receive)) = (busy.clone(), async_channel::bounded(1));
                    blockers.push(heist::spawn(async move {
                        send.try_send(()).unwrap();
                        busy.wait();
                    }));
                    begun.push(receive);
                    // One after the other, so that each finds a worker that sleeps or searches.
                    begun.last().unwrap().recv().await.unwrap();
                }
            }
            let task = heist::spawn(async move {
                let _guard = guard;
                counted.add();
            });
            task.abort();
            assert_eq!(drops.get(), 0, "abort itself drops nothing");
            busy.open();
            assert!(task.await.unwrap_err().is_cancelled());
            for blocker in blockers {
                blocker.await.unwrap();
            }
        });
        assert_eq!((polls.get(), drops.get()), (0, 1));
    });
}

#[test]
fn abort_of_idle_task_drops_it_on_a_worker() {
    each(|runtime| {
        let (begun, drops) = (Door::new(), Count::new());
        let (opens, guard) = (begun.clone(), drops.on_drop());
        runtime.block_on(async {
            let task = heist::spawn(async move {
                let _guard = guard;
                opens.open();
                pending::<()>().await;
            });
            begun.opened().await;
            task.abort();
            let error = task.await.unwrap_err();
            assert!(error.is_cancelled() && !error.is_panic());
        });
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn abort_does_not_drop_future_on_calling_thread() {
    let runtime = workers(2);
    for _ in 0..200 {
        let (begun, (send, receive)) = (Door::new(), std::sync::mpsc::channel());
        let opens = begun.clone();
        let task = runtime.spawn(async move {
            let _guard = OnDrop::new(move || send.send(thread::current().id()).unwrap());
            opens.open();
            pending::<()>().await;
        });
        begun.wait();
        task.abort();
        assert_ne!(receive.recv().unwrap(), thread::current().id());
    }
}

#[test]
fn abort_of_running_task_lets_its_poll_end() {
    for count in [1, 2, 4] {
        let runtime = workers(count);
        let (begun, go, drops, polls) = (Door::new(), Door::new(), Count::new(), Count::new());
        let (opens, waits, guard, counted) = (begun.clone(), go.clone(), drops.on_drop(), polls.clone());
        let task = runtime.spawn(async move {
            let _guard = guard;
            opens.open();
            waits.wait();
            counted.add();
            pending::<()>().await;
        });
        begun.wait();
        task.abort();
        assert!(!task.is_finished());
        assert_eq!(drops.get(), 0);
        go.open();
        assert!(runtime.block_on(task).unwrap_err().is_cancelled());
        assert_eq!((polls.get(), drops.get()), (1, 1));
    }
}

#[test]
fn abort_during_last_poll_keeps_output() {
    let runtime = workers(2);
    let (begun, go) = (Door::new(), Door::new());
    let (opens, waits) = (begun.clone(), go.clone());
    let task = runtime.spawn(async move {
        opens.open();
        waits.wait();
        5
    });
    begun.wait();
    task.abort();
    go.open();
    assert_eq!(runtime.block_on(task).unwrap(), 5);
}

#[test]
fn abort_of_ended_task_does_nothing() {
    each(|runtime| {
        runtime.block_on(async {
            let task = heist::spawn(async { 5 });
            let abort = task.abort_handle();
            while !task.is_finished() {
                yield_now().await;
            }
            task.abort();
            abort.abort();
            assert_eq!(task.await.unwrap(), 5);
            abort.abort();
            assert!(abort.is_finished());
        });
    });
}

#[test]
fn abort_by_task_itself_and_twice_works() {
    each(|runtime| {
        runtime.block_on(async {
            let (send, receive) = async_channel::bounded::<heist::task::AbortHandle>(1);
            let task = heist::spawn(async move {
                let me = receive.recv().await.unwrap();
                me.abort();
                me.abort();
                pending::<()>().await;
            });
            send.send(task.abort_handle()).await.unwrap();
            assert!(task.await.unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn abort_handle_works_without_join_handle_on_any_thread() {
    each(|runtime| {
        let drops = Count::new();
        let guard = drops.on_drop();
        runtime.block_on(async {
            let (send, receive) = async_channel::bounded(1);
            let last = OnDrop::new(move || {
                drop(guard);
                send.try_send(()).unwrap();
            });
            let task = heist::spawn(async move {
                let _last = last;
                pending::<()>().await;
            });
            let abort = task.abort_handle();
            drop(task);
            let copy = abort.clone();
            assert_eq!(copy.id(), abort.id());
            drop(abort);
            thread::spawn(move || copy.abort()).join().unwrap();
            receive.recv().await.unwrap();
        });
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn task_ids_are_unique_and_known_inside() {
    each(|runtime| {
        runtime.block_on(async {
            assert_eq!(heist::task::try_id(), None);
            let mut ids = Vec::new();
            for _ in 0..100 {
                let task = heist::spawn(async {
                    let before = heist::task::id();
                    yield_now().await;
                    assert_eq!(heist::task::id(), before);
                    before
                });
                let (id, abort_id) = (task.id(), task.abort_handle().id());
                assert_eq!((id, abort_id), (task.await.unwrap(), id));
                ids.push(id);
            }
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), 100);
        });
    });
}

#[test]
fn join_error_kinds_have_their_texts() {
    each(|runtime| {
        runtime.block_on(async {
            let cancelled = heist::spawn(pending::<()>());
            let id = cancelled.id();
            cancelled.abort();
            let error = cancelled.await.unwrap_err();
            assert!(error.is_cancelled() && !error.is_panic());
            assert_eq!(error.id(), id);
            assert_eq!(error.to_string(), format!("task {id} was cancelled"));
            assert!(format!("{error:?}").contains("Cancelled"));
            assert_eq!(std::io::Error::from(error).to_string(), "task was cancelled");

            let text = failed(async { panic!("number {}", std::hint::black_box(7)) }).await;
            assert!(text.is_panic() && !text.is_cancelled());
            assert_eq!(text.to_string(), format!("task {} panicked with message \"number 7\"", text.id()));
            assert_eq!(*text.into_panic().downcast::<String>().unwrap(), "number 7");

            let literal = failed(async { panic!("literal") }).await;
            let _: &dyn Error = &literal;
            assert_eq!(*literal.into_panic().downcast::<&'static str>().unwrap(), "literal");

            let value = failed(async { panic_any(41_u8) }).await;
            assert_eq!(value.to_string(), format!("task {} panicked", value.id()));
            assert_eq!(*value.try_into_panic().unwrap().downcast::<u8>().unwrap(), 41);
        });
    });
}

#[test]
fn join_error_shows_the_message_of_a_panic_if_it_is_text() {
    let number = std::hint::black_box(7);
    let runtime = kit::current_thread();
    let error = |future: Pin<Box<dyn Future<Output = ()> + Send>>| runtime.block_on(async { failed(future).await });
    let cases = [
        (error(Box::pin(async { panic!("a literal") })), " with message \"a literal\"", ", \"a literal\""),
        (
            error(Box::pin(async move { panic!("said \"{number}\"") })),
            " with message \"said \\\"7\\\"\"",
            ", \"said \\\"7\\\"\"",
        ),
        (error(Box::pin(async { panic_any(String::from("owned")) })), " with message \"owned\"", ", \"owned\""),
        (error(Box::pin(async { panic_any(41_u8) })), "", ""),
    ];
    for (error, displayed, debugged) in cases {
        let id = error.id();
        assert_eq!(error.to_string(), format!("task {id} panicked{displayed}"));
        assert_eq!(format!("{error:?}"), format!("JoinError::Panic(Id({id}){debugged}, ...)"));
    }
    let job = runtime.spawn_blocking(move || panic!("job {number}"));
    let (id, error) = (job.id(), runtime.block_on(job).unwrap_err());
    assert_eq!(error.to_string(), format!("task {id} panicked with message \"job 7\""));
    assert_eq!(format!("{error:?}"), format!("JoinError::Panic(Id({id}), \"job 7\", ...)"));
    let task = runtime.spawn(pending::<()>());
    task.abort();
    let (id, error) = (task.id(), runtime.block_on(task).unwrap_err());
    assert_eq!(format!("{error:?}"), format!("JoinError::Cancelled(Id({id}))"));
}

async fn failed(future: impl Future<Output = ()> + Send + 'static) -> JoinError {
    heist::spawn(future).await.unwrap_err()
}

#[test]
fn into_panic_of_a_cancelled_task_names_the_question_to_ask_first() {
    each(|runtime| {
        let error = runtime.block_on(async {
            let task = heist::spawn(pending::<()>());
            task.abort();
            task.await.unwrap_err().try_into_panic().unwrap_err()
        });
        assert!(error.is_cancelled());
        let text = panic_text(|| error.into_panic());
        assert!(text.contains("is_panic"), "{text}");
    });
}

#[test]
fn join_handle_polled_after_ready_panics() {
    each(|runtime| {
        runtime.block_on(async {
            let mut task = heist::spawn(async { 1 });
            assert_eq!((&mut task).await.unwrap(), 1);
            let text = panic_text(|| poll_once(&mut task));
            assert!(text.contains("JoinHandle") && text.contains("after"), "{text}");
            assert!(task.is_finished());
            task.abort();
        });
    });
}

#[test]
fn tasks_awaiting_each_other_do_not_leak() {
    each(|runtime| {
        let drops = Count::new();
        runtime.block_on(async {
            let (to_a, for_a) = async_channel::bounded::<heist::task::JoinHandle<()>>(1);
            let (to_b, for_b) = async_channel::bounded::<heist::task::JoinHandle<()>>(1);
            let done = Door::new();
            let wait_for_the_other = |mine: async_channel::Receiver<heist::task::JoinHandle<()>>| {
                let (guard, done) = (drops.on_drop(), done.opened());
                async move {
                    let _guard = guard;
                    let mut other = mine.recv().await.unwrap();
                    // Stores a waker in the cell of the other task.
                    poll_fn(|cx| {
                        assert!(std::pin::Pin::new(&mut other).poll(cx).is_pending());
                        Poll::Ready(())
                    })
                    .await;
                    done.await;
                }
            };
            let (a, b) = (heist::spawn(wait_for_the_other(for_a)), heist::spawn(wait_for_the_other(for_b)));
            let (abort_a, abort_b) = (a.abort_handle(), b.abort_handle());
            to_a.send(b).await.unwrap();
            to_b.send(a).await.unwrap();
            done.open();
            while !abort_a.is_finished() || !abort_b.is_finished() {
                yield_now().await;
            }
        });
        assert_eq!(drops.get(), 2);
    });
}

#[test]
fn join_handle_is_awaited_outside_of_its_runtime() {
    each(|runtime| {
        let other = workers(1);
        let task = other.spawn(async {
            yield_now().await;
            3
        });
        assert_eq!(runtime.block_on(task).unwrap(), 3);
        assert_eq!(futures::executor::block_on(other.spawn(async { 4 })).unwrap(), 4);
    });
}

// ---- ids, in destructors

/// Sends the current task's id when it is dropped.
fn tells(tell: &Sender<Option<Id>>) -> OnDrop<impl FnOnce() + Send + use<>> {
    let tell = tell.clone();
    OnDrop::new(move || tell.send(heist::task::try_id()).unwrap())
}

#[test]
fn id_in_the_destructor_of_an_output_is_that_of_the_task() {
    each(|runtime| {
        let (tell, told) = channel();
        // The handle drops the output.
        let output = tells(&tell);
        let task = runtime.spawn(async move { output });
        while !task.is_finished() {
            runtime.block_on(yield_now());
        }
        let id = task.id();
        drop(task);
        assert_eq!(told.recv().unwrap(), Some(id));
        // The worker drops the output.
        let (output, gone) = (tells(&tell), Door::new());
        let opened = gone.opened();
        let task = runtime.spawn(async move {
            opened.await;
            output
        });
        let id = task.id();
        drop(task);
        gone.open();
        let told = runtime.block_on(runtime.spawn_blocking(move || told.recv().unwrap())).unwrap();
        assert_eq!(told, Some(id));
    });
}

#[test]
fn id_in_the_destructor_of_a_cancelled_future_is_that_of_the_task() {
    each_owned(|runtime| {
        let (tell, told) = channel();
        let aborted = tells(&tell);
        let task = runtime.spawn(async move {
            let _aborted = aborted;
            pending::<()>().await;
        });
        let id = task.id();
        task.abort();
        assert!(runtime.block_on(task).unwrap_err().is_cancelled());
        assert_eq!(told.recv().unwrap(), Some(id));
        let left = tells(&tell);
        let id = runtime.spawn(async move { drop((pending::<()>().await, left)) }).id();
        drop(runtime);
        assert_eq!(told.recv().unwrap(), Some(id));
    });
}

// ---- a poll that unwinds

/// A future written by hand keeps the values that it owns until it is dropped.
#[test]
fn future_whose_poll_panics_is_dropped_while_the_thread_unwinds() {
    each(|runtime| {
        let (tell, told) = channel();
        let guard = OnDrop::new(move || tell.send((thread::panicking(), heist::task::try_id())).unwrap());
        let task = runtime.spawn(poll_fn(move |_| -> Poll<()> {
            let _ = &guard;
            panic!("on purpose");
        }));
        let id = task.id();
        assert!(runtime.block_on(task).unwrap_err().is_panic());
        assert_eq!(told.recv().unwrap(), (true, Some(id)));
    });
}

/// The second panic is contained in the destructor's call.
#[test]
fn future_whose_poll_and_destructor_panic_ends_with_the_first_panic() {
    each(|runtime| {
        let guard = OnDrop::new(|| panic!("the destructor"));
        let task = runtime.spawn(poll_fn(move |_| -> Poll<()> {
            let _ = &guard;
            panic!("the poll");
        }));
        let payload = runtime.block_on(task).unwrap_err().into_panic();
        assert_eq!(payload.downcast_ref(), Some(&"the poll"));
    });
}
