//! What the watchdog remembers of one seat between two looks.

use std::time::Duration;

use crate::pool::{Pool, Seat};
use crate::watchdog::stall::StallCause;

/// A seat's poll, as far as it has been watched.
#[derive(Debug, Default)]
pub(super) struct SeatObserver {
    poll: Option<ObservedPoll>,
}

/// One poll of one worker, or what it does between two.
#[derive(Debug)]
struct ObservedPoll {
    /// The seat's progress.
    number: u64,
    /// When it was seen first, on the pool's clock. It had begun by then, and not long before.
    since: u64,
    /// How often it has been seen again.
    looks: u32,
    /// How much processor time the worker's thread had used when the poll was seen first.
    sample: Option<Duration>,
    cause: StallCause,
    reported: bool,
}

/// What a look finds in a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeatStatus {
    /// Nobody is there.
    Vacant,
    /// A thread comes, or goes.
    Moving,
    Asleep,
    /// The worker has stepped out.
    Away,
    /// The worker gets on.
    Awake,
    /// It is where it was at the last look, and for so many looks now.
    Stalled {
        looks: u32,
    },
}

/// A stall that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StallEnd {
    pub(super) lasted: Duration,
    pub(super) reported: bool,
}

impl SeatObserver {
    /// Looks at the seat.
    pub(super) fn observe(&mut self, pool: &Pool, seat: &Seat, now: u64) -> (SeatStatus, Option<StallEnd>) {
        let sight = match pool.worker_set.is_active(seat.index) {
            false if pool.worker_set.is_occupied(seat.index) => SeatStatus::Moving,
            false => SeatStatus::Vacant,
            true if pool.idle.is_announced(seat.index) => SeatStatus::Asleep,
            true if seat.is_blocking() => SeatStatus::Away,
            true => return self.look_at_poll(seat, now, pool.settings.tick),
        };
        (sight, self.end_stall(seat, now))
    }

    fn look_at_poll(&mut self, seat: &Seat, now: u64, tick: Duration) -> (SeatStatus, Option<StallEnd>) {
        let number = seat.progress();
        match &mut self.poll {
            // A late look is followed by a look that is in time. A short poll need not end between
            // the two.
            Some(poll) if poll.number == number && poll.lasted(now) < tick / 2 => (SeatStatus::Awake, None),
            Some(poll) if poll.number == number => {
                poll.looks = poll.looks.saturating_add(1);
                seat.set_stalled(number, poll.since);
                (SeatStatus::Stalled { looks: poll.looks }, None)
            }
            _ => {
                let ended = self.end_stall(seat, now);
                self.poll = Some(ObservedPoll::new(seat, number, now));
                (SeatStatus::Awake, ended)
            }
        }
    }

    fn end_stall(&mut self, seat: &Seat, now: u64) -> Option<StallEnd> {
        let poll = self.poll.take().filter(|poll| poll.looks > 0)?;
        seat.clear_stalled();
        Some(StallEnd { lasted: poll.lasted(now), reported: poll.reported })
    }

    /// What the worker's thread has done since the stall was seen first. Asked anew when that has
    /// lasted twice as long.
    pub(super) fn cause(&mut self, seat: &Seat, now: u64) -> StallCause {
        let Some(poll) = &mut self.poll else { return StallCause::Unknown };
        if poll.looks.is_power_of_two() {
            poll.find_cause(seat, now);
        }
        poll.cause
    }

    /// How long the stall has lasted, and why; if that is `threshold`, and for the first time.
    pub(super) fn take_report(&mut self, seat: &Seat, now: u64, threshold: Duration) -> Option<(Duration, StallCause)> {
        let poll = self.poll.as_mut().filter(|poll| poll.looks > 0 && !poll.reported)?;
        let lasted = poll.lasted(now);
        if lasted < threshold {
            return None;
        }
        poll.find_cause(seat, now);
        poll.reported = true;
        Some((lasted, poll.cause))
    }

    /// The poll that is being watched.
    pub(super) fn number(&self) -> Option<u64> {
        self.poll.as_ref().map(|poll| poll.number)
    }
}

impl ObservedPoll {
    fn new(seat: &Seat, number: u64, since: u64) -> ObservedPoll {
        let sample = seat.tid().and_then(|thread| thread.time());
        ObservedPoll { number, since, looks: 0, sample, cause: StallCause::Unknown, reported: false }
    }

    fn lasted(&self, now: u64) -> Duration {
        Duration::from_nanos(now.saturating_sub(self.since))
    }

    fn find_cause(&mut self, seat: &Seat, now: u64) {
        let Some(thread) = seat.tid() else { return };
        let (Some(before), Some(ran)) = (self.sample, thread.time()) else { return };
        self.cause = if ran.saturating_sub(before) * 2 >= self.lasted(now) {
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

    /// At one look each millisecond, the counter reaches its limit after fifty days.
    #[test]
    fn look_after_the_most_looks_finds_the_same_stall() {
        let pool = pool(1);
        let seat = &pool.seats[0];
        let mut watched = SeatObserver::default();
        assert_eq!(watched.observe(&pool, seat, 1), (SeatStatus::Awake, None));
        assert_eq!(watched.observe(&pool, seat, 2), (SeatStatus::Stalled { looks: 1 }, None));
        watched.poll.as_mut().expect("it is watched").looks = u32::MAX - 1;
        for now in 3..6 {
            assert_eq!(watched.observe(&pool, seat, now), (SeatStatus::Stalled { looks: u32::MAX }, None));
            watched.cause(seat, now);
        }
        // Another poll: the seat is not stalled any more.
        seat.stats.polls.add(1);
        let (sight, ended) = watched.observe(&pool, seat, 6);
        assert_eq!((sight, ended.map(|ended| ended.lasted.as_nanos())), (SeatStatus::Awake, Some(5)));
    }
}
