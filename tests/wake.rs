//! Tests of task wakers: how many polls they cause, from which threads they may be called, and
//! wakers that call back into the runtime.
#![allow(clippy::waker_clone_wake, reason = "a wake by value is what is tested")]

#[path = "support/kit.rs"]
mod kit;

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::thread;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Handle};
use heist::task::AbortHandle;
use kit::{Count, Door, OnDrop, each, yield_now};

/// Stores the waker of its last poll, and is ready once `ready` is set.
struct Mailbox {
    waker: Mutex<Option<Waker>>,
    ready: AtomicBool,
    polls: AtomicUsize,
}

impl Mailbox {
    fn new() -> Arc<Mailbox> {
        Arc::new(Mailbox { waker: Mutex::new(None), ready: AtomicBool::new(false), polls: AtomicUsize::new(0) })
    }

    async fn wait(self: Arc<Self>) {
        poll_fn(|cx| {
            self.polls.fetch_add(1, Ordering::SeqCst);
            *self.waker.lock().unwrap() = Some(cx.waker().clone());
            if self.ready.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn take(&self) -> Option<Waker> {
        self.waker.lock().unwrap().take()
    }

    async fn waker(&self) -> Waker {
        loop {
            if let Some(waker) = self.take() {
                return waker;
            }
            yield_now().await;
        }
    }
}

#[test]
fn wakes_during_poll_cause_one_more_poll() {
    each(|runtime| {
        let polls = Count::new();
        let counted = polls.clone();
        runtime.block_on(async {
            heist::spawn(poll_fn(move |cx| {
                if counted.add() == 10 {
                    return Poll::Ready(());
                }
                // Any number of wakes during a poll make one poll.
                for _ in 0..3 {
                    cx.waker().wake_by_ref();
                    cx.waker().clone().wake();
                }
                Poll::Pending
            }))
            .await
            .unwrap();
        });
        assert_eq!(polls.get(), 10);
    });
}

/// A yield wakes the waker that it is polled with. The test uses the waker of the task itself, one
/// that wraps it, and that of another task. In the first case there are several yields in one poll,
/// and a wake besides.
#[test]
fn yield_now_wakes_task_of_given_waker() {
    each(|runtime| {
        let polls = Count::new();
        let counted = polls.clone();
        let task = async move {
            let mut yields = [pin!(yield_now()), pin!(yield_now())];
            poll_fn(|cx| {
                let ready = yields.each_mut().map(|it| it.as_mut().poll(cx).is_ready());
                if counted.add() == 1 {
                    assert_eq!(ready, [false; 2]);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                assert_eq!(ready, [true; 2]);
                Poll::Ready(())
            })
            .await;
        };
        runtime.block_on(runtime.spawn(task)).unwrap();
        assert_eq!(polls.get(), 2);

        let wrapped = async {
            let some: FuturesUnordered<_> = (0..3).map(|_| yield_now()).collect();
            some.count().await
        };
        assert_eq!(runtime.block_on(runtime.spawn(wrapped)).unwrap(), 3);

        runtime.block_on(async {
            let mailbox = Mailbox::new();
            let other = heist::spawn(Arc::clone(&mailbox).wait());
            let waker = mailbox.waker().await;
            mailbox.ready.store(true, Ordering::SeqCst);
            let task = heist::spawn(async move {
                let mut context = Context::from_waker(&waker);
                assert!(pin!(yield_now()).poll(&mut context).is_pending());
            });
            task.await.unwrap();
            other.await.unwrap();
        });
    });
}

#[test]
fn wakes_before_poll_are_merged() {
    each(|runtime| {
        runtime.block_on(async {
            let mailbox = Mailbox::new();
            let task = heist::spawn(Arc::clone(&mailbox).wait());
            let waker = mailbox.waker().await;
            mailbox.ready.store(true, Ordering::SeqCst);
            for _ in 0..100 {
                waker.wake_by_ref();
            }
            task.await.unwrap();
            let polls = mailbox.polls.load(Ordering::SeqCst);
            // One poll if the first found it ready, two if all wakes were merged. There are never
            // more polls than wakes.
            assert!((1..102).contains(&polls), "{polls}");
            // A waker of an ended task does nothing.
            waker.wake_by_ref();
            waker.clone().wake();
            assert_eq!(mailbox.polls.load(Ordering::SeqCst), polls);
        });
    });
}

#[test]
fn wakes_from_foreign_thread_cause_one_poll_each() {
    each(|runtime| {
        const ROUNDS: usize = 5_000;
        let (to_thread, from_task) = std::sync::mpsc::channel::<Waker>();
        let echo = thread::spawn(move || from_task.into_iter().map(|waker: Waker| waker.wake()).count());
        let polls = runtime.block_on(async {
            heist::spawn(async move {
                let mut polls = 0;
                poll_fn(|cx| {
                    polls += 1;
                    if polls > ROUNDS {
                        return Poll::Ready(());
                    }
                    to_thread.send(cx.waker().clone()).unwrap();
                    Poll::Pending
                })
                .await;
                polls
            })
            .await
            .unwrap()
        });
        assert_eq!((polls, echo.join().unwrap()), (ROUNDS + 1, ROUNDS));
    });
}

#[test]
fn wake_publishes_earlier_writes_to_poll() {
    each(|runtime| {
        // Not atomic: the wake has to publish it.
        struct Data(std::cell::UnsafeCell<usize>);
        // SAFETY: the waker writes before it wakes, and the task reads after it was woken.
        unsafe impl Sync for Data {}
        // SAFETY: as above.
        unsafe impl Send for Data {}

        for round in 1..500 {
            let (data, woken) = (Arc::new(Data(0.into())), Arc::new(AtomicBool::new(false)));
            let (write, flag) = (Arc::clone(&data), Arc::clone(&woken));
            let seen = runtime.block_on(async {
                heist::spawn(poll_fn(move |cx| {
                    if flag.swap(true, Ordering::Relaxed) {
                        // SAFETY: the second poll comes after the wake, which comes after the
                        // write.
                        return Poll::Ready(unsafe { *data.0.get() });
                    }
                    let (write, waker) = (Arc::clone(&write), cx.waker().clone());
                    thread::spawn(move || {
                        // SAFETY: there is no read before the wake.
                        unsafe { *write.0.get() = round };
                        waker.wake();
                    });
                    Poll::Pending
                }))
                .await
                .unwrap()
            });
            assert_eq!(seen, round);
        }
    });
}

#[test]
fn wakers_of_same_task_will_wake_it() {
    each(|runtime| {
        runtime.block_on(async {
            let waker = || poll_fn(|cx| Poll::Ready(cx.waker().clone()));
            let (first, again, other) = heist::spawn(async move {
                let first = waker().await;
                yield_now().await;
                (first, waker().await, heist::spawn(waker()).await.unwrap())
            })
            .await
            .unwrap();
            assert!(first.will_wake(&again) && !first.will_wake(&other));
        });
    });
}

/// Each of a million tasks wakes the next: from its poll, and from its destructor.
#[test]
fn wake_chain_of_a_million_tasks_needs_no_stack() {
    const LINKS: usize = 1_000_000;

    fn chain(runtime: &heist::runtime::Runtime) {
        let (wakers, count) = (Arc::new(Mutex::new(Vec::with_capacity(LINKS))), Count::new());
        let done = Door::new();
        for index in 0..LINKS {
            let (wakers, count, done) = (Arc::clone(&wakers), count.clone(), done.clone());
            let mut first = true;
            runtime.spawn(poll_fn(move |cx| {
                // The last task begins the chain.
                if std::mem::take(&mut first) && index + 1 < LINKS {
                    wakers.lock().unwrap().push(cx.waker().clone());
                    return Poll::Pending;
                }
                let next = wakers.lock().unwrap().pop();
                match next {
                    Some(next) => next.wake(),
                    None => done.open(),
                }
                count.add();
                Poll::Ready(())
            }));
        }
        runtime.block_on(done.opened());
        // The last of them may have found an empty list before an earlier one had registered. The
        // rest is woken here.
        while count.get() < LINKS {
            let next = wakers.lock().unwrap().pop();
            next.into_iter().for_each(Waker::wake);
            runtime.block_on(yield_now());
        }
        assert_eq!(count.get(), LINKS);
    }

    let mut builder = heist::runtime::Builder::new_multi_thread();
    chain(&builder.worker_threads(2).thread_stack_size(128 * 1024).build().unwrap());
    let small = thread::Builder::new().stack_size(128 * 1024);
    small.spawn(|| chain(&kit::current_thread())).unwrap().join().unwrap();
}

/// One thread wakes a hundred thousand tasks, none of which can run: no queue is full.
#[test]
fn wakes_with_all_workers_busy_never_block() {
    const TASKS: usize = 100_000;
    for count in [1, 2] {
        // Without spare workers, so that no other thread takes over from the workers.
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(count).max_spare_workers(0).enable_all().build().unwrap();
        let wakers = Arc::new(Mutex::new(Vec::new()));
        let ended = Count::new();
        for _ in 0..TASKS {
            let (wakers, ended, mut first) = (Arc::clone(&wakers), ended.clone(), true);
            runtime.spawn(poll_fn(move |cx| {
                if std::mem::take(&mut first) {
                    wakers.lock().unwrap().push(cx.waker().clone());
                    return Poll::Pending;
                }
                ended.add();
                Poll::Ready(())
            }));
        }
        while wakers.lock().unwrap().len() < TASKS {
            thread::yield_now();
        }
        // Occupies all workers.
        let go = Door::new();
        let mut begun = Vec::new();
        for _ in 0..count {
            let (go, door) = (go.clone(), Door::new());
            begun.push(door.clone());
            runtime.spawn(async move {
                door.open();
                go.wait();
            });
        }
        begun.iter().for_each(Door::wait);
        wakers.lock().unwrap().drain(..).for_each(Waker::wake);
        assert_eq!(ended.get(), 0);
        go.open();
        while ended.get() < TASKS {
            thread::yield_now();
        }
        assert_eq!(ended.get(), TASKS);
    }
}

/// Neither a wake nor an abort runs or drops user code. Both are called under a lock that the
/// task's destructor and poll take.
#[test]
fn wake_and_abort_under_lock_of_task_do_not_deadlock() {
    each(|runtime| {
        let lock = Arc::new(Mutex::new(0));
        runtime.block_on(async {
            for _ in 0..100 {
                let (mailbox, in_poll, in_drop) = (Mailbox::new(), Arc::clone(&lock), Arc::clone(&lock));
                let wait = Arc::clone(&mailbox).wait();
                let guard = OnDrop::new(move || *in_drop.lock().unwrap() += 1);
                let task = heist::spawn(async move {
                    let _guard = guard;
                    wait.await;
                    *in_poll.lock().unwrap() += 1;
                });
                let waker = mailbox.waker().await;
                {
                    let _held = lock.lock().unwrap();
                    mailbox.ready.store(true, Ordering::SeqCst);
                    waker.wake();
                }
                task.await.unwrap();

                let in_drop = Arc::clone(&lock);
                let guard = OnDrop::new(move || *in_drop.lock().unwrap() += 1);
                let task = heist::spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                yield_now().await;
                {
                    let _held = lock.lock().unwrap();
                    task.abort();
                }
                assert!(task.await.unwrap_err().is_cancelled());
            }
        });
        assert_eq!(*lock.lock().unwrap(), 300);
    });
}

#[test]
fn last_waker_may_drop_on_any_thread() {
    each(|runtime| {
        runtime.block_on(async {
            for _ in 0..100 {
                let mailbox = Mailbox::new();
                let task = heist::spawn(Arc::clone(&mailbox).wait());
                let waker = mailbox.waker().await;
                let copies: Vec<_> = (0..4).map(|_| waker.clone()).collect();
                mailbox.ready.store(true, Ordering::SeqCst);
                let threads: Vec<_> = copies.into_iter().map(|waker| thread::spawn(move || waker.wake())).collect();
                drop(waker);
                task.await.unwrap();
                drop(mailbox.take());
                threads.into_iter().for_each(|thread| thread.join().unwrap());
            }
        });
    });
}

#[test]
fn wake_in_thread_local_destructor_is_observed() {
    struct Wakes(Waker);

    impl Drop for Wakes {
        fn drop(&mut self) {
            self.0.wake_by_ref();
        }
    }

    thread_local! {
        static LAST: RefCell<Option<Wakes>> = const { RefCell::new(None) };
    }

    each(|runtime| {
        runtime.block_on(async {
            let mailbox = Mailbox::new();
            let task = heist::spawn(Arc::clone(&mailbox).wait());
            let waker = mailbox.waker().await;
            mailbox.ready.store(true, Ordering::SeqCst);
            let handle = Handle::current();
            thread::spawn(move || {
                LAST.set(Some(Wakes(waker)));
                let _guard = handle.enter();
                drop(heist::spawn(async {}));
            })
            .join()
            .unwrap();
            task.await.unwrap();
        });
    });
}

/// A waker that calls back into the runtime when it is cloned, woken or dropped.
struct Reentrant {
    handle: Handle,
    victim: AbortHandle,
    calls: Count,
    spawned: Count,
    woken: Count,
}

impl Reentrant {
    fn call_runtime(&self) {
        self.calls.add();
        let spawned = self.spawned.clone();
        drop(self.handle.spawn(async move {
            spawned.add();
            yield_now().await;
        }));
        self.victim.abort();
        assert!(!self.victim.clone().is_finished() || self.victim.is_finished());
        let _guard = self.handle.enter();
        let mut sleep = Box::pin(heist::time::sleep(Duration::from_secs(3600)));
        assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        sleep.as_mut().reset(heist::time::Instant::now() + Duration::from_secs(1800));
        drop(sleep);
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        drop(socket);
    }

    fn waker(self: Arc<Self>) -> Waker {
        // SAFETY: the functions of the table keep the contract: the pointer is an `Arc`'s.
        unsafe { Waker::from_raw(raw(self)) }
    }
}

static REENTRANT: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: the waker that is cloned holds a count of its own.
        unsafe { Arc::increment_strong_count(data.cast::<Reentrant>()) };
        // SAFETY: the count has just been raised.
        let reentrant = unsafe { Arc::from_raw(data.cast::<Reentrant>()) };
        reentrant.call_runtime();
        raw(reentrant)
    },
    |data| {
        // SAFETY: the waker that is consumed gives up its count.
        let reentrant = unsafe { Arc::from_raw(data.cast::<Reentrant>()) };
        reentrant.woken.add();
        reentrant.call_runtime();
    },
    |data| {
        // SAFETY: the waker holds a count.
        let reentrant = unsafe { &*data.cast::<Reentrant>() };
        reentrant.woken.add();
        reentrant.call_runtime();
    },
    |data| {
        // SAFETY: the waker that is dropped gives up its count.
        let reentrant = unsafe { Arc::from_raw(data.cast::<Reentrant>()) };
        reentrant.call_runtime();
    },
);

fn raw(reentrant: Arc<Reentrant>) -> RawWaker {
    RawWaker::new(Arc::into_raw(reentrant).cast(), &REENTRANT)
}

/// Polls `future` with two reentrant wakers in turn. Then `change` and `ready` make it ready, and
/// it waits for the wake.
async fn poll_with_reentrant_wakers<F>(
    mut future: F,
    change: impl FnOnce(&mut F),
    ready: impl AsyncFnOnce(),
) -> F::Output
where
    F: Future + Unpin,
{
    let victim = heist::spawn(pending::<()>());
    let (calls, spawned, woken) = (Count::new(), Count::new(), Count::new());
    let reentrant = || {
        let (handle, victim) = (Handle::current(), victim.abort_handle());
        Arc::new(Reentrant { handle, victim, calls: calls.clone(), spawned: spawned.clone(), woken: woken.clone() })
            .waker()
    };
    let (first, second) = (reentrant(), reentrant());
    for waker in [&first, &second, &second, &first] {
        assert!(Pin::new(&mut future).poll(&mut Context::from_waker(waker)).is_pending());
    }
    change(&mut future);
    ready().await;
    while woken.get() == 0 {
        yield_now().await;
    }
    // The future was woken and holds no reentrant waker any more: this poll is an ordinary one.
    let output = future.await;
    drop((first, second));
    assert!(victim.await.unwrap_err().is_cancelled());
    while spawned.get() < calls.get() {
        yield_now().await;
    }
    assert!(calls.get() > 4);
    output
}

#[test]
fn join_handle_tolerates_reentrant_wakers() {
    each(|runtime| {
        runtime.block_on(async {
            let door = Door::new();
            let opened = door.opened();
            let task = heist::spawn(async move {
                opened.await;
                9
            });
            assert_eq!(poll_with_reentrant_wakers(task, |_| {}, async || door.open()).await.unwrap(), 9);
            // The waker stays in a handle that is dropped, and in one whose task is aborted.
            for abort in [false, true] {
                let victim = heist::spawn(pending::<()>());
                let (calls, spawned, woken) = (Count::new(), Count::new(), Count::new());
                let (handle, aborts) = (Handle::current(), victim.abort_handle());
                let reentrant = Reentrant { handle, victim: aborts, calls, spawned, woken };
                let waker = Arc::new(reentrant).waker();
                let mut task = heist::spawn(pending::<()>());
                assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
                let ends = task.abort_handle();
                if abort {
                    ends.abort();
                }
                drop(task);
                ends.abort();
                assert!(victim.await.unwrap_err().is_cancelled());
            }
        });
    });
}

#[test]
fn sleep_tolerates_reentrant_wakers() {
    each(|runtime| {
        runtime.block_on(async {
            let sleep = Box::pin(heist::time::sleep(Duration::from_secs(3600)));
            let near = |sleep: &mut Pin<Box<heist::time::Sleep>>| {
                sleep.as_mut().reset(heist::time::Instant::now() + Duration::from_millis(1));
            };
            poll_with_reentrant_wakers(sleep, near, async || {}).await;
            // The timer is dropped while it is armed.
            let victim = heist::spawn(pending::<()>());
            let (calls, spawned, woken) = (Count::new(), Count::new(), Count::new());
            let (handle, aborts) = (Handle::current(), victim.abort_handle());
            let reentrant = Reentrant { handle, victim: aborts, calls: calls.clone(), spawned, woken };
            let waker = Arc::new(reentrant).waker();
            let mut sleep = Box::pin(heist::time::sleep(Duration::from_secs(3600)));
            assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            drop((sleep, waker));
            assert_eq!(calls.get(), 3, "one clone and two drops");
            assert!(victim.await.unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn socket_tolerates_reentrant_wakers() {
    each(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let accept = Box::pin(listener.accept());
            let client = Mutex::new(None);
            let (mut server, _) = poll_with_reentrant_wakers(
                accept,
                |_| {},
                async || {
                    *client.lock().unwrap() = Some(TcpStream::connect(address).await.unwrap());
                },
            )
            .await
            .unwrap();
            let mut client = client.into_inner().unwrap().unwrap();
            let mut byte = [0];
            let read = Box::pin(server.read(&mut byte));
            let n =
                poll_with_reentrant_wakers(read, |_| {}, async || client.write_all(b"x").await.unwrap()).await.unwrap();
            assert_eq!((n, byte), (1, *b"x"));
        });
    });
}
