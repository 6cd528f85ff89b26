//! What the crate `tokio` over heist uses: tasks that stay on one thread, and registrations.

#[path = "support/kit.rs"]
mod kit;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Read, Write};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use heist::facade::{self, LocalTasks, Registration};
use heist::io::{Interest, Ready};
use heist::runtime::Handle;
use kit::{current_thread, each, yield_now};

async fn finish(tasks: &LocalTasks) {
    poll_fn(|cx| if tasks.poll_tasks(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
}

struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn local_tasks_that_yield_and_spawn_all_end() {
    each(|runtime| {
        runtime.block_on(async {
            let (tasks, sum) = (Rc::new(LocalTasks::new()), Rc::new(Cell::new(0)));
            for number in 0..200 {
                let (inner, sum) = (Rc::clone(&tasks), Rc::clone(&sum));
                drop(tasks.spawn(async move {
                    yield_now().await;
                    let counted = Rc::clone(&sum);
                    inner.spawn(async move { counted.set(counted.get() + number) }).await.unwrap();
                }));
            }
            finish(&tasks).await;
            assert_eq!(sum.get(), 199 * 200 / 2);
        });
    });
}

#[test]
fn local_task_woken_by_another_thread_is_polled() {
    each(|runtime| {
        runtime.block_on(async {
            let tasks = LocalTasks::new();
            let (sender, receiver) = async_channel::bounded(1);
            let task = tasks.spawn(async move {
                let mut received = 0;
                while receiver.recv().await.is_ok() {
                    received += 1;
                }
                received
            });
            let sending = thread::spawn(move || (0..1000).for_each(|_| sender.send_blocking(()).unwrap()));
            finish(&tasks).await;
            assert_eq!(task.await.unwrap(), 1000);
            sending.join().unwrap();
        });
    });
}

/// The waker of the set is not called for a task that is queued while the set is polled.
#[test]
fn local_task_spawned_by_another_wakes_nothing_while_polled() {
    let (tasks, wakes) = (Rc::new(LocalTasks::new()), Arc::new(CountWakes(AtomicUsize::new(0))));
    let inner = Rc::clone(&tasks);
    let task = tasks.spawn(async move {
        let second = inner.spawn(async {});
        drop(inner);
        second.await.unwrap();
    });
    let waker = Waker::from(Arc::clone(&wakes));
    assert!(tasks.poll_tasks(&mut Context::from_waker(&waker)));
    assert_eq!((wakes.0.load(Ordering::SeqCst), task.is_finished()), (0, true));
}

#[test]
fn local_tasks_beyond_a_batch_wake_the_set() {
    let (tasks, wakes) = (LocalTasks::new(), Arc::new(CountWakes(AtomicUsize::new(0))));
    (0..100).for_each(|_| drop(tasks.spawn(async {})));
    let waker = Waker::from(Arc::clone(&wakes));
    assert!(!tasks.poll_tasks(&mut Context::from_waker(&waker)));
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert!(tasks.poll_tasks(&mut Context::from_waker(&waker)));
}

#[test]
fn local_task_spawned_into_a_closed_set_is_cancelled() {
    let tasks = LocalTasks::new();
    let before = tasks.spawn(std::future::pending::<()>());
    tasks.cancel_and_close();
    let after = tasks.spawn(async {});
    for task in [before, after] {
        assert!(futures::executor::block_on(task).unwrap_err().is_cancelled());
    }
}

/// Wakers and abort handles on another thread race with the drop of the set.
#[test]
fn local_tasks_dropped_while_another_thread_wakes_them_are_freed_once() {
    for _ in 0..300 {
        let (sender, wakers) = mpsc::channel::<Waker>();
        let tasks = LocalTasks::new();
        let dropped = Rc::new(());
        let aborts: Vec<_> = (0..8)
            .map(|_| {
                let (sender, dropped) = (sender.clone(), Rc::clone(&dropped));
                let task = tasks.spawn(async move {
                    let _dropped = dropped;
                    poll_fn(|cx| {
                        let _ = sender.send(cx.waker().clone());
                        Poll::<()>::Pending
                    })
                    .await;
                });
                task.abort_handle()
            })
            .collect();
        drop(sender);
        let waking = thread::spawn(move || {
            for (number, waker) in wakers.iter().enumerate() {
                waker.wake();
                if let Some(abort) = aborts.get(number) {
                    abort.abort();
                }
            }
        });
        let _ = tasks.poll_tasks(&mut Context::from_waker(Waker::noop()));
        drop(tasks);
        assert_eq!(Rc::strong_count(&dropped), 1);
        waking.join().unwrap();
    }
}

/// One task drives the set that polls it, and blocks its thread until another task has ended.
#[test]
fn local_set_driven_by_its_own_task_is_woken_by_another_thread() {
    for _ in 0..200 {
        let tasks = Rc::new(LocalTasks::new());
        let (sender, receiver) = async_channel::bounded(1);
        let mut waiting = tasks.spawn(async move { receiver.recv().await.unwrap() });
        let inner = Rc::clone(&tasks);
        let driving = tasks.spawn(async move {
            futures::executor::block_on(poll_fn(|cx| {
                let _ = inner.poll_tasks(cx);
                Pin::new(&mut waiting).poll(cx)
            }))
            .unwrap()
        });
        let sending = thread::spawn(move || sender.send_blocking(5).unwrap());
        current_thread().block_on(finish(&tasks));
        assert_eq!(futures::executor::block_on(driving).unwrap(), 5);
        sending.join().unwrap();
    }
}

#[test]
fn local_task_has_a_budget_of_its_own() {
    current_thread().block_on(async {
        let tasks = LocalTasks::new();
        let polls = Rc::new(Cell::new(0));
        let counted = Rc::clone(&polls);
        drop(tasks.spawn(async move {
            poll_fn(|cx| {
                counted.set(counted.get() + 1);
                while let Poll::Ready(unit) = heist::task::coop::poll_proceed(cx) {
                    unit.made_progress();
                }
                if counted.get() < 3 { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
        }));
        finish(&tasks).await;
        assert_eq!(polls.get(), 3);
        assert!(heist::task::coop::has_budget_remaining());
    });
}

#[test]
fn registration_waits_clears_and_deregisters() {
    each(|runtime| {
        runtime.block_on(async {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().unwrap();
            stream.set_nonblocking(true).unwrap();
            let mut stream = mio::net::TcpStream::from_std(stream);
            let registration = Registration::new(&Handle::current(), &mut stream).unwrap();
            assert!(!registration.ready_event().ready().is_readable());
            let mut waiting = pin!(registration.readiness(Interest::READABLE));
            assert!(futures::poll!(waiting.as_mut()).is_pending());
            peer.write_all(b"x").unwrap();
            let event = waiting.await.unwrap();
            assert!(event.ready().is_readable());
            assert_eq!(stream.read(&mut [0; 2]).unwrap(), 1);
            assert_eq!(stream.read(&mut [0; 2]).unwrap_err().kind(), ErrorKind::WouldBlock);
            registration.clear_readiness(event, Ready::READABLE);
            assert!(!registration.ready_event().ready().is_readable());
            registration.deregister(&mut stream).unwrap();
        });
    });
}

#[test]
fn runtime_is_open_until_it_is_dropped() {
    assert!(!facade::is_runtime_open());
    let runtime = current_thread();
    let handle = runtime.handle().clone();
    let _inside = handle.enter();
    assert!(facade::is_runtime_open() && !facade::is_local_runtime() && facade::can_block());
    drop(runtime);
    assert!(!facade::is_runtime_open());
}
