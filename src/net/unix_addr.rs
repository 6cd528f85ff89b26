//! Addresses of unix sockets, and who is at the other end.

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
    /// Whether it has no name, as the client of a connection has none as a rule.
    ///
    #[doc = crate::net::doc_examples::set!(unix_stream)]
    /// assert!(here.local_addr()?.is_unnamed()); // a pair has no names
    #[doc = crate::net::doc_examples::end!()]
    pub fn is_unnamed(&self) -> bool {
        self.0.is_unnamed()
    }

    /// The path, if it is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::unix::net::SocketAddr;
    ///
    /// let address = heist::net::unix::SocketAddr::from(SocketAddr::from_pathname("/run/service")?);
    /// assert_eq!(address.as_pathname(), Some("/run/service".as_ref()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn as_pathname(&self) -> Option<&Path> {
        self.0.as_pathname()
    }

    /// The name in the abstract namespace, if it is one; without the zero byte in front.
    ///
    #[doc = crate::net::doc_examples::set!(nothing)]
    /// # #[cfg(target_os = "linux")]
    /// # {
    /// use heist::net::UnixListener;
    ///
    /// let name = format!("\0heist-{}", std::process::id()); // a zero byte in front
    /// let listener = UnixListener::bind(&name)?;
    /// assert_eq!(listener.local_addr()?.as_abstract_name(), Some(&name.as_bytes()[1..]));
    /// # }
    #[doc = crate::net::doc_examples::end!()]
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        #[cfg(target_os = "android")]
        use std::os::android::net::SocketAddrExt;
        #[cfg(target_os = "linux")]
        use std::os::linux::net::SocketAddrExt;
        self.0.as_abstract_name()
    }
}

/// The address that a path stands for. On Linux one that begins with a zero byte is a name in the abstract namespace.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn named_by(path: &Path) -> io::Result<std::os::unix::net::SocketAddr> {
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;
    match path.as_os_str().as_encoded_bytes() {
        [0, name @ ..] => std::os::unix::net::SocketAddr::from_abstract_name(name),
        _ => std::os::unix::net::SocketAddr::from_pathname(path),
    }
}

/// The address that a path stands for.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn named_by(path: &Path) -> io::Result<std::os::unix::net::SocketAddr> {
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

/// A user's number.
#[allow(non_camel_case_types, reason = "the operating system's own name")]
pub type uid_t = u32;
/// A group's number.
#[allow(non_camel_case_types, reason = "the operating system's own name")]
pub type gid_t = u32;
/// A process's number.
#[allow(non_camel_case_types, reason = "the operating system's own name")]
pub type pid_t = i32;

/// Who is at the other end of a connection: who made it, or who listened, at that time.
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
    /// The user.
    ///
    #[doc = crate::net::doc_examples::set!(unix_stream)]
    /// let peer = here.peer_cred()?;
    /// println!("user {}, group {}", peer.uid(), peer.gid());
    #[doc = crate::net::doc_examples::end!()]
    pub fn uid(&self) -> uid_t {
        self.uid
    }

    /// The group.
    ///
    #[doc = crate::net::doc_examples::set!(unix_stream)]
    /// let peer = here.peer_cred()?;
    /// println!("user {}, group {}", peer.uid(), peer.gid());
    #[doc = crate::net::doc_examples::end!()]
    pub fn gid(&self) -> gid_t {
        self.gid
    }

    /// The process, where the operating system tells: on Linux and Android.
    ///
    #[doc = crate::net::doc_examples::set!(unix_stream)]
    /// if let Some(pid) = here.peer_cred()?.pid() {
    ///     println!("process {pid}");
    /// }
    #[doc = crate::net::doc_examples::end!()]
    pub fn pid(&self) -> Option<pid_t> {
        self.pid
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn of_peer(socket: &impl std::os::fd::AsRawFd) -> io::Result<UCred> {
        let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: the socket is open; the kernel writes at most `length` bytes to `peer`, and what it wrote to `length`.
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
        // 0 stands for a process that cannot be seen from here.
        Ok(UCred { uid: peer.uid, gid: peer.gid, pid: (peer.pid != 0).then_some(peer.pid) })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn of_peer(socket: &impl std::os::fd::AsRawFd) -> io::Result<UCred> {
        let (mut uid, mut gid) = (0, 0);
        // SAFETY: the socket is open; the two numbers outlive the call.
        let result = unsafe { libc::getpeereid(socket.as_raw_fd(), &raw mut uid, &raw mut gid) };
        if result != 0 { Err(io::Error::last_os_error()) } else { Ok(UCred { uid, gid, pid: None }) }
    }
}
