//! A runtime that follows the CPU quota. The control group is a folder of files.
#![cfg(target_os = "linux")]

#[path = "support/kit.rs"]
mod kit;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::{env, fs, io, process, thread};

use heist::runtime::{Builder, Runtime};
use heist::time::Duration;

struct Group(PathBuf);

impl Group {
    fn new(name: &str) -> Group {
        let root = env::temp_dir().join(format!("heist-{name}-{}", process::id()));
        fs::create_dir_all(root.join("proc/self")).unwrap();
        fs::create_dir_all(root.join("cgroup/app")).unwrap();
        fs::write(root.join("proc/self/cgroup"), "0::/app\n").unwrap();
        fs::write(root.join("proc/self/mountinfo"), "31 24 0:27 / /cgroup rw - cgroup2 cgroup2 rw\n").unwrap();
        Group(root)
    }

    /// Writes the file so that readers see the old text or the new one.
    fn set(&self, text: &str) {
        fs::write(self.0.join("next"), text).unwrap();
        fs::rename(self.0.join("next"), self.0.join("cgroup/app/cpu.max")).unwrap();
    }

    fn builder(&self) -> Builder {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).follow_cpu_quota_in(&self.0, Duration::from_millis(5)).enable_all();
        builder
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Keeps the runtime awake until it has `workers` workers.
fn until(runtime: &Runtime, workers: usize) {
    runtime
        .block_on(runtime.spawn({
            let handle = runtime.handle().clone();
            async move {
                while handle.worker_threads() != workers {
                    heist::task::yield_now().await;
                }
            }
        }))
        .unwrap();
}

#[test]
fn worker_set_follows_quota() {
    let processors = thread::available_parallelism().unwrap().get();
    let group = Group::new("follow");
    let heard: Arc<Mutex<Vec<_>>> = Arc::default();
    let hook = Arc::clone(&heard);
    group.set("max 100000\n");
    let runtime = group.builder().after_resize(move |resized| hook.lock().unwrap().push(resized.to)).build().unwrap();
    let mut sizes = vec![1];
    for (text, size) in
        [("max 100000", processors), ("100000 100000", 1), ("9900000 100000", processors), ("10000 100000", 1)]
    {
        group.set(text);
        until(&runtime, size);
        sizes.push(size);
    }
    sizes.dedup();
    let changes = sizes[1..].to_vec();
    while heard.lock().unwrap().len() < changes.len() {
        thread::yield_now();
    }
    assert_eq!(*heard.lock().unwrap(), changes);
}

/// A manual resize does not last, and the runtime retries a refused thread.
#[test]
fn worker_set_keeps_following_quota() {
    let processors = thread::available_parallelism().unwrap().get();
    let group = Group::new("keep");
    group.set("max 100000");
    let refusals = Arc::new(Mutex::new(3));
    let left = Arc::clone(&refusals);
    let refuse = move |seat: usize| {
        let mut left = left.lock().unwrap();
        (seat > 0 && *left > 0).then(|| {
            *left -= 1;
            io::Error::other("not now")
        })
    };
    let runtime = group.builder().max_worker_threads(processors + 2).refuse_worker(refuse).build().unwrap();
    // A thread that is being started counts as a worker, also if it is refused in the end. The
    // runtime retries only while a task runs.
    let all_refused = async move {
        while *refusals.lock().unwrap() > 0 {
            heist::task::yield_now().await;
        }
    };
    runtime.block_on(runtime.spawn(all_refused)).unwrap();
    until(&runtime, processors);
    runtime.resize(processors + 2).wait().unwrap();
    until(&runtime, processors);
}

/// The watchdog thread follows the quota and must not be blocked.
#[test]
fn hook_that_waits_on_quota_thread_panics() {
    let group = Group::new("wait");
    group.set("max 100000");
    let texts = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&texts);
    let place: Arc<Mutex<Option<heist::runtime::Handle>>> = Arc::default();
    let handle = Arc::clone(&place);
    let hook = move |_| {
        let handle = handle.lock().unwrap().clone().unwrap();
        let wait = kit::panic_text(|| handle.resize(1).wait());
        let block_on = kit::panic_text(|| handle.block_on(handle.resize(1)));
        said.lock().unwrap().extend([wait, block_on]);
    };
    let runtime = group.builder().max_worker_threads(3).worker_threads(3).after_resize(hook).build().unwrap();
    *place.lock().unwrap() = Some(runtime.handle().clone());
    group.set("100000 100000");
    until(&runtime, 1);
    while texts.lock().unwrap().len() < 2 {
        thread::yield_now();
    }
    for text in &texts.lock().unwrap()[..2] {
        assert!(text.contains("follows the CPU quota") && text.contains("on a thread of its own"), "{text}");
    }
}

/// The watchdog thread follows the quota. A subscriber's panic on it is contained.
#[test]
fn subscriber_that_panics_on_the_thread_that_follows_changes_nothing() {
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    struct Panics(Arc<Mutex<u32>>);

    impl<S: tracing::Subscriber> Layer<S> for Panics {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            if event.metadata().target() == "heist::resize" {
                *self.0.lock().unwrap() += 1;
                panic!("in a subscriber (planned)");
            }
        }
    }

    kit::alone("subscriber_that_panics_on_the_thread_that_follows_changes_nothing", None, || {
        let told = Arc::new(Mutex::new(0));
        let panics = Panics(Arc::clone(&told));
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(panics)).unwrap();
        let group = Group::new("subscriber");
        group.set("max 100000");
        // Some threads are refused: the runtime follows the mask as soon as it gets threads.
        let refused = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&refused);
        let refuse = move |seat: usize| {
            let mut refused = counted.lock().unwrap();
            (seat > 0 && *refused < 2).then(|| {
                *refused += 1;
                io::Error::other("not now")
            })
        };
        let runtime = group.builder().max_worker_threads(8).refuse_worker(refuse).build().unwrap();
        let told_twice = async move {
            while *told.lock().unwrap_or_else(std::sync::PoisonError::into_inner) < 2 {
                heist::task::yield_now().await;
            }
        };
        runtime.block_on(runtime.spawn(told_twice)).unwrap();
        until(&runtime, thread::available_parallelism().unwrap().get().min(8));
    });
}
