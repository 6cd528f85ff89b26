//! What the threads of a runtime are, and what they are told to do.

use std::time::Duration;

use super::Builder;
use crate::sync::Arc;
use crate::worker_set::completion::WorkerMeta;

/// Threads.
impl Builder {
    /// How many threads [`spawn_blocking`](crate::task::spawn_blocking) may have at a time, at
    /// most. The default is 512. [`block_in_place`](crate::task::block_in_place) may have as many
    /// besides, as spare workers.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    /// let (end, ended) = std::sync::mpsc::channel::<()>();
    /// let first = runtime.spawn_blocking(move || ended.recv().is_err());
    /// let second = runtime.spawn_blocking(|| ());
    /// assert_eq!(runtime.metrics().num_blocking_threads(), 1); // the second job waits for it
    /// drop(end);
    /// runtime.block_on(async {
    ///     assert!(first.await.unwrap());
    ///     second.await.unwrap();
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_blocking_threads(&mut self, threads: usize) -> &mut Builder {
        assert!(threads > 0, "max_blocking_threads(0): spawn_blocking needs at least one thread");
        self.settings.max_blocking_threads = threads;
        self
    }

    /// How long an idle blocking thread stays. The default is ten seconds.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = heist::runtime::Builder::new_current_thread().thread_keep_alive(Duration::from_millis(1)).build().unwrap();
    /// runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
    /// while runtime.metrics().num_blocking_threads() > 0 {
    ///     std::thread::yield_now(); // it leaves soon
    /// }
    /// ```
    pub fn thread_keep_alive(&mut self, duration: Duration) -> &mut Builder {
        self.settings.keep_alive = duration;
        self
    }

    /// Names the threads. The default is `heist-worker`. The platform does not accept a zero byte,
    /// so a zero byte becomes `?`.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("shop").build().unwrap();
    /// let name = runtime.block_on(runtime.spawn(async { std::thread::current().name().map(str::to_owned) })).unwrap();
    /// assert_eq!(name.as_deref(), Some("shop"));
    /// ```
    pub fn thread_name(&mut self, name: impl Into<String>) -> &mut Builder {
        let name = name.into();
        self.thread_name_fn(move || name.clone())
    }

    /// Names each thread by a function. A zero byte in a name becomes `?`.
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
    /// let name = runtime.block_on(runtime.spawn(async { std::thread::current().name().map(str::to_owned) })).unwrap();
    /// assert!(name.unwrap().starts_with("shop-"));
    /// ```
    pub fn thread_name_fn(&mut self, name: impl Fn() -> String + Send + Sync + 'static) -> &mut Builder {
        self.settings.thread_name = Arc::new(name);
        self
    }

    /// Names each worker thread by a function of its seat and of the version of the worker set with
    /// which it comes. Other threads keep the name that [`Builder::thread_name`] or
    /// [`Builder::thread_name_fn`] gives.
    ///
    /// If it panics while the runtime is being resized, the thread is called `heist-worker`. It may
    /// resize, but not wait for that, which panics: the next resize begins when it has returned.
    /// Nor may it wait for anything else that waits for a resize.
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

    /// The threads' stack size in bytes. The default is the platform's. A size below the platform's
    /// minimum is raised to it.
    ///
    /// If the operating system refuses a stack of this size, [`Builder::build`] returns an error. A
    /// current-thread runtime starts its first thread for
    /// [`spawn_blocking`](crate::task::spawn_blocking): then the job is cancelled. If the size is
    /// more than a quarter of the address space, `build` returns an error in any case.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().thread_stack_size(512 * 1024).build().unwrap();
    /// # drop(runtime);
    /// ```
    pub fn thread_stack_size(&mut self, bytes: usize) -> &mut Builder {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// Called by each thread of the runtime when it starts.
    ///
    /// It may resize the runtime; waiting for that panics on a worker's thread, which may be one
    /// that has to leave. If it panics on a worker's thread, the process is aborted.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .on_thread_start(|| println!("a thread of the runtime begins"))
    ///     .build()
    ///     .unwrap();
    /// # drop(runtime);
    /// ```
    pub fn on_thread_start(&mut self, hook: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.settings.on_thread_start = Some(Arc::new(hook));
        self
    }

    /// Called by each thread of the runtime before it ends. If it panics on a worker's thread, the
    /// process is aborted.
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
    pub fn on_thread_stop(&mut self, hook: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.settings.on_thread_stop = Some(Arc::new(hook));
        self
    }

    /// Called by a worker before it announces that it sleeps; what it spawns is run first.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let (tell, told) = mpsc::channel();
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .on_thread_park(move || drop(tell.send(())))
    ///     .build()
    ///     .unwrap();
    /// told.recv().unwrap(); // it has nothing to do
    /// # drop(runtime);
    /// ```
    pub fn on_thread_park(&mut self, hook: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.settings.on_thread_park = Some(Arc::new(hook));
        self
    }

    /// Called by a worker after it has slept.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let (tell, told) = mpsc::channel();
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .on_thread_unpark(move || drop(tell.send(())))
    ///     .build()
    ///     .unwrap();
    /// while runtime.metrics().worker_park_count(0) == 0 {
    ///     std::thread::yield_now();
    /// }
    /// drop(runtime.spawn(async {}));
    /// told.recv().unwrap(); // it has slept
    /// ```
    pub fn on_thread_unpark(&mut self, hook: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.settings.on_thread_unpark = Some(Arc::new(hook));
        self
    }
}
