//! The hooks of tasks, and what the runtime does if a task panics.

use super::Builder;
use crate::pool::hooks::{TaskHooks, TaskMeta, UnhandledPanic};
use crate::primitive::Arc;

/// Hooks of tasks.
impl Builder {
    /// Sets a function that is called with each spawned task, before the task is queued, on the
    /// thread that spawns it.
    ///
    /// The four hooks of tasks are called inside of the runtime, with no lock held. They may spawn,
    /// which calls the hook again. They are not called for blocking jobs, for the root future of a
    /// `block_on`, or for a refused task. If a hook panics, the panic is logged, and has no other
    /// effect. Hooks should be short, because the worker waits for them.
    ///
    /// A hook that owns a handle of its own runtime forms a cycle with it, so the memory of the
    /// runtime is never freed. Take the handle from `Handle::current` inside of the hook.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// let alive = Arc::new(AtomicUsize::new(0));
    /// let (spawned, ended) = (Arc::clone(&alive), Arc::clone(&alive));
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .on_task_spawn(move |task| {
    ///         println!("{} was spawned at {}", task.id(), task.spawned_at());
    ///         spawned.fetch_add(1, Ordering::Relaxed);
    ///     })
    ///     .on_task_terminate(move |_| {
    ///         ended.fetch_sub(1, Ordering::Relaxed);
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

    /// Sets a function that is called with each task that has ended, in whatever way. It is called
    /// once for each call of [`Builder::on_task_spawn`], whose rules apply.
    ///
    /// The future has been dropped before the call. The task's output may have been awaited
    /// already. The report of a drain comes after the call.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .on_task_terminate(|task| println!("{} has ended", task.id()))
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// ```
    pub fn on_task_terminate(&mut self, hook: impl Fn(&TaskMeta<'_>) + Send + Sync + 'static) -> &mut Builder {
        self.task_hooks().terminate = Some(Arc::new(hook));
        self
    }

    /// Sets a function that a worker calls before it polls a task, or drops the future of an
    /// aborted task. The rules of [`Builder::on_task_spawn`] apply.
    ///
    /// It is not called for tasks that are dropped at the end of the runtime or at a drain's
    /// deadline.
    ///
    /// # Examples
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

    /// Sets a function that a worker calls after each poll, also if the poll has panicked. It is
    /// called once for each call of [`Builder::on_before_task_poll`]. The rules of
    /// [`Builder::on_task_spawn`] apply.
    ///
    /// At the time of the call, the task may have ended, or may run on another worker.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .on_before_task_poll(|task| println!("{} is polled", task.id()))
    ///     .on_after_task_poll(|task| println!("{} has been polled", task.id()))
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

    /// Sets what the runtime does if a task panics. By default it does nothing, and the task's
    /// `JoinHandle` returns the panic.
    ///
    /// With [`UnhandledPanic::ShutdownRuntime`] the runtime ends at once, also if the task's handle
    /// is never awaited:
    ///
    /// - All tasks are dropped, and their handles resolve as cancelled.
    /// - Later spawns are refused.
    /// - Every [`Runtime::block_on`](super::Runtime::block_on) panics, the running ones as well as
    ///   later ones.
    ///
    /// This happens while `block_on` runs, because no task runs at other times. Panics of blocking
    /// jobs do not count.
    ///
    /// # Panics
    ///
    /// Panics if `behavior` is [`UnhandledPanic::ShutdownRuntime`] and the builder is for a
    /// multi-threaded runtime.
    ///
    /// # Examples
    ///
    /// ```should_panic
    /// use heist::runtime::{Builder, UnhandledPanic};
    ///
    /// let runtime = Builder::new_current_thread()
    ///     .unhandled_panic(UnhandledPanic::ShutdownRuntime)
    ///     .build()
    ///     .unwrap();
    /// runtime.spawn(async { panic!("boom") });
    /// runtime.block_on(std::future::pending::<()>());
    /// ```
    #[track_caller]
    pub fn unhandled_panic(&mut self, behavior: UnhandledPanic) -> &mut Builder {
        assert!(
            self.settings.current_thread || behavior == UnhandledPanic::Ignore,
            "unhandled_panic(ShutdownRuntime): only a current-thread runtime supports it; use `new_current_thread`, or await the tasks"
        );
        self.settings.unhandled_panic = behavior;
        self
    }
}
