use std::time::Duration;

use super::ConsolidationPolicy;
use crate::watchdog::processor_use::{WINDOW, Window};

/// A machine, the threads of other programs on it, and a server whose workers poll tasks.
///
/// Each worker that works wants a processor, as does each neighbour, and the kernel shares the
/// processors among them. Each worker beyond the processors that the workers get costs a part of
/// what they do: they preempt each other.
struct Machine {
    processors: f64,
    neighbours: f64,
    /// The processors that the work of the server takes, if it is not saturated.
    load: f64,
    /// The share that is lost per worker that is too many.
    loss: f64,
    /// Each rate is wrong by up to this share, by turns.
    noise: f64,
    windows: u32,
}

impl Machine {
    fn new(processors: f64) -> Machine {
        Machine { processors, neighbours: 0.0, load: f64::MAX, loss: 0.5, noise: 0.03, windows: 0 }
    }

    /// Returns the time at the end of the last window.
    fn now(&self) -> Duration {
        WINDOW * self.windows
    }

    /// Returns the window in which so many workers work.
    fn window(&mut self, workers: usize) -> Window {
        self.windows += 1;
        let wanted = self.load.min(workers as f64);
        let share = (self.processors / (wanted + self.neighbours)).min(1.0);
        let run = wanted * share;
        let surplus = if wanted < workers as f64 { 0.0 } else { (workers as f64 - run).max(0.0) };
        let phase = f64::from(self.windows * 7919 % 100) / 50.0 - 1.0;
        let rate = 200_000.0 * run * (1.0 - self.loss * surplus).max(0.1) * (1.0 + self.noise * phase);
        let idle = (self.processors - run - self.neighbours * share).max(0.0);
        Window {
            length: WINDOW,
            polls: (rate * WINDOW.as_secs_f64()) as u64,
            parks: if wanted < workers as f64 { 50 } else { 0 },
            run: WINDOW.mul_f64(run),
            delay: WINDOW.mul_f64(wanted - run),
            idle: Some(WINDOW.mul_f64(idle)),
        }
    }
}

/// Runs the policy for some time. Returns how often the number of effective workers has changed.
fn run(policy: &mut ConsolidationPolicy, machine: &mut Machine, workers: usize, time: Duration) -> u32 {
    let mut changes = 0;
    for _ in 0..time.as_millis() / WINDOW.as_millis() {
        let before = policy.effective();
        let window = machine.window(before);
        let after = policy.observe(&window, machine.now());
        assert!((1..=workers).contains(&after));
        changes += u32::from(after != before);
    }
    changes
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn policy_with_free_processors_changes_nothing() {
    let (mut policy, mut machine) = (ConsolidationPolicy::new(4), Machine::new(8.0));
    assert_eq!(run(&mut policy, &mut machine, 4, 60 * SECOND), 0);
    assert_eq!(policy.effective(), 4);
}

#[test]
fn policy_with_light_load_changes_nothing() {
    let (mut policy, mut machine) = (ConsolidationPolicy::new(4), Machine::new(4.0));
    machine.load = 0.3;
    assert_eq!(run(&mut policy, &mut machine, 4, 60 * SECOND), 0);
}

#[test]
fn policy_with_shortage_keeps_the_workers_that_get_processors() {
    let (mut policy, mut machine) = (ConsolidationPolicy::new(2), Machine::new(2.0));
    machine.neighbours = 1.0;
    let changes = run(&mut policy, &mut machine, 2, SECOND / 2);
    assert_eq!((changes, policy.effective()), (1, 1));
}

#[test]
fn policy_whose_trial_loses_polls_takes_it_back_and_waits_longer_each_time() {
    let (mut policy, mut machine) = (ConsolidationPolicy::new(2), Machine::new(2.0));
    // Two workers get more than one, and lose nothing by it.
    (machine.neighbours, machine.loss) = (2.0, 0.0);
    let first_minute = run(&mut policy, &mut machine, 2, 60 * SECOND);
    let second_minute = run(&mut policy, &mut machine, 2, 60 * SECOND);
    assert!((6..=14).contains(&first_minute), "{first_minute}");
    assert!(second_minute <= 4, "{second_minute}");
}

#[test]
fn policy_with_processors_coming_free_lets_workers_work_within_100_ms() {
    let (mut policy, mut machine) = (ConsolidationPolicy::new(2), Machine::new(2.0));
    machine.neighbours = 1.0;
    run(&mut policy, &mut machine, 2, 3 * SECOND);
    assert_eq!(policy.effective(), 1);
    machine.neighbours = 0.0;
    run(&mut policy, &mut machine, 2, SECOND / 10);
    assert_eq!(policy.effective(), 2);
}

#[test]
fn policy_of_many_workers_tries_as_many_as_get_processors() {
    let (mut policy, mut machine) = (ConsolidationPolicy::new(16), Machine::new(16.0));
    (machine.neighbours, machine.loss) = (8.0, 0.05);
    run(&mut policy, &mut machine, 16, SECOND / 2);
    // Sixteen get 16 × 16 / 24 processors, and ten of them less than ten.
    assert!((7..=10).contains(&policy.effective()), "{}", policy.effective());
}

/// Two workers poll a little more than one, but only because they take processor time from a
/// neighbour.
#[test]
fn policy_does_not_leave_processors_to_neighbours_for_fewer_polls() {
    let (mut policy, mut machine) = (ConsolidationPolicy::new(2), Machine::new(2.0));
    // 1.33 processors with a loss of a fifth, or one.
    (machine.neighbours, machine.loss, machine.noise) = (1.0, 0.34, 0.0);
    run(&mut policy, &mut machine, 2, SECOND / 2);
    assert_eq!(policy.effective(), 2);
}

#[test]
fn policy_with_long_polls_changes_nothing() {
    let (mut policy, mut machine) = (ConsolidationPolicy::new(2), Machine::new(2.0));
    machine.neighbours = 2.0;
    for _ in 0..500 {
        let mut window = machine.window(policy.effective());
        // A poll takes 100 µs.
        window.polls = window.run.as_micros() as u64 / 100;
        assert_eq!(policy.observe(&window, machine.now()), 2);
    }
}

#[test]
fn policy_with_stalled_worker_lets_all_work_at_once() {
    let (mut policy, mut machine) = (ConsolidationPolicy::new(2), Machine::new(2.0));
    machine.neighbours = 1.0;
    run(&mut policy, &mut machine, 2, SECOND);
    assert_eq!(policy.effective(), 1);
    policy.reset(2, machine.now());
    assert_eq!(policy.effective(), 2);
}

#[test]
fn policy_after_resize_lets_all_new_workers_work() {
    let (mut policy, mut machine) = (ConsolidationPolicy::new(2), Machine::new(2.0));
    machine.neighbours = 1.0;
    run(&mut policy, &mut machine, 2, SECOND);
    policy.reset(4, machine.now());
    assert_eq!((policy.workers(), policy.effective()), (4, 4));
    policy.reset(1, machine.now());
    assert_eq!((policy.workers(), policy.effective()), (1, 1));
}

/// A thread that wakes up on an idle processor has a run delay, too.
#[test]
fn policy_with_run_delay_on_idle_processors_changes_nothing() {
    let (mut policy, mut machine) = (ConsolidationPolicy::new(2), Machine::new(2.0));
    machine.load = 0.9;
    for _ in 0..500 {
        let mut window = machine.window(2);
        window.delay = WINDOW.mul_f64(0.4);
        assert_eq!(policy.observe(&window, machine.now()), 2);
    }
}

#[test]
fn policy_with_free_processors_and_load_for_one_worker_lets_all_work_after_a_second() {
    let (mut policy, mut machine) = (ConsolidationPolicy::new(2), Machine::new(2.0));
    machine.neighbours = 1.0;
    run(&mut policy, &mut machine, 2, 3 * SECOND);
    assert_eq!(policy.effective(), 1);
    (machine.load, machine.neighbours) = (0.8, 0.0);
    run(&mut policy, &mut machine, 2, SECOND);
    assert_eq!(policy.effective(), 2);
}

/// The machine has idle processors, but a quota keeps the workers from them.
#[test]
fn policy_with_quota_does_not_take_idle_processors_for_free() {
    let (mut policy, mut machine) = (ConsolidationPolicy::new(2), Machine::new(2.0));
    machine.neighbours = 1.0;
    let mut changes = 0;
    for _ in 0..500 {
        let before = policy.effective();
        let mut window = machine.window(before);
        window.idle = Some(WINDOW.mul_f64(0.4));
        changes += u32::from(policy.observe(&window, machine.now()) != before);
    }
    assert!(policy.effective() == 1 && changes <= 7, "{changes}");
}

/// The load goes from nothing to saturation and back within ten seconds, and neighbours come and go
/// every 700 ms. However unlucky the moments are, the number changes at most twelve times.
#[test]
fn policy_in_ramp_with_neighbours_coming_and_going_changes_at_most_twelve_times() {
    for (noise, loss, period) in (0..200).map(|n| (f64::from(n % 8) * 0.04, f64::from(n % 5) * 0.1, 100 + 37 * n)) {
        let workers = 2 + n_workers(period);
        let (mut policy, mut machine) = (ConsolidationPolicy::new(workers), Machine::new(workers as f64));
        (machine.noise, machine.loss) = (noise, loss);
        let mut changes = 0;
        for step in 0..500_u32 {
            let half = f64::from(step.min(500 - step)) / 250.0;
            machine.load = 1.3 * half * workers as f64;
            machine.neighbours = if step * 20 / period % 2 == 0 { 0.0 } else { workers as f64 };
            changes += run(&mut policy, &mut machine, workers, WINDOW);
        }
        assert!(changes <= 12, "{changes} changes with noise {noise}, loss {loss}, period {period} ms");
        // With the processors free, no worker is lost.
        (machine.load, machine.neighbours, machine.noise) = (f64::MAX, 0.0, 0.0);
        run(&mut policy, &mut machine, workers, 40 * SECOND);
        assert_eq!(policy.effective(), workers);
    }
}

fn n_workers(period: u32) -> usize {
    period as usize % 7
}
