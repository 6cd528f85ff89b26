//! The readiness of a resource, and the interest of an operation that waits for it.

use std::fmt;
use std::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, Sub, SubAssign};

/// What an I/O resource is ready for.
///
/// Readiness is a hint: an operation on a ready resource may still return
/// [`WouldBlock`](std::io::ErrorKind::WouldBlock). Then wait again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ready(u8);

impl Ready {
    /// Ready for nothing.
    pub const EMPTY: Ready = Ready(0);
    /// There is something to read.
    pub const READABLE: Ready = Ready(1);
    /// There is room to write.
    pub const WRITABLE: Ready = Ready(1 << 1);
    /// No more data will arrive; what has arrived can still be read.
    pub const READ_CLOSED: Ready = Ready(1 << 2);
    /// No more data can be written.
    pub const WRITE_CLOSED: Ready = Ready(1 << 3);
    /// The resource reports an error.
    pub const ERROR: Ready = Ready(1 << 4);
    /// There is urgent data.
    pub const PRIORITY: Ready = Ready(1 << 5);
    /// Ready for everything.
    pub const ALL: Ready = Ready((1 << BITS) - 1);

    /// The bits that are never cleared once they are set, not even by a `WouldBlock`.
    pub(super) const LASTING: Ready = Ready(Self::READ_CLOSED.0 | Self::WRITE_CLOSED.0);
    /// The bits that the read tick counts.
    pub(super) const INBOUND: Ready = Ready(Self::ALL.0 & !Self::OUTBOUND.0);
    /// The bits that the write tick counts.
    pub(super) const OUTBOUND: Ready = Ready(Self::WRITABLE.0 | Self::WRITE_CLOSED.0);

    /// Returns true if nothing is ready.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Ready;
    ///
    /// assert!(Ready::EMPTY.is_empty());
    /// ```
    pub fn is_empty(self) -> bool {
        self == Ready::EMPTY
    }

    /// Returns true if a read makes sense: there is data, or the end of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Ready;
    ///
    /// assert!(Ready::READABLE.is_readable() && Ready::READ_CLOSED.is_readable());
    /// ```
    pub fn is_readable(self) -> bool {
        self.intersects(Ready::READABLE | Ready::READ_CLOSED)
    }

    /// Returns true if a write makes sense: there is room, or an error to collect.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Ready;
    ///
    /// assert!(Ready::WRITABLE.is_writable() && !Ready::READABLE.is_writable());
    /// ```
    pub fn is_writable(self) -> bool {
        self.intersects(Ready::WRITABLE | Ready::WRITE_CLOSED)
    }

    /// Returns true if the reading side has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Ready;
    ///
    /// assert!(Ready::READ_CLOSED.is_read_closed() && !Ready::READABLE.is_read_closed());
    /// ```
    pub fn is_read_closed(self) -> bool {
        self.intersects(Ready::READ_CLOSED)
    }

    /// Returns true if the writing side has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Ready;
    ///
    /// assert!(Ready::WRITE_CLOSED.is_write_closed() && !Ready::WRITABLE.is_write_closed());
    /// ```
    pub fn is_write_closed(self) -> bool {
        self.intersects(Ready::WRITE_CLOSED)
    }

    /// Returns true if there is urgent data.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Ready;
    ///
    /// assert!(Ready::PRIORITY.is_priority() && !Ready::READABLE.is_priority());
    /// ```
    pub fn is_priority(self) -> bool {
        self.intersects(Ready::PRIORITY)
    }

    /// Returns true if the resource reports an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Ready;
    ///
    /// assert!(Ready::ERROR.is_error() && !Ready::READABLE.is_error());
    /// ```
    pub fn is_error(self) -> bool {
        self.intersects(Ready::ERROR)
    }

    /// Returns true if a bit is set in both.
    pub(super) fn intersects(self, other: Ready) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn bits(self) -> u8 {
        self.0
    }

    pub(super) fn from_bits(bits: u8) -> Ready {
        Ready(bits & Ready::ALL.0)
    }
}

/// The number of bits in a [`Ready`].
pub(super) const BITS: u32 = 6;

impl BitOr for Ready {
    type Output = Ready;
    fn bitor(self, other: Ready) -> Ready {
        Ready(self.0 | other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Ready) {
        *self = *self | other;
    }
}

impl BitAnd for Ready {
    type Output = Ready;
    fn bitand(self, other: Ready) -> Ready {
        Ready(self.0 & other.0)
    }
}

impl BitAndAssign for Ready {
    fn bitand_assign(&mut self, other: Ready) {
        *self = *self & other;
    }
}

impl Sub for Ready {
    type Output = Ready;
    fn sub(self, other: Ready) -> Ready {
        Ready(self.0 & !other.0)
    }
}

impl SubAssign for Ready {
    fn sub_assign(&mut self, other: Ready) {
        *self = *self - other;
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; BITS as usize] =
            ["READABLE", "WRITABLE", "READ_CLOSED", "WRITE_CLOSED", "ERROR", "PRIORITY"];
        write_names(f, self.0, &NAMES)
    }
}

/// The operations on an I/O resource that a task waits for.
///
/// Interests are combined with `|`. There is always at least one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// Reading. A closed reading side counts too, because a read reports the end.
    pub const READABLE: Interest = Interest(1);
    /// Writing. A closed writing side counts too, because a write reports the error.
    pub const WRITABLE: Interest = Interest(1 << 1);
    /// Errors, such as those in a socket's error queue.
    pub const ERROR: Interest = Interest(1 << 2);
    /// Urgent data.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub const PRIORITY: Interest = Interest::URGENT;

    const URGENT: Interest = Interest(1 << 3);

    /// Combines both interests. Does the same as `|`, in constants, too.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Interest;
    ///
    /// const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);
    /// assert_eq!(BOTH, Interest::READABLE | Interest::WRITABLE);
    /// ```
    #[must_use]
    pub const fn add(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }

    /// Returns this interest without `other`, or `None` if nothing is left.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Interest;
    ///
    /// let both = Interest::READABLE | Interest::WRITABLE;
    /// assert_eq!(both.remove(Interest::WRITABLE), Some(Interest::READABLE));
    /// assert_eq!(both.remove(both), None); // there is no empty interest
    /// ```
    #[must_use]
    pub fn remove(self, other: Interest) -> Option<Interest> {
        let rest = self.0 & !other.0;
        (rest != 0).then_some(Interest(rest))
    }

    /// Returns true if reading is part of the interest.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Interest;
    ///
    /// assert!((Interest::READABLE | Interest::WRITABLE).is_readable());
    /// ```
    pub const fn is_readable(self) -> bool {
        self.0 & Interest::READABLE.0 != 0
    }

    /// Returns true if writing is part of the interest.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Interest;
    ///
    /// assert!(!Interest::READABLE.is_writable());
    /// ```
    pub const fn is_writable(self) -> bool {
        self.0 & Interest::WRITABLE.0 != 0
    }

    /// Returns true if errors are part of the interest.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Interest;
    ///
    /// assert!(!Interest::READABLE.is_error());
    /// ```
    pub const fn is_error(self) -> bool {
        self.0 & Interest::ERROR.0 != 0
    }

    /// Returns true if urgent data is part of the interest.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Interest;
    ///
    /// assert!(!Interest::READABLE.is_priority());
    /// ```
    pub const fn is_priority(self) -> bool {
        self.0 & Interest::URGENT.0 != 0
    }

    /// Returns the readiness that ends a wait with this interest.
    pub(crate) fn mask(self) -> Ready {
        let mut mask = Ready::EMPTY;
        if self.is_readable() {
            mask |= Ready::READABLE | Ready::READ_CLOSED;
        }
        if self.is_writable() {
            mask |= Ready::WRITABLE | Ready::WRITE_CLOSED;
        }
        if self.is_error() {
            mask |= Ready::ERROR;
        }
        if self.is_priority() {
            mask |= Ready::PRIORITY | Ready::READ_CLOSED;
        }
        mask
    }
}

impl BitOr for Interest {
    type Output = Interest;
    fn bitor(self, other: Interest) -> Interest {
        self.add(other)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Interest) {
        *self = *self | other;
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_names(f, self.0, &["READABLE", "WRITABLE", "ERROR", "PRIORITY"])
    }
}

/// Writes the names of the bits that are set, with `|` between them.
fn write_names(f: &mut fmt::Formatter<'_>, bits: u8, names: &[&str]) -> fmt::Result {
    let mut separator = "";
    for (bit, name) in names.iter().enumerate() {
        if bits & (1 << bit) != 0 {
            write!(f, "{separator}{name}")?;
            separator = " | ";
        }
    }
    if separator.is_empty() { f.write_str("EMPTY") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interest_mask_has_its_own_readiness_and_none_of_the_other_direction() {
        assert_eq!(Interest::READABLE.mask(), Ready::READABLE | Ready::READ_CLOSED);
        assert_eq!(Interest::WRITABLE.mask(), Ready::WRITABLE | Ready::WRITE_CLOSED);
        assert!(!Interest::READABLE.mask().intersects(Interest::WRITABLE.mask()));
        assert!(!Interest::ERROR.mask().intersects(Interest::WRITABLE.mask() | Interest::READABLE.mask()));
    }

    #[test]
    fn ready_inbound_and_outbound_split_all_bits() {
        assert!(!Ready::INBOUND.intersects(Ready::OUTBOUND));
        assert_eq!(Ready::INBOUND | Ready::OUTBOUND, Ready::ALL);
    }

    #[test]
    fn debug_writes_the_names_of_the_bits() {
        assert_eq!(format!("{:?}", Ready::READABLE | Ready::ERROR), "READABLE | ERROR");
        assert_eq!(format!("{:?}", Ready::EMPTY), "EMPTY");
        assert_eq!(format!("{:?}", Interest::READABLE | Interest::WRITABLE), "READABLE | WRITABLE");
    }

    #[test]
    fn interest_remove_of_the_last_returns_none() {
        let both = Interest::READABLE | Interest::WRITABLE;
        assert_eq!(both.remove(Interest::WRITABLE), Some(Interest::READABLE));
        assert_eq!(Interest::READABLE.remove(both), None);
    }
}
