//! Every source of a reactor, found by the tag that its events carry.

use std::io;

use slab::Slab;

use crate::reactor::interest::Ready;
use crate::reactor::shutdown_error::gone;
use crate::reactor::source::Source;
use crate::sync::{Arc, Mutex};
use crate::util::wake_list::WakeList;

/// By which events name a source: its place, and which of the place's sources it is.
///
/// A place is let again as soon as it is free, so an event may come for a former source. Its tag
/// says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceKey(usize);

/// The lower bits of a tag; 2³² places, or 2²⁰ where a word is small.
const PLACE_BITS: u32 = if usize::BITS == 64 { 32 } else { 20 };
const PLACE_MASK: usize = (1 << PLACE_BITS) - 1;

impl SourceKey {
    /// Names no source: it means [`crate::reactor::Reactor::interrupt`].
    pub(super) const INTERRUPT: SourceKey = SourceKey(usize::MAX);

    fn new(place: usize, tenancy: usize) -> SourceKey {
        SourceKey(tenancy << PLACE_BITS | place)
    }

    fn index(self) -> usize {
        self.0 & PLACE_MASK
    }
}

impl From<SourceKey> for mio::Token {
    fn from(tag: SourceKey) -> mio::Token {
        mio::Token(tag.0)
    }
}

impl From<mio::Token> for SourceKey {
    fn from(token: mio::Token) -> SourceKey {
        SourceKey(token.0)
    }
}

/// The sources, under their lock. A source's own lock may be taken under it, never the other way
/// round.
#[derive(Debug)]
pub(crate) struct SourceTable(Mutex<Slots>);

#[derive(Debug)]
struct Slots {
    places: Slab<Arc<Source>>,
    /// Counts every source that ever came, so that no two tags are alike until it wraps.
    generation: usize,
    closed: bool,
}

impl SourceTable {
    pub(crate) fn new() -> SourceTable {
        SourceTable(Mutex::new(Slots { places: Slab::new(), generation: 0, closed: false }))
    }

    /// Takes a source in that is presumed ready for `presumed`.
    ///
    /// # Errors
    ///
    /// If [`SourceTable::close_all_sources`] has been called, or if there is no place left.
    pub(crate) fn insert(&self, presumed: Ready) -> io::Result<Arc<Source>> {
        let mut sources = self.0.lock();
        if sources.closed {
            return Err(gone());
        }
        let tenancy = sources.generation;
        let entry = sources.places.vacant_entry();
        // The last place would make a tag that means the interrupt.
        if entry.key() >= PLACE_MASK {
            return Err(io::Error::other("the reactor has no place for another I/O resource"));
        }
        let source = Arc::new(Source::new(SourceKey::new(entry.key(), tenancy), presumed));
        entry.insert(Arc::clone(&source));
        sources.generation = tenancy.wrapping_add(1);
        Ok(source)
    }

    /// Lets a source go: events that still name it find nobody.
    pub(crate) fn remove(&self, source: &Arc<Source>) {
        let mut sources = self.0.lock();
        let place = source.tag.index();
        let is_there = sources.places.get(place).is_some_and(|found| Arc::ptr_eq(found, source));
        let removed = is_there.then(|| sources.places.remove(place));
        drop(sources);
        drop(removed);
    }

    /// Brings a batch of events to their sources; answers how many found theirs.
    pub(crate) fn deliver(&self, events: impl Iterator<Item = (SourceKey, Ready)>, wakes: &mut WakeList) -> usize {
        let sources = self.0.lock();
        let mut found = 0;
        for (tag, ready) in events {
            if let Some(source) = sources.places.get(tag.index()).filter(|source| source.tag == tag) {
                source.set_ready(ready, wakes);
                found += 1;
            }
        }
        found
    }

    /// Ends every source: whoever waits is woken to an error, and nobody is taken in any more.
    pub(crate) fn close_all_sources(&self, wakes: &mut WakeList) {
        let mut sources = self.0.lock();
        sources.closed = true;
        for (_, source) in &sources.places {
            source.close_source(wakes);
        }
    }

    /// How many sources there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().places.len()
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
    fn an_event_for_a_former_tenant_finds_nobody() {
        let sources = SourceTable::new();
        let first = sources.insert(Ready::EMPTY).unwrap();
        sources.remove(&first);
        let second = sources.insert(Ready::EMPTY).unwrap();
        assert_eq!(first.tag.index(), second.tag.index(), "the place is let again");
        assert_ne!(first.tag, second.tag);
        let mut wakes = WakeList::new();
        assert_eq!(sources.deliver([(first.tag, Ready::READABLE)].into_iter(), &mut wakes), 0);
        assert!(!ready(&second));
        assert_eq!(sources.deliver([(second.tag, Ready::READABLE)].into_iter(), &mut wakes), 1);
        assert!(ready(&second));
    }

    #[test]
    fn a_former_tenant_cannot_put_out_the_next() {
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
    fn tags_are_told_apart_when_the_tenancy_wraps() {
        let sources = SourceTable::new();
        sources.0.lock().generation = usize::MAX;
        let first = sources.insert(Ready::EMPTY).unwrap();
        let second = sources.insert(Ready::EMPTY).unwrap();
        assert_ne!(first.tag, second.tag);
        assert_ne!(first.tag, SourceKey::INTERRUPT);
        assert_eq!((first.tag.index(), second.tag.index()), (0, 1));
    }

    #[test]
    fn nobody_is_taken_in_after_the_close() {
        let sources = SourceTable::new();
        sources.close_all_sources(&mut WakeList::new());
        for _ in 0..2 {
            let error = sources.insert(Ready::EMPTY).unwrap_err();
            assert!(error.to_string().contains("shut down"), "{error}");
        }
        assert_eq!(sources.len(), 0);
    }
}
