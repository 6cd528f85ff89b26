//! Nobody starves: the bounds that `docs/fairness.md` derives, held against adversaries. Polls are counted, not seconds.

#[path = "support/kit.rs"]
mod kit;

use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use heist::net::TcpListener;
use heist::runtime::{Builder, Handle, Runtime};
use kit::{Count, current_thread, each, yield_now};

// The constants of `docs/fairness.md`.
const ROUND: usize = 3 + 1 + 1;
const RING: usize = 256;
const HALF: usize = RING / 2;
const LOOK: usize = 61;
const CHECKPOINT: usize = 1024;

/// After at most so many polls of its worker a task that has been queued is polled, among `tasks`.
fn queued(tasks: usize, workers: usize) -> usize {
    let thinning = (workers as f64 * ((tasks + 1) as f64).ln()).ceil() as usize + 1;
    ROUND * RING + 2 * LOOK + ROUND * (tasks + 1) + LOOK * thinning + ROUND * HALF
}

/// Counts the polls of each of `tasks` that are always ready until all together have had `polls`; answers the longest time, in
/// polls of all, for which one of them has waited.
async fn longest_wait(tasks: usize, polls: usize) -> usize {
    let all = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = (0..tasks)
        .map(|_| {
            let all = Arc::clone(&all);
            heist::spawn(async move {
                let (mut last, mut longest) = (all.load(Ordering::SeqCst), 0);
                while last < polls {
                    let now = all.fetch_add(1, Ordering::SeqCst) + 1;
                    longest = longest.max(now - last);
                    last = now;
                    yield_now().await;
                }
                longest
            })
        })
        .collect();
    let mut longest = 0;
    for handle in handles {
        longest = longest.max(handle.await.unwrap());
    }
    longest
}

/// More tasks are always ready than the ring holds, so that the others wait in the global queue.
#[test]
fn always_ready_tasks_take_turns() {
    for interval in [1, 2, 7, 61] {
        for tasks in [200, 257, 300, 1000] {
            let runtime =
                Builder::new_current_thread().event_interval(interval).global_queue_interval(interval).build().unwrap();
            let longest = runtime.block_on(longest_wait(tasks, 40 * tasks));
            // A turn, and what the page allows for on top of it.
            assert!(
                longest <= 2 * tasks + 512,
                "{tasks} tasks, interval {interval}: one has waited for {longest} polls"
            );
        }
    }
}

/// A root future that is always ready keeps neither sockets nor timers nor tasks waiting for ever.
#[test]
fn a_root_that_yields_lets_a_socket_through() {
    each(|runtime| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = thread::spawn(move || std::net::TcpStream::connect(address).unwrap());
        listener.set_nonblocking(true).unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            let task = heist::spawn(async move { listener.accept().await.unwrap() });
            while !task.is_finished() {
                yield_now().await;
            }
        });
        client.join().unwrap();
    });
}

#[test]
fn a_root_that_yields_lets_timers_through() {
    each(|runtime| {
        let handle = runtime.handle().clone();
        // Armed on a thread without a seat.
        let armed = kit::Door::new();
        let arm = armed.clone();
        let fired = thread::spawn(move || {
            let _guard = handle.enter();
            let mut sleep = Box::pin(heist::time::sleep(Duration::from_secs(3600)));
            let flag = kit::Flag::new();
            assert!(sleep.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&flag)))).is_pending());
            sleep.as_mut().reset(heist::time::Instant::now() + Duration::from_millis(2));
            arm.open();
            (flag, sleep)
        });
        armed.wait();
        let (flag, sleep) = fired.join().unwrap();
        runtime.block_on(async {
            let task = heist::spawn(heist::time::sleep(Duration::from_millis(1)));
            while !flag.is_set() || !task.is_finished() {
                yield_now().await;
            }
        });
        drop(sleep);
    });
}

/// The root of a `block_on` takes turns with the tasks of its seat.
#[test]
fn a_root_is_polled_between_any_two_tasks() {
    let runtime = current_thread();
    let polls = Count::new();
    let busy: Vec<_> = (0..300).map(|_| runtime.spawn(always_ready(polls.clone()))).collect();
    let longest = runtime.block_on(async {
        let (mut last, mut longest) = (0, 0);
        for _ in 0..5_000 {
            yield_now().await;
            longest = longest.max(polls.get() - std::mem::replace(&mut last, polls.get()));
        }
        longest
    });
    assert!(longest <= 1, "{longest}");
    assert!(polls.get() >= 2_000, "the tasks have had their turns, too");
    busy.iter().for_each(|task| task.abort());
}

async fn always_ready(polls: Count) {
    loop {
        polls.add();
        yield_now().await;
    }
}

static THREADS: AtomicUsize = AtomicUsize::new(0);
static POLLS: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];

thread_local! {
    static ME: usize = THREADS.fetch_add(1, Ordering::SeqCst);
}

/// The polls of each thread so far.
type Stamp = [usize; 64];

fn stamp() -> Stamp {
    std::array::from_fn(|thread| POLLS[thread].load(Ordering::SeqCst))
}

/// Counts a poll.
fn polled() {
    POLLS[ME.with(|me| *me)].fetch_add(1, Ordering::SeqCst);
}

/// Two tasks that wake each other, for ever; on a worker they do it over the LIFO slot.
fn ping_pong(stop: &Arc<AtomicBool>) {
    let wakers = Arc::new([Mutex::new(None::<Waker>), Mutex::new(None)]);
    for side in 0..2 {
        let (wakers, stop) = (Arc::clone(&wakers), Arc::clone(stop));
        drop(heist::spawn(poll_fn(move |cx| {
            polled();
            *wakers[side].lock().unwrap() = Some(cx.waker().clone());
            let other = wakers[1 - side].lock().unwrap().clone();
            other.into_iter().for_each(Waker::wake);
            if stop.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        })));
    }
}

/// Keeps the global queue full: spawns from outside as long as fewer than `most` of those tasks are there.
fn flood(handle: Handle, most: usize, stop: Arc<AtomicBool>) {
    let there = Arc::new(AtomicUsize::new(0));
    while !stop.load(Ordering::SeqCst) {
        if there.load(Ordering::SeqCst) >= most {
            thread::yield_now();
            continue;
        }
        there.fetch_add(1, Ordering::SeqCst);
        let there = Arc::clone(&there);
        drop(handle.spawn(async move {
            polled();
            there.fetch_sub(1, Ordering::SeqCst);
        }));
    }
}

/// A task that waits for a wake from outside, again and again, and says when it was polled.
struct Woken {
    waker: Arc<Mutex<Option<Waker>>>,
    polls: mpsc::Receiver<Stamp>,
}

impl Woken {
    fn spawn() -> Woken {
        let (send, polls) = mpsc::channel();
        let waker = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&waker);
        drop(heist::spawn(poll_fn(move |cx| {
            *slot.lock().unwrap() = Some(cx.waker().clone());
            polled();
            if send.send(stamp()).is_ok() { Poll::Pending } else { Poll::Ready(()) }
        })));
        Woken { waker, polls }
    }
}

/// What the judge asks of the runtime. Each answer says when the victim was polled.
struct Judge {
    handle: Handle,
    workers: Vec<usize>,
    woken: Woken,
    socket: std::net::TcpStream,
    read: mpsc::Receiver<Stamp>,
}

impl Judge {
    /// How many polls every worker has made between the two: on a machine with few processors one of them may stand still, with
    /// the victim in its hands or with the reactor, while another polls a lot.
    fn waited(&self, from: &Stamp, to: &Stamp) -> usize {
        self.workers.iter().map(|worker| to[*worker].saturating_sub(from[*worker])).min().unwrap()
    }

    // The stamps are taken after the deed: a thread that is held up in between makes the wait look shorter, never longer.

    fn wake(&self) -> usize {
        self.woken.waker.lock().unwrap().clone().unwrap().wake();
        let stamp = stamp();
        self.waited(&stamp, &self.woken.polls.recv().unwrap())
    }

    fn spawn(&self) -> usize {
        let (send, receive) = mpsc::channel();
        drop(self.handle.spawn(async move {
            polled();
            send.send(stamp()).unwrap();
        }));
        let stamp = stamp();
        self.waited(&stamp, &receive.recv().unwrap())
    }

    fn write(&mut self) -> usize {
        self.socket.write_all(b"x").unwrap();
        let stamp = stamp();
        let waited = self.waited(&stamp, &self.read.recv().unwrap());
        self.socket.read_exact(&mut [0]).unwrap();
        waited
    }

    fn time(&self) -> usize {
        let (send, receive) = mpsc::channel();
        let at = heist::time::Instant::now() + Duration::from_millis(1);
        drop(self.handle.spawn(async move {
            heist::time::sleep_until(at).await;
            polled();
            send.send(stamp()).unwrap();
        }));
        // A timer fires at the end of its tick of 2^15 nanoseconds.
        while heist::time::Instant::now() < at + Duration::from_nanos(1 << 15) {
            thread::yield_now();
        }
        let stamp = stamp();
        self.waited(&stamp, &receive.recv().unwrap())
    }
}

/// Echoes bytes, and says when it was polled for each.
async fn echo(listener: TcpListener, read: mpsc::Sender<Stamp>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut byte = [0];
    while stream.read(&mut byte).await.is_ok_and(|n| n == 1) {
        polled();
        let _ = read.send(stamp());
        stream.write_all(&byte).await.unwrap();
    }
}

const READY: usize = 300;
const PAIRS: usize = 8;
const FLOOD: usize = 300;
const TASKS: usize = READY + 2 * PAIRS + FLOOD + 4;

/// Ping-pong pairs, more ready tasks than a ring holds, and a full global queue, against one task that is woken, one that is
/// spawned, one at a socket and one at a timer.
fn adversaries(runtime: &Runtime, workers: Vec<usize>) {
    let bound = queued(TASKS, workers.len());
    const ROUNDS: usize = 25;
    let stop = Arc::new(AtomicBool::new(false));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (say_read, read) = mpsc::channel();
    let (handle, guard) = (runtime.handle().clone(), runtime.enter());
    let woken = Woken::spawn();
    drop(heist::spawn(echo(TcpListener::from_std(listener).unwrap(), say_read)));
    let inner = Arc::clone(&stop);
    drop(heist::spawn(async move {
        (0..PAIRS).for_each(|_| ping_pong(&inner));
        for _ in 0..READY {
            let stop = Arc::clone(&inner);
            drop(heist::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    polled();
                    yield_now().await;
                }
            }));
        }
    }));
    drop(guard);
    let (flooded, flooder) = (handle.clone(), Arc::clone(&stop));
    let flooder = thread::spawn(move || flood(flooded, FLOOD, flooder));
    let mut judge = Judge { handle, workers, woken, socket, read };
    let (finished, done) = async_channel::bounded(1);
    let judge = thread::spawn(move || {
        // Its first poll.
        judge.woken.polls.recv().unwrap();
        let mut longest = [0; 4];
        for _ in 0..ROUNDS {
            let waited = [judge.wake(), judge.spawn(), judge.write(), judge.time()];
            longest = std::array::from_fn(|victim| longest[victim].max(waited[victim]));
        }
        finished.send_blocking(longest).unwrap();
    });
    let longest = runtime.block_on(done.recv()).unwrap();
    stop.store(true, Ordering::SeqCst);
    flooder.join().unwrap();
    judge.join().unwrap();
    // One event and one timer are handed out at the first checkpoint.
    let bounds = [bound, bound, CHECKPOINT + bound, CHECKPOINT + bound];
    eprintln!("woken, spawned, at a socket, at a timer: {longest:?} of {bounds:?}");
    assert!(longest.iter().zip(bounds).all(|(longest, bound)| *longest <= bound), "{longest:?} above {bounds:?}");
}

#[test]
fn adversaries_on_a_current_thread_runtime() {
    adversaries(&current_thread(), vec![ME.with(|me| *me)]);
}

#[test]
fn adversaries_on_one_worker_and_on_two() {
    for count in [1, 2] {
        let (send, receive) = mpsc::channel();
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(count).enable_all().on_thread_start(move || send.send(ME.with(|me| *me)).unwrap());
        let runtime = builder.build().unwrap();
        adversaries(&runtime, receive.iter().take(count).collect());
    }
}
