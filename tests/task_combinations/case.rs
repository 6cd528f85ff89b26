//! The dimensions of a case, and the model that says what has to happen.

/// How the future is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polls {
    /// The first poll is the last.
    Ready,
    /// The first poll wakes its own task.
    WakesItself,
    /// The same, by a clone of the waker, which is consumed.
    WakesItselfByClone,
    /// The task is idle after the first poll. The test wakes it.
    Woken,
    /// The same, with two wakes.
    WokenTwice,
    /// The task is idle after the first poll, and no wake comes.
    Idle,
}

/// Where user code panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Panic {
    Nowhere,
    LastPoll,
    FutureDrop,
    LastPollAndFutureDrop,
    OutputDrop,
    FutureDropAndOutputDrop,
}

/// When the task is aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Abort {
    Never,
    BeforeTheFirstPoll,
    InTheFirstPoll,
    WhileIdle,
    AfterTheEnd,
}

/// What happens to the handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handle {
    /// It is awaited after the task has ended.
    Joined,
    /// It is polled before the task ends, and its waker is woken.
    PolledAndJoined,
    DroppedAtOnce,
    DroppedWhileIdle,
    /// It is polled while the task is idle, and dropped with the waker in it.
    PolledAndDropped,
    DroppedAfterTheEnd,
}

/// What the user keeps beyond the task's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Nothing,
    /// A waker, which is woken after the end.
    Waker,
    /// An abort handle, which aborts after the end.
    AbortHandle,
}

/// When the runtime ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Lives,
    BeforeTheFirstPoll,
    WhileIdle,
    AfterTheEnd,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) polls: Polls,
    pub(crate) panic: Panic,
    pub(crate) abort: Abort,
    pub(crate) handle: Handle,
    pub(crate) kept: Kept,
    pub(crate) in_group: bool,
    pub(crate) ending: Ending,
}

/// How the handle resolves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Output,
    Cancelled,
    Panicked,
}

/// What has to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) polls: usize,
    pub(crate) outputs: usize,
    pub(crate) outcome: Outcome,
}

impl Polls {
    /// Returns whether the task is idle between its first poll and its last.
    fn is_idle_between(self) -> bool {
        matches!(self, Polls::Woken | Polls::WokenTwice | Polls::Idle)
    }
}

impl Panic {
    pub(crate) fn in_last_poll(self) -> bool {
        matches!(self, Panic::LastPoll | Panic::LastPollAndFutureDrop)
    }

    pub(crate) fn in_future_drop(self) -> bool {
        matches!(self, Panic::FutureDrop | Panic::LastPollAndFutureDrop | Panic::FutureDropAndOutputDrop)
    }

    pub(crate) fn in_output_drop(self) -> bool {
        matches!(self, Panic::OutputDrop | Panic::FutureDropAndOutputDrop)
    }
}

impl Case {
    /// Returns whether the steps of the case can follow each other. `exact` tells that the task is
    /// polled only when the test lets it be polled.
    fn is_possible(&self, exact: bool) -> bool {
        let idle = self.polls.is_idle_between();
        let stopped_early = self.ending == Ending::BeforeTheFirstPoll;
        let abort = match self.abort {
            Abort::BeforeTheFirstPoll => exact && !stopped_early,
            Abort::InTheFirstPoll => !stopped_early,
            Abort::WhileIdle => idle && !stopped_early && self.ending != Ending::WhileIdle,
            Abort::Never | Abort::AfterTheEnd => true,
        };
        let comes_to_rest =
            idle && !stopped_early && matches!(self.abort, Abort::Never | Abort::WhileIdle | Abort::AfterTheEnd);
        let handle = match self.handle {
            Handle::DroppedWhileIdle | Handle::PolledAndDropped => comes_to_rest,
            Handle::PolledAndJoined => comes_to_rest || exact,
            Handle::Joined | Handle::DroppedAtOnce | Handle::DroppedAfterTheEnd => true,
        };
        let ending = match self.ending {
            Ending::Lives | Ending::AfterTheEnd => true,
            Ending::BeforeTheFirstPoll => exact,
            Ending::WhileIdle => comes_to_rest,
        };
        // Something has to end a task that no wake reaches.
        let ends = self.polls != Polls::Idle
            || self.ending == Ending::WhileIdle
            || stopped_early
            || !matches!(self.abort, Abort::Never | Abort::AfterTheEnd);
        // A waker is kept by the first poll.
        let kept = self.kept != Kept::Waker || !(stopped_early || self.abort == Abort::BeforeTheFirstPoll);
        abort && handle && ending && ends && kept
    }

    /// Returns whether the first poll leaves an idle task, at which the test acts.
    pub(crate) fn comes_to_rest(&self) -> bool {
        self.polls.is_idle_between()
            && !matches!(self.abort, Abort::BeforeTheFirstPoll | Abort::InTheFirstPoll)
            && self.ending != Ending::BeforeTheFirstPoll
    }

    /// Returns what has to happen.
    pub(crate) fn expected(&self) -> Expected {
        let never_polled = self.abort == Abort::BeforeTheFirstPoll || self.ending == Ending::BeforeTheFirstPoll;
        let last = if self.polls == Polls::Ready { 1 } else { 2 };
        let polls = match self.abort {
            _ if never_polled => 0,
            // An abort in the last poll comes too late.
            Abort::InTheFirstPoll | Abort::WhileIdle => 1,
            _ if self.polls == Polls::Idle || self.ending == Ending::WhileIdle => 1,
            _ => last,
        };
        let finishes = polls == last && self.polls != Polls::Idle;
        let outcome = match finishes {
            true if self.panic.in_last_poll() => Outcome::Panicked,
            // A task with an output keeps it, whatever its future's destructor does.
            true => Outcome::Output,
            false if self.panic.in_future_drop() => Outcome::Panicked,
            false => Outcome::Cancelled,
        };
        Expected { polls, outputs: usize::from(outcome == Outcome::Output), outcome }
    }
}

/// Returns every possible case.
pub(crate) fn all_cases(exact: bool) -> impl Iterator<Item = Case> {
    use Polls::{Idle, Ready, WakesItself, WakesItselfByClone, Woken, WokenTwice};
    let mut cases = Vec::new();
    for polls in [Ready, WakesItself, WakesItselfByClone, Woken, WokenTwice, Idle] {
        for panic in [
            Panic::Nowhere,
            Panic::LastPoll,
            Panic::FutureDrop,
            Panic::LastPollAndFutureDrop,
            Panic::OutputDrop,
            Panic::FutureDropAndOutputDrop,
        ] {
            for abort in
                [Abort::Never, Abort::BeforeTheFirstPoll, Abort::InTheFirstPoll, Abort::WhileIdle, Abort::AfterTheEnd]
            {
                for handle in [
                    Handle::Joined,
                    Handle::PolledAndJoined,
                    Handle::DroppedAtOnce,
                    Handle::DroppedWhileIdle,
                    Handle::PolledAndDropped,
                    Handle::DroppedAfterTheEnd,
                ] {
                    for kept in [Kept::Nothing, Kept::Waker, Kept::AbortHandle] {
                        for in_group in [false, true] {
                            for ending in
                                [Ending::Lives, Ending::BeforeTheFirstPoll, Ending::WhileIdle, Ending::AfterTheEnd]
                            {
                                cases.push(Case { polls, panic, abort, handle, kept, in_group, ending });
                            }
                        }
                    }
                }
            }
        }
    }
    cases.into_iter().filter(move |case| case.is_possible(exact))
}
