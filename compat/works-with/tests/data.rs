//! Databases, queues and pools, against real servers.

#[path = "support/peers.rs"]
mod peers;

use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_sets_gets_and_times_out() {
    let server = peers::redis();
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/", server.port)).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let mut connection = connection.clone();
            tokio::spawn(async move {
                let () = redis::cmd("SET").arg(number).arg(number * 2).query_async(&mut connection).await.unwrap();
                let got: i32 = redis::cmd("GET").arg(number).query_async(&mut connection).await.unwrap();
                assert_eq!(got, number * 2);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let blocked = redis::cmd("BLPOP").arg("nothing").arg(0).to_owned();
    tokio::time::timeout(Duration::from_millis(20), blocked.query_async::<()>(&mut connection)).await.unwrap_err();
}

#[tokio::test]
async fn tokio_postgres_answers_queries() {
    let server = peers::postgres();
    let config = format!("host=127.0.0.1 port={} user=postgres", server.port);
    let (client, connection) = tokio_postgres::connect(&config, tokio_postgres::NoTls).await.unwrap();
    let serving = tokio::spawn(connection);
    let rows = client.query("SELECT generate_series(1, 100) AS n", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i32>("n")).sum::<i32>(), 5050);
    drop(client);
    serving.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlx_pool_serves_many_tasks() {
    let server = peers::postgres();
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let (sum,): (i64,) =
                    sqlx::query_as("SELECT $1 + 1").bind(i64::from(number)).fetch_one(&pool).await.unwrap();
                assert_eq!(sum, i64::from(number) + 1);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    pool.close().await;
}

#[tokio::test]
async fn rumqttc_publishes_and_receives() {
    let server = peers::mosquitto();
    let mut options = rumqttc::MqttOptions::new("heist", "127.0.0.1", server.port);
    options.set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = rumqttc::AsyncClient::new(options, 10);
    client.subscribe("topic", rumqttc::QoS::AtLeastOnce).await.unwrap();
    client.publish("topic", rumqttc::QoS::AtLeastOnce, false, "text").await.unwrap();
    loop {
        if let rumqttc::Event::Incoming(rumqttc::Packet::Publish(publish)) = events.poll().await.unwrap() {
            assert_eq!(publish.payload, "text");
            break;
        }
    }
}
