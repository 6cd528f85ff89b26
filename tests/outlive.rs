//! Wakers, handles, timers and sockets may outlive their runtime. They stay safe, and give errors.

#[path = "support/kit.rs"]
mod kit;

use std::future::{Future, pending, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use heist::net::{TcpListener, TcpStream};
use kit::{current_thread, each_owned, join, panic_text, yield_now};

#[test]
fn wakers_outlive_the_runtime() {
    each_owned(|runtime| {
        let kept = Arc::new(Mutex::new(Vec::<Waker>::new()));
        let keeps = Arc::clone(&kept);
        let task = runtime.spawn(poll_fn(move |cx| {
            keeps.lock().unwrap().extend([cx.waker().clone(), cx.waker().clone(), cx.waker().clone()]);
            Poll::<()>::Pending
        }));
        runtime.block_on(async {
            while kept.lock().unwrap().is_empty() {
                yield_now().await;
            }
        });
        let handle = runtime.handle().clone();
        drop(runtime);
        drop(handle);
        let mut wakers = std::mem::take(&mut *kept.lock().unwrap());
        wakers[0].wake_by_ref();
        wakers.push(wakers[0].clone());
        assert!(wakers[0].will_wake(&wakers[3]));
        wakers.pop().unwrap().wake();
        drop(wakers);
        assert!(join(task).unwrap_err().is_cancelled());
    });
}

#[test]
fn join_and_abort_handles_outlive_the_runtime() {
    each_owned(|runtime| {
        let task = runtime.spawn(pending::<()>());
        let finished = runtime.spawn(async { 6 });
        runtime.block_on(async {
            while !finished.is_finished() {
                yield_now().await;
            }
        });
        let abort = task.abort_handle();
        drop(runtime);
        assert!(task.is_finished() && abort.is_finished());
        abort.abort();
        task.abort();
        drop(task);
        assert_eq!(join(finished).unwrap(), 6);
        drop(abort);
    });
}

#[test]
fn sleeps_outlive_the_runtime_and_panic_until_reset() {
    each_owned(|runtime| {
        let guard = runtime.enter();
        let mut sleep = Box::pin(heist::time::sleep(Duration::from_secs(3600)));
        drop(guard);
        let poll = |sleep: &mut std::pin::Pin<Box<heist::time::Sleep>>| {
            sleep.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        runtime.block_on(async { assert!(poll(&mut sleep).is_pending()) });
        drop(runtime);
        let other = current_thread();
        other.block_on(async {
            for _ in 0..2 {
                let text = panic_text(|| poll(&mut sleep));
                assert!(text.contains("shut down") && text.contains("reset"), "{text}");
            }
            sleep.as_mut().reset(heist::time::Instant::now() + Duration::from_millis(1));
            sleep.as_mut().await;
        });
        drop(other);
        // The timer has fired, so it needs its runtime no more.
        assert!(poll(&mut sleep).is_ready());
    });
}

#[test]
fn sockets_outlive_the_runtime_and_give_errors() {
    each_owned(|runtime| {
        let (listener, mut client, mut server) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (client, server) = futures::join!(TcpStream::connect(address), listener.accept());
            (listener, client.unwrap(), server.unwrap().0)
        });
        // One socket has an event and one has none. A thread waits on one while the runtime ends.
        let waiting = thread::spawn(move || {
            let mut byte = [0; 1];
            let result = futures::executor::block_on(server.read(&mut byte));
            (server, result)
        });
        let handle = runtime.handle().clone();
        drop(runtime);
        let (mut server, result) = waiting.join().unwrap();
        assert!(result.is_err(), "{result:?}");
        let other = current_thread();
        other.block_on(async {
            let mut bytes = [0; 8];
            for _ in 0..3 {
                for stream in [&mut client, &mut server] {
                    assert!(stream.read(&mut bytes).await.is_err());
                    assert!(stream.write(b"x").await.is_err());
                    assert!(stream.readable().await.is_err());
                    assert!(stream.writable().await.is_err());
                    assert!(stream.peek(&mut bytes).await.is_err());
                }
                let error = listener.accept().await.unwrap_err();
                assert!(error.to_string().contains("shut down"), "{error}");
            }
        });
        // A new socket on the ended runtime is refused.
        let _guard = handle.enter();
        let std_socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        std_socket.set_nonblocking(true).unwrap();
        assert!(TcpListener::from_std(std_socket).is_err());
    });
}
