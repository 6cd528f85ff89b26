//! OpenTelemetry's batch processors on heist's tasks and timers.
//!
//! Pass [`HeistRuntime`] to
//! `opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor::builder`. That
//! needs the feature `experimental_trace_batch_span_processor_with_async_runtime` of
//! `opentelemetry_sdk`.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use opentelemetry_sdk::runtime::{Runtime, RuntimeChannel, TrySend, TrySendError};

/// Lets OpenTelemetry run on the heist runtime of the calling thread.
///
/// The shutdown of a provider blocks its thread until a task has ended, and so do `force_flush` and
/// the drop of the last provider. So they belong into
/// [`spawn_blocking`](heist::task::spawn_blocking). On a runtime with workers they may also follow
/// `block_on`; on a current-thread runtime nothing would poll the task then.
///
/// # Panics
///
/// Its functions panic outside of a heist runtime with timers.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeistRuntime;

impl Runtime for HeistRuntime {
    #[track_caller]
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        drop(heist::spawn(future));
    }

    #[allow(clippy::manual_async_fn, reason = "the future must not borrow `self`")]
    fn delay(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        // The timer is made inside of the task that waits for it.
        async move { heist::time::sleep(duration).await }
    }
}

impl RuntimeChannel for HeistRuntime {
    type Receiver<T: fmt::Debug + Send> = async_channel::Receiver<T>;
    type Sender<T: fmt::Debug + Send> = Sender<T>;

    fn batch_message_channel<T: fmt::Debug + Send>(&self, capacity: usize) -> (Sender<T>, async_channel::Receiver<T>) {
        let (sender, receiver) = async_channel::bounded(capacity);
        (Sender(sender), receiver)
    }
}

/// Sends messages to a batch processor.
#[derive(Debug)]
pub struct Sender<T>(async_channel::Sender<T>);

impl<T: Send> TrySend for Sender<T> {
    type Message = T;

    fn try_send(&self, message: T) -> Result<(), TrySendError> {
        self.0.try_send(message).map_err(|error| match error {
            async_channel::TrySendError::Full(_) => TrySendError::ChannelFull,
            async_channel::TrySendError::Closed(_) => TrySendError::ChannelClosed,
        })
    }
}
