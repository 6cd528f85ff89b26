//! Task groups against counts of their places, with resizes, in a simulation.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use arbitrary::Arbitrary;
use futures::channel::oneshot;
use heist::runtime::{Admission, Admit, Handle, Priority, Refusal, TaskGroup};
use heist::sim::{Sim, compute};
use heist::task::coop::unconstrained;
use heist::task::{JoinHandle, yield_now};
use heist::time::{Duration, sleep, timeout};

/// The number of groups.
const GROUPS: usize = 2;

/// The virtual time within which what has to happen happens.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a task does before it waits, and then until its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) enum Work {
    Return,
    Panic,
    Yield {
        times: u8,
    },
    Compute {
        micros: u8,
    },
    /// Waits until it is released.
    Wait,
    WaitAndPanic,
}

/// One call. A group, task, place or waiter that does not exist is one modulo their number.
#[derive(Debug, Clone, Copy, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) enum Call {
    Spawn {
        group: u8,
        work: Work,
    },
    /// Takes a place.
    TryAdmit {
        group: u8,
    },
    /// Waits for a place.
    Admit {
        group: u8,
    },
    /// Spawns in the place that is held the longest.
    UsePlace {
        group: u8,
        work: Work,
    },
    DropPlace {
        group: u8,
    },
    DropWaiter {
        group: u8,
        waiter: u8,
    },
    Release {
        task: u8,
    },
    Abort {
        task: u8,
    },
    AbortAll {
        group: u8,
    },
    SetWeight {
        group: u8,
        weight: u16,
    },
    SetMaxTasks {
        group: u8,
        tasks: u8,
    },
    SetMaxWorkers {
        group: u8,
        workers: u8,
    },
    /// Drains a group, in one case of 16: it accepts no tasks from then on.
    Drain {
        group: u8,
        millis: u8,
    },
    Resize {
        workers: u8,
    },
    /// Lets a little time pass, in which the tasks may end or not.
    Pause {
        micros: u8,
    },
    /// Waits for all that has to happen, and checks the figures.
    Settle,
}

/// The settings of a group.
#[derive(Debug, Clone, Copy, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) struct Settings {
    priority: u8,
    weight: u16,
    /// None if it is a multiple of four.
    max_tasks: u8,
    max_workers: Option<u8>,
}

/// A simulation, and a sequence of calls in it.
#[derive(Debug, Clone, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) struct Case {
    seed: u16,
    workers: u8,
    groups: [Settings; GROUPS],
    calls: Vec<Call>,
}

/// Counts its wake-ups.
#[derive(Default)]
struct WakeCount(AtomicUsize);

impl Wake for WakeCount {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Task {
    group: usize,
    work: Work,
    handle: Option<JoinHandle<()>>,
    gate: Option<oneshot::Sender<()>>,
    is_aborted: bool,
}

impl Task {
    fn must_end(&self) -> bool {
        self.is_aborted || self.gate.is_none()
    }
}

/// How many tasks have ended, by their ends.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Ends {
    completed: u64,
    panicked: u64,
    cancelled: u64,
}

/// A group, and what its figures should be.
struct Group {
    group: TaskGroup,
    limit: usize,
    places: VecDeque<Admission>,
    /// The spawns that wait, in order, with a count of the wake-ups of each.
    waiters: VecDeque<(Pin<Box<Admit>>, Arc<WakeCount>)>,
    spawned: u64,
    ends: Ends,
    refused: u64,
    is_closed: bool,
}

impl Group {
    fn build(index: usize, settings: Settings) -> Group {
        let priority = [Priority::Background, Priority::Normal, Priority::Latency][usize::from(settings.priority % 3)];
        let mut builder = Handle::current().group(&format!("group {index}")).priority(priority);
        builder = builder.weight(1 + u32::from(settings.weight) % 10_000);
        let mut limit = usize::MAX;
        if settings.max_tasks % 4 > 0 {
            limit = usize::from(settings.max_tasks % 4);
            builder = builder.max_tasks(limit);
        }
        if let Some(workers) = settings.max_workers {
            builder = builder.max_workers(1 + usize::from(workers % 4));
        }
        Group {
            group: builder.build().expect("the settings are valid"),
            limit,
            places: VecDeque::new(),
            waiters: VecDeque::new(),
            spawned: 0,
            ends: Ends::default(),
            refused: 0,
            is_closed: false,
        }
    }
}

async fn work_on(work: Work, released: oneshot::Receiver<()>) {
    match work {
        Work::Return => {}
        Work::Panic => std::panic::resume_unwind(Box::new("a planned panic")),
        Work::Yield { times } => {
            for _ in 0..times % 8 {
                yield_now().await;
            }
        }
        Work::Compute { micros } => compute(Duration::from_micros(u64::from(micros))),
        Work::Wait | Work::WaitAndPanic => {
            let _ = released.await;
            if work == Work::WaitAndPanic {
                std::panic::resume_unwind(Box::new("a planned panic"));
            }
        }
    }
}

struct Program {
    groups: Vec<Group>,
    tasks: Vec<Task>,
}

impl Program {
    /// Returns how many tasks of a group live, now that every task that has to end has ended.
    fn live(&self, group: usize) -> usize {
        self.tasks.iter().filter(|task| task.group == group && task.handle.is_some()).count()
            + self.groups[group].places.len()
    }

    /// Adds a task, which `spawn` spawns. Without a result, it is refused.
    fn add(&mut self, group: usize, work: Work, spawn: impl FnOnce(oneshot::Receiver<()>) -> Option<JoinHandle<()>>) {
        let (gate, released) = oneshot::channel();
        let Some(handle) = spawn(released) else {
            self.groups[group].refused += 1;
            return;
        };
        let waits = matches!(work, Work::Wait | Work::WaitAndPanic);
        self.groups[group].spawned += 1;
        let (gate, handle) = (waits.then_some(gate), Some(handle));
        self.tasks.push(Task { group, work, handle, gate, is_aborted: false });
    }

    /// Waits for the end of a task, and checks it.
    async fn end(&mut self, index: usize) {
        let task = &mut self.tasks[index];
        let Some(handle) = task.handle.take() else { return };
        let joined =
            timeout(PATIENCE, handle).await.unwrap_or_else(|_| panic!("a task has not ended: {:?}", task.work));
        let panics = matches!(task.work, Work::Panic | Work::WaitAndPanic);
        let ends = &mut self.groups[task.group].ends;
        match joined {
            Ok(()) => {
                assert!(!panics && task.gate.is_none(), "{:?} has completed", task.work);
                ends.completed += 1;
            }
            Err(error) if error.is_panic() => {
                assert!(panics && task.gate.is_none(), "{:?} has panicked: {error}", task.work);
                ends.panicked += 1;
            }
            Err(error) => {
                assert!(error.is_cancelled() && task.is_aborted, "{:?}: {error}", task.work);
                ends.cancelled += 1;
            }
        }
    }

    /// Waits for every task that has to end, and for the places of the waiters. Checks the figures.
    async fn settle_all(&mut self) {
        for index in 0..self.tasks.len() {
            if self.tasks[index].must_end() {
                self.end(index).await;
            }
        }
        for index in 0..self.groups.len() {
            self.check(index).await;
        }
    }

    async fn check(&mut self, index: usize) {
        let live = self.live(index);
        let Group { group, limit, places, waiters, spawned, ends, refused, .. } = &mut self.groups[index];
        let room = limit.saturating_sub(live).min(waiters.len());
        let expected = (live + room, waiters.len() - room, *spawned, *ends, *refused);
        let figures = || {
            let metrics = group.metrics();
            let ends = Ends { completed: metrics.completed, panicked: metrics.panicked, cancelled: metrics.cancelled };
            (metrics.live_tasks, metrics.waiting_spawns, metrics.spawned, ends, metrics.refused)
        };
        // A handle may resolve a little earlier than the place is free.
        for _ in 0..100 {
            if figures() == expected {
                break;
            }
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(figures(), expected, "live, waiting, spawned, ended and refused in group {index}");
        // The first waiters have a place each, and have been woken.
        for (mut admit, wakes) in waiters.drain(..room) {
            assert_eq!(wakes.0.load(Ordering::SeqCst), 1, "wake-ups of a waiter that has a place");
            let polled = admit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Ok(admission)) = polled else { panic!("a waiter was not admitted in its turn") };
            places.push_back(admission);
        }
        let woken = waiters.iter().find(|(_, wakes)| wakes.0.load(Ordering::SeqCst) > 0);
        assert!(woken.is_none(), "a waiter was woken without a place");
    }

    /// Checks whether the group admits another task now.
    fn expect_admission(&self, index: usize) -> Option<Refusal> {
        let group = &self.groups[index];
        if group.is_closed {
            return Some(Refusal::Closed);
        }
        (self.live(index) >= group.limit || !group.waiters.is_empty()).then_some(Refusal::Full)
    }

    async fn admit(&mut self, index: usize) {
        let expected = self.expect_admission(index);
        let group = &mut self.groups[index];
        let (mut admit, wakes) = (Box::pin(group.group.admit()), Arc::<WakeCount>::default());
        let waker = Waker::from(Arc::clone(&wakes));
        match (admit.as_mut().poll(&mut Context::from_waker(&waker)), expected) {
            (Poll::Ready(Ok(admission)), None) => group.places.push_back(admission),
            (Poll::Ready(Err(Refusal::Closed)), Some(Refusal::Closed)) => group.refused += 1,
            (Poll::Pending, Some(Refusal::Full)) => group.waiters.push_back((admit, wakes)),
            (polled, expected) => panic!("a wait for a place gave {polled:?}, and not {expected:?}"),
        }
    }

    async fn drain(&mut self, index: usize, deadline: Duration) {
        self.settle_all().await;
        self.groups[index].places.clear();
        let group = self.groups[index].group.clone();
        self.abort_all(index);
        timeout(PATIENCE, group.drain(deadline)).await.expect("a drain ends at its deadline");
        let group = &mut self.groups[index];
        group.is_closed = true;
        for (mut admit, _) in group.waiters.drain(..) {
            let polled = admit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            // It may have got the place of another task before.
            group.refused += u64::from(matches!(polled, Poll::Ready(Err(_))));
            assert!(polled.is_ready(), "a drained group lets a spawn wait");
        }
        self.settle_all().await;
        assert_eq!(self.live(index), 0);
    }

    /// Notes that the tasks of a group are aborted.
    fn abort_all(&mut self, group: usize) {
        self.tasks.iter_mut().filter(|task| task.group == group).for_each(|task| task.is_aborted = true);
    }

    async fn make_call(&mut self, call: Call) {
        let index = |group: u8| usize::from(group) % GROUPS;
        let count = self.tasks.len().max(1);
        match call {
            Call::Spawn { group, work } => {
                self.settle_all().await;
                let index = index(group);
                let expected = self.expect_admission(index);
                let group = self.groups[index].group.clone();
                self.add(index, work, |released| match (group.try_spawn(work_on(work, released)), expected) {
                    (Ok(handle), None) => Some(handle),
                    (Err(error), Some(refusal)) if error.refusal() == refusal => None,
                    (result, expected) => panic!("a spawn gave {:?}, and not {expected:?}", result.map(drop)),
                });
            }
            Call::TryAdmit { group } => {
                self.settle_all().await;
                let (index, expected) = (index(group), self.expect_admission(index(group)));
                match (self.groups[index].group.try_admit(), expected) {
                    (Ok(admission), None) => self.groups[index].places.push_back(admission),
                    (Err(found), Some(refusal)) if found == refusal => self.groups[index].refused += 1,
                    (result, expected) => panic!("a place gave {result:?}, and not {expected:?}"),
                }
            }
            Call::Admit { group } => {
                self.settle_all().await;
                self.admit(index(group)).await;
            }
            Call::UsePlace { group, work } => {
                if let Some(admission) = self.groups[index(group)].places.pop_front() {
                    self.add(index(group), work, |released| admission.try_spawn(work_on(work, released)).ok());
                }
            }
            Call::DropPlace { group } => drop(self.groups[index(group)].places.pop_front()),
            Call::DropWaiter { group, waiter } => {
                let waiters = &mut self.groups[index(group)].waiters;
                if !waiters.is_empty() {
                    waiters.remove(usize::from(waiter) % waiters.len());
                }
            }
            Call::Release { task } => {
                if let Some(gate) = self.tasks.get_mut(usize::from(task) % count).and_then(|task| task.gate.take()) {
                    let _ = gate.send(());
                }
            }
            Call::Abort { task } => {
                if let Some(task) = self.tasks.get_mut(usize::from(task) % count) {
                    task.handle.iter().for_each(JoinHandle::abort);
                    task.is_aborted = true;
                }
            }
            Call::AbortAll { group } => {
                self.groups[index(group)].group.abort_all();
                self.abort_all(index(group));
            }
            Call::SetWeight { group, weight } => {
                let done = self.groups[index(group)].group.set_weight(u32::from(weight));
                assert_eq!(done.is_ok(), (1..=10_000).contains(&weight), "{weight}");
            }
            Call::SetMaxTasks { group, tasks } => {
                self.settle_all().await;
                let (group, tasks) = (&mut self.groups[index(group)], usize::from(tasks % 8));
                let done = group.group.set_max_tasks(tasks);
                assert_eq!(done.is_ok(), tasks > 0);
                if tasks > 0 {
                    group.limit = tasks;
                }
                self.settle_all().await;
            }
            Call::SetMaxWorkers { group, workers } => {
                let done = self.groups[index(group)].group.set_max_workers(usize::from(workers % 5));
                assert_eq!(done.is_ok(), workers % 5 > 0);
            }
            Call::Drain { millis, .. } if millis >= 16 => {}
            Call::Drain { group, millis } => {
                self.drain(index(group), Duration::from_millis(u64::from(millis % 8))).await;
            }
            Call::Resize { workers } => {
                let workers = 1 + usize::from(workers % 4);
                timeout(PATIENCE, Handle::current().resize(workers)).await.expect("a resize ends").expect("a resize");
                assert_eq!(Handle::current().worker_threads(), workers);
            }
            Call::Pause { micros } => sleep(Duration::from_micros(u64::from(micros))).await,
            Call::Settle => self.settle_all().await,
        }
    }
}

/// Makes the calls in a simulation, and compares the figures with the model.
pub(crate) fn run(case: &Case) {
    let case = case.clone();
    let workers = 1 + usize::from(case.workers % 4);
    let mut sim = Sim::new(u64::from(case.seed)).workers(workers).time_limit(Duration::from_secs(600));
    sim.run(unconstrained(async move {
        let groups = case.groups.iter().enumerate().map(|(index, settings)| Group::build(index, *settings)).collect();
        let mut program = Program { groups, tasks: Vec::new() };
        for call in &case.calls {
            program.make_call(*call).await;
        }
        program.settle_all().await;
        for group in 0..GROUPS {
            program.groups[group].group.abort_all();
            program.abort_all(group);
            (program.groups[group].places, program.groups[group].waiters) = Default::default();
        }
        program.settle_all().await;
    }));
}
