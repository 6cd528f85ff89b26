//! Time, retries and the budget of a task.

use std::time::Duration;

use backon::Retryable;
use futures_util::StreamExt;
use tokio::time::Instant;

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

#[tokio::test(start_paused = true)]
async fn backoff_retries_until_success() {
    let attempts = std::sync::atomic::AtomicUsize::new(0);
    let attempt = || async {
        let number = attempts.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if number < 3 { Err(backoff::Error::transient("not yet")) } else { Ok(number) }
    };
    assert_eq!(backoff::future::retry(backoff::ExponentialBackoff::default(), attempt).await, Ok(3));
}

#[tokio::test]
async fn backoff_ends_at_a_permanent_error() {
    let attempt = || async { Err::<(), _>(backoff::Error::permanent("never")) };
    assert_eq!(backoff::future::retry(backoff::ExponentialBackoff::default(), attempt).await, Err("never"));
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
