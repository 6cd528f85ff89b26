//! Workers come and go while the runtime works. A lost task or wake-up is a hang: nothing here has a time limit, and the sentinel,
//! which might hide one, is off.

#[path = "support/kit.rs"]
mod kit;

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;

use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Handle, ResizeError, Resized, Runtime};
use heist::time::{Duration, Instant, sleep};
use kit::{Count, Door, panic_text, yield_now};

fn builder(count: usize) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(count).max_worker_threads(16).sentinel(false).enable_all();
    builder
}

fn workers(count: usize) -> Runtime {
    builder(count).build().unwrap()
}

/// Spawns one task on each of `count` workers; each runs `task` once all of them have begun. One after the other: a task that has been
/// taken together with another one, by a worker that is held up by that, would wait for the sentinel.
fn one_each<F: Future<Output: Send> + Send + 'static>(
    runtime: &Runtime,
    count: usize,
    task: impl Fn(usize) -> F,
) -> Vec<heist::task::JoinHandle<F::Output>> {
    let (barrier, begun) = (Arc::new(Barrier::new(count)), Count::new());
    let spawn = |nth| {
        let (barrier, begins, task) = (Arc::clone(&barrier), begun.clone(), task(nth));
        let handle = runtime.spawn(async move {
            begins.add();
            barrier.wait();
            task.await
        });
        until(|| begun.get() > nth);
        handle
    };
    (0..count).map(spawn).collect()
}

/// So many polls that last until all of them have begun: they need as many workers.
fn all_at_once(runtime: &Runtime, count: usize) {
    one_each(runtime, count, |_| async {}).into_iter().for_each(|task| runtime.block_on(task).unwrap());
}

/// Waits until `is` holds.
fn until(is: impl Fn() -> bool) {
    while !is() {
        thread::yield_now();
    }
}

fn parts(resized: Resized) -> (usize, usize, u64) {
    (resized.from, resized.to, resized.version)
}

// --------------------------------------------------------------------------------------------------------- growing

/// The only worker is in a poll that waits for what is queued behind it.
#[test]
fn those_that_come_find_what_waits_in_the_global_queue() {
    for size in [2, 8] {
        let runtime = workers(1);
        let (go, begun, run) = (Door::new(), Count::new(), Count::new());
        let (block, began) = (go.clone(), begun.clone());
        let blocked = runtime.spawn(async move {
            began.add();
            block.wait();
        });
        until(|| begun.get() == 1);
        for _ in 0..1_000 {
            let run = run.clone();
            runtime.spawn(async move { run.add() });
        }
        assert_eq!(parts(runtime.resize(size).wait().unwrap()), (1, size, 1));
        until(|| run.get() == 1_000);
        go.open();
        runtime.block_on(blocked).unwrap();
        assert_eq!(runtime.worker_threads(), size);
        assert_eq!(runtime.metrics().num_workers(), size);
    }
}

#[test]
fn those_that_come_find_what_waits_in_a_ring() {
    let runtime = workers(1);
    let run = Count::new();
    let counted = run.clone();
    let (come, came) = mpsc::channel();
    let blocked = runtime.spawn(async move {
        for _ in 0..100 {
            let run = counted.clone();
            heist::spawn(async move { run.add() });
        }
        come.send(()).unwrap();
        // In this poll: another worker has to do it. The last ones are left to us.
        until(|| counted.get() >= 90);
    });
    came.recv().unwrap();
    runtime.resize(2).wait().unwrap();
    runtime.block_on(blocked).unwrap();
    runtime.block_on(async {
        while run.get() < 100 {
            yield_now().await;
        }
    });
}

#[test]
fn a_parked_runtime_grows() {
    let runtime = workers(1);
    runtime.block_on(runtime.spawn(yield_now())).unwrap();
    for size in [2, 3, 16] {
        runtime.resize(size).wait().unwrap();
        all_at_once(&runtime, size);
    }
}

// -------------------------------------------------------------------------------------------------------- shrinking

/// From the moment when `resize` has returned a leaver begins at most one poll more, and when the resize is done polls happen one at a time.
#[test]
fn a_saturated_runtime_shrinks_at_the_next_poll() {
    #[derive(Default)]
    struct Scene {
        running: AtomicUsize,
        polls: AtomicUsize,
        most: AtomicUsize,
        asked: AtomicBool,
        after: Mutex<BTreeMap<String, usize>>,
        end: AtomicBool,
    }
    for _ in 0..10 {
        let runtime = builder(8).thread_name_with(|at| format!("seat {}", at.seat)).build().unwrap();
        let scene = Arc::new(Scene::default());
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let scene = Arc::clone(&scene);
                runtime.spawn(async move {
                    while !scene.end.load(Ordering::SeqCst) {
                        let running = scene.running.fetch_add(1, Ordering::SeqCst) + 1;
                        scene.most.fetch_max(running, Ordering::SeqCst);
                        scene.polls.fetch_add(1, Ordering::SeqCst);
                        if scene.asked.load(Ordering::SeqCst) {
                            let name = thread::current().name().unwrap().to_owned();
                            *scene.after.lock().unwrap().entry(name).or_default() += 1;
                        }
                        scene.running.fetch_sub(1, Ordering::SeqCst);
                        yield_now().await;
                    }
                })
            })
            .collect();
        until(|| scene.polls.load(Ordering::SeqCst) > 1_000);
        let resize = runtime.resize(1);
        scene.asked.store(true, Ordering::SeqCst);
        assert_eq!(parts(resize.wait().unwrap()), (8, 1, 1));
        assert_eq!(runtime.worker_threads(), 1);
        let one = scene.after.lock().unwrap().clone();
        assert!(one.iter().all(|(name, polls)| name == "seat 0" || *polls <= 1), "{one:?}");
        // The poll under way may have counted a leaver's, and be about to say so.
        let so_far = scene.polls.load(Ordering::SeqCst);
        until(|| scene.polls.load(Ordering::SeqCst) > so_far + 1);
        scene.most.store(0, Ordering::SeqCst);
        let so_far = scene.polls.load(Ordering::SeqCst);
        until(|| scene.polls.load(Ordering::SeqCst) > so_far + 1_000);
        assert_eq!(scene.most.load(Ordering::SeqCst), 1);
        scene.end.store(true, Ordering::SeqCst);
        tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    }
}

/// What waits in the ring and in the slot of a leaver is polled by others.
#[test]
fn a_leaver_hands_over_what_waits_behind_its_poll() {
    for _ in 0..100 {
        let runtime = workers(2);
        let run = Count::new();
        let (resize, go) = (Door::new(), Door::new());
        let tasks = one_each(&runtime, 2, |_| {
            let (run, resize, go) = (run.clone(), resize.clone(), go.clone());
            async move {
                for _ in 0..10 {
                    let run = run.clone();
                    heist::spawn(async move { run.add() });
                }
                resize.open();
                go.wait();
            }
        });
        resize.wait();
        let resize = runtime.resize(1);
        go.open();
        resize.wait().unwrap();
        tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
        runtime.block_on(async {
            while run.get() < 20 {
                yield_now().await;
            }
        });
    }
}

#[test]
fn a_parked_runtime_shrinks() {
    let (started, stopped) = (Count::new(), Count::new());
    let (start, stop) = (started.clone(), stopped.clone());
    let runtime =
        builder(8).on_thread_start(move || _ = start.add()).on_thread_stop(move || _ = stop.add()).build().unwrap();
    all_at_once(&runtime, 8);
    for (size, version) in [(5, 1), (2, 2), (1, 3)] {
        assert_eq!(runtime.resize(size).wait().unwrap().version, version);
        assert_eq!(runtime.worker_threads(), size);
        all_at_once(&runtime, size);
    }
    until(|| stopped.get() == 7);
    assert_eq!(started.get(), 8);
    drop(runtime);
    assert_eq!((started.get(), stopped.get()), (8, 8));
}

/// One of the sleepers sits in the reactor, and in many of the rounds it is the one that leaves. A foreign client's bytes are heard.
#[test]
fn the_reactor_is_turned_after_its_holder_has_left() {
    let runtime = workers(4);
    let (mut client, echo) = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().await.unwrap().0)
    });
    let echo = runtime.spawn(serve(echo));
    for round in 0..500_u16 {
        let (most, least) = [(4, 2), (2, 1), (4, 1), (16, 3)][usize::from(round) % 4];
        runtime.resize(most).wait().unwrap();
        if round % 3 == 0 {
            all_at_once(&runtime, most);
        }
        runtime.resize(least).wait().unwrap();
        client.write_all(&round.to_le_bytes()).unwrap();
        let mut answer = [0; 2];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, round.to_le_bytes());
    }
    drop(client);
    assert_eq!(runtime.block_on(echo).unwrap(), 1_000);
}

/// Sends back what comes; answers how many bytes.
async fn serve(mut stream: TcpStream) -> usize {
    let mut buffer = [0; 64];
    let mut all = 0;
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return all,
            n => {
                stream.write_all(&buffer[..n]).await.unwrap();
                all += n;
            }
        }
    }
}

#[test]
fn sockets_live_through_all_sizes() {
    let runtime = workers(1);
    let end = Arc::new(AtomicBool::new(false));
    let trips = Count::new();
    let clients = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut clients = Vec::new();
        for client in 0..16_u32 {
            let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            heist::spawn(serve(listener.accept().await.unwrap().0));
            let (end, trips) = (Arc::clone(&end), trips.clone());
            clients.push(heist::spawn(async move {
                let mut trip = client;
                while !end.load(Ordering::SeqCst) {
                    stream.write_all(&trip.to_le_bytes()).await.unwrap();
                    let mut answer = [0; 4];
                    stream.read_exact(&mut answer).await.unwrap();
                    assert_eq!(answer, trip.to_le_bytes());
                    trip = trip.wrapping_add(7);
                    trips.add();
                }
            }));
        }
        clients
    });
    for _ in 0..20 {
        for size in [16, 1, 5, 2, 1] {
            let before = trips.get();
            runtime.resize(size).wait().unwrap();
            until(|| trips.get() > before + 32);
        }
    }
    end.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| runtime.block_on(client).unwrap());
}

// ----------------------------------------------------------------------------------------------------------- timers

/// Each worker's wheel has a timer; afterwards there is one worker.
#[test]
fn timers_of_leavers_fire() {
    for wait in [0, 1, 20, 50] {
        let runtime = workers(8);
        let wait = Duration::from_millis(wait);
        let sleepers = one_each(&runtime, 8, |_| async move {
            let begun = Instant::now();
            sleep(wait).await;
            begun.elapsed()
        });
        runtime.resize(1).wait().unwrap();
        for sleeper in sleepers {
            assert!(runtime.block_on(sleeper).unwrap() >= wait);
        }
    }
}

/// Far timers, armed on each wheel, are reset to an earlier time or dropped after their worker has left.
#[test]
fn timers_of_leavers_are_reset_and_cancelled() {
    for back in [1, 8] {
        let runtime = workers(8);
        let (armed, left) = (Count::new(), Door::new());
        let sleepers = one_each(&runtime, 8, |nth| {
            let (armed, left) = (armed.clone(), left.clone());
            async move {
                let mut far = pin!(sleep(Duration::from_secs(3600)));
                let first = std::future::poll_fn(|cx| Poll::Ready(far.as_mut().poll(cx))).await;
                assert!(first.is_pending());
                armed.add();
                left.opened().await;
                if nth % 2 == 0 {
                    far.as_mut().reset(Instant::now() + Duration::from_millis(2));
                    far.await;
                }
            }
        });
        until(|| armed.get() == 8);
        runtime.resize(1).wait().unwrap();
        // In the second round their seats have been taken again.
        runtime.resize(back).wait().unwrap();
        left.open();
        sleepers.into_iter().for_each(|sleeper| runtime.block_on(sleeper).unwrap());
    }
}

/// A worker that comes takes its seat's timers back, which whoever sleeps in the reactor had kept.
#[test]
fn timers_find_their_keeper_whoever_comes_and_goes() {
    let runtime = workers(8);
    let mut sleepers = Vec::new();
    for round in 0..30 {
        let size = runtime.worker_threads();
        sleepers.extend(one_each(&runtime, size, |nth| {
            let wait = Duration::from_millis(((nth * 7 + round * 3) % 40) as u64);
            async move {
                let begun = Instant::now();
                sleep(wait).await;
                assert!(begun.elapsed() >= wait);
            }
        }));
        runtime.resize([1, 8, 3, 16, 2][round % 5]).wait().unwrap();
    }
    sleepers.into_iter().for_each(|sleeper| runtime.block_on(sleeper).unwrap());
}

// ------------------------------------------------------------------------------------------------ who resizes, and when

/// Every change follows the one before, whoever made it, and everybody learns of his own.
#[test]
fn two_threads_resize_at_once() {
    let heard: Arc<Mutex<Vec<Resized>>> = Arc::default();
    let hook = Arc::clone(&heard);
    let runtime = builder(4).after_resize(move |resized| hook.lock().unwrap().push(resized)).build().unwrap();
    let threads: Vec<_> = (0..2_usize)
        .map(|thread| {
            let handle = runtime.handle().clone();
            let resize = move |nth: usize| {
                let size = (nth * 7 + thread * 5) % 16 + 1;
                let resized = handle.resize(size).wait().unwrap();
                assert_eq!(resized.to, size);
                resized
            };
            thread::spawn(move || (0..300).map(resize).collect::<Vec<_>>())
        })
        .collect();
    let told: Vec<Resized> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    // Whoever resized last may have left the last news to the other one: all have been told when both are back.
    let heard = heard.lock().unwrap().clone();
    let mut size = 4;
    for (nth, resized) in heard.iter().enumerate() {
        assert_eq!((resized.from, resized.version), (size, nth as u64 + 1), "{heard:?}");
        assert_ne!(resized.to, size);
        size = resized.to;
    }
    let changes: Vec<_> =
        told.iter().filter(|resized| resized.from != resized.to).map(|resized| resized.version).collect();
    assert_eq!(changes.len(), heard.len());
    for resized in told {
        match resized.version {
            0 => assert_eq!((resized.from, resized.to), (4, 4)),
            version if resized.from == resized.to => assert_eq!(heard[version as usize - 1].to, resized.to),
            version => assert_eq!(heard[version as usize - 1], resized),
        }
    }
    assert_eq!(runtime.resize(size).wait().unwrap().version, heard.len() as u64);
    assert_eq!(runtime.worker_threads(), size);
    all_at_once(&runtime, size);
}

/// Every worker's task asks for one worker, and awaits it: the one that stays, and those that leave under their tasks.
#[test]
fn tasks_resize_and_await_that_their_worker_leaves() {
    for _ in 0..50 {
        let runtime = workers(4);
        let tasks = one_each(&runtime, 4, |_| async { Handle::current().resize(1).await.unwrap() });
        let mut resized: Vec<_> = tasks.into_iter().map(|task| parts(runtime.block_on(task).unwrap())).collect();
        resized.sort();
        assert_eq!(resized, [(1, 1, 1), (1, 1, 1), (1, 1, 1), (4, 1, 1)]);
        assert_eq!(runtime.worker_threads(), 1);
    }
}

/// The hook's own resize is carried out at once, and heard of after this one.
#[test]
fn a_hook_resizes_and_waits() {
    let (place, heard) = (Place::default(), Arc::new(Mutex::new(Vec::new())));
    let (handle, hook) = (place.clone(), Arc::clone(&heard));
    let runtime = builder(1)
        .after_resize(move |resized| {
            hook.lock().unwrap().push(parts(resized));
            if resized.to > 2 {
                assert_eq!(parts(handle.get().unwrap().resize(2).wait().unwrap()), (4, 2, 2));
            }
        })
        .build()
        .unwrap();
    place.set(&runtime);
    assert_eq!(parts(runtime.resize(4).wait().unwrap()), (1, 4, 1));
    assert_eq!(*heard.lock().unwrap(), [(1, 4, 1), (4, 2, 2)]);
    assert_eq!(runtime.worker_threads(), 2);
}

#[test]
fn a_hook_that_panics_is_called_again() {
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

/// The naming function is called while the threads are being started: what it asks for comes next.
#[test]
fn threads_are_named_by_seat_and_version() {
    let place = Place::default();
    let handle = place.clone();
    let runtime = builder(2)
        .thread_name_with(move |at| {
            if at.version == 1 {
                drop(handle.get().unwrap().resize(5));
            }
            if at.version == 2 && at.seat == 4 {
                panic!("a naming function's panic");
            }
            format!("v{} s{}", at.version, at.seat)
        })
        .build()
        .unwrap();
    place.set(&runtime);
    assert_eq!(parts(runtime.resize(4).wait().unwrap()), (2, 4, 1));
    assert_eq!(runtime.worker_threads(), 5);
    let name = || thread::current().name().map(str::to_owned);
    let named = one_each(&runtime, 5, |_| async move { name() });
    let mut names: Vec<_> = named.into_iter().map(|task| runtime.block_on(task).unwrap().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["heist-worker", "v0 s0", "v0 s1", "v1 s2", "v1 s3"]);
}

/// What the hooks of a runtime know of it.
#[derive(Clone, Default)]
struct Place(Arc<Mutex<Option<Handle>>>);

impl Place {
    fn set(&self, runtime: &Runtime) {
        *self.0.lock().unwrap() = Some(runtime.handle().clone());
    }

    /// Nothing while the runtime is being built.
    fn get(&self) -> Option<Handle> {
        self.0.lock().unwrap().clone()
    }
}

/// Each way to wait for a resize on this thread; what the panics say.
fn wait_in_each_way(handle: &Handle, size: usize) -> [String; 3] {
    [
        panic_text(|| handle.resize(size).wait()),
        panic_text(|| handle.block_on(handle.resize(size))),
        panic_text(|| futures::executor::block_on(handle.resize(size))),
    ]
}

/// The next order begins when the function has returned: it would wait for itself, and no resize would be made any more.
#[test]
fn a_naming_function_that_waits_for_a_resize_panics() {
    let (place, texts) = (Place::default(), Arc::new(Mutex::new(Vec::new())));
    let (handle, said) = (place.clone(), Arc::clone(&texts));
    let runtime = builder(1)
        .thread_name_with(move |at| {
            if at.version == 1 && at.seat == 1 {
                said.lock().unwrap().extend(wait_in_each_way(&handle.get().unwrap(), 5));
            }
            format!("seat {}", at.seat)
        })
        .build()
        .unwrap();
    place.set(&runtime);
    assert_eq!(parts(runtime.resize(3).wait().unwrap()), (1, 3, 1));
    let texts = texts.lock().unwrap();
    assert_eq!(texts.len(), 3);
    texts.iter().for_each(|text| says(text, &["function that names threads", "drop it", "thread of its own"]));
    // They have taken effect all the same, and the next one does.
    assert_eq!(runtime.worker_threads(), 5);
    all_at_once(&runtime, 5);
    assert_eq!(parts(runtime.resize(2).wait().unwrap()), (5, 2, 3));
}

/// What it waits for may be that this very worker leaves.
#[test]
fn a_start_hook_that_waits_for_a_resize_panics() {
    let (place, texts) = (Place::default(), Arc::new(Mutex::new(Vec::new())));
    let (handle, said) = (place.clone(), Arc::clone(&texts));
    let hook = move || {
        if let Some(handle) = handle.get() {
            let texts = wait_in_each_way(&handle, 1);
            said.lock().unwrap().extend(texts);
        }
    };
    let runtime = builder(1).on_thread_start(hook).build().unwrap();
    all_at_once(&runtime, 1);
    place.set(&runtime);
    drop(runtime.resize(4));
    until(|| texts.lock().unwrap().len() == 9);
    texts.lock().unwrap().iter().for_each(|text| says(text, &["`on_thread_start` hook", "has to leave", "drop it"]));
    until(|| runtime.worker_threads() == 1);
    all_at_once(&runtime, 1);
}

/// Its worker has left its seat, and whatever seat it asks for, or asks others to leave, it is waited for by nobody.
#[test]
fn a_stop_hook_waits_for_a_resize() {
    for size in [1, 2, 3] {
        let (place, outcomes) = (Place::default(), Arc::new(Mutex::new(Vec::new())));
        let (handle, said) = (place.clone(), Arc::clone(&outcomes));
        let both_have_left = Door::new();
        let left = both_have_left.clone();
        let hook = move || {
            let handle = handle.get().unwrap();
            // Else the one would be taken back by the other.
            left.wait();
            said.lock().unwrap().push(handle.resize(size).wait());
            said.lock().unwrap().push(handle.block_on(handle.resize(size)));
        };
        let runtime = builder(3).on_thread_stop(hook).build().unwrap();
        place.set(&runtime);
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

/// A resize in the midst of another one leaves the news to that one.
#[test]
fn a_hook_is_not_called_while_a_thread_is_named() {
    thread_local! {
        static NAMES: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    let (place, heard) = (Place::default(), Arc::new(Mutex::new(Vec::new())));
    let (handle, hook) = (place.clone(), Arc::clone(&heard));
    let runtime = builder(1)
        .thread_name_with(move |at| {
            NAMES.set(true);
            // The news of the version before have not been told.
            if at.version == 1 || at.version == 2 {
                drop(handle.get().unwrap().resize(at.version as usize + 2));
            }
            NAMES.set(false);
            at.seat.to_string()
        })
        .after_resize(move |resized| hook.lock().unwrap().push((resized.version, NAMES.get())))
        .build()
        .unwrap();
    place.set(&runtime);
    runtime.resize(2).wait().unwrap();
    assert_eq!(runtime.worker_threads(), 4);
    assert_eq!(*heard.lock().unwrap(), [(1, false), (2, false), (3, false)]);
}

/// With all the time to wait: each of the threads would wait for itself.
#[test]
fn a_runtime_that_is_dropped_in_a_hook_does_not_wait() {
    type Slot = Arc<Mutex<Option<Runtime>>>;
    let take = |slot: &Slot, dropped: &Count| {
        let runtime = slot.lock().unwrap().take();
        if let Some(runtime) = runtime {
            drop(runtime);
            dropped.add();
        }
    };
    for place in ["name", "start", "stop", "after"] {
        let (slot, dropped) = (Slot::default(), Count::new());
        let hook = |at: &'static str| {
            let (slot, dropped) = (Arc::clone(&slot), dropped.clone());
            move || {
                if place == at {
                    take(&slot, &dropped)
                }
            }
        };
        let (name, after) = (hook("name"), hook("after"));
        let runtime = builder(2)
            .shutdown_grace(Duration::MAX)
            .thread_name_with(move |at| {
                name();
                at.seat.to_string()
            })
            .on_thread_start(hook("start"))
            .on_thread_stop(hook("stop"))
            .after_resize(move |_| after())
            .build()
            .unwrap();
        all_at_once(&runtime, 2);
        let handle = runtime.handle().clone();
        *slot.lock().unwrap() = Some(runtime);
        let outcome = handle.resize(if place == "stop" { 1 } else { 3 }).wait();
        assert!(!matches!(&outcome, Ok(resized) if resized.version != 1), "{outcome:?}");
        until(|| dropped.get() == 1);
        assert!(matches!(handle.resize(1).wait(), Err(ResizeError::ShutDown)));
    }
}

#[test]
fn a_dropped_resize_takes_effect() {
    let runtime = workers(1);
    drop(runtime.resize(6));
    all_at_once(&runtime, 6);
    // Polled once, and dropped with a waker in it.
    let go = Door::new();
    let blocked = one_each(&runtime, 6, |_| {
        let go = go.clone();
        async move { go.wait() }
    });
    let count = Count::new();
    let waker = Waker::from(Arc::new(CountingWaker(count.clone())));
    let mut resize = Box::pin(runtime.resize(2));
    assert!(resize.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(resize);
    go.open();
    blocked.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    until(|| runtime.worker_threads() == 2);
    assert_eq!(count.get(), 0, "whoever has dropped it is not woken");
    all_at_once(&runtime, 2);
}

struct CountingWaker(Count);

impl std::task::Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.add();
    }
}

/// Workers in a poll cannot leave. A later order takes them back, and nobody waits for them any more; or they leave in the end.
#[test]
fn those_that_have_not_left_are_taken_back() {
    let runtime = builder(4).thread_name_with(|at| format!("v{}", at.version)).build().unwrap();
    for back in [2, 4] {
        runtime.resize(4).wait().unwrap();
        let go = Door::new();
        let begun = Count::new();
        let blocked = one_each(&runtime, 4, |_| {
            let (go, begun) = (go.clone(), begun.clone());
            async move {
                begun.add();
                go.wait();
            }
        });
        until(|| begun.get() == 4);
        let mut down = Box::pin(runtime.resize(1));
        let waker = Waker::noop();
        assert!(down.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        assert_eq!(runtime.worker_threads(), 4, "nobody has left");
        let mut up = Box::pin(runtime.resize(back));
        let taken_back = back == 4;
        assert_eq!(down.as_mut().poll(&mut Context::from_waker(waker)).is_ready(), taken_back);
        assert_eq!(up.as_mut().poll(&mut Context::from_waker(waker)).is_ready(), taken_back);
        go.open();
        blocked.into_iter().for_each(|task| runtime.block_on(task).unwrap());
        if !taken_back {
            assert_eq!(parts(runtime.block_on(down).unwrap()), (4, 1, 1));
            assert_eq!(parts(runtime.block_on(up).unwrap()), (1, 2, 2));
        }
        assert_eq!(runtime.worker_threads(), back);
        all_at_once(&runtime, back);
    }
    // The threads of the seats that were never left are those that came with the runtime, or with the third version.
    let names = one_each(&runtime, 4, |_| async { thread::current().name().map(str::to_owned).unwrap() });
    let mut names: Vec<_> = names.into_iter().map(|task| runtime.block_on(task).unwrap()).collect();
    names.sort();
    assert_eq!(names, ["v0", "v0", "v3", "v3"]);
}

// ---------------------------------------------------------------------------------------------------------- refusals

fn no_thread() -> io::Error {
    io::Error::new(io::ErrorKind::WouldBlock, "no more threads")
}

/// Refused at each of the threads in turn: the runtime goes on with those that it got, and a later resize works.
#[test]
fn a_refused_thread_leaves_the_runtime_at_the_size_that_was_reached() {
    for nth in 1..6 {
        let limit = Arc::new(AtomicUsize::new(nth));
        let news: Arc<Mutex<Vec<_>>> = Arc::default();
        let (seen, hook) = (Arc::clone(&limit), Arc::clone(&news));
        let runtime = builder(1)
            .refuse_worker(move |seat| (seat >= seen.load(Ordering::SeqCst)).then(no_thread))
            .after_resize(move |resized| hook.lock().unwrap().push(parts(resized)))
            .build()
            .unwrap();
        let error = runtime.resize(6).wait().unwrap_err();
        let ResizeError::Refused { asked: 6, resized, error } = error else { panic!("{error:?}") };
        let version = u64::from(nth > 1);
        assert_eq!(parts(resized), (1, nth, version));
        assert_eq!(error.to_string(), "no more threads");
        assert_eq!(runtime.worker_threads(), nth);
        all_at_once(&runtime, nth);
        limit.store(100, Ordering::SeqCst);
        assert_eq!(parts(runtime.resize(6).wait().unwrap()), (nth, 6, version + 1));
        all_at_once(&runtime, 6);
        let expected = [(1, nth, 1), (nth, 6, version + 1)];
        assert_eq!(*news.lock().unwrap(), expected[usize::from(nth == 1)..]);
    }
}

/// The worker of the highest seat has not left yet and is taken back, then a thread below it is refused: it is asked again.
#[test]
fn a_gap_is_not_left_open() {
    let refuse = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&refuse);
    let runtime = builder(4)
        .thread_name_with(|at| at.seat.to_string())
        .refuse_worker(move |_| seen.load(Ordering::SeqCst).then(no_thread))
        .build()
        .unwrap();
    let (go, begun) = (Door::new(), Count::new());
    let tasks = one_each(&runtime, 4, |_| {
        let (go, begun) = (go.clone(), begun.clone());
        async move {
            begun.add();
            if thread::current().name() == Some("3") {
                go.wait();
            }
        }
    });
    until(|| begun.get() == 4);
    let down = runtime.resize(1);
    until(|| runtime.worker_threads() == 2);
    refuse.store(true, Ordering::SeqCst);
    let error = runtime.resize(4).wait().unwrap_err();
    let ResizeError::Refused { asked: 4, resized, .. } = error else { panic!("{error:?}") };
    assert_eq!(parts(resized), (1, 1, 1));
    assert_eq!(parts(down.wait().unwrap()), (4, 1, 1), "it had been taken back for a moment");
    go.open();
    until(|| runtime.worker_threads() == 1);
    tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    refuse.store(false, Ordering::SeqCst);
    assert_eq!(parts(runtime.resize(3).wait().unwrap()), (1, 3, 2));
    all_at_once(&runtime, 3);
}

/// The text has to contain all of it.
#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
    assert!(!text.contains('\n'), "one message, on one line: {text:?}");
}

#[test]
fn errors_name_the_remedy() {
    let runtime = builder(2).refuse_worker(|seat| (seat > 2).then(no_thread)).build().unwrap();
    let refused = |size: usize| runtime.resize(size).wait().unwrap_err();
    assert!(matches!(refused(0), ResizeError::Zero));
    says(&refused(0).to_string(), &["resize(0)", "at least one worker", "drop the `Runtime`"]);
    assert!(matches!(refused(17), ResizeError::AboveMaximum { asked: 17, most: 16 }));
    says(&refused(usize::MAX).to_string(), &["at most 16 workers", "max_worker_threads"]);
    says(
        &refused(5).to_string(),
        &["resize(5)", "no more threads", "goes on with 3 worker", "ulimit -u", "resize again"],
    );
    assert_eq!(runtime.worker_threads(), 3);
    let handle = runtime.handle().clone();
    drop(runtime);
    let ended = handle.resize(1).wait().unwrap_err();
    assert!(matches!(ended, ResizeError::ShutDown));
    says(&ended.to_string(), &["has ended", "while its `Runtime` lives"]);
    let single = Builder::new_current_thread().max_worker_threads(4).build().unwrap();
    let error = single.block_on(async { Handle::current().resize(1).await.unwrap_err() });
    assert!(matches!(error, ResizeError::CurrentThread));
    says(&error.to_string(), &["current-thread", "new_multi_thread"]);
    assert_eq!(single.worker_threads(), 1);
}

#[test]
fn limits_are_checked_by_the_builder() {
    let builder = Builder::new_multi_thread;
    says(&panic_text(|| builder().max_worker_threads(0).build()), &["max_worker_threads(0)", "at least one"]);
    let below = builder().worker_threads(4).max_worker_threads(3).build().unwrap_err();
    says(&below.to_string(), &["max_worker_threads(3)", "number of worker threads, 4", "raise it"]);
    let above = builder().max_worker_threads(100_000).build().unwrap_err();
    says(&above.to_string(), &["100000", "at most 16384", "several runtimes"]);
    let runtime = builder().worker_threads(1).build().unwrap();
    assert!(matches!(runtime.resize(1 << 14).wait(), Err(ResizeError::AboveMaximum { most: 64.., .. })));
}

#[test]
fn waiting_inside_of_async_code_panics() {
    let runtime = workers(2);
    let text = runtime.block_on(async { panic_text(|| Handle::current().resize(1).wait()) });
    says(&text, &["Resize::wait", "async code", ".await", "spawn_blocking"]);
    // It has taken effect all the same.
    until(|| runtime.worker_threads() == 1);
    let waited = runtime.block_on(runtime.spawn_blocking({
        let handle = runtime.handle().clone();
        move || handle.resize(3).wait()
    }));
    assert_eq!(parts(waited.unwrap().unwrap()), (1, 3, 2));
}

// ---------------------------------------------------------------------------------------------------------- the end

/// A worker that cannot leave is waited for until the runtime ends, and no longer.
#[test]
fn the_end_of_the_runtime_ends_the_wait() {
    let runtime = workers(2);
    let (go, begun) = (Door::new(), Count::new());
    let _blocked = one_each(&runtime, 2, |_| {
        let (go, begun) = (go.clone(), begun.clone());
        async move {
            begun.add();
            go.wait();
        }
    });
    until(|| begun.get() == 2);
    let waiting = [runtime.resize(1), runtime.resize(1)].map(|resize| thread::spawn(move || resize.wait()));
    let forgotten = runtime.resize(1);
    runtime.shutdown_background();
    for waiting in waiting {
        assert!(matches!(waiting.join().unwrap(), Err(ResizeError::ShutDown)));
    }
    assert!(matches!(forgotten.wait(), Err(ResizeError::ShutDown)));
    go.open();
}

/// Threads resize while the runtime ends. Nobody hangs, and every task ends.
#[test]
fn a_storm_of_resizes_at_the_end() {
    for round in 0..60 {
        let runtime = workers(4);
        let dropped = Count::new();
        for _ in 0..100 {
            let count = dropped.on_drop();
            runtime.spawn(async move {
                let _count = count;
                loop {
                    sleep(Duration::from_micros(50)).await;
                    yield_now().await;
                }
            });
        }
        let threads: Vec<_> = (0..2_usize)
            .map(|thread| {
                let handle = runtime.handle().clone();
                thread::spawn(move || {
                    for nth in 0.. {
                        match handle.resize((nth * 5 + thread * 3) % 8 + 1).wait() {
                            Ok(_) => {}
                            Err(ResizeError::ShutDown) => return,
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
            .collect();
        for _ in 0..round {
            runtime.block_on(runtime.spawn(yield_now())).unwrap();
        }
        drop(runtime);
        assert_eq!(dropped.get(), 100);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// A thread that is being started when the runtime ends is waited for to its last destructor, like those that were there.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn threads_that_come_at_the_end_are_gone_with_the_runtime() {
    type Last = kit::OnDrop<Box<dyn FnOnce()>>;
    thread_local! {
        static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }
    for round in 0..300 {
        let (started, gone) = (Count::new(), Count::new());
        let (start, go) = (started.clone(), gone.clone());
        let hook = move || {
            start.add();
            let go = go.clone();
            let last = Box::new(move || {
                (0..10).for_each(|_| thread::yield_now());
                go.add();
            });
            LAST.set(Some(kit::OnDrop::new(last)));
        };
        let runtime = builder(1).on_thread_start(hook).build().unwrap();
        let handle = runtime.handle().clone();
        let begun = Door::new();
        let begin = begun.clone();
        let resizer = thread::spawn(move || {
            begin.open();
            drop(handle.resize(6));
        });
        begun.wait();
        (0..round % 20).for_each(|_| thread::yield_now());
        drop(runtime);
        assert_eq!(gone.get(), started.get());
        resizer.join().unwrap();
    }
}

/// Tasks whose home seat is vacant end with the runtime, also if a poll elsewhere does not return.
#[test]
fn tasks_at_home_in_vacant_seats_end_with_the_runtime() {
    let runtime = workers(4);
    let (begun, dropped) = (Count::new(), Count::new());
    let _sleepers = one_each(&runtime, 4, |_| {
        let (begun, count) = (begun.clone(), dropped.on_drop());
        async move {
            let _count = count;
            begun.add();
            sleep(Duration::from_secs(3600)).await;
        }
    });
    until(|| begun.get() == 4);
    runtime.resize(2).wait().unwrap();
    let (go, stuck) = (Door::new(), Count::new());
    let block = (go.clone(), stuck.clone());
    runtime.spawn(async move {
        block.1.add();
        block.0.wait();
    });
    until(|| stuck.get() == 1);
    runtime.shutdown_background();
    // Of the four homes one may be the stuck worker's.
    until(|| dropped.get() >= 3);
    go.open();
    until(|| dropped.get() == 4);
}

/// A thread that has left its seat runs the destructors of its thread-locals, which are user code, in no runtime.
#[test]
fn a_leaver_s_thread_locals_are_dropped_outside_of_the_runtime() {
    type Last = kit::OnDrop<Box<dyn FnOnce()>>;
    thread_local! {
        static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }
    let runtime = workers(4);
    let run = Count::new();
    let tasks = one_each(&runtime, 4, |_| {
        let (handle, run) = (runtime.handle().clone(), run.clone());
        async move {
            let last = Box::new(move || {
                assert!(Handle::try_current().is_err());
                drop(handle.resize(1));
                handle.spawn(async move { run.add() });
            });
            LAST.set(Some(kit::OnDrop::new(last)));
        }
    });
    tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    runtime.resize(1).wait().unwrap();
    until(|| run.get() == 3);
    drop(runtime);
    assert_eq!(run.get(), 3, "the last one is refused");
}

// ------------------------------------------------------------------------------------------------------- many steps

/// Up and down, sixteen hundred times, or a hundred thousand if HEIST_STRESS is set: no thread, no file and no memory is left behind.
#[test]
#[cfg(target_os = "linux")]
fn many_steps_leave_nothing_behind() {
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    kit::alone("many_steps_leave_nothing_behind", None, || {
        let steps = if std::env::var_os("HEIST_STRESS").is_some() { 100_000 } else { 1_600 };
        let runtime = workers(1);
        // A timer that is handed to and fro, and a task at home in a seat that comes and goes.
        runtime.resize(4).wait().unwrap();
        let far = one_each(&runtime, 4, |_| sleep(Duration::from_secs(3600)));
        let mut before = (0, 0, 0);
        for step in 0..=steps {
            assert_eq!(runtime.resize([1, 4, 2, 3][step % 4]).wait().unwrap().version, step as u64 + 2);
            if step == 0 || step == steps / 4 || step == steps {
                assert_eq!(runtime.resize(1).wait().unwrap().to, 1);
                // The harness has two threads, and one that has left its seat may not have ended yet.
                until(|| count("task") == 3);
                before = match before {
                    (0, 0, 0) => (count("task"), count("fd"), 0),
                    (threads, files, 0) => (threads, files, resident()),
                    (threads, files, memory) => {
                        assert_eq!((threads, files), (count("task"), count("fd")));
                        assert!(resident() < memory + (4 << 20), "{memory} bytes, then {}", resident());
                        (threads, files, memory)
                    }
                };
            }
        }
        assert!(far.iter().all(|sleeper| !sleeper.is_finished()));
    });
}
