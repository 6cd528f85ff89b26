//! Pipes, with and without a name.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use super::bytes::{reads, writes};
use super::methods::{readable, ready, socket, wired, writable};
use super::mio_socket::{Closing, HasMioSocket};
use crate::context;
use crate::reactor::{Interest, Ready, Registered};

/// A new pipe: what is written to the one end is read from the other.
///
/// # Errors
///
/// What the operating system says.
///
/// # Panics
///
/// Outside of a runtime, or if that has no I/O.
///
/// # Examples
///
/// ```
/// use heist::net::unix::pipe;
///
/// # fn main() -> std::io::Result<()> {
/// heist::runtime::Runtime::new()?.block_on(async {
///     let (mut sender, mut receiver) = pipe::pipe()?;
///     sender.write_all(b"down the pipe").await?;
///     drop(sender);
///     let mut text = String::new();
///     receiver.read_to_string(&mut text).await?;
///     assert_eq!(text, "down the pipe");
///     Ok(())
/// })
/// # }
/// ```
#[track_caller]
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    let reactor = context::reactor();
    let (sender, receiver) = mio::unix::pipe::new()?;
    Ok((Sender::on(&reactor, sender, Ready::WRITABLE)?, Receiver::on(&reactor, receiver, Ready::EMPTY)?))
}

/// How a named pipe (a FIFO) is opened.
///
/// # Examples
///
/// ```no_run
/// use heist::net::unix::pipe;
///
/// # async fn read() -> std::io::Result<()> {
/// let mut receiver = pipe::OpenOptions::new().open_receiver("/run/commands")?;
/// let mut commands = Vec::new();
/// receiver.read_to_end(&mut commands).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    both_ways: bool,
    unchecked: bool,
}

impl OpenOptions {
    /// Nothing special.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::net::unix::pipe;
    ///
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let path = std::env::temp_dir().join(format!("heist-fifo-new-{}", std::process::id()));
    /// # assert!(std::process::Command::new("mkfifo").arg(&path).status()?.success());
    /// let mut receiver = pipe::OpenOptions::new().open_receiver(&path)?; // `path` was made by `mkfifo`
    /// let mut sender = pipe::OpenOptions::new().open_sender(&path)?;
    /// sender.write_all(b"hello").await?;
    /// receiver.read_exact(&mut [0; 5]).await?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Opens it for both directions: a receiver then never sees the end, a sender needs no receiver to be opened. Linux can;
    /// POSIX leaves it open.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::net::unix::pipe;
    ///
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let path = std::env::temp_dir().join(format!("heist-fifo-both-{}", std::process::id()));
    /// # assert!(std::process::Command::new("mkfifo").arg(&path).status()?.success());
    /// let mut sender = pipe::OpenOptions::new().read_write(true).open_sender(&path)?; // nobody reads yet
    /// sender.write_all(b"hello").await?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn read_write(&mut self, value: bool) -> &mut OpenOptions {
        self.both_ways = value;
        self
    }

    /// Does not ask whether what was opened is a pipe.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::net::unix::pipe;
    ///
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let path = std::env::temp_dir().join(format!("heist-fifo-unchecked-{}", std::process::id()));
    /// # assert!(std::process::Command::new("mkfifo").arg(&path).status()?.success());
    /// let receiver = pipe::OpenOptions::new().unchecked(true).open_receiver(&path)?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn unchecked(&mut self, value: bool) -> &mut OpenOptions {
        self.unchecked = value;
        self
    }

    /// Opens the end that reads. It does not wait for a sender; until there has been one, a read waits.
    ///
    /// When the last sender has gone, reading comes to an end for good: to read from later senders too, open it again.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is not a pipe, or what the operating system says.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, or if that has no I/O.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::net::unix::pipe;
    ///
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let path = std::env::temp_dir().join(format!("heist-fifo-receiver-{}", std::process::id()));
    /// # assert!(std::process::Command::new("mkfifo").arg(&path).status()?.success());
    /// let mut receiver = pipe::OpenOptions::new().open_receiver(&path)?;
    /// std::fs::write(&path, "down the pipe")?; // another process, as a rule
    /// let mut text = String::new();
    /// receiver.read_to_string(&mut text).await?;
    /// assert_eq!(text, "down the pipe");
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn open_receiver<P: AsRef<Path>>(&self, path: P) -> io::Result<Receiver> {
        let reactor = context::reactor();
        let file = self.open(path.as_ref(), std::fs::OpenOptions::new().read(true).write(self.both_ways))?;
        Receiver::on(&reactor, OwnedFd::from(file).into(), Ready::EMPTY)
    }

    /// Opens the end that writes.
    ///
    /// # Errors
    ///
    /// `ENXIO` if nobody has it open for reading, unless [`read_write`](OpenOptions::read_write) is set;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is not a pipe; or what the operating system says.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, or if that has no I/O.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::net::unix::pipe;
    ///
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let path = std::env::temp_dir().join(format!("heist-fifo-sender-{}", std::process::id()));
    /// # assert!(std::process::Command::new("mkfifo").arg(&path).status()?.success());
    /// let nobody = pipe::OpenOptions::new().open_sender(&path).unwrap_err();
    /// assert_eq!(nobody.raw_os_error(), Some(libc::ENXIO));
    /// let receiver = pipe::OpenOptions::new().open_receiver(&path)?;
    /// pipe::OpenOptions::new().open_sender(&path)?.write_all(b"down the pipe").await?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn open_sender<P: AsRef<Path>>(&self, path: P) -> io::Result<Sender> {
        let reactor = context::reactor();
        let file = self.open(path.as_ref(), std::fs::OpenOptions::new().write(true).read(self.both_ways))?;
        Sender::on(&reactor, OwnedFd::from(file).into(), Ready::EMPTY)
    }

    fn open(&self, path: &Path, options: &mut std::fs::OpenOptions) -> io::Result<File> {
        let file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
        if !self.unchecked {
            check_kind(&file)?;
        }
        Ok(file)
    }
}

/// The end of a pipe that writes.
///
/// When the other end is gone, a write gives [`BrokenPipe`](io::ErrorKind::BrokenPipe). Dropping it ends the pipe for the
/// reader, if it was the last of its kind.
#[derive(Debug)]
pub struct Sender {
    io: Registered<mio::unix::pipe::Sender>,
}

/// The end of a pipe that reads. It sees the end when every sender is gone and all is read.
#[derive(Debug)]
pub struct Receiver {
    io: Registered<mio::unix::pipe::Receiver>,
}

/// One end of a pipe, from and to files and descriptors.
macro_rules! end {
    ($end:ident, $scene:ident, $wire:ty, $interest:expr, $mode:expr, $remedy:literal) => {
        socket!($end, $wire);
        wired!($end, $wire, self => &self.io);
        ready!($end, $scene);

        impl $end {
            /// Makes one of a file, which is set non-blocking.
            ///
            /// # Errors
            ///
            /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is not a pipe or not open for this direction, or what the
            /// operating system says.
            ///
            /// # Panics
            ///
            /// Outside of a runtime, or if that has no I/O.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// use std::fs::File;
            #[doc = concat!("use heist::net::unix::pipe::", stringify!($end), ";")]
            ///
            /// let file = File::from(here.into_nonblocking_fd()?); // from wherever it comes
            #[doc = concat!("let here = ", stringify!($end), "::from_file(file)?;")]
            /// # drop((here, there));
            #[doc = crate::net::doc_examples::end!()]
            #[track_caller]
            pub fn from_file(file: File) -> io::Result<$end> {
                $end::from_owned_fd(file.into())
            }

            /// As [`from_file`](Self::from_file), of a descriptor.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Panics
            ///
            /// As there.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// use std::fs::File;
            #[doc = concat!("use heist::net::unix::pipe::", stringify!($end), ";")]
            ///
            /// let fd = here.into_blocking_fd()?; // from wherever it comes
            #[doc = concat!("let here = ", stringify!($end), "::from_owned_fd(fd)?;")]
            /// # drop((here, there));
            #[doc = crate::net::doc_examples::end!()]
            #[track_caller]
            pub fn from_owned_fd(fd: OwnedFd) -> io::Result<$end> {
                let reactor = context::reactor();
                let file = File::from(fd);
                check_kind(&file)?;
                let flags = flags(file.as_raw_fd())?;
                if ![libc::O_RDWR, $mode].contains(&(flags & libc::O_ACCMODE)) {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, $remedy));
                }
                set_flags(file.as_raw_fd(), flags | libc::O_NONBLOCK)?;
                $end::on(&reactor, OwnedFd::from(file).into(), Ready::EMPTY)
            }

            /// As [`from_file`](Self::from_file) without a check: the file has to be a pipe, open for this direction and
            /// non-blocking.
            ///
            /// # Errors
            ///
            /// If it cannot be registered.
            ///
            /// # Panics
            ///
            /// Outside of a runtime, or if that has no I/O.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// use std::fs::File;
            #[doc = concat!("use heist::net::unix::pipe::", stringify!($end), ";")]
            ///
            /// let file = File::from(here.into_nonblocking_fd()?);
            #[doc = concat!("let here = ", stringify!($end), "::from_file_unchecked(file)?;")]
            /// # drop((here, there));
            #[doc = crate::net::doc_examples::end!()]
            #[track_caller]
            pub fn from_file_unchecked(file: File) -> io::Result<$end> {
                $end::from_owned_fd_unchecked(file.into())
            }

            /// As [`from_file_unchecked`](Self::from_file_unchecked), of a descriptor.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Panics
            ///
            /// As there.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// use std::fs::File;
            #[doc = concat!("use heist::net::unix::pipe::", stringify!($end), ";")]
            ///
            /// let fd = here.into_nonblocking_fd()?;
            #[doc = concat!("let here = ", stringify!($end), "::from_owned_fd_unchecked(fd)?;")]
            /// # drop((here, there));
            #[doc = crate::net::doc_examples::end!()]
            #[track_caller]
            pub fn from_owned_fd_unchecked(fd: OwnedFd) -> io::Result<$end> {
                $end::on(&context::reactor(), fd.into(), Ready::EMPTY)
            }

            /// Gives the descriptor back, set to blocking mode.
            ///
            /// # Errors
            ///
            /// What the operating system says.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// let file = std::fs::File::from(here.into_blocking_fd()?); // for a thread, or a child process
            #[doc = crate::net::doc_examples::end!()]
            pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
                let fd = self.into_nonblocking_fd()?;
                set_flags(fd.as_raw_fd(), flags(fd.as_raw_fd())? & !libc::O_NONBLOCK)?;
                Ok(fd)
            }

            /// Gives the descriptor back, non-blocking as it is.
            ///
            /// # Errors
            ///
            /// If it cannot be deregistered.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// let fd = here.into_nonblocking_fd()?; // for another runtime
            #[doc = crate::net::doc_examples::end!()]
            pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
                Ok(self.io.into_io()?.into())
            }

            /// Does `f`, an operation on this end, if it seems ready. If `f` answers `WouldBlock`, the end is no longer taken
            /// to be ready; so `f` must answer that only if the pipe did.
            ///
            /// # Errors
            ///
            /// [`WouldBlock`](io::ErrorKind::WouldBlock) if it does not seem ready, or what `f` answers.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// // The operation says what it found; `WouldBlock` would mean that the pipe is not ready after all.
            /// let busy = here.try_io(|| Ok::<(), std::io::Error>(()));
            /// # let _ = busy;
            #[doc = crate::net::doc_examples::end!()]
            pub fn try_io<R>(&self, f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
                self.try_once($interest, f)
            }
        }
    };
}

end!(
    Sender,
    pipe_sender,
    mio::unix::pipe::Sender,
    Interest::WRITABLE,
    libc::O_WRONLY,
    "this pipe is not open for writing: open it with `OpenOptions::write(true)`"
);
writable!(Sender, pipe_sender, poll_write_ready);
writes!(Sender, pipe_sender);

end!(
    Receiver,
    pipe_receiver,
    mio::unix::pipe::Receiver,
    Interest::READABLE,
    libc::O_RDONLY,
    "this pipe is not open for reading: open it with `OpenOptions::read(true)`"
);
readable!(Receiver, pipe_receiver, poll_read_ready);
reads!(Receiver, pipe_receiver);

impl Closing for Sender {
    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn check_kind(file: &File) -> io::Result<()> {
    if file.metadata()?.file_type().is_fifo() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "this is not a pipe: make one with `mkfifo`, or name another file"))
}

fn flags(fd: RawFd) -> io::Result<libc::c_int> {
    // SAFETY: asks for the flags of an open descriptor; no memory is passed.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags < 0 { Err(io::Error::last_os_error()) } else { Ok(flags) }
}

fn set_flags(fd: RawFd, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: sets the flags of an open descriptor; no memory is passed.
    let result = unsafe { libc::fcntl(fd, libc::F_SETFL, flags) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
