//! A timeout that never fires: armed when the inner future suspends, cancelled when it is ready.

use std::time::Duration;

use crate::contender::Timers;
use crate::meter::Finish;
use crate::sample::{Load, Sample};

pub const TIMEOUTS: u64 = 20_000;

pub fn run<C: Timers>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, result_rx) = Finish::new(1);
    C::detach(runtime.spawn_outside(async move {
        finish.start();
        for _ in 0..TIMEOUTS {
            C::timeout(Duration::from_secs(5), C::yield_now()).await.expect("a yield took five seconds");
        }
        finish.end_part();
    }));
    Sample::micros(result_rx.recv().ok()?, TIMEOUTS)
}
