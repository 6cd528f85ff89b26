//! Groups of tasks: the ready set, the limit of workers, admission, the end of a group, aborts. See
//! docs/groups.md.

use std::any::Any;
use std::panic::Location;
use std::task::{Poll, Waker};

use super::support::{Bell, Counted, Counts, Home, TakenTasks, TaskLog, parcels, start};
use crate::group::admission::{AdmissionControl, GroupGate, Ticket};
use crate::group::counts::AbortCounts;
use crate::group::priority::Priority;
use crate::group::ready_set::{PickRequest, Picked, PickedGroup};
use crate::group::table::GroupTable;
use crate::group::{Group, GroupHost, GroupSettings};
use crate::idle::Idle;
use crate::park::Parker;
use crate::primitive::atomic::Ordering;
use crate::primitive::statics::AtomicUsize;
use crate::primitive::{Arc, Weak, model};
use crate::queue::LaneCursor;
use crate::raw_task::{self, Header, Refusal, RunResult, Runnable};

/// A pool of workers that serve groups only.
#[derive(Debug)]
struct Workers {
    groups: GroupTable,
    idle: Idle,
    parkers: [Parker; 2],
    /// Workers in a slice, and the tasks served. loom does not see them: they order nothing.
    active: AtomicUsize,
    served: AtomicUsize,
}

impl GroupHost for Workers {
    fn queue_in_group(self: Arc<Self>, group: &Arc<Group>, runnable: Runnable) {
        group.queue.push_woken(runnable);
        if group.claim_listing() && self.groups.ready.list(group).is_some() {
            self.notify();
        }
    }

    fn groups(&self) -> &GroupTable {
        &self.groups
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

fn settings(max_workers: usize) -> GroupSettings {
    GroupSettings {
        name: Arc::from("group"),
        priority: Priority::Normal,
        weight: 100,
        max_workers,
        max_tasks: usize::MAX,
        max_blocking: usize::MAX,
        lanes: 1,
    }
}

impl Workers {
    fn new() -> Arc<Workers> {
        Arc::new(Workers {
            groups: GroupTable::new(5),
            idle: Idle::new(2),
            parkers: [Parker::new(), Parker::new()],
            active: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
        })
    }

    fn group(self: &Arc<Self>, max_workers: usize) -> Arc<Group> {
        let host: Weak<dyn GroupHost> = Arc::<Workers>::downgrade(self);
        self.groups.register(settings(max_workers), host).expect("the name is free")
    }

    fn notify(&self) {
        if let Some(seat) = self.idle.claim_sleeper() {
            let _ = self.parkers[seat].unpark();
        }
    }

    /// Serves one slice of a group. Returns false if none is ready.
    fn serve(&self, taken: &mut TakenTasks, limit: usize) -> bool {
        let request = PickRequest { default_time: 0, default_ready: false, lowest: Priority::Background };
        let cursor = LaneCursor::new(0);
        let Picked::Group(picked) = self.groups.ready.pick(request, &cursor) else { return false };
        let PickedGroup { group, first, charged, .. } = picked;
        assert!(self.active.fetch_add(1, Ordering::Relaxed) < limit, "more workers than the limit");
        let mut next = Some(first);
        while let Some(runnable) = next {
            taken.take(runnable);
            self.served.fetch_add(1, Ordering::Relaxed);
            next = group.queue.take(&cursor, 1).pop();
        }
        self.active.fetch_sub(1, Ordering::Relaxed);
        self.groups.ready.end_slice(&group, 1_000, charged);
        true
    }

    /// Asserts that no worker is active, and that at most a pick unlists the group. A task may have
    /// been taken before the thread that has queued it lists the group.
    fn assert_idle(&self, group: &Group) {
        assert!(!self.serve(&mut TakenTasks::new(), 1));
        assert_eq!((self.groups.ready.num_ready(Priority::Background), self.groups.ready.limits(group.key).2), (0, 0));
    }

    /// Serves groups until `count` tasks have been served by all workers. Sleeps while no group is
    /// ready. If a wake-up is lost, it sleeps for ever.
    fn work(&self, seat: usize, limit: usize, count: usize) -> TakenTasks {
        let mut taken = TakenTasks::new();
        while self.served.load(Ordering::Relaxed) < count {
            if self.serve(&mut taken, limit) {
                continue;
            }
            self.idle.announce(seat, false);
            let work = self.groups.ready.is_ready(Priority::Background);
            if !work && self.served.load(Ordering::Relaxed) < count {
                self.parkers[seat].park(None);
            }
            if self.idle.withdraw(seat, false) == crate::idle::Withdrawn::Searching {
                let _ = self.idle.end_search();
            }
        }
        // The other worker may sleep, and there is nothing left to wake it.
        let _ = self.parkers[1 - seat].unpark();
        taken
    }
}

/// A task is queued × the slice of the tasks before it ends × the worker goes to sleep. With one
/// task before it, the group is unlisted when the slice begins; with two, when it ends.
#[test]
fn group_task_queued_while_its_slice_ends_is_served() {
    for before in [1, 2] {
        model(move || {
            let workers = Workers::new();
            let group = workers.group(usize::MAX);
            let mut all = parcels(before + 1);
            let log = TaskLog::of(&all);
            let last = all.pop().expect("the last one");
            all.into_iter().for_each(|parcel| Arc::clone(&workers).queue_in_group(&group, parcel));
            let worker = start({
                let workers = Arc::clone(&workers);
                move || workers.work(0, 1, before + 1)
            });
            Arc::clone(&workers).queue_in_group(&group, last);
            log.assert_taken_once(worker.join().expect("the worker"));
            assert_eq!(group.queue.len(), 0);
            workers.assert_idle(&group);
        });
    }
}

/// Two workers serve a group with a limit of one × its tasks are queued. The worker that ends a
/// slice serves the rest.
#[test]
fn group_at_its_limit_is_served_by_one_worker_at_a_time() {
    model(|| {
        let workers = Workers::new();
        let group = workers.group(1);
        let mut all = parcels(2);
        let log = TaskLog::of(&all);
        Arc::clone(&workers).queue_in_group(&group, all.pop().expect("one of two"));
        let others: Vec<_> = [0, 1]
            .map(|seat| {
                let workers = Arc::clone(&workers);
                start(move || workers.work(seat, 1, 2))
            })
            .into();
        Arc::clone(&workers).queue_in_group(&group, all.pop().expect("two of two"));
        let mut taken = TakenTasks::new();
        for worker in others {
            taken.merge(worker.join().expect("a worker"));
        }
        log.assert_taken_once(taken);
        workers.assert_idle(&group);
    });
}

/// The weight and the limit change × a slice × a task is queued.
#[test]
fn group_whose_weight_changes_in_a_slice_stays_in_order() {
    model(|| {
        let workers = Workers::new();
        let group = workers.group(1);
        let mut all = parcels(2);
        let log = TaskLog::of(&all);
        Arc::clone(&workers).queue_in_group(&group, all.pop().expect("one of two"));
        let worker = start({
            let workers = Arc::clone(&workers);
            move || workers.work(0, 2, 2)
        });
        let changer = start({
            let (workers, group) = (Arc::clone(&workers), Arc::clone(&group));
            move || {
                workers.groups.ready.set_weight(group.key, 10_000);
                if workers.groups.ready.set_max_workers(group.key, 2).is_some() {
                    workers.notify();
                }
            }
        });
        Arc::clone(&workers).queue_in_group(&group, all.pop().expect("two of two"));
        log.assert_taken_once(worker.join().expect("the worker"));
        changer.join().expect("the changer");
        workers.assert_idle(&group);
        assert_eq!(workers.groups.ready.limits(group.key), (10_000, 2, 0));
    });
}

/// The last handle is dropped × the worker ends the slice of the last task. The name is free
/// afterwards, and no lock is taken twice.
#[test]
fn group_dropped_while_its_last_slice_ends_frees_its_name() {
    model(|| {
        let workers = Workers::new();
        let group = workers.group(1);
        let all = parcels(1);
        let log = TaskLog::of(&all);
        all.into_iter().for_each(|parcel| Arc::clone(&workers).queue_in_group(&group, parcel));
        let worker = start({
            let workers = Arc::clone(&workers);
            move || workers.work(0, 1, 1)
        });
        drop(group);
        log.assert_taken_once(worker.join().expect("the worker"));
        assert_eq!(workers.groups.all().len(), 0);
        drop(workers.group(1));
    });
}

/// A permit is released × the waiter that gets it is dropped. The next waiter has it afterwards.
#[test]
fn permit_of_a_dropped_waiter_goes_to_the_next() {
    model(|| {
        let admission = Arc::new(AdmissionControl::new(1));
        assert_eq!(admission.try_admit(false), Ok(()));
        let bell = Bell::new();
        let mut tickets = [Ticket::default(), Ticket::default()];
        for ticket in &mut tickets {
            assert!(admission.poll_admit(ticket, &bell.waker(), false).is_pending());
        }
        let [mut first, mut second] = tickets;
        let releaser = start({
            let admission = Arc::clone(&admission);
            move || admission.release()
        });
        admission.cancel_wait(&mut first);
        releaser.join().expect("the releaser");
        assert_eq!(admission.poll_admit(&mut second, &bell.waker(), false), Poll::Ready(Ok(())));
        assert_eq!(admission.counts(), (1, 0));
        assert!(bell.rings() >= 1, "the next waiter was not woken");
        admission.release();
        assert_eq!(admission.counts(), (0, 0));
    });
}

/// A spawn that does not wait × a release × a waiter: no more permits than the limit, and the
/// waiter is not overtaken.
#[test]
fn permit_released_beside_a_waiter_is_the_waiters() {
    model(|| {
        let admission = Arc::new(AdmissionControl::new(1));
        assert_eq!(admission.try_admit(false), Ok(()));
        let bell = Bell::new();
        let mut ticket = Ticket::default();
        assert!(admission.poll_admit(&mut ticket, &bell.waker(), false).is_pending());
        let spawner = start({
            let admission = Arc::clone(&admission);
            move || admission.try_admit(false)
        });
        admission.release();
        assert_eq!(spawner.join().expect("the spawner"), Err(Refusal::Full));
        assert_eq!(bell.rings(), 1);
        assert_eq!(admission.poll_admit(&mut ticket, &bell.waker(), false), Poll::Ready(Ok(())));
        assert_eq!(admission.counts(), (1, 0));
    });
}

/// The gate closes × a permit is released: the waiter has a permit or a refusal, and is woken.
#[test]
fn waiter_at_the_close_of_its_group_is_admitted_or_refused() {
    model(|| {
        let admission = Arc::new(AdmissionControl::new(1));
        assert_eq!(admission.try_admit(false), Ok(()));
        let bell = Bell::new();
        let mut ticket = Ticket::default();
        assert!(admission.poll_admit(&mut ticket, &bell.waker(), false).is_pending());
        let releaser = start({
            let admission = Arc::clone(&admission);
            move || admission.release()
        });
        admission.set_gate(GroupGate::Closed);
        releaser.join().expect("the releaser");
        assert_eq!(bell.rings(), 1);
        match admission.poll_admit(&mut ticket, &bell.waker(), false) {
            Poll::Ready(Ok(())) => admission.release(),
            refused => assert_eq!(refused, Poll::Ready(Err(Refusal::Closed))),
        }
        assert_eq!(admission.counts(), (0, 0));
    });
}

/// An abort of all tasks × the first poll of one. The poller repeats the abort if need be.
#[test]
fn task_in_its_first_poll_is_reached_by_an_abort_of_its_group() {
    model(|| {
        let (home, aborts, counts) = (Home::new(), Arc::new(AbortCounts::new()), Counts::new());
        let handle = home.spawn(Counted { counts: Arc::clone(&counts), poll: |_: &Waker| false });
        let poller = start({
            let (home, aborts) = (Arc::clone(&home), Arc::clone(&aborts));
            move || {
                let Some((runnable, ended)) = aborts.take(|| home.next()) else { return };
                if let RunResult::Again(runnable) = runnable.run(&*home) {
                    home.queue_again(runnable);
                }
                if aborts.has_begun(ended) {
                    aborts.count(|| home.abort_tasks());
                }
            }
        });
        aborts.count(|| home.abort_tasks());
        poller.join().expect("the poller");
        home.run_all();
        assert_eq!((counts.futures(), home.is_empty()), (1, true), "the task lives");
        drop(handle);
    });
}

/// The last task ends × the last job ends × a drain that waits: it is ready, or is woken.
#[test]
fn group_drain_waiting_while_the_last_task_ends_is_woken() {
    model(|| {
        let admission = Arc::new(AdmissionControl::new(1));
        assert_eq!((admission.try_admit(false), admission.enter_job(false)), (Ok(()), Ok(())));
        let ends: [fn(&AdmissionControl); 2] = [AdmissionControl::release, AdmissionControl::exit_job];
        let others = ends.map(|end| {
            let admission = Arc::clone(&admission);
            start(move || end(&admission))
        });
        let (bell, mut ticket) = (Bell::new(), Ticket::default());
        let was_empty = admission.poll_empty(&mut ticket, &bell.waker()).is_ready();
        others.into_iter().for_each(|other| other.join().expect("the other thread"));
        assert_eq!(bell.rings(), usize::from(!was_empty), "the drain was not woken");
        assert!(admission.poll_empty(&mut ticket, &bell.waker()).is_ready() && bell.is_alone());
    });
}

/// A group is registered × the runtime closes all groups: it is refused, or is closed.
#[test]
fn group_registered_during_the_close_is_closed_or_refused() {
    model(|| {
        let workers = Workers::new();
        let closer = start({
            let workers = Arc::clone(&workers);
            move || workers.groups.close_all()
        });
        let host: Weak<dyn GroupHost> = Arc::<Workers>::downgrade(&workers);
        let registered = workers.groups.register(settings(1), host);
        closer.join().expect("the closer");
        if let Ok(group) = registered {
            assert!(group.admission.is_closed(), "the group is open");
            let refused = parcels(1).into_iter().map(|runnable| group.queue.push_new(runnable));
            refused.for_each(|refused| TakenTasks::new().take(refused.expect_err("the queue is open")));
        }
    });
}

/// A task is queued that was admitted before × the drain of its group cancels what is queued: the
/// task is not polled.
#[test]
fn task_queued_during_the_close_of_its_group_is_cancelled() {
    model(|| {
        let workers = Workers::new();
        let (group, home, counts) = (workers.group(1), Home::new(), Counts::new());
        let future = Counted { counts: Arc::clone(&counts), poll: |_: &Waker| true };
        let (runnable, handle) = raw_task::spawn::<_, Home>(future, Location::caller().into());
        let drainer = start({
            let group = Arc::clone(&group);
            move || {
                group.admission.set_gate(GroupGate::Closed);
                group.queue.for_each(Header::cancel_queued);
            }
        });
        group.queue.push_new(runnable).expect("the runtime is open");
        // As `spawn_admitted` does.
        if group.admission.is_closed() {
            handle.abort();
        }
        drainer.join().expect("the drainer");
        let queued = group.queue.take(&LaneCursor::new(0), 1).pop().expect("the task is in the queue");
        let _ = queued.run(&*home);
        assert_eq!((counts.polls(), counts.futures()), (0, 1), "the task was polled");
        drop(handle);
    });
}
