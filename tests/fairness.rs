//! Nobody starves: the bounds that `docs/fairness.md` derives, held against adversaries. Polls are
//! counted, not seconds.

#[path = "support/kit.rs"]
mod kit;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Activity, Builder, Handle, Runtime};
use kit::{Count, current_thread, each, yield_now};

// The constants of `docs/fairness.md`.
const ROUND: usize = 3 + 1 + 1;
const RING: usize = 256;
const HALF: usize = RING / 2;
const LOOK: usize = 61;
const CHECKPOINT: usize = 1024;

/// After at most so many polls of its worker a task that has been queued is polled, among `tasks`.
fn queued(tasks: usize, workers: usize, lanes: usize) -> usize {
    let thinning = (workers as f64 * ((tasks + 1) as f64).ln()).ceil() as usize + 1;
    // With several lanes: what is left of one, the others, and its own.
    let visits = if lanes == 1 { 1 } else { lanes + 1 };
    ROUND * RING + 2 * LOOK + visits * (ROUND * (tasks + 1) + LOOK * thinning) + ROUND * HALF
}

/// Counts the polls of each of `tasks` that are always ready until all together have had `polls`;
/// answers the longest time, in polls of all, for which one of them has waited.
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
    for (interval, lanes) in [(1, 1), (2, 1), (7, 1), (61, 1), (1, 4), (61, 4)] {
        for tasks in [200, 257, 300, 1000] {
            let mut builder = Builder::new_current_thread();
            builder.event_interval(interval).global_queue_interval(interval).queue_lanes(lanes);
            let runtime = builder.build().unwrap();
            let longest = runtime.block_on(longest_wait(tasks, 40 * tasks));
            // A turn, and what the page allows for on top of it.
            assert!(
                longest <= 2 * tasks + 512,
                "{tasks} tasks, interval {interval}, {lanes} lanes: one has waited for {longest} polls"
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

/// Counts turns: one is over when each worker has made `length` polls since the last one was. With
/// one worker and a length of one these are polls. With two, on a machine with few processors,
/// either may stand still with a victim in its hands, or with the reactor, while the other polls as
/// much as it likes; a turn leaves that out.
struct Turns {
    length: usize,
    state: Mutex<(usize, Vec<usize>)>,
}

impl Turns {
    fn new(workers: usize, length: usize) -> Arc<Turns> {
        Arc::new(Turns { length, state: Mutex::new((0, vec![0; workers])) })
    }

    fn now(&self) -> usize {
        self.state.lock().unwrap().0
    }

    /// This thread is worker number `worker`.
    fn enlist(self: &Arc<Self>, worker: usize) {
        ME.set(Some((worker, Arc::clone(self))));
    }
}

thread_local! {
    static ME: RefCell<Option<(usize, Arc<Turns>)>> = const { RefCell::new(None) };
}

/// Counts a poll. Answers the turn in which it happened.
fn polled() -> usize {
    ME.with_borrow(|me| {
        let (worker, turns) = me.as_ref().expect("polled on a worker");
        let mut state = turns.state.lock().unwrap();
        let (turn, polls) = &mut *state;
        let now = *turn;
        polls[*worker] += 1;
        if polls.iter().all(|polls| *polls >= turns.length) {
            *turn += 1;
            polls.fill(0);
        }
        now
    })
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

/// Keeps the global queue full: spawns from outside as long as fewer than `most` of those tasks are
/// there.
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
    polls: mpsc::Receiver<usize>,
}

impl Woken {
    fn spawn() -> Woken {
        let (send, polls) = mpsc::channel();
        let waker = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&waker);
        drop(heist::spawn(poll_fn(move |cx| {
            *slot.lock().unwrap() = Some(cx.waker().clone());
            if send.send(polled()).is_ok() { Poll::Pending } else { Poll::Ready(()) }
        })));
        Woken { waker, polls }
    }
}

/// What the judge asks of the runtime. Each answer says when the victim was polled.
struct Judge {
    handle: Handle,
    turns: Arc<Turns>,
    woken: Woken,
    socket: std::net::TcpStream,
    /// The victim's end of it, which the judge may look at.
    end: std::net::TcpStream,
    read: mpsc::Receiver<usize>,
}

impl Judge {
    // The turn is looked up after the deed: a thread that is held up in between makes the wait look
    // shorter, never longer.

    fn wake(&self) -> usize {
        self.woken.waker.lock().unwrap().clone().unwrap().wake();
        let from = self.turns.now();
        self.woken.polls.recv().unwrap().saturating_sub(from)
    }

    fn spawn(&self) -> usize {
        let (send, receive) = mpsc::channel();
        drop(self.handle.spawn(async move {
            send.send(polled()).unwrap();
        }));
        let from = self.turns.now();
        receive.recv().unwrap().saturating_sub(from)
    }

    fn write(&mut self) -> usize {
        self.socket.write_all(b"x").unwrap();
        // The kernel may deliver it when it likes. Once it is there, or has been read already, the
        // runtime has an event.
        let (from, read) = loop {
            let there = self.end.peek(&mut [0]).is_ok();
            let from = self.turns.now();
            match self.read.try_recv() {
                Ok(read) => break (from, Some(read)),
                Err(_) if there => break (from, None),
                Err(_) => thread::yield_now(),
            }
        };
        let waited = read.unwrap_or_else(|| self.read.recv().unwrap()).saturating_sub(from);
        self.socket.read_exact(&mut [0]).unwrap();
        waited
    }

    fn time(&self) -> usize {
        let (send, receive) = mpsc::channel();
        let at = heist::time::Instant::now() + Duration::from_millis(1);
        drop(self.handle.spawn(async move {
            heist::time::sleep_until(at).await;
            send.send(polled()).unwrap();
        }));
        // A timer fires at the end of its tick of 2^15 nanoseconds.
        while heist::time::Instant::now() < at + Duration::from_nanos(1 << 15) {
            thread::yield_now();
        }
        let from = self.turns.now();
        receive.recv().unwrap().saturating_sub(from)
    }
}

/// Echoes bytes, and says when it was polled for each.
async fn echo(mut stream: TcpStream, read: mpsc::Sender<usize>) {
    let mut byte = [0];
    while stream.read(&mut byte).await.is_ok_and(|n| n == 1) {
        let _ = read.send(polled());
        stream.write_all(&byte).await.unwrap();
    }
}

const READY: usize = 300;
const PAIRS: usize = 8;
const FLOOD: usize = 300;
const TASKS: usize = READY + 2 * PAIRS + FLOOD + 4;

/// Ping-pong pairs, more ready tasks than a ring holds, and a full global queue, against one task
/// that is woken, one that is spawned, one at a socket and one at a timer.
fn adversaries(runtime: &Runtime, turns: Arc<Turns>, bounds: [usize; 4]) {
    const ROUNDS: usize = 25;
    let stop = Arc::new(AtomicBool::new(false));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (end, _) = listener.accept().unwrap();
    end.set_nonblocking(true).unwrap();
    let (say_read, read) = mpsc::channel();
    let (handle, guard) = (runtime.handle().clone(), runtime.enter());
    let woken = Woken::spawn();
    drop(heist::spawn(echo(TcpStream::from_std(end.try_clone().unwrap()).unwrap(), say_read)));
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
    let mut judge = Judge { handle, turns, woken, socket, end, read };
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
    eprintln!("woken, spawned, at a socket, at a timer: {longest:?} of {bounds:?}");
    assert!(longest.iter().zip(bounds).all(|(longest, bound)| *longest <= bound), "{longest:?} above {bounds:?}");
}

/// One event and one timer are handed out at the first checkpoint that comes to them.
fn in_polls(workers: usize, lanes: usize, shards: usize) -> [usize; 4] {
    let bound = queued(TASKS, workers, lanes);
    [bound, bound, CHECKPOINT * shards.min(workers) + bound, CHECKPOINT + bound]
}

#[test]
fn adversaries_on_a_current_thread_runtime() {
    let turns = Turns::new(1, 1);
    turns.enlist(0);
    adversaries(&current_thread(), turns, in_polls(1, 1, 1));
}

fn runtime(turns: &Arc<Turns>, workers: usize, lanes: usize, shards: usize) -> Runtime {
    let (next, turns) = (AtomicUsize::new(0), Arc::clone(turns));
    let mut builder = Builder::new_multi_thread();
    // The watchdog starts after the workers, and polls nothing.
    let enlist = move || turns.enlist(next.fetch_add(1, Ordering::SeqCst));
    // Nor is there a spare: one of many threads on few processors may well have to wait for a lock
    // of this test.
    builder.queue_lanes(lanes).reactor_shards(shards).max_spare_workers(0);
    builder.worker_threads(workers).enable_all().on_thread_start(enlist).build().unwrap()
}

#[test]
fn adversaries_on_one_worker() {
    let turns = Turns::new(1, 1);
    adversaries(&runtime(&turns, 1, 1, 1), turns, in_polls(1, 1, 1));
}

/// One worker has all lanes and all shards to see to.
#[test]
fn adversaries_on_one_worker_with_several_lanes_and_shards() {
    for lanes in [2, 4, 8] {
        let turns = Turns::new(1, 1);
        adversaries(&runtime(&turns, 1, lanes, 4), turns, in_polls(1, lanes, 4));
    }
}

#[test]
fn adversaries_on_two_workers_with_several_lanes_and_shards() {
    let turns = Turns::new(2, in_polls(2, 4, 4)[2]);
    adversaries(&runtime(&turns, 2, 4, 4), turns, [2 * HANDS; 4]);
}

/// A victim goes from hand to hand at most this often: wheel or reactor, ring, global queue, ring,
/// and once a thief's ring.
const HANDS: usize = 5;

/// In each turn each worker makes as many polls as a victim waits in one pair of hands, at most.
#[test]
fn adversaries_on_two_workers() {
    let turns = Turns::new(2, in_polls(2, 1, 1)[3]);
    adversaries(&runtime(&turns, 2, 1, 1), turns, [2 * HANDS; 4]);
}

// ------------------------------------------------------------------------------------------------------------
// by time

/// Two tasks that are always ready, whose polls are short; but one poll can be held.
struct Pair {
    polls: Count,
    /// The next poll is to be held.
    hold: Arc<AtomicBool>,
    held: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl Pair {
    fn spawn(handle: &Handle) -> Pair {
        let pair = Pair { polls: Count::new(), hold: Arc::default(), held: Arc::default(), stop: Arc::default() };
        for _ in 0..2 {
            let (polls, hold) = (pair.polls.clone(), Arc::clone(&pair.hold));
            let (held, stop) = (Arc::clone(&pair.held), Arc::clone(&pair.stop));
            drop(handle.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    polls.add();
                    if hold.load(Ordering::SeqCst) {
                        held.store(true, Ordering::SeqCst);
                        until(|| !hold.load(Ordering::SeqCst));
                        held.store(false, Ordering::SeqCst);
                    }
                    yield_now().await;
                }
            }));
        }
        pair
    }

    /// Lets the worker learn that polls are short, and then holds one, in which `deed` is done,
    /// until `long` says that it has lasted long enough. Answers how many polls there had been.
    fn with_a_long_poll(&self, deed: impl FnOnce(), long: impl FnOnce()) -> usize {
        let before = self.polls.get();
        until(|| self.polls.get() > before + 3_000);
        self.hold.store(true, Ordering::SeqCst);
        until(|| self.held.load(Ordering::SeqCst));
        deed();
        long();
        let polls = self.polls.get();
        self.hold.store(false, Ordering::SeqCst);
        polls
    }
}

fn until(is: impl Fn() -> bool) {
    while !is() {
        thread::yield_now();
    }
}

/// Many times a task comes from outside, or bytes do, in a poll that is long among short ones. How
/// many polls of the pair follow until somebody has seen to that, at most: to the global queue, to
/// the reactor.
fn seen_to_after(handle: &Handle, long: impl Fn()) -> [usize; 2] {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (end, _) = listener.accept().unwrap();
    end.set_nonblocking(true).unwrap();
    let pair = Pair::spawn(handle);
    let (tell, told) = mpsc::channel();
    let (theirs, polls, tells) = (end.try_clone().unwrap(), pair.polls.clone(), tell.clone());
    drop(handle.spawn(async move {
        let mut stream = TcpStream::from_std(theirs).unwrap();
        while stream.read(&mut [0]).await.is_ok_and(|n| n == 1) {
            tells.send(polls.get()).unwrap();
        }
    }));
    let mut longest = [0; 2];
    for _ in 0..30 {
        let (tell, polls) = (tell.clone(), pair.polls.clone());
        let spawn = || drop(handle.spawn(async move { tell.send(polls.get()).unwrap() }));
        let from = pair.with_a_long_poll(spawn, &long);
        longest[0] = longest[0].max(told.recv().unwrap() - from);
        let write = || {
            socket.write_all(b"x").unwrap();
            until(|| end.peek(&mut [0]).is_ok());
        };
        let from = pair.with_a_long_poll(write, &long);
        longest[1] = longest[1].max(told.recv().unwrap() - from);
    }
    pair.stop.store(true, Ordering::SeqCst);
    longest
}

/// What is ready after the poll comes behind the pair, and perhaps behind one that was looked up in
/// the global queue.
const BEHIND: usize = 4;

/// With the watchdog it is the next task boundary at which the worker looks around, whatever the
/// counts say.
#[test]
fn a_long_poll_among_short_ones_is_followed_by_a_checkpoint() {
    let runtime = Builder::new_multi_thread().worker_threads(1).max_spare_workers(0).enable_all().build().unwrap();
    // Seen twice: there was a tick.
    let a_tick = || {
        let seen = |activity| matches!(activity, Activity::Polling { since: Some(_), .. });
        until(|| seen(runtime.handle().dump().workers[0].activity));
    };
    let [queue, reactor] = seen_to_after(runtime.handle(), a_tick);
    assert!(queue <= BEHIND && reactor <= BEHIND, "{queue} and {reactor} polls");
}

/// Without it, also on a current-thread runtime, it is the next look at the global queue, which is
/// due by count alone.
#[test]
fn a_long_poll_among_short_ones_is_noticed_without_a_watchdog() {
    // Longer than the time between two checkpoints.
    let some_time = || {
        let begun = std::time::Instant::now();
        until(|| begun.elapsed() > Duration::from_millis(1));
    };
    let judge = |handle: &Handle| {
        let [queue, reactor] = seen_to_after(handle, some_time);
        assert!(queue <= LOOK + BEHIND && reactor <= LOOK + BEHIND, "{queue} and {reactor} polls");
    };
    judge(Builder::new_multi_thread().worker_threads(1).watchdog(false).enable_all().build().unwrap().handle());
    let (runtime, end) = (current_thread(), kit::Door::new());
    thread::scope(|scope| {
        let driver = scope.spawn(|| runtime.block_on(end.opened()));
        judge(runtime.handle());
        end.open();
        driver.join().unwrap();
    });
}
