//! The command line.

use std::path::PathBuf;

use crate::calls;
use crate::goals::Set;
use crate::rows::{self, ROWS};
use crate::sample::Row;

pub const HELP: &str = "\
Compares heist with other runtimes, in rounds that alternate.

usage: cargo run --release -p heist-benches --bin compare -- [options]

  --rows a,b          only these rows (--list shows their names)
  --contenders a,b    only these runtimes
  --rounds N          rounds (default 11; rows that take seconds have half as many)
  --passes N          timed passes per round, the median of which counts (default 3)
  --workers N         worker threads of each runtime (default 2)
  --no-calls          do not count system calls, in processes of their own, after each row
  --quick             three rounds, and the long rows shortened: too few for figures to quote
  --goals level|ahead no row slower than Tokio, or the far goals (default)
  --gate              exit with 1 if a goal is missed
  --md FILE           write the results as Markdown
  --svg DIR           write the plots there
  --list              list rows and runtimes
";

pub struct Plan {
    pub rows: Vec<&'static Row>,
    /// All of them if empty.
    pub contenders: Vec<String>,
    pub rounds: usize,
    pub passes: usize,
    pub workers: usize,
    pub quick: bool,
    /// Counts system calls, in child processes.
    pub calls: bool,
    pub goals: Set,
    pub gate: bool,
    pub markdown: Option<PathBuf>,
    pub svg: Option<PathBuf>,
}

pub enum Command {
    Compare(Plan),
    Help,
    List,
    /// The memory row's child process: runtime and workers.
    MemoryOf(String, usize),
    /// The counting child process: runtime, workers and row.
    CallsOf(String, usize, &'static Row),
}

impl Command {
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Command, String> {
        let mut args = args.into_iter();
        let mut rounds = None;
        let mut plan = Plan {
            rows: ROWS.iter().collect(),
            contenders: Vec::new(),
            rounds: 11,
            passes: 3,
            workers: 2,
            quick: false,
            calls: true,
            goals: Set::Ahead,
            gate: false,
            markdown: None,
            svg: None,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "-h" | "--help" => return Ok(Command::Help),
                "--list" => return Ok(Command::List),
                rows::memory::CHILD => return Ok(Command::MemoryOf(value()?, number(&value()?)?)),
                calls::CHILD => return Ok(Command::CallsOf(value()?, number(&value()?)?, row(&value()?)?)),
                "--rows" => plan.rows = value()?.split(',').map(row).collect::<Result<_, _>>()?,
                "--contenders" => plan.contenders = value()?.split(',').map(str::to_owned).collect(),
                "--rounds" => rounds = Some(number(&value()?)?),
                "--passes" => plan.passes = number(&value()?)?,
                "--workers" => plan.workers = number(&value()?)?,
                "--no-calls" => plan.calls = false,
                "--quick" => plan.quick = true,
                "--gate" => plan.gate = true,
                "--goals" => plan.goals = goals(&value()?)?,
                "--md" => plan.markdown = Some(value()?.into()),
                "--svg" => plan.svg = Some(value()?.into()),
                _ => return Err(format!("unknown argument {arg} (--help lists them)")),
            }
        }
        plan.rounds = rounds.unwrap_or(if plan.quick { 3 } else { plan.rounds });
        Ok(Command::Compare(plan))
    }
}

fn row(id: &str) -> Result<&'static Row, String> {
    rows::find(id).ok_or_else(|| format!("there is no row {id} (--list shows the rows)"))
}

fn goals(name: &str) -> Result<Set, String> {
    match name {
        "level" => Ok(Set::Level),
        "ahead" => Ok(Set::Ahead),
        _ => Err(format!("there are no goals {name}: write level or ahead")),
    }
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or(format!("{text} is not a number above zero"))
}
