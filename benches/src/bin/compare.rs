//! Runs the comparison, prints each row when it is done, and writes the page and the plots.

use std::process::ExitCode;

use heist_benches::contenders::{self, Entry};
use heist_benches::machine::Machine;
use heist_benches::plan::{Command, HELP, Plan};
use heist_benches::rows::ROWS;
use heist_benches::sample::Row;
use heist_benches::{calls, driver, report};

fn main() -> ExitCode {
    let result = match Command::parse(std::env::args().skip(1)) {
        Ok(Command::Compare(plan)) => compare(&plan),
        Ok(Command::MemoryOf(name, workers)) => memory_of(&name, workers),
        Ok(Command::CallsOf(name, workers, row)) => calls_of(&name, workers, row),
        Ok(Command::List) => Ok(list()),
        Ok(Command::Help) => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        Err(problem) => Err(problem),
    };
    result.unwrap_or_else(|problem| {
        eprintln!("compare: {problem}");
        ExitCode::from(2)
    })
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

fn compare(plan: &Plan) -> Result<ExitCode, String> {
    let entries = entries(&plan.contenders)?;
    let machine = Machine::here();
    println!("{machine}\n");
    let mut outcomes = Vec::new();
    for row in &plan.rows {
        let outcome = driver::compare(row, &entries, plan);
        println!("{}", report::text::format_row(&outcome, plan.goals));
        outcomes.push(outcome);
    }
    println!("{}", report::summary(&outcomes, &entries, plan.goals));
    let written = |error: std::io::Error| format!("the results could not be written: {error}");
    if let Some(path) = &plan.markdown {
        let text = report::markdown::page(&outcomes, &entries, plan, &machine);
        std::fs::write(path, text).map_err(written)?;
    }
    if let Some(dir) = &plan.svg {
        std::fs::create_dir_all(dir).map_err(written)?;
        for (name, plot) in report::plots(&outcomes, plan.goals) {
            std::fs::write(dir.join(name), plot).map_err(written)?;
        }
    }
    let (met, judged) = report::tally(&outcomes, plan.goals);
    // A run without a verdict does not pass the gate.
    let passed = judged > 0 && met == judged;
    Ok(if plan.gate && !passed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints the system calls per operation.
fn calls_of(name: &str, workers: usize, row: &Row) -> Result<ExitCode, String> {
    let entry = entries(&[name.to_owned()])?.pop().ok_or("there is no such runtime")?;
    calls::count_here(&entry, workers, row)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the resident bytes per task, then the bytes that malloc has handed out per task.
fn memory_of(name: &str, workers: usize) -> Result<ExitCode, String> {
    let entry = entries(&[name.to_owned()])?.pop().ok_or("there is no such runtime")?;
    let runtime = (entry.build)(workers);
    let (resident, handed_out) = runtime.memory();
    println!("{resident:.1} {handed_out:.1}");
    // To drop a million tasks one by one takes long.
    std::process::exit(0);
}
