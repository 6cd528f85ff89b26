//! Spare workers: they run while other workers are stalled or blocked.

use std::io;

use crate::block_in_place::blocked_workers::BlockedWorkers;
use crate::context::thread_role::{self, ThreadRole};
use crate::phase::Phase;
use crate::pool::Pool;
use crate::primitive::Arc;
use crate::worker_set::{Spare, ThreadHost, WorkerSet, WorkerSetLocked};

/// Why no spare was started.
#[derive(Debug)]
pub(crate) enum SpareError {
    /// As many spares as the caller wants are running.
    Enough,
    /// As many spares as are allowed are running.
    AtLimit,
    /// Another thread changes the worker set. It starts the spares that are missing afterwards.
    Busy,
    /// The pool is being closed.
    Closed,
    /// The operating system refused the thread.
    Refused(io::Error),
}

impl WorkerSet {
    /// Starts a spare, unless `enough` spares are running and not stopping. It claims back a spare
    /// that is stopping, or starts a thread in a seat above the others. The spare counts as a
    /// worker, but not among those that the size asks for. A resize that reaches its seat keeps it.
    ///
    /// It excludes requests: while one runs, no spare is started. The caller runs the requests that
    /// are queued meanwhile.
    ///
    /// # Errors
    ///
    /// If no spare was started.
    pub(crate) fn start_spare(&self, thread_host: &impl ThreadHost, enough: usize) -> Result<usize, SpareError> {
        let mut locked = self.locked.lock();
        if locked.phase >= Phase::ShuttingDown {
            return Err(SpareError::Closed);
        }
        if locked.running {
            return Err(SpareError::Busy);
        }
        if locked.staying_spares() >= enough {
            return Err(SpareError::Enough);
        }
        if let Some(spare) = locked.spares.iter_mut().find(|spare| spare.stopping) {
            spare.stopping = false;
            // The spare has not vacated its seat, which happens under this lock.
            let _ = self.states[spare.seat].claim_seat();
            return Ok(spare.seat);
        }
        if locked.spares.len() >= self.max_spares() {
            return Err(SpareError::AtLimit);
        }
        let Some(seat) = (locked.size..self.states.len()).find(|&seat| !self.is_occupied(seat)) else {
            return Err(SpareError::Busy);
        };
        locked.running = true;
        let _ = self.states[seat].claim_seat();
        // Counts the new thread, and the caller: its handle is stored before the threads are
        // joined.
        (0..2).for_each(|_| thread_host.inc_live());
        self.add_occupied(1);
        locked.spares.push(Spare { seat, starting: true, stopping: false });
        self.publish_spares(&locked);
        let version = locked.version;
        drop(locked);
        let started = thread_host.start(seat, version);
        let mut locked = self.locked.lock();
        debug_assert!(locked.running, "another thread ran a request meanwhile");
        locked.running = false;
        let Err(error) = started else {
            locked.spares.iter_mut().filter(|spare| spare.seat == seat).for_each(|spare| spare.starting = false);
            drop(locked);
            thread_host.dec_live();
            return Ok(seat);
        };
        self.states[seat].start_failed();
        self.sub_occupied(1);
        locked.spares.retain(|spare| spare.seat != seat);
        self.publish_spares(&locked);
        drop(locked);
        (0..2).for_each(|_| thread_host.dec_live());
        Err(SpareError::Refused(error))
    }

    /// Starts spares, by `try_start`, until there are as many as blocked workers. A spare that is
    /// claimed back may be blocked itself. Returns false if no more spares can start.
    ///
    /// Called by a worker that begins a section, and by a thread that has run requests or started a
    /// spare. A worker that finds the worker set busy leaves its spare to that thread, which counts
    /// again unless no spare can start. `try_start` also returns whether it has run a request
    /// afterwards.
    #[must_use]
    pub(crate) fn ensure_spares(
        &self,
        blocked_workers: &BlockedWorkers,
        try_start: impl Fn(usize) -> (Result<usize, SpareError>, bool),
    ) -> bool {
        loop {
            // A worker that found the worker set busy because of this thread was counted before.
            // This thread has locked the worker set since.
            let enough = blocked_workers.count();
            if enough == 0 {
                return true;
            }
            match try_start(enough) {
                // A request excludes starts of spares, and may take a spare's seat. So an answer
                // from before it is outdated.
                (Ok(_), _) | (_, true) => {}
                (Err(SpareError::Enough | SpareError::Busy), false) => return true,
                (Err(SpareError::AtLimit | SpareError::Closed | SpareError::Refused(_)), false) => return false,
            }
        }
    }

    /// Asks the highest spare that `may_go` to retire. Returns false if there is none.
    pub(crate) fn stop_spare(&self, thread_host: &impl ThreadHost, may_go: impl Fn(usize) -> bool) -> bool {
        let stopped = self.stop_highest_spare(&mut self.locked.lock(), may_go);
        thread_host.wake_seats(stopped.as_slice());
        stopped.is_some()
    }

    /// Asks spares to retire, until there are no more than blocked workers.
    ///
    /// While a spare is being started, none is stopped: its thread may be refused. The thread that
    /// starts it calls this afterwards. Under the lock, that thread sees the sections that have
    /// ended before this call.
    pub(crate) fn stop_surplus_spares(&self, thread_host: &impl ThreadHost, blocked_workers: &BlockedWorkers) {
        let mut stopped = Vec::new();
        let mut locked = self.locked.lock();
        if locked.spares.iter().any(|spare| spare.starting) {
            return;
        }
        // A worker that is counted later locks the worker set later, and finds what is missing.
        while locked.staying_spares() > blocked_workers.count() {
            stopped.extend(self.stop_highest_spare(&mut locked, |_| true));
        }
        drop(locked);
        thread_host.wake_seats(&stopped);
    }

    /// Asks the highest spare that `may_go` to retire. Returns its seat. The caller wakes its
    /// worker, once the lock is released.
    fn stop_highest_spare(&self, locked: &mut WorkerSetLocked, may_go: impl Fn(usize) -> bool) -> Option<usize> {
        let is_stoppable = |spare: &&mut Spare| !spare.starting && !spare.stopping;
        let spares = locked.spares.iter_mut().filter(|spare| is_stoppable(spare) && may_go(spare.seat));
        let spare = spares.max_by_key(|spare| spare.seat)?;
        spare.stopping = true;
        self.states[spare.seat].request_retire();
        Some(spare.seat)
    }
}

impl WorkerSetLocked {
    /// Returns the number of spares that are running or starting, and not stopping.
    fn staying_spares(&self) -> usize {
        self.spares.iter().filter(|spare| !spare.stopping).count()
    }
}

impl Pool {
    /// Starts a spare in place of a worker that is in a long poll. The caller sees to it that the
    /// spare is stopped when that is over.
    ///
    /// # Errors
    ///
    /// If no spare was started; see [`SpareError`].
    pub(crate) fn start_spare(self: &Arc<Pool>) -> Result<usize, SpareError> {
        let (started, _) = self.try_start_spare(usize::MAX);
        self.adjust_spares();
        started
    }

    /// Starts a spare, unless `enough` are running. The flag is true if a request has run
    /// afterwards: then the result may be outdated.
    pub(crate) fn try_start_spare(self: &Arc<Pool>, enough: usize) -> (Result<usize, SpareError>, bool) {
        let started = {
            let _role = thread_role::enter(ThreadRole::Resizing);
            self.worker_set.start_spare(self, enough)
        };
        if started.is_ok() {
            self.stalls.count_spare();
        }
        // Resizes that were requested meanwhile were left to this thread.
        let ran_request = self.run_queued_requests();
        (started, ran_request)
    }
}
