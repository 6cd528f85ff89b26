//! Activities that have to make progress, and the thread that observes them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::failure::{abort_hanging, fail, lock};

/// Something that makes progress again and again: a probe, or a loop of the soak.
#[derive(Debug)]
pub(crate) struct Activity {
    name: String,
    count: AtomicU64,
    ended: AtomicBool,
}

static ALL: Mutex<Vec<Arc<Activity>>> = Mutex::new(Vec::new());

/// The observer visits each activity so often.
const INTERVAL: Duration = Duration::from_millis(250);

/// Starts an activity, which has to make progress from now on.
pub(crate) fn start(name: &str) -> Arc<Activity> {
    let activity = Activity { name: name.to_owned(), count: AtomicU64::new(0), ended: AtomicBool::new(false) };
    let activity = Arc::new(activity);
    lock(&ALL).push(Arc::clone(&activity));
    activity
}

impl Activity {
    /// Records progress.
    pub(crate) fn advance(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the activity: it need not make progress any more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// Returns the names of the activities and how often each made progress.
pub(crate) fn progress() -> Vec<(String, u64)> {
    lock(&ALL).iter().map(|activity| (activity.name.clone(), activity.count.load(Ordering::Relaxed))).collect()
}

/// Starts the thread that aborts the process if an activity makes no progress for `limit`.
///
/// The thread counts its own turns. So a process that was stopped for long is not a hang.
pub(crate) fn start_observer(limit: Duration) {
    let turns = (limit.as_millis() / INTERVAL.as_millis()) as u64;
    let started = thread::Builder::new().name("observer".to_owned()).spawn(move || {
        // The last count of each activity, and for how many turns it has been the same.
        let mut seen: Vec<(u64, u64)> = Vec::new();
        loop {
            thread::sleep(INTERVAL);
            let activities = lock(&ALL).clone();
            seen.resize(activities.len(), (0, 0));
            for (activity, (last, same)) in activities.iter().zip(&mut seen) {
                let count = activity.count.load(Ordering::Relaxed);
                *same = if count == *last { *same + 1 } else { 0 };
                *last = count;
                if *same > turns && !activity.ended.load(Ordering::Relaxed) {
                    abort_hanging(&format!(
                        "\"{}\" makes no progress for {limit:?}, after {count} times",
                        activity.name
                    ));
                }
            }
        }
    });
    if let Err(error) = started {
        fail(&format!("no thread for the observer: {error}"));
    }
}
