//! Timers that fire: each task sleeps once, and the longest sleep bounds the whole from below.

use std::time::Duration;

use crate::contender::Timers;
use crate::meter::Finish;
use crate::sample::{Load, Sample};

pub const SLEEPS: u64 = 20_000;
const LONGEST: u64 = 20;

pub fn run<C: Timers>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, result_rx) = Finish::new(SLEEPS);
    C::detach(runtime.spawn_outside(async move {
        finish.start();
        for n in 0..SLEEPS {
            let duration = Duration::from_millis(1 + n % LONGEST);
            C::detach(C::spawn(async move {
                C::sleep(duration).await;
                finish.end_part();
            }));
        }
    }));
    let mut sample = Sample::micros(result_rx.recv().ok()?, SLEEPS)?;
    sample.value -= (LONGEST * 1_000) as f64;
    assert!(sample.value > 0.0, "a sleep came early");
    Some(sample)
}
