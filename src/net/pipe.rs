//! Making and opening pipes, with and without a name.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use super::pipe_receiver::Receiver;
use super::pipe_sender::Sender;
use crate::context;
use crate::reactor::Ready;

/// Makes a pipe. The bytes written to its sender are read from its receiver.
///
/// # Errors
///
/// If the operating system reports an error.
///
/// # Panics
///
/// If this thread is not inside of a runtime, or if the runtime has no I/O.
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
    Ok((
        Sender::register_on(&reactor, sender, Ready::WRITABLE)?,
        Receiver::register_on(&reactor, receiver, Ready::EMPTY)?,
    ))
}

/// Options of opening a named pipe (a FIFO).
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
    both_directions: bool,
    unchecked: bool,
}

impl OpenOptions {
    /// Makes options with their defaults: one direction, and a check that the file is a pipe.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::net::unix::pipe;
    ///
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let name = format!("heist-fifo-new-{}", std::process::id());
    /// # let path = std::env::temp_dir().join(name);
    /// # assert!(std::process::Command::new("mkfifo").arg(&path).status()?.success());
    /// // `mkfifo` made `path`.
    /// let mut receiver = pipe::OpenOptions::new().open_receiver(&path)?;
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

    /// Opens the pipe for both directions. A receiver then never reads the end, and a sender can be
    /// opened without a receiver. Linux defines this; POSIX does not.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::net::unix::pipe;
    ///
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let name = format!("heist-fifo-both-{}", std::process::id());
    /// # let path = std::env::temp_dir().join(name);
    /// # assert!(std::process::Command::new("mkfifo").arg(&path).status()?.success());
    /// // There is no receiver yet.
    /// let mut sender = pipe::OpenOptions::new().read_write(true).open_sender(&path)?;
    /// sender.write_all(b"hello").await?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn read_write(&mut self, value: bool) -> &mut OpenOptions {
        self.both_directions = value;
        self
    }

    /// Opens the file without the check that it is a pipe.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::net::unix::pipe;
    ///
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let name = format!("heist-fifo-unchecked-{}", std::process::id());
    /// # let path = std::env::temp_dir().join(name);
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

    /// Opens the reading end. It does not wait for a sender. Until there has been one, a read
    /// waits.
    ///
    /// When the last sender is gone, reading ends for good. To read from later senders as well,
    /// open the pipe again.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is not a pipe. Otherwise, if the
    /// operating system reports an error.
    ///
    /// # Panics
    ///
    /// If this thread is not inside of a runtime, or if the runtime has no I/O.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::net::unix::pipe;
    ///
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let name = format!("heist-fifo-receiver-{}", std::process::id());
    /// # let path = std::env::temp_dir().join(name);
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
        let file = self.open(path.as_ref(), std::fs::OpenOptions::new().read(true).write(self.both_directions))?;
        Receiver::register_on(&reactor, OwnedFd::from(file).into(), Ready::EMPTY)
    }

    /// Opens the writing end.
    ///
    /// # Errors
    ///
    /// `ENXIO` if the pipe is not open for reading, unless [`read_write`](OpenOptions::read_write)
    /// is set. [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is not a pipe. Otherwise,
    /// if the operating system reports an error.
    ///
    /// # Panics
    ///
    /// If this thread is not inside of a runtime, or if the runtime has no I/O.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::net::unix::pipe;
    ///
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let name = format!("heist-fifo-sender-{}", std::process::id());
    /// # let path = std::env::temp_dir().join(name);
    /// # assert!(std::process::Command::new("mkfifo").arg(&path).status()?.success());
    /// let no_receiver = pipe::OpenOptions::new().open_sender(&path).unwrap_err();
    /// assert_eq!(no_receiver.raw_os_error(), Some(libc::ENXIO));
    /// let receiver = pipe::OpenOptions::new().open_receiver(&path)?;
    /// pipe::OpenOptions::new().open_sender(&path)?.write_all(b"down the pipe").await?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn open_sender<P: AsRef<Path>>(&self, path: P) -> io::Result<Sender> {
        let reactor = context::reactor();
        let file = self.open(path.as_ref(), std::fs::OpenOptions::new().write(true).read(self.both_directions))?;
        Sender::register_on(&reactor, OwnedFd::from(file).into(), Ready::EMPTY)
    }

    fn open(&self, path: &Path, options: &mut std::fs::OpenOptions) -> io::Result<File> {
        let file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
        if !self.unchecked {
            check_kind(&file)?;
        }
        Ok(file)
    }
}

/// Returns the descriptor `fd`, set non-blocking.
///
/// It must be a pipe that is open for `mode` or for both directions. If it is open for another
/// mode, `remedy` is the text of the error.
pub(super) fn checked_fd(fd: OwnedFd, mode: libc::c_int, remedy: &'static str) -> io::Result<OwnedFd> {
    let file = File::from(fd);
    check_kind(&file)?;
    let flags = flags(file.as_raw_fd())?;
    if ![libc::O_RDWR, mode].contains(&(flags & libc::O_ACCMODE)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, remedy));
    }
    set_flags(file.as_raw_fd(), flags | libc::O_NONBLOCK)?;
    Ok(file.into())
}

pub(super) fn set_blocking(fd: &OwnedFd) -> io::Result<()> {
    set_flags(fd.as_raw_fd(), flags(fd.as_raw_fd())? & !libc::O_NONBLOCK)
}

fn check_kind(file: &File) -> io::Result<()> {
    if file.metadata()?.file_type().is_fifo() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "this is not a pipe: make one with `mkfifo`, or name another file"))
}

fn flags(fd: RawFd) -> io::Result<libc::c_int> {
    // SAFETY: `F_GETFL` reads the flags of a descriptor that the caller keeps open. No memory is
    // passed.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags < 0 { Err(io::Error::last_os_error()) } else { Ok(flags) }
}

fn set_flags(fd: RawFd, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: `F_SETFL` sets the flags of a descriptor that the caller keeps open. No memory is
    // passed.
    let result = unsafe { libc::fcntl(fd, libc::F_SETFL, flags) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
