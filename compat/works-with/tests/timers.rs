//! Libraries that use timers, tasks and channels of Tokio.

use std::time::Duration;

use backon::Retryable;
use futures_util::StreamExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;
use tower::{Service, ServiceBuilder, ServiceExt};

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

#[tokio::test]
async fn delay_queue_yields_in_the_order_of_deadlines() {
    let mut queue = DelayQueue::new();
    for millis in [30, 10, 20] {
        queue.insert(millis, Duration::from_millis(millis));
    }
    let mut order = Vec::new();
    while let Some(expired) = queue.next().await {
        order.push(expired.into_inner());
    }
    assert_eq!(order, [10, 20, 30]);
}

#[tokio::test(start_paused = true)]
async fn paused_time_advances_to_the_next_timer() {
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(began.elapsed().as_secs(), 3600);
    let mut ticks = tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(Duration::from_secs(60))).take(3);
    while ticks.next().await.is_some() {}
    assert_eq!(began.elapsed().as_secs(), 3720);
}

#[tokio::test]
async fn backon_retries_until_success() {
    let attempts = std::sync::atomic::AtomicUsize::new(0);
    let attempt = || async {
        let number = attempts.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if number < 3 { Err("not yet") } else { Ok(number) }
    };
    let policy = backon::ExponentialBuilder::default().with_min_delay(Duration::from_millis(1)).with_max_times(5);
    assert_eq!(attempt.retry(policy).await, Ok(3));
}

struct Numbers;

impl bb8::ManageConnection for Numbers {
    type Connection = u32;
    type Error = std::io::Error;

    async fn connect(&self) -> Result<u32, std::io::Error> {
        Ok(7)
    }

    async fn is_valid(&self, _: &mut u32) -> Result<(), std::io::Error> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u32) -> bool {
        false
    }
}

#[tokio::test]
async fn bb8_pool_lends_and_times_out() {
    let pool = bb8::Pool::builder().max_size(1).connection_timeout(Duration::from_millis(20)).build(Numbers).await.unwrap();
    let lent = pool.get().await.unwrap();
    assert_eq!(*lent, 7);
    assert!(pool.get().await.is_err());
}

#[tokio::test]
async fn cancellation_token_and_task_tracker_end_tasks() {
    let (token, tracker) = (CancellationToken::new(), tokio_util::task::TaskTracker::new());
    for _ in 0..10 {
        let token = token.clone();
        tracker.spawn(async move { token.cancelled().await });
    }
    tracker.close();
    token.cancel();
    tracker.wait().await;
}

#[test]
fn local_pool_handle_runs_futures_that_are_not_send() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let pool = tokio_util::task::LocalPoolHandle::new(2);
        let task = pool.spawn_pinned(|| async {
            let cell = std::rc::Rc::new(5);
            tokio::task::yield_now().await;
            *cell
        });
        assert_eq!(task.await.unwrap(), 5);
    });
}

#[tokio::test]
async fn always_ready_channel_does_not_starve_other_tasks() {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    (0..100_000).for_each(|number| sender.send(number).unwrap());
    let other = tokio::spawn(async {});
    let mut received = 0;
    while !other.is_finished() {
        receiver.recv().await.unwrap();
        received += 1;
    }
    assert!(received < 1000, "{received} messages before the other task");
}
