//! Messages of Protocol Buffers, as bytes.

use crate::write::put_number;

/// How the bytes of a field are read.
const VARINT: u64 = 0;
const FIXED: u64 = 1;
const BYTES: u64 = 2;

/// A message, to which fields are appended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends a number of variable length.
    pub(crate) fn number(&mut self, field: u64, value: u64) {
        put_number(&mut self.bytes, field << 3 | VARINT);
        put_number(&mut self.bytes, value);
    }

    /// Appends a number of eight bytes.
    pub(crate) fn fixed(&mut self, field: u64, value: u64) {
        put_number(&mut self.bytes, field << 3 | FIXED);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn text(&mut self, field: u64, text: &str) {
        self.append(field, text.as_bytes());
    }

    pub(crate) fn message(&mut self, field: u64, message: &Message) {
        self.append(field, &message.bytes);
    }

    fn append(&mut self, field: u64, bytes: &[u8]) {
        put_number(&mut self.bytes, field << 3 | BYTES);
        put_number(&mut self.bytes, bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_with_each_type_of_field_has_the_documented_bytes() {
        let mut inner = Message::default();
        inner.number(1, 150);
        let mut message = Message::default();
        message.message(3, &inner);
        message.text(2, "hi");
        message.fixed(47, 1);
        let expected = [0x1a, 3, 8, 0x96, 1, 0x12, 2, b'h', b'i', 0xf9, 2, 1, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(message.bytes(), expected);
    }
}
