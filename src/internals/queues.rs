//! The queues of tasks, for the property tests: a ring with both its ends, a LIFO slot, and a
//! global queue with a worker's cursor.

use std::future::Future;
use std::panic::Location;

use crate::pool::Seat;
use crate::queue::{self, CAPACITY, Chain, GlobalQueue, LaneCursor, LifoSlot, Owner, Ring, Thief};
use crate::raw_task::{self, Runnable};
use crate::util::stripe::Stripe;

/// Tasks per ring.
pub const RING_CAPACITY: usize = CAPACITY;

/// A task that no runtime owns. Dropping it drops its future.
#[derive(Debug)]
pub struct QueuedTask(Runnable);

impl QueuedTask {
    /// Creates a task. It is never polled.
    pub fn new(future: impl Future<Output = ()> + Send + 'static) -> QueuedTask {
        QueuedTask(raw_task::spawn::<_, Seat>(future, Location::caller().into()).0)
    }

    /// Returns the task's id.
    pub fn id(&self) -> u64 {
        self.0.header().id().get()
    }
}

fn tasks_of(mut chain: Chain) -> Vec<QueuedTask> {
    let length = chain.len();
    let tasks: Vec<_> = std::iter::from_fn(|| chain.pop()).map(QueuedTask).collect();
    assert_eq!(tasks.len(), length, "the length of a chain is the number of its tasks");
    tasks
}

fn chain_of(tasks: Vec<QueuedTask>) -> Chain {
    let mut chain = Chain::new();
    tasks.into_iter().for_each(|task| chain.push(task.0));
    chain
}

/// A worker's ring, with the end of the owner and that of a thief.
#[derive(Debug)]
pub struct TestRing {
    owner: Owner,
    thief: Thief,
}

impl TestRing {
    /// Creates a ring whose cursors begin at `start`.
    pub fn new(start: u32) -> TestRing {
        let (owner, thief) = Ring::new_pair_at(start);
        TestRing { owner, thief }
    }

    /// Pushes a task.
    ///
    /// # Errors
    ///
    /// Returns the task if the ring is full.
    pub fn push(&self, task: QueuedTask) -> Result<(), QueuedTask> {
        self.owner.push(task.0).map_err(QueuedTask)
    }

    /// Takes the oldest task.
    pub fn pop(&self) -> Option<QueuedTask> {
        self.owner.pop().map(QueuedTask)
    }

    /// Pushes a task that the ring has refused. Returns the tasks that are for the global queue.
    pub fn overflow(&self, task: QueuedTask) -> Vec<QueuedTask> {
        tasks_of(self.owner.overflow(task.0))
    }

    /// Removes all but the oldest `keep` tasks.
    pub fn evict_newest(&self, keep: usize) -> Vec<QueuedTask> {
        tasks_of(self.owner.evict_newest(keep))
    }

    /// Pins the present tasks, which are at most half a ring.
    pub fn pin_contents(&self) {
        self.owner.pin_contents();
    }

    /// Returns the number of pinned tasks.
    pub fn pinned_len(&self) -> usize {
        self.owner.pinned_len()
    }

    /// Moves the older half from here into `into`, and returns the oldest.
    pub fn steal(&self, into: &TestRing, least: usize) -> Option<QueuedTask> {
        self.thief.steal(&into.owner, least).map(QueuedTask)
    }

    /// Returns the number of tasks, as the owner and as a thief count them.
    pub fn len(&self) -> (usize, usize) {
        (self.owner.len(), self.thief.len())
    }

    /// Returns true if the ring has no task.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }

    /// Returns how many tasks have been queued here without those that moved, how many have moved,
    /// and how many have been stolen. The first begins at the start of the cursors.
    pub fn counts(&self) -> (u32, u32, u32) {
        (self.owner.queued(), self.owner.requeued(), self.owner.stolen())
    }
}

/// A LIFO slot.
#[derive(Debug)]
pub struct TestSlot(LifoSlot);

/// The content of a slot at one moment.
#[derive(Debug, Clone, Copy)]
pub struct SeenTask(queue::Peeked);

impl Default for TestSlot {
    fn default() -> Self {
        TestSlot(LifoSlot::new())
    }
}

impl TestSlot {
    /// Pushes a task, and returns the one that it displaces.
    pub fn push(&self, task: QueuedTask) -> Option<QueuedTask> {
        self.0.push(task.0).map(QueuedTask)
    }

    /// Takes the task, as the owner does.
    pub fn pop(&self) -> Option<QueuedTask> {
        self.0.pop().map(QueuedTask)
    }

    /// Returns the present content, for a claim.
    pub fn peek(&self) -> Option<SeenTask> {
        self.0.peek().map(SeenTask)
    }

    /// Takes the task that `peek` has seen, if it is still there.
    pub fn claim(&self, seen: SeenTask) -> Option<QueuedTask> {
        self.0.claim(seen.0).map(QueuedTask)
    }

    /// Returns true if there is no task.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the task of this slot, and then all tasks of the ring, as its owner does at its end.
    pub fn take_all(&self, ring: &TestRing) -> Vec<QueuedTask> {
        tasks_of(queue::take_all(&self.0, &ring.owner))
    }

    /// Takes tasks as a rescue does: the slot first, then halves of the ring while `most` leaves
    /// room. They pass through `hand`.
    pub fn steal_most(&self, ring: &TestRing, hand: &TestRing, most: usize) -> Vec<QueuedTask> {
        tasks_of(queue::steal_most(&self.0, &ring.thief, &hand.owner, most))
    }
}

/// A global queue, and the cursor of one worker.
#[derive(Debug)]
pub struct TestGlobalQueue {
    queue: GlobalQueue,
    cursor: LaneCursor,
}

impl TestGlobalQueue {
    /// Creates a queue of so many lanes. The cursor begins at the lane `first`, modulo their
    /// number.
    pub fn new(lanes: usize, first: usize) -> TestGlobalQueue {
        TestGlobalQueue { queue: GlobalQueue::new(lanes), cursor: LaneCursor::new(first) }
    }

    /// Pushes a new task into a lane.
    ///
    /// # Errors
    ///
    /// Returns the task if the queue is closed.
    pub fn push_new(&self, lane: usize, task: QueuedTask) -> Result<(), QueuedTask> {
        self.queue.lane(Stripe::of_seat(lane)).push_new(task.0).map_err(QueuedTask)
    }

    /// Pushes a woken task into a lane.
    pub fn push_woken(&self, lane: usize, task: QueuedTask) {
        self.queue.lane(Stripe::of_seat(lane)).push_woken(task.0);
    }

    /// Pushes a chain of tasks into a lane.
    pub fn push_chain(&self, lane: usize, tasks: Vec<QueuedTask>) {
        self.queue.lane(Stripe::of_seat(lane)).push_chain(chain_of(tasks));
    }

    /// Takes `count` tasks at the cursor, or all if there are fewer.
    pub fn take(&self, count: usize) -> Vec<QueuedTask> {
        tasks_of(self.queue.take(&self.cursor, count))
    }

    /// Moves the cursor to the next lane.
    pub fn begin_at_next_lane(&self) {
        self.cursor.begin_at_next_lane();
    }

    /// Takes all tasks of each lane.
    pub fn take_all(&self) -> Vec<QueuedTask> {
        tasks_of(self.queue.take_all())
    }

    /// Returns the ids of all tasks, lane by lane.
    pub fn ids(&self) -> Vec<u64> {
        let mut ids = Vec::new();
        self.queue.for_each(|task| ids.push(task.id().get()));
        ids
    }

    /// Returns the number of tasks.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Returns true if there is no task.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many tasks `push_new` and `push_woken` have queued.
    pub fn remote_pushes(&self) -> u64 {
        self.queue.remote_pushes()
    }

    /// Closes the queue for new tasks.
    pub fn close_queue(&self) {
        self.queue.close_queue();
    }
}
