//! The command line of `heist-trace`.

use std::path::PathBuf;

/// The text of `--help`.
pub(crate) const USAGE: &str = "\
Reads the traces of the heist async runtime, explains them, and converts them.

Usage: heist-trace <command> <file> [options]

Commands:
  summary <file>                  what ran, what waited, and why
  diff <file> <file>              the tasks of two traces, compared
  flame <file>                    folded stacks, for tools that draw flame graphs
  report <file> -o <page.html>    a page that shows the trace in a browser
  perfetto <file> -o <file>       the trace for https://ui.perfetto.dev
  chrome <file> -o <file>         the trace in JSON, for about:tracing and other viewers

Options:
  -o, --output <file>   the file to write; `-` is the standard output
  -h, --help            print this text
  -V, --version         print the version
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Version,
    Summary(PathBuf),
    Diff(PathBuf, PathBuf),
    Flame { file: PathBuf, output: PathBuf },
    Report { file: PathBuf, output: PathBuf },
    Perfetto { file: PathBuf, output: PathBuf },
    Chrome { file: PathBuf, output: PathBuf },
}

/// Returns what the arguments ask for, or what is wrong with them and the remedy.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let (mut words, mut output) = (Vec::new(), None);
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-h" | "--help" => return Ok(Command::Help),
            "-V" | "--version" => return Ok(Command::Version),
            "-o" | "--output" => {
                let file = arguments.next().ok_or(format!("`{argument}` has no file after it; write `-o <file>`"))?;
                output = Some(PathBuf::from(file));
            }
            option if option.len() > 1 && option.starts_with('-') => {
                return Err(format!("`{option}` is no option; see `heist-trace --help`"));
            }
            _ => words.push(argument),
        }
    }
    let mut words = words.into_iter();
    let Some(name) = words.next() else {
        return Err("a command is missing; write `heist-trace summary <file>`, or see `heist-trace --help`".to_owned());
    };
    let files: Vec<PathBuf> = words.map(PathBuf::from).collect();
    command(&name, files, output)
}

fn command(name: &str, files: Vec<PathBuf>, output: Option<PathBuf>) -> Result<Command, String> {
    let expected = match name {
        "help" => return Ok(Command::Help),
        "summary" | "flame" | "report" | "perfetto" | "chrome" => 1,
        "diff" => 2,
        _ => return Err(format!("`{name}` is no command; see `heist-trace --help`")),
    };
    if files.len() != expected {
        let operands = ["<file>"; 2][..expected].join(" ");
        return Err(format!("`{name}` has {} file(s); write `heist-trace {name} {operands}`", files.len()));
    }
    let mut files = files.into_iter();
    let mut next = || files.next().unwrap_or_default();
    let missing = |file: &str| format!("`{name}` has no output; write `heist-trace {name} <file> -o {file}`");
    match name {
        "summary" | "diff" if output.is_some() => {
            Err(format!("`{name}` writes to the standard output; write `> <file>` instead of `-o`"))
        }
        "summary" => Ok(Command::Summary(next())),
        "diff" => Ok(Command::Diff(next(), next())),
        "flame" => Ok(Command::Flame { file: next(), output: output.unwrap_or_else(|| PathBuf::from("-")) }),
        "report" => Ok(Command::Report { file: next(), output: output.ok_or_else(|| missing("page.html"))? }),
        "perfetto" => Ok(Command::Perfetto { file: next(), output: output.ok_or_else(|| missing("out.pftrace"))? }),
        _ => Ok(Command::Chrome { file: next(), output: output.ok_or_else(|| missing("out.json"))? }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn parse_of_each_command_finds_its_files() {
        assert_eq!(parsed("summary a"), Ok(Command::Summary("a".into())));
        assert_eq!(parsed("diff a b"), Ok(Command::Diff("a".into(), "b".into())));
        assert_eq!(parsed("flame a"), Ok(Command::Flame { file: "a".into(), output: "-".into() }));
        assert_eq!(parsed("-o b report a"), Ok(Command::Report { file: "a".into(), output: "b".into() }));
        assert_eq!(parsed("perfetto a -o b"), Ok(Command::Perfetto { file: "a".into(), output: "b".into() }));
        assert_eq!(parsed("chrome a --output -"), Ok(Command::Chrome { file: "a".into(), output: "-".into() }));
        assert_eq!((parsed("--help"), parsed("-V")), (Ok(Command::Help), Ok(Command::Version)));
    }

    #[test]
    fn parse_of_wrong_usage_names_the_remedy() {
        for (line, remedy) in [
            ("", "heist-trace summary <file>"),
            ("summary", "heist-trace summary <file>"),
            ("diff a", "heist-trace diff <file> <file>"),
            ("chrome a", "-o out.json"),
            ("report a -o", "-o <file>"),
            ("summary a -o b", "> <file>"),
            ("sumary a", "--help"),
            ("summary a --fast", "--help"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(remedy), "{line}: {error}");
        }
    }
}
