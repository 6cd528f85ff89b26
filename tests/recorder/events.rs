//! What the recorder records.

use std::future::poll_fn;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use heist::runtime::{Builder, mark};
use heist::task;
use heist_trace::{EventKind, PollEnd, TaskId, Trace, TrackKind};

use super::{events, recording};

const WORKER: TrackKind = TrackKind::Worker(0);

#[test]
fn recorder_that_is_off_has_no_memory_and_no_events() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    let recorder = runtime.handle().recorder();
    assert!(!recorder.is_recording());
    assert_eq!(recorder.memory(), 0);
    let snapshot = recorder.snapshot();
    let trace = Trace::parse(snapshot.as_bytes()).unwrap();
    assert_eq!((trace.tracks().count(), trace.tasks().len()), (0, 0));
    assert_eq!((trace.runtime().reason, trace.runtime().workers), ("request", 1));
}

#[test]
fn polls_of_a_named_task_are_recorded_from_spawn_to_end() {
    let runtime = recording();
    let yields = || async {
        for _ in 0..3 {
            task::yield_now().await;
        }
    };
    let id = runtime.block_on(async {
        heist::spawn(async move {
            let inner = task::Builder::new().name("yields thrice").spawn(yields()).unwrap();
            let id = inner.id();
            inner.await.unwrap();
            id
        })
        .await
        .unwrap()
    });
    let snapshot = runtime.handle().recorder().snapshot();
    let trace = Trace::parse(snapshot.as_bytes()).unwrap();
    let id = TaskId(id.to_string().parse().unwrap());
    let of_task = |kind: &EventKind<'_>| match kind {
        EventKind::Spawn { task, .. } | EventKind::PollStart { task, .. } | EventKind::PollEnd { task, .. } => {
            *task == id
        }
        _ => false,
    };
    let seen: Vec<Option<PollEnd>> = events(&trace, WORKER, of_task)
        .iter()
        .map(|event| match event.kind {
            EventKind::PollEnd { how, .. } => Some(how),
            _ => None,
        })
        .collect();
    let (yielded, completed) = (Some(PollEnd::Yield), Some(PollEnd::Completed));
    assert_eq!(seen, [None, None, yielded, None, yielded, None, yielded, None, completed]);
    let task = trace.task(id).unwrap();
    assert_eq!((task.name, task.is_alive, task.group), (Some("yields thrice"), false, None));
    assert!(task.place.unwrap().file.ends_with("events.rs"));
}

#[test]
fn panic_and_abort_are_recorded_as_ends() {
    let runtime = recording();
    // On the one worker: when it continues here, it has recorded the end of the poll before.
    let ends = runtime.spawn(async {
        assert!(heist::spawn(async { panic!("on purpose") }).await.is_err());
        let aborted = heist::spawn(std::future::pending::<()>());
        task::yield_now().await;
        aborted.abort();
        assert!(aborted.await.is_err());
    });
    runtime.block_on(ends).unwrap();
    let snapshot = runtime.handle().recorder().snapshot();
    let trace = Trace::parse(snapshot.as_bytes()).unwrap();
    for end in [PollEnd::Panicked, PollEnd::Cancelled] {
        let ends = events(&trace, WORKER, |kind| matches!(kind, EventKind::PollEnd { how, .. } if *how == end));
        assert_eq!(ends.len(), 1, "{end:?}");
    }
}

#[test]
fn wake_by_another_thread_is_on_the_shared_track_with_its_thread() {
    let runtime = recording();
    let (give, take) = mpsc::channel();
    let mut give = Some(give);
    let waits = runtime.spawn(poll_fn(move |cx| match give.take() {
        Some(give) => {
            give.send(cx.waker().clone()).unwrap();
            Poll::Pending
        }
        None => Poll::Ready(()),
    }));
    let id = TaskId(waits.id().to_string().parse().unwrap());
    let waker = take.recv().unwrap();
    // The poll has to end first. Otherwise the wake is a part of it.
    let recorder = runtime.handle().recorder();
    let has_ended = || {
        let snapshot = recorder.snapshot();
        let trace = Trace::parse(snapshot.as_bytes()).unwrap();
        events(&trace, WORKER, |kind| matches!(kind, EventKind::PollEnd { task, .. } if *task == id)).len() == 1
    };
    while !has_ended() {}
    // The record of the end is written just before the task's state changes to idle, or after.
    waker.wake();
    runtime.block_on(waits).unwrap();
    let snapshot = recorder.snapshot();
    let trace = Trace::parse(snapshot.as_bytes()).unwrap();
    let wakes = events(
        &trace,
        TrackKind::Threads,
        |kind| matches!(kind, EventKind::Wake { task, thread } if *task == id && *thread != 0),
    );
    assert_eq!(wakes.len(), 1);
}

#[test]
fn task_spawned_before_the_start_is_described() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (give, take) = mpsc::channel();
    let (end, ended) = async_channel::bounded::<()>(1);
    let old = task::Builder::new()
        .name("old")
        .spawn_on(
            async move {
                give.send(()).unwrap();
                ended.recv().await.unwrap();
                std::future::pending::<()>().await;
            },
            runtime.handle(),
        )
        .unwrap();
    take.recv().unwrap();
    let recorder = runtime.handle().recorder();
    recorder.start();
    runtime.block_on(async {
        // The worker may be about to poll, and follows the switch afterwards.
        while !has_poll_of(&recorder.snapshot(), |_| true) {
            heist::spawn(async {}).await.unwrap();
        }
        end.send(()).await.unwrap();
        while !has_poll_of(&recorder.snapshot(), |task| task == old.id().to_string().parse().unwrap()) {
            task::yield_now().await;
        }
    });
    let snapshot = recorder.snapshot();
    let trace = Trace::parse(snapshot.as_bytes()).unwrap();
    let task = trace.task(TaskId(old.id().to_string().parse().unwrap())).unwrap();
    assert_eq!((task.name, task.is_alive), (Some("old"), true));
}

fn has_poll_of(snapshot: &heist::runtime::Snapshot, wanted: impl Fn(u64) -> bool) -> bool {
    let trace = Trace::parse(snapshot.as_bytes()).unwrap();
    !events(&trace, WORKER, |kind| matches!(kind, EventKind::PollEnd { task, .. } if wanted(task.0))).is_empty()
}

#[test]
fn blocking_job_is_recorded_from_queue_to_end() {
    let runtime = recording();
    let job = runtime.spawn_blocking(|| ());
    let id = TaskId(job.id().to_string().parse().unwrap());
    runtime.block_on(job).unwrap();
    // The thread records the end after it has published the output.
    let recorder = runtime.handle().recorder();
    let seen = || {
        let snapshot = recorder.snapshot();
        let trace = Trace::parse(snapshot.as_bytes()).unwrap();
        let is_blocking = trace.task(id).is_some_and(|task| task.is_blocking);
        let of_job = |kind: &EventKind<'_>| match kind {
            EventKind::BlockingQueue { task, .. }
            | EventKind::BlockingStart { task, .. }
            | EventKind::BlockingEnd { task, .. } => *task == id,
            _ => false,
        };
        (is_blocking, events(&trace, TrackKind::Threads, of_job).len())
    };
    while seen() != (true, 3) {}
}

#[test]
fn mark_is_on_the_track_of_its_worker_and_cut_if_long() {
    let runtime = recording();
    let long = "a long mark ".repeat(20);
    runtime.block_on(async move {
        heist::spawn(async move {
            mark("short");
            mark(&long);
            mark("");
        })
        .await
        .unwrap();
    });
    let snapshot = runtime.handle().recorder().snapshot();
    let trace = Trace::parse(snapshot.as_bytes()).unwrap();
    let marks = events(&trace, WORKER, |kind| matches!(kind, EventKind::Mark { .. }));
    let texts: Vec<&str> = marks
        .iter()
        .map(|event| match event.kind {
            EventKind::Mark { text, .. } => text,
            _ => "",
        })
        .collect();
    assert_eq!(texts, ["short", "a long mark a long mark a long mark a long mark a long mark a long mar", ""]);
}

#[test]
fn task_that_waits_in_a_ring_is_alive() {
    let runtime = recording();
    let recorder = runtime.handle().recorder();
    let (id, snapshot) = runtime
        .block_on(runtime.spawn(async move {
            // The one worker is busy here, and has never polled it.
            let waits = heist::spawn(async {});
            (waits.id(), recorder.snapshot())
        }))
        .unwrap();
    let trace = Trace::parse(snapshot.as_bytes()).unwrap();
    assert!(trace.task(TaskId(id.to_string().parse().unwrap())).unwrap().is_alive);
}

#[test]
fn task_cancelled_at_the_deadline_of_a_drain_has_an_end() {
    let runtime = recording();
    let stays = runtime.spawn(std::future::pending::<()>());
    let id = TaskId(stays.id().to_string().parse().unwrap());
    let handle = runtime.handle().clone();
    runtime.block_on(runtime.drain(Duration::from_millis(1)));
    let has_ended = || {
        let snapshot = handle.recorder().snapshot();
        let trace = Trace::parse(snapshot.as_bytes()).unwrap();
        let ended =
            |kind: &EventKind<'_>| matches!(kind, EventKind::PollEnd { task, how: PollEnd::Cancelled } if *task == id);
        [TrackKind::Threads, WORKER].map(|track| events(&trace, track, ended).len()).iter().sum::<usize>() == 1
    };
    while !has_ended() {}
}

#[test]
fn group_of_a_task_is_recorded() {
    let runtime = recording();
    let group = runtime.group("ingest").build().unwrap();
    let id = runtime.block_on(async {
        let task = group.spawn(async {});
        let id = task.id();
        task.await.unwrap();
        id
    });
    let snapshot = runtime.handle().recorder().snapshot();
    let trace = Trace::parse(snapshot.as_bytes()).unwrap();
    let task = trace.task(TaskId(id.to_string().parse().unwrap())).unwrap();
    assert_eq!(task.group, Some("ingest"));
}

#[test]
fn resize_and_drain_are_recorded() {
    let runtime =
        Builder::new_multi_thread().worker_threads(1).max_worker_threads(2).flight_recorder(64 << 10).build().unwrap();
    runtime.block_on(runtime.resize(2)).unwrap();
    let handle = runtime.handle().clone();
    runtime.block_on(runtime.drain(Duration::from_secs(60)));
    // The drain's thread records the end after it has published the report.
    let ends = || {
        let snapshot = handle.recorder().snapshot();
        let trace = Trace::parse(snapshot.as_bytes()).unwrap();
        let resizes = |kind: &EventKind<'_>| matches!(kind, EventKind::Resize { before: 1, after: 2 });
        let drains = |kind: &EventKind<'_>| matches!(kind, EventKind::Drain { .. });
        let of = |track, wanted: &dyn Fn(&EventKind<'_>) -> bool| events(&trace, track, wanted).len();
        let all = [TrackKind::Threads, WORKER, TrackKind::Worker(1)];
        (all.map(|track| of(track, &resizes)).iter().sum::<usize>(), of(TrackKind::Threads, &drains))
    };
    while ends() != (1, 2) {}
}

#[test]
fn recorder_that_was_stopped_keeps_its_events_and_adds_none() {
    let runtime = recording();
    let recorder = runtime.handle().recorder();
    let run = || runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    let polls = || {
        let snapshot = recorder.snapshot();
        let trace = Trace::parse(snapshot.as_bytes()).unwrap();
        events(&trace, WORKER, |kind| matches!(kind, EventKind::PollStart { .. })).len()
    };
    run();
    recorder.stop();
    assert!(!recorder.is_recording());
    // The worker may be about to poll. It follows the switch before the poll after that.
    run();
    let stopped = polls();
    run();
    assert!(stopped >= 1);
    assert_eq!(polls(), stopped);
    recorder.start();
    run();
    run();
    assert!(polls() > stopped);
}

#[test]
fn memory_is_what_was_asked_for_per_worker_and_once_more() {
    let runtime = Builder::new_multi_thread().worker_threads(2).flight_recorder(48_000).build().unwrap();
    let recorder = runtime.handle().recorder();
    while recorder.memory() < 3 * 48_000 {
        runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    }
    assert_eq!(recorder.memory(), 3 * 48_000);
}

#[test]
fn full_ring_keeps_the_newest_events() {
    let runtime = Builder::new_multi_thread().worker_threads(1).flight_recorder(4096).build().unwrap();
    runtime.block_on(async {
        heist::spawn(async {
            for n in 0..1000 {
                mark(&n.to_string());
            }
        })
        .await
        .unwrap();
    });
    let snapshot = runtime.handle().recorder().snapshot();
    let trace = Trace::parse(snapshot.as_bytes()).unwrap();
    let track = trace.tracks().find(|track| track.kind() == WORKER).unwrap();
    assert!(track.lost() > 1_700, "{} are lost", track.lost());
    let marks = events(&trace, WORKER, |kind| matches!(kind, EventKind::Mark { .. }));
    assert!(matches!(marks.last().unwrap().kind, EventKind::Mark { text: "999", .. }));
    assert!(marks.len() > 100 && marks.len() < 128, "{} marks", marks.len());
}

#[test]
fn current_thread_runtime_records_its_root_future() {
    let runtime = Builder::new_current_thread().flight_recorder(64 << 10).build().unwrap();
    runtime.block_on(async { task::yield_now().await });
    let snapshot = runtime.handle().recorder().snapshot();
    let trace = Trace::parse(snapshot.as_bytes()).unwrap();
    let of_root = |kind: &EventKind<'_>| matches!(kind, EventKind::PollStart { task, .. } | EventKind::PollEnd { task, .. } if *task == TaskId::BLOCK_ON);
    assert_eq!(events(&trace, WORKER, of_root).len(), 4);
}

#[test]
#[should_panic(expected = "use at least 4096 bytes")]
fn flight_recorder_of_too_few_bytes_panics() {
    Builder::new_multi_thread().flight_recorder(4095);
}
