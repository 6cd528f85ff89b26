use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use crate::contender::Contender;

/// nio's workers never end, so the first runtime built is the only one.
static RUNTIME: OnceLock<Arc<nio::RuntimeContext>> = OnceLock::new();

pub struct Nio(&'static Arc<nio::RuntimeContext>);

pub struct Join<T>(nio::JoinHandle<T>);

impl<T> Future for Join<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // SAFETY: the handle is pinned whenever this is; nothing moves out of it.
        let handle = unsafe { self.map_unchecked_mut(|join| &mut join.0) };
        handle.poll(cx).map(|output| output.unwrap_or_else(|_| panic!("the task panicked")))
    }
}

impl Contender for Nio {
    const NAME: &'static str = "nio";
    type Join<T: Send + 'static> = Join<T>;

    fn build(workers: usize) -> Nio {
        let build = || {
            let workers = u8::try_from(workers).expect("nio takes at most 255 workers");
            let runtime = nio::RuntimeBuilder::new().worker_threads(workers).rt();
            runtime.expect("nio's runtime could not be built").context()
        };
        Nio(RUNTIME.get_or_init(build))
    }

    fn spawn_outside<F>(&self, future: F) -> Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Join(self.0.spawn(future))
    }

    fn spawn<F>(future: F) -> Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Join(nio::spawn(future))
    }

    fn detach<T: Send + 'static>(join: Join<T>) {
        drop(join);
    }

    fn cancel<T: Send + 'static>(join: Join<T>) {
        join.0.abort_handle().abort();
    }

    /// nio has no function for it: the future wakes its task and is pending once.
    fn yield_now() -> impl Future<Output = ()> + Send {
        let mut yielded = false;
        poll_fn(move |cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }
}
