//! Workers that leave and come: what was left to them is done by others. See docs/resize.md.
//!
//! Whole workers are too large for the engine. Leaving, claiming and hand-off are made of the same
//! parts here as in a server: the seat word, the idle word, parkers, a ring, wheels, the book.
//! Nobody sleeps with a time limit: what is lost is a deadlock.

mod end;
mod grow;
mod orphan_wheels;
mod requests;
mod retire;
mod two_seats;
