//! tower's layers, which use timers, semaphores and tasks.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

#[tokio::test]
async fn tower_layers_limit_buffer_and_time_out() {
    let service = tower::service_fn(|wait: u64| async move {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        Ok::<_, std::convert::Infallible>(wait)
    });
    let mut service = ServiceBuilder::new()
        .buffer::<u64>(16)
        .rate_limit(100, Duration::from_millis(10))
        .concurrency_limit(4)
        .timeout(Duration::from_millis(50))
        .service(service);
    for _ in 0..10 {
        assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 1);
    }
    assert!(service.ready().await.unwrap().call(10_000).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn rate_limit_of_two_lets_five_calls_take_two_periods() {
    let unit = tower::service_fn(|(): ()| async { Ok::<_, Infallible>(()) });
    let mut service = ServiceBuilder::new().rate_limit(2, Duration::from_secs(10)).service(unit);
    let began = Instant::now();
    for _ in 0..5 {
        service.ready().await.unwrap().call(()).await.unwrap();
    }
    assert_eq!(began.elapsed().as_secs(), 20);
}

#[tokio::test]
async fn load_shed_refuses_a_call_over_the_limit() {
    let never = tower::service_fn(|(): ()| std::future::pending::<Result<(), Infallible>>());
    let mut service = ServiceBuilder::new().load_shed().concurrency_limit(1).service(never);
    let first = tokio::spawn(service.ready().await.unwrap().call(()));
    let error = service.ready().await.unwrap().call(()).await.unwrap_err();
    assert!(error.is::<tower::load_shed::error::Overloaded>(), "{error}");
    first.abort();
}

/// Allows a number of attempts, with a pause before each.
#[derive(Clone)]
struct Attempts(u32);

impl<T> tower::retry::Policy<(), T, &'static str> for Attempts {
    type Future = tokio::time::Sleep;

    fn retry(&mut self, (): &mut (), result: &mut Result<T, &'static str>) -> Option<Self::Future> {
        if result.is_ok() {
            return None;
        }
        self.0 = self.0.checked_sub(1)?;
        Some(tokio::time::sleep(Duration::from_secs(1)))
    }

    fn clone_request(&mut self, (): &()) -> Option<()> {
        Some(())
    }
}

#[tokio::test(start_paused = true)]
async fn retry_calls_again_until_success_or_the_last_attempt() {
    let count = Arc::new(AtomicU32::new(0));
    let service = tower::service_fn(move |(): ()| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move { if number < 3 { Err("not yet") } else { Ok(number) } }
    });
    assert_eq!(tower::retry::Retry::new(Attempts(1), service.clone()).oneshot(()).await, Err("not yet"));
    assert_eq!(tower::retry::Retry::new(Attempts(5), service).oneshot(()).await, Ok(3));
}

#[derive(Clone)]
struct Always;

impl<T> tower::hedge::Policy<T> for Always
where
    T: Clone,
{
    fn clone_request(&self, request: &T) -> Option<T> {
        Some(request.clone())
    }

    fn can_retry(&self, _: &T) -> bool {
        true
    }
}

/// Only the second attempt ends.
#[tokio::test]
async fn hedge_sends_a_second_request_if_the_first_is_late() {
    let count = Arc::new(AtomicU32::new(0));
    let service = tower::service_fn(move |(): ()| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if number == 0 {
                std::future::pending::<()>().await;
            }
            Ok::<_, BoxError>(number)
        }
    });
    let hedge = tower::hedge::Hedge::new_with_mock_latencies(service, Always, 0, 0.9, Duration::from_secs(60), &[5]);
    assert_eq!(hedge.oneshot(()).await.unwrap(), 1);
}

#[tokio::test]
async fn balance_sends_calls_to_each_of_two_services() {
    use tower::balance::p2c::Balance;
    use tower::discover::ServiceList;
    use tower::load::{CompleteOnResponse, PendingRequests};

    let counts = [Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0))];
    let services = counts.clone().map(|count| {
        let service = tower::service_fn(move |(): ()| {
            count.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, BoxError>(()) }
        });
        PendingRequests::new(service, CompleteOnResponse::default())
    });
    let mut balance = Balance::new(ServiceList::new(services));
    let mut calls = Vec::new();
    for _ in 0..20 {
        calls.push(balance.ready().await.unwrap().call(()));
    }
    for call in calls {
        call.await.unwrap();
    }
    // A call that is not polled is pending, so the next one goes to the other service.
    assert_eq!(counts.map(|count| count.load(Ordering::SeqCst)), [10, 10]);
}
