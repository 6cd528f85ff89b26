//! Other platforms: no information about threads.

use std::time::Duration;

use super::SchedTimes;

pub(super) fn current_tid() -> u32 {
    0
}

pub(super) fn time(_: u32) -> Option<Duration> {
    None
}

pub(super) fn is_ready(_: u32) -> Option<bool> {
    None
}

pub(super) fn sched_times(_: u32) -> Option<SchedTimes> {
    None
}

pub(super) fn idle_time() -> Option<Duration> {
    None
}
