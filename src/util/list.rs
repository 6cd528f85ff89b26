//! An intrusive doubly linked list: nodes hold their own links, so that linking never allocates.
//!
//! The list works on raw pointers only, and never forms a reference to a node. So a node's owner
//! may hold shared references to it while it is linked. The owner of the list provides the
//! exclusion, usually by a lock around it.

use std::marker::PhantomData;
use std::ptr::NonNull;

/// The links inside of a node: its two neighbours.
#[derive(Debug)]
pub(crate) struct Links<T> {
    prev: Option<NonNull<T>>,
    next: Option<NonNull<T>>,
}

impl<T> Links<T> {
    pub(crate) const fn new() -> Self {
        Links { prev: None, next: None }
    }
}

/// A type that can be linked into a [`List`].
///
/// # Safety
///
/// For one node, `links` returns a pointer to the same [`Links`] each time, and the pointer is
/// valid as long as the node is. While the node is linked, only the list accesses what it points
/// to.
pub(crate) unsafe trait Linked: Sized {
    /// # Safety
    ///
    /// `node` must point to a live node.
    unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>>;
}

/// A list of nodes that it does not own.
#[derive(Debug)]
pub(crate) struct List<T> {
    head: Option<NonNull<T>>,
    tail: Option<NonNull<T>>,
    marker: PhantomData<*const T>,
}

// SAFETY: the list is two pointers. They are dereferenced only by the unsafe methods below, whose
// contracts require exclusion.
unsafe impl<T> Send for List<T> {}
// SAFETY: a shared list only tells whether it is empty, and its first node.
unsafe impl<T> Sync for List<T> {}

impl<T: Linked> List<T> {
    pub(crate) const fn new() -> Self {
        List { head: None, tail: None, marker: PhantomData }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Returns the first node, which stays linked.
    pub(crate) fn front(&self) -> Option<NonNull<T>> {
        self.head
    }

    /// Links `node` behind the last one.
    ///
    /// # Safety
    ///
    /// `node` is live, is in no list, and stays live until it is taken out.
    pub(crate) unsafe fn push_back(&mut self, node: NonNull<T>) {
        let prev = self.tail.replace(node);
        // SAFETY: the node is live and unlinked, so the list may write its links.
        *unsafe { Self::at(node) } = Links { prev, next: None };
        match prev {
            // SAFETY: a linked node is live, by the contract of `push_back`.
            Some(prev) => unsafe { Self::at(prev) }.next = Some(node),
            None => self.head = Some(node),
        }
    }

    /// Removes the first node.
    #[cfg(test)]
    pub(crate) fn pop_front(&mut self) -> Option<NonNull<T>> {
        let node = self.head?;
        // SAFETY: the node is linked in this list.
        unsafe { self.remove(node) };
        Some(node)
    }

    /// Removes `node`.
    ///
    /// # Safety
    ///
    /// `node` is linked in this list.
    pub(crate) unsafe fn remove(&mut self, node: NonNull<T>) {
        // SAFETY: a linked node is live, and its links are the list's.
        let Links { prev, next } = std::mem::replace(unsafe { Self::at(node) }, Links::new());
        match prev {
            // SAFETY: a neighbour is linked, so it is live.
            Some(prev) => unsafe { Self::at(prev) }.next = next,
            None => self.head = next,
        }
        match next {
            // SAFETY: as above.
            Some(next) => unsafe { Self::at(next) }.prev = prev,
            None => self.tail = prev,
        }
    }

    /// Returns the node behind `node`.
    ///
    /// # Safety
    ///
    /// `node` is linked in this list.
    pub(crate) unsafe fn next(&self, node: NonNull<T>) -> Option<NonNull<T>> {
        // SAFETY: a linked node is live, and its links are the list's.
        unsafe { Self::at(node) }.next
    }

    /// Returns a node's links, for the length of one change.
    ///
    /// # Safety
    ///
    /// `node` is live, its links belong to the list, and no other reference to them exists.
    unsafe fn at<'a>(node: NonNull<T>) -> &'a mut Links<T> {
        // SAFETY: the node is live.
        let mut links = unsafe { T::links(node) };
        // SAFETY: the caller guarantees that the links belong to the list and that no other
        // reference exists.
        unsafe { links.as_mut() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Node {
        name: u32,
        links: Links<Node>,
    }

    // SAFETY: the links lie in the node, and only the list touches them.
    unsafe impl Linked for Node {
        unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>> {
            // SAFETY: the caller guarantees that the node is live.
            let links = unsafe { &raw mut (*node.as_ptr()).links };
            NonNull::new(links).expect("a field's address")
        }
    }

    fn nodes(count: u32) -> Vec<NonNull<Node>> {
        let new = |name| NonNull::from(Box::leak(Box::new(Node { name, links: Links::new() })));
        (0..count).map(new).collect()
    }

    fn names(list: &mut List<Node>) -> Vec<u32> {
        // SAFETY: a popped node belongs to the test, which made it from a box.
        std::iter::from_fn(|| list.pop_front().map(|node| unsafe { Box::from_raw(node.as_ptr()) }.name)).collect()
    }

    #[test]
    fn list_nodes_leave_in_the_order_of_their_pushes() {
        let mut list = List::new();
        for node in nodes(3) {
            // SAFETY: a fresh node.
            unsafe { list.push_back(node) };
        }
        assert_eq!(names(&mut list), [0, 1, 2]);
        assert!(list.is_empty());
    }

    #[test]
    fn list_remove_of_any_node_keeps_the_others() {
        for out in 0..4 {
            let mut list = List::new();
            let all = nodes(4);
            for &node in &all {
                // SAFETY: a fresh node.
                unsafe { list.push_back(node) };
            }
            // SAFETY: it is linked in this list.
            unsafe { list.remove(all[out]) };
            // SAFETY: it is linked nowhere now.
            drop(unsafe { Box::from_raw(all[out].as_ptr()) });
            let rest: Vec<u32> = (0..4).filter(|name| *name != out as u32).collect();
            assert_eq!(names(&mut list), rest);
        }
    }
}
