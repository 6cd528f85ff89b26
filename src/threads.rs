//! The worker threads: how they start, and what they do when they leave.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::context;
use crate::memory::OpenShelves;
use crate::pool::{Hook, Pool};
use crate::sentinel::Sentinel;
use crate::shutdown;
use crate::sync::{Arc, thread};
use crate::worker::Worker;

/// The threads of a pool, to be joined by whoever closes it.
#[derive(Debug, Default)]
pub(crate) struct Threads(Vec<thread::JoinHandle<()>>);

impl Threads {
    /// Starts a worker for each seat, and the sentinel.
    ///
    /// # Errors
    ///
    /// What the operating system says if it refuses a thread; those that had been started have left again.
    pub(crate) fn start(pool: &Arc<Pool>) -> io::Result<Threads> {
        // Naming is user code, which may panic: all of it before there is a thread to be left behind.
        let names: Vec<String> = pool.seats.iter().map(|_| (pool.settings.thread_name)()).collect();
        let mut threads = Threads::default();
        let started = threads.start_all(pool, names);
        if started.is_err() {
            shutdown::close(pool);
            let deadline = Instant::now().checked_add(pool.settings.shutdown_grace);
            if shutdown::finish(pool, deadline) {
                std::mem::take(&mut threads).join();
            }
        }
        started.map(|()| threads)
    }

    fn start_all(&mut self, pool: &Arc<Pool>, names: Vec<String>) -> io::Result<()> {
        for (seat, name) in names.into_iter().enumerate() {
            self.start_one(pool, name, move |pool| sit(pool, seat))?;
        }
        if pool.settings.sentinel {
            self.start_one(pool, "heist-sentinel".to_owned(), |pool| Sentinel::new(Arc::clone(pool)).run())?;
        }
        Ok(())
    }

    fn start_one(
        &mut self,
        pool: &Arc<Pool>,
        name: String,
        main: impl FnOnce(&Arc<Pool>) + Send + 'static,
    ) -> io::Result<()> {
        let mut builder = thread::Builder::new().name(name.replace('\0', "?")); // the platform takes no zero byte
        if let Some(size) = pool.settings.stack_size {
            builder = builder.stack_size(size);
        }
        pool.attendance.enter();
        let present = Arc::clone(pool);
        let started = builder.spawn(move || {
            // A panic here is a bug of ours, or of a hook. A pool that has silently lost a worker would hang; it says so and ends.
            if catch_unwind(AssertUnwindSafe(|| main(&present))).is_err() {
                tracing::error!(target: "heist::worker", "a worker thread panicked outside of any task; aborting");
                std::process::abort();
            }
            if present.attendance.leave() {
                shutdown::finish_late(&present);
            }
        });
        match started {
            Ok(thread) => self.0.push(thread),
            Err(error) => {
                // The closer is still here: nobody else has to close up.
                let _ = pool.attendance.leave();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Waits for threads that have left already to be gone.
    pub(crate) fn join(self) {
        for thread in self.0 {
            // The thread catches its own panics.
            let _ = thread.join();
        }
    }
}

/// The life of a worker thread.
fn sit(pool: &Arc<Pool>, seat: usize) {
    let seat = &pool.seats[seat];
    // For the hooks: at work the seat says where the thread is.
    let _stay = context::enter(Arc::clone(pool));
    call(&pool.settings.on_thread_start);
    let _shelves = OpenShelves::open();
    if let Some(local) = seat.take_lease() {
        Worker::new(pool, seat, &local).run();
        shutdown::clear_seat(pool, seat, &local);
        seat.return_lease(local);
    }
    call(&pool.settings.on_thread_stop);
}

fn call(hook: &Option<Hook>) {
    if let Some(hook) = hook {
        hook();
    }
}
