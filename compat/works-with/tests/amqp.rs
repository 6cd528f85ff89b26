//! AMQP: lapin against RabbitMQ.

#[path = "support/peers.rs"]
mod peers;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lapin_publishes_and_acknowledges_a_hundred_messages() {
    let server = peers::rabbitmq();
    let url = format!("amqp://127.0.0.1:{}/%2f", server.port);
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    let publisher = connection.create_channel().await.unwrap();
    publisher.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let queue = || "queue".into();
    publisher.queue_declare(queue(), QueueDeclareOptions::default(), FieldTable::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let consuming = channel.basic_consume(queue(), "".into(), BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = consuming.await.unwrap();
    let publishing = tokio::spawn(async move {
        for number in 0..100 {
            let (text, options) = (format!("{number}"), BasicPublishOptions::default());
            let sent =
                publisher.basic_publish("".into(), queue(), options, text.as_bytes(), BasicProperties::default());
            assert!(sent.await.unwrap().await.unwrap().is_ack());
        }
        publisher
    });
    for number in 0..100 {
        let delivery = consumer.next().await.unwrap().unwrap();
        assert_eq!(delivery.data, format!("{number}").as_bytes());
        delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    let publisher = publishing.await.unwrap();
    // The server answers in order. So it has the last acknowledgement.
    let canceled = channel.basic_cancel(consumer.tag(), Default::default()).await;
    canceled.unwrap();
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    let left = publisher.queue_declare(queue(), options, FieldTable::default()).await.unwrap();
    assert_eq!(left.message_count(), 0);
    connection.close(200, "".into()).await.unwrap();
}
