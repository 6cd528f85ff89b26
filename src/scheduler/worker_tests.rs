//! The step machine, without threads: what each step does when something comes at a bad moment.

use crate::blocking::{self, BlockingPool};
use crate::phase::Phase;
use crate::pool::local::Local;
use crate::pool::{Pool, Seat, Settings};
use crate::queue::{Chain, LaneCursor};
use crate::raw_task::{self, Runnable};
use crate::scheduler::worker::{Mode, Step, Worker};
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::timer::{State, Timer};
use crate::util::stripe::Stripe;
use crate::util::wake_list::WakeList;

fn pool(workers: usize) -> Arc<Pool> {
    Pool::new(Settings::new(workers), BlockingPool::new(blocking::Settings::default())).expect("a reactor")
}

fn task() -> Runnable {
    raw_task::spawn::<_, Seat>(async {}, std::panic::Location::caller().into()).0
}

/// Sits down in `seat` and runs `f`; what is left behind is dropped.
fn seated(pool: &Arc<Pool>, seat: usize, f: impl FnOnce(&Worker<'_>, &Local)) {
    let seat = &pool.seats[seat];
    let local = seat.take_local().expect("nobody sits there");
    let worker = Worker::new(pool, seat, &local);
    worker.run_in_seat(|| f(&worker, &local));
    drop(worker);
    crate::shutdown::clear_seat(pool, seat, &local);
    seat.return_local(local);
}

/// Puts `count` tasks into the ring of `seat`, in which nobody sits.
fn fill(pool: &Arc<Pool>, seat: usize, count: usize) {
    let seat = &pool.seats[seat];
    let local = seat.take_local().expect("nobody sits there");
    for _ in 0..count {
        assert!(local.ring.push(task()).is_ok());
    }
    seat.return_local(local);
}

/// Steps until the worker has announced its sleep.
fn announce(worker: &Worker<'_>) {
    let mut steps = (0..100).map(|_| worker.step());
    assert!(steps.any(|step| step == Step::Announced), "a worker without work did not announce its sleep");
}

/// Every kind of queue, and everything else that a worker gets up for, comes between the
/// announcement and the last look.
#[test]
fn the_last_look_sees_every_kind_of_work() {
    type Post = fn(&Arc<Pool>, &Local);
    let posts: [(&str, Post); 7] = [
        ("global queue", |pool, _| pool.global.push_woken(task())),
        ("own ring", |_, local| assert!(local.ring.push(task()).is_ok())),
        ("own slot", |pool, _| assert!(pool.seats[0].lifo.push(task()).is_none())),
        ("another's ring", |pool, _| fill(pool, 1, 2)),
        ("a stalled seat's only task", |pool, _| {
            fill(pool, 1, 1);
            pool.seats[1].set_stalled(0, 1);
        }),
        ("a stalled seat's slot", |pool, _| {
            assert!(pool.seats[1].lifo.push(task()).is_none());
            pool.seats[1].set_stalled(0, 1);
        }),
        ("the end", |pool, _| assert!(pool.phase.advance(Phase::ShuttingDown))),
    ];
    for (what, post) in posts {
        let pool = pool(2);
        seated(&pool, 0, |worker, local| {
            announce(worker);
            post(&pool, local);
            assert_eq!(worker.step(), Step::Rose, "{what}");
            let polls = pool.seats[0].stats.polls.get();
            let next = worker.step();
            if what == "the end" {
                assert_eq!(next, Step::Left);
            } else {
                while pool.seats[0].stats.polls.get() == polls {
                    assert_ne!(worker.step(), Step::WouldRest, "{what}: seen, and not taken");
                }
            }
            assert_eq!(pool.idle.counts().sleepers(), 0, "{what}");
        });
        pool.seats[1].set_stalled(0, 1);
        seated(&pool, 1, |_, _| {});
    }
}

/// Nothing to take: the only task in a ring, the slot of a seat that is not stalled.
#[test]
fn what_may_not_be_taken_wakes_nobody() {
    let pool = pool(2);
    fill(&pool, 1, 1);
    assert!(pool.seats[1].lifo.push(task()).is_none());
    seated(&pool, 0, |worker, _| {
        announce(worker);
        assert_eq!(worker.step(), Step::WouldRest);
    });
    seated(&pool, 1, |_, _| {});
}

/// The deadline comes while it sleeps, and it is woken for a search: it does not come by a
/// boundary, and finds nothing.
#[test]
fn who_is_woken_as_a_searcher_hears_of_the_deadline() {
    let pool = pool(2);
    seated(&pool, 0, |worker, local| {
        announce(worker);
        assert_eq!(worker.step(), Step::WouldRest);
        assert!(pool.drain_state.begin_drain(&pool.phase, &*pool, None));
        assert!(pool.drain_state.pass_deadline(&pool.phase, &*pool, || {}));
        pool.notify();
        pool.wake_all_workers();
        worker.rest();
        assert_eq!(worker.mode.get(), Mode::Searching);
        let mut steps = (0..100).map(|_| worker.step());
        assert!(steps.any(|step| step == Step::WouldRest));
        assert!(local.overdue.get());
    });
}

/// Those who are excused are put back into this thread's lane, wherever they came from. What is
/// late is found behind them, in whatever lane, and each of the excused is there afterwards.
#[test]
fn what_is_late_is_found_behind_those_who_are_excused() {
    const LANES: usize = 3;
    for (excused_at, late_at, start) in (0..LANES.pow(3)).map(|n| (n % LANES, n / LANES % LANES, n / LANES.pow(2))) {
        let settings = Settings { lanes: Some(LANES), ..Settings::new(1) };
        let pool = Pool::new(settings, BlockingPool::new(blocking::Settings::default())).expect("a reactor");
        let made = |_| raw_task::spawn::<_, Seat>(async {}, std::panic::Location::caller().into());
        let (excused, handles): (Vec<_>, Vec<_>) = (0..4).map(made).unzip();
        assert!(pool.drain_state.begin_drain(&pool.phase, &*pool, None));
        let keys: Vec<_> = handles.iter().map(|handle| pool.drain_state.exempt(handle.abort_handle())).collect();
        assert!(keys.iter().all(Option::is_some));
        assert!(pool.drain_state.pass_deadline(&pool.phase, &*pool, || {}));
        excused.into_iter().for_each(|runnable| pool.global.lane(Stripe::of_seat(excused_at)).push_woken(runnable));
        let late = task();
        let id = late.header().id();
        pool.global.lane(Stripe::of_seat(late_at)).push_woken(late);
        let mut ended = Vec::new();
        let lane_cursor = LaneCursor::new(start);
        assert!(pool.cancel_overdue_queued(&lane_cursor, |runnable| ended.push(runnable.header().id())));
        assert_eq!((ended, pool.global.len()), (vec![id], 4), "{excused_at} {late_at} {start}");
        assert!(!pool.cancel_overdue_queued(&lane_cursor, drop));
        assert_eq!(pool.global.len(), 4);
        crate::shutdown::begin_shutdown(&pool);
        crate::shutdown::clear_free(&pool);
        keys.into_iter().flatten().for_each(|key| assert!(pool.drain_state.revoke_exemption(key).is_some()));
    }
}

/// The deadline comes while a worker has tasks in hand, and its next poll may not return: wherever
/// it puts them, the reaper is called.
#[test]
fn who_puts_down_what_was_in_hand_at_the_deadline_calls_the_sweeper() {
    fn chain(count: usize) -> Chain {
        let mut chain = Chain::new();
        (0..count).for_each(|_| chain.push(task()));
        chain
    }
    type Act = fn(&Worker<'_>);
    let acts: [(&str, Act); 4] = [
        ("a share of the global queue", |worker| worker.push_all(chain(1))),
        ("the newest of its own", |worker| worker.make_room(crate::scheduler::worker::SHARE)),
        ("half of a full ring", |worker| worker.seated().push_back(task())),
        ("what an event has woken", |worker| {
            let mut wakes = WakeList::new();
            wakes.push(std::task::Waker::noop().clone());
            worker.wake_batch(wakes);
        }),
    ];
    for (what, act) in acts {
        let pool = pool(1);
        seated(&pool, 0, |worker, local| {
            let held = if what == "a share of the global queue" { 0 } else { crate::queue::CAPACITY };
            (0..held).for_each(|_| assert!(local.ring.push(task()).is_ok()));
            assert!(pool.drain_state.begin_drain(&pool.phase, &*pool, None));
            assert!(pool.drain_state.pass_deadline(&pool.phase, &*pool, || {}));
            assert!(!pool.drain_state.is_reaper_notified());
            act(worker);
            assert!(pool.drain_state.is_reaper_notified(), "{what}");
        });
    }
}

/// Two of four workers search already. A third that sees work in a ring has to leave it to them,
/// and sleeps: it does not go round and round.
#[test]
fn who_may_not_search_rests() {
    let pool = pool(4);
    assert!(pool.idle.try_search(4) && pool.idle.try_search(4));
    fill(&pool, 1, 8);
    seated(&pool, 0, |worker, _| {
        assert_eq!(worker.step(), Step::Announced, "nobody else may search");
        assert_eq!(worker.step(), Step::WouldRest);
        // What is in the global queue it may take all the same.
        pool.global.push_woken(task());
        assert_eq!(worker.step(), Step::Rose);
        assert_eq!(worker.step(), Step::Stole);
        announce(worker);
        fill(&pool, 1, 8);
        assert_eq!(worker.step(), Step::WouldRest);
        // The last searcher has gone: the work in the ring is this worker's business now.
        let _ = (pool.idle.end_search(), pool.idle.end_search());
        assert_eq!(worker.step(), Step::Rose);
        assert_eq!(worker.step(), Step::Stole);
    });
    seated(&pool, 1, |_, _| {});
}

/// Eight tasks were not worth a second worker when they were queued. When polls turn out long they
/// are, at the next checkpoint.
#[test]
fn what_waits_is_priced_anew_at_a_checkpoint() {
    let pool = pool(2);
    pool.idle.announce(1, false);
    seated(&pool, 0, |worker, local| {
        (0..8).for_each(|_| assert!(local.ring.push(task()).is_ok()));
        worker.seated().wake_helper_for(8);
        assert!(pool.idle.is_announced(1), "polls are held to be short");
        // As if each of ten had taken a second.
        for second in 1..=10 {
            local.count_poll();
            let _ = local.update_poll_time(pool.clock.now() + second * 1_000_000_000);
        }
        worker.checkpoint();
        assert!(!pool.idle.is_announced(1), "nobody was woken");
        let _ = pool.idle.end_search();
    });
}

/// Whoever has shared of late has to gain twice as much from sharing again, for 20 ms.
#[test]
fn who_has_shared_of_late_pays_twice() {
    let pool = pool(2);
    seated(&pool, 0, |_, local| {
        let now = pool.clock.now();
        let _ = local.update_poll_time(now);
        (0..4).for_each(|_| assert!(local.ring.push(task()).is_ok()));
        let price = (1..).take_while(|&price| local.wake_pays(4, price)).last().expect("some price is paid");
        let other = pool.seats[1].take_local().expect("nobody sits there");
        let stolen = pool.seats[0].thief.steal(&other.ring, 2);
        assert!(stolen.is_some(), "nothing was stolen");
        let _ = local.update_poll_time(now);
        assert!(!local.wake_pays(4, price) && local.wake_pays(4, price / 2));
        let _ = local.update_poll_time(now + 20_000_001);
        assert!(local.wake_pays(4, price));
        crate::shutdown::clear_seat(&pool, &pool.seats[1], &other);
        // The thief has shared as well.
        let _ = other.update_poll_time(now);
        assert!(!other.wake_pays(4, price));
        pool.seats[1].return_local(other);
    });
}

/// A worker that sees work in its last look goes on as a searcher, and as any who leaves with work
/// it wakes another if that pays.
#[test]
fn who_gets_up_for_work_wakes_another_for_the_rest() {
    let pool = pool(2);
    pool.idle.announce(1, false);
    seated(&pool, 0, |worker, _| {
        announce(worker);
        // More than one worker should take, by the mean poll that it starts with.
        for _ in 0..64 {
            pool.global.push_woken(task());
        }
        assert_eq!(worker.step(), Step::Rose);
        assert!(pool.idle.is_announced(1));
        assert_eq!(worker.step(), Step::Stole);
        assert!(!pool.idle.is_announced(1), "the other has been woken for what is left");
    });
    let _ = pool.idle.withdraw(1, false);
    let _ = pool.idle.end_search();
}

/// A run from the LIFO slot ends after three tasks, or at a checkpoint: with the watchdog's tick,
/// say. Then the ring has its turn.
#[test]
fn a_lifo_run_ends_by_count_and_by_time() {
    for (tick_after, polled) in [
        (None, "slot slot slot ring slot"),
        (Some(1), "slot ring slot slot slot"),
        (Some(2), "slot slot ring slot slot"),
    ] {
        let pool = pool(1);
        let order = Arc::new(crate::sync::Mutex::new(Vec::new()));
        let task = |name: &'static str| {
            let order = Arc::clone(&order);
            raw_task::spawn::<_, Seat>(async move { order.lock().push(name) }, std::panic::Location::caller().into()).0
        };
        seated(&pool, 0, |worker, local| {
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

/// Its wheel has become a orphan wheel. Its next checkpoint makes it its own again, and leaves the
/// orphan wheels of other seats alone.
#[test]
fn a_worker_that_gets_on_takes_its_timers_back() {
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
    seated(&pool, 0, |worker, local| {
        assert!(local.ring.push(task()).is_ok());
        assert_eq!((worker.step(), first_due()), (Step::Polled, 1), "there was no tick");
        assert!(local.ring.push(task()).is_ok());
        // Ordering: Relaxed — one thread.
        pool.tick.fetch_add(1, Ordering::Relaxed);
        assert_eq!((worker.step(), first_due()), (Step::Polled, 2));
    });
    timers.iter_mut().for_each(|timer| timer.as_mut().cancel());
}

/// A worker that goes in the middle of a search or an announcement, as one that unwinds does, is
/// not counted any more.
#[test]
fn nobody_stays_counted_who_has_left() {
    let pool = pool(2);
    for steps in 0..4 {
        seated(&pool, 0, |worker, _| {
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
