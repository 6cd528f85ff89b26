//! Kinds of signals.

use std::ffi::c_int;

/// A kind of signal.
///
/// # Examples
///
/// ```
/// use heist::signal::unix::SignalKind;
///
/// assert_eq!(SignalKind::terminate(), SignalKind::from_raw(15));
/// assert_eq!(SignalKind::hangup().as_raw_value(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignalKind(c_int);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:ident;)*) => {
        impl SignalKind {
            $(
                $(#[$doc])*
                ///
                /// ```
                #[doc = concat!("assert_eq!(heist::signal::unix::SignalKind::", stringify!($name), "().as_raw_value(), libc::", stringify!($number), ");")]
                /// ```
                pub const fn $name() -> SignalKind {
                    SignalKind(libc::$number)
                }
            )*
        }
    };
}

kinds! {
    /// `SIGALRM`: a timer of the process has run out.
    alarm = SIGALRM;
    /// `SIGCHLD`: something has happened to a child process.
    child = SIGCHLD;
    /// `SIGHUP`: the terminal is gone; by custom, to read the configuration again.
    hangup = SIGHUP;
    /// `SIGINT`: ctrl-c.
    interrupt = SIGINT;
    /// `SIGIO`: a descriptor is ready.
    io = SIGIO;
    /// `SIGPIPE`: something was written into a pipe that nobody reads. Rust programs ignore it.
    pipe = SIGPIPE;
    /// `SIGQUIT`: ctrl-backslash.
    quit = SIGQUIT;
    /// `SIGTERM`: to end, in good order.
    terminate = SIGTERM;
    /// `SIGUSR1`: what the program makes of it.
    user_defined1 = SIGUSR1;
    /// `SIGUSR2`: what the program makes of it.
    user_defined2 = SIGUSR2;
    /// `SIGWINCH`: the terminal's size has changed.
    window_change = SIGWINCH;
}

#[cfg(any(
    target_vendor = "apple",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
kinds! {
    /// `SIGINFO`: ctrl-t, to say how far the program is.
    info = SIGINFO;
}

impl SignalKind {
    /// The kind with the operating system's number; for those that have no name here.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::signal::unix::SignalKind;
    ///
    /// assert_eq!(SignalKind::from_raw(libc::SIGHUP), SignalKind::hangup());
    /// ```
    pub const fn from_raw(signum: c_int) -> SignalKind {
        SignalKind(signum)
    }

    /// The operating system's number.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::signal::unix::SignalKind;
    ///
    /// assert_eq!(SignalKind::hangup().as_raw_value(), libc::SIGHUP);
    /// ```
    pub const fn as_raw_value(&self) -> c_int {
        self.0
    }
}

impl From<c_int> for SignalKind {
    fn from(signum: c_int) -> SignalKind {
        SignalKind(signum)
    }
}

impl From<SignalKind> for c_int {
    fn from(kind: SignalKind) -> c_int {
        kind.0
    }
}
