//! The blocking pool: the end of the keep-alive, nested jobs, aborts and shutdown.

use futures::channel::oneshot;
use heist::runtime::Handle;
use heist::sim::{Sim, compute};
use heist::task::spawn_blocking;
use heist::time::{Instant, sleep};

use super::{Longest, Number, SOON, at_most, ends, micros, millis};

/// Returns the simulation with a pool of few threads, which exit after 1 ms without a job.
fn small_pool(sim: Sim, threads: usize) -> Sim {
    sim.workers(2).configure(move |builder| {
        builder.watchdog(false).max_blocking_threads(threads).thread_keep_alive(millis(1));
    })
}

/// tokio#8056: an idle thread of the pool is notified while its keep-alive ends, and the job waits
/// without end. The jobs come about 1 ms after the one before.
#[test]
fn job_submitted_as_the_keep_alive_ends_runs() {
    at_most(SOON, |sim| {
        small_pool(sim, 2).run(async {
            let longest = Longest::default();
            let tasks = [0, 1].map(|k| {
                let longest = longest.clone();
                heist::spawn(async move {
                    for n in 0..20 {
                        sleep(micros(960 + 5 * n + k)).await;
                        let submitted = Instant::now();
                        longest.add(spawn_blocking(move || submitted.elapsed()).await.unwrap());
                    }
                })
            });
            for task in tasks {
                task.await.unwrap();
            }
            longest.get()
        })
    });
}

/// tokio#7910, tokio#7918, tokio#7922: an idle thread is counted twice if its keep-alive ends at a
/// shutdown, which then waits for it.
#[test]
fn shutdown_as_the_keep_alive_ends_does_not_wait() {
    at_most(SOON, |sim| {
        let mut sim = small_pool(sim, 3);
        let seed = sim.seed();
        let lasted = sim.run(async move {
            let begun = Instant::now();
            let jobs = [0, 1, 2].map(|n| spawn_blocking(move || compute(micros(5 * n))));
            for job in jobs {
                job.await.unwrap();
            }
            sleep(micros(900 + seed % 150)).await;
            begun.elapsed()
        });
        sim.elapsed() - lasted
    });
}

/// tokio#1982: a job that submits a job panics.
#[test]
fn job_submitted_by_a_job_runs() {
    at_most(SOON, |sim| {
        small_pool(sim, 2).run(async {
            let begun = Instant::now();
            let job = spawn_blocking(|| {
                let inner = spawn_blocking(|| Handle::current().spawn(async { 7 }));
                Handle::current().block_on(async { inner.await.unwrap().await.unwrap() })
            });
            assert_eq!(job.await.unwrap(), 7);
            begun.elapsed()
        })
    });
}

/// Jobs that fill the pool and wait for queued jobs never end: that is the documented meaning of
/// the limit. The simulation reports it.
#[test]
#[should_panic(expected = "no thread of the simulation can run")]
fn job_that_waits_for_a_job_behind_it_is_reported() {
    small_pool(Sim::new(1), 1).run(async {
        let job = spawn_blocking(|| Handle::current().block_on(spawn_blocking(|| ())).unwrap());
        job.await.unwrap();
    });
}

/// tokio#4316, tokio#8506: the shutdown does not wait for jobs that have begun. What they write is
/// lost. Queued jobs are cancelled.
#[test]
fn jobs_that_have_begun_end_before_the_shutdown() {
    ends(|sim| {
        let (begun, ended) = (Number::default(), Number::default());
        let (begins, end) = (begun.clone(), ended.clone());
        small_pool(sim, 2).run(async move {
            for n in 0..6 {
                let (begins, end) = (begins.clone(), end.clone());
                drop(spawn_blocking(move || {
                    begins.add();
                    compute(millis(2 + n));
                    end.add();
                }));
            }
            sleep(millis(3)).await;
        });
        assert!(begun.get() >= 2, "{} jobs have begun", begun.get());
        assert_eq!(ended.get(), begun.get());
    });
}

/// tokio#7501: an abort of a queued job cancels it, and that of a running one has no effect.
#[test]
fn abort_cancels_queued_jobs_only() {
    at_most(SOON, |sim| {
        small_pool(sim, 1).run(async {
            let ran = Number::default();
            let (first_ran, second_ran, (begins, begun)) = (ran.clone(), ran.clone(), oneshot::channel());
            let first = spawn_blocking(move || {
                begins.send(()).unwrap();
                compute(millis(5));
                first_ran.add()
            });
            begun.await.unwrap();
            let second = spawn_blocking(move || second_ran.add());
            let begun = Instant::now();
            first.abort();
            second.abort();
            assert!(second.await.unwrap_err().is_cancelled());
            first.await.unwrap();
            assert_eq!(ran.get(), 1);
            begun.elapsed()
        })
    });
}
