//! PostgreSQL, redis, AMQP, and the spans of OpenTelemetry.

#[path = "../../works-with/tests/support/peers.rs"]
mod peers;

use std::time::Duration;

use futures_util::StreamExt;
use heist::net::TcpStream;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use redis::AsyncCommands;

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_postgres_answers_queries_of_fifty_tasks() {
    let server = peers::postgres();
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let mut config = tokio_postgres::Config::new();
    config.user("postgres").dbname("postgres");
    let (client, connection) = config.connect_raw(stream, tokio_postgres::NoTls).await.unwrap();
    let driving = heist::spawn(connection);
    let client = std::sync::Arc::new(client);
    let mut tasks = heist::task::JoinSet::new();
    for number in 0..50i32 {
        let client = std::sync::Arc::clone(&client);
        tasks.spawn(async move {
            let row = client.query_one("select $1::int4 + 1", &[&number]).await.unwrap();
            assert_eq!(row.get::<_, i32>(0), number + 1);
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    drop(tasks);
    drop(client);
    driving.await.unwrap().unwrap();
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_connection_serves_a_hundred_tasks() {
    let server = peers::redis();
    let connection = heist_compat::redis::connect(format!("redis://127.0.0.1:{}/", server.port)).await.unwrap();
    let mut tasks = heist::task::JoinSet::new();
    for number in 0..100u32 {
        let mut connection = connection.clone();
        tasks.spawn(async move {
            let () = connection.set(number, number * 2).await.unwrap();
            assert_eq!(connection.get::<_, u32>(number).await.unwrap(), number * 2);
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let mut blocking = connection.clone();
    let waiting = async move { redis::cmd("BLPOP").arg("nothing").arg(0).query_async::<()>(&mut blocking).await };
    heist::time::timeout(Duration::from_millis(20), waiting).await.unwrap_err();
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn lapin_publishes_and_acknowledges_a_hundred_messages() {
    let server = peers::rabbitmq();
    let uri = format!("amqp://127.0.0.1:{}/%2f", server.port);
    let runtime = heist_compat::lapin::runtime();
    let connection = Connection::connect_with_runtime(&uri, ConnectionProperties::default(), runtime).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel.queue_declare("queue".into(), QueueDeclareOptions::default(), FieldTable::default()).await.unwrap();
    let consuming =
        channel.basic_consume("queue".into(), "".into(), BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = consuming.await.unwrap();
    for number in 0..100 {
        let (text, options) = (format!("{number}"), BasicPublishOptions::default());
        let sent =
            channel.basic_publish("".into(), "queue".into(), options, text.as_bytes(), BasicProperties::default());
        assert!(sent.await.unwrap().await.unwrap().is_ack());
        let delivery = consumer.next().await.unwrap().unwrap();
        assert_eq!(delivery.data, text.as_bytes());
        delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    connection.close(200, "".into()).await.unwrap();
}

#[test]
fn opentelemetry_processor_exports_each_span() {
    let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let exporter = InMemorySpanExporter::default();
    let provider = runtime.block_on(async {
        let processor =
            BatchSpanProcessor::builder(exporter.clone(), heist_compat::opentelemetry::HeistRuntime).build();
        let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
        let tracer = provider.tracer("heist");
        for _ in 0..100 {
            tracer.in_span("span", |_| ());
        }
        provider
    });
    provider.force_flush().unwrap();
    assert_eq!(exporter.get_finished_spans().unwrap().len(), 100);
    provider.shutdown().unwrap();
}
