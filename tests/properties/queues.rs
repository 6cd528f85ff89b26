//! The ring, the LIFO slot and the global queue against deques.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arbitrary::Arbitrary;
use heist::internals::queues::{QueuedTask, RING_CAPACITY, TestGlobalQueue, TestRing, TestSlot};

/// One call. Two rings, a slot that belongs to the first ring, and one global queue take part.
#[derive(Debug, Clone, Copy, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) enum Call {
    /// Pushes so many tasks. If the ring is full, half of it goes to the global queue.
    Push {
        ring: bool,
        count: u8,
    },
    Pop {
        ring: bool,
        count: u8,
    },
    /// Steals from one ring into the other.
    Steal {
        from: bool,
        least: u8,
    },
    Evict {
        ring: bool,
        keep: u8,
    },
    Pin {
        ring: bool,
    },
    /// Pushes into the slot. The displaced task goes to the first ring.
    PushSlot,
    PopSlot,
    Peek,
    /// Claims the task that was peeked last.
    Claim,
    TakeSeat,
    StealMost {
        most: u16,
    },
    PushNew {
        lane: u8,
    },
    PushWoken {
        lane: u8,
    },
    /// Moves tasks from a ring to the global queue, as one chain.
    PushChain {
        ring: bool,
        lane: u8,
        count: u8,
    },
    /// Takes tasks from the global queue into a ring. What does not fit goes back.
    Take {
        ring: bool,
        count: u8,
    },
    NextLane,
    TakeAll,
    Close,
}

/// A sequence of calls. The cursors of the rings begin so far before their wrap.
#[derive(Debug, Clone, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) struct Case {
    before_wrap: [u16; 2],
    lanes: u8,
    first_lane: u8,
    calls: Vec<Call>,
}

/// Counts the futures that live.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Alive {
        count.fetch_add(1, Ordering::Relaxed);
        Alive(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let before = self.0.fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0 && before < usize::MAX / 2, "a future was dropped twice");
    }
}

/// A ring, and what should be in it.
struct Ring {
    ring: TestRing,
    model: VecDeque<u64>,
    /// How many of the oldest are pinned; `None` if more than half a ring was pinned.
    pinned: Option<usize>,
    queued: u32,
    moved: u32,
    stolen: u32,
}

impl Ring {
    fn new(start: u32) -> Ring {
        Ring { ring: TestRing::new(start), model: VecDeque::new(), pinned: Some(0), queued: start, moved: 0, stolen: 0 }
    }

    /// Removes the oldest `count` from the model.
    fn expect_taken(&mut self, count: usize) -> Vec<u64> {
        self.pinned = self.pinned.map(|pinned| pinned.saturating_sub(count));
        self.model.drain(..count).collect()
    }

    /// Pushes a task. Returns the tasks that overflow.
    fn push(&mut self, task: QueuedTask) -> Vec<QueuedTask> {
        let id = task.id();
        self.queued = self.queued.wrapping_add(1);
        let Err(task) = self.ring.push(task) else {
            assert!(self.model.len() < RING_CAPACITY, "a full ring has accepted a task");
            self.model.push_back(id);
            return Vec::new();
        };
        assert_eq!(self.model.len(), RING_CAPACITY, "a ring with room has refused a task");
        let overflow = self.ring.overflow(task);
        let expected: Vec<_> = self.model.drain(RING_CAPACITY / 2..).chain([id]).collect();
        assert_eq!(ids(&overflow), expected, "the newest half overflows, oldest first");
        self.moved = self.moved.wrapping_add(RING_CAPACITY as u32 / 2 - 1);
        overflow
    }

    fn evict(&mut self, keep: usize) -> Vec<QueuedTask> {
        let evicted = self.ring.evict_newest(keep);
        if keep < self.model.len() {
            let expected: Vec<_> = self.model.drain(keep..).collect();
            assert_eq!(ids(&evicted), expected, "the newest are evicted, oldest first");
            self.moved = self.moved.wrapping_add(keep as u32);
            self.pinned = self.pinned.filter(|pinned| *pinned <= keep);
        } else {
            assert!(evicted.is_empty(), "there are no more than are kept");
        }
        evicted
    }

    fn pin(&mut self) {
        if self.model.len() <= RING_CAPACITY / 2 {
            self.ring.pin_contents();
            self.pinned = Some(self.model.len());
        }
    }

    fn pop(&mut self) {
        let expected = self.model.pop_front();
        let popped = self.ring.pop();
        assert_eq!(popped.as_ref().map(QueuedTask::id), expected, "a pop takes the oldest");
        self.pinned = self.pinned.map(|pinned| pinned.saturating_sub(1));
    }

    fn check(&self) {
        assert_eq!(self.ring.len(), (self.model.len(), self.model.len()));
        assert_eq!(self.ring.counts(), (self.queued, self.moved, self.stolen), "queued, moved and stolen");
        if let Some(pinned) = self.pinned {
            assert_eq!(self.ring.pinned_len(), pinned, "pinned tasks");
        }
    }
}

fn ids(tasks: &[QueuedTask]) -> Vec<u64> {
    tasks.iter().map(QueuedTask::id).collect()
}

/// The global queue, and what should be in each lane.
struct Global {
    queue: TestGlobalQueue,
    lanes: Vec<VecDeque<u64>>,
    /// The lane of the cursor, and how many are left of its visit.
    at: usize,
    left: usize,
    remote_pushes: u64,
    is_closed: bool,
}

impl Global {
    fn lane(&mut self, lane: u8) -> &mut VecDeque<u64> {
        let count = self.lanes.len();
        &mut self.lanes[usize::from(lane) % count]
    }

    fn push_chain(&mut self, lane: u8, tasks: Vec<QueuedTask>) {
        let new = ids(&tasks);
        self.lane(lane).extend(new);
        self.queue.push_chain(usize::from(lane), tasks);
    }

    /// Takes tasks, lane by lane. From each it takes what was there when the visit began.
    fn take(&mut self, count: usize) -> Vec<QueuedTask> {
        let mut expected = Vec::new();
        if let [lane] = &mut self.lanes[..] {
            expected.extend(lane.drain(..count.min(lane.len())));
        } else {
            for _ in 0..=self.lanes.len() {
                if expected.len() == count {
                    break;
                }
                let lane = &mut self.lanes[self.at];
                if self.left == 0 {
                    self.left = lane.len();
                }
                let part = self.left.min(count - expected.len());
                expected.extend(lane.drain(..part));
                self.left -= part;
                if self.left == 0 {
                    self.at = (self.at + 1) % self.lanes.len();
                }
            }
        }
        let taken = self.queue.take(count);
        assert_eq!(ids(&taken), expected, "each lane is first in, first out");
        taken
    }

    fn next_lane(&mut self) {
        self.queue.begin_at_next_lane();
        (self.at, self.left) = ((self.at + 1) % self.lanes.len(), 0);
    }

    fn take_all(&mut self) {
        let expected: Vec<_> = self.lanes.iter_mut().flat_map(|lane| lane.drain(..)).collect();
        assert_eq!(ids(&self.queue.take_all()), expected);
        // The visit ends at the next take, which finds less than is left.
        self.left = 0;
        self.queue.begin_at_next_lane();
        self.at = (self.at + 1) % self.lanes.len();
    }

    fn check(&self) {
        let expected: Vec<_> = self.lanes.iter().flatten().copied().collect();
        assert_eq!((self.queue.ids(), self.queue.len()), (expected.clone(), expected.len()));
        assert_eq!(self.queue.remote_pushes(), self.remote_pushes);
    }
}

struct Queues {
    rings: [Ring; 2],
    slot: TestSlot,
    slot_model: Option<u64>,
    seen: Option<(heist::internals::queues::SeenTask, u64)>,
    global: Global,
    alive: Arc<AtomicUsize>,
}

impl Queues {
    fn new(case: &Case) -> Queues {
        let lanes = 1 + usize::from(case.lanes % 5);
        let first = usize::from(case.first_lane);
        Queues {
            rings: case.before_wrap.map(|before| Ring::new(0_u32.wrapping_sub(u32::from(before) % 1024))),
            slot: TestSlot::default(),
            slot_model: None,
            seen: None,
            global: Global {
                queue: TestGlobalQueue::new(lanes, first),
                lanes: vec![VecDeque::new(); lanes],
                at: first % lanes,
                left: 0,
                remote_pushes: 0,
                is_closed: false,
            },
            alive: Arc::default(),
        }
    }

    fn task(&self) -> QueuedTask {
        let alive = Alive::new(&self.alive);
        QueuedTask::new(async move { drop(alive) })
    }

    fn push(&mut self, ring: bool, task: QueuedTask) {
        let overflow = self.rings[usize::from(ring)].push(task);
        if !overflow.is_empty() {
            self.global.push_chain(u8::from(ring), overflow);
        }
    }

    fn steal(&mut self, from: bool, least: usize) {
        let [one, two] = &mut self.rings;
        let (victim, thief) = if from { (two, one) } else { (one, two) };
        let stolen = victim.ring.steal(&thief.ring, least);
        let room = RING_CAPACITY - thief.model.len();
        let count = victim.model.len().div_ceil(2).min(room + 1);
        if count == 0 || victim.model.len() < least {
            assert!(stolen.is_none(), "there are fewer than {least} tasks");
            return;
        }
        let mut expected = victim.expect_taken(count).into_iter();
        assert_eq!(stolen.map(|task| task.id()), expected.next(), "a thief gets the oldest");
        thief.model.extend(expected);
        victim.stolen = victim.stolen.wrapping_add(count as u32);
        thief.stolen = thief.stolen.wrapping_add(count as u32);
        if count > 1 {
            thief.moved = thief.moved.wrapping_add(count as u32 - 1);
            thief.pinned = (thief.model.len() <= RING_CAPACITY / 2).then_some(thief.model.len());
        }
    }

    fn steal_most(&mut self, most: usize) {
        let hand = TestRing::new(u32::MAX - 7);
        let taken = self.slot.steal_most(&self.rings[0].ring, &hand, most);
        let mut expected: Vec<_> = self.slot_model.take().into_iter().collect();
        let ring = &mut self.rings[0];
        while expected.len() + RING_CAPACITY / 2 <= most && !ring.model.is_empty() {
            let count = ring.model.len().div_ceil(2);
            ring.stolen = ring.stolen.wrapping_add(count as u32);
            expected.extend(ring.expect_taken(count));
        }
        assert_eq!(ids(&taken), expected, "a rescue takes the slot, and halves in order");
        assert!(hand.is_empty());
    }

    fn make_call(&mut self, call: Call) {
        match call {
            Call::Push { ring, count } => (0..count).for_each(|_| self.push(ring, self.task())),
            Call::Pop { ring, count } => (0..count).for_each(|_| self.rings[usize::from(ring)].pop()),
            Call::Steal { from, least } => self.steal(from, usize::from(least)),
            Call::Evict { ring, keep } => {
                let keep = usize::from(keep).min(RING_CAPACITY / 2);
                let evicted = self.rings[usize::from(ring)].evict(keep);
                self.global.push_chain(0, evicted);
            }
            Call::Pin { ring } => self.rings[usize::from(ring)].pin(),
            Call::PushSlot => {
                let task = self.task();
                let displaced = self.slot_model.replace(task.id());
                let task = self.slot.push(task);
                assert_eq!(task.as_ref().map(QueuedTask::id), displaced, "a push displaces the task before");
                task.into_iter().for_each(|task| self.push(false, task));
            }
            Call::PopSlot => assert_eq!(self.slot.pop().map(|task| task.id()), self.slot_model.take()),
            Call::Peek => {
                let seen = self.slot.peek();
                assert_eq!(seen.is_some(), self.slot_model.is_some());
                self.seen = seen.zip(self.slot_model);
            }
            Call::Claim => {
                let Some((seen, id)) = self.seen.take() else { return };
                // The allocator may place a new task where the old one was. Then the claim
                // succeeds.
                let claimed = self.slot.claim(seen).map(|task| task.id());
                if self.slot_model == Some(id) || claimed.is_some() {
                    assert_eq!(claimed, self.slot_model.take(), "a claim takes what is in the slot");
                }
            }
            Call::TakeSeat => {
                let taken = self.slot.take_all(&self.rings[0].ring);
                let ring = &mut self.rings[0];
                // Its owner pushes nothing any more in a runtime, so the pins do not matter.
                ring.pinned = None;
                let rest = ring.expect_taken(ring.model.len());
                let expected: Vec<_> = self.slot_model.take().into_iter().chain(rest).collect();
                assert_eq!(ids(&taken), expected);
            }
            Call::StealMost { most } => self.steal_most(1 + usize::from(most % 600)),
            Call::PushNew { lane } => {
                let task = self.task();
                let id = task.id();
                let refused = self.global.queue.push_new(usize::from(lane), task);
                assert_eq!(refused.is_err(), self.global.is_closed, "only a closed queue refuses a task");
                if refused.is_ok() {
                    self.global.lane(lane).push_back(id);
                    self.global.remote_pushes += 1;
                }
            }
            Call::PushWoken { lane } => {
                let task = self.task();
                self.global.lane(lane).push_back(task.id());
                self.global.remote_pushes += 1;
                self.global.queue.push_woken(usize::from(lane), task);
            }
            Call::PushChain { ring, lane, count } => {
                let ring = &mut self.rings[usize::from(ring)];
                let count = usize::from(count).min(ring.model.len());
                let expected = ring.expect_taken(count);
                let chain: Vec<_> = std::iter::from_fn(|| ring.ring.pop()).take(count).collect();
                assert_eq!(ids(&chain), expected);
                self.global.push_chain(lane, chain);
            }
            Call::Take { ring, count } => {
                let taken = self.global.take(usize::from(count));
                taken.into_iter().for_each(|task| self.push(ring, task));
            }
            Call::NextLane => self.global.next_lane(),
            Call::TakeAll => self.global.take_all(),
            Call::Close => {
                self.global.queue.close_queue();
                self.global.is_closed = true;
            }
        }
    }

    fn check(&self) {
        self.rings.iter().for_each(Ring::check);
        self.global.check();
        assert_eq!(self.slot.is_empty(), self.slot_model.is_none());
        let queued = self.rings.iter().map(|ring| ring.model.len()).sum::<usize>();
        let global = self.global.lanes.iter().map(VecDeque::len).sum::<usize>();
        let alive = queued + global + usize::from(self.slot_model.is_some());
        assert_eq!(self.alive.load(Ordering::Relaxed), alive, "each queued task lives, and no other");
    }
}

/// Makes the calls, and compares each with the model.
pub(crate) fn run(case: &Case) {
    let mut queues = Queues::new(case);
    for call in &case.calls {
        queues.make_call(*call);
        queues.check();
    }
    let alive = Arc::clone(&queues.alive);
    drop(queues);
    assert_eq!(alive.load(Ordering::Relaxed), 0, "queues drop the tasks that are left");
}
