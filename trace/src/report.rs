//! A page that shows a trace in a browser, with the trace inside of it.

mod base64;

use std::io::{self, Write};

use self::base64::Encoder;

/// The page, with [`PLACEHOLDER`] where the trace belongs.
const PAGE: &str = include_str!("report/page.html");

/// What the page has in the place of the trace.
const PLACEHOLDER: &str = "@TRACE_BASE64@";

/// Writes a page that shows the trace, without a connection to anything.
///
/// The file should be one that [`Trace::parse`](crate::Trace::parse) accepts.
///
/// # Errors
///
/// Returns the errors of `out`.
pub fn write(file: &[u8], out: &mut impl Write) -> io::Result<()> {
    let (before, after) = PAGE.split_once(PLACEHOLDER).unwrap_or((PAGE, ""));
    write!(out, "{before}{}{after}", Encoder(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_page_has_the_placeholder_once() {
        assert_eq!(PAGE.matches(PLACEHOLDER).count(), 1);
    }

    #[test]
    fn report_of_bytes_embeds_them_in_base64() {
        let mut page = Vec::new();
        write(b"HEISTTRC", &mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(page.contains("SEVJU1RUUkM="));
        assert!(!page.contains(PLACEHOLDER));
        assert_eq!(page.len(), PAGE.len() - PLACEHOLDER.len() + 12);
    }
}
