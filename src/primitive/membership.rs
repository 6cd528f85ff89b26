//! The threads that belong to a simulation, and those that do not.

use std::sync::Weak;

use super::baton::{Baton, own_baton, with_baton};

/// The simulation to which something belongs, if there is one.
#[derive(Debug)]
pub(crate) struct Simulation(Option<Weak<Baton>>);

impl Simulation {
    /// Returns the simulation of this thread.
    pub(crate) fn of_this_thread() -> Simulation {
        Simulation(own_baton().map(|baton| std::sync::Arc::downgrade(&baton)))
    }

    /// Ends the simulation if this thread is not a part of it. `what` says what the thread does.
    pub(crate) fn check_thread(&self, what: impl FnOnce() -> String) {
        let Some(baton) = self.0.as_ref().and_then(Weak::upgrade) else { return };
        if with_baton(|own| std::ptr::eq(own, &*baton)).unwrap_or(false) {
            return;
        }
        let here = std::thread::current();
        let name = here.name().unwrap_or("without a name");
        baton.stop_all(format!(
            "the thread {name:?} is not a part of the simulation, and {}: no seed decides when. Start it as a blocking job",
            what()
        ));
    }
}
