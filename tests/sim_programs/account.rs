//! The account of a random program: how its tasks and jobs have ended, and how long a ready task
//! has waited beside an idle worker.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, ThreadId};

use heist::runtime::{Builder, DrainReport};
use heist::task::current_group;
use heist::time::{Duration, Instant};

/// The account, which all tasks of a program share.
#[derive(Clone, Default)]
pub(crate) struct Account(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    ends: Ends,
    /// Jobs that no task has seen end.
    open_jobs: u64,
    idle: IdleTimes,
    /// The limited groups, by their names.
    limited: BTreeMap<String, LimitedGroup>,
    longest_wait: Duration,
    timers: u64,
}

/// How many tasks and jobs were begun, and have ended in which way.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ends {
    pub(crate) begun: u64,
    pub(crate) completed: u64,
    pub(crate) panicked: u64,
    pub(crate) cancelled: u64,
}

impl Ends {
    fn ended(&self) -> u64 {
        self.completed + self.panicked + self.cancelled
    }
}

/// The times at which at least one worker was idle.
#[derive(Default)]
struct IdleTimes {
    idle: HashSet<ThreadId>,
    times: Spans,
}

/// The times at which something held.
#[derive(Default)]
struct Spans {
    since: Option<Instant>,
    past: Vec<(Instant, Instant)>,
}

/// A group whose workers are limited, and the times at which another one might have entered it
/// while a worker was idle.
struct LimitedGroup {
    limit: usize,
    /// The threads that poll its tasks.
    polls: HashSet<ThreadId>,
    times: Spans,
}

/// A task or job that lives. Its drop is its end.
pub(crate) struct Entry {
    account: Account,
    completed: bool,
}

/// What the account says when a drain begins.
pub(crate) struct AtDrain {
    ends: Ends,
    open_jobs: u64,
}

impl Account {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Counts a new task or job. The entry belongs into its future or closure.
    pub(crate) fn begin(&self) -> Entry {
        self.state().ends.begun += 1;
        Entry { account: self.clone(), completed: false }
    }

    pub(crate) fn open_job(&self) {
        self.state().open_jobs += 1;
    }

    pub(crate) fn close_job(&self) {
        self.state().open_jobs -= 1;
    }

    /// Checks that a timer is not early.
    pub(crate) fn timer_fired(&self, due: Instant) {
        let now = Instant::now();
        assert!(now >= due, "a timer has fired {:?} early", due - now);
        self.state().timers += 1;
    }

    /// Makes the runtime report its polls and its idle workers.
    pub(crate) fn observe(&self, builder: &mut Builder) {
        let [parks, unparks, stops, begins, ends] = [(); 5].map(|()| self.clone());
        builder
            .track_task_schedule_latency()
            .on_thread_park(move || parks.state().set_idle(true))
            .on_thread_unpark(move || unparks.state().set_idle(false))
            .on_thread_stop(move || stops.state().set_idle(false))
            .on_after_task_poll(move |_| ends.state().end_poll())
            .on_before_task_poll(move |task| {
                let waited = task.schedule_latency().expect("latencies are tracked");
                begins.state().begin_poll(&group_name(), waited);
            });
    }

    /// Tells that so many workers poll tasks of a group, at most.
    pub(crate) fn limit_group(&self, name: &str, limit: usize) {
        let mut state = self.state();
        state.limited.insert(name.to_owned(), LimitedGroup { limit, polls: HashSet::new(), times: Spans::default() });
        state.update();
    }

    /// Returns the longest time for which a ready task has waited while a worker was idle.
    pub(crate) fn longest_wait(&self) -> Duration {
        self.state().longest_wait
    }

    /// Checks that each task and each job has ended once.
    pub(crate) fn check_ends(&self) {
        let ends = self.state().ends;
        assert_eq!(ends.ended(), ends.begun, "{ends:?}");
    }

    pub(crate) fn at_drain(&self) -> AtDrain {
        let state = self.state();
        AtDrain { ends: state.ends, open_jobs: state.open_jobs }
    }

    /// Checks the report of a drain that has ended now.
    ///
    /// A job may have ended before the drain and be counted afterwards. So its open jobs are the
    /// uncertainty of the account. After the deadline, what is spawned is dropped and not counted.
    pub(crate) fn check_report(&self, before: &AtDrain, deadline: Duration, report: &DrainReport) {
        let after = self.state().ends;
        let counted = report.completed + report.panicked + report.cancelled;
        let alive = before.ends.begun - before.ends.ended();
        let text = format!("{report}\nthe account: {:?}, then {after:?}", before.ends);
        assert_eq!(report.unnamed, 0, "{text}");
        assert!(counted + report.stragglers.len() as u64 >= alive, "tasks are missing: {text}");
        assert!(counted <= after.ended() - before.ends.ended() + before.open_jobs, "tasks are counted twice: {text}");
        assert!(report.panicked <= after.panicked - before.ends.panicked, "{text}");
        if report.elapsed < deadline {
            assert!(report.stragglers.is_empty(), "{text}");
            let completed = after.completed - before.ends.completed;
            assert!((completed..=completed + before.open_jobs).contains(&report.completed), "{text}");
            assert_eq!(report.panicked, after.panicked - before.ends.panicked, "{text}");
            assert_eq!(report.cancelled, after.cancelled - before.ends.cancelled, "{text}");
        }
        let ids: BTreeSet<_> = report.stragglers.iter().map(|straggler| straggler.id).collect();
        assert_eq!(ids.len(), report.stragglers.len(), "a straggler is named twice: {text}");
    }
}

impl Entry {
    /// Ends the task or job as completed.
    pub(crate) fn complete(mut self) {
        self.completed = true;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let ends = &mut self.account.state().ends;
        match (self.completed, thread::panicking()) {
            (true, _) => ends.completed += 1,
            (false, true) => ends.panicked += 1,
            (false, false) => ends.cancelled += 1,
        }
    }
}

/// The name of the group whose task is polled here, or nothing.
fn group_name() -> String {
    current_group().map_or(String::new(), |group| group.name().to_owned())
}

impl State {
    /// Records whether this thread is an idle worker.
    fn set_idle(&mut self, idle: bool) {
        let (workers, here) = (&mut self.idle.idle, thread::current().id());
        let _ = if idle { workers.insert(here) } else { workers.remove(&here) };
        self.update();
    }

    /// Records a poll of a task that has waited so long.
    fn begin_poll(&mut self, group: &str, waited: Duration) {
        let limited = self.limited.get(group);
        let times = limited.map_or(&self.idle.times, |limited| &limited.times);
        self.longest_wait = self.longest_wait.max(times.longest_within(waited));
        self.end_poll();
        if let Some(limited) = self.limited.get_mut(group) {
            limited.polls.insert(thread::current().id());
        }
        self.update();
    }

    fn end_poll(&mut self) {
        let here = thread::current().id();
        self.limited.values_mut().for_each(|limited| _ = limited.polls.remove(&here));
        self.update();
    }

    fn update(&mut self) {
        let is_idle = !self.idle.idle.is_empty();
        self.idle.times.set(is_idle);
        for limited in self.limited.values_mut() {
            limited.times.set(is_idle && limited.polls.len() < limited.limit);
        }
    }
}

impl Spans {
    /// Records whether it holds from now on.
    fn set(&mut self, holds: bool) {
        match self.since {
            None if holds => self.since = Some(Instant::now()),
            Some(since) if !holds => {
                self.since = None;
                self.past.push((since, Instant::now()));
            }
            _ => {}
        }
    }

    /// Returns the longest time within the last `window` for which it held.
    fn longest_within(&self, window: Duration) -> Duration {
        let now = Instant::now();
        let begin = now - window;
        let past = self.past.iter().rev().copied().take_while(|(_, end)| *end > begin);
        let all = self.since.map(|since| (since, now)).into_iter().chain(past);
        all.map(|(since, end)| end.saturating_duration_since(since.max(begin))).max().unwrap_or(Duration::ZERO)
    }
}
