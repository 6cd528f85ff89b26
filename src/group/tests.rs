//! Groups without a pool: shares, admission, and the groups of a table.

use std::any::Any;
use std::task::{Poll, Waker};

use super::admission::{AdmissionControl, GroupGate, Ticket};
use super::priority::Priority::{self, Background, Latency, Normal};
use super::share::{Choice, DEFAULT_WEIGHT, FairShare, Place};
use super::*;
use crate::loom_tests::support::parcels;
use crate::raw_task::Refusal;
use crate::timer::tests::Count;

/// Lists a new group.
fn listed(shares: &mut FairShare, priority: Priority, weight: u32, max_workers: usize) -> usize {
    let key = shares.insert(priority, weight, max_workers);
    shares.list(key);
    key
}

#[test]
fn joiner_lifts_the_group_for_as_long_as_it_waits() {
    let mut shares = FairShare::new(1);
    let key = listed(&mut shares, Background, DEFAULT_WEIGHT, 1);
    for joiners in [&[Latency][..], &[Normal, Latency], &[Latency, Normal]] {
        joiners.iter().for_each(|&joiner| shares.add_joiner(key, joiner));
        assert_eq!((shares.ready_priority(key), shares.num_ready(Latency)), (Some(Latency), 1));
        joiners.iter().for_each(|&joiner| shares.remove_joiner(key, joiner));
        assert_eq!((shares.ready_priority(key), shares.num_ready(Latency)), (Some(Background), 0));
        assert_eq!(shares.num_ready(Background), 1);
    }
}

#[test]
fn joiner_of_lower_priority_changes_nothing() {
    let mut shares = FairShare::new(1);
    let key = listed(&mut shares, Normal, DEFAULT_WEIGHT, 1);
    shares.add_joiner(key, Background);
    assert_eq!(shares.ready_priority(key), Some(Normal));
}

#[test]
fn group_at_its_limit_is_ready_again_after_a_slice() {
    let mut shares = FairShare::new(1);
    let key = listed(&mut shares, Normal, DEFAULT_WEIGHT, 2);
    let first = shares.begin_slice(key);
    assert_eq!(shares.place_of(key), Place::Ready);
    let second = shares.begin_slice(key);
    assert_eq!((shares.place_of(key), shares.active(key)), (Place::AtLimit, 2));
    assert_eq!(shares.choose(false, Background), Choice::Nothing);
    shares.end_slice(key, 1_000, first);
    assert_eq!((shares.place_of(key), shares.active(key)), (Place::Ready, 1));
    shares.end_slice(key, 1_000, second);
    assert_eq!(shares.active(key), 0);
}

/// Two groups, of which one weighs three times as much, take turns for a virtual second.
#[test]
fn slices_follow_the_weights() {
    let mut shares = FairShare::new(1);
    let keys = [100, 300].map(|weight| listed(&mut shares, Normal, weight, 1));
    let mut slices = [0; 2];
    for _ in 0..1_000 {
        let Choice::Group(key) = shares.choose(false, Background) else { panic!("a group is ready") };
        let charged = shares.begin_slice(key);
        shares.end_slice(key, 1_000_000, charged);
        slices[usize::from(key == keys[1])] += 1;
    }
    assert!((248..=252).contains(&slices[0]) && slices[0] + slices[1] == 1_000, "{slices:?}");
}

#[test]
fn blocking_job_keeps_its_group_from_being_empty() {
    let admission = AdmissionControl::new(1);
    let (count, waker) = Count::new();
    let mut ticket = Ticket::default();
    assert_eq!(admission.poll_empty(&mut ticket, &waker), Poll::Ready(()));
    admission.enter_job(false).expect("the gate is open");
    assert_eq!(admission.poll_empty(&mut ticket, &waker), Poll::Pending);
    admission.exit_job();
    assert_eq!((count.get(), admission.poll_empty(&mut ticket, &waker)), (1, Poll::Ready(())));
}

#[test]
fn gate_never_opens_again() {
    let admission = AdmissionControl::new(9);
    assert!(admission.try_admit(false).is_ok());
    admission.set_gate(GroupGate::Draining);
    assert!(matches!(admission.try_admit(false), Err(Refusal::Draining)));
    assert!(admission.try_admit(true).is_ok() && !admission.is_closed());
    admission.set_gate(GroupGate::Closed);
    admission.set_gate(GroupGate::Draining);
    assert!(matches!(admission.try_admit(true), Err(Refusal::Closed)) && admission.is_closed());
}

#[test]
fn limit_below_the_live_tasks_admits_none_until_enough_have_ended() {
    let admission = AdmissionControl::new(2);
    assert!(admission.try_admit(false).is_ok() && admission.try_admit(false).is_ok());
    admission.set_limit(1);
    let mut ticket = Ticket::default();
    let (count, waker) = Count::new();
    assert!(admission.poll_admit(&mut ticket, &waker, false).is_pending());
    admission.release();
    assert_eq!((count.get(), admission.counts()), (0, (1, 1)));
    admission.release();
    assert_eq!((count.get(), admission.counts()), (1, (1, 0)));
    assert!(admission.poll_admit(&mut ticket, Waker::noop(), false).is_ready());
}

/// Two waits for a place, a wait until the group is empty, and what each operation has to do.
struct Expected {
    admission: AdmissionControl,
    limit: usize,
    held: usize,
    jobs: usize,
    /// The waits in their order, and those that have been granted a place.
    waiting: Vec<usize>,
    granted: [bool; 2],
    waits_until_empty: bool,
    tickets: [Ticket; 3],
    /// The wakes of the two waits, and those of the wait until the group is empty.
    wakes: [usize; 3],
    counts: [(Arc<Count>, Waker); 3],
}

impl Expected {
    const OPERATIONS: usize = 11;

    fn new() -> Expected {
        Expected {
            admission: AdmissionControl::new(1),
            limit: 1,
            held: 0,
            jobs: 0,
            waiting: Vec::new(),
            granted: [false; 2],
            waits_until_empty: false,
            tickets: Default::default(),
            wakes: [0; 3],
            counts: [(); 3].map(|()| Count::new()),
        }
    }

    fn live(&self) -> usize {
        self.held + self.granted.iter().filter(|&&granted| granted).count()
    }

    /// A place is free, and no wait comes before.
    fn admits(&self) -> bool {
        self.live() < self.limit && self.waiting.is_empty()
    }

    /// Grants free places in the order of the waits, and wakes the wait until the group is empty.
    fn expect_grants_and_wakes(&mut self) {
        while self.live() < self.limit && !self.waiting.is_empty() {
            let first = self.waiting.remove(0);
            self.granted[first] = true;
            self.wakes[first] += 1;
        }
        if self.waits_until_empty && self.live() + self.jobs == 0 {
            self.waits_until_empty = false;
            self.wakes[2] += 1;
        }
    }

    /// Does an operation. Returns false if it does not apply.
    fn step(&mut self, operation: usize) -> bool {
        match operation {
            0 => {
                let is_admitted = self.admits();
                assert_eq!(self.admission.try_admit(false).is_ok(), is_admitted);
                self.held += usize::from(is_admitted);
            }
            1 if self.held > 0 => {
                self.admission.release();
                self.held -= 1;
            }
            2 | 3 => {
                let wait = operation - 2;
                let is_admitted = self.granted[wait] || self.admits();
                let polled = self.admission.poll_admit(&mut self.tickets[wait], &self.counts[wait].1, false);
                assert_eq!(polled.is_ready(), is_admitted);
                if is_admitted {
                    self.granted[wait] = false;
                    self.held += 1;
                } else if !self.waiting.contains(&wait) {
                    self.waiting.push(wait);
                }
            }
            4 | 5 => {
                let wait = operation - 4;
                self.admission.cancel_wait(&mut self.tickets[wait]);
                self.granted[wait] = false;
                self.waiting.retain(|&waiting| waiting != wait);
            }
            6 => {
                let polled = self.admission.poll_empty(&mut self.tickets[2], &self.counts[2].1);
                assert_eq!(polled.is_ready(), self.live() + self.jobs == 0);
                self.waits_until_empty = polled.is_pending();
            }
            7 if self.waits_until_empty => {
                self.admission.cancel_empty(&mut self.tickets[2]);
                self.waits_until_empty = false;
            }
            8 if self.jobs == 0 => {
                self.admission.enter_job(false).expect("the gate is open");
                self.jobs += 1;
            }
            9 if self.jobs > 0 => {
                self.admission.exit_job();
                self.jobs -= 1;
            }
            10 => {
                self.limit = 3 - self.limit;
                self.admission.set_limit(self.limit);
            }
            _ => return false,
        }
        self.expect_grants_and_wakes();
        true
    }
}

#[test]
fn admission_after_each_sequence_of_five_operations_is_as_expected() {
    let mut sequences = 0;
    for number in 0..Expected::OPERATIONS.pow(5) {
        let mut expected = Expected::new();
        let mut rest = number;
        let operations = [(); 5].map(|()| {
            let operation = rest % Expected::OPERATIONS;
            rest /= Expected::OPERATIONS;
            operation
        });
        if !operations.into_iter().all(|operation| expected.step(operation)) {
            continue;
        }
        let wakes = expected.counts.each_ref().map(|(count, _)| count.get());
        assert_eq!(wakes, expected.wakes, "{operations:?}");
        let counts = (expected.live(), expected.waiting.len());
        assert_eq!(expected.admission.counts(), counts, "{operations:?}");
        sequences += 1;
    }
    assert_eq!(sequences, 45_636, "the sequences of operations that apply");
}

/// A host that does not exist.
enum NoHost {}

impl GroupHost for NoHost {
    fn queue_in_group(self: Arc<Self>, _: &Arc<Group>, _: Runnable) {
        unreachable!("no value exists");
    }

    fn groups(&self) -> &GroupTable {
        unreachable!("no value exists")
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

fn settings() -> GroupSettings {
    GroupSettings {
        name: "g".into(),
        priority: Background,
        weight: DEFAULT_WEIGHT,
        max_workers: 1,
        max_tasks: 9,
        max_blocking: 1,
        lanes: 1,
    }
}

/// A worker has found the queue empty, and has unlisted the group, while another thread had the
/// tasks.
#[test]
fn group_is_listed_again_for_the_tasks_that_it_gets_back() {
    let table = GroupTable::new(1);
    let group = table.register(settings(), Weak::<NoHost>::new()).expect("the name is free");
    parcels(2).into_iter().for_each(|parcel| group.queue.push_woken(parcel));
    assert_eq!((table.ready.num_ready(Background), table.take_queued(|_| false).len()), (0, 0));
    assert_eq!((table.ready.num_ready(Background), group.queue.len()), (1, 2));
    assert_eq!((table.take_queued(|_| true).len(), group.queue.len()), (2, 0));
}

/// The last reference to the older group is gone, and a newer one has got its name, before the
/// older one is unregistered.
#[test]
fn newer_group_keeps_the_name_of_an_older_one() {
    let table = GroupTable::new(1);
    let older = table.ready.insert(Background, DEFAULT_WEIGHT, 1);
    let newer = table.register(settings(), Weak::<NoHost>::new()).expect("the name is free");
    table.unregister(&newer.settings.name, older);
    assert_eq!(table.all().len(), 1);
}
