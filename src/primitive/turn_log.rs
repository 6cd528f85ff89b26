//! What the threads of a simulation have done, for a reader.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use super::baton::Threads;

/// How many of the last turns are kept, and how many earlier ones with a deviation.
const TURNS: usize = 40;

/// The last turns of a simulation, with what happened in each.
#[derive(Debug)]
pub(super) struct TurnLog {
    /// Earlier turns in which a deviation took place.
    deviations: Vec<Turn>,
    turns: VecDeque<Turn>,
    /// The last turns until the root future has ended.
    until_end: Option<VecDeque<Turn>>,
    /// The next event begins a turn.
    at_beginning: bool,
    /// Threads that have been woken, with those that have woken them.
    woken: Vec<(usize, Option<usize>)>,
}

#[derive(Debug)]
struct Turn {
    time: u64,
    thread: usize,
    has_deviation: bool,
    events: Vec<String>,
}

impl TurnLog {
    pub(super) fn new() -> TurnLog {
        TurnLog {
            deviations: Vec::new(),
            turns: VecDeque::new(),
            until_end: None,
            at_beginning: true,
            woken: Vec::new(),
        }
    }

    /// Adds an event. A turn without an event is left out.
    fn push(&mut self, time: u64, thread: usize, event: String) {
        if self.at_beginning {
            self.at_beginning = false;
            if self.turns.len() == TURNS {
                let has_room = self.deviations.len() < TURNS;
                self.deviations.extend(self.turns.pop_front().filter(|turn| turn.has_deviation && has_room));
            }
            self.turns.push_back(Turn { time, thread, has_deviation: false, events: Vec::new() });
        }
        self.turns.back_mut().expect("a turn has begun").events.push(event);
    }
}

impl Threads {
    /// Records an event of the running thread, if this run is recorded.
    pub(super) fn record_event(&mut self, here: usize, event: impl FnOnce() -> String) {
        if let Some(turn_log) = &mut self.turn_log {
            turn_log.push(self.all[here].time, here, event());
        }
    }

    /// Records a deviation of the running thread.
    pub(super) fn record_deviation(&mut self, here: usize, event: impl FnOnce() -> String) {
        self.record_event(here, event);
        if let Some(turn) = self.turn_log.as_mut().and_then(|turn_log| turn_log.turns.back_mut()) {
            turn.has_deviation = true;
        }
    }

    /// Records that the root future has ended. What follows is printed only after a deadlock.
    pub(super) fn record_root_end(&mut self, here: usize) {
        self.record_event(here, || "drops the future of `Sim::run`".to_owned());
        if let Some(turn_log) = &mut self.turn_log {
            turn_log.until_end = Some(std::mem::take(&mut turn_log.turns));
            turn_log.at_beginning = true;
        }
    }

    /// Records that `here` wakes another thread.
    pub(super) fn record_wake(&mut self, by: Option<usize>, woken: usize) {
        if self.turn_log.is_some() {
            let name = self.label(woken);
            if let Some(here) = by {
                self.record_event(here, || format!("wakes {name}"));
            }
        }
        if let Some(turn_log) = &mut self.turn_log {
            turn_log.woken.push((woken, by));
        }
    }

    /// Records that a turn of `here` begins. `timed_out` tells that a wait has ended at its
    /// deadline.
    pub(super) fn record_turn(&mut self, here: usize, timed_out: bool) {
        let Some(turn_log) = &mut self.turn_log else { return };
        turn_log.at_beginning = true;
        let waker =
            turn_log.woken.iter().position(|&(woken, _)| woken == here).map(|at| turn_log.woken.swap_remove(at).1);
        if let Some(waker) = waker {
            let name = waker.map_or_else(|| "the network".to_owned(), |waker| self.label(waker));
            self.record_event(here, || format!("was woken by {name}"));
        } else if timed_out {
            self.record_event(here, || "has waited until its deadline".to_owned());
        }
    }

    /// Returns a name that differs from those of all other threads.
    pub(super) fn label(&self, thread: usize) -> String {
        format!("{}/{thread}", self.all[thread].name)
    }

    /// Returns the last turns, one a line, after earlier turns with a deviation. It is empty if the
    /// run is not recorded.
    pub(super) fn log_text(&self, is_deadlock: bool) -> String {
        let Some(turn_log) = &self.turn_log else { return String::new() };
        let after_end = (is_deadlock || turn_log.until_end.is_none()).then_some(&turn_log.turns);
        let turns = turn_log.until_end.iter().chain(after_end).flatten();
        let mut text = String::new();
        for turn in &turn_log.deviations {
            self.write_turn(&mut text, turn);
        }
        if !turn_log.deviations.is_empty() {
            text.push_str("  (later turns without a deviation)\n");
        }
        for turn in turns {
            self.write_turn(&mut text, turn);
        }
        text
    }

    fn write_turn(&self, text: &mut String, turn: &Turn) {
        let _ =
            writeln!(text, "{:>14}  {:<16}  {}", millis(turn.time), self.label(turn.thread), turn.events.join("; "));
    }
}

/// Returns nanoseconds as a text in milliseconds.
pub(super) fn millis(nanos: u64) -> String {
    format!("{:.6} ms", Duration::from_nanos(nanos).as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::baton::{Baton, Plan};

    fn threads(run: impl FnOnce(&mut Threads)) -> String {
        let baton = Baton::new(1, Duration::from_secs(1), Plan { is_recorded: true, ..Plan::default() });
        crate::primitive::baton::NewThread::root(&baton, "the root", 0);
        baton.with_threads(|threads| {
            run(threads);
            threads.log_text(false)
        })
    }

    #[test]
    fn turn_log_keeps_the_last_turns_and_earlier_deviations() {
        let text = threads(|threads| {
            for turn in 0..100 {
                threads.record_turn(0, false);
                threads.record_event(0, || format!("event {turn};"));
                if turn == 7 {
                    threads.record_deviation(0, || "deviates".to_owned());
                }
            }
        });
        assert_eq!(text.lines().count(), 1 + 1 + TURNS, "{text}");
        assert!(text.lines().next().expect("a line").contains("event 7;; deviates"), "{text}");
        assert!(text.contains("event 99;") && text.contains("event 60;") && !text.contains("event 59;"), "{text}");
    }

    #[test]
    fn turn_log_ends_with_the_root_unless_it_is_a_deadlock() {
        let text = threads(|threads| {
            threads.record_event(0, || "works".to_owned());
            threads.record_root_end(0);
            threads.record_event(0, || "shuts down".to_owned());
            assert!(threads.log_text(true).contains("shuts down"));
        });
        assert!(text.contains("works") && !text.contains("shuts down"), "{text}");
    }

    #[test]
    fn turn_log_tells_what_has_ended_a_wait() {
        let text = threads(|threads| {
            threads.record_wake(Some(0), 0);
            threads.record_turn(0, true);
            threads.record_turn(0, true);
        });
        let lines: Vec<&str> = text.lines().map(|line| line.rsplit("  ").next().expect("a column")).collect();
        assert_eq!(lines, ["wakes the root/0", "was woken by the root/0", "has waited until its deadline"]);
    }
}
