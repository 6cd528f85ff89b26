//! Where a runtime calls user code: each place, as a function that makes the runtime call it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use heist::runtime::Builder;

use super::stage::{Evil, Flavor, Stage};

mod hooks;
mod jobs;
mod resources;
mod tasks;
mod threads;
mod waits;

/// A future that makes the runtime call the user code.
pub(crate) type Trigger = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A place where a runtime calls user code.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) trigger: fn(Arc<Stage>) -> Trigger,
    pub(crate) configure: fn(&mut Builder, Evil),
    /// The only flavour that has the place, if it is not in all of them.
    pub(crate) only: Option<Flavor>,
    /// Why a panic there is left out, if it is.
    no_panic: Option<&'static str>,
    /// A panic reaches the caller that drives the runtime. On two workers it is left out.
    pub(crate) panics_in_driver: bool,
    /// Even a panic that is caught aborts the process there, so no call may panic.
    pub(crate) no_refusal: bool,
    /// The runtime has to end before it calls the user code.
    pub(crate) at_end: bool,
    /// The task that sets the place up has to end before.
    pub(crate) host_ends: bool,
}

impl Place {
    const fn new(name: &'static str, trigger: fn(Arc<Stage>) -> Trigger) -> Place {
        Place {
            name,
            trigger,
            configure: |_, _| (),
            only: None,
            no_panic: None,
            panics_in_driver: false,
            no_refusal: false,
            at_end: false,
            host_ends: false,
        }
    }

    /// Returns why a panic there is left out on that flavour, if it is.
    pub(crate) fn no_panic_on(&self, flavor: Flavor) -> Option<&'static str> {
        self.no_panic.filter(|_| flavor == Flavor::Workers || !self.panics_in_driver)
    }

    const fn configured(self, configure: fn(&mut Builder, Evil)) -> Place {
        Place { configure, ..self }
    }

    const fn only(self, flavor: Flavor) -> Place {
        Place { only: Some(flavor), ..self }
    }

    const fn without_panic(self, why: &'static str) -> Place {
        Place { no_panic: Some(why), ..self }
    }

    const fn panics_in_driver(self) -> Place {
        Place { panics_in_driver: true, ..self }
    }

    const fn without_refusal(self) -> Place {
        Place { no_refusal: true, ..self }
    }

    const fn host_ends(self) -> Place {
        Place { host_ends: true, ..self }
    }

    const fn at_end(self) -> Place {
        Place { at_end: true, ..self }
    }
}

/// Returns every place.
pub(crate) fn all() -> impl Iterator<Item = &'static Place> {
    [tasks::PLACES, jobs::PLACES, waits::PLACES, resources::PLACES, hooks::PLACES, threads::PLACES]
        .into_iter()
        .flatten()
}
