//! The stable names of Tokio's that heist provides itself: runtime, tasks, timers. The rest of the
//! API is Tokio's own source. This file has no tests: it compiles with Tokio and with the crate over
//! heist.

#![allow(dead_code, clippy::all)]

use std::future::{pending, ready};
use std::pin::Pin;
use std::task::Context;

use tokio::runtime::{
    Builder, EnterGuard, Handle, Id, LocalOptions, LocalRuntime, Runtime, RuntimeFlavor, RuntimeMetrics,
    TryCurrentError,
};
use tokio::task::{AbortHandle, JoinError, JoinHandle, JoinSet, LocalEnterGuard, LocalKey, LocalSet};
use tokio::time::{Duration, Instant, Interval, MissedTickBehavior, Sleep, Timeout};

fn builder(builder: &mut Builder) -> std::io::Result<(Runtime, LocalRuntime)> {
    let _: [Builder; 2] = [Builder::new_current_thread(), Builder::new_multi_thread()];
    builder.enable_all().enable_io().enable_time().worker_threads(1).max_blocking_threads(1);
    builder
        .thread_name("name")
        .thread_name_fn::<fn() -> String>(|| "name".to_owned())
        .thread_stack_size(1 << 20)
        .name("name");
    builder.on_thread_start::<fn()>(|| ()).on_thread_stop(|| ()).on_thread_park(|| ()).on_thread_unpark(|| ());
    builder.thread_keep_alive(Duration::ZERO).global_queue_interval(1).event_interval(1);
    builder.max_io_events_per_tick(1).max_io_events_per_busy_tick(1).start_paused(true);
    Ok((builder.build()?, builder.build_local(LocalOptions::default())?))
}

fn runtime(runtime: Runtime, local: LocalRuntime, handle: Handle, error: TryCurrentError) {
    let _ = (Runtime::new(), LocalRuntime::new(), Handle::current(), Handle::try_current());
    let _: (&Handle, &Handle) = (runtime.handle(), local.handle());
    let _: (JoinHandle<()>, JoinHandle<()>) = (runtime.spawn(ready(())), handle.spawn(ready(())));
    let _: (JoinHandle<()>, JoinHandle<()>) = (runtime.spawn_blocking(|| ()), handle.spawn_blocking(|| ()));
    let _: (JoinHandle<()>, JoinHandle<()>) = (local.spawn_local(ready(())), local.spawn_blocking(|| ()));
    let _ = (runtime.block_on(ready(())), handle.block_on(ready(())), local.block_on(ready(())));
    let _: (EnterGuard<'_>, EnterGuard<'_>, EnterGuard<'_>) = (runtime.enter(), handle.enter(), local.enter());
    let _: (RuntimeMetrics, RuntimeMetrics, RuntimeMetrics) = (runtime.metrics(), handle.metrics(), local.metrics());
    let _: (Id, Option<&str>) = (handle.id(), handle.name());
    let _ = matches!(handle.runtime_flavor(), RuntimeFlavor::CurrentThread | RuntimeFlavor::MultiThread);
    let _: (bool, bool) = (error.is_missing_context(), error.is_thread_local_destroyed());
    let _: Option<usize> = tokio::runtime::worker_index();
    let _: bool = tokio::runtime::is_rt_shutdown_err(&std::io::ErrorKind::Other.into());
    runtime.shutdown_timeout(Duration::ZERO);
    local.shutdown_background();
}

fn metrics(metrics: RuntimeMetrics) {
    let _: (usize, usize, usize) = (metrics.num_workers(), metrics.num_alive_tasks(), metrics.global_queue_depth());
    let _: (Duration, u64) = (metrics.worker_total_busy_duration(0), metrics.worker_park_count(0));
    let _: u64 = metrics.worker_park_unpark_count(0);
}

tokio::task_local! {
    static LOCAL: u32;
}

async fn tasks(handle: JoinHandle<u32>, error: JoinError, set: LocalSet) {
    let _: (JoinHandle<()>, JoinHandle<()>) = (tokio::spawn(ready(())), tokio::task::spawn(ready(())));
    let _: (JoinHandle<()>, JoinHandle<()>) = (tokio::task::spawn_local(ready(())), tokio::task::spawn_blocking(|| ()));
    tokio::task::block_in_place(|| ());
    tokio::task::yield_now().await;
    let _: (tokio::task::Id, Option<tokio::task::Id>) = (tokio::task::id(), tokio::task::try_id());
    let abort: AbortHandle = handle.abort_handle();
    let _ = (handle.abort(), handle.is_finished(), handle.id(), abort.abort(), abort.is_finished(), abort.id());
    let _ = (error.is_cancelled(), error.is_panic(), error.id(), error.to_string());
    let _: std::io::Error = error.into();
    let _: &LocalKey<u32> = &LOCAL;
    let _: tokio::task::futures::TaskLocalFuture<u32, _> = LOCAL.scope(1, pending::<()>());
    let _ = (LOCAL.sync_scope(1, || ()), LOCAL.with(|_| ()), LOCAL.try_with(|_| ()), LOCAL.get());
    let _: LocalEnterGuard = set.enter();
    let _: JoinHandle<()> = set.spawn_local(ready(()));
    let _: (Id, ()) = (set.id(), set.run_until(ready(())).await);
    set.await;
    use tokio::task::coop;
    let _ = (coop::has_budget_remaining(), coop::consume_budget().await, coop::unconstrained(ready(())).await);
    let _ = coop::cooperative(ready(())).await;
    std::future::poll_fn(|cx: &mut Context<'_>| coop::poll_proceed(cx).map(|unit| unit.made_progress())).await;
}

async fn join_set(mut tasks: JoinSet<u32>, handle: Handle, set: LocalSet) {
    let _ = (JoinSet::<u32>::new(), tasks.len(), tasks.is_empty());
    let _: [AbortHandle; 4] = [
        tasks.spawn(ready(1)),
        tasks.spawn_on(ready(1), &handle),
        tasks.spawn_local(ready(1)),
        tasks.spawn_local_on(ready(1), &set),
    ];
    let _: [AbortHandle; 2] = [tasks.spawn_blocking(|| 1), tasks.spawn_blocking_on(|| 1, &handle)];
    let _ = (tasks.join_next().await, tasks.join_next_with_id().await);
    let _ = (tasks.try_join_next(), tasks.try_join_next_with_id());
    tasks.abort_all();
    tasks.detach_all();
    tasks.shutdown().await;
    let _: Vec<u32> = tasks.join_all().await;
}

async fn timers(mut sleep: Pin<&mut Sleep>, mut interval: Interval, timeout: Timeout<std::future::Ready<()>>) {
    let _: (Sleep, Sleep) = (tokio::time::sleep(Duration::ZERO), tokio::time::sleep_until(Instant::now()));
    let _: (Instant, bool) = (sleep.deadline(), sleep.is_elapsed());
    sleep.as_mut().reset(Instant::now());
    let _: (Interval, Interval) =
        (tokio::time::interval(Duration::MAX), tokio::time::interval_at(Instant::now(), Duration::MAX));
    let _: Instant = interval.tick().await;
    interval.reset();
    interval.reset_immediately();
    interval.reset_after(Duration::ZERO);
    interval.reset_at(Instant::now());
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let _ = (interval.missed_tick_behavior(), interval.period());
    let _: Result<(), tokio::time::error::Elapsed> = tokio::time::timeout(Duration::ZERO, ready(())).await;
    let _ = tokio::time::timeout_at(Instant::now(), ready(())).await;
    let _ = timeout.get_ref();
    timeout.into_inner().await;
    let error = tokio::time::error::Error::shutdown();
    let _ = (error.is_shutdown(), error.is_at_capacity(), error.is_invalid());
    let now = Instant::now();
    let _ =
        (Instant::from_std(now.into_std()), now.elapsed(), now.duration_since(now), now.checked_duration_since(now));
    let _ = (now.saturating_duration_since(now), now.checked_add(Duration::ZERO), now.checked_sub(Duration::ZERO));
    let _ = (now + Duration::ZERO, now - Duration::ZERO, now - now);
    tokio::time::pause();
    tokio::time::advance(Duration::ZERO).await;
    tokio::time::resume();
}
