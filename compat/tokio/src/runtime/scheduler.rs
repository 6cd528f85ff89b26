//! The handle by which the kept parts of Tokio reach their runtime.

use heist::runtime;

/// A handle of the current runtime.
#[derive(Clone, Debug)]
pub(crate) struct Handle(pub(super) runtime::Handle);

impl Handle {
    /// Returns the handle of the runtime that this thread is in.
    #[track_caller]
    pub(crate) fn current() -> Handle {
        super::install_messages();
        Handle(runtime::Handle::current())
    }

    /// Returns this handle, for the parts that ask for the driver of a runtime.
    pub(crate) fn driver(&self) -> &Handle {
        self
    }

    /// Returns the handle by which signals are enabled.
    #[cfg(all(unix, any(feature = "process", feature = "signal")))]
    #[track_caller]
    pub(crate) fn signal(&self) -> &super::signal::Handle {
        heist::facade::assert_io(&self.0);
        super::signal::handle()
    }
}
