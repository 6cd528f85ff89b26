//! Tests of several shards, with real sockets and the kernel's own polls.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use super::tests::{CountingWaker, pair, poll};
use super::*;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::primitive::thread;

type Ours = Registered<mio::net::TcpStream>;

/// Returns `each` streams in each shard. The events of their registration are already taken.
fn streams(reactor: &Arc<Reactor>, each: usize) -> Vec<Vec<(Ours, TcpStream)>> {
    let count = reactor.shards.len();
    (0..count).map(|shard| (0..each).map(|_| stream_in(reactor, shard)).collect()).collect()
}

fn stream_in(reactor: &Arc<Reactor>, shard: usize) -> (Ours, TcpStream) {
    Stripe::of_seat(shard).pin_to_thread();
    let pair = pair(reactor);
    assert_eq!(pair.0.shard(), shard);
    pair
}

fn reactor(shards: usize) -> Arc<Reactor> {
    Arc::new(Reactor::new(shards, 64, 256).unwrap())
}

fn poll_idle(reactor: &Reactor, deadline: Option<Instant>) -> usize {
    let mut wakes = WakeList::new();
    reactor.try_drive().unwrap().poll_idle(deadline, &mut wakes).unwrap()
}

fn poll_once(reactor: &Reactor, next: &Cell<usize>, workers: usize) -> usize {
    reactor.try_poll(next, || workers, &mut WakeList::new()).unwrap()
}

fn is_ready(ours: &Ours) -> bool {
    ours.source().try_io(Interest::READABLE, || Ok(Opaque(()))).is_ok()
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(2))
}

#[test]
fn registrations_of_one_thread_are_spread_evenly_over_the_shards() {
    let reactor = reactor(4);
    let all: Vec<_> = (0..40).map(|_| pair(&reactor)).collect();
    let counts: Vec<_> = reactor.shards.iter().map(|shard| shard.sources.len()).collect();
    assert_eq!(counts, [10; 4]);
    drop(all);
    assert_eq!(reactor.sources(), 0);
    assert_eq!((reactor.counts().registered, reactor.counts().deregistered), (40, 40));
}

#[test]
fn event_in_any_shard_ends_a_wait() {
    let reactor = reactor(3);
    for (ours, mut peer) in streams(&reactor, 1).into_iter().flatten() {
        for deadline in [None, Some(Instant::now() + Duration::from_secs(86_400 * 365))] {
            peer.write_all(b"x").unwrap();
            assert_eq!(poll_idle(&reactor, deadline), 1);
            assert!(is_ready(&ours));
        }
    }
}

#[test]
fn wait_that_times_out_delivers_no_event_again() {
    for shards in [1, 2] {
        let reactor = reactor(shards);
        let mut streams = streams(&reactor, 1);
        for (_, theirs) in streams.iter_mut().flatten() {
            theirs.write_all(b"x").unwrap();
            assert_eq!(poll_idle(&reactor, None), 1);
            assert_eq!(poll_idle(&reactor, soon()), 0);
        }
    }
}

#[test]
fn event_in_any_shard_during_a_sleep_ends_the_sleep() {
    let reactor = reactor(3);
    for (ours, mut peer) in streams(&reactor, 1).into_iter().flatten() {
        let writer = {
            let reactor = Arc::clone(&reactor);
            let write = move || {
                while !reactor.shard_drivers.is_blocked() {
                    thread::yield_now();
                }
                peer.write_all(b"x").unwrap();
                peer
            };
            thread::Builder::new().spawn(write).unwrap()
        };
        assert_eq!(poll_idle(&reactor, None), 1);
        assert!(is_ready(&ours));
        let _peer = writer.join().unwrap();
    }
}

#[test]
fn equal_keys_of_different_shards_are_told_apart() {
    let reactor = reactor(3);
    let mut all = streams(&reactor, 1);
    let keys: Vec<SourceKey> = all.iter().map(|shard| shard[0].0.source().key).collect();
    assert!(keys.iter().all(|key| *key == keys[0]), "each shard has its own generations");
    for speaker in 0..3 {
        all[speaker][0].1.write_all(b"x").unwrap();
        assert_eq!(poll_idle(&reactor, None), 1);
        let ready: Vec<bool> = all.iter().map(|shard| is_ready(&shard[0].0)).collect();
        assert_eq!(ready, (0..3).map(|shard| shard <= speaker).collect::<Vec<_>>());
    }
}

#[test]
fn events_taken_by_another_poll_do_not_end_a_wait() {
    let reactor = reactor(3);
    let mut all = streams(&reactor, 2);
    all.iter_mut().flatten().for_each(|(_, peer)| peer.write_all(b"x").unwrap());
    let next = Cell::new(0);
    assert_eq!((0..3).map(|_| poll_once(&reactor, &next, 3)).collect::<Vec<_>>(), [2; 3]);
    // The sockets are as readable as before, but nothing has changed since.
    let deadline = soon();
    let mut waits = 0;
    while Instant::now() < deadline.unwrap() {
        assert_eq!(poll_idle(&reactor, deadline), 0);
        waits += 1;
    }
    assert!(waits <= 1, "{waits} waits ended without an event");
}

#[test]
fn events_left_by_a_full_wait_end_the_next_wait() {
    const EACH: usize = 7;
    let reactor = Arc::new(Reactor::new(3, 2, 3).unwrap());
    let mut all = streams(&reactor, EACH);
    all.iter_mut().flatten().for_each(|(_, peer)| peer.write_all(b"x").unwrap());
    // A poll between two tasks takes two events and a wait takes three, from one shard at a time.
    let next = Cell::new(1);
    assert_eq!(poll_once(&reactor, &next, 3), 2);
    let mut found = Vec::new();
    while found.iter().sum::<usize>() < 3 * EACH - 2 {
        found.push(poll_idle(&reactor, None));
    }
    // The shards have seven, five and seven events. A wait that gets less than three from one shard
    // continues with the next.
    assert_eq!(found, [3, 3, 3, 3, 2 + 3, 1 + 1]);
    assert!(all.iter().flatten().all(|(ours, _)| is_ready(ours)));
    assert_eq!(poll_idle(&reactor, soon()), 0);
}

#[test]
fn shard_that_is_always_ready_does_not_starve_the_others() {
    let reactor = Arc::new(Reactor::new(3, 1, 2).unwrap());
    let mut all = streams(&reactor, 4);
    for patient in [0, 2] {
        all[patient][0].1.write_all(b"x").unwrap();
        let mut waits = 0;
        while !is_ready(&all[patient][0].0) {
            all[1].iter_mut().for_each(|(_, peer)| peer.write_all(b"x").unwrap());
            let _ = poll_idle(&reactor, None);
            waits += 1;
        }
        assert!(waits <= 3, "{waits}");
        let (ours, _) = &all[patient][0];
        ours.source().clear(Ready::READABLE, ours.source().now());
    }
    // The same holds for a worker that only polls between tasks: it polls each shard in turn.
    let next = Cell::new(0);
    for patient in [0, 2] {
        all[patient][1].1.write_all(b"x").unwrap();
        for _ in 0..3 {
            all[1].iter_mut().for_each(|(_, peer)| peer.write_all(b"x").unwrap());
            let _ = poll_once(&reactor, &next, 64);
        }
        assert!(is_ready(&all[patient][1].0));
    }
}

#[test]
fn workers_together_poll_every_shard() {
    for (workers, each) in [(1, 4), (2, 2), (3, 2), (4, 1), (64, 1)] {
        let reactor = reactor(4);
        let mut all = streams(&reactor, 1);
        all.iter_mut().flatten().for_each(|(_, peer)| peer.write_all(b"x").unwrap());
        let next = Cell::new(usize::MAX);
        assert_eq!(poll_once(&reactor, &next, workers), each);
        let later: usize = (1..4).map(|_| poll_once(&reactor, &next, workers)).sum();
        assert_eq!(each + later, 4, "{workers} workers");
    }
}

#[test]
fn poll_while_another_worker_sleeps_finds_nothing() {
    let reactor = reactor(2);
    let mut all = streams(&reactor, 1);
    all.iter_mut().flatten().for_each(|(_, peer)| peer.write_all(b"x").unwrap());
    let next = Cell::new(0);
    assert_eq!(reactor.shard_drivers.while_blocked(|| poll_once(&reactor, &next, 1)), 0);
    assert_eq!(poll_once(&reactor, &next, 1), 2, "afterwards the poll finds them");
}

/// A worker has the driver of a shard that is ready. The sleeper waits for it, and does not return
/// without having polled that shard.
#[test]
fn sleeper_waits_for_the_worker_that_polls_the_shard_already() {
    let shard_drivers = Arc::new(ShardDrivers::new(0..2));
    let go = Arc::new(AtomicBool::new(false));
    let locked = Arc::new(AtomicBool::new(false));
    let other = {
        let (shard_drivers, go, locked) = (Arc::clone(&shard_drivers), Arc::clone(&go), Arc::clone(&locked));
        let hold_driver = move || {
            let driver = shard_drivers.try_lock_shard(1).unwrap();
            locked.store(true, Ordering::Release);
            while !go.load(Ordering::Acquire) {
                thread::yield_now();
            }
            // Held long enough that the sleeper has to wait.
            (0..1_000).for_each(|_| thread::yield_now());
            drop(driver);
        };
        thread::Builder::new().spawn(hold_driver).unwrap()
    };
    while !locked.load(Ordering::Acquire) {
        thread::yield_now();
    }
    let mut polled = Vec::new();
    let poll_shard = |shard, _: &mut _| {
        polled.push(shard);
        go.store(true, Ordering::Release);
        Ok(1)
    };
    let mut primary = shard_drivers.try_lock_primary().unwrap();
    assert_eq!(shard_drivers.drive_ready(&mut primary, 0..2, 9, poll_shard).unwrap(), (2, None));
    assert_eq!(polled, [0, 1]);
    other.join().unwrap();
}

#[test]
fn interrupt_ends_a_wait_and_is_not_used_up_by_another_shard() {
    let reactor = reactor(3);
    let mut all = streams(&reactor, 1);
    all[2][0].1.write_all(b"x").unwrap();
    assert_eq!(poll_idle(&reactor, None), 1);
    for _ in 0..3 {
        reactor.interrupt().unwrap();
        reactor.interrupt().unwrap();
        assert_eq!(poll_idle(&reactor, None), 0);
    }
    assert_eq!(poll_idle(&reactor, soon()), 0);
}

#[test]
fn close_reaches_every_shard() {
    let reactor = reactor(3);
    let all = streams(&reactor, 1);
    let counter = Arc::new(CountingWaker::default());
    let mut readers: Vec<_> =
        all.iter().flatten().map(|(ours, _)| Box::pin(ours.source().ready(Interest::READABLE))).collect();
    readers.iter_mut().for_each(|reader| assert!(poll(reader.as_mut(), &counter).is_pending()));
    let mut wakes = WakeList::new();
    reactor.close_reactor(&mut wakes);
    wakes.wake_all();
    assert_eq!(counter.count(), 3);
    for shard in 0..3 {
        let mut listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = reactor.register(shard, &mut listener, Ready::EMPTY).unwrap_err();
        assert!(error.to_string().contains("shut down"), "{error}");
    }
}

/// Three threads poll, as sleepers and between tasks, while a fourth writes. Each byte is
/// delivered.
#[test]
fn events_are_not_lost_between_sleepers_and_busy_workers() {
    const ROUNDS: usize = 1_000;
    let reactor = Arc::new(Reactor::new(3, 1, 2).unwrap());
    let mut all = streams(&reactor, 2);
    let stop = Arc::new(AtomicBool::new(false));
    let pollers = [false, true, true].map(|waits| {
        let (reactor, stop) = (Arc::clone(&reactor), Arc::clone(&stop));
        let run = move || {
            let next = Cell::new(0);
            // Ordering: Acquire — pairs with the Release in this test, after the rounds.
            while !stop.load(Ordering::Acquire) {
                if waits {
                    if let Some(mut driver) = reactor.try_drive() {
                        let _ = driver.poll_idle(None, &mut WakeList::new()).unwrap();
                    }
                } else {
                    let _ = poll_once(&reactor, &next, 3);
                }
                thread::yield_now();
            }
        };
        thread::Builder::new().spawn(run).unwrap()
    });
    for _ in 0..ROUNDS {
        all.iter_mut().flatten().for_each(|(_, peer)| peer.write_all(b"x").unwrap());
        for (ours, _) in all.iter().flatten() {
            let read = || std::io::Read::read(&mut ours.io(), &mut [0]).map(Opaque);
            // This thread only tries: one of the three has to deliver the event.
            while ours.source().try_io(Interest::READABLE, read).is_err() {
                thread::yield_now();
            }
        }
    }
    // Ordering: Release — pairs with the Acquire in the pollers' loop.
    stop.store(true, Ordering::Release);
    for poller in pollers {
        while !poller.is_finished() {
            reactor.interrupt().unwrap();
            thread::yield_now();
        }
        poller.join().unwrap();
    }
}
