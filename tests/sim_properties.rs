//! Properties over sequences of calls, as in `tests/properties.rs`, in the simulator.

#[path = "properties/driver.rs"]
mod driver;
#[path = "properties/groups.rs"]
mod groups;

use driver::Target;

#[test]
fn groups_calls_agree_with_counts_of_places() {
    let regressions = "tests/properties/regressions/groups.txt";
    Target { name: "groups", regressions, cases: 120, run: groups::run }.check();
}
