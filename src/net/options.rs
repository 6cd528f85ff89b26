//! What several kinds of socket have by way of `socket2`.

/// Options of IP packets. `$socket` leads to a `socket2::Socket` or a reference to one.
macro_rules! packet_options {
    ($type:ident, $scene:ident, $self:ident => $socket:expr) => {
        /// The type of service. Each gives the operating system's error if it refuses; setting more than 255 is
        /// [`InvalidInput`](std::io::ErrorKind::InvalidInput).
        #[cfg(not(any(
            target_os = "fuchsia",
            target_os = "redox",
            target_os = "solaris",
            target_os = "illumos",
            target_os = "haiku"
        )))]
        #[allow(clippy::missing_errors_doc, reason = "said once, above")]
        impl $type {
            /// The type of service of IPv4 packets (`IP_TOS`).
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// println!("{:#x}", here.tos_v4()?);
            #[doc = crate::net::doc_examples::end!()]
            pub fn tos_v4(&$self) -> std::io::Result<u32> {
                ($socket).tos_v4()
            }

            /// Sets the type of service of IPv4 packets (`IP_TOS`).
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// here.set_tos_v4(0x10)?; // low delay
            /// assert_eq!(here.tos_v4()?, 0x10);
            #[doc = crate::net::doc_examples::end!()]
            pub fn set_tos_v4(&$self, tos: u32) -> std::io::Result<()> {
                ($socket).set_tos_v4(crate::net::bounds::one_byte("set_tos_v4", tos)?)
            }
        }

        /// The traffic class. Each gives the operating system's error if it refuses; setting more than 255 is
        /// [`InvalidInput`](std::io::ErrorKind::InvalidInput).
        #[cfg(any(
            target_os = "android",
            target_os = "dragonfly",
            target_os = "freebsd",
            target_os = "linux",
            target_os = "macos",
            target_os = "netbsd",
            target_os = "openbsd"
        ))]
        #[allow(clippy::missing_errors_doc, reason = "said once, above")]
        impl $type {
            /// The traffic class of IPv6 packets (`IPV6_TCLASS`).
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("# fn traffic(socket: heist::net::", stringify!($type), ") -> std::io::Result<()> {")]
            /// println!("{:#x}", socket.tclass_v6()?);
            /// # Ok(())
            /// # }
            /// ```
            pub fn tclass_v6(&$self) -> std::io::Result<u32> {
                ($socket).tclass_v6()
            }

            /// Sets the traffic class of IPv6 packets (`IPV6_TCLASS`).
            ///
            /// # Examples
            ///
            /// ```no_run
            #[doc = concat!("# fn traffic(socket: heist::net::", stringify!($type), ") -> std::io::Result<()> {")]
            /// socket.set_tclass_v6(0x10)?;
            /// assert_eq!(socket.tclass_v6()?, 0x10);
            /// # Ok(())
            /// # }
            /// ```
            pub fn set_tclass_v6(&$self, tclass: u32) -> std::io::Result<()> {
                ($socket).set_tclass_v6(crate::net::bounds::one_byte("set_tclass_v6", tclass)?)
            }
        }

        /// The interface. Each gives the operating system's error if it refuses.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        #[allow(clippy::missing_errors_doc, reason = "said once, above")]
        impl $type {
            /// The interface that it is bound to (`SO_BINDTODEVICE`), by name.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// assert_eq!(here.device()?, None); // packets of all interfaces
            #[doc = crate::net::doc_examples::end!()]
            pub fn device(&$self) -> std::io::Result<Option<Vec<u8>>> {
                ($socket).device()
            }

            /// Takes packets of this interface only (`SO_BINDTODEVICE`); of all with `None` or an empty name.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// here.bind_device(None)?; // or `Some(b"eth0")`, for which some systems ask for a privilege
            /// assert_eq!(here.device()?, None);
            #[doc = crate::net::doc_examples::end!()]
            pub fn bind_device(&$self, interface: Option<&[u8]>) -> std::io::Result<()> {
                ($socket).bind_device(interface)
            }
        }
    };
}
pub(super) use packet_options;

/// What both kinds of connected IP sockets tell about themselves.
macro_rules! ip_options {
    ($type:ident, $scene:ident) => {
        /// Addresses, errors, the time to live. Each gives the operating system's error if it refuses; a time to live above 255 is
        /// [`InvalidInput`](std::io::ErrorKind::InvalidInput).
        #[allow(clippy::missing_errors_doc, reason = "said once, above")]
        impl $type {
            /// This end's address.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// assert_eq!(here.local_addr()?, there.peer_addr()?);
            #[doc = crate::net::doc_examples::end!()]
            pub fn local_addr(&self) -> std::io::Result<std::net::SocketAddr> {
                self.mio().local_addr()
            }

            /// The other end's address, if it is connected.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// assert_eq!(here.peer_addr()?, there.local_addr()?);
            #[doc = crate::net::doc_examples::end!()]
            pub fn peer_addr(&self) -> std::io::Result<std::net::SocketAddr> {
                self.mio().peer_addr()
            }

            /// The error that is pending on the socket, which takes it away.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// assert!(here.take_error()?.is_none()); // nothing has gone wrong
            #[doc = crate::net::doc_examples::end!()]
            pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
                self.mio().take_error()
            }

            /// The time to live of packets sent from it.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// println!("{} hops at most", here.ttl()?);
            #[doc = crate::net::doc_examples::end!()]
            pub fn ttl(&self) -> std::io::Result<u32> {
                self.mio().ttl()
            }

            /// Sets the time to live of packets sent from it.
            ///
            #[doc = crate::net::doc_examples::set!($scene)]
            /// here.set_ttl(9)?;
            /// assert_eq!(here.ttl()?, 9);
            #[doc = crate::net::doc_examples::end!()]
            pub fn set_ttl(&self, ttl: u32) -> std::io::Result<()> {
                self.mio().set_ttl(crate::net::bounds::one_byte("set_ttl", ttl)?)
            }
        }
    };
}
pub(super) use ip_options;

/// The descriptor of a type around a `socket` of `socket2`.
#[cfg(unix)]
macro_rules! raw_socket {
    ($type:ident) => {
        impl std::os::fd::AsFd for $type {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.socket.as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $type {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.socket.as_raw_fd()
            }
        }

        impl std::os::fd::IntoRawFd for $type {
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                self.socket.into_raw_fd()
            }
        }

        impl std::os::fd::FromRawFd for $type {
            /// The descriptor has to be a socket of this kind, and non-blocking.
            unsafe fn from_raw_fd(fd: std::os::fd::RawFd) -> $type {
                // SAFETY: the caller owns the descriptor and gives it away.
                $type { socket: unsafe { socket2::Socket::from_raw_fd(fd) } }
            }
        }
    };
}
#[cfg(unix)]
pub(super) use raw_socket;
