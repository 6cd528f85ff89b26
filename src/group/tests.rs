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
