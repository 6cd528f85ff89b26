//! Databases, a message broker, and pools of connections.

use std::time::Duration;

use super::{Peers, expect, failed, while_serving};

fn redis_url(peers: &Peers) -> String {
    format!("redis://127.0.0.1:{}/", peers.redis)
}

async fn set_and_get(connection: &mut impl redis::aio::ConnectionLike, key: &str) -> Result<(), String> {
    let set = redis::cmd("SET").arg(key).arg(7).to_owned();
    let () = set.query_async(connection).await.map_err(failed("SET"))?;
    let got: i32 = redis::cmd("GET").arg(key).query_async(connection).await.map_err(failed("GET"))?;
    expect(got, 7)
}

pub async fn redis_connection(peers: &Peers) -> Result<(), String> {
    let client = redis::Client::open(redis_url(peers)).map_err(failed("the URL"))?;
    let mut connection = client.get_multiplexed_async_connection().await.map_err(failed("connect"))?;
    set_and_get(&mut connection, "connection").await
}

pub async fn redis_manager(peers: &Peers) -> Result<(), String> {
    let client = redis::Client::open(redis_url(peers)).map_err(failed("the URL"))?;
    let mut manager = redis::aio::ConnectionManager::new(client).await.map_err(failed("connect"))?;
    set_and_get(&mut manager, "manager").await
}

pub async fn postgres_query(peers: &Peers) -> Result<(), String> {
    let config = format!("host=127.0.0.1 port={} user=postgres", peers.postgres);
    let (client, connection) =
        tokio_postgres::connect(&config, tokio_postgres::NoTls).await.map_err(failed("connect"))?;
    let query = async {
        let rows = client.query("SELECT generate_series(1, 100) AS n", &[]).await.map_err(failed("the query"))?;
        expect(rows.iter().map(|row| row.get::<_, i32>("n")).sum::<i32>(), 5050)
    };
    while_serving(connection, query).await
}

pub async fn sqlx_pool(peers: &Peers) -> Result<(), String> {
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", peers.postgres);
    let pool =
        sqlx::postgres::PgPoolOptions::new().max_connections(2).connect(&url).await.map_err(failed("connect"))?;
    let (sum,): (i64,) =
        sqlx::query_as("SELECT $1 + 1").bind(41_i64).fetch_one(&pool).await.map_err(failed("the query"))?;
    pool.close().await;
    expect(sum, 42)
}

pub async fn rumqttc_poll(peers: &Peers) -> Result<(), String> {
    let mut options = rumqttc::MqttOptions::new("twenty-eight", "127.0.0.1", peers.mosquitto);
    options.set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = rumqttc::AsyncClient::new(options, 10);
    client.subscribe("twenty-eight", rumqttc::QoS::AtLeastOnce).await.map_err(failed("subscribe"))?;
    client.publish("twenty-eight", rumqttc::QoS::AtLeastOnce, false, "text").await.map_err(failed("publish"))?;
    loop {
        let event = events.poll().await.map_err(failed("poll"))?;
        if let rumqttc::Event::Incoming(rumqttc::Packet::Publish(publish)) = event {
            return expect(publish.payload, "text");
        }
    }
}

pub async fn bb8_get(peers: &Peers) -> Result<(), String> {
    let manager = bb8_redis::RedisConnectionManager::new(redis_url(peers)).map_err(failed("the URL"))?;
    let builder = bb8::Pool::builder().max_size(1).connection_timeout(Duration::from_secs(5));
    let pool = builder.build(manager).await.map_err(failed("the pool"))?;
    for _ in 0..10 {
        let mut connection = pool.get().await.map_err(failed("get"))?;
        set_and_get(&mut *connection, "bb8").await?;
    }
    Ok(())
}

pub async fn deadpool_get(peers: &Peers) -> Result<(), String> {
    use deadpool_redis::{Config, PoolConfig, Runtime};

    let mut config = Config::from_url(redis_url(peers));
    config.pool = Some(PoolConfig::new(1));
    let pool = config.create_pool(Some(Runtime::Tokio1)).map_err(failed("the pool"))?;
    let mut timeouts = deadpool_redis::Timeouts::wait_millis(50);
    timeouts.create = Some(Duration::from_secs(5));
    timeouts.recycle = Some(Duration::from_secs(5));
    let mut lent = pool.timeout_get(&timeouts).await.map_err(failed("get"))?;
    set_and_get(&mut lent, "deadpool").await?;
    match pool.timeout_get(&timeouts).await {
        Err(deadpool_redis::PoolError::Timeout(_)) => Ok(()),
        Err(error) => Err(format!("expected a timeout, got {error}")),
        Ok(_) => Err("the pool lent a connection that it did not have".to_owned()),
    }
}
