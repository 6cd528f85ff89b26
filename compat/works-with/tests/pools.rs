//! Pools of connections: bb8 and deadpool over Redis.

#[path = "support/peers.rs"]
mod peers;

use std::time::Duration;

use deadpool_redis::{PoolError, Runtime, Timeouts};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bb8_pool_over_redis_serves_many_tasks() {
    let server = peers::redis();
    let manager = bb8_redis::RedisConnectionManager::new(format!("redis://127.0.0.1:{}/", server.port)).unwrap();
    let pool = bb8::Pool::builder().max_size(4).build(manager).await.unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut connection = pool.get().await.unwrap();
                redis::cmd("INCR").arg("count").query_async::<u32>(&mut *connection).await.unwrap()
            })
        })
        .collect();
    let mut counts = Vec::new();
    for task in tasks {
        counts.push(task.await.unwrap());
    }
    counts.sort_unstable();
    assert!(counts.into_iter().eq(1..=50));
    assert!(pool.state().connections <= 4);
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
    let pool =
        bb8::Pool::builder().max_size(1).connection_timeout(Duration::from_millis(20)).build(Numbers).await.unwrap();
    let lent = pool.get().await.unwrap();
    assert_eq!(*lent, 7);
    assert!(pool.get().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadpool_over_redis_serves_many_tasks_and_times_out() {
    let server = peers::redis();
    let mut config = deadpool_redis::Config::from_url(format!("redis://127.0.0.1:{}/", server.port));
    config.pool = Some(deadpool_redis::PoolConfig::new(4));
    let pool = config.create_pool(Some(Runtime::Tokio1)).unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut connection = pool.get().await.unwrap();
                redis::cmd("INCR").arg("count").query_async::<u32>(&mut connection).await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut lent = Vec::new();
    for _ in 0..4 {
        lent.push(pool.get().await.unwrap());
    }
    let late = pool.timeout_get(&Timeouts::wait_millis(20)).await;
    assert!(matches!(late, Err(PoolError::Timeout(_))));
    let returning = tokio::spawn(async move {
        tokio::task::yield_now().await;
        drop(lent);
    });
    pool.timeout_get(&Timeouts::wait_millis(20_000)).await.unwrap();
    returning.await.unwrap();
}
