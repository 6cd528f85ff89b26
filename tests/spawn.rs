//! Spawning from every place, and of every kind of future.

#[path = "support/kit.rs"]
mod kit;

use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::sync::{Mutex, mpsc};
use std::task::{Context, Poll};
use std::thread;

use heist::runtime::Handle;
use kit::{Count, OnDrop, current_thread, each, workers, yield_now};

#[test]
fn spawn_from_block_on_runs() {
    each(|runtime| assert_eq!(runtime.block_on(async { heist::spawn(async { 1 }).await.unwrap() }), 1));
}

#[test]
fn spawn_from_task_runs() {
    each(|runtime| {
        let sum = runtime.block_on(async {
            let outer = heist::spawn(async {
                let mut sum = 0;
                for n in 0..100 {
                    sum += heist::spawn(async move { n }).await.unwrap();
                }
                sum
            });
            outer.await.unwrap()
        });
        assert_eq!(sum, 4950);
    });
}

#[test]
fn spawn_from_runtime_and_handle_runs() {
    each(|runtime| {
        let first = runtime.spawn(async { 1 });
        let second = runtime.handle().spawn(async { 2 });
        assert_eq!(runtime.block_on(async { first.await.unwrap() + second.await.unwrap() }), 3);
    });
}

#[test]
fn spawn_from_foreign_threads_runs() {
    each(|runtime| {
        let (send, receive) = mpsc::channel();
        thread::scope(|scope| {
            for n in 0..4 {
                let (send, handle) = (send.clone(), runtime.handle().clone());
                scope.spawn(move || {
                    for round in 0..100 {
                        send.send(handle.spawn(async move { n * 1000 + round })).unwrap();
                        let _guard = handle.enter();
                        send.send(heist::spawn(async move { n * 1000 + round })).unwrap();
                    }
                });
            }
        });
        drop(send);
        let mut outputs = runtime.block_on(async {
            let mut outputs = Vec::new();
            for handle in receive {
                outputs.push(handle.await.unwrap());
            }
            outputs
        });
        outputs.sort_unstable();
        let expected: Vec<_> = (0..4).flat_map(|n| (0..100).flat_map(move |m| [n * 1000 + m; 2])).collect();
        assert_eq!(outputs, expected);
    });
}

#[test]
fn spawn_from_task_of_another_runtime_runs() {
    each(|runtime| {
        let other = workers(1);
        let handle = other.handle().clone();
        let sum = runtime.block_on(async move {
            let here = heist::spawn(async move { handle.spawn(async { 20 }).await.unwrap() + 1 });
            here.await.unwrap()
        });
        assert_eq!(sum, 21);
    });
}

#[test]
fn spawn_from_destructor_of_finished_task_runs() {
    each(|runtime| {
        let (send, receive) = async_channel::unbounded();
        runtime.block_on(async {
            let spawns = OnDrop::new(move || {
                heist::spawn(async move { send.send(7).await.unwrap() });
            });
            heist::spawn(async move {
                yield_now().await;
                drop(spawns);
            })
            .await
            .unwrap();
            assert_eq!(receive.recv().await, Ok(7));
        });
    });
}

#[test]
fn spawn_from_destructor_of_aborted_task_runs() {
    each(|runtime| {
        let (send, receive) = async_channel::unbounded();
        runtime.block_on(async {
            let spawns = OnDrop::new(move || {
                heist::spawn(async move { send.send(7).await.unwrap() });
            });
            let task = heist::spawn(async move {
                let _spawns = spawns;
                std::future::pending::<()>().await;
            });
            yield_now().await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            assert_eq!(receive.recv().await, Ok(7));
        });
    });
}

#[test]
fn spawn_from_destructor_of_thread_local_runs() {
    struct Spawns(Handle, async_channel::Sender<usize>);

    impl Drop for Spawns {
        fn drop(&mut self) {
            let send = self.1.clone();
            self.0.spawn(async move { send.send(7).await.unwrap() });
        }
    }

    thread_local! {
        static LAST: RefCell<Option<Spawns>> = const { RefCell::new(None) };
        static OTHER: RefCell<Option<Spawns>> = const { RefCell::new(None) };
    }

    each(|runtime| {
        let (send, receive) = async_channel::unbounded();
        let handle = runtime.handle().clone();
        thread::spawn(move || {
            // One thread-local is created before the thread has used the runtime, and one after.
            LAST.set(Some(Spawns(handle.clone(), send.clone())));
            let guard = handle.enter();
            heist::spawn(async {});
            drop(guard);
            OTHER.set(Some(Spawns(handle, send)));
        })
        .join()
        .unwrap();
        runtime.block_on(async {
            assert_eq!(receive.recv().await, Ok(7));
            assert_eq!(receive.recv().await, Ok(7));
        });
    });
}

#[test]
fn detached_tasks_all_run() {
    each(|runtime| {
        const TASKS: usize = 10_000;
        let (count, (send, receive)) = (Count::new(), async_channel::bounded(1));
        runtime.block_on(async {
            for _ in 0..TASKS {
                let (count, send) = (count.clone(), send.clone());
                heist::spawn(async move {
                    yield_now().await;
                    if count.add() == TASKS {
                        send.send(()).await.unwrap();
                    }
                });
            }
            receive.recv().await.unwrap();
        });
        assert_eq!(count.get(), TASKS);
    });
}

/// A future of `N` bytes that suspends once.
fn large<const N: usize>(byte: u8) -> impl Future<Output = usize> + Send {
    let bytes = [byte; N];
    async move {
        yield_now().await;
        bytes.iter().map(|byte| usize::from(*byte)).sum()
    }
}

#[test]
fn future_above_sixteen_kibibytes_runs() {
    each(|runtime| {
        assert!(size_of_val(&large::<20_000>(1)) > 16 * 1024);
        let sum = runtime.block_on(async {
            let (a, b) = (heist::spawn(large::<20_000>(1)), heist::spawn(large::<16_000>(2)));
            (a.await.unwrap(), b.await.unwrap())
        });
        assert_eq!(sum, (20_000, 32_000));
    });
}

/// Unoptimised code copies the future into the frame of each call that passes it on: up to five
/// copies.
#[test]
fn spawn_of_a_future_of_an_eighth_of_the_stack_works() {
    const SIZE: usize = 128 * 1024;
    let small_stack = thread::Builder::new().stack_size(1024 * 1024);
    let sums = small_stack.spawn(|| {
        let mut sums = Vec::new();
        let runtime = heist::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_stack_size(1024 * 1024)
            .build()
            .unwrap();
        sums.push(runtime.block_on(runtime.spawn(large::<SIZE>(1))).unwrap());
        sums.push(runtime.block_on(runtime.spawn(async { heist::spawn(large::<SIZE>(1)).await.unwrap() })).unwrap());
        let runtime = current_thread();
        sums.push(runtime.block_on(runtime.handle().spawn(large::<SIZE>(1))).unwrap());
        sums
    });
    assert_eq!(sums.unwrap().join().unwrap(), [SIZE; 3]);
}

#[test]
fn futures_of_zero_size_and_large_alignment_run() {
    #[repr(align(4096))]
    struct Aligned(u8);

    struct Nothing;

    impl Future for Nothing {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }

    each(|runtime| {
        runtime.block_on(async {
            assert_eq!(size_of::<Nothing>(), 0);
            heist::spawn(Nothing).await.unwrap();
            let aligned = Aligned(3);
            let address = heist::spawn(async move {
                yield_now().await;
                (&raw const aligned).addr() + usize::from(aligned.0)
            });
            assert_eq!(address.await.unwrap() % 4096, 3);
        });
    });
}

/// Suspends `left` times, and counts the polls at another address than that of the first poll.
struct Immobile {
    left: usize,
    address: Option<usize>,
    moves: usize,
    _pinned: PhantomPinned,
}

impl Future for Immobile {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        // SAFETY: no field is moved out.
        let this = unsafe { self.get_unchecked_mut() };
        let here = (&raw const *this).addr();
        this.moves += usize::from(*this.address.get_or_insert(here) != here);
        if this.left == 0 {
            return Poll::Ready(this.moves);
        }
        this.left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The tasks are spawned on one worker, and polled until other workers have polled some of them.
#[test]
fn future_keeps_its_address_on_all_workers() {
    let runtime = workers(4);
    let stolen = || (0..4).map(|worker| runtime.metrics().worker_steal_operations(worker)).sum::<u64>();
    let mut moves = Vec::new();
    while stolen() < 10 {
        moves.extend(
            runtime
                .block_on(runtime.spawn(async {
                    let immobile = || Immobile { left: 200, address: None, moves: 0, _pinned: PhantomPinned };
                    let handles: Vec<_> = (0..200).map(|_| heist::spawn(immobile())).collect();
                    let mut moves = Vec::new();
                    for handle in handles {
                        moves.push(handle.await.unwrap());
                    }
                    moves
                }))
                .unwrap(),
        );
    }
    assert!(moves.len() >= 200);
    assert_eq!(moves.iter().sum::<usize>(), 0);
}

#[test]
fn task_is_not_polled_twice_at_once() {
    let runtime = workers(4);
    let state: &'static Mutex<usize> = Box::leak(Box::new(Mutex::new(0)));
    runtime
        .block_on(runtime.spawn(async move {
            let handles: Vec<_> = (0..100)
                .map(|_| {
                    let mine = std::sync::Arc::new(Mutex::new(()));
                    heist::spawn(async move {
                        for _ in 0..100 {
                            let entered = mine.try_lock().expect("one poll at a time");
                            *state.lock().unwrap() += 1;
                            drop(entered);
                            yield_now().await;
                        }
                    })
                })
                .collect();
            for handle in handles {
                handle.await.unwrap();
            }
        }))
        .unwrap();
    assert_eq!(*state.lock().unwrap(), 10_000);
}
