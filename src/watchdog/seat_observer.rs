//! The watchdog's memory of one seat between two scans.

use std::time::Duration;

use crate::pool::{Pool, Seat};
use crate::watchdog::stall::StallCause;

/// Observes the polls of one seat.
#[derive(Debug, Default)]
pub(super) struct SeatObserver {
    poll: Option<ObservedPoll>,
}

/// One poll of one worker, or what it does between two.
#[derive(Debug)]
struct ObservedPoll {
    /// The seat's progress number.
    progress: u64,
    /// When the number was first seen, on the pool's clock. The poll had begun by then, and not
    /// long before.
    since: u64,
    /// The number of scans that have seen it again.
    scans: u32,
    /// The processor time of the worker's thread when the number was first seen.
    cpu_time_before: Option<Duration>,
    cause: StallCause,
    reported: bool,
}

/// The state of a seat at one scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeatStatus {
    /// No thread has the seat.
    Vacant,
    /// A thread starts or exits. A worker that retires counts as that once it has ended its work.
    Moving,
    /// The worker rests, because the workers get fewer processors than there are workers.
    Resting,
    Asleep,
    /// The worker is blocked in `block_in_place`.
    Away,
    /// The worker makes progress.
    Awake,
    /// The progress number is that of the last scan, for so many scans now.
    Stalled {
        scans: u32,
    },
}

/// A stall that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StallEnd {
    pub(super) lasted: Duration,
    pub(super) reported: bool,
}

impl SeatObserver {
    /// Observes the seat. Returns its state, and the stall that has ended.
    pub(super) fn observe(&mut self, pool: &Pool, seat: &Seat, now: u64) -> (SeatStatus, Option<StallEnd>) {
        let status = match pool.worker_set.is_active(seat.index) {
            false if pool.worker_set.is_resting(seat.index) => SeatStatus::Resting,
            false if pool.worker_set.is_occupied(seat.index) => SeatStatus::Moving,
            false => SeatStatus::Vacant,
            true if pool.idle.is_announced(seat.index) => SeatStatus::Asleep,
            true if seat.is_blocking() => SeatStatus::Away,
            true => return self.observe_poll(seat, now, pool.settings.tick),
        };
        (status, self.end_stall(seat, now))
    }

    fn observe_poll(&mut self, seat: &Seat, now: u64, tick: Duration) -> (SeatStatus, Option<StallEnd>) {
        let progress = seat.progress();
        match &mut self.poll {
            // A late scan is followed by one that is on time. A short poll need not end between the
            // two.
            Some(poll) if poll.progress == progress && poll.lasted(now) < tick / 2 => (SeatStatus::Awake, None),
            Some(poll) if poll.progress == progress => {
                poll.scans = poll.scans.saturating_add(1);
                seat.set_stalled(progress, poll.since);
                (SeatStatus::Stalled { scans: poll.scans }, None)
            }
            _ => {
                let ended = self.end_stall(seat, now);
                self.poll = Some(ObservedPoll::new(seat, progress, now));
                (SeatStatus::Awake, ended)
            }
        }
    }

    fn end_stall(&mut self, seat: &Seat, now: u64) -> Option<StallEnd> {
        let poll = self.poll.take().filter(|poll| poll.scans > 0)?;
        seat.clear_stalled();
        Some(StallEnd { lasted: poll.lasted(now), reported: poll.reported })
    }

    /// Returns what the worker's thread has done since the stall was first seen. Checked again each
    /// time the stall has lasted twice as long.
    pub(super) fn cause(&mut self, seat: &Seat, now: u64) -> StallCause {
        let Some(poll) = &mut self.poll else { return StallCause::Unknown };
        if poll.scans.is_power_of_two() {
            poll.find_cause(seat, now);
        }
        poll.cause
    }

    /// Returns duration and cause of a stall that has reached `threshold`, once.
    pub(super) fn take_report(&mut self, seat: &Seat, now: u64, threshold: Duration) -> Option<(Duration, StallCause)> {
        let poll = self.poll.as_mut().filter(|poll| poll.scans > 0 && !poll.reported)?;
        let lasted = poll.lasted(now);
        if lasted < threshold {
            return None;
        }
        poll.find_cause(seat, now);
        poll.reported = true;
        Some((lasted, poll.cause))
    }

    /// Returns the progress number that is being observed.
    pub(super) fn progress(&self) -> Option<u64> {
        self.poll.as_ref().map(|poll| poll.progress)
    }
}

impl ObservedPoll {
    fn new(seat: &Seat, progress: u64, since: u64) -> ObservedPoll {
        let cpu_time_before = seat.tid().and_then(|thread| thread.time());
        ObservedPoll { progress, since, scans: 0, cpu_time_before, cause: StallCause::Unknown, reported: false }
    }

    fn lasted(&self, now: u64) -> Duration {
        Duration::from_nanos(now.saturating_sub(self.since))
    }

    fn find_cause(&mut self, seat: &Seat, now: u64) {
        let Some(thread) = seat.tid() else { return };
        let (Some(before), Some(cpu_time)) = (self.cpu_time_before, thread.time()) else { return };
        self.cause = if cpu_time.saturating_sub(before) * 2 >= self.lasted(now) {
            StallCause::Busy
        } else {
            match thread.is_ready() {
                Some(true) => StallCause::Starved,
                Some(false) => StallCause::Blocked,
                None => StallCause::Unknown,
            }
        };
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::{SeatObserver, SeatStatus};
    use crate::watchdog::tests::pool;

    /// At one scan each millisecond, the counter reaches its limit after fifty days.
    #[test]
    fn stall_seen_more_often_than_the_counter_holds_is_the_same() {
        let pool = pool(1);
        let seat = &pool.seats[0];
        let mut observer = SeatObserver::default();
        assert_eq!(observer.observe(&pool, seat, 1), (SeatStatus::Awake, None));
        assert_eq!(observer.observe(&pool, seat, 2), (SeatStatus::Stalled { scans: 1 }, None));
        observer.poll.as_mut().expect("it is watched").scans = u32::MAX - 1;
        for now in 3..6 {
            assert_eq!(observer.observe(&pool, seat, now), (SeatStatus::Stalled { scans: u32::MAX }, None));
            observer.cause(seat, now);
        }
        // Another poll begins: the seat is not stalled any more.
        seat.stats.polls.add(1);
        let (status, ended) = observer.observe(&pool, seat, 6);
        assert_eq!((status, ended.map(|ended| ended.lasted.as_nanos())), (SeatStatus::Awake, Some(5)));
    }
}
