//! What somebody waits for, and what a resource is ready for.

use std::fmt;
use std::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, Sub, SubAssign};

/// What an I/O resource is ready for.
///
/// Readiness is a hint: an operation on a ready resource may still answer
/// [`WouldBlock`](std::io::ErrorKind::WouldBlock), and then one waits again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ready(u8);

impl Ready {
    /// Ready for nothing.
    pub const EMPTY: Ready = Ready(0);
    /// There is something to read.
    pub const READABLE: Ready = Ready(1);
    /// There is room to write.
    pub const WRITABLE: Ready = Ready(1 << 1);
    /// Nothing will come any more; what has come can still be read.
    pub const READ_CLOSED: Ready = Ready(1 << 2);
    /// Nothing can be written any more.
    pub const WRITE_CLOSED: Ready = Ready(1 << 3);
    /// The resource reports an error.
    pub const ERROR: Ready = Ready(1 << 4);
    /// There is urgent data.
    pub const PRIORITY: Ready = Ready(1 << 5);
    /// Ready for everything.
    pub const ALL: Ready = Ready((1 << BITS) - 1);

    /// What lasts once it has come: no operation's `WouldBlock` takes it back.
    pub(super) const LASTING: Ready = Ready(Self::READ_CLOSED.0 | Self::WRITE_CLOSED.0);
    /// What travels towards us.
    pub(super) const INBOUND: Ready = Ready(Self::ALL.0 & !Self::OUTBOUND.0);
    /// What travels away from us.
    pub(super) const OUTBOUND: Ready = Ready(Self::WRITABLE.0 | Self::WRITE_CLOSED.0);

    /// Whether nothing is ready.
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

    /// Whether a read makes sense: there are data, or their end.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Ready;
    ///
    /// assert!(Ready::READABLE.is_readable() && Ready::READ_CLOSED.is_readable()); // the end can be read, too
    /// ```
    pub fn is_readable(self) -> bool {
        self.meets(Ready::READABLE | Ready::READ_CLOSED)
    }

    /// Whether a write makes sense: there is room, or an error to be had.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Ready;
    ///
    /// assert!(Ready::WRITABLE.is_writable() && !Ready::READABLE.is_writable());
    /// ```
    pub fn is_writable(self) -> bool {
        self.meets(Ready::WRITABLE | Ready::WRITE_CLOSED)
    }

    /// Whether the reading side has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Ready;
    ///
    /// assert!(Ready::READ_CLOSED.is_read_closed() && !Ready::READABLE.is_read_closed());
    /// ```
    pub fn is_read_closed(self) -> bool {
        self.meets(Ready::READ_CLOSED)
    }

    /// Whether the writing side has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Ready;
    ///
    /// assert!(Ready::WRITE_CLOSED.is_write_closed() && !Ready::WRITABLE.is_write_closed());
    /// ```
    pub fn is_write_closed(self) -> bool {
        self.meets(Ready::WRITE_CLOSED)
    }

    /// Whether there is urgent data.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Ready;
    ///
    /// assert!(Ready::PRIORITY.is_priority() && !Ready::READABLE.is_priority());
    /// ```
    pub fn is_priority(self) -> bool {
        self.meets(Ready::PRIORITY)
    }

    /// Whether the resource reports an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Ready;
    ///
    /// assert!(Ready::ERROR.is_error() && !Ready::READABLE.is_error());
    /// ```
    pub fn is_error(self) -> bool {
        self.meets(Ready::ERROR)
    }

    /// Whether the two have anything in common.
    pub(super) fn meets(self, other: Ready) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn bits(self) -> u8 {
        self.0
    }

    pub(super) fn from_bits(bits: u8) -> Ready {
        Ready(bits & Ready::ALL.0)
    }
}

/// How many bits a [`Ready`] has.
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

/// What a task wants to do with an I/O resource, and therefore waits for.
///
/// Interests are added with `|`; there is always at least one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// To read. Ended reading counts too, for its end has to be read.
    pub const READABLE: Interest = Interest(1);
    /// To write. Ended writing counts too, for its error has to be had.
    pub const WRITABLE: Interest = Interest(1 << 1);
    /// To be told of errors, such as those in a socket's error queue.
    pub const ERROR: Interest = Interest(1 << 2);
    /// To be told of urgent data.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub const PRIORITY: Interest = Interest::URGENT;

    const URGENT: Interest = Interest(1 << 3);

    /// Both interests. The same as `|`, for constants.
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

    /// This interest without the other; `None` if nothing is left.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::io::Interest;
    ///
    /// let both = Interest::READABLE | Interest::WRITABLE;
    /// assert_eq!(both.remove(Interest::WRITABLE), Some(Interest::READABLE));
    /// assert_eq!(both.remove(both), None); // an interest in nothing does not exist
    /// ```
    #[must_use]
    pub fn remove(self, other: Interest) -> Option<Interest> {
        let rest = self.0 & !other.0;
        (rest != 0).then_some(Interest(rest))
    }

    /// Whether reading is among it.
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

    /// Whether writing is among it.
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

    /// Whether errors are among it.
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

    /// Whether urgent data is among it.
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

    /// Every readiness that ends a wait with this interest.
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
    fn every_interest_is_met_by_its_own_readiness_and_no_other_directions() {
        assert_eq!(Interest::READABLE.mask(), Ready::READABLE | Ready::READ_CLOSED);
        assert_eq!(Interest::WRITABLE.mask(), Ready::WRITABLE | Ready::WRITE_CLOSED);
        assert!(!Interest::READABLE.mask().meets(Interest::WRITABLE.mask()));
        assert!(!Interest::ERROR.mask().meets(Interest::WRITABLE.mask() | Interest::READABLE.mask()));
    }

    #[test]
    fn the_two_ways_share_nothing_and_leave_nothing_out() {
        assert!(!Ready::INBOUND.meets(Ready::OUTBOUND));
        assert_eq!(Ready::INBOUND | Ready::OUTBOUND, Ready::ALL);
    }

    #[test]
    fn names_are_written_out() {
        assert_eq!(format!("{:?}", Ready::READABLE | Ready::ERROR), "READABLE | ERROR");
        assert_eq!(format!("{:?}", Ready::EMPTY), "EMPTY");
        assert_eq!(format!("{:?}", Interest::READABLE | Interest::WRITABLE), "READABLE | WRITABLE");
    }

    #[test]
    fn removing_the_last_interest_leaves_none() {
        let both = Interest::READABLE | Interest::WRITABLE;
        assert_eq!(both.remove(Interest::WRITABLE), Some(Interest::READABLE));
        assert_eq!(Interest::READABLE.remove(both), None);
    }
}
