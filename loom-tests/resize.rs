//! Workers that retire and start: what others rely on them for is done by the remaining ones. See
//! docs/resize.md.
//!
//! Whole workers are too large for the engine. The models use the same parts as a server: the seat
//! state, the idle word, parkers, a ring, wheels, the worker set. No thread sleeps with a timeout,
//! so a lost wake-up is a deadlock.

mod end;
mod grow;
mod orphan_wheels;
mod requests;
mod rest;
mod retire;
mod two_seats;
