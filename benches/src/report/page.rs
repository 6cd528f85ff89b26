//! A page of results with one section for each machine.

use crate::machine::Machine;

/// The beginning of the heading of a machine's section.
const HEADING: &str = "## On ";

/// The longest line of prose.
const COLUMNS: usize = 100;

/// The results of one machine, and the rest of their page.
pub struct Section {
    /// The page above the sections.
    pub intro: String,
    /// The machine, as [`Machine::name`] returns it.
    pub machine: String,
    pub results: String,
    /// The page below the sections.
    pub closing: String,
}

impl Section {
    /// Returns the page. The sections of other machines are those of the old page.
    ///
    /// Their images are removed: the files of the images have been replaced by this machine's.
    pub fn merge_into(&self, old: &str) -> String {
        let heading = format!("{HEADING}{}", self.machine);
        let kept: Vec<String> = sections(old).filter(|section| section.lines().next() != Some(&heading)).collect();
        let ours = format!("{heading}\n\n{}", self.results);
        let parts = [self.intro.clone(), ours].into_iter().chain(kept).chain([self.closing.clone()]);
        let parts: Vec<String> = parts.map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
        wrapped(&parts.join("\n\n"))
    }
}

/// Breaks the lines of prose that are too long.
pub fn wrapped(page: &str) -> String {
    let mut text = String::new();
    for line in page.lines() {
        let is_prose = !line.starts_with(['|', '#', '!']);
        let continued = if line.starts_with("- ") { "\n  " } else { "\n" };
        let mut column = 0;
        for (at, word) in line.split(' ').enumerate() {
            let length = word.chars().count();
            let breaks = is_prose && at > 0 && column + 1 + length > COLUMNS;
            if breaks {
                text.push_str(continued);
                column = continued.len() - 1;
            } else if at > 0 {
                text.push(' ');
                column += 1;
            }
            text.push_str(word);
            column += length;
        }
        text.push('\n');
    }
    text
}

/// Returns the list of losses under a heading.
pub fn losses(heading: &str, lines: &str) -> String {
    let lines = if lines.is_empty() { "- nowhere\n" } else { lines };
    format!("\n{heading}\n\n{lines}")
}

/// Returns the line that names the machine of a table.
pub fn measured_on(machine: &Machine) -> String {
    format!("Measured on: **{machine}**.\n\n")
}

/// Returns the machines' sections of a page, without their images.
fn sections(page: &str) -> impl Iterator<Item = String> {
    let mut sections: Vec<String> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        if line.starts_with("## ") {
            inside = line.starts_with(HEADING);
            if inside {
                sections.push(String::new());
            }
        }
        if let Some(section) = sections.last_mut().filter(|_| inside) {
            // The blank line after an image is removed with it.
            let is_second_blank = line.is_empty() && section.ends_with("\n\n");
            if !line.starts_with("![") && !is_second_blank {
                section.push_str(line);
                section.push('\n');
            }
        }
    }
    sections.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(machine: &str, results: &str) -> Section {
        let (intro, closing) = ("# Title\n\nIntro.\n".to_owned(), "## Method\n\nText.\n".to_owned());
        Section { intro, machine: machine.to_owned(), results: results.to_owned(), closing }
    }

    #[test]
    fn merge_into_nothing_gives_a_page_with_one_section() {
        let page = section("A", "### Results\n\n1\n").merge_into("");
        assert_eq!(page, "# Title\n\nIntro.\n\n## On A\n\n### Results\n\n1\n\n## Method\n\nText.\n");
    }

    #[test]
    fn merge_into_a_page_breaks_long_lines_of_prose_only() {
        let (long, table) = ("word ".repeat(30), format!("| {}", "cell ".repeat(30)));
        let page = section("A", &format!("- {long}\n  more\n{table}|\n")).merge_into("");
        assert!(page.lines().all(|line| line.len() <= COLUMNS || line.starts_with('|')), "{page}");
        assert!(page.contains("\n  word word") && page.contains("\n  more\n") && page.contains(&table), "{page}");
        assert_eq!(section("A", &format!("- {long}\n  more\n{table}|\n")).merge_into(&page), page);
    }

    #[test]
    fn merge_into_a_page_of_another_machine_keeps_its_section() {
        let old = section("A", "![plot](plot.svg)\n\n### Results\n\n1\n").merge_into("");
        let page = section("B", "2\n").merge_into(&old);
        assert!(page.contains("## On B\n\n2\n\n## On A\n\n"), "{page}");
        assert!(page.contains("### Results\n\n1\n\n## Method"), "{page}");
        assert!(!page.contains("plot.svg"), "{page}");
    }

    #[test]
    fn merge_into_a_page_of_the_same_machine_replaces_its_section() {
        let old = section("A", "1\n").merge_into(&section("B", "2\n").merge_into(""));
        let page = section("A", "3\n").merge_into(&old);
        assert!(page.contains("## On A\n\n3\n\n## On B\n\n2\n\n## Method"), "{page}");
        assert!(!page.contains('1'), "{page}");
    }
}
