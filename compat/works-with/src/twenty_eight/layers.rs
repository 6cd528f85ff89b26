//! Libraries that use timers and tasks, without a peer.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tower::{Service, ServiceBuilder, ServiceExt};

use super::{Peers, expect, failed};

pub async fn tower_timeout(_: &Peers) -> Result<(), String> {
    let never = tower::service_fn(|(): ()| std::future::pending::<Result<(), Infallible>>());
    let service = ServiceBuilder::new().timeout(Duration::from_millis(20)).service(never);
    match service.oneshot(()).await {
        Err(error) if error.is::<tower::timeout::error::Elapsed>() => Ok(()),
        outcome => Err(format!("expected a timeout, got {outcome:?}")),
    }
}

pub async fn tower_buffer(_: &Peers) -> Result<(), String> {
    let double = tower::service_fn(|number: u32| async move { Ok::<_, Infallible>(number * 2) });
    let mut service = ServiceBuilder::new().buffer::<u32>(4).service(double);
    for number in 0..10 {
        let ready = service.ready().await.map_err(failed("ready"))?;
        expect(ready.call(number).await.map_err(failed("call"))?, number * 2)?;
    }
    Ok(())
}

pub async fn tower_rate_limit(_: &Peers) -> Result<(), String> {
    let unit = tower::service_fn(|(): ()| async { Ok::<_, Infallible>(()) });
    let mut service = ServiceBuilder::new().rate_limit(2, Duration::from_millis(20)).service(unit);
    let began = Instant::now();
    for _ in 0..5 {
        let Ok(ready) = service.ready().await;
        let Ok(()) = ready.call(()).await;
    }
    // Two at once, two after 20 ms, one after 40 ms.
    let took = began.elapsed();
    if took >= Duration::from_millis(40) { Ok(()) } else { Err(format!("five calls took {took:?}")) }
}

/// Only the second attempt ends.
pub async fn tower_hedge(_: &Peers) -> Result<(), String> {
    #[derive(Clone)]
    struct Always;

    impl tower::hedge::Policy<()> for Always {
        fn clone_request(&self, (): &()) -> Option<()> {
            Some(())
        }

        fn can_retry(&self, (): &()) -> bool {
            true
        }
    }

    let attempts = std::sync::Arc::new(AtomicU32::new(0));
    let count = std::sync::Arc::clone(&attempts);
    let service = tower::service_fn(move |(): ()| {
        let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if is_first {
                std::future::pending::<()>().await;
            }
            Ok::<_, tower::BoxError>(())
        }
    });
    let hedge = tower::hedge::Hedge::new_with_mock_latencies(service, Always, 0, 0.9, Duration::from_secs(60), &[5]);
    // Boxed, because the compiler does not prove that this future is `Send` as a part of another.
    futures_util::FutureExt::boxed(hedge.oneshot(())).await.map_err(failed("call"))?;
    expect(attempts.load(Ordering::SeqCst), 2)
}

pub async fn delay_queue(_: &Peers) -> Result<(), String> {
    let mut queue = tokio_util::time::DelayQueue::new();
    for millis in [30, 10, 20] {
        queue.insert(millis, Duration::from_millis(millis));
    }
    let mut order = Vec::new();
    while let Some(expired) = futures_util::StreamExt::next(&mut queue).await {
        order.push(expired.into_inner());
    }
    expect(order.as_slice(), [10, 20, 30])
}

pub async fn join_map(_: &Peers) -> Result<(), String> {
    let mut tasks = tokio_util::task::JoinMap::new();
    for number in 0..10 {
        tasks.spawn(number, async move { number * 2 });
    }
    let mut ended = 0;
    while let Some((number, outcome)) = tasks.join_next().await {
        expect(outcome.map_err(failed("a task"))?, number * 2)?;
        ended += 1;
    }
    expect(ended, 10)
}

pub async fn stream_timeout(_: &Peers) -> Result<(), String> {
    use tokio_stream::StreamExt;

    let stream = tokio_stream::iter([1, 2]).chain(tokio_stream::pending()).timeout(Duration::from_millis(20));
    let mut stream = std::pin::pin!(stream);
    for number in [1, 2] {
        expect(stream.next().await.and_then(Result::ok), Some(number))?;
    }
    match stream.next().await {
        Some(Err(_)) => Ok(()),
        other => Err(format!("expected a timeout, got {other:?}")),
    }
}

pub async fn backon_retry(_: &Peers) -> Result<(), String> {
    use backon::Retryable;

    let attempts = AtomicU32::new(0);
    let attempt = || async {
        let number = attempts.fetch_add(1, Ordering::SeqCst);
        if number < 3 { Err("not yet") } else { Ok(number) }
    };
    let policy = backon::ExponentialBuilder::default().with_min_delay(Duration::from_millis(1)).with_max_times(5);
    expect(attempt.retry(policy).await?, 3)
}

pub async fn backoff_retry(_: &Peers) -> Result<(), String> {
    let policy = backoff::ExponentialBackoffBuilder::new().with_initial_interval(Duration::from_millis(1)).build();
    let attempts = AtomicU32::new(0);
    let attempt = || async {
        let number = attempts.fetch_add(1, Ordering::SeqCst);
        if number < 3 { Err(backoff::Error::transient("not yet")) } else { Ok(number) }
    };
    expect(backoff::future::retry(policy, attempt).await?, 3)
}
