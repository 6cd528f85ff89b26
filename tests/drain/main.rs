//! Draining: tasks are notified, external spawns are refused, and each task is in the report.

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
