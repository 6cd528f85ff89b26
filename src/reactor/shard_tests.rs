//! Several shards, with real sockets and the kernel's own polls.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use super::tests::{Bell, pair, poll};
use super::*;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread;

type Ours = Registered<mio::net::TcpStream>;

/// A stream in each shard, `each` times, all of their first events taken.
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

fn rest(reactor: &Reactor, deadline: Option<Instant>) -> usize {
    let mut wakes = WakeList::new();
    reactor.try_drive().unwrap().rest(deadline, &mut wakes).unwrap()
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
fn registrations_of_one_thread_go_evenly_over_the_shards() {
    let reactor = reactor(4);
    let all: Vec<_> = (0..40).map(|_| pair(&reactor)).collect();
    let counts: Vec<_> = reactor.shards.iter().map(|shard| shard.sources.len()).collect();
    assert_eq!(counts, [10; 4]);
    drop(all);
    assert_eq!(reactor.sources(), 0);
    assert_eq!((reactor.counts().registered, reactor.counts().deregistered), (40, 40));
}

#[test]
fn an_event_in_any_shard_ends_a_rest() {
    let reactor = reactor(3);
    for (ours, mut peer) in streams(&reactor, 1).into_iter().flatten() {
        for deadline in [None, Some(Instant::now() + Duration::from_secs(86_400 * 365))] {
            peer.write_all(b"x").unwrap();
            assert_eq!(rest(&reactor, deadline), 1);
            assert!(is_ready(&ours));
        }
    }
}

#[test]
fn an_event_that_comes_while_one_sleeps_ends_the_sleep() {
    let reactor = reactor(3);
    for (ours, mut peer) in streams(&reactor, 1).into_iter().flatten() {
        let writer = {
            let reactor = Arc::clone(&reactor);
            let write = move || {
                while !reactor.shard_drivers.is_slept_in() {
                    thread::yield_now();
                }
                peer.write_all(b"x").unwrap();
                peer
            };
            thread::Builder::new().spawn(write).unwrap()
        };
        assert_eq!(rest(&reactor, None), 1);
        assert!(is_ready(&ours));
        let _peer = writer.join().unwrap();
    }
}

#[test]
fn tags_of_different_shards_are_not_mixed_up() {
    let reactor = reactor(3);
    let mut all = streams(&reactor, 1);
    let tags: Vec<SourceKey> = all.iter().map(|shard| shard[0].0.source().tag).collect();
    assert!(tags.iter().all(|tag| *tag == tags[0]), "each shard counts for itself");
    for speaker in 0..3 {
        all[speaker][0].1.write_all(b"x").unwrap();
        assert_eq!(rest(&reactor, None), 1);
        let ready: Vec<bool> = all.iter().map(|shard| is_ready(&shard[0].0)).collect();
        assert_eq!(ready, (0..3).map(|shard| shard <= speaker).collect::<Vec<_>>());
    }
}

#[test]
fn what_another_has_taken_does_not_end_a_rest() {
    let reactor = reactor(3);
    let mut all = streams(&reactor, 2);
    all.iter_mut().flatten().for_each(|(_, peer)| peer.write_all(b"x").unwrap());
    let next = Cell::new(0);
    assert_eq!((0..3).map(|_| poll_once(&reactor, &next, 3)).collect::<Vec<_>>(), [2; 3]);
    // The sockets are as readable as before; but nothing has changed since.
    let deadline = soon();
    let mut rests = 0;
    while Instant::now() < deadline.unwrap() {
        assert_eq!(rest(&reactor, deadline), 0);
        rests += 1;
    }
    assert!(rests <= 1, "came back {rests} times");
}

#[test]
fn what_a_full_turn_has_left_behind_ends_the_next_rest() {
    const EACH: usize = 7;
    let reactor = Arc::new(Reactor::new(3, 2, 3).unwrap());
    let mut all = streams(&reactor, EACH);
    all.iter_mut().flatten().for_each(|(_, peer)| peer.write_all(b"x").unwrap());
    // Who looks between two tasks takes two, whoever rests takes three, from one shard at a time.
    let next = Cell::new(1);
    assert_eq!(poll_once(&reactor, &next, 3), 2);
    let mut found = Vec::new();
    while found.iter().sum::<usize>() < 3 * EACH - 2 {
        found.push(rest(&reactor, None));
    }
    // Seven, five and seven of them, one shard after the other; what is less than a full turn is
    // filled up from the next.
    assert_eq!(found, [3, 3, 3, 3, 2 + 3, 1 + 1]);
    assert!(all.iter().flatten().all(|(ours, _)| is_ready(ours)));
    assert_eq!(rest(&reactor, soon()), 0);
}

#[test]
fn a_shard_that_is_always_ready_does_not_keep_the_others_waiting() {
    let reactor = Arc::new(Reactor::new(3, 1, 2).unwrap());
    let mut all = streams(&reactor, 4);
    for patient in [0, 2] {
        all[patient][0].1.write_all(b"x").unwrap();
        let mut rests = 0;
        while !is_ready(&all[patient][0].0) {
            all[1].iter_mut().for_each(|(_, peer)| peer.write_all(b"x").unwrap());
            let _ = rest(&reactor, None);
            rests += 1;
        }
        assert!(rests <= 3, "{rests}");
        let (ours, _) = &all[patient][0];
        ours.source().clear(Ready::READABLE, ours.source().now());
    }
    // So with a worker that only looks: each shard has its turn.
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
fn the_workers_together_look_at_every_shard() {
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
fn nobody_looks_while_somebody_sleeps() {
    let reactor = reactor(2);
    let mut all = streams(&reactor, 1);
    all.iter_mut().flatten().for_each(|(_, peer)| peer.write_all(b"x").unwrap());
    let next = Cell::new(0);
    assert_eq!(reactor.shard_drivers.while_blocked(|| poll_once(&reactor, &next, 1)), 0);
    assert_eq!(poll_once(&reactor, &next, 1), 2, "and afterwards one does");
}

/// Somebody sits in the shard driver of a shard that is ready. Whoever has slept waits for him, and
/// does not come back again and again.
#[test]
fn a_sleeper_waits_for_whoever_turns_the_shard_already() {
    let shard_drivers = Arc::new(ShardDrivers::new(0..2));
    let go = Arc::new(AtomicBool::new(false));
    let seated = Arc::new(AtomicBool::new(false));
    let other = {
        let (shard_drivers, go, seated) = (Arc::clone(&shard_drivers), Arc::clone(&go), Arc::clone(&seated));
        let sit = move || {
            let driver = shard_drivers.try_sit(1).unwrap();
            seated.store(true, Ordering::Release);
            while !go.load(Ordering::Acquire) {
                thread::yield_now();
            }
            // Long enough to be met.
            (0..1_000).for_each(|_| thread::yield_now());
            drop(driver);
        };
        thread::Builder::new().spawn(sit).unwrap()
    };
    while !seated.load(Ordering::Acquire) {
        thread::yield_now();
    }
    let mut turned = Vec::new();
    let turn = |shard, _: &mut _| {
        turned.push(shard);
        go.store(true, Ordering::Release);
        Ok(1)
    };
    let mut lead = shard_drivers.try_lock_primary().unwrap();
    assert_eq!(shard_drivers.drive_ready(&mut lead, 0..2, 9, turn).unwrap(), (2, None));
    assert_eq!(turned, [0, 1]);
    other.join().unwrap();
}

#[test]
fn an_interrupt_ends_a_rest_and_is_not_used_up_by_another_shard() {
    let reactor = reactor(3);
    let mut all = streams(&reactor, 1);
    all[2][0].1.write_all(b"x").unwrap();
    assert_eq!(rest(&reactor, None), 1);
    for _ in 0..3 {
        reactor.interrupt().unwrap();
        reactor.interrupt().unwrap();
        assert_eq!(rest(&reactor, None), 0);
    }
    assert_eq!(rest(&reactor, soon()), 0);
}

#[test]
fn the_close_reaches_every_shard() {
    let reactor = reactor(3);
    let all = streams(&reactor, 1);
    let bell = Arc::new(Bell::default());
    let mut readers: Vec<_> =
        all.iter().flatten().map(|(ours, _)| Box::pin(ours.source().ready(Interest::READABLE))).collect();
    readers.iter_mut().for_each(|reader| assert!(poll(reader.as_mut(), &bell).is_pending()));
    let mut wakes = WakeList::new();
    reactor.close_reactor(&mut wakes);
    wakes.wake_all();
    assert_eq!(bell.rings(), 3);
    for shard in 0..3 {
        let mut listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = reactor.register(shard, &mut listener, Ready::EMPTY).unwrap_err();
        assert!(error.to_string().contains("shut down"), "{error}");
    }
}

/// Three threads turn what there is, as sleepers and between tasks, while a fourth writes: each
/// byte is heard of.
#[test]
fn no_event_is_lost_between_those_who_rest_and_those_who_look() {
    const ROUNDS: usize = 1_000;
    let reactor = Arc::new(Reactor::new(3, 1, 2).unwrap());
    let mut all = streams(&reactor, 2);
    let over = Arc::new(AtomicBool::new(false));
    let turners = [false, true, true].map(|rests| {
        let (reactor, over) = (Arc::clone(&reactor), Arc::clone(&over));
        let turn = move || {
            let next = Cell::new(0);
            // Ordering: Acquire — pairs with the Release below.
            while !over.load(Ordering::Acquire) {
                if rests {
                    if let Some(mut turn) = reactor.try_drive() {
                        let _ = turn.rest(None, &mut WakeList::new()).unwrap();
                    }
                } else {
                    let _ = poll_once(&reactor, &next, 3);
                }
                thread::yield_now();
            }
        };
        thread::Builder::new().spawn(turn).unwrap()
    });
    for _ in 0..ROUNDS {
        all.iter_mut().flatten().for_each(|(_, peer)| peer.write_all(b"x").unwrap());
        for (ours, _) in all.iter().flatten() {
            let read = || std::io::Read::read(&mut ours.io(), &mut [0]).map(Opaque);
            // Nobody waits here to be woken: somebody has to bring the event.
            while ours.source().try_io(Interest::READABLE, read).is_err() {
                thread::yield_now();
            }
        }
    }
    // Ordering: Release — pairs with the Acquire above.
    over.store(true, Ordering::Release);
    for turner in turners {
        while !turner.is_finished() {
            reactor.interrupt().unwrap();
            thread::yield_now();
        }
        turner.join().unwrap();
    }
}
