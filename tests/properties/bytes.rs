//! What both ends of a connected pair of sockets should see: how many bytes are on their way, which
//! bytes, and how each direction ends.

use std::io;

/// One end of a connection.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct End {
    pub(crate) is_read_shut: bool,
    pub(crate) is_write_shut: bool,
    pub(crate) is_gone: bool,
    /// How many bytes this end has written and read.
    pub(crate) written: u64,
    pub(crate) read: u64,
}

/// Both ends of a connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connection(pub(crate) [End; 2]);

/// What a read should give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Bytes(u64),
    /// The end, or a reset if the other end has gone with unread bytes.
    End {
        may_be_reset: bool,
    },
    Nothing,
}

impl Connection {
    /// Returns how many bytes are on their way to an end.
    pub(crate) fn on_their_way(&self, to: usize) -> u64 {
        self.0[1 - to].written - self.0[to].read
    }

    pub(crate) fn expected_read(&self, end: usize) -> Expected {
        let (ours, theirs) = (&self.0[end], &self.0[1 - end]);
        match self.on_their_way(end) {
            0 if ours.is_read_shut || theirs.is_write_shut || theirs.is_gone => {
                Expected::End { may_be_reset: theirs.is_gone && self.on_their_way(1 - end) > 0 }
            }
            0 => Expected::Nothing,
            count => Expected::Bytes(count),
        }
    }

    /// Returns whether a write by an end fails for good.
    pub(crate) fn is_write_refused(&self, end: usize) -> bool {
        self.0[end].is_write_shut || self.0[1 - end].is_read_shut || self.0[1 - end].is_gone
    }

    /// Returns the next `count` bytes that an end writes.
    pub(crate) fn next_bytes(&self, end: usize, count: usize) -> Vec<u8> {
        (0..count as u64).map(|offset| byte_at(self.0[end].written + offset)).collect()
    }

    /// Checks the result of a read of an end into `buffer`. If `is_whole`, the read has to return
    /// all that fits. Returns false if it would block.
    #[track_caller]
    pub(crate) fn check_read(&mut self, end: usize, buffer: &[u8], result: &io::Result<usize>, is_whole: bool) -> bool {
        let expected = self.expected_read(end);
        match (result, expected) {
            (Ok(0), Expected::End { .. }) => {}
            (Err(error), Expected::End { may_be_reset: true }) if is_reset(error) => {}
            (Ok(count), Expected::Bytes(there)) => {
                let (count, fits) = (*count as u64, there.min(buffer.len() as u64));
                assert!(count == fits || (!is_whole && 0 < count && count < fits), "read {count} bytes of {fits}");
                let read = self.0[end].read;
                let wrong = (0..count).find(|at| buffer[*at as usize] != byte_at(read + at));
                assert_eq!(wrong, None, "the place of a wrong byte, after {read} bytes");
                self.0[end].read += count;
            }
            (Err(error), _) if error.kind() == io::ErrorKind::WouldBlock => return false,
            (result, expected) => panic!("a read gave {result:?}, and not {expected:?}"),
        }
        true
    }

    /// Checks the result of a write of an end. Returns false if it would block.
    #[track_caller]
    pub(crate) fn check_write(&mut self, end: usize, asked: usize, result: &io::Result<usize>) -> bool {
        match (result, self.is_write_refused(end)) {
            (Ok(count), false) if 0 < *count && *count <= asked => self.0[end].written += *count as u64,
            (Err(error), true) if error.kind() == io::ErrorKind::BrokenPipe || is_reset(error) => {}
            (Err(error), _) if error.kind() == io::ErrorKind::WouldBlock => return false,
            (result, refused) => panic!("a write gave {result:?}; it should be refused: {refused}"),
        }
        true
    }
}

fn is_reset(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionReset
}

fn byte_at(place: u64) -> u8 {
    (place % 251) as u8
}
