//! Runs the comparison, prints each row when it is done, and writes the page and the plots.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::ExitCode;

use heist_benches::child::{self, Job};
use heist_benches::contenders::{self, Entry};
use heist_benches::machine::Machine;
use heist_benches::plan::{Command, HELP, Plan, Settings};
use heist_benches::report::page::Section;
use heist_benches::rows::{self, ROWS};
use heist_benches::sample::{Load, Row};
use heist_benches::{calls, contended, driver, light, memory, neighbours, report, turn};

fn main() -> ExitCode {
    run().unwrap_or_else(|problem| {
        eprintln!("compare: {problem}");
        ExitCode::from(2)
    })
}

fn run() -> Result<ExitCode, String> {
    match Command::parse(std::env::args().skip(1))? {
        Command::Compare(plan) => compare(&plan),
        Command::Contended(settings) => contended(&settings),
        Command::Light(settings) => light(&settings),
        Command::Memory(settings) => memory(&settings),
        Command::Child(job) => run_child(job),
        Command::List => Ok(list()),
        Command::Help => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn list() -> ExitCode {
    for row in ROWS {
        println!("{:<14} {}", row.id, row.title);
    }
    for entry in contenders::all() {
        println!("{:<14} {}", entry.name, entry.note);
    }
    ExitCode::SUCCESS
}

fn entries(wanted: &[String]) -> Result<Vec<Entry>, String> {
    let all = contenders::all();
    if let Some(unknown) = wanted.iter().find(|name| all.iter().all(|entry| entry.name != **name)) {
        return Err(format!("{unknown} is not a runtime of this comparison (--list shows the runtimes)"));
    }
    Ok(all.into_iter().filter(|entry| wanted.is_empty() || wanted.iter().any(|name| name == entry.name)).collect())
}

/// Prints the machine, once the file for the results can be written.
fn begin_report(markdown: Option<&Path>) -> Result<Machine, String> {
    if let Some(path) = markdown {
        let opened = OpenOptions::new().append(true).create(true).open(path);
        opened.map_err(|error| format!("{}: {error} (name a file of an existing folder with --md)", path.display()))?;
    }
    let machine = Machine::here();
    println!("{machine}\n");
    Ok(machine)
}

fn compare(plan: &Plan) -> Result<ExitCode, String> {
    let entries = entries(&plan.contenders)?;
    let machine = begin_report(plan.markdown.as_deref())?;
    let mut outcomes = Vec::new();
    for row in &plan.rows {
        let outcome = driver::compare(row, &entries, plan);
        println!("{}", report::text::format_row(&outcome, plan.goals));
        outcomes.push(outcome);
    }
    println!("{}", report::summary(&outcomes, &entries, plan.goals));
    let memory = if plan.has_memory_by_size() { memory_by_size(&entries)? } else { Vec::new() };
    let section = report::markdown::section(&outcomes, &memory, &entries, plan, &machine);
    write_section(plan.markdown.as_deref(), &section)?;
    if let Some(dir) = &plan.svg {
        std::fs::create_dir_all(dir).map_err(|error| not_written(&error))?;
        for (name, plot) in report::plots(&outcomes, plan.goals) {
            std::fs::write(dir.join(name), plot).map_err(|error| not_written(&error))?;
        }
    }
    let (met, judged) = report::tally(&outcomes, plan.goals);
    // A run without a verdict does not pass the gate.
    let passed = judged > 0 && met == judged;
    Ok(if plan.gate && !passed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn contended(settings: &Settings) -> Result<ExitCode, String> {
    let machine = begin_report(settings.markdown.as_deref())?;
    let print = |cell: &_| println!("{}", report::contended::lines(cell));
    let cells = contended::run(&contenders::all(), settings.rounds, settings.seconds, print)?;
    write_section(settings.markdown.as_deref(), &report::contended::section(&cells, settings, &machine))
}

fn light(settings: &Settings) -> Result<ExitCode, String> {
    let machine = begin_report(settings.markdown.as_deref())?;
    let print = |outcome: &_| println!("{}", report::light::line(outcome));
    let outcomes = light::run(&contenders::all(), settings.rounds, settings.seconds, print)?;
    write_section(settings.markdown.as_deref(), &report::light::section(&outcomes, settings, &machine))
}

fn memory(settings: &Settings) -> Result<ExitCode, String> {
    let machine = begin_report(settings.markdown.as_deref())?;
    let entries = contenders::all();
    let section = report::memory::section(&memory_by_size(&entries)?, &entries, &machine);
    write_section(settings.markdown.as_deref(), &section)
}

fn memory_by_size(entries: &[Entry]) -> Result<Vec<memory::Line>, String> {
    memory::run(entries, |line| println!("{}", report::memory::line(line)))
}

/// Writes this machine's section of a page. The sections of other machines stay.
fn write_section(path: Option<&Path>, section: &Section) -> Result<ExitCode, String> {
    let Some(path) = path else { return Ok(ExitCode::SUCCESS) };
    // If there is no such page, the section is its first one.
    let old = std::fs::read_to_string(path).unwrap_or_default();
    std::fs::write(path, section.merge_into(&old)).map_err(|error| not_written(&error))?;
    Ok(ExitCode::SUCCESS)
}

fn not_written(error: &std::io::Error) -> String {
    format!("the results could not be written: {error}")
}

fn run_child(job: Job) -> Result<ExitCode, String> {
    child::die_with_parent();
    match job {
        Job::Memory { runtime, workers, bytes } => print_memory(&entry(&runtime)?, workers, bytes),
        Job::Calls { runtime, workers, row: id } => {
            calls::count_here(&entry(&runtime)?, workers, row(&id)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Job::Turn { runtime, workers, row: id, passes, quick } => {
            turn::print(row(&id)?, &entry(&runtime)?, passes, &Load { workers, quick });
            Ok(ExitCode::SUCCESS)
        }
        Job::Light { runtime, workers, event, seconds } => {
            light::print(&entry(&runtime)?, workers, &event, seconds)?;
            Ok(ExitCode::SUCCESS)
        }
        Job::Server { runtime, workers, adapter } => serve(&entry(&runtime)?, workers, &adapter),
        Job::Spin { cpu, nice } => neighbours::spin(cpu, nice).map(|()| ExitCode::SUCCESS),
    }
}

fn row(id: &str) -> Result<&'static Row, String> {
    rows::find(id).ok_or_else(|| format!("there is no row {id}"))
}

fn entry(name: &str) -> Result<Entry, String> {
    entries(&[name.to_owned()])?.pop().ok_or_else(|| format!("there is no runtime {name}"))
}

/// Prints the resident bytes per task, then the bytes that malloc has handed out per task.
fn print_memory(entry: &Entry, workers: usize, bytes: usize) -> Result<ExitCode, String> {
    let grown = (entry.build)(workers).memory(bytes);
    let (resident, handed_out) = grown.ok_or_else(|| format!("{} has no tasks of {bytes} bytes", entry.name))?;
    println!("{resident:.1} {handed_out:.1}");
    // To drop a million tasks one by one takes long.
    std::process::exit(0);
}

/// Prints the port of a server, which runs until this process is killed.
fn serve(entry: &Entry, workers: usize, adapter: &str) -> Result<ExitCode, String> {
    let adapter = entry.adapters.iter().find(|known| known.name == adapter);
    let adapter = adapter.ok_or_else(|| format!("{} has no such adapter", entry.name))?;
    println!("{}", (adapter.serve)(workers).port());
    loop {
        std::thread::park();
    }
}
