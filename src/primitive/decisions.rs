//! The numbered deviations of a simulation from its plain schedule.

use std::fmt;
use std::str::FromStr;

use super::baton::Threads;
use super::turn_log::millis;

/// Which deviations of a run take place.
///
/// The text of a set is a list of numbers and ranges: `4,17,20-25`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Kept {
    #[default]
    All,
    /// Those with these numbers, which ascend.
    Only(Vec<u64>),
}

impl Kept {
    fn contains(&self, number: u64) -> bool {
        match self {
            Kept::All => true,
            Kept::Only(numbers) => numbers.binary_search(&number).is_ok(),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kept::Only(numbers) = self else { return f.write_str("all") };
        let ranges = numbers.chunk_by(|one, next| one + 1 == *next).map(|range| match range {
            [first, .., last] => format!("{first}-{last}"),
            _ => range[0].to_string(),
        });
        f.write_str(&ranges.collect::<Vec<_>>().join(","))
    }
}

/// The text is no set of numbers.
#[derive(Debug)]
pub(crate) struct NotNumbers;

/// The longest range that is accepted.
const LONGEST: u64 = 1 << 20;

impl FromStr for Kept {
    type Err = NotNumbers;

    fn from_str(text: &str) -> Result<Kept, NotNumbers> {
        let mut numbers = Vec::new();
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.parse().map_err(|_| NotNumbers)?, last.parse().map_err(|_| NotNumbers)?);
            if u64::checked_sub(last, first).is_none_or(|length| length > LONGEST) {
                return Err(NotNumbers);
            }
            numbers.extend(first..=last);
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Kept::Only(numbers))
    }
}

/// Numbers the deviations of a run, from 1 on, in the order in which they are drawn.
#[derive(Debug)]
pub(super) struct Decisions {
    drawn: u64,
    kept: Kept,
}

impl Decisions {
    pub(super) fn new(kept: Kept) -> Decisions {
        Decisions { drawn: 0, kept }
    }

    /// Numbers the deviation that has been drawn. Returns the number if it takes place.
    pub(super) fn next_kept(&mut self) -> Option<u64> {
        self.drawn += 1;
        self.kept.contains(self.drawn).then_some(self.drawn)
    }

    /// Returns how many deviations have been drawn.
    pub(super) fn drawn(&self) -> u64 {
        self.drawn
    }
}

impl Threads {
    /// Numbers a deviation that has been drawn, and returns true if it takes place.
    pub(super) fn decide(&mut self, here: usize, what: impl FnOnce() -> String) -> bool {
        let Some(number) = self.decisions.next_kept() else { return false };
        self.record_deviation(here, || format!("{} [{number}]", what()));
        true
    }

    /// Draws the deviations at a step of the running thread.
    pub(super) fn deviate(&mut self, here: usize) {
        let away = self.has_long_preemptions().then(|| self.model.costs.draw_preemption(&self.rng)).flatten();
        if let Some(away) = away {
            if self.decide(here, || format!("is preempted for {}", millis(away))) {
                self.charge(here, away);
            }
        }
        let delay = self.draw_delay(here, "a step");
        self.charge(here, delay);
        self.change_priority(here);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_set_is_the_same_after_text_and_back() {
        for text in ["", "7", "4,17", "1-3,5,9-10"] {
            assert_eq!(text.parse::<Kept>().expect("numbers").to_string(), text);
        }
        assert_eq!("9,1,2,1".parse::<Kept>().expect("numbers"), Kept::Only(vec![1, 2, 9]));
        for text in ["x", "1,,2", "-", "3-1", "1-9999999999999"] {
            assert!(text.parse::<Kept>().is_err(), "{text}");
        }
    }

    #[test]
    fn decisions_that_are_not_kept_are_numbered_too() {
        let mut decisions = Decisions::new(Kept::Only(vec![2, 4]));
        assert_eq!([(); 4].map(|()| decisions.next_kept()), [None, Some(2), None, Some(4)]);
        assert_eq!(decisions.drawn(), 4);
    }
}
