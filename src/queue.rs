#![doc = include_str!("../docs/queues.md")]

mod chain;
mod global;
mod lane;
mod lifo_slot;
mod ring;

pub(crate) use chain::{Chain, steal_all, steal_most, take_all};
pub(crate) use global::{GlobalQueue, LaneCursor};
pub(crate) use lane::Lane;
pub(crate) use lifo_slot::LifoSlot;
#[cfg(feature = "internals")]
pub(crate) use lifo_slot::Peeked;
pub(crate) use ring::{CAPACITY, Owner, Ring, Thief};

#[cfg(all(test, not(heist_loom)))]
mod lane_tests;
#[cfg(all(test, not(heist_loom)))]
mod tests;
