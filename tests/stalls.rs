//! A worker that is stuck in a poll: what it had is done by others, and it is named. Who waits here waits for the thing; if it does not
//! come, the test hangs.

#[path = "support/kit.rs"]
mod kit;

use std::collections::BTreeSet;
use std::future::Future;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use heist::net::TcpListener;
use heist::runtime::{Activity, Builder, Runtime, StallCause, StallReport, TaskState};
use heist::task::JoinHandle;
use heist::time::{Instant, sleep, sleep_until};
use kit::{Count, Door, OnDrop, panic_text, yield_now};

fn builder(workers: usize) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).enable_all();
    builder
}

/// Without spares: whatever is rescued is rescued by a worker.
fn without_spares(workers: usize) -> Runtime {
    builder(workers).max_spare_workers(0).build().unwrap()
}

/// Waits until `is` holds.
fn until(is: impl Fn() -> bool) {
    while !is() {
        thread::yield_now();
    }
}

/// A task that blocks its worker until the door is opened; answers when it does.
fn block(runtime: &Runtime, door: &Door) -> JoinHandle<()> {
    let (begun, door) = (Door::new(), door.clone());
    let begins = begun.clone();
    let handle = runtime.spawn(async move {
        begins.open();
        door.wait();
    });
    begun.wait();
    handle
}

/// Every worker is in a poll.
fn block_all(runtime: &Runtime, workers: usize, door: &Door) -> Vec<JoinHandle<()>> {
    (0..workers).map(|_| block(runtime, door)).collect()
}

fn reports(builder: &mut Builder) -> mpsc::Receiver<StallReport> {
    let (tell, told) = mpsc::channel();
    builder.on_stall(move |report| drop(tell.send(report.clone())));
    told
}

// ----------------------------------------------------------------------------------------------------- taking over

/// In the LIFO slot, in the ring, and both: the worker blocks in the same poll, and the other one sleeps or is busy.
#[test]
fn what_waits_behind_a_stuck_poll_is_polled() {
    for busy in [false, true] {
        for behind in [1, 2, 10, 300] {
            let runtime = without_spares(2);
            let (run, stop) = (Count::new(), Arc::new(AtomicBool::new(false)));
            let others: Vec<_> = (0..if busy { 20 } else { 0 })
                .map(|_| {
                    let stop = Arc::clone(&stop);
                    runtime.spawn(async move {
                        while !stop.load(Ordering::SeqCst) {
                            yield_now().await;
                        }
                    })
                })
                .collect();
            let counted = run.clone();
            let stuck = runtime.spawn(async move {
                for _ in 0..behind {
                    let run = counted.clone();
                    heist::spawn(async move { run.add() });
                }
                until(|| counted.get() == behind);
            });
            runtime.block_on(stuck).unwrap();
            assert_eq!(run.get(), behind);
            stop.store(true, Ordering::SeqCst);
            others.into_iter().for_each(|other| runtime.block_on(other).unwrap());
        }
    }
}

/// The very first poll after a rest of the whole runtime: the sentinel sleeps too when it begins.
#[test]
fn the_first_poll_after_a_rest_is_watched() {
    let mut builder = builder(2);
    let told = reports(&mut builder);
    let runtime = builder.max_spare_workers(0).build().unwrap();
    for _ in 0..20 {
        at_rest(&runtime);
        let door = Door::new();
        let stuck = block(&runtime, &door);
        assert_eq!(told.recv().unwrap().task, Some(stuck.id()));
        door.open();
        runtime.block_on(stuck).unwrap();
    }
}

/// Waits until nobody does anything: the workers have announced that they sleep, twice in a row.
fn at_rest(runtime: &Runtime) {
    let asleep = || runtime.handle().dump().seats.iter().all(|seat| seat.activity == Activity::Asleep);
    let parks = || (0..2).map(|worker| runtime.metrics().worker_park_count(worker)).sum::<u64>();
    loop {
        until(asleep);
        let before = parks();
        // Longer than the sentinel looks about. No test relies on it: if it watches still, the test is weaker.
        thread::sleep(Duration::from_millis(5));
        if asleep() && parks() == before {
            return;
        }
    }
}

/// Timers that the worker has armed before, and in the very poll that does not return.
#[test]
fn the_timers_of_a_stuck_worker_fire() {
    let runtime = without_spares(2);
    for _ in 0..20 {
        let (fired, all) = (Count::new(), 40);
        let counted = fired.clone();
        let stuck = runtime.spawn(async move {
            for n in 0..all {
                let fired = counted.clone();
                heist::spawn(async move {
                    sleep(Duration::from_micros(200 * n)).await;
                    fired.add();
                });
            }
            // They are armed here, as far as nobody has stolen them.
            for _ in 0..50 {
                yield_now().await;
            }
            until(|| counted.get() == all as usize);
        });
        runtime.block_on(stuck).unwrap();
        assert_eq!(fired.get(), 40);
    }
}

/// A timer that is reset to an earlier time by somebody else, while its worker is stuck and the keeper sleeps to the later one.
#[test]
fn a_stuck_workers_timer_can_be_reset_to_an_earlier_time() {
    for _ in 0..20 {
        let runtime = without_spares(2);
        let (reset, again) = async_channel::bounded::<()>(1);
        let fired = Count::new();
        let (fires, door, armed) = (fired.clone(), Door::new(), Door::new());
        let (arms, opens) = (armed.clone(), door.clone());
        runtime.spawn(async move {
            let task = heist::spawn(async move {
                let mut sleep = std::pin::pin!(sleep(Duration::from_secs(3600)));
                let mut again = std::pin::pin!(again.recv());
                let mut later = true;
                std::future::poll_fn(|cx| {
                    if later && again.as_mut().poll(cx).is_ready() {
                        later = false;
                        sleep.as_mut().reset(Instant::now() + Duration::from_millis(3));
                    }
                    let fired = sleep.as_mut().poll(cx);
                    arms.open();
                    fired
                })
                .await;
                fires.add();
            });
            drop(task);
            // Its first poll is here.
            yield_now().await;
            opens.wait();
        });
        armed.wait();
        reset.send_blocking(()).unwrap();
        until(|| fired.get() == 1);
        door.open();
    }
}

/// The worker that had the reactor is stuck in what it has read.
#[test]
fn sockets_are_heard_while_a_worker_is_stuck() {
    let runtime = without_spares(2);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let door = Door::new();
    let opens = door.clone();
    runtime.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let door = opens.clone();
            heist::spawn(async move {
                let mut byte = [0];
                while stream.read(&mut byte).await.is_ok_and(|n| n == 1) {
                    if byte == *b"!" {
                        door.wait();
                    }
                    stream.write_all(&byte).await.unwrap();
                }
            });
        }
    });
    let mut poison = std::net::TcpStream::connect(address).unwrap();
    let mut client = std::net::TcpStream::connect(address).unwrap();
    for round in 0..200_u8 {
        if round == 20 {
            poison.write_all(b"!").unwrap();
        }
        client.write_all(b"?").unwrap();
        client.read_exact(&mut [0]).unwrap();
    }
    door.open();
    poison.read_exact(&mut [0]).unwrap();
}

// ---------------------------------------------------------------------------------------------------------- spares

/// All workers are stuck for good, and so is each spare in its turn: new tasks run as long as there is one. At the cap nobody comes, it is
/// said, and everything goes on when the polls return; the spares leave.
#[test]
fn spares_come_up_to_the_cap_and_leave() {
    warnings();
    for (round, workers) in [1, 2, 4].into_iter().enumerate() {
        let runtime = builder(workers).max_spare_workers(3).build().unwrap();
        let door = Door::new();
        let mut stuck = block_all(&runtime, workers + 3, &door);
        assert_eq!(runtime.metrics().num_spare_workers(), 3);
        assert_eq!((runtime.worker_threads(), runtime.metrics().num_workers()), (workers, workers));
        assert!(runtime.metrics().spare_start_count() >= 3);
        let ran = Count::new();
        let runs = ran.clone();
        stuck.push(runtime.spawn(async move {
            runs.add();
        }));
        // No other test has so many.
        until(|| warned("spares=3") > round);
        assert_eq!(ran.get(), 0, "there is nobody to run it");
        door.open();
        stuck.into_iter().for_each(|task| runtime.block_on(task).unwrap());
        assert_eq!(ran.get(), 1);
        until(|| runtime.metrics().num_spare_workers() == 0);
        // And again.
        let door = Door::new();
        let stuck = block_all(&runtime, workers + 1, &door);
        door.open();
        stuck.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    }
}

/// Timers, sockets and tasks go on with a spare alone.
#[test]
fn a_spare_does_all_that_a_worker_does() {
    let runtime = builder(2).max_spare_workers(1).build().unwrap();
    let door = Door::new();
    let stuck = block_all(&runtime, 2, &door);
    let far = runtime.spawn(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = heist::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        for _ in 0..50 {
            sleep(Duration::from_micros(100)).await;
            client.write_all(b"x").await.unwrap();
            server.read_exact(&mut [0]).await.unwrap();
            heist::spawn(async { yield_now().await }).await.unwrap();
        }
        // This one outlives the spare.
        sleep_until(Instant::now() + Duration::from_millis(300)).await;
    });
    // It is counted before its seat is there.
    until(|| runtime.handle().dump().seats.len() == 3);
    until(|| runtime.metrics().worker_poll_count(2) > 200);
    door.open();
    stuck.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    until(|| runtime.metrics().num_spare_workers() == 0);
    runtime.block_on(far).unwrap();
}

/// A resize that comes to a spare's seat keeps it, as one of those that were asked for; what shrinks the set leaves spares alone.
#[test]
fn a_resize_takes_over_a_spare() {
    let runtime = builder(1).max_worker_threads(4).max_spare_workers(2).build().unwrap();
    let door = Door::new();
    let mut stuck = block_all(&runtime, 2, &door);
    assert_eq!((runtime.worker_threads(), runtime.metrics().num_spare_workers()), (1, 1));
    let resized = runtime.resize(3).wait().unwrap();
    assert_eq!((resized.from, resized.to, resized.version), (1, 3, 1));
    assert_eq!((runtime.worker_threads(), runtime.metrics().num_spare_workers()), (3, 0));
    // Both spares are there to be had again.
    stuck.extend(block_all(&runtime, 3, &door));
    assert_eq!((runtime.worker_threads(), runtime.metrics().num_spare_workers()), (3, 2));
    // Stuck leavers keep their seats, and the spares go on.
    let shrink = runtime.resize(1);
    assert_eq!(runtime.metrics().num_spare_workers(), 2);
    door.open();
    assert_eq!(shrink.wait().unwrap().to, 1);
    stuck.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    until(|| runtime.metrics().num_spare_workers() == 0);
    until(|| runtime.worker_threads() == 1);
}

/// The pool shrinks to the one worker that does not come back.
#[test]
fn the_last_worker_is_replaced() {
    let runtime = builder(3).build().unwrap();
    let door = Door::new();
    let mut stuck = vec![block(&runtime, &door)];
    // Until seat 0 is the one that is stuck; the others leave.
    while !matches!(runtime.handle().dump().seats[0].activity, Activity::Polling { .. }) {
        stuck.push(block(&runtime, &door));
    }
    let shrink = runtime.resize(1);
    // Leavers that are stuck, and seat 0: somebody else runs this.
    runtime.block_on(runtime.spawn(async { sleep(Duration::from_millis(1)).await })).unwrap();
    door.open();
    shrink.wait().unwrap();
    stuck.into_iter().for_each(|task| runtime.block_on(task).unwrap());
}

/// No spare where there is somebody to do it: one worker is stuck, the other one sleeps.
#[test]
fn no_spare_comes_while_a_worker_sleeps() {
    let mut builder = builder(2);
    let told = reports(&mut builder);
    let runtime = builder.build().unwrap();
    let door = Door::new();
    let stuck = block(&runtime, &door);
    told.recv().unwrap();
    runtime.block_on(runtime.spawn(sleep(Duration::from_millis(30)))).unwrap();
    assert_eq!(runtime.metrics().spare_start_count(), 0);
    door.open();
    runtime.block_on(stuck).unwrap();
}

/// The operating system refuses the thread of a spare, and then gives it.
#[test]
fn a_refused_spare_is_asked_for_again() {
    warnings();
    let refuse = Arc::new(AtomicBool::new(true));
    let refused = Arc::clone(&refuse);
    let runtime = builder(1)
        .max_spare_workers(1)
        .refuse_worker(move |seat| {
            (seat > 0 && refused.load(Ordering::SeqCst)).then(|| std::io::Error::other("no thread today"))
        })
        .build()
        .unwrap();
    let door = Door::new();
    let stuck = block(&runtime, &door);
    until(|| warned("error=no thread today") > 0);
    assert_eq!((runtime.worker_threads(), runtime.metrics().num_spare_workers()), (1, 0));
    refuse.store(false, Ordering::SeqCst);
    runtime.block_on(runtime.spawn(yield_now())).unwrap();
    door.open();
    runtime.block_on(stuck).unwrap();
}

/// The runtime ends while spares work, and while one is being called.
#[test]
fn a_runtime_with_spares_ends() {
    for extra in 0..3 {
        let runtime = builder(1).max_spare_workers(2).build().unwrap();
        let door = Door::new();
        let stuck = block_all(&runtime, 1 + extra, &door);
        let dropped = Count::new();
        for _ in 0..100 {
            let guard = dropped.on_drop();
            runtime.spawn(async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            });
        }
        let opener = thread::spawn(move || door.open());
        drop(runtime);
        opener.join().unwrap();
        assert_eq!(dropped.get(), 100);
        drop(stuck);
    }
}

/// A drain finds its tasks, though every worker is stuck: a spare runs them to their ends.
#[test]
fn a_drain_goes_on_with_spares() {
    let runtime = builder(1).max_spare_workers(1).build().unwrap();
    let door = Door::new();
    let stuck = block(&runtime, &door);
    let end = Door::new();
    let ends = end.clone();
    let waits = runtime.spawn(async move { ends.opened().await });
    let drain = runtime.handle().drain(Duration::from_secs(3600));
    end.open();
    until(|| waits.is_finished());
    door.open();
    let report = drain.wait();
    assert_eq!((report.completed, report.cancelled), (2, 0), "{report}");
    drop(stuck);
}

// --------------------------------------------------------------------------------------------------------- reports

/// What this process warns of stalls with, line by line. Tests run side by side: who looks for a line knows it from the others.
fn warnings() -> &'static Mutex<Vec<String>> {
    use tracing::field::{Field, Visit};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static LISTEN: Once = Once::new();
    struct Lines;
    struct Text(String);

    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            self.0.push_str(&format!("{}={value:?} ", field.name()));
        }
    }

    impl<S: tracing::Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            if event.metadata().target() == "heist::stall" {
                let mut text = Text(format!("{} ", event.metadata().level()));
                event.record(&mut text);
                LINES.lock().unwrap().push(text.0);
            }
        }
    }

    LISTEN.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Lines)).unwrap();
    });
    &LINES
}

fn warned(of: &str) -> usize {
    warnings().lock().unwrap().iter().filter(|line| line.contains(of)).count()
}

#[test]
fn a_blocked_task_is_named() {
    warnings();
    let mut builder = builder(2);
    let told = reports(&mut builder);
    let runtime = builder.build().unwrap();
    let (door, begun) = (Door::new(), Door::new());
    let (opens, begins) = (door.clone(), begun.clone());
    let place = format!("tests/stalls.rs:{}:25", line!() + 1);
    let stuck = runtime.spawn(async move {
        begins.open();
        opens.wait();
    });
    let report = told.recv().unwrap();
    assert_eq!((report.task, report.cause), (Some(stuck.id()), StallCause::Blocked));
    assert_eq!(report.location.unwrap().to_string(), place);
    assert!(report.lasted >= Duration::from_millis(10));
    assert!(report.worker < 2 && report.name.is_none());
    let said = format!(
        "worker {} has been in one poll for {:?} and is blocked: its thread waits in the operating system; task {}, spawned at {place}; \
         await what it waits for, or move that to `spawn_blocking`",
        report.worker,
        report.lasted,
        stuck.id(),
    );
    assert_eq!(report.to_string(), said);
    until(|| warned(&said) == 1);
    let line = warnings().lock().unwrap().iter().find(|line| line.contains(&said)).unwrap().clone();
    let fields = format!(
        "worker={} task={} location={place} lasted={:?} cause=blocked",
        report.worker,
        stuck.id(),
        report.lasted
    );
    assert!(line.starts_with("WARN") && line.contains(&fields), "{line}");
    #[cfg(target_os = "linux")]
    assert!(std::path::Path::new(&format!("/proc/self/task/{}", report.thread.unwrap())).exists());
    door.open();
    runtime.block_on(stuck).unwrap();
    until(|| runtime.metrics().stall_durations().iter().map(|(_, count)| count).sum::<u64>() == 1);
    let lasted = runtime.metrics().stall_durations().into_iter().find(|(_, count)| *count > 0).unwrap().0;
    assert!(lasted.end > report.lasted);
    assert_eq!(runtime.metrics().stall_count(), 1);
}

/// What computes is not said to be blocked.
#[test]
fn a_task_that_computes_is_told_from_one_that_waits() {
    let mut builder = builder(1);
    let told = reports(&mut builder);
    let runtime = builder.stall_threshold(Duration::from_millis(30)).build().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stops = Arc::clone(&stop);
    let busy = runtime.spawn(async move { while !stops.load(Ordering::Relaxed) {} });
    let report = told.recv().unwrap();
    stop.store(true, Ordering::Relaxed);
    assert_eq!(report.task, Some(busy.id()));
    assert!(report.lasted >= Duration::from_millis(30));
    // With other tests on the same processors it may have had less than half of one.
    assert!(matches!(report.cause, StallCause::Busy | StallCause::Starved), "{report}");
    runtime.block_on(busy).unwrap();
}

/// A stall is reported once, however long it lasts; the next one of the same task again.
#[test]
fn each_stall_is_reported_once() {
    let mut builder = builder(1);
    let told = reports(&mut builder);
    let runtime = builder.build().unwrap();
    let (first, second) = (Door::new(), Door::new());
    let (one, two) = (first.clone(), second.clone());
    let stuck = runtime.spawn(async move {
        one.wait();
        yield_now().await;
        two.wait();
    });
    assert_eq!(told.recv().unwrap().task, Some(stuck.id()));
    // Ten times as long as the threshold; a spare runs this.
    runtime.block_on(runtime.spawn(sleep(Duration::from_millis(100)))).unwrap();
    assert!(told.try_recv().is_err());
    first.open();
    assert_eq!(told.recv().unwrap().task, Some(stuck.id()));
    second.open();
    runtime.block_on(stuck).unwrap();
    assert_eq!(runtime.metrics().stall_count(), 2);
}

/// What is filed already, what is polled for the first time, and what is no task.
#[test]
fn whoever_is_polled_is_named() {
    let mut builder = builder(1);
    let told = reports(&mut builder);
    let runtime = builder.max_spare_workers(0).build().unwrap();
    // For the second time.
    let (door, go) = (Door::new(), Door::new());
    let (opens, goes) = (door.clone(), go.clone());
    let stuck = runtime.spawn(async move {
        goes.opened().await;
        opens.wait();
    });
    until(|| runtime.handle().dump().tasks.iter().any(|task| task.state == TaskState::Idle));
    go.open();
    assert_eq!(told.recv().unwrap().task, Some(stuck.id()));
    door.open();
    runtime.block_on(stuck).unwrap();
    // In the destructor of a task that is cancelled.
    let door = Door::new();
    let opens = door.clone();
    let guard = OnDrop::new(move || opens.wait());
    let cancelled = runtime.spawn(async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    until(|| runtime.handle().dump().tasks.iter().any(|task| task.state == TaskState::Idle));
    cancelled.abort();
    assert_eq!(told.recv().unwrap().task, Some(cancelled.id()));
    door.open();
    assert!(runtime.block_on(cancelled).unwrap_err().is_cancelled());
    // A waker that a timer's turn calls.
    struct Stuck(Door);
    impl std::task::Wake for Stuck {
        fn wake(self: Arc<Self>) {
            self.0.wait();
        }
    }
    let door = Door::new();
    let waker = std::task::Waker::from(Arc::new(Stuck(door.clone())));
    let guard = runtime.enter();
    let mut sleep = Box::pin(sleep(Duration::from_millis(1)));
    assert!(sleep.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    drop(guard);
    let report = told.recv().unwrap();
    assert_eq!((report.task, report.location), (None, None));
    assert!(report.to_string().contains("in no task, but in a waker, a hook or a destructor; "), "{report}");
    door.open();
}

/// The hook may do with the runtime what it likes, and its panic is its own.
#[test]
fn a_hook_may_panic_and_may_use_the_runtime() {
    let place: Arc<OnceLock<heist::runtime::Handle>> = Arc::default();
    let (tell, told) = mpsc::channel();
    let hooked = Arc::clone(&place);
    let runtime = builder(1)
        .max_worker_threads(2)
        .on_stall(move |report| {
            let handle = hooked.get().expect("it is there before anybody is stuck");
            drop(handle.spawn(async {}));
            drop(handle.resize(1));
            assert!(handle.dump().tasks.iter().any(|task| Some(task.id) == report.task));
            tell.send(report.task).unwrap();
            panic!("a hook of no worth");
        })
        .build()
        .unwrap();
    place.set(runtime.handle().clone()).unwrap();
    for _ in 0..3 {
        let door = Door::new();
        let stuck = block(&runtime, &door);
        assert_eq!(told.recv().unwrap(), Some(stuck.id()));
        door.open();
        runtime.block_on(stuck).unwrap();
    }
}

#[test]
fn nonsense_is_refused() {
    let text = panic_text(|| builder(1).stall_threshold(Duration::ZERO).build());
    assert!(text.contains("stall_threshold(0)"), "{text}");
    let error = builder(1).max_spare_workers(1 << 14).build().unwrap_err().to_string();
    assert!(error.contains("16384 spare workers") && error.contains("`max_spare_workers`"), "{error}");
    let error = builder(1).max_spare_workers(usize::MAX).build().unwrap_err().to_string();
    assert!(error.contains("`max_spare_workers`"), "{error}");
}

// ----------------------------------------------------------------------------------------------------------- dumps

/// Of a runtime that does nothing any more: every worker and all spares are stuck.
#[test]
fn a_wedged_runtime_is_dumped() {
    let runtime = builder(2).max_spare_workers(1).build().unwrap();
    let (door, never) = (Door::new(), Door::new());
    let idle: Vec<_> = (0..10)
        .map(|_| {
            let never = never.clone();
            runtime.spawn(async move { never.opened().await })
        })
        .collect();
    until(|| runtime.handle().dump().tasks.iter().filter(|task| task.state == TaskState::Idle).count() == 10);
    let stuck = block_all(&runtime, 3, &door);
    let queued: Vec<_> = (0..5).map(|_| runtime.spawn(async {})).collect();
    let job = runtime.spawn_blocking({
        let door = door.clone();
        move || door.wait()
    });
    let dump = loop {
        let dump = runtime.handle().dump();
        let known = |seat: &heist::runtime::SeatDump| matches!(seat.activity, Activity::Polling { since: Some(_), .. });
        if dump.seats.iter().all(known) {
            break dump;
        }
    };
    assert_eq!((dump.workers, dump.spares, dump.phase, dump.global_queue), (2, 1, "running", 5));
    assert_eq!(dump.seats.len(), 3);
    let polled = dump.seats.iter().map(|seat| match seat.activity {
        Activity::Polling { task, .. } => task,
        other => panic!("{other}"),
    });
    assert_eq!(polled.collect::<BTreeSet<_>>(), stuck.iter().map(JoinHandle::id).collect());
    let of = |state| dump.tasks.iter().filter(|task| task.state == state).map(|task| task.id).collect::<BTreeSet<_>>();
    assert_eq!(of(TaskState::Running), stuck.iter().map(JoinHandle::id).collect());
    assert_eq!(of(TaskState::Idle), idle.iter().map(JoinHandle::id).collect());
    assert_eq!(of(TaskState::Queued), queued.iter().map(JoinHandle::id).collect());
    assert_eq!(of(TaskState::Job), BTreeSet::from([job.id()]));
    let text = dump.to_string();
    assert_eq!(text.lines().count(), 1 + 3 + 19, "{text}");
    assert!(
        text.starts_with("MultiThread runtime, running: 2 workers and 1 spares; 5 in the global queue; reactor "),
        "{text}"
    );
    let line = format!("  task {}: running, spawned at tests/stalls.rs:", stuck[0].id());
    assert!(text.contains(&line), "{text}");
    assert!(text.contains(&format!("polling task {} spawned at ", stuck[1].id())), "{text}");
    door.open();
    never.open();
    for task in stuck.into_iter().chain(idle).chain(queued).chain([job]) {
        runtime.block_on(task).unwrap();
    }
    until(|| runtime.handle().dump().tasks.is_empty());
}

/// A current-thread runtime, from inside and from outside.
#[test]
fn a_current_thread_runtime_is_dumped() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.handle().dump().seats[0].activity, Activity::Nobody);
    let (handle, place) = (runtime.handle().clone(), line!() + 1);
    let task = runtime.spawn(async move { handle.dump() });
    let id = task.id();
    let dump = runtime.block_on(task).unwrap();
    let Activity::Polling { task, location, since: None } = dump.seats[0].activity else { panic!("{dump}") };
    assert_eq!((task, location.line()), (id, place));
    assert_eq!(dump.tasks.len(), 1);
    assert_eq!((dump.tasks[0].id, dump.tasks[0].state), (id, TaskState::Running));
    let ended = {
        let handle = runtime.handle().clone();
        drop(runtime);
        handle.dump()
    };
    assert_eq!(ended.phase, "closed");
}

// ---------------------------------------------------------------------------------------------------------- stress

/// Stalls at random, of all lengths between nothing and several ticks, timers, wakes from everywhere, and resizes all the while. Each task ends,
/// each timer fires, and in the end there are as many workers as were asked for last.
#[test]
fn stalls_and_resizes_at_random() {
    for seed in 1..=3_u64 {
        let runtime = builder(2).max_worker_threads(6).max_spare_workers(4).rng_seed(seed).build().unwrap();
        let ended = Count::new();
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                let ended = ended.clone();
                runtime.spawn(async move {
                    let mut random = Random(seed * 1_000 + n);
                    for _ in 0..25 {
                        turmoil(&mut random).await;
                    }
                    ended.add();
                })
            })
            .collect();
        let mut random = Random(seed);
        let mut resizes = 0;
        while !tasks.iter().all(JoinHandle::is_finished) {
            let size = 1 + random.below(6) as usize;
            let resize = runtime.resize(size);
            if random.below(2) == 0 {
                assert_eq!(resize.wait().unwrap().to, size);
            }
            resizes += 1;
        }
        assert!(resizes > 0);
        assert_eq!(ended.get(), 100);
        tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
        runtime.resize(3).wait().unwrap();
        until(|| runtime.metrics().num_spare_workers() == 0);
        until(|| runtime.worker_threads() == 3);
        let dump = runtime.handle().dump();
        assert!(dump.tasks.is_empty(), "{dump}");
    }
}

/// Something that a task does.
async fn turmoil(random: &mut Random) {
    match random.below(6) {
        0 => yield_now().await,
        1 => sleep(Duration::from_micros(random.below(3_000))).await,
        // The stall, of up to five ticks.
        2 => thread::sleep(Duration::from_micros(random.below(5_000))),
        3 => {
            let (send, receive) = async_channel::bounded(1);
            heist::spawn(async move { send.send(1).await.unwrap() });
            if random.below(4) == 0 {
                // The child is in the slot behind us.
                thread::sleep(Duration::from_millis(3));
            }
            assert_eq!(receive.recv().await, Ok(1));
        }
        4 => {
            // Armed here, and then nobody comes to it.
            let due = heist::spawn(sleep(Duration::from_micros(500)));
            yield_now().await;
            thread::sleep(Duration::from_millis(random.below(4)));
            due.await.unwrap();
        }
        _ => {
            let late = heist::time::timeout(Duration::from_micros(random.below(2_000)), std::future::pending::<()>());
            assert!(late.await.is_err());
        }
    }
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
