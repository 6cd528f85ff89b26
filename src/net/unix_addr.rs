//! Addresses of unix sockets, and the credentials of a peer.

use std::path::Path;
use std::{fmt, io};

/// An address of a unix socket: a path, a name in Linux's abstract namespace, or none.
///
/// # Examples
///
/// ```
/// use heist::net::UnixStream;
///
/// # fn main() -> std::io::Result<()> {
/// let runtime = heist::runtime::Runtime::new()?;
/// let _guard = runtime.enter();
/// let (one, _other) = UnixStream::pair()?;
/// assert!(one.local_addr()?.is_unnamed());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SocketAddr(pub(super) std::os::unix::net::SocketAddr);

impl SocketAddr {
    /// Returns true if the address has no name. Most clients of connections have none.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (stream, peer) = heist::net::UnixStream::pair()?;
    /// assert!(stream.local_addr()?.is_unnamed()); // a pair has no names
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_unnamed(&self) -> bool {
        self.0.is_unnamed()
    }

    /// Returns the path, if the address is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::unix::net::SocketAddr;
    ///
    /// let address = SocketAddr::from_pathname("/run/service")?;
    /// let address = heist::net::unix::SocketAddr::from(address);
    /// assert_eq!(address.as_pathname(), Some("/run/service".as_ref()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn as_pathname(&self) -> Option<&Path> {
        self.0.as_pathname()
    }

    /// Returns the name in the abstract namespace, without the zero byte in front, if the address
    /// is one.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # #[cfg(target_os = "linux")]
    /// # {
    /// use heist::net::UnixListener;
    ///
    /// let name = format!("\0heist-{}", std::process::id()); // a zero byte in front
    /// let listener = UnixListener::bind(&name)?;
    /// assert_eq!(listener.local_addr()?.as_abstract_name(), Some(&name.as_bytes()[1..]));
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        #[cfg(target_os = "android")]
        use std::os::android::net::SocketAddrExt;
        #[cfg(target_os = "linux")]
        use std::os::linux::net::SocketAddrExt;
        self.0.as_abstract_name()
    }
}

/// Returns the address of a path. On Linux, a path that begins with a zero byte is a name in the
/// abstract namespace.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn address_of_path(path: &Path) -> io::Result<std::os::unix::net::SocketAddr> {
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;
    match path.as_os_str().as_encoded_bytes() {
        [0, name @ ..] => std::os::unix::net::SocketAddr::from_abstract_name(name),
        _ => std::os::unix::net::SocketAddr::from_pathname(path),
    }
}

/// Returns the address of a path.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn address_of_path(path: &Path) -> io::Result<std::os::unix::net::SocketAddr> {
    std::os::unix::net::SocketAddr::from_pathname(path)
}

impl fmt::Debug for SocketAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<std::os::unix::net::SocketAddr> for SocketAddr {
    fn from(address: std::os::unix::net::SocketAddr) -> SocketAddr {
        SocketAddr(address)
    }
}

impl From<SocketAddr> for std::os::unix::net::SocketAddr {
    fn from(address: SocketAddr) -> std::os::unix::net::SocketAddr {
        address.0
    }
}

/// The number of a user.
#[allow(non_camel_case_types, reason = "the operating system's own name")]
pub type uid_t = u32;
/// The number of a group.
#[allow(non_camel_case_types, reason = "the operating system's own name")]
pub type gid_t = u32;
/// The number of a process.
#[allow(non_camel_case_types, reason = "the operating system's own name")]
pub type pid_t = i32;

/// The credentials of the other end: of the process that connected, or that listened, at that time.
///
/// # Examples
///
/// ```
/// use heist::net::UnixStream;
///
/// # fn main() -> std::io::Result<()> {
/// let runtime = heist::runtime::Runtime::new()?;
/// let _guard = runtime.enter();
/// let (one, _other) = UnixStream::pair()?;
/// let peer = one.peer_cred()?;
/// assert!(peer.pid().is_none_or(|pid| pid as u32 == std::process::id()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UCred {
    uid: uid_t,
    gid: gid_t,
    pid: Option<pid_t>,
}

impl UCred {
    /// Returns the user.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (stream, peer) = heist::net::UnixStream::pair()?;
    /// let peer = stream.peer_cred()?;
    /// println!("user {}, group {}", peer.uid(), peer.gid());
    /// # Ok(())
    /// # }
    /// ```
    pub fn uid(&self) -> uid_t {
        self.uid
    }

    /// Returns the group.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (stream, peer) = heist::net::UnixStream::pair()?;
    /// let peer = stream.peer_cred()?;
    /// println!("user {}, group {}", peer.uid(), peer.gid());
    /// # Ok(())
    /// # }
    /// ```
    pub fn gid(&self) -> gid_t {
        self.gid
    }

    /// Returns the process, where the operating system reports it: on Linux and Android.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[heist::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let (stream, peer) = heist::net::UnixStream::pair()?;
    /// if let Some(pid) = stream.peer_cred()?.pid() {
    ///     println!("process {pid}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pid(&self) -> Option<pid_t> {
        self.pid
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn of_peer(socket: &impl std::os::fd::AsRawFd) -> io::Result<UCred> {
        let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: `socket` keeps the descriptor open. `peer` is valid for writes of `length` bytes,
        // the most that the kernel writes. `length` outlives the call.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut peer).cast(),
                &raw mut length,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // 0 means a process that is not visible from here.
        Ok(UCred { uid: peer.uid, gid: peer.gid, pid: (peer.pid != 0).then_some(peer.pid) })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn of_peer(socket: &impl std::os::fd::AsRawFd) -> io::Result<UCred> {
        let (mut uid, mut gid) = (0, 0);
        // SAFETY: `socket` keeps the descriptor open. The two numbers outlive the call.
        let result = unsafe { libc::getpeereid(socket.as_raw_fd(), &raw mut uid, &raw mut gid) };
        if result != 0 { Err(io::Error::last_os_error()) } else { Ok(UCred { uid, gid, pid: None }) }
    }
}
