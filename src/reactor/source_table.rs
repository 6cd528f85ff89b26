//! Finds the source of an event by the key that the event carries.

use std::io;

use slab::Slab;

use crate::primitive::{Arc, Mutex};
use crate::reactor::interest::Ready;
use crate::reactor::shutdown_error::resource_shutdown_error;
use crate::reactor::source::Source;
use crate::util::wake_list::WakeList;

/// Names a source in an event: the index in the table, and the generation of the source there.
///
/// An index is used again as soon as it is free, so an event may arrive for a former source. The
/// generation tells the two apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceKey(usize);

/// The lower bits of a key: 2³² indices, or 2²⁰ on a 32-bit platform.
const INDEX_BITS: u32 = if usize::BITS == 64 { 32 } else { 20 };
const INDEX_MASK: usize = (1 << INDEX_BITS) - 1;

impl SourceKey {
    /// Names no source: [`crate::reactor::Reactor::interrupt`] uses it.
    pub(super) const INTERRUPT: SourceKey = SourceKey(usize::MAX);

    fn new(index: usize, generation: usize) -> SourceKey {
        SourceKey(generation << INDEX_BITS | index)
    }

    fn index(self) -> usize {
        self.0 & INDEX_MASK
    }
}

impl From<SourceKey> for mio::Token {
    fn from(key: SourceKey) -> mio::Token {
        mio::Token(key.0)
    }
}

impl From<mio::Token> for SourceKey {
    fn from(token: mio::Token) -> SourceKey {
        SourceKey(token.0)
    }
}

/// The sources of one shard, under a lock.
///
/// Lock order: a source's own lock may be taken under this lock, never the other way round.
#[derive(Debug)]
pub(crate) struct SourceTable(Mutex<Slots>);

#[derive(Debug)]
struct Slots {
    sources: Slab<Arc<Source>>,
    /// Counts every source that was ever added, so that no two keys are equal until it wraps.
    generation: usize,
    closed: bool,
}

impl SourceTable {
    pub(crate) fn new() -> SourceTable {
        SourceTable(Mutex::new(Slots { sources: Slab::new(), generation: 0, closed: false }))
    }

    /// Adds a source that counts as ready for `presumed`.
    ///
    /// # Errors
    ///
    /// If [`SourceTable::close_all_sources`] has been called, or if no index is free.
    pub(crate) fn insert(&self, presumed: Ready) -> io::Result<Arc<Source>> {
        let mut slots = self.0.lock();
        if slots.closed {
            return Err(resource_shutdown_error());
        }
        let generation = slots.generation;
        let entry = slots.sources.vacant_entry();
        // The last index could make the key of the interrupt.
        if entry.key() >= INDEX_MASK {
            return Err(io::Error::other(
                "the reactor has no free slot for another I/O resource; drop some of its resources first",
            ));
        }
        let source = Arc::new(Source::new(SourceKey::new(entry.key(), generation), presumed));
        entry.insert(Arc::clone(&source));
        slots.generation = generation.wrapping_add(1);
        Ok(source)
    }

    /// Removes a source. Events that still name it are ignored.
    pub(crate) fn remove(&self, source: &Arc<Source>) {
        let mut slots = self.0.lock();
        let index = source.key.index();
        let is_there = slots.sources.get(index).is_some_and(|found| Arc::ptr_eq(found, source));
        let removed = is_there.then(|| slots.sources.remove(index));
        drop(slots);
        drop(removed);
    }

    /// Delivers a batch of events to their sources. Returns how many found their source.
    pub(crate) fn deliver(&self, events: impl Iterator<Item = (SourceKey, Ready)>, wakes: &mut WakeList) -> usize {
        let slots = self.0.lock();
        let mut found = 0;
        for (key, ready) in events {
            if let Some(source) = slots.sources.get(key.index()).filter(|source| source.key == key) {
                source.set_ready(ready, wakes);
                found += 1;
            }
        }
        found
    }

    /// Closes every source, whose waiters are woken to an error, and refuses new ones.
    pub(crate) fn close_all_sources(&self, wakes: &mut WakeList) {
        let mut slots = self.0.lock();
        slots.closed = true;
        for (_, source) in &slots.sources {
            source.close_source(wakes);
        }
    }

    /// Returns how many sources there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().sources.len()
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;
    use crate::reactor::Interest;

    fn ready(source: &Source) -> bool {
        source.try_io(Interest::READABLE, || Ok(crate::reactor::Opaque(()))).is_ok()
    }

    #[test]
    fn event_for_a_removed_source_is_ignored() {
        let sources = SourceTable::new();
        let first = sources.insert(Ready::EMPTY).unwrap();
        sources.remove(&first);
        let second = sources.insert(Ready::EMPTY).unwrap();
        assert_eq!(first.key.index(), second.key.index(), "the index is used again");
        assert_ne!(first.key, second.key);
        let mut wakes = WakeList::new();
        assert_eq!(sources.deliver([(first.key, Ready::READABLE)].into_iter(), &mut wakes), 0);
        assert!(!ready(&second));
        assert_eq!(sources.deliver([(second.key, Ready::READABLE)].into_iter(), &mut wakes), 1);
        assert!(ready(&second));
    }

    #[test]
    fn remove_of_a_removed_source_leaves_the_next_one() {
        let sources = SourceTable::new();
        let first = sources.insert(Ready::EMPTY).unwrap();
        sources.remove(&first);
        let second = sources.insert(Ready::EMPTY).unwrap();
        sources.remove(&first);
        assert_eq!(sources.len(), 1);
        sources.remove(&second);
        assert_eq!(sources.len(), 0);
    }

    #[test]
    fn keys_differ_when_the_generation_wraps() {
        let sources = SourceTable::new();
        sources.0.lock().generation = usize::MAX;
        let first = sources.insert(Ready::EMPTY).unwrap();
        let second = sources.insert(Ready::EMPTY).unwrap();
        assert_ne!(first.key, second.key);
        assert_ne!(first.key, SourceKey::INTERRUPT);
        assert_eq!((first.key.index(), second.key.index()), (0, 1));
    }

    #[test]
    fn insert_after_the_close_gives_the_shutdown_error() {
        let sources = SourceTable::new();
        sources.close_all_sources(&mut WakeList::new());
        for _ in 0..2 {
            let error = sources.insert(Ready::EMPTY).unwrap_err();
            assert!(error.to_string().contains("shut down"), "{error}");
        }
        assert_eq!(sources.len(), 0);
    }
}
