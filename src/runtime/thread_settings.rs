//! The threads of a runtime: their number, names and stacks, and the hooks that they call.

use std::time::Duration;

use super::Builder;
use crate::primitive::Arc;
use crate::worker_set::seat_state::WorkerMeta;

/// Settings of threads.
impl Builder {
    /// Sets the largest number of threads for [`spawn_blocking`](crate::task::spawn_blocking). The
    /// default is 512.
    ///
    /// [`block_in_place`](crate::task::block_in_place) may start the same number of spare workers
    /// in addition.
    ///
    /// # Panics
    ///
    /// Panics if `threads` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .max_blocking_threads(1)
    ///     .build()
    ///     .unwrap();
    /// let (end, ended) = std::sync::mpsc::channel::<()>();
    /// let first = runtime.spawn_blocking(move || ended.recv().is_err());
    /// let second = runtime.spawn_blocking(|| ());
    /// assert_eq!(runtime.metrics().num_blocking_threads(), 1); // the second job waits
    /// drop(end);
    /// runtime.block_on(async {
    ///     assert!(first.await.unwrap());
    ///     second.await.unwrap();
    /// });
    /// ```
    #[track_caller]
    pub fn max_blocking_threads(&mut self, threads: usize) -> &mut Builder {
        assert!(threads > 0, "max_blocking_threads(0): spawn_blocking needs at least one thread");
        self.settings.max_blocking_threads = threads;
        self
    }

    /// Sets how long an idle thread for blocking jobs waits for a job before it exits. The default
    /// is ten seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .thread_keep_alive(Duration::from_millis(1))
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
    /// while runtime.metrics().num_blocking_threads() > 0 {
    ///     std::thread::yield_now(); // the thread exits soon
    /// }
    /// ```
    pub fn thread_keep_alive(&mut self, duration: Duration) -> &mut Builder {
        self.settings.keep_alive = duration;
        self
    }

    /// Sets the name of the runtime's threads. The default is `heist-worker`.
    ///
    /// The platform does not accept a zero byte, so a zero byte becomes `?`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .thread_name("shop")
    ///     .build()
    ///     .unwrap();
    /// let task = runtime.spawn(async { std::thread::current().name().map(str::to_owned) });
    /// let name = runtime.block_on(task).unwrap();
    /// assert_eq!(name.as_deref(), Some("shop"));
    /// ```
    pub fn thread_name(&mut self, name: impl Into<String>) -> &mut Builder {
        let name = name.into();
        self.thread_name_fn(move || name.clone())
    }

    /// Sets a function that returns the name of each thread. A zero byte in a name becomes `?`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// let count = AtomicUsize::new(0);
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(2)
    ///     .thread_name_fn(move || format!("shop-{}", count.fetch_add(1, Ordering::Relaxed)))
    ///     .build()
    ///     .unwrap();
    /// let task = runtime.spawn(async { std::thread::current().name().map(str::to_owned) });
    /// let name = runtime.block_on(task).unwrap();
    /// assert!(name.unwrap().starts_with("shop-"));
    /// ```
    pub fn thread_name_fn<F: Fn() -> String + Send + Sync + 'static>(&mut self, name: F) -> &mut Builder {
        self.settings.thread_name = Arc::new(name);
        self
    }

    /// Sets a function that returns the name of each worker thread. It gets the worker's index, and
    /// the version of the worker set.
    ///
    /// Other threads keep the name that [`Builder::thread_name`] or [`Builder::thread_name_fn`]
    /// gives.
    ///
    /// If the function panics during a resize, the thread is called `heist-worker`. The function
    /// may resize the runtime: that resize begins when it has returned. It must not wait for a
    /// resize, which panics, or for anything that waits for a resize.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(2)
    ///     .thread_name_with(|at| format!("worker-{}-{}", at.version, at.index))
    ///     .build()
    ///     .unwrap();
    /// # drop(runtime);
    /// ```
    pub fn thread_name_with(&mut self, name: impl Fn(WorkerMeta) -> String + Send + Sync + 'static) -> &mut Builder {
        self.settings.worker_name = Some(Arc::new(name));
        self
    }

    /// Sets the stack size of the runtime's threads, in bytes. The default is the platform's. A
    /// size below the platform's minimum is raised to it.
    ///
    /// If the operating system refuses a stack of this size, [`Builder::build`] returns an error. A
    /// current-thread runtime starts its first thread for
    /// [`spawn_blocking`](crate::task::spawn_blocking), and then the job is cancelled. If the size
    /// is more than a quarter of the address space, `build` returns an error in any case.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .thread_stack_size(512 * 1024)
    ///     .build()
    ///     .unwrap();
    /// # drop(runtime);
    /// ```
    pub fn thread_stack_size(&mut self, bytes: usize) -> &mut Builder {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// Sets a function that each thread of the runtime calls when it starts.
    ///
    /// The function may resize the runtime. Waiting for that resize panics on a worker's thread,
    /// because the worker may be one that has to exit. If the function panics on a worker's thread,
    /// the process aborts.
    ///
    /// A function that owns a handle of its own runtime forms a cycle with it, so the memory of the
    /// runtime is never freed. Take the handle from `Handle::current` inside of the function.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .on_thread_start(|| println!("a thread of the runtime has started"))
    ///     .build()
    ///     .unwrap();
    /// # drop(runtime);
    /// ```
    pub fn on_thread_start<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Builder {
        self.settings.on_thread_start = Some(Arc::new(hook));
        self
    }

    /// Sets a function that each thread of the runtime calls before it exits.
    ///
    /// If the function panics on a worker's thread, the process aborts.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// let ended = Arc::new(AtomicUsize::new(0));
    /// let count = Arc::clone(&ended);
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(2)
    ///     .on_thread_stop(move || drop(count.fetch_add(1, Ordering::Relaxed)))
    ///     .build()
    ///     .unwrap();
    /// drop(runtime);
    /// assert_eq!(ended.load(Ordering::Relaxed), 2);
    /// ```
    pub fn on_thread_stop<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Builder {
        self.settings.on_thread_stop = Some(Arc::new(hook));
        self
    }

    /// Sets a function that a worker calls before it announces its sleep. Tasks that the function
    /// spawns run before the sleep.
    ///
    /// If the function panics on a worker's thread, the process aborts. On a current-thread
    /// runtime, the call that drives it panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .on_thread_park(move || drop(sender.send(())))
    ///     .build()
    ///     .unwrap();
    /// receiver.recv().unwrap(); // the worker has no task
    /// # drop(runtime);
    /// ```
    pub fn on_thread_park<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Builder {
        self.settings.on_thread_park = Some(Arc::new(hook));
        self
    }

    /// Sets a function that a worker calls after it has slept.
    ///
    /// If the function panics, the same happens as for [`Builder::on_thread_park`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .on_thread_unpark(move || drop(sender.send(())))
    ///     .build()
    ///     .unwrap();
    /// while runtime.metrics().worker_park_count(0) == 0 {
    ///     std::thread::yield_now();
    /// }
    /// drop(runtime.spawn(async {}));
    /// receiver.recv().unwrap(); // the worker has slept
    /// ```
    pub fn on_thread_unpark<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Builder {
        self.settings.on_thread_unpark = Some(Arc::new(hook));
        self
    }
}
