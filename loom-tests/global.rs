//! The global queue: pushes, batches and the close. See `docs/queues.md`.

use super::support::{Haul, Ledger, parcels, start};
use crate::queue::{Chain, GlobalQueue};
use crate::sync::{Arc, model};

fn take(queue: &GlobalQueue, count: usize, haul: &mut Haul) {
    let mut chain = queue.take(count);
    haul.extend(std::iter::from_fn(|| chain.pop()));
}

/// push_new × close: what is not refused is there when the closer clears up.
#[test]
fn a_new_task_is_queued_before_the_close_or_refused() {
    model(|| {
        let all = parcels(2);
        let ledger = Ledger::of(&all);
        let queue = Arc::new(GlobalQueue::new());
        let spawners: Vec<_> = all
            .into_iter()
            .map(|parcel| {
                let queue = Arc::clone(&queue);
                start(move || queue.push_new(parcel).err())
            })
            .collect();
        let mut haul = Haul::new();
        queue.close();
        take(&queue, usize::MAX, &mut haul);
        for spawner in spawners {
            haul.extend(spawner.join().expect("a spawner"));
        }
        assert_eq!(queue.len(), 0, "a task was queued behind the closer's back");
        ledger.balances(haul);
    });
}

/// take × take × push of one, push of a chain.
#[test]
fn a_batch_and_a_push_lose_nothing_and_double_nothing() {
    model(|| {
        let mut all = parcels(4);
        let ledger = Ledger::of(&all);
        let queue = Arc::new(GlobalQueue::new());
        queue.push_woken(all.pop().expect("one of four"));
        let takers = [1, 2].map(|count| {
            let queue = Arc::clone(&queue);
            start(move || {
                let mut haul = Haul::new();
                take(&queue, count, &mut haul);
                haul
            })
        });
        queue.push_woken(all.pop().expect("two of four"));
        let mut chain = Chain::new();
        all.into_iter().for_each(|parcel| chain.push(parcel));
        queue.push_chain(chain);
        let mut haul = Haul::new();
        for taker in takers {
            haul.join(taker.join().expect("a taker"));
        }
        take(&queue, usize::MAX, &mut haul);
        ledger.balances(haul);
    });
}
