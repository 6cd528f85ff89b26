//! Tests of other crates' channels and locks under cancellation: `async-channel`, `async-lock`,
//! `tokio::sync`, and the combinators of `futures` and Tokio, inside of heist's timeouts.
//!
//! Each test has tasks that wait for something and give up halfway: by a timeout, by losing a
//! `select`, or by an abort. Other tasks provide what they wait for. If a wake is lost, the test
//! hangs. The final counts show that nothing arrived twice or not at all. The watchdog is off,
//! because it might hide a lost wake.

#[path = "support/kit.rs"]
mod kit;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{Either, FutureExt, join_all, select};
use futures::stream::{FuturesUnordered, StreamExt};
use heist::runtime::{Builder, Runtime};
use heist::task::{JoinSet, yield_now};
use heist::time::timeout;
use kit::Count;

/// Rounds of each test.
const ROUNDS: usize = 300;

/// Tasks that wait for the same thing.
const WAITERS: usize = 8;

/// Runs the test on both flavours, without a watchdog.
fn each(test: impl Fn(&Runtime)) {
    test(&Builder::new_current_thread().enable_all().build().unwrap());
    for workers in [2, 4] {
        let mut builder = Builder::new_multi_thread();
        test(&builder.worker_threads(workers).watchdog(false).enable_all().build().unwrap());
    }
}

/// Pseudo-random numbers, the same in each run.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Waits for `future`, or gives up in one of several ways. Returns `None` if it has given up.
async fn wait_or_give_up<F: Future>(dice: &mut Dice, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    match dice.roll(5) {
        0 => timeout(Duration::from_micros(dice.roll(60)), future).await.ok(),
        1 => match select(future, pin!(yield_now())).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        },
        2 => tokio::select! {
            output = &mut future => Some(output),
            () = yield_now() => None,
        },
        3 => {
            let turns = dice.roll(4);
            let mut limit = pin!(async {
                for _ in 0..turns {
                    yield_now().await;
                }
            });
            futures::select! {
                output = future.fuse() => Some(output),
                () = limit.as_mut().fuse() => None,
            }
        }
        _ => Some(future.await),
    }
}

/// Runs `WAITERS` tasks, and `work` beside them, to completion.
fn run_waiters<F, W>(runtime: &Runtime, waiter: impl Fn(Dice) -> F, work: W)
where
    F: Future<Output = ()> + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    runtime.block_on(async {
        let mut set = JoinSet::new();
        for number in 0..WAITERS {
            set.spawn(waiter(Dice(0x9E37_79B9_7F4A_7C15 ^ (number as u64 + 1))));
        }
        set.spawn(work);
        set.join_all().await;
    });
}

/// Tests that receive until the channel is closed, and sum up. A dropped receive must lose nothing.
macro_rules! receives_everything {
    ($($channel_loses_nothing:ident: $make:expr, $clone:expr, $send:expr, $receive:expr;)*) => {$(
        #[test]
        fn $channel_loses_nothing() {
            each(|runtime| {
                let (sender, receiver) = $make;
                let sum = Arc::new(AtomicUsize::new(0));
                let all = Arc::clone(&sum);
                let waiter = move |mut dice: Dice| {
                    let (receiver, sum) = ($clone(&receiver), Arc::clone(&all));
                    async move {
                        loop {
                            match wait_or_give_up(&mut dice, $receive(&receiver)).await {
                                Some(Some(number)) => sum.fetch_add(number, Ordering::Relaxed),
                                Some(None) => return,
                                None => 0,
                            };
                        }
                    }
                };
                let work = async move {
                    let mut dice = Dice(7);
                    for number in 1..=WAITERS * ROUNDS {
                        $send(&sender, number).await;
                        if dice.roll(3) == 0 {
                            yield_now().await;
                        }
                    }
                };
                run_waiters(runtime, waiter, work);
                let count = WAITERS * ROUNDS;
                assert_eq!(sum.load(Ordering::Relaxed), count * (count + 1) / 2);
            });
        }
    )*};
}

type TokioReceiver = Arc<tokio::sync::Mutex<tokio::sync::mpsc::Receiver<usize>>>;

receives_everything! {
    async_channel_bounded_loses_nothing:
        async_channel::bounded::<usize>(3),
        async_channel::Receiver::clone,
        async |sender: &async_channel::Sender<usize>, number| sender.send(number).await.unwrap(),
        async |receiver: &async_channel::Receiver<usize>| receiver.recv().await.ok();
    async_channel_unbounded_loses_nothing:
        async_channel::unbounded::<usize>(),
        async_channel::Receiver::clone,
        async |sender: &async_channel::Sender<usize>, number| sender.send(number).await.unwrap(),
        async |receiver: &async_channel::Receiver<usize>| receiver.recv().await.ok();
    tokio_mpsc_behind_tokio_mutex_loses_nothing:
        {
            let (sender, receiver) = tokio::sync::mpsc::channel::<usize>(3);
            (sender, Arc::new(tokio::sync::Mutex::new(receiver)))
        },
        TokioReceiver::clone,
        async |sender: &tokio::sync::mpsc::Sender<usize>, number| sender.send(number).await.unwrap(),
        async |receiver: &TokioReceiver| receiver.lock().await.recv().await;
}

#[test]
fn senders_that_give_up_send_once_or_never() {
    each(|runtime| {
        let (sender, receiver) = async_channel::bounded::<usize>(2);
        let (tokio_sender, mut tokio_receiver) = tokio::sync::mpsc::channel::<usize>(2);
        let sent = Count::new();
        let counts = sent.clone();
        let waiter = move |mut dice: Dice| {
            let (sender, tokio_sender, sent) = (sender.clone(), tokio_sender.clone(), counts.clone());
            async move {
                for _ in 0..ROUNDS {
                    if wait_or_give_up(&mut dice, sender.send(1)).await.is_some() {
                        sent.add();
                    }
                    if wait_or_give_up(&mut dice, tokio_sender.send(1)).await.is_some() {
                        sent.add();
                    }
                }
            }
        };
        let received = Count::new();
        let counts = received.clone();
        let work = async move {
            let one = async {
                while receiver.recv().await.is_ok() {
                    counts.add();
                }
            };
            let other = async {
                while tokio_receiver.recv().await.is_some() {
                    counts.add();
                }
            };
            // Each loop ends when its last sender is dropped: those of the waiters, and the two
            // that the closure owns.
            futures::join!(one, other);
        };
        runtime.block_on(async {
            let mut set = JoinSet::new();
            for number in 0..WAITERS {
                set.spawn(waiter(Dice(number as u64 + 99)));
            }
            drop(waiter);
            set.spawn(work);
            set.join_all().await;
        });
        assert_eq!(received.get(), sent.get());
    });
}

/// Tests that lock repeatedly, give up halfway, and count how many tasks hold the lock.
macro_rules! locks_exclude {
    ($($lock_still_excludes:ident: $make:expr, $type:ty, $lock:expr;)*) => {$(
        #[test]
        fn $lock_still_excludes() {
            each(|runtime| {
                let lock: Arc<$type> = Arc::new($make);
                let (inside, gained) = (Arc::new(AtomicUsize::new(0)), Count::new());
                let (here, counts) = (Arc::clone(&inside), gained.clone());
                let waiter = move |mut dice: Dice| {
                    let (lock, inside, gained) = (Arc::clone(&lock), Arc::clone(&here), counts.clone());
                    async move {
                        let mut mine = 0;
                        while mine < ROUNDS {
                            let Some(guard) = wait_or_give_up(&mut dice, $lock(&lock)).await else { continue };
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two tasks hold the lock");
                            if dice.roll(2) == 0 {
                                yield_now().await;
                            }
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(guard);
                            mine += 1;
                            gained.add();
                        }
                    }
                };
                run_waiters(runtime, waiter, async {});
                assert_eq!((gained.get(), inside.load(Ordering::SeqCst)), (WAITERS * ROUNDS, 0));
            });
        }
    )*};
}

locks_exclude! {
    tokio_mutex_still_excludes: tokio::sync::Mutex::new(()), tokio::sync::Mutex<()>,
        async |lock: &Arc<tokio::sync::Mutex<()>>| Arc::clone(lock).lock_owned().await;
    tokio_semaphore_still_excludes: tokio::sync::Semaphore::new(1), tokio::sync::Semaphore,
        async |lock: &Arc<tokio::sync::Semaphore>| Arc::clone(lock).acquire_owned().await.unwrap();
    tokio_rwlock_write_still_excludes: tokio::sync::RwLock::new(()), tokio::sync::RwLock<()>,
        async |lock: &Arc<tokio::sync::RwLock<()>>| Arc::clone(lock).write_owned().await;
    async_lock_mutex_still_excludes: async_lock::Mutex::new(()), async_lock::Mutex<()>,
        async |lock: &Arc<async_lock::Mutex<()>>| lock.lock_arc().await;
    async_lock_semaphore_still_excludes: async_lock::Semaphore::new(1), async_lock::Semaphore,
        async |lock: &Arc<async_lock::Semaphore>| lock.acquire_arc().await;
    async_lock_rwlock_write_still_excludes: async_lock::RwLock::new(()), async_lock::RwLock<()>,
        async |lock: &Arc<async_lock::RwLock<()>>| lock.write_arc().await;
}

#[test]
fn rwlock_waits_that_give_up_leave_lock_usable() {
    each(|runtime| {
        let lock = Arc::new(tokio::sync::RwLock::new(0usize));
        let other = Arc::new(async_lock::RwLock::new(0usize));
        let (written, kept, also_kept) = (Count::new(), Arc::clone(&lock), Arc::clone(&other));
        let counts = written.clone();
        let waiter = move |mut dice: Dice| {
            let (lock, other, written) = (Arc::clone(&kept), Arc::clone(&also_kept), counts.clone());
            async move {
                for _ in 0..ROUNDS {
                    if dice.roll(3) == 0 {
                        if let Some(mut guard) = wait_or_give_up(&mut dice, lock.write()).await {
                            *guard += 1;
                            written.add();
                        }
                        if let Some(mut guard) = wait_or_give_up(&mut dice, other.write()).await {
                            *guard += 1;
                            written.add();
                        }
                    } else if let Some(guard) = wait_or_give_up(&mut dice, lock.read()).await {
                        let before = *guard;
                        yield_now().await;
                        assert_eq!(*guard, before);
                    } else if let Some(guard) = wait_or_give_up(&mut dice, other.read()).await {
                        let before = *guard;
                        yield_now().await;
                        assert_eq!(*guard, before);
                    }
                }
            }
        };
        run_waiters(runtime, waiter, async {});
        let total = runtime.block_on(async { *lock.read().await + *other.read().await });
        assert_eq!(total, written.get());
    });
}

#[test]
fn oneshot_receive_given_up_can_resume() {
    each(|runtime| {
        let received_once = Count::new();
        let counts = received_once.clone();
        let waiter = move |mut dice: Dice| {
            let received_once = counts.clone();
            async move {
                for number in 0..ROUNDS {
                    let (sender, mut receiver) = tokio::sync::oneshot::channel();
                    let turns = dice.roll(3);
                    let sends = heist::spawn(async move {
                        for _ in 0..turns {
                            yield_now().await;
                        }
                        sender.send(number)
                    });
                    let got = match wait_or_give_up(&mut dice, &mut receiver).await {
                        Some(got) => got,
                        // The receive was given up, and can be resumed.
                        None => receiver.await,
                    };
                    assert_eq!(got, Ok(number));
                    assert_eq!(sends.await.unwrap(), Ok(()));
                    received_once.add();
                }
            }
        };
        run_waiters(runtime, waiter, async {});
        assert_eq!(received_once.get(), WAITERS * ROUNDS);
    });
}

#[test]
fn watch_and_broadcast_receivers_see_last_and_all() {
    each(|runtime| {
        let (watched, watch) = tokio::sync::watch::channel(0usize);
        let (sender, _) = tokio::sync::broadcast::channel(WAITERS * ROUNDS);
        let sums = Arc::new(AtomicUsize::new(0));
        // All receivers subscribe before the first value is sent.
        let receivers = std::sync::Mutex::new((0..WAITERS).map(|_| sender.subscribe()).collect::<Vec<_>>());
        let all = Arc::clone(&sums);
        let waiter = move |mut dice: Dice| {
            let (mut watch, sums) = (watch.clone(), Arc::clone(&all));
            let mut receiver = receivers.lock().unwrap().pop().unwrap();
            async move {
                loop {
                    match wait_or_give_up(&mut dice, receiver.recv()).await {
                        Some(Ok(number)) => sums.fetch_add(number, Ordering::Relaxed),
                        Some(Err(_closed)) => break,
                        None => 0,
                    };
                }
                while *watch.borrow_and_update() < ROUNDS {
                    if let Some(changed) = wait_or_give_up(&mut dice, watch.changed()).await {
                        changed.unwrap();
                    }
                }
            }
        };
        let work = async move {
            for number in 1..=ROUNDS {
                sender.send(number).unwrap();
                watched.send(number).unwrap();
                yield_now().await;
            }
            drop(sender);
            // Every watcher sees the last value, and then that the sender is gone.
            watched.closed().await;
        };
        runtime.block_on(async {
            let mut set = JoinSet::new();
            for number in 0..WAITERS {
                set.spawn(waiter(Dice(number as u64 + 5)));
            }
            drop(waiter);
            set.spawn(work);
            set.join_all().await;
        });
        assert_eq!(sums.load(Ordering::Relaxed), WAITERS * ROUNDS * (ROUNDS + 1) / 2);
    });
}

#[test]
fn notify_permit_is_not_lost_by_cancelled_wait() {
    each(|runtime| {
        // There is one permit, and each task that takes it passes it on. If a wait that is given up
        // lost the permit, all tasks would wait for ever.
        let (notify, taken) = (Arc::new(tokio::sync::Notify::new()), Count::new());
        notify.notify_one();
        let counts = taken.clone();
        let waiter = move |mut dice: Dice| {
            let (notify, taken) = (Arc::clone(&notify), counts.clone());
            async move {
                while taken.get() < WAITERS * ROUNDS {
                    if wait_or_give_up(&mut dice, notify.notified()).await.is_some() {
                        taken.add();
                        notify.notify_one();
                    }
                }
            }
        };
        run_waiters(runtime, waiter, async {});
        assert!(taken.get() >= WAITERS * ROUNDS);
    });
}

#[test]
fn async_lock_barrier_releases_all_waiters() {
    each(|runtime| {
        let barriers = Arc::new(async_lock::Barrier::new(WAITERS));
        let leaders = Count::new();
        let counts = leaders.clone();
        let waiter = move |mut dice: Dice| {
            let (barrier, leaders) = (Arc::clone(&barriers), counts.clone());
            async move {
                for _ in 0..ROUNDS {
                    for _ in 0..dice.roll(3) {
                        yield_now().await;
                    }
                    if barrier.wait().await.is_leader() {
                        leaders.add();
                    }
                }
            }
        };
        run_waiters(runtime, waiter, async {});
        assert_eq!(leaders.get(), ROUNDS);
    });
}

#[test]
fn tasks_aborted_while_waiting_leave_nothing_locked() {
    each(|runtime| {
        let (mutex, semaphore) = (Arc::new(tokio::sync::Mutex::new(0usize)), Arc::new(async_lock::Semaphore::new(2)));
        let drops = Count::new();
        runtime.block_on(async {
            let mut dice = Dice(11);
            for _ in 0..ROUNDS {
                let mut set = JoinSet::new();
                for _ in 0..WAITERS {
                    let (mutex, semaphore, guard) = (Arc::clone(&mutex), Arc::clone(&semaphore), drops.on_drop());
                    set.spawn(async move {
                        let _guard = guard;
                        let _permit = semaphore.acquire().await;
                        let mut number = mutex.lock().await;
                        yield_now().await;
                        *number += 1;
                    });
                }
                for _ in 0..dice.roll(4) {
                    yield_now().await;
                }
                set.shutdown().await;
                assert_eq!(semaphore.try_acquire_arc().into_iter().chain(semaphore.try_acquire_arc()).count(), 2);
                assert!(mutex.try_lock().is_ok());
            }
        });
        assert_eq!(drops.get(), ROUNDS * WAITERS);
    });
}

#[test]
fn futures_unordered_polls_woken_futures() {
    each(|runtime| {
        let (sender, receiver) = async_channel::bounded::<usize>(4);
        let sums = Arc::new(AtomicUsize::new(0));
        let all = Arc::clone(&sums);
        let waiter = move |mut dice: Dice| {
            let (receiver, sums) = (receiver.clone(), Arc::clone(&all));
            async move {
                // One task waits for several receives at once. The pending ones are dropped with
                // the set from time to time.
                let mut open = true;
                while open {
                    let mut several: FuturesUnordered<_> = (0..3).map(|_| receiver.recv()).collect();
                    let rounds = 1 + dice.roll(5);
                    for _ in 0..rounds {
                        match wait_or_give_up(&mut dice, several.next()).await {
                            Some(Some(Ok(number))) => {
                                sums.fetch_add(number, Ordering::Relaxed);
                                several.push(receiver.recv());
                            }
                            Some(Some(Err(_closed))) => open = false,
                            Some(None) | None => {}
                        }
                    }
                }
            }
        };
        let work = async move {
            for number in 1..=WAITERS * ROUNDS {
                sender.send(number).await.unwrap();
            }
        };
        run_waiters(runtime, waiter, work);
        let count = WAITERS * ROUNDS;
        assert_eq!(sums.load(Ordering::Relaxed), count * (count + 1) / 2);
    });
}

#[test]
fn join_of_task_timer_and_channel_completes() {
    each(|runtime| {
        let total: usize = runtime.block_on(async {
            let tasks = (0..WAITERS).map(|number| {
                heist::spawn(async move {
                    let mut sum = 0;
                    for round in 0..ROUNDS / 10 {
                        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
                        let sends = async {
                            yield_now().await;
                            sender.send(round).unwrap();
                        };
                        let spawned = heist::spawn(async move { number });
                        let sleeps = heist::time::sleep(Duration::from_micros(50));
                        let (_, received, spawned, ()) = tokio::join!(sends, receiver.recv(), spawned, sleeps);
                        sum += received.unwrap() + spawned.unwrap();
                    }
                    sum
                })
            });
            join_all(tasks).await.into_iter().map(Result::unwrap).sum()
        });
        let rounds = ROUNDS / 10;
        let expected = WAITERS * (rounds * (rounds - 1) / 2) + rounds * (WAITERS * (WAITERS - 1) / 2);
        assert_eq!(total, expected);
    });
}

#[test]
fn buffer_unordered_over_tasks_completes() {
    each(|runtime| {
        let sum: usize = runtime.block_on(async {
            futures::stream::iter(0..ROUNDS)
                .map(|number| async move {
                    heist::spawn(async move {
                        yield_now().await;
                        number
                    })
                    .await
                    .unwrap()
                })
                .buffer_unordered(WAITERS)
                .fold(0, async |sum, number| sum + number)
                .await
        });
        assert_eq!(sum, ROUNDS * (ROUNDS - 1) / 2);
    });
}
