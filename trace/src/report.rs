//! A page that shows a trace in a browser, with the trace inside of it.

mod base64;

use std::io::{self, Write};

use self::base64::Encoder;

/// The page, with placeholders.
const PAGE: &str = include_str!("report/page.html");

const STYLE: &str = include_str!("report/page.css");

/// The parts of the script, in the order in which they are joined.
const SCRIPT: [&str; 11] = [
    include_str!("report/format.js"),
    include_str!("report/model.js"),
    include_str!("report/row.js"),
    include_str!("report/paint.js"),
    include_str!("report/timeline.js"),
    include_str!("report/states.js"),
    include_str!("report/overview.js"),
    include_str!("report/histogram.js"),
    include_str!("report/details.js"),
    include_str!("report/input.js"),
    include_str!("report/page.js"),
];

/// What the page has in the place of the style, of the trace, and of the script, in this order.
const PLACEHOLDERS: [&str; 3] = ["@STYLE@", "@TRACE_BASE64@", "@SCRIPT@"];

/// Writes a page that shows the trace, without a connection to anything.
///
/// The file should be one that [`Trace::parse`](crate::Trace::parse) accepts.
///
/// # Errors
///
/// Returns the errors of `out`.
pub fn write(file: &[u8], out: &mut impl Write) -> io::Result<()> {
    let [style, trace, script] = PLACEHOLDERS;
    let (before_style, rest) = PAGE.split_once(style).unwrap_or((PAGE, ""));
    let (before_trace, rest) = rest.split_once(trace).unwrap_or((rest, ""));
    let (before_script, rest) = rest.split_once(script).unwrap_or((rest, ""));
    write!(out, "{before_style}{STYLE}{before_trace}{}{before_script}", Encoder(file))?;
    SCRIPT.iter().try_for_each(|part| out.write_all(part.as_bytes()))?;
    out.write_all(rest.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_page_has_each_placeholder_once() {
        for placeholder in PLACEHOLDERS {
            assert_eq!(PAGE.matches(placeholder).count(), 1, "{placeholder}");
            assert!(SCRIPT.iter().all(|part| !part.contains(placeholder)), "{placeholder}");
        }
    }

    #[test]
    fn report_page_names_the_parts_of_its_script_in_order() {
        let named = PAGE.split_once("script: ").and_then(|(_, rest)| rest.split_once("\n3. ")).unwrap().0;
        assert_eq!(named.split_whitespace().count(), SCRIPT.len());
    }

    #[test]
    fn report_of_bytes_embeds_them_in_base64() {
        let mut page = Vec::new();
        write(b"HEISTTRC", &mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(page.contains("SEVJU1RUUkM="));
        assert!(PLACEHOLDERS.iter().all(|placeholder| !page.contains(placeholder)));
    }
}
