//! The magazines that the workers of a runtime exchange.

use super::CLASSES;
use super::magazine::Magazine;
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, Mutex};

/// Bytes that a depot keeps per worker of its runtime: a burst of some ten thousand small tasks.
pub(super) const MAX_BYTES_PER_WORKER: usize = 2 << 20;

/// Full magazines, by class, which the workers of a runtime share.
#[derive(Debug)]
pub(crate) struct Depot {
    depot_classes: Box<[DepotClass]>,
    /// Bytes in the magazines.
    pub(super) stored_bytes: AtomicUsize,
    max_bytes: usize,
}

#[derive(Debug)]
struct DepotClass {
    #[expect(clippy::vec_box, reason = "they move by their address, also under the lock")]
    magazines: Mutex<Vec<Box<Magazine>>>,
    /// The number of magazines, written under the lock. A reader of zero need not lock.
    len: AtomicUsize,
}

impl Depot {
    /// Creates the depot of a runtime with this number of workers.
    pub(crate) fn new(workers: usize) -> Arc<Depot> {
        let depot_class = |_| DepotClass { magazines: Mutex::new(Vec::new()), len: AtomicUsize::new(0) };
        let depot_classes = (0..=CLASSES).map(depot_class).collect();
        let max_bytes = workers.saturating_mul(MAX_BYTES_PER_WORKER);
        Arc::new(Depot { depot_classes, stored_bytes: AtomicUsize::new(0), max_bytes })
    }

    /// Takes a full magazine of this class, if there is one.
    pub(super) fn fetch(&self, class: usize) -> Option<Box<Magazine>> {
        let depot_class = &self.depot_classes[class];
        // Ordering: Relaxed — a hint; the lock publishes the magazine.
        if depot_class.len.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut magazines = depot_class.magazines.lock();
        let magazine = magazines.pop()?;
        // Ordering: Relaxed — as above.
        depot_class.len.store(magazines.len(), Ordering::Relaxed);
        drop(magazines);
        // Ordering: Relaxed — a figure.
        self.stored_bytes.fetch_sub(magazine.bytes(), Ordering::Relaxed);
        Some(magazine)
    }

    /// Stores a magazine, or frees its blocks if the depot is at its limit.
    pub(super) fn store(&self, magazine: Box<Magazine>) {
        let bytes = magazine.bytes();
        // Ordering: Relaxed — a figure, which is raised before the magazine can be fetched.
        if self.stored_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > self.max_bytes {
            // Ordering: Relaxed — as above.
            self.stored_bytes.fetch_sub(bytes, Ordering::Relaxed);
            // The magazine is dropped outside of the lock, and frees its blocks.
            return;
        }
        let depot_class = &self.depot_classes[magazine.class()];
        let mut magazines = depot_class.magazines.lock();
        magazines.push(magazine);
        // Ordering: Relaxed — as in `Depot::fetch`.
        depot_class.len.store(magazines.len(), Ordering::Relaxed);
    }
}
