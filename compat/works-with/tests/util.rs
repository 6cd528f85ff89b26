//! tokio-util with all of its features, and tokio-stream.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::bytes::Bytes;
use tokio_util::codec::{BytesCodec, Framed, FramedRead, FramedWrite, LengthDelimitedCodec, LinesCodec};
use tokio_util::compat::{FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};
use tokio_util::sync::{CancellationToken, PollSemaphore, PollSender};
use tokio_util::time::DelayQueue;

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

/// Returns the two ends of a TCP connection.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn framed_carries_lines_both_ways() {
    let (client, server) = connection().await;
    let serving = tokio::spawn(async move {
        let mut server = Framed::new(server, LinesCodec::new());
        while let Some(line) = server.next().await {
            server.send(line.unwrap().to_uppercase()).await.unwrap();
        }
    });
    let mut client = Framed::new(client, LinesCodec::new());
    for number in 0..100 {
        client.send(format!("line {number}")).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), format!("LINE {number}"));
    }
    drop(client);
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn length_delimited_frames_keep_their_bounds() {
    let (client, server) = connection().await;
    let sending = tokio::spawn(async move {
        let mut frames = FramedWrite::new(client, LengthDelimitedCodec::new());
        for length in 0..200 {
            frames.feed(Bytes::from(vec![7; length * 100])).await.unwrap();
        }
        SinkExt::<Bytes>::close(&mut frames).await.unwrap();
    });
    let lengths = FramedRead::new(server, LengthDelimitedCodec::new()).map(|frame| frame.unwrap().len());
    assert!(lengths.collect::<Vec<_>>().await.into_iter().eq((0..200).map(|length| length * 100)));
    sending.await.unwrap();
}

#[tokio::test]
async fn udp_framed_carries_datagrams() {
    let [one, two] = [UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap()];
    let to = two.local_addr().unwrap();
    let from = one.local_addr().unwrap();
    let mut one = tokio_util::udp::UdpFramed::new(one, BytesCodec::new());
    let mut two = tokio_util::udp::UdpFramed::new(two, BytesCodec::new());
    for _ in 0..10 {
        one.send((Bytes::from_static(b"datagram"), to)).await.unwrap();
        let (bytes, sender) = two.next().await.unwrap().unwrap();
        assert_eq!((&bytes[..], sender), (&b"datagram"[..], from));
    }
}

#[tokio::test]
async fn listener_of_tokio_util_accepts() {
    use tokio_util::net::Listener;

    async fn accept_one(mut listener: impl Listener<Io = TcpStream>) {
        let (mut stream, _) = Listener::accept(&mut listener).await.unwrap();
        stream.write_all(b"text").await.unwrap();
    }

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(accept_one(listener));
    let mut text = String::new();
    TcpStream::connect(address).await.unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "text");
    serving.await.unwrap();
}

#[tokio::test]
async fn stream_reader_and_reader_stream_are_inverse() {
    let chunks =
        futures_util::stream::iter((0..100).map(|number| Ok::<_, std::io::Error>(Bytes::from(vec![number; 50]))));
    let reader = tokio_util::io::StreamReader::new(chunks);
    let mut stream = tokio_util::io::ReaderStream::new(reader);
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend(chunk.unwrap());
    }
    assert_eq!(bytes, (0..100).flat_map(|number| [number; 50]).collect::<Vec<u8>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sync_io_bridge_copies_on_a_blocking_thread() {
    let (mut client, server) = connection().await;
    let server = tokio_util::io::SyncIoBridge::new(server);
    let copying = tokio::task::spawn_blocking(move || {
        let mut server = server;
        std::io::Read::read_to_end(&mut server, &mut Vec::new()).unwrap()
    });
    client.write_all(&[7; 100_000]).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(copying.await.unwrap(), 100_000);
}

#[tokio::test]
async fn compat_of_the_traits_of_futures_carries_text() {
    use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let (client, server) = connection().await;
    let (mut client, mut server) = (client.compat(), server.compat());
    client.write_all(b"text").await.unwrap();
    client.close().await.unwrap();
    let mut text = String::new();
    server.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "text");
    let mut both = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut futures_util::io::Cursor::new(b"ab").compat(), &mut both).await.unwrap();
    assert_eq!(both, b"ab");
}

#[tokio::test]
async fn poll_sender_waits_for_capacity() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let mut sender = PollSender::new(sender);
    let sending = tokio::spawn(async move {
        for number in 0..100 {
            sender.send(number).await.unwrap();
        }
    });
    for number in 0..100 {
        assert_eq!(receiver.recv().await, Some(number));
    }
    assert_eq!(receiver.recv().await, None);
    sending.await.unwrap();
}

#[tokio::test]
async fn poll_semaphore_waits_for_a_permit() {
    let mut semaphore = PollSemaphore::new(std::sync::Arc::new(tokio::sync::Semaphore::new(1)));
    let permit = semaphore.next().await.unwrap();
    let mut other = semaphore.clone();
    let waiting = tokio::spawn(async move { other.next().await.is_some() });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(permit);
    assert!(waiting.await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_map_yields_by_key_and_aborts() {
    let mut tasks = tokio_util::task::JoinMap::new();
    for number in 0..10 {
        tasks.spawn(number, async move { number * 2 });
    }
    tasks.spawn(10, std::future::pending());
    assert!(tasks.abort(&10));
    let mut sum = 0;
    while let Some((number, outcome)) = tasks.join_next().await {
        match outcome {
            Ok(double) => sum += double,
            Err(error) => assert!(number == 10 && error.is_cancelled()),
        }
    }
    assert_eq!(sum, 90);
}

#[tokio::test(start_paused = true)]
async fn tokio_stream_throttles_debounces_and_times_out() {
    let began = tokio::time::Instant::now();
    let mut slow = std::pin::pin!(tokio_stream::StreamExt::throttle(tokio_stream::iter(0..4), Duration::from_secs(10)));
    while slow.next().await.is_some() {}
    assert_eq!(began.elapsed().as_secs(), 40);
    let mut chunks =
        std::pin::pin!(tokio_stream::StreamExt::chunks_timeout(tokio_stream::iter(0..5), 2, Duration::from_secs(1)));
    assert_eq!(chunks.next().await, Some(vec![0, 1]));
    let mut late =
        std::pin::pin!(tokio_stream::StreamExt::timeout(tokio_stream::pending::<()>(), Duration::from_secs(1)));
    assert!(late.next().await.unwrap().is_err());
}

#[tokio::test]
async fn tokio_stream_wrappers_yield_what_channels_carry() {
    use tokio_stream::wrappers::{BroadcastStream, ReceiverStream, WatchStream};

    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let (news, _) = tokio::sync::broadcast::channel(4);
    let mut broadcast = BroadcastStream::new(news.subscribe());
    let (value, watched) = tokio::sync::watch::channel(1);
    let mut watch = WatchStream::new(watched);
    let sending = tokio::spawn(async move {
        for number in 0..10 {
            sender.send(number).await.unwrap();
        }
        news.send("news").unwrap();
        value.send(2).unwrap();
        (news, value)
    });
    let mut map = tokio_stream::StreamMap::new();
    map.insert("numbers", ReceiverStream::new(receiver));
    assert_eq!(map.map(|(_, number)| number).collect::<Vec<_>>().await, (0..10).collect::<Vec<_>>());
    assert_eq!(broadcast.next().await.unwrap().unwrap(), "news");
    while watch.next().await != Some(2) {}
    sending.await.unwrap();
}
