//! The least and the greatest numbers that a setter takes. Each of them works, or gives one clear
//! message that names the remedy.

#[path = "support/kit.rs"]
mod kit;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use heist::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use heist::runtime::{Builder, HistogramConfiguration, LogHistogram, Runtime};
use heist::time::sleep;
use kit::{alone, panic_text, says};

/// A setter with an extreme value.
type Set = fn(&mut Builder) -> &mut Builder;

const NANO: Duration = Duration::from_nanos(1);
const FOUR_BILLION_SECONDS: Duration = Duration::from_secs(1 << 32);

/// Both flavours, with one worker each.
fn builders() -> [Builder; 2] {
    let mut workers = Builder::new_multi_thread();
    workers.worker_threads(1);
    [Builder::new_current_thread(), workers]
}

/// Runs a task and a job. The worker sleeps so often that a number that doubles at each sleep
/// reaches its limit.
fn exercise(runtime: &Runtime) {
    runtime.block_on(async {
        assert_eq!(heist::spawn(async { 6 * 7 }).await.unwrap(), 42);
        assert_eq!(heist::task::spawn_blocking(|| 7).await.unwrap(), 7);
        for _ in 0..80 {
            sleep(Duration::from_micros(1)).await;
        }
        // In a task, the worker sleeps, and not the thread of `block_on`.
        let sleeps = async {
            for _ in 0..80 {
                sleep(Duration::from_micros(1)).await;
            }
        };
        heist::spawn(sleeps).await.unwrap();
    });
}

#[test]
fn extreme_values_of_setters_work() {
    let rows: &[(&str, Set)] = &[
        ("spin_before_park(MAX)", |builder| builder.spin_before_park(Duration::MAX)),
        ("spin_before_park(2^32 s)", |builder| builder.spin_before_park(FOUR_BILLION_SECONDS)),
        ("spin_before_park(1 ns)", |builder| builder.spin_before_park(NANO)),
        ("spin_before_park(0)", |builder| builder.spin_before_park(Duration::ZERO)),
        ("event_interval(MAX)", |builder| builder.event_interval(u32::MAX)),
        ("event_interval(1)", |builder| builder.event_interval(1)),
        ("global_queue_interval(MAX)", |builder| builder.global_queue_interval(u32::MAX)),
        ("global_queue_interval(1)", |builder| builder.global_queue_interval(1)),
        ("both intervals(MAX)", |builder| builder.event_interval(u32::MAX).global_queue_interval(u32::MAX)),
        ("max_io_events_per_tick(MAX)", |builder| builder.max_io_events_per_tick(usize::MAX)),
        ("max_io_events_per_tick(1)", |builder| builder.max_io_events_per_tick(1)),
        ("max_io_events_per_busy_tick(MAX)", |builder| builder.max_io_events_per_busy_tick(usize::MAX)),
        ("rng_seed(MAX)", |builder| builder.rng_seed(u64::MAX)),
        ("max_blocking_threads(MAX)", |builder| builder.max_blocking_threads(usize::MAX)),
        ("max_blocking_threads(1)", |builder| builder.max_blocking_threads(1)),
        ("thread_keep_alive(MAX)", |builder| builder.thread_keep_alive(Duration::MAX)),
        ("thread_keep_alive(2^32 s)", |builder| builder.thread_keep_alive(FOUR_BILLION_SECONDS)),
        ("thread_keep_alive(0)", |builder| builder.thread_keep_alive(Duration::ZERO)),
        ("shutdown_grace(MAX)", |builder| builder.shutdown_grace(Duration::MAX)),
        ("shutdown_grace(2^32 s)", |builder| builder.shutdown_grace(FOUR_BILLION_SECONDS)),
        ("shutdown_grace(0)", |builder| builder.shutdown_grace(Duration::ZERO)),
        ("stall_threshold(MAX)", |builder| builder.stall_threshold(Duration::MAX)),
        ("stall_threshold(1 ns)", |builder| builder.stall_threshold(NANO)),
        ("max_spare_workers(0)", |builder| builder.max_spare_workers(0)),
        ("max_worker_threads(16,384)", |builder| builder.max_worker_threads(16_384)),
        ("max_spare_workers(8,000)", |builder| builder.max_spare_workers(8_000).max_worker_threads(8_384)),
        ("thread_stack_size(0)", |builder| builder.thread_stack_size(0)),
        ("queue_lanes(MAX)", |builder| builder.queue_lanes(usize::MAX)),
    ];
    for (name, set) in rows {
        for mut builder in builders() {
            println!("{name}, {builder:?}");
            let runtime = set(builder.enable_all()).build().unwrap();
            exercise(&runtime);
        }
    }
}

#[test]
fn extreme_ends_of_a_runtime_work() {
    type End = fn(Runtime);
    let ends: &[End] = &[
        |runtime| runtime.shutdown_timeout(Duration::MAX),
        |runtime| runtime.shutdown_timeout(FOUR_BILLION_SECONDS),
        |runtime| runtime.shutdown_timeout(Duration::ZERO),
        |runtime| drop(runtime.drain(Duration::MAX).wait()),
        |runtime| drop(runtime.drain(FOUR_BILLION_SECONDS).wait()),
        |runtime| drop(runtime.drain(Duration::ZERO).wait()),
    ];
    for end in ends {
        for mut builder in builders() {
            let runtime = builder.enable_all().build().unwrap();
            exercise(&runtime);
            end(runtime);
        }
    }
}

#[test]
fn extreme_numbers_of_threads_are_refused() {
    let rows: &[(Set, &[&str])] = &[
        (|builder| builder.worker_threads(16_385), &["16385 worker threads", "at most 16384", "fewer"]),
        (|builder| builder.worker_threads(usize::MAX), &["worker threads", "at most 16384", "fewer"]),
        (|builder| builder.max_worker_threads(16_385), &["16385 worker threads", "at most 16384", "fewer"]),
        (|builder| builder.max_worker_threads(usize::MAX), &["worker threads", "at most 16384", "fewer"]),
        (|builder| builder.max_spare_workers(16_384), &["16384 spare workers", "lower `max_spare_workers`"]),
        (|builder| builder.max_spare_workers(usize::MAX), &["spare workers", "lower `max_spare_workers`"]),
    ];
    for (set, parts) in rows {
        let mut builder = Builder::new_multi_thread();
        let error = set(builder.worker_threads(1)).build().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        says(&error.to_string(), parts);
        // A current-thread runtime has no worker threads to ask for.
        exercise(&set(&mut Builder::new_current_thread()).enable_all().build().unwrap());
    }
    let runtime = kit::workers(1);
    says(&runtime.resize(usize::MAX).wait().unwrap_err().to_string(), &["at most", "max_worker_threads"]);
    says(&runtime.resize(0).wait().unwrap_err().to_string(), &["at least one"]);
    exercise(&runtime);
}

#[test]
fn variable_with_the_most_workers_is_refused() {
    let most = usize::MAX.to_string();
    alone("variable_with_the_most_workers_is_refused", Some(("HEIST_WORKER_THREADS", &most)), || {
        says(&Runtime::new().unwrap_err().to_string(), &["worker threads", "at most 16384", "fewer"]);
    });
}

/// The size is larger than the address space allows.
#[test]
fn stack_size_above_the_most_is_refused() {
    for bytes in [usize::MAX, usize::MAX - 1, usize::MAX / 2, usize::MAX / 4 + 1] {
        for mut builder in builders() {
            let error = builder.thread_stack_size(bytes).build().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            let name = format!("thread_stack_size({bytes})");
            says(&error.to_string(), &[&name, "at most", &(usize::MAX / 4).to_string()]);
        }
    }
}

/// The address space is large enough, but the operating system refuses the size.
#[test]
#[cfg(target_pointer_width = "64")]
fn stack_size_that_the_system_refuses_is_an_error() {
    for bytes in [usize::MAX / 4, 1 << 50, 1 << 46] {
        let error = Builder::new_multi_thread().worker_threads(2).thread_stack_size(bytes).build().unwrap_err();
        says(&error.to_string(), &["refused worker thread 1 of 2", "ulimit -u", "worker_threads", "thread_stack_size"]);
        // A current-thread runtime has no thread yet.
        let runtime = Builder::new_current_thread().thread_stack_size(bytes).build().unwrap();
        assert!(runtime.block_on(runtime.spawn_blocking(|| ())).unwrap_err().is_cancelled());
        assert_eq!(runtime.block_on(async { heist::spawn(async { 7 }).await.unwrap() }), 7);
    }
}

#[test]
fn linear_histogram_with_too_many_buckets_panics() {
    for buckets in [65_537, 1 << 31, usize::MAX / 16, usize::MAX] {
        for width in [NANO, Duration::from_micros(100), Duration::MAX] {
            let text = panic_text(|| HistogramConfiguration::linear(width, buckets));
            says(&text, &[&format!("linear(_, {buckets})"), "at most 65536", "wider buckets", "LogHistogram"]);
        }
    }
}

#[test]
fn largest_histograms_work() {
    let finest = LogHistogram::builder().precision_exact(10).min_value(Duration::ZERO).max_value(Duration::MAX);
    assert!(finest.build().max_value() >= 1 << 63);
    let scales = [
        HistogramConfiguration::linear(NANO, 65_536),
        HistogramConfiguration::linear(Duration::MAX, 65_536),
        HistogramConfiguration::linear(Duration::MAX, 1),
        HistogramConfiguration::linear(FOUR_BILLION_SECONDS, 65_536),
        HistogramConfiguration::log(finest),
        HistogramConfiguration::log(LogHistogram::builder().max_error(f64::MIN_POSITIVE).max_value(NANO)),
        HistogramConfiguration::log(LogHistogram::builder().min_value(Duration::MAX)),
    ];
    for scale in scales {
        for mut builder in builders() {
            builder.enable_metrics_poll_time_histogram().enable_metrics_schedule_latency_histogram();
            builder.metrics_poll_time_histogram_configuration(scale.clone());
            builder.metrics_schedule_latency_histogram_configuration(scale.clone());
            let runtime = builder.enable_all().build().unwrap();
            exercise(&runtime);
            let metrics = runtime.metrics();
            let buckets = metrics.poll_time_histogram_num_buckets();
            assert!((1..=65_536).contains(&buckets), "{buckets} buckets");
            let mut counted = 0;
            for bucket in 0..buckets {
                let range = metrics.poll_time_histogram_bucket_range(bucket);
                assert!(range.start <= range.end, "{range:?}");
                counted += metrics.poll_time_histogram_bucket_count(0, bucket);
            }
            assert!(counted > 0);
            says(&panic_text(|| metrics.poll_time_histogram_bucket_range(usize::MAX)), &["no bucket"]);
            says(&panic_text(|| metrics.poll_time_histogram_bucket_count(0, usize::MAX)), &["no bucket"]);
            says(&panic_text(|| metrics.poll_time_histogram_bucket_count(usize::MAX, 0)), &["no worker"]);
        }
    }
}

/// Returns the two ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

/// The operating system counts whole seconds in a number of fewer bits. A linger that does not fit
/// must not become zero, because a linger of zero discards data.
#[test]
#[cfg(target_os = "linux")]
fn linger_of_any_length_is_never_shortened_to_zero() {
    kit::current_thread().block_on(async {
        let most = Duration::from_secs(i32::MAX as u64);
        let rows = [
            (Duration::ZERO, Duration::ZERO),
            (NANO, Duration::from_secs(1)),
            (Duration::from_millis(500), Duration::from_secs(1)),
            (Duration::from_secs(1), Duration::from_secs(1)),
            (Duration::from_millis(1_001), Duration::from_secs(2)),
            (most, most),
            (most + NANO, most),
            (FOUR_BILLION_SECONDS, most),
            (FOUR_BILLION_SECONDS + Duration::from_secs(1), most),
            (Duration::MAX, most),
        ];
        let (stream, _peer) = pair().await;
        for (asked, kept) in rows {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_linger(Some(asked)).unwrap();
            assert_eq!(socket.linger().unwrap(), Some(kept), "{asked:?}");
            stream.set_linger(Some(asked)).unwrap();
            assert_eq!(stream.linger().unwrap(), Some(kept), "{asked:?}");
        }
        stream.set_linger(None).unwrap();
        assert_eq!(stream.linger().unwrap(), None);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn socket_buffers_of_any_size_work() {
    let _runtime = kit::current_thread();
    for bytes in [0, 1, 1 << 16, i32::MAX as u32, i32::MAX as u32 + 1, u32::MAX] {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(bytes).unwrap();
        socket.set_recv_buffer_size(bytes).unwrap();
        assert!(socket.send_buffer_size().unwrap() >= bytes.min(1 << 16));
        assert!(socket.recv_buffer_size().unwrap() >= bytes.min(1 << 16));
    }
}

#[test]
fn listener_with_any_backlog_accepts() {
    kit::current_thread().block_on(async {
        for backlog in [0, 1, i32::MAX as u32, i32::MAX as u32 + 1, u32::MAX] {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
            let listener = socket.listen(backlog).unwrap();
            let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            listener.accept().await.unwrap();
            drop(near);
        }
    });
}

/// The operating system has one byte for each of these options. The value -1 has a special meaning.
#[test]
#[cfg(target_os = "linux")]
fn option_of_one_byte_that_is_too_large_is_refused() {
    type Row<'a> = (&'a str, Box<dyn Fn(u32) -> io::Result<()> + 'a>, Box<dyn Fn() -> io::Result<u32> + 'a>);
    kit::current_thread().block_on(async {
        let (stream, _peer) = pair().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let v6 = UdpSocket::bind("[::]:0").await;
        let tcp = TcpSocket::new_v4().unwrap();
        let mut options: Vec<Row<'_>> = vec![
            ("set_ttl", Box::new(|ttl| stream.set_ttl(ttl)), Box::new(|| stream.ttl())),
            ("set_ttl", Box::new(|ttl| listener.set_ttl(ttl)), Box::new(|| listener.ttl())),
            ("set_ttl", Box::new(|ttl| udp.set_ttl(ttl)), Box::new(|| udp.ttl())),
            (
                "set_multicast_ttl_v4",
                Box::new(|ttl| udp.set_multicast_ttl_v4(ttl)),
                Box::new(|| udp.multicast_ttl_v4()),
            ),
            ("set_tos_v4", Box::new(|tos| udp.set_tos_v4(tos)), Box::new(|| udp.tos_v4())),
            ("set_tos_v4", Box::new(|tos| tcp.set_tos_v4(tos)), Box::new(|| tcp.tos_v4())),
        ];
        // Only if the machine has IPv6.
        if let Ok(v6) = &v6 {
            options.push(("set_tclass_v6", Box::new(|tclass| v6.set_tclass_v6(tclass)), Box::new(|| v6.tclass_v6())));
        }
        for (name, set, get) in options {
            set(0x10).unwrap();
            for value in [256, 256 + 0x20, i32::MAX as u32, i32::MAX as u32 + 1, u32::MAX - 1, u32::MAX] {
                let error = set(value).expect_err(name);
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}({value})");
                says(&error.to_string(), &[&format!("{name}({value})"), "one byte", "at most 255"]);
                assert_eq!(get().unwrap(), 0x10, "{name}({value})");
            }
            set(0xfc).unwrap();
            assert_eq!(get().unwrap(), 0xfc, "{name}");
        }
    });
}
