//! Tests the bounds on waiting of `docs/fairness.md` against adversaries. They count polls, not
//! seconds.

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
const GLOBAL_CHECK: usize = 61;
const CHECKPOINT: usize = 1024;
/// Most polls of a reactor round.
const REACTOR_ROUND: usize = 256;

/// Returns D(N) for N = `tasks`: a queued task is polled after at most this many polls of its
/// worker.
fn most_polls(tasks: usize, workers: usize, lanes: usize) -> usize {
    let small_shares = (workers as f64 * ((tasks + 1) as f64).ln()).ceil() as usize + 1;
    // With several lanes: the rest of one, the others, and the task's own.
    let visits = if lanes == 1 { 1 } else { lanes + 1 };
    ROUND * RING + 2 * GLOBAL_CHECK + visits * (ROUND * (tasks + 1) + GLOBAL_CHECK * small_shares) + ROUND * HALF
}

/// Runs `tasks` that are always ready until all together have had `polls`. Returns the longest wait
/// of one of them, in polls of all.
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

/// More tasks are always ready than fit into the ring, so that the others wait in the global queue.
#[test]
fn ready_tasks_in_ring_and_global_queue_take_turns() {
    for (interval, lanes) in [(1, 1), (2, 1), (7, 1), (61, 1), (1, 4), (61, 4)] {
        for tasks in [200, 257, 300, 1000] {
            let mut builder = Builder::new_current_thread();
            builder.event_interval(interval).global_queue_interval(interval).queue_lanes(lanes);
            let runtime = builder.build().unwrap();
            let longest = runtime.block_on(longest_wait(tasks, 40 * tasks));
            // Two turns of all tasks, and two rings.
            assert!(
                longest <= 2 * tasks + 512,
                "{tasks} tasks, interval {interval}, {lanes} lanes: one task has waited for {longest} polls"
            );
        }
    }
}

/// A root future that is always ready does not starve sockets.
#[test]
fn root_that_yields_lets_socket_events_through() {
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
fn root_that_yields_lets_timers_fire() {
    each(|runtime| {
        let handle = runtime.handle().clone();
        // Arms a timer on a thread without a seat.
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
fn root_is_polled_between_any_two_tasks() {
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
    assert!(polls.get() >= 2_000, "the tasks were polled only {} times", polls.get());
    busy.iter().for_each(|task| task.abort());
}

async fn always_ready(polls: Count) {
    loop {
        polls.add();
        yield_now().await;
    }
}

/// Counts turns. A turn is over when each worker has made `length` polls since the previous turn.
/// With one worker and a length of one, turns are polls.
///
/// With two workers on few processors the kernel may stop either, while it holds a victim or the
/// reactor. Meanwhile the other makes any number of polls, which a turn does not count.
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

    /// Makes this thread the worker number `worker`.
    fn register_worker(self: &Arc<Self>, worker: usize) {
        WORKER.set(Some((worker, Arc::clone(self))));
    }
}

thread_local! {
    static WORKER: RefCell<Option<(usize, Arc<Turns>)>> = const { RefCell::new(None) };
}

/// Counts a poll. Returns the turn in which it happened.
fn count_poll() -> usize {
    WORKER.with_borrow(|entry| {
        let (worker, turns) = entry.as_ref().expect("polled on a worker");
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

/// Spawns two tasks that wake each other for ever; on a worker, over the LIFO slot.
fn spawn_ping_pong(stop: &Arc<AtomicBool>) {
    let wakers = Arc::new([Mutex::new(None::<Waker>), Mutex::new(None)]);
    for side in 0..2 {
        let (wakers, stop) = (Arc::clone(&wakers), Arc::clone(stop));
        drop(heist::spawn(poll_fn(move |cx| {
            count_poll();
            *wakers[side].lock().unwrap() = Some(cx.waker().clone());
            let other = wakers[1 - side].lock().unwrap().clone();
            other.into_iter().for_each(Waker::wake);
            if stop.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        })));
    }
}

/// Keeps the global queue full: spawns from outside while fewer than `most` of these tasks exist.
fn flood_global_queue(handle: Handle, most: usize, stop: Arc<AtomicBool>) {
    let live = Arc::new(AtomicUsize::new(0));
    while !stop.load(Ordering::SeqCst) {
        if live.load(Ordering::SeqCst) >= most {
            thread::yield_now();
            continue;
        }
        live.fetch_add(1, Ordering::SeqCst);
        let live = Arc::clone(&live);
        drop(handle.spawn(async move {
            count_poll();
            live.fetch_sub(1, Ordering::SeqCst);
        }));
    }
}

/// A task that waits for wakes from outside, and sends the turn of each of its polls.
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
            if send.send(count_poll()).is_ok() { Poll::Pending } else { Poll::Ready(()) }
        })));
        Woken { waker, polls }
    }
}

/// Gives the runtime work for a victim, and measures how many turns the victim waits.
struct Judge {
    handle: Handle,
    turns: Arc<Turns>,
    woken: Woken,
    socket: std::net::TcpStream,
    /// The victim's end of the connection, at which the judge may peek.
    end: std::net::TcpStream,
    read: mpsc::Receiver<usize>,
}

impl Judge {
    // Each method reads the turn after its action. A delay in between makes the measured wait
    // shorter, never longer.

    fn wait_of_woken(&self) -> usize {
        self.woken.waker.lock().unwrap().clone().unwrap().wake();
        let from = self.turns.now();
        self.woken.polls.recv().unwrap().saturating_sub(from)
    }

    fn wait_of_spawned(&self) -> usize {
        let (send, receive) = mpsc::channel();
        drop(self.handle.spawn(async move {
            send.send(count_poll()).unwrap();
        }));
        let from = self.turns.now();
        receive.recv().unwrap().saturating_sub(from)
    }

    fn wait_of_socket(&mut self) -> usize {
        self.socket.write_all(b"x").unwrap();
        // The kernel may delay the byte. Once it has arrived, or has been read already, the runtime
        // has an event.
        let (from, read) = loop {
            let arrived = self.end.peek(&mut [0]).is_ok();
            let from = self.turns.now();
            match self.read.try_recv() {
                Ok(read) => break (from, Some(read)),
                Err(_) if arrived => break (from, None),
                Err(_) => thread::yield_now(),
            }
        };
        let waited = read.unwrap_or_else(|| self.read.recv().unwrap()).saturating_sub(from);
        self.socket.read_exact(&mut [0]).unwrap();
        waited
    }

    fn wait_of_timer(&self) -> usize {
        let (send, receive) = mpsc::channel();
        let at = heist::time::Instant::now() + Duration::from_millis(1);
        drop(self.handle.spawn(async move {
            heist::time::sleep_until(at).await;
            send.send(count_poll()).unwrap();
        }));
        // A timer fires at the end of its tick of 2^15 nanoseconds.
        while heist::time::Instant::now() < at + Duration::from_nanos(1 << 15) {
            thread::yield_now();
        }
        let from = self.turns.now();
        receive.recv().unwrap().saturating_sub(from)
    }
}

/// Echoes bytes, and sends the turn in which it has read each.
async fn echo(mut stream: TcpStream, read: mpsc::Sender<usize>) {
    let mut byte = [0];
    while stream.read(&mut byte).await.is_ok_and(|n| n == 1) {
        let _ = read.send(count_poll());
        stream.write_all(&byte).await.unwrap();
    }
}

const READY: usize = 300;
const PAIRS: usize = 8;
const FLOOD: usize = 300;
const TASKS: usize = READY + 2 * PAIRS + FLOOD + 4;

/// Measures the waits of four victims: a woken task, a spawned one, one at a socket, one at a
/// timer. Their adversaries are ping-pong pairs, more ready tasks than a ring holds, and a full
/// global queue.
fn assert_waits_below(runtime: &Runtime, turns: Arc<Turns>, bounds: [usize; 4]) {
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
        (0..PAIRS).for_each(|_| spawn_ping_pong(&inner));
        for _ in 0..READY {
            let stop = Arc::clone(&inner);
            drop(heist::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    count_poll();
                    yield_now().await;
                }
            }));
        }
    }));
    drop(guard);
    let (flooded, flooder) = (handle.clone(), Arc::clone(&stop));
    let flooder = thread::spawn(move || flood_global_queue(flooded, FLOOD, flooder));
    let mut judge = Judge { handle, turns, woken, socket, end, read };
    let (finished, done) = async_channel::bounded(1);
    let judge = thread::spawn(move || {
        // The first poll of the woken task.
        judge.woken.polls.recv().unwrap();
        let mut longest = [0; 4];
        for _ in 0..ROUNDS {
            let waited =
                [judge.wait_of_woken(), judge.wait_of_spawned(), judge.wait_of_socket(), judge.wait_of_timer()];
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

/// Returns the bounds of the four victims. The first checkpoint that reaches them dispatches the
/// event and the timer.
fn bounds_in_polls(workers: usize, lanes: usize, shards: usize) -> [usize; 4] {
    let bound = most_polls(TASKS, workers, lanes);
    [bound, bound, (CHECKPOINT + REACTOR_ROUND) * shards.min(workers) + bound, CHECKPOINT + bound]
}

#[test]
fn wait_on_current_thread_runtime_is_bounded() {
    let turns = Turns::new(1, 1);
    turns.register_worker(0);
    assert_waits_below(&current_thread(), turns, bounds_in_polls(1, 1, 1));
}

fn runtime(turns: &Arc<Turns>, workers: usize, lanes: usize, shards: usize) -> Runtime {
    let (next, turns) = (AtomicUsize::new(0), Arc::clone(turns));
    let mut builder = Builder::new_multi_thread();
    // The watchdog's thread starts after the workers, and polls no tasks.
    let register = move || turns.register_worker(next.fetch_add(1, Ordering::SeqCst));
    // No spare workers: with many threads on few processors a worker may wait for a lock of this
    // test.
    builder.queue_lanes(lanes).reactor_shards(shards).max_spare_workers(0);
    builder.worker_threads(workers).enable_all().on_thread_start(register).build().unwrap()
}

#[test]
fn wait_on_one_worker_is_bounded() {
    let turns = Turns::new(1, 1);
    assert_waits_below(&runtime(&turns, 1, 1, 1), turns, bounds_in_polls(1, 1, 1));
}

/// One worker serves all lanes and all shards.
#[test]
fn wait_on_one_worker_with_lanes_and_shards_is_bounded() {
    for lanes in [2, 4, 8] {
        let turns = Turns::new(1, 1);
        assert_waits_below(&runtime(&turns, 1, lanes, 4), turns, bounds_in_polls(1, lanes, 4));
    }
}

#[test]
fn wait_on_two_workers_with_lanes_and_shards_is_bounded() {
    let turns = Turns::new(2, bounds_in_polls(2, 4, 4)[2]);
    assert_waits_below(&runtime(&turns, 2, 4, 4), turns, [2 * PLACES; 4]);
}

/// Most places that a victim passes through: wheel or reactor, ring, global queue, ring, and once a
/// thief's ring.
const PLACES: usize = 5;

/// In each turn each worker makes as many polls as a victim waits in one place, at most.
#[test]
fn wait_on_two_workers_is_bounded() {
    let turns = Turns::new(2, bounds_in_polls(2, 1, 1)[3]);
    assert_waits_below(&runtime(&turns, 2, 1, 1), turns, [2 * PLACES; 4]);
}

// ------------------------------------------------------------------ checkpoints by time

/// Two tasks that are always ready. Their polls are short, except that one poll can be held.
struct Pair {
    polls: Count,
    /// Makes the next poll wait until this is false.
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
                        wait_until(|| !hold.load(Ordering::SeqCst));
                        held.store(false, Ordering::SeqCst);
                    }
                    yield_now().await;
                }
            }));
        }
        pair
    }

    /// Lets the worker learn that polls are short, and then holds one poll. Calls `action` in it,
    /// and ends it when `long` returns. Returns how many polls there had been.
    fn with_a_long_poll(&self, action: impl FnOnce(), long: impl FnOnce()) -> usize {
        let before = self.polls.get();
        wait_until(|| self.polls.get() > before + 3_000);
        self.hold.store(true, Ordering::SeqCst);
        wait_until(|| self.held.load(Ordering::SeqCst));
        action();
        long();
        let polls = self.polls.get();
        self.hold.store(false, Ordering::SeqCst);
        polls
    }
}

fn wait_until(is_done: impl Fn() -> bool) {
    while !is_done() {
        thread::yield_now();
    }
}

/// Repeatedly spawns a task from outside, or sends a byte, during a poll that is long among short
/// ones. Returns the most polls of the pair that follow before the task runs, and before the byte
/// is read.
fn polls_until_served(handle: &Handle, long: impl Fn()) -> [usize; 2] {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (end, _) = listener.accept().unwrap();
    end.set_nonblocking(true).unwrap();
    let pair = Pair::spawn(handle);
    let (report, reports) = mpsc::channel();
    let (victim_end, polls, sender) = (end.try_clone().unwrap(), pair.polls.clone(), report.clone());
    drop(handle.spawn(async move {
        let mut stream = TcpStream::from_std(victim_end).unwrap();
        while stream.read(&mut [0]).await.is_ok_and(|n| n == 1) {
            sender.send(polls.get()).unwrap();
        }
    }));
    let mut longest = [0; 2];
    for _ in 0..30 {
        let (report, polls) = (report.clone(), pair.polls.clone());
        let spawn = || drop(handle.spawn(async move { report.send(polls.get()).unwrap() }));
        let from = pair.with_a_long_poll(spawn, &long);
        longest[0] = longest[0].max(reports.recv().unwrap() - from);
        let write = || {
            socket.write_all(b"x").unwrap();
            wait_until(|| end.peek(&mut [0]).is_ok());
        };
        let from = pair.with_a_long_poll(write, &long);
        longest[1] = longest[1].max(reports.recv().unwrap() - from);
    }
    pair.stop.store(true, Ordering::SeqCst);
    longest
}

/// A victim that is ready after the long poll comes behind the pair, and perhaps behind one task of
/// the global queue.
const BEHIND: usize = 4;

/// With a watchdog the worker makes a checkpoint at the next task boundary, whatever the counts
/// say.
#[test]
fn long_poll_among_short_ones_is_followed_by_checkpoint() {
    let runtime = Builder::new_multi_thread().worker_threads(1).max_spare_workers(0).enable_all().build().unwrap();
    // The dump shows `since` once the watchdog has seen the poll twice: there was a tick.
    let wait_for_tick = || {
        let seen = |activity| matches!(activity, Activity::Polling { since: Some(_), .. });
        wait_until(|| seen(runtime.handle().dump().workers[0].activity));
    };
    let [queue, reactor] = polls_until_served(runtime.handle(), wait_for_tick);
    assert!(queue <= BEHIND && reactor <= BEHIND, "{queue} and {reactor} polls");
}

/// Without a watchdog, also on a current-thread runtime, the next global check makes the
/// checkpoint. That check is due by count alone.
#[test]
fn long_poll_without_watchdog_is_noticed_at_global_check() {
    // Longer than the time between two checkpoints.
    let wait_past_interval = || {
        let begun = std::time::Instant::now();
        wait_until(|| begun.elapsed() > Duration::from_millis(1));
    };
    let assert_served = |handle: &Handle| {
        let [queue, reactor] = polls_until_served(handle, wait_past_interval);
        assert!(queue <= GLOBAL_CHECK + BEHIND && reactor <= GLOBAL_CHECK + BEHIND, "{queue} and {reactor} polls");
    };
    assert_served(Builder::new_multi_thread().worker_threads(1).watchdog(false).enable_all().build().unwrap().handle());
    let (runtime, end) = (current_thread(), kit::Door::new());
    thread::scope(|scope| {
        let driver = scope.spawn(|| runtime.block_on(end.opened()));
        assert_served(runtime.handle());
        end.open();
        driver.join().unwrap();
    });
}
