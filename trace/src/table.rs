//! Tables of plain text.

use std::fmt;

/// A table. The first column is aligned to the left, and so is a last column of texts. The others
/// are aligned to the right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    last_is_text: bool,
}

impl Table {
    /// Starts a table with these headings. If the last column has texts, its heading begins with
    /// `<`.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let last_is_text = headings.last().is_some_and(|heading| heading.starts_with('<'));
        let headings = headings.iter().map(|heading| heading.trim_start_matches('<').to_owned()).collect();
        Self { rows: vec![headings], last_is_text }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            write!(f, "  {:<width$}", row[0], width = widths[0])?;
            for column in 1..columns {
                if column + 1 == columns && self.last_is_text {
                    write!(f, "  {}", row[column])?;
                } else {
                    write!(f, "  {:>width$}", row[column], width = widths[column])?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_with_a_text_column_aligns_the_numbers_only() {
        let mut table = Table::new(&["task", "polls", "<woken by"]);
        table.row(vec!["accept".to_owned(), "7".to_owned(), "reactor".to_owned()]);
        table.row(vec!["db".to_owned(), "12345".to_owned(), "µ".to_owned()]);
        let expected = "  task    polls  woken by\n  accept      7  reactor\n  db      12345  µ\n";
        assert_eq!(table.to_string(), expected);
    }
}
