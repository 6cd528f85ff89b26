//! Tests of the worker's step machine, without threads: work arrives between any two steps.

use crate::blocking::{self, BlockingPool};
use crate::phase::Phase;
use crate::pool::local::Local;
use crate::pool::{Pool, Seat, Settings};
use crate::primitive::Arc;
use crate::primitive::atomic::Ordering;
use crate::queue::{Chain, LaneCursor};
use crate::raw_task::{self, Runnable};
use crate::scheduler::worker::{Mode, Step, Worker};
use crate::timer::{State, Timer};
use crate::util::stripe::Stripe;
use crate::util::wake_list::WakeList;

fn pool(workers: usize) -> Arc<Pool> {
    Pool::new(Settings::new(workers), BlockingPool::new(blocking::Settings::default())).expect("a reactor")
}

fn task() -> Runnable {
    raw_task::spawn::<_, Seat>(async {}, std::panic::Location::caller().into()).0
}

/// Occupies `seat`, runs `f`, and drops the tasks that are left in the seat.
fn in_seat(pool: &Arc<Pool>, seat: usize, f: impl FnOnce(&Worker<'_>, &Local)) {
    let seat = &pool.seats[seat];
    let local = seat.take_local().expect("the seat is vacant");
    let worker = Worker::new(pool, seat, &local);
    worker.run_in_seat(|| f(&worker, &local));
    drop(worker);
    crate::shutdown::clear_seat(pool, seat, &local);
    seat.return_local(local);
}

/// Puts `count` tasks into the ring of the vacant `seat`.
fn fill_ring(pool: &Arc<Pool>, seat: usize, count: usize) {
    let seat = &pool.seats[seat];
    let local = seat.take_local().expect("the seat is vacant");
    for _ in 0..count {
        assert!(local.ring.push(task()).is_ok());
    }
    seat.return_local(local);
}

/// Steps until the worker has announced its sleep.
fn step_until_announced(worker: &Worker<'_>) {
    let mut steps = (0..100).map(|_| worker.step());
    assert!(steps.any(|step| step == Step::Announced), "a worker without work did not announce its sleep");
}

/// Work of every kind, or the shutdown, comes between the announcement and the final check.
#[test]
fn final_check_sees_every_kind_of_work() {
    type Publish = fn(&Arc<Pool>, &Local);
    let cases: [(&str, Publish); 7] = [
        ("global queue", |pool, _| pool.global.push_woken(task())),
        ("own ring", |_, local| assert!(local.ring.push(task()).is_ok())),
        ("own LIFO slot", |pool, _| assert!(pool.seats[0].lifo.push(task()).is_none())),
        ("ring of another seat", |pool, _| fill_ring(pool, 1, 2)),
        ("lone task of a stalled seat", |pool, _| {
            fill_ring(pool, 1, 1);
            pool.seats[1].set_stalled(0, 1);
        }),
        ("LIFO slot of a stalled seat", |pool, _| {
            assert!(pool.seats[1].lifo.push(task()).is_none());
            pool.seats[1].set_stalled(0, 1);
        }),
        ("shutdown", |pool, _| assert!(pool.phase.advance(Phase::ShuttingDown))),
    ];
    for (what, publish) in cases {
        let pool = pool(2);
        in_seat(&pool, 0, |worker, local| {
            step_until_announced(worker);
            publish(&pool, local);
            assert_eq!(worker.step(), Step::Resumed, "{what}");
            let polls = pool.seats[0].stats.polls.get();
            let next = worker.step();
            if what == "shutdown" {
                assert_eq!(next, Step::Exited);
            } else {
                while pool.seats[0].stats.polls.get() == polls {
                    assert_ne!(worker.step(), Step::WouldPark, "{what}: the work was seen, but not taken");
                }
            }
            assert_eq!(pool.idle.counts().sleepers(), 0, "{what}");
        });
        pool.seats[1].set_stalled(0, 1);
        in_seat(&pool, 1, |_, _| {});
    }
}

/// A lone task in a ring, and the LIFO slot of a seat that is not stalled, may not be taken.
#[test]
fn final_check_ignores_tasks_that_may_not_be_taken() {
    let pool = pool(2);
    fill_ring(&pool, 1, 1);
    assert!(pool.seats[1].lifo.push(task()).is_none());
    in_seat(&pool, 0, |worker, _| {
        step_until_announced(worker);
        assert_eq!(worker.step(), Step::WouldPark);
    });
    in_seat(&pool, 1, |_, _| {});
}

/// With more than eight workers, a searcher takes a lone task.
#[test]
fn final_check_with_nine_workers_sees_lone_task() {
    let pool = pool(9);
    in_seat(&pool, 0, |worker, _| {
        step_until_announced(worker);
        fill_ring(&pool, 1, 1);
        assert_eq!(worker.step(), Step::Resumed);
        assert_eq!(worker.step(), Step::Stole);
    });
    assert_eq!(pool.seats[1].thief.len(), 0);
}

/// The deadline passes while the worker sleeps, and it is woken for a search. It makes no work
/// step, and finds nothing.
#[test]
fn sleeper_woken_as_searcher_observes_deadline() {
    let pool = pool(2);
    in_seat(&pool, 0, |worker, local| {
        step_until_announced(worker);
        assert_eq!(worker.step(), Step::WouldPark);
        assert!(pool.drain_state.begin_drain(&pool.phase, &*pool, None));
        assert!(pool.drain_state.pass_deadline(&pool.phase, &*pool, || {}));
        pool.notify();
        pool.wake_all_workers();
        worker.park();
        assert_eq!(worker.mode.get(), Mode::Searching);
        let mut steps = (0..100).map(|_| worker.step());
        assert!(steps.any(|step| step == Step::WouldPark));
        assert!(local.deadline_observed.get());
    });
}

/// Exempt tasks are put back into this thread's lane, wherever they came from. An overdue task
/// behind them is found in any lane, and all exempt tasks are there afterwards.
#[test]
fn overdue_task_behind_exempt_ones_is_found() {
    const LANES: usize = 3;
    for (exempt_lane, overdue_lane, start) in
        (0..LANES.pow(3)).map(|n| (n % LANES, n / LANES % LANES, n / LANES.pow(2)))
    {
        let settings = Settings { lanes: Some(LANES), ..Settings::new(1) };
        let pool = Pool::new(settings, BlockingPool::new(blocking::Settings::default())).expect("a reactor");
        let spawn = |_| raw_task::spawn::<_, Seat>(async {}, std::panic::Location::caller().into());
        let (exempt, handles): (Vec<_>, Vec<_>) = (0..4).map(spawn).unzip();
        assert!(pool.drain_state.begin_drain(&pool.phase, &*pool, None));
        let keys: Vec<_> = handles.iter().map(|handle| pool.drain_state.exempt(handle.abort_handle())).collect();
        assert!(keys.iter().all(Option::is_some));
        assert!(pool.drain_state.pass_deadline(&pool.phase, &*pool, || {}));
        exempt.into_iter().for_each(|runnable| pool.global.lane(Stripe::of_seat(exempt_lane)).push_woken(runnable));
        let overdue = task();
        let id = overdue.header().id();
        pool.global.lane(Stripe::of_seat(overdue_lane)).push_woken(overdue);
        let mut ended = Vec::new();
        let lane_cursor = LaneCursor::new(start);
        assert!(pool.cancel_overdue_queued(&lane_cursor, |runnable| ended.push(runnable.header().id())));
        assert_eq!((ended, pool.global.len()), (vec![id], 4), "{exempt_lane} {overdue_lane} {start}");
        assert!(!pool.cancel_overdue_queued(&lane_cursor, drop));
        assert_eq!(pool.global.len(), 4);
        crate::shutdown::begin_shutdown(&pool);
        crate::shutdown::clear_free(&pool);
        keys.into_iter().flatten().for_each(|key| assert!(pool.drain_state.revoke_exemption(key).is_some()));
    }
}

/// The deadline passes while a worker holds tasks, and its next poll may not return. Wherever it
/// puts the tasks, it notifies the reaper.
#[test]
fn worker_that_queues_held_tasks_at_deadline_notifies_reaper() {
    fn chain(count: usize) -> Chain {
        let mut chain = Chain::new();
        (0..count).for_each(|_| chain.push(task()));
        chain
    }
    type Queue = fn(&Worker<'_>);
    let cases: [(&str, Queue); 4] = [
        ("share of the global queue", |worker| worker.push_pinned(chain(1))),
        ("newest tasks of its own", |worker| worker.make_room(crate::scheduler::worker::SHARE)),
        ("half of a full ring", |worker| worker.seated().push_back(task())),
        ("task woken by an event", |worker| {
            let mut wakes = WakeList::new();
            wakes.push(std::task::Waker::noop().clone());
            worker.wake_batch(wakes);
        }),
    ];
    for (what, queue) in cases {
        let pool = pool(1);
        in_seat(&pool, 0, |worker, local| {
            let held = if what == "share of the global queue" { 0 } else { crate::queue::CAPACITY };
            (0..held).for_each(|_| assert!(local.ring.push(task()).is_ok()));
            assert!(pool.drain_state.begin_drain(&pool.phase, &*pool, None));
            assert!(pool.drain_state.pass_deadline(&pool.phase, &*pool, || {}));
            assert!(!pool.drain_state.is_reaper_notified());
            queue(worker);
            assert!(pool.drain_state.is_reaper_notified(), "{what}");
        });
    }
}

/// Two of four workers search already. A third that sees work in a ring leaves it to them, and
/// sleeps: it does not spin.
#[test]
fn worker_that_may_not_search_sleeps() {
    let pool = pool(4);
    assert!(pool.idle.try_search(4) && pool.idle.try_search(4));
    fill_ring(&pool, 1, 8);
    in_seat(&pool, 0, |worker, _| {
        assert_eq!(worker.step(), Step::Announced, "no third worker may search");
        assert_eq!(worker.step(), Step::WouldPark);
        // It may still take tasks from the global queue.
        pool.global.push_woken(task());
        assert_eq!(worker.step(), Step::Resumed);
        assert_eq!(worker.step(), Step::Stole);
        step_until_announced(worker);
        fill_ring(&pool, 1, 8);
        assert_eq!(worker.step(), Step::WouldPark);
        // There is no searcher any more, so this worker has to take the work in the ring.
        let _ = (pool.idle.end_search(), pool.idle.end_search());
        assert_eq!(worker.step(), Step::Resumed);
        assert_eq!(worker.step(), Step::Stole);
    });
    in_seat(&pool, 1, |_, _| {});
}

/// Eight tasks were not worth a helper when they were queued. After polls have turned out long,
/// they are worth one at the next checkpoint.
#[test]
fn checkpoint_with_longer_polls_wakes_helper() {
    let pool = pool(2);
    pool.idle.announce(1, false);
    in_seat(&pool, 0, |worker, local| {
        (0..8).for_each(|_| assert!(local.ring.push(task()).is_ok()));
        worker.seated().wake_helper_for(8);
        assert!(pool.idle.is_announced(1), "the estimate is that polls are short");
        // As if each of ten polls had taken a second.
        for second in 1..=10 {
            local.count_poll();
            let _ = local.update_poll_time(pool.clock.now() + second * 1_000_000_000);
        }
        worker.checkpoint();
        assert!(!pool.idle.is_announced(1), "no helper was woken");
        let _ = pool.idle.end_search();
    });
}

/// After a steal, waking a helper requires twice the gain, for 20 ms.
#[test]
fn wake_price_after_recent_steal_doubles() {
    let pool = pool(2);
    in_seat(&pool, 0, |_, local| {
        let now = pool.clock.now();
        let _ = local.update_poll_time(now);
        (0..4).for_each(|_| assert!(local.ring.push(task()).is_ok()));
        let price = (1..).take_while(|&price| local.wake_pays(4, price)).last().expect("some price is paid");
        let other = pool.seats[1].take_local().expect("the seat is vacant");
        let stolen = pool.seats[0].thief.steal(&other.ring, 2);
        assert!(stolen.is_some(), "nothing was stolen");
        let _ = local.update_poll_time(now);
        assert!(!local.wake_pays(4, price) && local.wake_pays(4, price / 2));
        let _ = local.update_poll_time(now + 20_000_001);
        assert!(local.wake_pays(4, price));
        crate::shutdown::clear_seat(&pool, &pool.seats[1], &other);
        // The price doubles for the thief, too.
        let _ = other.update_poll_time(now);
        assert!(!other.wake_pays(4, price));
        pool.seats[1].return_local(other);
    });
}

/// A worker that finds work in its final check continues as a searcher. When it has taken work, it
/// wakes a helper for the rest if that pays.
#[test]
fn worker_with_work_at_final_check_wakes_helper_for_rest() {
    let pool = pool(2);
    pool.idle.announce(1, false);
    in_seat(&pool, 0, |worker, _| {
        step_until_announced(worker);
        // By the initial estimate of the poll time, these are worth a helper.
        for _ in 0..64 {
            pool.global.push_woken(task());
        }
        assert_eq!(worker.step(), Step::Resumed);
        assert!(pool.idle.is_announced(1));
        assert_eq!(worker.step(), Step::Stole);
        assert!(!pool.idle.is_announced(1), "the helper has not been woken for the rest");
    });
    let _ = pool.idle.withdraw(1, false);
    let _ = pool.idle.end_search();
}

/// A run from the LIFO slot ends after three tasks, or at a checkpoint, which the watchdog's tick
/// causes. Then the ring is served.
#[test]
fn lifo_run_ends_by_count_and_by_time() {
    for (tick_after, polled) in [
        (None, "slot slot slot ring slot"),
        (Some(1), "slot ring slot slot slot"),
        (Some(2), "slot slot ring slot slot"),
    ] {
        let pool = pool(1);
        let order = Arc::new(crate::primitive::Mutex::new(Vec::new()));
        let task = |name: &'static str| {
            let order = Arc::clone(&order);
            raw_task::spawn::<_, Seat>(async move { order.lock().push(name) }, std::panic::Location::caller().into()).0
        };
        in_seat(&pool, 0, |worker, local| {
            assert!(local.ring.push(task("ring")).is_ok());
            for n in 0..5 {
                if pool.seats[0].lifo.is_empty() {
                    assert!(pool.seats[0].lifo.push(task("slot")).is_none());
                }
                if Some(n) == tick_after {
                    // Ordering: Relaxed — one thread.
                    pool.tick.fetch_add(1, Ordering::Relaxed);
                }
                assert_eq!(worker.step(), Step::Polled);
            }
            assert_eq!(order.lock().join(" "), polled);
        });
    }
}

/// The wheel of a worker has become an orphan wheel. The worker's next checkpoint takes it back,
/// and leaves the orphan wheels of other seats alone.
#[test]
fn worker_that_recovers_takes_its_timers_back() {
    let pool = pool(2);
    let mut timers = [0, 1].map(|seat: usize| {
        let wheel = &pool.seats[seat].wheel;
        let at = wheel.clock().real_deadline(Some(1 << (50 + seat))).expect("a nameable instant");
        let mut timer = Box::pin(Timer::new());
        assert_eq!(timer.as_mut().arm(Arc::clone(wheel), at, std::task::Waker::noop()), State::Armed);
        assert!(pool.adopt_timers(&pool.seats[seat]));
        timer
    });
    let first_due = || pool.orphan_wheels.next_due() >> 50;
    assert_eq!(first_due(), 1);
    in_seat(&pool, 0, |worker, local| {
        assert!(local.ring.push(task()).is_ok());
        assert_eq!((worker.step(), first_due()), (Step::Polled, 1), "there was no tick");
        assert!(local.ring.push(task()).is_ok());
        // Ordering: Relaxed — one thread.
        pool.tick.fetch_add(1, Ordering::Relaxed);
        assert_eq!((worker.step(), first_due()), (Step::Polled, 2));
    });
    timers.iter_mut().for_each(|timer| timer.as_mut().cancel());
}

/// A worker that leaves its seat during a search or after an announcement, as in an unwind, is not
/// counted any more.
#[test]
fn worker_that_leaves_mid_search_is_not_counted() {
    let pool = pool(2);
    for steps in 0..4 {
        in_seat(&pool, 0, |worker, _| {
            for _ in 0..steps {
                let _ = worker.step();
            }
            assert_eq!(worker.mode.get() == Mode::Working, steps == 0);
        });
        let counts = pool.idle.counts();
        assert_eq!((counts.searchers(), counts.sleepers()), (0, 0), "after {steps} steps");
        assert!(!pool.idle.is_announced(0));
    }
}

/// Returns a pool of two seats in which a worker is late at once.
fn pool_with_late_workers() -> Arc<Pool> {
    let settings = Settings { late_nanos: 0, ..Settings::new(2) };
    Pool::new(settings, BlockingPool::new(blocking::Settings::default())).expect("a reactor")
}

/// Makes checkpoints until the worker has observed each other seat several times.
fn observe_peers(worker: &Worker<'_>) {
    for _ in 0..10 {
        worker.check_peer(u64::MAX);
    }
}

/// The tasks of seat 1, whose worker does not move, are in the LIFO slot and in the ring.
#[test]
fn late_worker_loses_all_tasks_to_a_busy_one() {
    let pool = pool_with_late_workers();
    fill_ring(&pool, 1, 3);
    assert!(pool.seats[1].lifo.push(task()).is_none());
    in_seat(&pool, 0, |worker, local| {
        let own = 100;
        (0..own).for_each(|_| assert!(local.ring.push(task()).is_ok()));
        observe_peers(worker);
        assert_eq!((pool.global.len(), local.ring.len()), (0, own + 4));
        assert!(!pool.seats[1].has_tasks());
        assert_eq!((worker.seat.stats.steals.get(), worker.seat.stats.stolen.get()), (1, 4));
    });
}

#[test]
fn late_worker_loses_no_more_tasks_than_the_other_ring_has_room_for() {
    let pool = pool_with_late_workers();
    fill_ring(&pool, 1, 256);
    in_seat(&pool, 0, |worker, local| {
        observe_peers(worker);
        assert_eq!(pool.global.len(), 0, "no task is sent away");
        assert_eq!(local.ring.len() + pool.seats[1].thief.len(), 256);
        assert!(pool.seats[1].thief.len() <= 128, "{}", pool.seats[1].thief.len());
    });
}

#[test]
fn late_check_leaves_tasks_of_a_worker_that_makes_progress() {
    let pool = pool_with_late_workers();
    fill_ring(&pool, 1, 3);
    in_seat(&pool, 0, |worker, _| {
        for _ in 0..10 {
            worker.check_peer(u64::MAX);
            pool.seats[1].stats.polls.add(1);
        }
        assert_eq!((pool.global.len(), pool.seats[1].thief.len()), (0, 3));
    });
}

#[test]
fn late_check_leaves_tasks_of_a_worker_in_its_usual_poll() {
    let pool = pool_with_late_workers();
    fill_ring(&pool, 1, 3);
    pool.seats[1].stats.mean_poll.set(u64::MAX);
    in_seat(&pool, 0, |worker, _| {
        observe_peers(worker);
        assert_eq!((pool.global.len(), pool.seats[1].thief.len()), (0, 3));
    });
}

#[test]
fn late_check_leaves_tasks_after_the_deadline() {
    let pool = pool_with_late_workers();
    fill_ring(&pool, 1, 3);
    in_seat(&pool, 0, |worker, _| {
        assert!(pool.phase.advance(Phase::DeadlinePassed));
        observe_peers(worker);
        assert_eq!((pool.global.len(), pool.seats[1].thief.len()), (0, 3));
    });
}

#[test]
fn reactor_round_ends_with_the_tasks_that_were_queued() {
    let pool = pool(1);
    in_seat(&pool, 0, |worker, local| {
        assert!(local.advance_reactor_round(), "no round has begun");
        for _ in 0..3 {
            assert!(local.ring.push(task()).is_ok());
        }
        local.begin_reactor_round();
        for left in (0..3).rev() {
            assert_eq!(worker.step(), Step::Polled);
            // A task that comes in meanwhile does not prolong the round.
            assert!(local.ring.push(task()).is_ok());
            // The round ends one interval early.
            assert_eq!(local.advance_reactor_round(), left <= 1);
            local.begin_interval(pool.clock.now(), pool.settings.pace);
        }
        local.begin_reactor_round();
        local.make_checkpoint_due();
        assert!(local.advance_reactor_round());
    });
}

/// A seat in use may hold tasks that are in no list.
#[test]
fn seat_in_use_is_not_counted_as_clear() {
    let pool = pool(2);
    let others = pool.seats.len() as u64 - 1;
    let local = pool.seats[0].take_local().expect("the seat is vacant");
    let pass = crate::shutdown::clear_free(&pool);
    assert_eq!((pass.cleared, pass.returned), (false, others));
    pool.seats[0].return_local(local);
    let pass = crate::shutdown::clear_free(&pool);
    assert_eq!((pass.cleared, pass.returned), (true, others + 1));
}
