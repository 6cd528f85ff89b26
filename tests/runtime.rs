//! Settings of the builder, and properties of the runtime.

#[path = "support/kit.rs"]
mod kit;

use std::collections::HashSet;
use std::io::Write;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use heist::net::UnixStream;
use heist::runtime::{Builder, Handle, RuntimeFlavor, worker_index};
use kit::{Count, Door, current_thread, each, panic_text, workers, yield_now};

#[test]
fn runtime_id_is_unique_and_same_everywhere() {
    let ids = Mutex::new(HashSet::new());
    each(|runtime| {
        let id = runtime.handle().id();
        assert!(ids.lock().unwrap().insert(id), "{id} is used twice");
        let guard = runtime.enter();
        assert_eq!(Handle::current().id(), id);
        drop(guard);
        assert_eq!(runtime.block_on(async { Handle::current().id() }), id);
        assert_eq!(runtime.block_on(runtime.spawn(async { Handle::current().id() })).unwrap(), id);
        assert_eq!(runtime.block_on(runtime.spawn_blocking(|| Handle::current().id())).unwrap(), id);
        assert_eq!(format!("{id:?}"), format!("Id({id})"));
    });
    assert_eq!(ids.lock().unwrap().len(), 4);
}

#[test]
fn runtime_id_outlives_runtime_and_is_not_reused() {
    let handle = current_thread().handle().clone();
    let id = handle.id();
    for _ in 0..10 {
        assert_ne!(current_thread().handle().id(), id);
    }
    assert_eq!(handle.id(), id);
}

#[test]
fn runtime_name_is_not_the_name_of_threads() {
    let runtime = Builder::new_multi_thread().worker_threads(1).name("control").thread_name("thread").build().unwrap();
    let names = runtime
        .spawn(async { (Handle::current().name().map(str::to_owned), thread::current().name().map(str::to_owned)) });
    assert_eq!(runtime.block_on(names).unwrap(), (Some("control".to_owned()), Some("thread".to_owned())));
    assert!(format!("{:?}", runtime.handle()).contains("control"));
    assert_eq!(current_thread().handle().name(), None);
}

#[test]
fn runtime_flavor_is_what_was_built() {
    for (mut builder, flavor) in [
        (Builder::new_current_thread(), RuntimeFlavor::CurrentThread),
        (Builder::new_multi_thread(), RuntimeFlavor::MultiThread),
    ] {
        let runtime = builder.worker_threads(1).build().unwrap();
        assert_eq!(runtime.handle().runtime_flavor(), flavor);
        assert_eq!(runtime.block_on(async { Handle::current().runtime_flavor() }), flavor);
    }
}

// ---- worker_index

#[test]
fn worker_index_is_some_on_workers_only() {
    assert_eq!(worker_index(), None);
    let runtime = workers(3);
    let (seen, met) = (Arc::new(Mutex::new(HashSet::new())), Arc::new(std::sync::Barrier::new(3)));
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let (seen, met) = (Arc::clone(&seen), Arc::clone(&met));
            runtime.spawn(async move {
                // Only three workers together pass the barrier.
                met.wait();
                assert!(seen.lock().unwrap().insert(worker_index().unwrap()), "two workers have one index");
            })
        })
        .collect();
    tasks.into_iter().for_each(|task| kit::join(task).unwrap());
    assert_eq!(*seen.lock().unwrap(), HashSet::from([0, 1, 2]));
    assert_eq!(runtime.block_on(async { worker_index() }), None, "the root is not polled by a worker");
    assert_eq!(kit::join(runtime.spawn_blocking(worker_index)).unwrap(), None);
    assert_eq!(runtime.handle().block_on(async { worker_index() }), None);
    let _guard = runtime.enter();
    assert_eq!(worker_index(), None);
}

#[test]
fn worker_index_of_current_thread_driver_is_zero() {
    let runtime = current_thread();
    assert_eq!(runtime.block_on(async { worker_index() }), Some(0));
    assert_eq!(runtime.block_on(async { heist::spawn(async { worker_index() }).await.unwrap() }), Some(0));
    assert_eq!(runtime.block_on(runtime.spawn_blocking(worker_index)).unwrap(), None);
    assert_eq!(runtime.handle().block_on(async { worker_index() }), None, "it does not drive");
    let (drives, release) = (Door::new(), Door::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            runtime.block_on(async {
                drives.open();
                release.wait();
            });
        });
        drives.wait();
        assert_eq!(runtime.block_on(async { worker_index() }), None, "another thread drives");
        release.open();
    });
}

// ---- pace

/// Counts the polls of a task that is always ready. Another task records the counts.
#[derive(Clone, Default)]
struct Busy {
    polls: Arc<AtomicUsize>,
    noted: Arc<Mutex<Vec<usize>>>,
}

impl Busy {
    fn record_polls(&self) {
        self.noted.lock().unwrap().push(self.polls.load(Ordering::SeqCst));
    }

    /// Is always ready until `most` counts have been recorded, and calls `each` in every poll.
    async fn run(&self, most: usize, mut each: impl FnMut()) {
        while self.noted.lock().unwrap().len() < most {
            self.polls.fetch_add(1, Ordering::SeqCst);
            each();
            yield_now().await;
        }
    }

    /// Does the same with two tasks that wake each other in turns.
    async fn run_in_turns(self, notes: usize, mut each: impl FnMut()) {
        let (ping, pinged) = async_channel::unbounded();
        let (pong, ponged) = async_channel::unbounded();
        let polls = Arc::clone(&self.polls);
        let partner = heist::spawn(async move {
            while pinged.recv().await.is_ok() {
                polls.fetch_add(1, Ordering::SeqCst);
                pong.send(()).await.unwrap();
            }
        });
        while self.noted.lock().unwrap().len() < notes {
            self.polls.fetch_add(1, Ordering::SeqCst);
            each();
            ping.send(()).await.unwrap();
            ponged.recv().await.unwrap();
        }
        drop(ping);
        partner.await.unwrap();
    }

    /// Returns how many polls lie between two records, without the first.
    fn between(&self) -> Vec<usize> {
        let noted = self.noted.lock().unwrap();
        noted.windows(2).skip(1).take(10).map(|two| two[1] - two[0]).collect()
    }
}

/// Runs the test on a current-thread runtime and on one with a worker, with the same settings.
fn one_seat(tell: impl Fn(&mut Builder)) -> impl Iterator<Item = heist::runtime::Runtime> {
    [Builder::new_current_thread(), Builder::new_multi_thread()].into_iter().map(move |mut builder| {
        // No spare worker starts while a poll blocks.
        tell(builder.worker_threads(1).watchdog(false).enable_all());
        builder.build().unwrap()
    })
}

/// Runs a task that is always ready, and tasks of another thread one at a time.
fn looks_at_the_global_queue(runtime: &heist::runtime::Runtime) -> Vec<usize> {
    let busy = Busy::default();
    let (handle, counts, waits) = (runtime.handle().clone(), busy.clone(), Arc::new(AtomicUsize::new(0)));
    let task = runtime.spawn(async move {
        let each = || {
            if waits.swap(1, Ordering::SeqCst) == 0 {
                let (handle, counts, waits) = (handle.clone(), counts.clone(), Arc::clone(&waits));
                let foreign = thread::spawn(move || {
                    handle.spawn(async move {
                        counts.record_polls();
                        waits.store(0, Ordering::SeqCst);
                    })
                });
                drop(foreign.join().unwrap());
            }
        };
        counts.run(12, each).await;
    });
    runtime.block_on(task).unwrap();
    busy.between()
}

#[test]
fn global_queue_interval_if_set_holds_exactly() {
    for polls in [2, 7, 31, 100] {
        // Independent of the time and of the other interval.
        for events in [None, Some(5), Some(10_000)] {
            let tell = |builder: &mut Builder| {
                builder.global_queue_interval(polls);
                events.map(|events| builder.event_interval(events));
            };
            for runtime in one_seat(tell) {
                // One of the polls is that of the task from the global queue.
                assert_eq!(looks_at_the_global_queue(&runtime), vec![polls as usize - 1; 10], "{runtime:?} {events:?}");
            }
        }
    }
}

#[test]
fn global_queue_interval_of_current_thread_is_31_polls() {
    assert_eq!(looks_at_the_global_queue(&current_thread()), [30; 10]);
}

#[test]
fn global_queue_interval_of_one_alternates_queues() {
    for runtime in one_seat(|builder| _ = builder.global_queue_interval(1)) {
        assert_eq!(looks_at_the_global_queue(&runtime), [1; 10]);
    }
}

/// A task that is always ready, and one that waits for a socket into which the first one writes. On
/// a current-thread runtime, which looks before it polls what has yielded, two tasks wake each
/// other instead.
fn looks_at_sockets(runtime: &heist::runtime::Runtime) -> Vec<usize> {
    let flavour = runtime.handle().runtime_flavor();
    let busy = Busy::default();
    let (mut ours, theirs) = StdStream::pair().unwrap();
    let counts = busy.clone();
    let task = runtime.spawn(async move {
        theirs.set_nonblocking(true).unwrap();
        let mut theirs = UnixStream::from_std(theirs).unwrap();
        let (reads, waits) = (counts.clone(), Arc::new(AtomicUsize::new(0)));
        let written = Arc::clone(&waits);
        let reader = heist::spawn(async move {
            for _ in 0..12 {
                theirs.read_exact(&mut [0]).await.unwrap();
                reads.record_polls();
                waits.store(0, Ordering::SeqCst);
            }
        });
        let each = || {
            if written.swap(1, Ordering::SeqCst) == 0 {
                ours.write_all(b".").unwrap();
            }
        };
        if flavour == RuntimeFlavor::CurrentThread {
            counts.clone().run_in_turns(12, each).await;
        } else {
            counts.run(12, each).await;
        }
        reader.await.unwrap();
    });
    runtime.block_on(task).unwrap();
    busy.between()
}

#[test]
fn event_interval_if_set_holds_exactly() {
    // Three is what it takes to read a byte and to write the next one.
    for polls in [3, 7, 61, 100] {
        for global in [None, Some(1), Some(5)] {
            let tell = |builder: &mut Builder| {
                builder.event_interval(polls);
                global.map(|global| builder.global_queue_interval(global));
            };
            for runtime in one_seat(tell) {
                // One of the polls is that of the task that reads.
                assert_eq!(looks_at_sockets(&runtime), vec![polls as usize - 1; 10], "{runtime:?} {global:?}");
            }
        }
    }
}

#[test]
fn max_io_events_per_tick_limits_events() {
    const SOCKETS: usize = 20;
    let parks = |events: usize| {
        let parks = Count::new();
        let counts = parks.clone();
        let mut builder = Builder::new_current_thread();
        // The worker checks when it has no task, and sleeps at once.
        builder.event_interval(u32::MAX).spin_before_park(std::time::Duration::ZERO);
        builder.max_io_events_per_tick(events).on_thread_park(move || _ = counts.add());
        let runtime = builder.enable_all().build().unwrap();
        let read = Count::new();
        let mut ours = Vec::new();
        let tasks: Vec<_> = (0..SOCKETS)
            .map(|_| {
                let (our, their) = StdStream::pair().unwrap();
                their.set_nonblocking(true).unwrap();
                ours.push(our);
                let guard = runtime.enter();
                let mut their = UnixStream::from_std(their).unwrap();
                drop(guard);
                let read = read.clone();
                runtime.spawn(async move {
                    their.read_exact(&mut [0]).await.unwrap();
                    read.add();
                })
            })
            .collect();
        // All wait before the first byte comes.
        runtime.block_on(async {
            for _ in 0..2 {
                yield_now().await;
            }
        });
        ours.iter_mut().for_each(|our| our.write_all(b".").unwrap());
        let before = parks.get();
        for task in tasks {
            runtime.block_on(task).unwrap();
        }
        assert_eq!(read.get(), SOCKETS);
        parks.get() - before
    };
    assert!(parks(1) >= SOCKETS, "{} looks took {SOCKETS} events, one at a time", parks(1));
    assert!(parks(5) >= SOCKETS / 5);
    assert!(parks(1024) < SOCKETS / 5, "{} looks", parks(1024));
}

#[test]
fn max_io_events_of_zero_is_refused() {
    for (text, name) in [
        (panic_text(|| Builder::new_multi_thread().max_io_events_per_tick(0).build()), "max_io_events_per_tick(0)"),
        (
            panic_text(|| Builder::new_multi_thread().max_io_events_per_busy_tick(0).build()),
            "max_io_events_per_busy_tick(0)",
        ),
    ] {
        assert!(text.contains(name) && text.contains("at least 1"), "{text}");
    }
    let mut builder = Builder::new_current_thread();
    builder.max_io_events_per_tick(usize::MAX).max_io_events_per_busy_tick(usize::MAX).enable_all().build().unwrap();
}
