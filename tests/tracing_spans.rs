//! What tokio-console reads: the spans of tasks and timers, and the events of wakers.

#[path = "support/kit.rs"]
mod kit;
#[path = "tracing_spans/recorder.rs"]
mod recorder;

use std::future::{pending, poll_fn};
use std::panic::Location;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::time::Duration;

use heist::runtime::{LocalRuntime, Runtime};
use heist::task::{Builder, JoinSet, yield_now};
use kit::{current_thread, each, each_owned, workers};
use recorder::{SpanView, counts, install, resource_events, span_named, span_of, spans_with, waker_ops};
use tracing::Level;

#[track_caller]
fn caller() -> (String, u32) {
    let location = Location::caller();
    (location.file().to_owned(), location.line())
}

/// Returns the fields of a span that name where it was spawned.
fn place(span: &SpanView) -> (String, u32) {
    (span.fields["loc.file"].clone(), span.fields["loc.line"].parse().unwrap())
}

/// Asserts that the span was entered once per poll, never inside of another task's, and is closed.
#[track_caller]
fn assert_ended(span: &SpanView, polls: usize) {
    assert_eq!((span.enters, span.exits, span.nested), (polls, polls, 0), "{span:?}");
    assert!(span.is_closed(), "{span:?}");
}

#[test]
fn span_of_a_task_has_every_field() {
    install();
    each(|runtime| {
        let future = async { 7 };
        let size = size_of_val(&future);
        let (handle, here) = (Builder::new().name("named").spawn_on(future, runtime.handle()).unwrap(), caller());
        let id = handle.id();
        assert_eq!(runtime.block_on(handle).unwrap(), 7);
        let span = span_of(id);
        assert_eq!((span.name, span.target, span.level), ("runtime.spawn", "heist::task", Level::TRACE));
        assert!(span.is_root);
        assert_eq!((&*span.fields["kind"], &*span.fields["task.name"]), ("task", "named"));
        assert_eq!(span.fields["size.bytes"], size.to_string());
        assert!(!span.fields.contains_key("original_size.bytes") && !span.fields.contains_key("task.group"));
        assert_eq!(place(&span), here);
        assert!(span.fields["loc.col"].parse::<u32>().unwrap() > 0);
        assert_ended(&span, 1);
    });
}

#[test]
fn span_of_a_boxed_future_has_both_sizes() {
    install();
    let runtime = workers(1);
    let large = [1_u8; 20_000];
    let handle = runtime.spawn(async move {
        yield_now().await;
        large.iter().map(|&byte| u32::from(byte)).sum::<u32>()
    });
    let id = handle.id();
    assert_eq!(runtime.block_on(handle).unwrap(), 20_000);
    let span = span_of(id);
    assert_eq!(span.fields["size.bytes"], size_of::<usize>().to_string());
    assert!(span.fields["original_size.bytes"].parse::<usize>().unwrap() > 20_000);
    assert_ended(&span, 2);
}

#[test]
fn unnamed_task_has_no_name_field() {
    install();
    let runtime = current_thread();
    let handle = runtime.spawn(async {});
    let id = handle.id();
    runtime.block_on(handle).unwrap();
    assert!(!span_of(id).fields.contains_key("task.name"));
}

#[test]
fn spawn_of_every_kind_opens_one_span() {
    install();
    each(|runtime| {
        let group = runtime.group("spanned").build().unwrap();
        let mut ids = runtime.block_on(async {
            let mut set = JoinSet::new();
            let mut ids = vec![
                ("task", set.spawn(async {}).id()),
                ("task", set.build_task().name("built").spawn(async {}).unwrap().id()),
                ("blocking", set.spawn_blocking(|| {}).id()),
            ];
            set.join_all().await;
            let handles = [
                ("task", heist::spawn(async {})),
                ("task", runtime.spawn(async {})),
                ("task", runtime.try_spawn(async {}).unwrap()),
                ("task", group.spawn(async {})),
                ("task", group.scope(poll_fn(|_| Poll::Ready(heist::spawn(async {})))).await),
                ("blocking", group.spawn_blocking(|| {})),
                ("blocking", heist::task::spawn_blocking(|| {})),
            ];
            for (kind, handle) in handles {
                ids.push((kind, handle.id()));
                handle.await.unwrap();
            }
            ids
        });
        for (kind, id) in ids.drain(..) {
            let span = span_of(id);
            assert_eq!((&*span.fields["kind"], span.is_root), (kind, true), "{span:?}");
            assert_eq!(span.fields["loc.file"], file!());
            assert_ended(&span, 1);
        }
    });
}

#[test]
fn task_of_a_group_names_the_group() {
    install();
    let runtime = workers(1);
    let group = runtime.group("tenant").build().unwrap();
    let handle = group.spawn(async {});
    let id = handle.id();
    runtime.block_on(handle).unwrap();
    assert_eq!(span_of(id).fields["task.group"], "tenant");
}

#[test]
fn local_task_has_a_span_of_kind_local() {
    install();
    let runtime = LocalRuntime::new().unwrap();
    let shared = std::rc::Rc::new(7);
    let handle = runtime.spawn_local(async move { *shared });
    let id = handle.id();
    assert_eq!(runtime.block_on(handle).unwrap(), 7);
    let span = span_of(id);
    assert_eq!(span.fields["kind"], "local");
    assert_ended(&span, 1);
}

/// The task that drives the set polls its tasks. So their spans are entered inside of that task's.
#[test]
fn task_of_a_local_set_has_a_span_of_kind_local() {
    install();
    let runtime = current_thread();
    let tasks = heist::facade::LocalTasks::new();
    let kept = [7; 10];
    let handle = tasks.spawn(async move {
        yield_now().await;
        kept.len()
    });
    let id = handle.id();
    let finish = poll_fn(|cx| if tasks.poll_tasks(cx) { Poll::Ready(()) } else { Poll::Pending });
    runtime.block_on(finish);
    assert_eq!(runtime.block_on(handle).unwrap(), 10);
    let span = span_of(id);
    assert_eq!(span.fields["kind"], "local");
    assert!(span.fields["size.bytes"].parse::<usize>().unwrap() >= size_of_val(&kept), "{span:?}");
    assert_eq!((span.enters, span.exits, span.nested), (2, 2, 2), "{span:?}");
    assert!(span.is_closed(), "{span:?}");
}

#[test]
fn root_of_a_block_on_has_a_span_and_reports_its_wakers() {
    install();
    each(|runtime| {
        let mut polls = 0;
        let root = poll_fn(|cx| {
            polls += 1;
            match polls {
                1 => {
                    let waker = cx.waker().clone();
                    assert!(waker.will_wake(cx.waker()));
                    let other = waker.clone();
                    other.wake();
                    drop(waker);
                    Poll::Pending
                }
                2 => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        });
        let ((), (file, line)) = (runtime.block_on(root), caller());
        let spans = spans_with("runtime.spawn", "kind", "block_on");
        let mine = |span: &&SpanView| place(span) == (file.clone(), line);
        let span = spans.iter().rfind(mine).unwrap();
        assert!(span.is_root);
        assert_ended(span, 3);
        let expected = [("waker.clone", 2), ("waker.drop", 1), ("waker.wake", 1), ("waker.wake_by_ref", 1)];
        assert_eq!(waker_ops(span.number), counts(&expected));
    });
}

#[test]
fn yielding_task_reports_a_wake_per_yield() {
    install();
    each(|runtime| {
        let handle = runtime.spawn(async {
            for _ in 0..5 {
                yield_now().await;
            }
        });
        let id = handle.id();
        runtime.block_on(handle).unwrap();
        let span = span_of(id);
        assert_ended(&span, 6);
        assert_eq!(waker_ops(span.number), counts(&[("waker.wake_by_ref", 5)]));
    });
}

#[test]
fn waker_operation_is_reported_once() {
    install();
    each(|runtime| {
        let mut polls = 0;
        let handle = runtime.spawn(poll_fn(move |cx| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(());
            }
            let first = cx.waker().clone();
            let second = first.clone();
            let third = second.clone();
            assert!(first.will_wake(cx.waker()) && second.will_wake(&third));
            first.wake_by_ref();
            second.wake();
            drop((first, third));
            Poll::Pending
        }));
        let id = handle.id();
        runtime.block_on(handle).unwrap();
        let span = span_of(id);
        assert_ended(&span, 2);
        let expected = [("waker.clone", 3), ("waker.drop", 2), ("waker.wake", 1), ("waker.wake_by_ref", 1)];
        assert_eq!(waker_ops(span.number), counts(&expected));
    });
}

#[test]
fn waker_used_by_another_thread_is_reported() {
    install();
    each(|runtime| {
        let (sender, receiver) = mpsc::channel::<Waker>();
        let mut is_woken = false;
        let handle = runtime.spawn(poll_fn(move |cx| {
            if std::mem::replace(&mut is_woken, true) {
                return Poll::Ready(());
            }
            sender.send(cx.waker().clone()).unwrap();
            Poll::Pending
        }));
        let id = handle.id();
        let waking = std::thread::spawn(move || receiver.recv().unwrap().wake());
        runtime.block_on(handle).unwrap();
        waking.join().unwrap();
        let span = span_of(id);
        assert_ended(&span, 2);
        assert_eq!(waker_ops(span.number), counts(&[("waker.clone", 1), ("waker.wake", 1)]));
    });
}

#[test]
fn waker_kept_beyond_the_end_reports_to_the_closed_span() {
    install();
    each(|runtime| {
        let (sender, receiver) = mpsc::channel::<Waker>();
        let handle = runtime.spawn(poll_fn(move |cx| {
            sender.send(cx.waker().clone()).unwrap();
            Poll::Ready(())
        }));
        let id = handle.id();
        runtime.block_on(handle).unwrap();
        let waker = receiver.recv().unwrap();
        let span = span_of(id);
        assert_ended(&span, 1);
        waker.wake_by_ref();
        drop(waker);
        let expected = [("waker.clone", 1), ("waker.drop", 1), ("waker.wake_by_ref", 1)];
        assert_eq!(waker_ops(span.number), counts(&expected));
    });
}

#[test]
fn joiner_that_is_a_task_reports_the_waker_of_the_handle() {
    install();
    let runtime = current_thread();
    let joiner = runtime.spawn(async {
        let joined = heist::spawn(async { yield_now().await });
        joined.await.unwrap();
    });
    let id = joiner.id();
    runtime.block_on(joiner).unwrap();
    let span = span_of(id);
    assert_ended(&span, 2);
    assert_eq!(waker_ops(span.number), counts(&[("waker.clone", 1), ("waker.wake", 1)]));
}

#[test]
fn aborted_task_closes_its_span() {
    install();
    each(|runtime| {
        let handle = runtime.spawn(async {
            yield_now().await;
            pending::<()>().await;
        });
        let id = handle.id();
        runtime.block_on(async {
            while span_of(id).exits < 2 {
                yield_now().await;
            }
            handle.abort();
            assert!(handle.await.unwrap_err().is_cancelled());
        });
        assert_ended(&span_of(id), 2);
    });
}

#[test]
fn panicking_task_exits_and_closes_its_span() {
    install();
    each(|runtime| {
        let handle = runtime.spawn(async {
            yield_now().await;
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        let id = handle.id();
        assert!(runtime.block_on(handle).unwrap_err().is_panic());
        assert_ended(&span_of(id), 2);
    });
}

#[test]
fn shutdown_closes_every_span() {
    install();
    each_owned(|runtime| {
        let handles: Vec<_> = (0..10).map(|_| runtime.spawn(pending::<()>())).collect();
        drop(runtime);
        for handle in handles {
            let span = span_of(handle.id());
            assert!(span.is_closed() && span.enters == span.exits && span.enters <= 1, "{span:?}");
        }
    });
}

#[test]
fn refused_spawn_opens_and_closes_its_span() {
    install();
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    let refused = handle.spawn(async {});
    assert_ended(&span_of(refused.id()), 0);
    let refused = handle.spawn_blocking(|| {});
    assert_ended(&span_of(refused.id()), 0);
}

#[test]
fn task_dropped_in_the_poll_of_another_does_not_nest() {
    install();
    let runtime = LocalRuntime::new().unwrap();
    let outer = runtime.spawn_local(async {
        let inner = runtime_in_a_task().await;
        drop(inner);
        yield_now().await;
    });
    let id = outer.id();
    runtime.block_on(outer).unwrap();
    assert_eq!(span_of(id).nested, 0);
    assert_ended(&span_named("dropped inside"), 0);
}

/// Spawns a task of a runtime that is not driven, and drops that runtime.
async fn runtime_in_a_task() -> heist::task::JoinHandle<()> {
    let inner = current_thread();
    let handle = Builder::new().name("dropped inside").spawn_on(pending::<()>(), inner.handle()).unwrap();
    inner.shutdown_background();
    handle
}

#[test]
fn many_tasks_have_exact_counts() {
    install();
    let runtime = workers(4);
    let handles: Vec<_> = (0..200)
        .map(|n| {
            runtime.spawn(async move {
                for _ in 0..n {
                    yield_now().await;
                }
            })
        })
        .collect();
    let ids: Vec<_> = handles.iter().map(|handle| handle.id()).collect();
    runtime.block_on(async {
        for handle in handles {
            handle.await.unwrap();
        }
    });
    for (yields, id) in ids.into_iter().enumerate() {
        let span = span_of(id);
        assert_ended(&span, yields + 1);
        let expected = if yields == 0 { counts(&[]) } else { counts(&[("waker.wake_by_ref", yields)]) };
        assert_eq!(waker_ops(span.number), expected);
    }
}

/// Returns the span of the resource that was created at a place.
#[track_caller]
fn resource_at((file, line): &(String, u32)) -> SpanView {
    let mut spans = spans_with("runtime.resource", "loc.line", &line.to_string());
    spans.retain(|span| span.fields["loc.file"] == *file);
    assert_eq!(spans.len(), 1, "a line with one resource");
    spans.remove(0)
}

#[test]
fn sleep_is_a_resource_of_kind_timer() {
    install();
    let runtime = current_thread();
    let here = runtime.block_on(async {
        let (sleep, here) = (heist::time::sleep(Duration::from_millis(20)), caller());
        let mut sleep = pin!(sleep);
        sleep.as_mut().await;
        sleep.as_mut().reset(heist::time::Instant::now());
        sleep.await;
        here
    });
    let resource = resource_at(&here);
    assert!(resource.is_root && resource.is_closed());
    assert_eq!((&*resource.fields["concrete_type"], &*resource.fields["kind"]), ("Sleep", "timer"));
    assert_eq!((&*resource.fields["is_internal"], &*resource.fields["inherits_child_attrs"]), ("false", "false"));
    let events = resource_events(resource.number);
    let updates: Vec<_> = events.iter().filter(|(target, _)| target.ends_with("state_update")).collect();
    assert_eq!(updates.len(), 2, "{events:?}");
    for (_, fields) in updates {
        assert!(fields["duration"].parse::<u64>().unwrap() <= 20, "{fields:?}");
        assert_eq!((&*fields["duration.unit"], &*fields["duration.op"]), ("ms", "override"));
    }
    let polls = events.iter().filter(|(target, _)| target.ends_with("poll_op"));
    let polls: Vec<_> = polls.map(|(_, fields)| (&*fields["op_name"], &*fields["is_ready"])).collect();
    let [pending, ready] = [("poll_elapsed", "false"), ("poll_elapsed", "true")];
    assert_eq!(polls, [pending, ready, ready]);
    // Its operation has the spans of its own.
    let operations = spans_with("runtime.resource.async_op", "source", "Sleep::new");
    assert!(operations.iter().any(|operation| operation.enters == 4 && operation.is_closed()), "{operations:?}");
}

#[test]
fn interval_is_one_resource_with_a_poll_per_tick() {
    install();
    let runtime = current_thread();
    let here = runtime.block_on(async {
        let (mut interval, here) = (heist::time::interval(Duration::from_millis(1)), caller());
        for _ in 0..3 {
            interval.tick().await;
        }
        here
    });
    let resource = resource_at(&here);
    assert_eq!(resource.fields["concrete_type"], "Interval");
    let events = resource_events(resource.number);
    let ready = |fields: &recorder::Fields| fields.get("op_name").is_some() && fields["is_ready"] == "true";
    assert_eq!(events.iter().filter(|(_, fields)| ready(fields)).count(), 3, "{events:?}");
    // One at the start, and one after each tick.
    assert_eq!(events.iter().filter(|(target, _)| target.ends_with("state_update")).count(), 4);
    assert!(resource.is_closed());
}

/// A subscriber whose every method panics that can.
struct Panics;

impl tracing::Subscriber for Panics {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == Level::TRACE
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        std::panic::resume_unwind(Box::new("event"));
    }

    fn enter(&self, _: &tracing::span::Id) {
        std::panic::resume_unwind(Box::new("enter"));
    }

    fn exit(&self, _: &tracing::span::Id) {
        std::panic::resume_unwind(Box::new("exit"));
    }

    fn try_close(&self, _: tracing::span::Id) -> bool {
        std::panic::resume_unwind(Box::new("close"));
    }
}

#[test]
fn panics_of_the_subscriber_do_not_reach_the_task() {
    install();
    tracing::subscriber::with_default(Panics, || {
        let runtime = current_thread();
        let outputs = runtime.block_on(async {
            let task = heist::spawn(async {
                yield_now().await;
                heist::time::sleep(Duration::from_millis(1)).await;
                7
            });
            let panics = heist::spawn(async { std::panic::resume_unwind(Box::new("on purpose")) });
            let task: Result<u32, _> = task.await;
            let panics: Result<(), _> = panics.await;
            (task, panics)
        });
        assert_eq!(outputs.0.unwrap(), 7);
        assert!(outputs.1.unwrap_err().is_panic());
    });
}
