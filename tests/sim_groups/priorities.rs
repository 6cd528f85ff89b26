//! Which priority goes first, and what the lower ones get all the same.

use std::sync::Arc;

use futures::StreamExt;
use futures::channel::mpsc;
use futures::lock::Mutex;
use heist::runtime::{Handle, Priority, TaskGroup};
use heist::sim::{Schedule, Sim, compute, for_each_seed};
use heist::task::yield_now;
use heist::time::{Duration, Instant, sleep};

use super::seeds::seeds;
use super::{Busy, LIMIT, Number, SCHEDULES, group_of, micros, millis};

/// The longest time between two steps of a task of low priority while higher ones have all workers.
const LONGEST_GAP: Duration = Duration::from_millis(100);

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap()
}

/// Spawns twice as many endless tasks as there are workers.
fn saturate(group: &TaskGroup, poll: Duration) -> Busy {
    let busy = Busy::default();
    for _ in 0..2 * Handle::current().worker_threads() {
        drop(group.spawn(busy.clone().poll_for_ever(poll)));
    }
    busy
}

/// Polls that are longer with many workers, so that a run takes as many turns.
fn poll_for(workers: usize) -> Duration {
    micros(100 + 20 * workers as u64)
}

/// Takes the lock again and again, and holds it while others run. Raises the longest time of a
/// round.
async fn hold_again_and_again(lock: Arc<Mutex<()>>, rounds: Number, longest: Number) {
    loop {
        let begun = Instant::now();
        let held = lock.lock().await;
        compute(micros(10));
        yield_now().await;
        drop(held);
        rounds.add(1);
        longest.raise(nanos(begun.elapsed()));
        sleep(micros(500)).await;
    }
}

/// In real time, a thread that is preempted in a poll of high priority owes a share to the others.
#[test]
fn joiner_of_higher_priority_lifts_the_group_until_it_has_the_output() {
    for_each_seed(seeds(20), |sim| {
        sim.workers(1).time_limit(LIMIT).run(async {
            let [batch, urgent] = [("batch", Priority::Background), ("urgent", Priority::Latency)]
                .map(|(name, priority)| group_of(name, priority));
            let order = Arc::new(std::sync::Mutex::new(Vec::new()));
            let note = |name: &'static str| {
                let order = Arc::clone(&order);
                async move { order.lock().unwrap().push(name) }
            };
            let (joiner_ends, other_ends) = (note("joiner"), note("normal"));
            let awaited = batch.spawn(note("awaited"));
            let joiner = urgent.spawn(async move {
                awaited.inherit_priority().await.unwrap();
                joiner_ends.await;
            });
            let other = heist::spawn(async {
                yield_now().await;
                other_ends.await;
            });
            joiner.await.unwrap();
            other.await.unwrap();
            assert_eq!(*order.lock().unwrap(), ["awaited", "joiner", "normal"]);
        });
    });
}

#[test]
fn lower_priorities_make_progress_while_latency_has_all_workers() {
    for workers in [2, 8, 64] {
        for_each_seed(seeds(2), |sim| {
            sim.workers(workers).time_limit(LIMIT).run(async move {
                saturate(&group_of("urgent", Priority::Latency), poll_for(workers));
                let batch = group_of("batch", Priority::Background);
                let [plain, low] = [(); 2].map(|()| (Number::default(), Number::default()));
                // Each has a lock of its own: a shared one would add up the waits.
                let holds = |of: &(Number, Number)| hold_again_and_again(Arc::default(), of.0.clone(), of.1.clone());
                drop(heist::spawn(holds(&plain)));
                drop(batch.spawn(holds(&low)));
                sleep(millis(500)).await;
                for (name, (rounds, longest)) in [("normal", plain), ("background", low)] {
                    let longest = Duration::from_nanos(longest.get());
                    println!("{workers} workers, {name}: {} rounds, the longest of {longest:?}", rounds.get());
                    assert!(rounds.get() >= 5 && longest <= LONGEST_GAP, "{name}: {}, {longest:?}", rounds.get());
                }
            });
        });
    }
}

/// A latency task waits for a lock that a background task holds over an `await`.
#[test]
fn latency_task_gets_the_lock_of_a_background_task_in_bounded_time() {
    for workers in [2, 8, 64] {
        for_each_seed(seeds(2), |sim| {
            let longest = sim.workers(workers).time_limit(LIMIT).run(async move {
                let (urgent, batch) = (group_of("urgent", Priority::Latency), group_of("batch", Priority::Background));
                saturate(&urgent, poll_for(workers));
                let (lock, rounds, longest) = (Arc::<Mutex<()>>::default(), Number::default(), Number::default());
                for group in [&urgent, &batch] {
                    drop(group.spawn(hold_again_and_again(lock.clone(), rounds.clone(), longest.clone())));
                }
                sleep(millis(300)).await;
                assert!(rounds.get() >= 10, "{} rounds", rounds.get());
                Duration::from_nanos(longest.get())
            });
            assert!(longest <= LONGEST_GAP, "{workers} workers: {longest:?}");
        });
    }
}

#[test]
fn background_gets_its_minimum_share_while_latency_has_all_workers() {
    for workers in [2, 8, 64] {
        for_each_seed(seeds(1), |sim| {
            // A share on 64 workers needs less time for the same precision.
            let lasts = millis(if workers < 64 { 1_000 } else { 400 });
            let share = sim.workers(workers).time_limit(LIMIT).run(async move {
                let urgent = saturate(&group_of("urgent", Priority::Latency), poll_for(workers));
                let batch = saturate(&group_of("batch", Priority::Background), poll_for(workers));
                sleep(lasts).await;
                100.0 * batch.nanos() as f64 / (batch.nanos() + urgent.nanos()) as f64
            });
            println!("{workers} workers: {share:.2} % for the lower priority");
            assert!((4.0..=10.0).contains(&share), "{workers} workers: {share:.2} %");
        });
    }
}

/// A priority that has had all workers for itself owes that time for a second at most.
#[test]
fn background_that_has_run_alone_runs_again_within_a_second() {
    for_each_seed(seeds(2), |sim| {
        let waited = sim.workers(2).time_limit(LIMIT).run(async {
            let batch = saturate(&group_of("batch", Priority::Background), micros(100));
            sleep(millis(200)).await;
            saturate(&group_of("urgent", Priority::Latency), micros(100));
            sleep(millis(10)).await;
            let (begun, before) = (Instant::now(), batch.nanos());
            while batch.nanos() == before {
                sleep(millis(1)).await;
            }
            begun.elapsed()
        });
        println!("the background waited for {waited:?}");
        assert!(waited <= millis(1_000), "{waited:?}");
    });
}

/// The delays of wake-ups of a latency task while background polls have all workers: the median,
/// and the longest.
fn delays_of_latency(sim: Sim, workers: usize, schedule: Schedule) -> (Duration, Duration) {
    let sim = sim.workers(workers).schedule(schedule).time_limit(LIMIT);
    let mut delays = { sim }.run(async {
        saturate(&group_of("batch", Priority::Background), micros(50));
        let urgent = group_of("urgent", Priority::Latency);
        let (wake, mut woken) = mpsc::unbounded::<Instant>();
        let task = urgent.spawn(async move {
            let mut delays = Vec::new();
            while let Some(sent) = woken.next().await {
                delays.push(sent.elapsed());
            }
            delays
        });
        for _ in 0..30 {
            sleep(micros(300)).await;
            wake.unbounded_send(Instant::now()).unwrap();
        }
        drop(wake);
        task.await.unwrap()
    });
    delays.sort();
    (delays[delays.len() / 2], delays[delays.len() - 1])
}

#[test]
fn latency_task_woken_from_outside_runs_within_a_background_poll() {
    for schedule in SCHEDULES {
        for workers in [2, 8, 64] {
            let most = Number::default();
            for_each_seed(seeds(2), |sim| {
                let (median, longest) = delays_of_latency(sim, workers, schedule);
                // With one clock for all, each worker's steps take time from the others.
                let steps = micros(5 * workers as u64);
                assert!(median <= micros(60) + steps, "{schedule:?}, {workers} workers: {median:?}");
                // Once in a while all workers lose their processors.
                assert!(longest <= millis(7), "{schedule:?}, {workers} workers: {longest:?}");
                most.raise(nanos(longest));
            });
            println!("{schedule:?}, {workers} workers: at most {:?}", Duration::from_nanos(most.get()));
        }
    }
}
