#![doc = include_str!("../docs/queues.md")]

mod chain;
mod global;
mod ring;
mod slot;

pub(crate) use chain::Chain;
pub(crate) use global::GlobalQueue;
pub(crate) use ring::{CAPACITY, Owner, Ring, Thief};
pub(crate) use slot::LifoSlot;

#[cfg(all(test, not(heist_loom)))]
mod tests;
