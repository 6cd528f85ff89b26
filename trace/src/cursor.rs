//! Takes numbers and texts from the bytes of a trace file.

use crate::error::Error;

/// The most bytes of a number.
const MOST_BYTES: usize = 10;

/// A position in a part of the file. Each method either takes what it returns, or names the fault.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    /// The place of `rest` in the file.
    offset: usize,
    place: &'static str,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(rest: &'a [u8], offset: usize, place: &'static str) -> Self {
        Self { rest, offset, place }
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Returns an error at the current byte.
    pub(crate) fn fault(&self, expected: &'static str) -> Error {
        Error::new(self.offset, self.place, expected)
    }

    /// Takes that many bytes.
    pub(crate) fn bytes(&mut self, length: usize, expected: &'static str) -> Result<&'a [u8], Error> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                self.offset += length;
                Ok(taken)
            }
            None => Err(Error::new(self.offset + self.rest.len(), self.place, expected)),
        }
    }

    /// Takes a number in LEB128.
    pub(crate) fn number(&mut self) -> Result<u64, Error> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                self.offset += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_number(),
        }
    }

    fn long_number(&mut self) -> Result<u64, Error> {
        let mut value = 0;
        for (at, byte) in self.rest.iter().take(MOST_BYTES).enumerate() {
            // The tenth byte has the bit 63, and no other.
            if at + 1 == MOST_BYTES && *byte > 1 {
                return Err(self.fault("a number below 2⁶⁴ in ten bytes at most"));
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                self.offset += at + 1;
                return Ok(value);
            }
        }
        Err(Error::new(self.offset + self.rest.len(), self.place, "the rest of a number"))
    }

    /// Takes a text: its length, and that many bytes of UTF-8.
    pub(crate) fn text(&mut self) -> Result<&'a str, Error> {
        let length = self.number()?;
        let start = self.offset;
        let bytes = self.bytes(usize::try_from(length).unwrap_or(usize::MAX), "the rest of a text")?;
        std::str::from_utf8(bytes)
            .map_err(|error| Error::new(start + error.valid_up_to(), self.place, "a text in UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(bytes: &[u8]) -> Result<(u64, usize), Error> {
        let mut cursor = Cursor::new(bytes, 100, "a test");
        cursor.number().map(|value| (value, cursor.offset() - 100))
    }

    #[test]
    fn number_of_each_length_is_taken() {
        assert_eq!(number(&[0, 9]), Ok((0, 1)));
        assert_eq!(number(&[127]), Ok((127, 1)));
        assert_eq!(number(&[0x80, 1]), Ok((128, 2)));
        assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Ok((u64::MAX, 10)));
        assert_eq!(number(&[0x81, 0x80, 0x00]), Ok((1, 3)));
    }

    #[test]
    fn number_that_is_cut_or_too_large_is_a_fault() {
        assert_eq!(number(&[]).unwrap_err().offset(), 100);
        assert_eq!(number(&[0x80, 0x80]).unwrap_err().offset(), 102);
        let large = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(number(&large).unwrap_err().offset(), 100);
        assert!(number(&[0x80; 11]).is_err());
    }

    #[test]
    fn text_that_is_cut_or_no_utf8_is_a_fault() {
        assert_eq!(Cursor::new(b"\x02hi", 0, "a test").text(), Ok("hi"));
        assert_eq!(Cursor::new(b"\x03hi", 0, "a test").text().unwrap_err().offset(), 3);
        assert_eq!(Cursor::new(b"\x02h\xff", 0, "a test").text().unwrap_err().offset(), 2);
        let endless = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, b'a'];
        assert_eq!(Cursor::new(&endless, 0, "a test").text().unwrap_err().offset(), 11);
    }
}
