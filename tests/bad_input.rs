//! Invalid arguments and calls: each gives one clear message that names the remedy.

#[path = "support/kit.rs"]
mod kit;

use std::future::{Future, pending};
use std::io;
use std::task::{Context, Waker};
use std::time::Duration;

use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Handle, Runtime};
use heist::time::{Instant, MissedTickBehavior, interval, interval_at, sleep, sleep_until, timeout, timeout_at};
use kit::{alone, each, panic_text, says};

#[test]
fn builder_numbers_of_zero_are_refused() {
    let builder = Builder::new_multi_thread;
    says(
        &panic_text(|| builder().worker_threads(0).build()),
        &["worker_threads(0)", "at least one", "new_current_thread"],
    );
    says(&panic_text(|| builder().max_blocking_threads(0).build()), &["max_blocking_threads(0)", "at least one"]);
    says(&panic_text(|| builder().name("").build()), &["name(\"\")", "must not be blank", "do not call `name`"]);
    says(&panic_text(|| builder().event_interval(0).build()), &["event_interval(0)", "use 1"]);
    says(&panic_text(|| builder().global_queue_interval(0).build()), &["global_queue_interval(0)", "use 1"]);
    says(&panic_text(|| Builder::new_current_thread().worker_threads(0).build()), &["worker_threads(0)"]);
}

#[test]
fn builder_numbers_of_extreme_size_work() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(70) // more than one word of the sleeper set holds
        .event_interval(u32::MAX)
        .global_queue_interval(u32::MAX)
        .max_blocking_threads(usize::MAX)
        .thread_keep_alive(Duration::MAX)
        .shutdown_grace(Duration::MAX)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..1000).map(|n| heist::spawn(async move { n })).collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), n);
        }
        heist::task::spawn_blocking(|| {}).await.unwrap();
    });
    drop(runtime);
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .event_interval(1)
        .thread_keep_alive(Duration::ZERO)
        .build()
        .unwrap();
    runtime.block_on(async {
        heist::task::spawn_blocking(|| {}).await.unwrap();
        heist::spawn(async {}).await.unwrap();
    });
}

fn is_refused(value: &str) {
    let error = Runtime::new().expect_err("the variable is bad");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    says(&error.to_string(), &["HEIST_WORKER_THREADS", value, "unset it"]);
    // With an explicit number, the variable is not read.
    Builder::new_multi_thread().worker_threads(1).build().unwrap();
    Builder::new_current_thread().build().unwrap();
}

#[test]
fn worker_variable_of_zero_is_refused() {
    alone("worker_variable_of_zero_is_refused", Some(("HEIST_WORKER_THREADS", "0")), || is_refused("\"0\""));
}

#[test]
fn worker_variable_without_number_is_refused() {
    alone("worker_variable_without_number_is_refused", Some(("HEIST_WORKER_THREADS", "all of them")), || {
        is_refused("\"all of them\"")
    });
}

#[test]
fn worker_variable_empty_is_refused() {
    alone("worker_variable_empty_is_refused", Some(("HEIST_WORKER_THREADS", "")), || is_refused("\"\""));
}

#[test]
fn worker_variable_negative_is_refused() {
    alone("worker_variable_negative_is_refused", Some(("HEIST_WORKER_THREADS", "-2")), || is_refused("\"-2\""));
}

#[test]
fn worker_variable_of_three_gives_three_workers() {
    alone("worker_variable_of_three_gives_three_workers", Some(("HEIST_WORKER_THREADS", "3")), || {
        assert_eq!(Runtime::new().unwrap().metrics().num_workers(), 3);
        assert_eq!(Builder::new_multi_thread().worker_threads(2).build().unwrap().metrics().num_workers(), 2);
        assert_eq!(Builder::new_current_thread().build().unwrap().metrics().num_workers(), 1);
    });
}

const OUTSIDE: [&str; 4] = ["no heist runtime", "task", "block_on", "enter"];

#[test]
fn call_outside_of_runtime_names_remedy() {
    says(&panic_text(|| heist::spawn(async {})), &OUTSIDE);
    says(&panic_text(|| heist::task::spawn_blocking(|| {})), &OUTSIDE);
    says(&panic_text(|| Handle::current()), &OUTSIDE);
    says(&Handle::try_current().unwrap_err().to_string(), &OUTSIDE);
    says(&panic_text(|| heist::task::id()), &["no task here", "spawned task"]);
    assert_eq!(heist::task::try_id(), None);
    let poll = |future: &mut (dyn Future<Output = ()> + Unpin)| {
        std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
    };
    says(&panic_text(|| poll(&mut Box::pin(sleep(Duration::from_secs(1))))), &OUTSIDE);
    let mut waits = Box::pin(async {
        let _ = timeout(Duration::from_secs(1), pending::<()>()).await;
    });
    says(&panic_text(|| poll(&mut waits)), &OUTSIDE);
    let mut binds = Box::pin(async {
        let _ = TcpListener::bind("127.0.0.1:0").await;
    });
    says(&panic_text(|| poll(&mut binds)), &OUTSIDE);
    let mut connects = Box::pin(async {
        let _ = TcpStream::connect("127.0.0.1:9").await;
    });
    says(&panic_text(|| poll(&mut connects)), &OUTSIDE);
}

#[test]
fn future_not_spawned_is_dropped() {
    let drops = kit::Count::new();
    let guard = drops.on_drop();
    panic_text(|| heist::spawn(async move { drop(guard) }));
    assert_eq!(drops.get(), 1);
}

#[test]
fn sleep_without_timers_names_remedy() {
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = builder.enable_io().build().unwrap();
        let parts = ["without timers", "enable_time", "enable_all", "Builder"];
        says(&panic_text(|| runtime.block_on(async { sleep(Duration::from_secs(1)).await })), &parts);
        let error = runtime.block_on(runtime.spawn(async { sleep(Duration::from_secs(1)).await })).unwrap_err();
        says(&kit::text(error.into_panic()), &parts);
        says(
            &panic_text(|| runtime.block_on(async { timeout(Duration::from_secs(1), pending::<()>()).await })),
            &parts,
        );
        says(
            &panic_text(|| {
                runtime.block_on(async {
                    let _ = interval_at(Instant::now() + Duration::from_secs(1), Duration::from_secs(1)).tick().await;
                })
            }),
            &parts,
        );
        // Sockets work.
        runtime.block_on(async { TcpListener::bind("127.0.0.1:0").await.unwrap() });
    }
}

#[test]
fn socket_without_io_names_remedy() {
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = builder.enable_time().build().unwrap();
        let parts = ["without I/O", "enable_io", "enable_all", "Builder"];
        says(
            &panic_text(|| {
                runtime.block_on(async {
                    let _ = TcpListener::bind("127.0.0.1:0").await;
                })
            }),
            &parts,
        );
        let error = runtime
            .block_on(runtime.spawn(async {
                let _ = TcpStream::connect("127.0.0.1:9").await;
            }))
            .unwrap_err();
        says(&kit::text(error.into_panic()), &parts);
        // Timers work.
        runtime.block_on(async { sleep(Duration::from_micros(1)).await });
    }
}

#[test]
fn tasks_run_without_drivers() {
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = builder.build().unwrap();
        assert_eq!(runtime.block_on(async { heist::spawn(async { 3 }).await.unwrap() }), 3);
    }
}

#[test]
fn block_on_in_async_code_names_remedy() {
    let parts = ["block_on", "async code", ".await", "spawn_blocking"];
    each(|runtime| {
        let handle = runtime.handle().clone();
        // In a task.
        let inner = handle.clone();
        let error = runtime.block_on(runtime.spawn(async move { inner.block_on(async {}) })).unwrap_err();
        says(&kit::text(error.into_panic()), &parts);
        // In a `block_on` of the same runtime, and of another one.
        says(&panic_text(|| runtime.block_on(async { runtime.block_on(async {}) })), &parts);
        says(&panic_text(|| runtime.block_on(async { handle.block_on(async {}) })), &parts);
        let other = kit::current_thread();
        says(&panic_text(|| runtime.block_on(async { other.block_on(async {}) })), &parts);
        // Where blocking is allowed, it works.
        let inner = handle.clone();
        let job = runtime.spawn_blocking(move || inner.block_on(async { 4 }));
        assert_eq!(runtime.block_on(job).unwrap(), 4);
        let _guard = runtime.enter();
        assert_eq!(runtime.block_on(async { 5 }), 5);
    });
}

#[test]
fn durations_of_maximum_length_are_valid() {
    each(|runtime| {
        runtime.block_on(async {
            let never = |future: &mut (dyn Future<Output = ()> + Unpin)| {
                std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
            };
            for long in [Duration::MAX, Duration::MAX / 2, Duration::from_secs(u64::MAX), Duration::from_secs(1 << 40)]
            {
                assert!(never(&mut Box::pin(sleep(long))));
                assert!(never(&mut Box::pin(async move {
                    let _ = timeout(long, pending::<()>()).await;
                })));
                assert_eq!(timeout(long, async { 5 }).await, Ok(5));
                let mut reset = Box::pin(sleep(long));
                assert!(never(&mut reset));
                reset.as_mut().reset(Instant::now());
                reset.await;
                let mut ticks = interval_at(Instant::now(), long);
                for behavior in [MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip] {
                    ticks.set_missed_tick_behavior(behavior);
                    ticks.reset_immediately();
                    ticks.tick().await;
                    assert!(never(&mut Box::pin(async {
                        let _ = ticks.tick().await;
                    })));
                    ticks.reset();
                    ticks.reset_after(long);
                    assert!(never(&mut Box::pin(async {
                        let _ = ticks.tick().await;
                    })));
                }
                let mut ticks = interval(long);
                ticks.tick().await;
            }
            // The runtime still works.
            sleep(Duration::from_micros(100)).await;
        });
        let task = runtime.spawn(async { sleep(Duration::MAX).await });
        runtime.block_on(kit::yield_now());
        task.abort();
        assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    });
}

#[test]
fn durations_of_zero_and_past_instants_are_valid() {
    each(|runtime| {
        let nothing = async || {
            let past = Instant::now().checked_sub(Duration::from_millis(1)).unwrap();
            for _ in 0..1000 {
                sleep(Duration::ZERO).await;
            }
            sleep_until(past).await;
            assert_eq!(timeout(Duration::ZERO, async { 5 }).await, Ok(5), "what is ready is not late");
            assert!(timeout(Duration::ZERO, pending::<()>()).await.is_err());
            assert!(timeout_at(past, pending::<()>()).await.is_err());
            let mut ticks = interval_at(past, Duration::from_nanos(1));
            for _ in 0..100 {
                ticks.tick().await;
            }
        };
        runtime.block_on(nothing());
        runtime.block_on(runtime.spawn(async move { nothing().await })).unwrap();
    });
}

#[test]
fn interval_of_zero_names_remedy() {
    let parts = ["interval", "period", "longer than zero", "yield_now"];
    each(|runtime| {
        let _guard = runtime.enter();
        says(&panic_text(|| interval(Duration::ZERO)), &parts);
        says(&panic_text(|| interval_at(Instant::now(), Duration::ZERO)), &parts);
    });
}

#[test]
fn metrics_of_absent_worker_name_remedy() {
    let runtime = kit::workers(2);
    says(&panic_text(|| runtime.metrics().worker_poll_count(2)), &["no worker 2", "has had 2"]);
}

/// Each guard exits its runtime nevertheless.
#[test]
fn guards_dropped_out_of_order_panic() {
    let (first, second) = (kit::current_thread(), kit::current_thread());
    let (outer, inner) = (first.enter(), second.enter());
    says(&panic_text(|| drop(outer)), &["out of order", "reverse order"]);
    assert_eq!(Handle::current().id(), second.handle().id());
    drop(inner);
    assert!(Handle::try_current().is_err());
    // If the thread is panicking already, there is no second panic.
    let text = panic_text(|| {
        let (outer, inner) = (first.enter(), second.enter());
        let _both = (outer, inner);
        panic!("the only one")
    });
    assert_eq!(text, "the only one");
}
