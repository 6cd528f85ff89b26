//! Draining: everybody is told, nobody comes in from outside, and each task is accounted for.

#[path = "../support/kit.rs"]
mod kit;

mod counted;
mod deadline;
mod driven;
mod punctual;
mod refused;
mod resize;
mod rig;
mod shutdown;
mod storms;
mod waiting;
