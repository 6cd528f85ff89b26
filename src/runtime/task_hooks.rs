//! What a runtime does about its tasks: the hooks, and a panic.

use super::Builder;
use crate::pool::hooks::{TaskHooks, TaskMeta, UnhandledPanic};
use crate::sync::Arc;

/// What is done about tasks.
impl Builder {
    /// Called with each task that is spawned, before it is queued, by the thread that spawns it.
    ///
    /// The four hooks of tasks are called inside of the runtime, with no lock held: they may spawn
    /// (which calls the hook again). They are told of tasks only, not of blocking jobs, nor of the
    /// future of a `block_on`, nor of a task that is refused. A panic in one of them is logged, and
    /// otherwise ignored. They should be short: while they run, a worker does nothing else.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// let alive = Arc::new(AtomicUsize::new(0));
    /// let (more, less) = (Arc::clone(&alive), Arc::clone(&alive));
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .on_task_spawn(move |task| {
    ///         println!("{} was spawned at {}", task.id(), task.spawned_at());
    ///         more.fetch_add(1, Ordering::Relaxed);
    ///     })
    ///     .on_task_terminate(move |_| {
    ///         less.fetch_sub(1, Ordering::Relaxed);
    ///     })
    ///     .build()
    ///     .unwrap();
    /// let task = runtime.spawn(async {});
    /// assert_eq!(alive.load(Ordering::Relaxed), 1);
    /// runtime.block_on(task).unwrap();
    /// drop(runtime);
    /// assert_eq!(alive.load(Ordering::Relaxed), 0);
    /// ```
    pub fn on_task_spawn(&mut self, hook: impl Fn(&TaskMeta<'_>) + Send + Sync + 'static) -> &mut Builder {
        self.task_hooks().spawn = Some(Arc::new(hook));
        self
    }

    /// Called with each task that has ended, in whatever way, once for each call of
    /// [`Builder::on_task_spawn`]. See there.
    ///
    /// The future has been dropped; whoever awaits the task's output may have it already. A drain's
    /// report comes after it.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .on_task_terminate(|task| println!("{} is gone", task.id()))
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// ```
    pub fn on_task_terminate(&mut self, hook: impl Fn(&TaskMeta<'_>) + Send + Sync + 'static) -> &mut Builder {
        self.task_hooks().terminate = Some(Arc::new(hook));
        self
    }

    /// Called by a worker before it polls a task, or drops the future of one that was aborted. See
    /// [`Builder::on_task_spawn`].
    ///
    /// What is dropped at the end of the runtime, or at a drain's deadline, is not polled.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// let polls = Arc::new(AtomicUsize::new(0));
    /// let count = Arc::clone(&polls);
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .on_before_task_poll(move |_| drop(count.fetch_add(1, Ordering::Relaxed)))
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(async { heist::spawn(heist::task::yield_now()).await.unwrap() });
    /// assert_eq!(polls.load(Ordering::Relaxed), 2);
    /// ```
    pub fn on_before_task_poll(&mut self, hook: impl Fn(&TaskMeta<'_>) + Send + Sync + 'static) -> &mut Builder {
        self.task_hooks().before_poll = Some(Arc::new(hook));
        self
    }

    /// Called by a worker after a poll, also one that has panicked, once for each call of
    /// [`Builder::on_before_task_poll`]. See [`Builder::on_task_spawn`].
    ///
    /// The task may be gone already, or run elsewhere.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .on_before_task_poll(|task| println!("{} begins", task.id()))
    ///     .on_after_task_poll(|task| println!("{} lets go", task.id()))
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// ```
    pub fn on_after_task_poll(&mut self, hook: impl Fn(&TaskMeta<'_>) + Send + Sync + 'static) -> &mut Builder {
        self.task_hooks().after_poll = Some(Arc::new(hook));
        self
    }

    fn task_hooks(&mut self) -> &mut TaskHooks {
        Arc::make_mut(self.settings.task_hooks.get_or_insert_default())
    }

    /// What to do when a task panics. The default is to ignore it: the task's `JoinHandle` answers
    /// the panic.
    ///
    /// With [`UnhandledPanic::ShutdownRuntime`] the runtime ends at once, whether or not anybody
    /// awaits the task: all tasks are dropped, and their handles resolve as cancelled; what is
    /// spawned later is refused; and every [`Runtime::block_on`](super::Runtime::block_on) panics,
    /// those that run as well as later ones. It acts while `block_on` runs, since nothing runs
    /// between two of them. Panics of blocking jobs do not count.
    ///
    /// # Panics
    ///
    /// If that is asked of a runtime with worker threads, where it cannot be had.
    ///
    /// ```should_panic
    /// use heist::runtime::{Builder, UnhandledPanic};
    ///
    /// let runtime = Builder::new_current_thread().unhandled_panic(UnhandledPanic::ShutdownRuntime).build().unwrap();
    /// runtime.spawn(async { panic!("boom") });
    /// runtime.block_on(std::future::pending::<()>());
    /// ```
    #[track_caller]
    pub fn unhandled_panic(&mut self, behavior: UnhandledPanic) -> &mut Builder {
        assert!(
            self.settings.current_thread || behavior == UnhandledPanic::Ignore,
            "unhandled_panic(ShutdownRuntime) is for runtimes that `block_on` drives: use `new_current_thread`, or await the tasks"
        );
        self.settings.unhandled_panic = behavior;
        self
    }
}
