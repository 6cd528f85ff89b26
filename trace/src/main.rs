//! `heist-trace`: explains the traces of a runtime, or converts them for other tools.
#![forbid(unsafe_code)]

mod command;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use heist_trace::diff::Diff;
use heist_trace::history::History;
use heist_trace::summary::Summary;
use heist_trace::{Trace, chrome, flame, perfetto, report};

use command::Command;

/// The exit status for a wrong command line.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let command = match command::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    match run(&command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<(), String> {
    let standard = Path::new("-");
    match command {
        Command::Help => emit(standard, |out| out.write_all(command::USAGE.as_bytes())),
        Command::Version => emit(standard, |out| writeln!(out, "heist-trace {}", env!("CARGO_PKG_VERSION"))),
        Command::Summary(file) => {
            let bytes = load(file)?;
            let trace = parsed(file, &bytes)?;
            emit(standard, |out| write!(out, "{}", Summary::new(&History::new(&trace))))
        }
        Command::Diff(a, b) => {
            let (bytes_a, bytes_b) = (load(a)?, load(b)?);
            let (trace_a, trace_b) = (parsed(a, &bytes_a)?, parsed(b, &bytes_b)?);
            let diff = Diff::new(&History::new(&trace_a), &History::new(&trace_b));
            emit(standard, |out| write!(out, "{diff}"))
        }
        Command::Report { file, output } => {
            let bytes = load(file)?;
            parsed(file, &bytes)?;
            emit(output, |out| report::write(&bytes, out))
        }
        Command::Flame { file, output } => convert(file, output, flame::write),
        Command::Perfetto { file, output } => convert(file, output, perfetto::write),
        Command::Chrome { file, output } => convert(file, output, chrome::write),
    }
}

/// The output of a command. Its buffer makes many small writes cheap.
type Output = BufWriter<Box<dyn Write>>;

fn convert(
    file: &Path,
    output: &Path,
    write: impl FnOnce(&History<'_>, &mut Output) -> io::Result<()>,
) -> Result<(), String> {
    let bytes = load(file)?;
    let trace = parsed(file, &bytes)?;
    emit(output, |out| write(&History::new(&trace), out))
}

fn load(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{} cannot be read ({error}); name a trace file", file.display()))
}

fn parsed<'a>(file: &Path, bytes: &'a [u8]) -> Result<Trace<'a>, String> {
    Trace::parse(bytes)
        .map_err(|error| format!("{}: {error}; copy the file again, or take a new snapshot", file.display()))
}

/// Writes to a file, or to the standard output for `-`. A reader that has gone away is no error.
fn emit(output: &Path, write: impl FnOnce(&mut Output) -> io::Result<()>) -> Result<(), String> {
    let is_standard = output == Path::new("-");
    let target: io::Result<Box<dyn Write>> =
        if is_standard { Ok(Box::new(io::stdout())) } else { File::create(output).map(|file| Box::new(file) as _) };
    let result = target.and_then(|target| {
        let mut out = BufWriter::new(target);
        write(&mut out)?;
        out.flush()
    });
    match result {
        Err(error) if is_standard && error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(format!("{} cannot be written ({error}); name another file", output.display())),
        Ok(()) => Ok(()),
    }
}
