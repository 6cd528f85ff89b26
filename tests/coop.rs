//! The budget of a poll, for every resource that spends it and every kind of poll.

#[path = "support/kit.rs"]
mod kit;

use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use heist::net::UdpSocket;
use heist::runtime::Runtime;
use heist::task::JoinSet;
use heist::task::coop::{consume_budget, cooperative, has_budget_remaining, poll_proceed, unconstrained};
use heist::time::{interval, sleep, timeout};
use kit::{Count, Door, current_thread, each, workers, yield_now};

/// The units of a poll.
const BUDGET: usize = 128;

/// Counts the polls of a future.
struct Counted<F> {
    future: Pin<Box<F>>,
    polls: Count,
}

impl<F: Future> Future for Counted<F> {
    type Output = (usize, F::Output);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.polls.add();
        let output = self.future.as_mut().poll(cx);
        output.map(|output| (self.polls.get(), output))
    }
}

/// Returns how many polls `future` takes as a task and as a root, if only a spent budget causes a
/// further poll.
#[track_caller]
fn polls<F: Future<Output: Send> + Send + 'static>(runtime: &Runtime, make: impl Fn() -> F) -> [usize; 2] {
    let counted = || Counted { future: Box::pin(make()), polls: Count::new() };
    let task = runtime.block_on(async { heist::spawn(counted()).await.unwrap().0 });
    [task, runtime.block_on(counted()).0]
}

async fn consume(units: usize) {
    for _ in 0..units {
        consume_budget().await;
    }
}

#[test]
fn poll_budget_has_128_units() {
    each(|runtime| {
        assert_eq!(polls(runtime, || consume(BUDGET)), [1, 1]);
        assert_eq!(polls(runtime, || consume(BUDGET + 1)), [2, 2]);
        assert_eq!(polls(runtime, || consume(10 * BUDGET)), [10, 10]);
    });
}

#[test]
fn yield_now_costs_no_budget() {
    each(|runtime| {
        let yields = || async {
            for _ in 0..3 {
                consume(BUDGET - 1).await;
                assert!(has_budget_remaining());
                yield_now().await;
            }
        };
        assert_eq!(polls(runtime, yields), [4, 4]);
    });
}

#[test]
fn sleeps_and_ticks_that_are_due_cost_a_unit_each() {
    each(|runtime| {
        let sleeps = || async {
            for _ in 0..2 * BUDGET {
                sleep(Duration::ZERO).await;
            }
        };
        assert_eq!(polls(runtime, sleeps), [2, 2]);
        let ticks = || async {
            let mut interval = interval(Duration::from_nanos(1));
            for _ in 0..2 * BUDGET {
                interval.tick().await;
            }
        };
        assert_eq!(polls(runtime, ticks), [2, 2]);
    });
}

#[test]
fn timeouts_that_are_due_cost_a_unit_each() {
    each(|runtime| {
        let timeouts = || async {
            for _ in 0..2 * BUDGET {
                timeout(Duration::ZERO, pending::<()>()).await.unwrap_err();
            }
        };
        assert_eq!(polls(runtime, timeouts), [2, 2]);
    });
}

#[test]
fn timeout_of_future_that_spends_whole_budget_elapses() {
    each(|runtime| {
        runtime.block_on(async {
            let spends = async {
                loop {
                    consume_budget().await;
                }
            };
            timeout(Duration::from_millis(1), spends).await.unwrap_err();
        });
    });
}

/// The future is ready, and only the spent budget keeps it from saying so.
#[test]
fn timeout_of_a_ready_future_after_the_budget_is_spent_returns_the_output() {
    each(|runtime| {
        let spends_first = async {
            for _ in 0..BUDGET {
                consume_budget().await;
            }
            timeout(Duration::ZERO, consume_budget()).await
        };
        runtime.block_on(spends_first).unwrap();
    });
}

#[test]
fn join_handles_and_join_sets_cost_a_unit_for_each_output() {
    let runtime = current_thread();
    let run = |runtime: &Runtime| {
        let tasks: Vec<_> = (0..2 * BUDGET).map(|_| runtime.spawn(async {})).collect();
        runtime.block_on(async {
            while !tasks.iter().all(|task| task.is_finished()) {
                yield_now().await;
            }
        });
        tasks
    };
    let (tasks, others) = (run(&runtime), run(&runtime));
    let join = |tasks: Vec<heist::task::JoinHandle<()>>| Counted {
        future: Box::pin(async {
            for task in tasks {
                task.await.unwrap();
            }
        }),
        polls: Count::new(),
    };
    assert_eq!(runtime.block_on(join(tasks)).0, 2);
    assert_eq!(runtime.block_on(async { heist::spawn(join(others)).await.unwrap().0 }), 2);

    let mut set = JoinSet::new();
    let tasks: Vec<_> = (0..2 * BUDGET).map(|_| set.spawn_on(async {}, runtime.handle())).collect();
    runtime.block_on(async {
        while !tasks.iter().all(|task| task.is_finished()) {
            yield_now().await;
        }
    });
    let all = Counted { future: Box::pin(set.join_all()), polls: Count::new() };
    let (polls, outputs) = runtime.block_on(all);
    assert_eq!((polls, outputs.len()), (2, 2 * BUDGET));
}

#[test]
fn socket_operation_costs_a_unit() {
    each(|runtime| {
        runtime.block_on(async {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let nobody_at = nobody.local_addr().unwrap();
            let sends = async {
                for _ in 0..2 * BUDGET {
                    socket.send_to(b"x", nobody_at).await.unwrap();
                }
            };
            assert_eq!(Counted { future: Box::pin(sends), polls: Count::new() }.await.0, 2);
            let ready = async {
                for _ in 0..2 * BUDGET {
                    socket.writable().await.unwrap();
                }
            };
            yield_now().await;
            assert_eq!(Counted { future: Box::pin(ready), polls: Count::new() }.await.0, 2);
            yield_now().await;
            let polled = async {
                for _ in 0..2 * BUDGET {
                    poll_fn(|cx| socket.poll_send_ready(cx)).await.unwrap();
                }
            };
            assert_eq!(Counted { future: Box::pin(polled), polls: Count::new() }.await.0, 2);
        });
    });
}

#[cfg(unix)]
#[test]
fn async_fd_readiness_costs_a_unit() {
    use heist::io::unix::AsyncFd;

    let runtime = current_thread();
    runtime.block_on(async {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        let fd = AsyncFd::new(one).unwrap();
        fd.writable().await.unwrap().retain_ready();
        yield_now().await;
        let ready = async {
            for _ in 0..2 * BUDGET {
                fd.writable().await.unwrap().retain_ready();
            }
        };
        assert_eq!(Counted { future: Box::pin(ready), polls: Count::new() }.await.0, 2);
    });
}

#[test]
fn resource_not_ready_costs_nothing() {
    let runtime = current_thread();
    runtime.block_on(async {
        let mut never = Box::pin(sleep(Duration::from_secs(3600)));
        let mut task = heist::spawn(pending::<()>());
        let mut set = JoinSet::new();
        set.spawn(pending::<()>());
        poll_fn(|cx| {
            for _ in 0..2 * BUDGET {
                assert!(never.as_mut().poll(cx).is_pending());
                assert!(Pin::new(&mut task).poll(cx).is_pending());
                assert!(set.poll_join_next(cx).is_pending());
                assert!(pin!(cooperative(pending::<()>())).poll(cx).is_pending());
                assert!(matches!(poll_proceed(cx), Poll::Ready(_)));
            }
            assert!(has_budget_remaining());
            Poll::Ready(())
        })
        .await;
    });
}

#[test]
fn unit_is_given_back_without_progress() {
    current_thread().block_on(async {
        poll_fn(|cx| {
            for spent in 0..BUDGET {
                for _ in 0..3 {
                    let Poll::Ready(unit) = poll_proceed(cx) else { panic!("refused after {spent}") };
                    drop(unit);
                }
                let Poll::Ready(unit) = poll_proceed(cx) else { panic!("refused after {spent}") };
                unit.made_progress();
            }
            assert!(!has_budget_remaining());
            assert!(poll_proceed(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    });
}

/// Records that it was called, and wakes no task.
#[derive(Default)]
struct Rings(AtomicUsize);

impl Wake for Rings {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn refused_poll_wakes_its_task() {
    current_thread().block_on(async {
        consume(BUDGET).await;
        let rings = Arc::new(Rings::default());
        let waker = Waker::from(Arc::clone(&rings));
        let mut due = Box::pin(sleep(Duration::ZERO));
        for asked in 1..=5 {
            assert!(due.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            assert_eq!(rings.0.load(Ordering::SeqCst), asked);
        }
        yield_now().await;
        assert!(due.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    });
}

#[test]
fn cooperative_costs_a_unit_and_unconstrained_none() {
    each(|runtime| {
        let wrapped = || async {
            for _ in 0..2 * BUDGET {
                cooperative(ready(())).await;
            }
        };
        assert_eq!(polls(runtime, wrapped), [2, 2]);
        let free = || unconstrained(consume(10 * BUDGET));
        assert_eq!(polls(runtime, free), [1, 1]);
        let partly = || async {
            consume(BUDGET - 1).await;
            unconstrained(consume(10 * BUDGET)).await;
            assert!(has_budget_remaining());
            consume(1).await;
            assert!(!has_budget_remaining());
        };
        assert_eq!(polls(runtime, partly), [1, 1]);
    });
}

#[test]
fn unconstrained_future_that_panics_restores_limit() {
    current_thread().block_on(async {
        consume(BUDGET).await;
        let panics = unconstrained(async { panic!("boom") });
        let mut panics = Box::pin(panics);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _: Poll<()> = panics.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }));
        assert!(caught.is_err() && !has_budget_remaining());
    });
}

#[test]
fn tasks_that_run_one_after_the_other_share_a_budget() {
    // The first task wakes the second one, which is polled from the LIFO slot with the rest of the
    // budget.
    let runtime = workers(1);
    runtime.block_on(async {
        heist::spawn(async {
            let door = Door::new();
            let opened = door.opened();
            let second = heist::spawn(async move {
                opened.await;
                let mut units = 0;
                while has_budget_remaining() {
                    consume_budget().await;
                    units += 1;
                }
                units
            });
            // Queued behind the second task, which then waits at the door.
            yield_now().await;
            yield_now().await;
            consume(100).await;
            door.open();
            assert_eq!(second.await.unwrap(), BUDGET - 100);
        })
        .await
        .unwrap();
    });
}

#[test]
fn budget_outside_of_polls_is_unlimited() {
    fn unlimited() {
        futures::executor::block_on(async {
            poll_fn(|cx| {
                for _ in 0..10 * BUDGET {
                    let Poll::Ready(unit) = poll_proceed(cx) else { panic!("refused") };
                    unit.made_progress();
                }
                assert!(has_budget_remaining());
                Poll::Ready(())
            })
            .await;
        });
    }
    unlimited();
    each(|runtime| {
        let _guard = runtime.enter();
        unlimited();
        runtime.block_on(async { heist::task::spawn_blocking(unlimited).await.unwrap() });
        // The thread has polled a root, and has driven the runtime.
        unlimited();
        runtime.block_on(consume(10));
        unlimited();
    });
}

#[test]
fn hooks_between_polls_are_not_limited() {
    let parked = Count::new();
    let hook = parked.clone();
    let runtime = heist::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .on_thread_park(move || {
            futures::executor::block_on(consume(10 * BUDGET));
            hook.add();
        })
        .build()
        .unwrap();
    runtime.block_on(async { heist::spawn(consume(BUDGET)).await.unwrap() });
    while parked.get() < 2 {
        runtime.block_on(async { heist::spawn(consume(BUDGET)).await.unwrap() });
    }
}

#[test]
fn executor_inside_of_a_poll_makes_progress() {
    current_thread().block_on(async {
        consume(BUDGET).await;
        // It never gives the runtime its turn: without a limit to the refusals it would spin for
        // ever.
        let inside = Counted { future: Box::pin(consume(10 * BUDGET)), polls: Count::new() };
        let (polls, ()) = futures::executor::block_on(inside);
        assert_eq!(polls, 10_000 + 1);
        yield_now().await;
        // The next poll is limited again.
        let mut consume = pin!(consume(BUDGET + 1));
        assert!(consume.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    });
}

/// Runs tasks whose channels are always full, beside a task that counts its turns. Returns the
/// largest number of receives between two of its turns.
fn receives_between_turns<F: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    tasks: usize,
    loops: impl Fn(Count) -> F,
) -> usize {
    const TURNS: usize = 200;
    let receives = Count::new();
    runtime.block_on(async {
        let full: Vec<_> = (0..tasks).map(|_| heist::spawn(loops(receives.clone()))).collect();
        let receives = receives.clone();
        let other = heist::spawn(async move {
            let (mut last, mut most) = (receives.get(), 0);
            for _ in 0..TURNS {
                yield_now().await;
                most = most.max(receives.get() - last);
                last = receives.get();
            }
            most
        });
        let most = other.await.unwrap();
        full.into_iter().for_each(|task| task.abort());
        most
    })
}

#[test]
fn cooperative_full_channel_starves_no_task() {
    // On one thread, only the rules decide how many polls lie between two polls of a task.
    for runtime in [current_thread(), workers(1)] {
        let most = receives_between_turns(&runtime, 3, |receives| async move {
            let (sender, receiver) = async_channel::unbounded();
            sender.try_send(()).unwrap();
            loop {
                cooperative(receiver.recv()).await.unwrap();
                sender.try_send(()).unwrap();
                receives.add();
            }
        });
        assert!((1..=3 * BUDGET).contains(&most), "async-channel: {most} receives between two turns");
        let most = receives_between_turns(&runtime, 3, |receives| async move {
            let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
            sender.try_send(()).unwrap();
            loop {
                cooperative(receiver.recv()).await.unwrap();
                sender.try_send(()).unwrap();
                receives.add();
            }
        });
        assert!((1..=3 * BUDGET).contains(&most), "tokio::sync::mpsc: {most} receives between two turns");
        let most = receives_between_turns(&runtime, 3, |receives| async move {
            let mutex = tokio::sync::Mutex::new(());
            loop {
                drop(cooperative(mutex.lock()).await);
                receives.add();
            }
        });
        assert!((1..=3 * BUDGET).contains(&most), "tokio::sync::Mutex: {most} locks between two turns");
    }
}

#[test]
fn unwrapped_full_channel_is_one_long_poll() {
    // As the page on fairness says, such a loop ends only when the channel is empty.
    let runtime = current_thread();
    let (sender, receiver) = async_channel::unbounded();
    for _ in 0..10_000 {
        sender.try_send(()).unwrap();
    }
    drop(sender);
    let drain = async move {
        let mut count = 0;
        while receiver.recv().await.is_ok() {
            count += 1;
        }
        count
    };
    let counted = Counted { future: Box::pin(drain), polls: Count::new() };
    assert_eq!(runtime.block_on(counted), (1, 10_000));
}
