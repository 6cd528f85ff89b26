//! Task groups: priorities, shares, limits, admission, inheritance, drain.

#[path = "groups/admission.rs"]
mod admission;
#[path = "groups/drain.rs"]
mod drain;
#[path = "groups/inheritance.rs"]
mod inheritance;
#[path = "groups/limits.rs"]
mod limits;
#[path = "groups/priorities.rs"]
mod priorities;
