//! How many tasks of a group may live, and which spawn waits for the next place.
//!
//! The protocol is on [the page](super), under "Admission".

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Poll, Waker};

use crate::primitive::Mutex;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::raw_task::Refusal;
use crate::util::wake_list::{WakeList, drop_contained};

/// Counts the live tasks of a group against its limit, and admits waiters in the order of their
/// arrival.
///
/// No waker is cloned, woken or dropped under the lock.
#[derive(Debug)]
pub(crate) struct AdmissionControl {
    state: Mutex<AdmissionState>,
    /// The gate is closed. Written under the lock.
    closed: AtomicBool,
}

#[derive(Debug)]
struct AdmissionState {
    /// Permits that exist, or are granted to a waiter that has not taken them.
    live: usize,
    /// Blocking jobs that have not ended.
    jobs: usize,
    limit: usize,
    gate: GroupGate,
    next_ticket: u64,
    /// The waiters by their tickets. The first one has waited longest.
    waiting: BTreeMap<u64, Waker>,
    /// Waiters that have a permit and do not know it yet.
    granted: BTreeSet<u64>,
    /// What waits until no permit and no job exists, by a key of its own.
    until_empty: BTreeMap<u64, Waker>,
}

/// Which spawns a group accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupGate {
    Open,
    /// The group drains: only its own tasks spawn.
    Draining,
    /// The group accepts no task.
    Closed,
}

/// The place of a waiter. Empty before the first poll, and after the last.
#[derive(Debug, Default)]
pub(crate) struct Ticket(Option<u64>);

impl AdmissionControl {
    pub(crate) fn new(limit: usize) -> Self {
        let state = AdmissionState {
            live: 0,
            jobs: 0,
            limit,
            gate: GroupGate::Open,
            next_ticket: 0,
            waiting: BTreeMap::new(),
            granted: BTreeSet::new(),
            until_empty: BTreeMap::new(),
        };
        AdmissionControl { state: Mutex::new(state), closed: AtomicBool::new(false) }
    }

    /// Takes a permit without waiting. `internal` tells that a task of the group asks.
    ///
    /// # Errors
    ///
    /// If the group is full, or the gate is not open to the caller. A spawn does not overtake
    /// waiters.
    pub(crate) fn try_admit(&self, internal: bool) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        state.check_gate(internal)?;
        if state.live >= state.limit || !state.waiting.is_empty() {
            return Err(Refusal::Full);
        }
        state.live += 1;
        Ok(())
    }

    /// Takes a permit for a task that a task of the group spawns. It counts, but the limit does not
    /// apply to it.
    ///
    /// # Errors
    ///
    /// If the gate is closed.
    pub(crate) fn admit_child(&self) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        state.check_gate(true)?;
        state.live += 1;
        Ok(())
    }

    /// Counts a blocking job in.
    ///
    /// # Errors
    ///
    /// If the gate is not open to the caller.
    pub(crate) fn enter_job(&self, internal: bool) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        state.check_gate(internal)?;
        state.jobs += 1;
        Ok(())
    }

    /// Counts a blocking job out.
    pub(crate) fn exit_job(&self) {
        let mut wakes = WakeList::new();
        let mut state = self.state.lock();
        state.jobs -= 1;
        state.wake_if_empty(&mut wakes);
        drop(state);
        wakes.wake_all();
    }

    /// Returns why a permit that was granted before cannot be used any more.
    pub(crate) fn check_gate(&self, internal: bool) -> Result<(), Refusal> {
        self.state.lock().check_gate(internal)
    }

    /// Returns true if the gate is closed. A thread that queues a task first, and finds the gate
    /// open then, has queued it before the drain takes the queue.
    pub(crate) fn is_closed(&self) -> bool {
        // Ordering: Relaxed — the locks of the queue order it.
        self.closed.load(Ordering::Relaxed)
    }

    /// Takes a permit, or waits for one under `ticket`. [`AdmissionControl::cancel_wait`] ends the
    /// wait.
    pub(crate) fn poll_admit(&self, ticket: &mut Ticket, waker: &Waker, internal: bool) -> Poll<Result<(), Refusal>> {
        let waker = waker.clone();
        let mut state = self.state.lock();
        let (polled, unused) = state.poll_admit(ticket, waker, internal);
        drop(state);
        unused.into_iter().for_each(drop_contained);
        polled
    }

    /// Ends a wait. A permit that was granted meanwhile goes to the next waiter.
    pub(crate) fn cancel_wait(&self, ticket: &mut Ticket) {
        let Some(number) = ticket.0.take() else { return };
        let mut state = self.state.lock();
        let waker = state.waiting.remove(&number);
        let mut wakes = WakeList::new();
        if state.granted.remove(&number) {
            state.release(&mut wakes);
        }
        drop(state);
        drop_contained(waker);
        wakes.wake_all();
    }

    /// Releases a permit. The first waiter gets it, unless more permits exist than the limit.
    pub(crate) fn release(&self) {
        let mut wakes = WakeList::new();
        self.state.lock().release(&mut wakes);
        wakes.wake_all();
    }

    /// Sets the limit. If it has risen, waiters are admitted. If it has fallen, no task is
    /// admitted until enough have ended.
    pub(crate) fn set_limit(&self, limit: usize) {
        let mut wakes = WakeList::new();
        let mut state = self.state.lock();
        state.limit = limit;
        state.grant(&mut wakes);
        drop(state);
        wakes.wake_all();
    }

    /// Closes the gate further: it never opens again. All waiters are refused.
    pub(crate) fn set_gate(&self, gate: GroupGate) {
        let mut state = self.state.lock();
        if state.gate as u8 >= gate as u8 {
            return;
        }
        state.gate = gate;
        // Ordering: Relaxed — see `AdmissionControl::is_closed`.
        self.closed.store(gate == GroupGate::Closed, Ordering::Relaxed);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        let mut wakes = WakeList::new();
        waiting.into_values().for_each(|waker| wakes.push(waker));
        wakes.wake_all();
    }

    /// Returns `Ready` if no permit and no job exists, else wakes `waker` when the last one is
    /// gone.
    pub(crate) fn poll_empty(&self, ticket: &mut Ticket, waker: &Waker) -> Poll<()> {
        let waker = waker.clone();
        let mut state = self.state.lock();
        let (polled, unused) = if state.live + state.jobs == 0 {
            (Poll::Ready(()), Some(waker))
        } else {
            let number = state.number(ticket);
            (Poll::Pending, state.until_empty.insert(number, waker))
        };
        drop(state);
        drop_contained(unused);
        polled
    }

    /// Ends a wait that [`AdmissionControl::poll_empty`] has begun.
    pub(crate) fn cancel_empty(&self, ticket: &mut Ticket) {
        let Some(number) = ticket.0.take() else { return };
        let waker = self.state.lock().until_empty.remove(&number);
        drop_contained(waker);
    }

    pub(crate) fn limit(&self) -> usize {
        self.state.lock().limit
    }

    /// Returns the number of permits, and that of waiters.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.live, state.waiting.len())
    }
}

impl AdmissionState {
    fn check_gate(&self, internal: bool) -> Result<(), Refusal> {
        match self.gate {
            GroupGate::Open => Ok(()),
            // Its own tasks go on.
            GroupGate::Draining if internal => Ok(()),
            GroupGate::Draining => Err(Refusal::Draining),
            GroupGate::Closed => Err(Refusal::Closed),
        }
    }

    /// Returns the number of a ticket. Gives it the next one if it has none.
    fn number(&mut self, ticket: &mut Ticket) -> u64 {
        let next = &mut self.next_ticket;
        *ticket.0.get_or_insert_with(|| {
            *next += 1;
            *next
        })
    }

    /// Also returns the wakers that are not in use any more.
    fn poll_admit(
        &mut self,
        ticket: &mut Ticket,
        waker: Waker,
        internal: bool,
    ) -> (Poll<Result<(), Refusal>>, [Option<Waker>; 2]) {
        if ticket.0.is_some_and(|number| self.granted.remove(&number)) {
            ticket.0 = None;
            return (Poll::Ready(Ok(())), [Some(waker), None]);
        }
        if let Err(refusal) = self.check_gate(internal) {
            // It waits still, if a task of the group has polled it before.
            let old = ticket.0.take().and_then(|number| self.waiting.remove(&number));
            return (Poll::Ready(Err(refusal)), [Some(waker), old]);
        }
        let waits = ticket.0.is_some_and(|number| self.waiting.contains_key(&number));
        if !waits && self.waiting.is_empty() && self.live < self.limit {
            self.live += 1;
            ticket.0 = None;
            return (Poll::Ready(Ok(())), [Some(waker), None]);
        }
        let number = self.number(ticket);
        (Poll::Pending, [self.waiting.insert(number, waker), None])
    }

    fn release(&mut self, wakes: &mut WakeList) {
        debug_assert!(self.live > 0, "a permit is released twice");
        self.live -= 1;
        self.grant(wakes);
        self.wake_if_empty(wakes);
    }

    fn wake_if_empty(&mut self, wakes: &mut WakeList) {
        if self.live + self.jobs == 0 {
            std::mem::take(&mut self.until_empty).into_values().for_each(|waker| wakes.push(waker));
        }
    }

    /// Gives free permits to the first waiters.
    fn grant(&mut self, wakes: &mut WakeList) {
        while self.live < self.limit {
            let Some((number, waker)) = self.waiting.pop_first() else { return };
            self.live += 1;
            self.granted.insert(number);
            wakes.push(waker);
        }
    }
}
