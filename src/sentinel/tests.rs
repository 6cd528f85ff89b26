//! Looks, one by one, at workers that do not run.

use super::Sentinel;
use crate::blocking::{self, BlockingPool};
use crate::pool::{Pool, Settings};
use crate::sync::Arc;

/// A pool in whose seats threads are said to work.
fn pool(workers: usize) -> Arc<Pool> {
    let blocking = BlockingPool::new(blocking::Settings::default());
    let pool = Pool::new(Settings::new(workers), blocking).expect("a reactor");
    (0..workers).for_each(|seat| pool.staff.sit(seat));
    pool
}

fn sentinel(pool: &Arc<Pool>) -> Sentinel {
    Sentinel::new(Arc::clone(pool), Box::new(|_| {}))
}

/// Seat 0 is stalled from the second look on, the worker of seat 1 sleeps on its parker. It is woken only if the reactor is free.
#[test]
fn a_stalled_worker_has_the_reactor_turned_by_another() {
    let pool = pool(2);
    pool.idle.announce(1, false);
    let mut sentinel = sentinel(&pool);
    sentinel.look();
    let turn = pool.reactor.try_turn().expect("nobody else turns it");
    sentinel.look();
    sentinel.look();
    assert!(pool.idle.is_announced(1));
    drop(turn);
    sentinel.look();
    assert!(!pool.idle.is_announced(1));
    let _ = (pool.idle.retract(1, false), pool.idle.found());
}
