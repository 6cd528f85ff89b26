//! What an operator does to a runtime: resizes, recordings, dumps.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use heist::runtime::Handle;

use crate::activity;
use crate::dice::Dice;
use crate::failure::fail;
use crate::load::{self, COUNTERS, Load, add};

/// The most workers of the main runtime.
pub(crate) const MAX_WORKERS: usize = 6;

/// The time between two resizes.
const RESIZE_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) fn start(load: &Arc<Load>) {
    let handle = load.handle.clone();
    load.start_thread("resizer", |dice| resize(handle, dice));
    let handle = load.handle.clone();
    load.start_thread("operator", |dice| inspect(handle, dice));
}

fn resize(handle: Handle, mut dice: Dice) {
    let progress = activity::start("resizes");
    let (mut version, mut all_exited) = (0, true);
    while !load::is_over() {
        let workers = 1 + dice.index(MAX_WORKERS);
        let resize = handle.resize(workers);
        add(&COUNTERS.resizes, 1);
        let waits = !dice.one_in(3);
        if waits {
            match resize.wait() {
                Ok(resized) if resized.to == workers && resized.version >= version => version = resized.version,
                other => fail(&format!("a resize to {workers} workers ended with {other:?}, after {version}")),
            }
        } else {
            drop(resize);
        }
        // A resize may be left to another thread, if that thread changes the number of workers or
        // starts a spare right now. Workers that have not exited yet are counted.
        let counted = handle.worker_threads();
        if waits && (counted < workers || all_exited && counted != workers) {
            fail(&format!("the runtime was resized to {workers} workers, and has {counted}"));
        }
        all_exited = waits;
        progress.advance();
        thread::sleep(RESIZE_INTERVAL);
    }
    progress.end();
}

/// Starts and stops the recorder, and takes snapshots and dumps.
fn inspect(handle: Handle, mut dice: Dice) {
    let progress = activity::start("recordings and dumps");
    let recorder = handle.recorder();
    while !load::is_over() {
        match dice.below(4) {
            0 => recorder.start(),
            1 => recorder.stop(),
            2 => {
                let snapshot = recorder.snapshot();
                if !snapshot.as_bytes().starts_with(b"HEISTTRC") {
                    fail("a snapshot has no header");
                }
                add(&COUNTERS.snapshots, 1);
            }
            _ => {
                let text = format!("{}\n{:?}", handle.dump(), handle.metrics());
                if text.is_empty() {
                    fail("a dump is empty");
                }
            }
        }
        progress.advance();
        thread::sleep(dice.micros(300_000));
    }
    recorder.stop();
    progress.end();
}
