//! Stalls of all kinds, at random.

use std::thread;
use std::time::Duration;

use heist::task::JoinHandle;
use heist::time::sleep;

use super::kit::{Count, yield_now};
use super::{builder, until};

/// Stalls at random, of lengths between nothing and several ticks, with timers, wakes from all
/// threads, and resizes. Each task ends and each timer fires. In the end there are as many workers
/// as the last resize asked for.
#[test]
fn tasks_with_random_stalls_and_resizes_end() {
    for seed in 1..=3_u64 {
        let runtime = builder(2).max_worker_threads(6).max_spare_workers(4).rng_seed(seed).build().unwrap();
        let ended = Count::new();
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                let ended = ended.clone();
                runtime.spawn(async move {
                    let mut random = Random(seed * 1_000 + n);
                    for _ in 0..25 {
                        random_action(&mut random).await;
                    }
                    ended.add();
                })
            })
            .collect();
        let mut random = Random(seed);
        let mut resizes = 0;
        while !tasks.iter().all(JoinHandle::is_finished) {
            let size = 1 + random.below(6) as usize;
            let resize = runtime.resize(size);
            if random.below(2) == 0 {
                assert_eq!(resize.wait().unwrap().to, size);
            }
            resizes += 1;
        }
        assert!(resizes > 0);
        assert_eq!(ended.get(), 100);
        tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
        runtime.resize(3).wait().unwrap();
        until(|| runtime.metrics().num_spare_workers() == 0);
        until(|| runtime.worker_threads() == 3);
        let dump = runtime.handle().dump();
        assert!(dump.tasks.is_empty(), "{dump}");
    }
}

/// Does one thing at random.
async fn random_action(random: &mut Random) {
    match random.below(6) {
        0 => yield_now().await,
        1 => sleep(Duration::from_micros(random.below(3_000))).await,
        // A stall of up to five ticks.
        2 => thread::sleep(Duration::from_micros(random.below(5_000))),
        3 => {
            let (send, receive) = async_channel::bounded(1);
            heist::spawn(async move { send.send(1).await.unwrap() });
            if random.below(4) == 0 {
                // The child is in the LIFO slot of this worker.
                thread::sleep(Duration::from_millis(3));
            }
            assert_eq!(receive.recv().await, Ok(1));
        }
        4 => {
            // The timer is armed on this worker, which then stalls.
            let due = heist::spawn(sleep(Duration::from_micros(500)));
            yield_now().await;
            thread::sleep(Duration::from_millis(random.below(4)));
            due.await.unwrap();
        }
        _ => {
            let late = heist::time::timeout(Duration::from_micros(random.below(2_000)), std::future::pending::<()>());
            assert!(late.await.is_err());
        }
    }
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
