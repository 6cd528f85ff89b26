#![doc = include_str!("../docs/queues.md")]

mod chain;
mod global;
mod lane;
mod lane_cursor;
mod ring;
mod slot;

pub(crate) use chain::Chain;
pub(crate) use global::GlobalQueue;
pub(crate) use lane::Lane;
pub(crate) use lane_cursor::LaneCursor;
pub(crate) use ring::{CAPACITY, Owner, Ring, Thief};
pub(crate) use slot::LifoSlot;

#[cfg(all(test, not(heist_loom)))]
mod lane_tests;
#[cfg(all(test, not(heist_loom)))]
mod tests;
