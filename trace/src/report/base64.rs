//! Bytes in Base64.

use std::fmt::{self, Write};

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes, written in Base64 with the standard alphabet and padding.
pub(crate) struct Encoder<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Encoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in self.0.chunks(3) {
            let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for digit in 0..4 {
                if digit > group.len() {
                    f.write_char('=')?;
                } else {
                    f.write_char(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoder_output_for_each_padding_matches_the_standard() {
        let encoded: Vec<String> =
            ["", "f", "fo", "foo", "foob"].iter().map(|text| Encoder(text.as_bytes()).to_string()).collect();
        assert_eq!(encoded, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
        assert_eq!(Encoder(&[0xff, 0xef, 0xbe]).to_string(), "/+++");
    }
}
