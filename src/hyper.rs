//! The executor and the timer that `hyper` needs. [`crate::net::TcpStream`] itself implements the
//! I/O traits of `hyper`.
//!
//! ```no_run
//! use heist::hyper::HeistTimer;
//! use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
//!
//! # async fn serve() -> std::io::Result<()> {
//! let listener = heist::net::TcpListener::bind("127.0.0.1:8080").await?;
//! loop {
//!     let (stream, _) = listener.accept().await?;
//!     let hello = service_fn(|_: Request<Incoming>| async {
//!         Ok::<_, std::convert::Infallible>(Response::new(String::from("hello")))
//!     });
//!     heist::spawn(http1::Builder::new().timer(HeistTimer).serve_connection(stream, hello));
//! }
//! # }
//! ```

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Executor, Sleep, Timer};

use crate::{task, time};

/// Spawns the tasks of hyper on the runtime of the calling thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeistExecutor;

impl<F> Executor<F> for HeistExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    /// Spawns `future`, as [`task::spawn`] does.
    ///
    /// # Panics
    ///
    /// If this thread is not inside of a runtime.
    #[track_caller]
    fn execute(&self, future: F) {
        drop(task::spawn(future));
    }
}

/// Gives hyper the timers of the runtime of the calling thread.
///
/// # Panics
///
/// Its `sleep` and `sleep_until` panic as [`time::sleep`](crate::time::sleep()) does: outside of a
/// runtime, and inside of one without timers. So does its `reset`, for a timer of another type.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeistTimer;

/// A [`time::Sleep`] with the trait of hyper.
struct HyperSleep(time::Sleep);

impl HyperSleep {
    fn sleep(self: Pin<&mut Self>) -> Pin<&mut time::Sleep> {
        // SAFETY: the field is pinned with the struct. Nothing moves it out, the struct has no
        // `Drop`, and there is no other access to the field.
        unsafe { self.map_unchecked_mut(|this| &mut this.0) }
    }
}

impl fmt::Debug for HyperSleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Future for HyperSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep().poll(cx)
    }
}

impl Sleep for HyperSleep {}

impl Timer for HeistTimer {
    #[track_caller]
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(HyperSleep(time::sleep(duration)))
    }

    #[track_caller]
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(HyperSleep(time::sleep_until(deadline.into())))
    }

    /// Returns [`time::Instant::now`], which may be paused.
    fn now(&self) -> Instant {
        time::Instant::now().into_std()
    }

    /// Moves the timer to the new deadline. A timer of another type is replaced.
    #[track_caller]
    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<HyperSleep>() {
            Some(sleep) => sleep.sleep().reset(deadline.into()),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;
    use crate::runtime::Runtime;

    #[test]
    fn executor_runs_the_future() {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let (sender, receiver) = async_channel::bounded(1);
            HeistExecutor.execute(async move { sender.send(7).await });
            assert_eq!(receiver.recv().await, Ok(7));
        });
    }

    #[test]
    fn timer_reset_moves_the_deadline_in_place() {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let mut sleep = HeistTimer.sleep(Duration::from_secs(3600));
            let place = (&raw const *sleep).cast::<()>();
            let deadline = Instant::now() + Duration::from_millis(2);
            HeistTimer.reset(&mut sleep, deadline);
            assert_eq!((&raw const *sleep).cast::<()>(), place);
            sleep.await;
            assert!(Instant::now() >= deadline);
            let deadline = Instant::now() + Duration::from_millis(1);
            HeistTimer.sleep_until(deadline).await;
            assert!(Instant::now() >= deadline);
        });
    }

    #[test]
    fn timer_of_another_type_is_replaced_on_reset() {
        struct OtherTimer;
        impl Future for OtherTimer {
            type Output = ();
            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
                panic!("the timer was not replaced")
            }
        }
        impl Sleep for OtherTimer {}
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let mut sleep: Pin<Box<dyn Sleep>> = Box::pin(OtherTimer);
            HeistTimer.reset(&mut sleep, Instant::now());
            sleep.await;
        });
    }
}
