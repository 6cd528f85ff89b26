//! The command line.

use std::path::PathBuf;

use crate::child::{self, Job};
use crate::goals::Set;
use crate::rows::{self, ROWS};
use crate::sample::Row;

pub const HELP: &str = "\
Compares heist with other runtimes, in rounds that alternate.

usage: cargo run --release -p heist-benches --bin compare -- [mode] [options]

Without a mode, all rows run:

  --rows a,b          only these rows (--list shows their names)
  --contenders a,b    only these runtimes
  --rounds N          rounds (default 11; rows that take seconds have half as many)
  --passes N          timed passes per round, the median of which counts (default 3)
  --workers N         worker threads of each runtime (default 2)
  --no-calls          do not count system calls, in processes of their own, after each row
  --cold              a fresh process for each runtime and round
  --quick             three rounds, and the long rows shortened: too few for figures to quote
  --goals level|ahead no row slower than Tokio, or the far goals (default)
  --gate              exit with 1 if a goal is missed
  --md FILE           write the results as Markdown
  --svg DIR           write the plots there

  --list              list rows and runtimes

Each turn of a mode is a fresh process. If the file of --md has results of another machine, they
stay.

--contended           hyper servers under wrk beside other work, heist and Tokio

  --rounds N          rounds of each cell (default 3)
  --seconds S         seconds of each turn (default 2)
  --md FILE           write the results as Markdown

--light               processor time of eight workers with one event per millisecond, heist and Tokio

  --rounds N          rounds of each event (default 3)
  --seconds S         seconds of each turn (default 3)
  --md FILE           write the results as Markdown

--memory              memory per idle task, by the size of its future, all runtimes

  --md FILE           write the results as Markdown
";

pub struct Plan {
    pub rows: Vec<&'static Row>,
    /// All of them if empty.
    pub contenders: Vec<String>,
    pub rounds: usize,
    pub passes: usize,
    pub workers: usize,
    pub quick: bool,
    /// Each turn runs in a child process.
    pub cold: bool,
    /// Counts system calls, in child processes.
    pub calls: bool,
    pub goals: Set,
    pub gate: bool,
    pub markdown: Option<PathBuf>,
    pub svg: Option<PathBuf>,
}

impl Plan {
    /// Returns true if the memory row is followed by its table of future sizes.
    pub fn has_memory_by_size(&self) -> bool {
        !self.quick && self.rows.iter().any(|row| row.id == "memory")
    }
}

/// The settings of a mode with fresh processes.
pub struct Settings {
    pub rounds: usize,
    pub seconds: u32,
    pub markdown: Option<PathBuf>,
}

pub enum Command {
    Compare(Plan),
    Contended(Settings),
    Light(Settings),
    Memory(Settings),
    Help,
    List,
    /// A part of a measurement, in a process of its own.
    Child(Job),
}

/// A mode other than the rows.
struct Mode {
    flag: &'static str,
    command: fn(Settings) -> Command,
    /// The options of the mode.
    options: &'static [&'static str],
    /// The default number of rounds, and of seconds per turn.
    rounds: usize,
    seconds: u32,
}

const MODES: [Mode; 3] = [
    Mode {
        flag: "--contended",
        command: Command::Contended,
        options: &["--rounds", "--seconds", "--md"],
        rounds: 3,
        seconds: 2,
    },
    Mode {
        flag: "--light",
        command: Command::Light,
        options: &["--rounds", "--seconds", "--md"],
        rounds: 3,
        seconds: 3,
    },
    // One pass of each runtime, which ends when its tasks are idle.
    Mode { flag: "--memory", command: Command::Memory, options: &["--md"], rounds: 1, seconds: 0 },
];

impl Command {
    /// Reads the command line, without the name of the program.
    ///
    /// # Errors
    ///
    /// The wrong option, and what to write instead.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Command, String> {
        let mut args = args.into_iter();
        let (mut mode, mut options) = (None, Vec::new());
        let (mut rounds, mut seconds) = (None, None);
        let mut plan = Plan {
            rows: ROWS.iter().collect(),
            contenders: Vec::new(),
            rounds: 11,
            passes: 3,
            workers: 2,
            quick: false,
            cold: false,
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
                child::FLAG => return Ok(Command::Child(Job::parse(&args.collect::<Vec<_>>())?)),
                "--rows" => plan.rows = value()?.split(',').map(row).collect::<Result<_, _>>()?,
                "--contenders" => plan.contenders = value()?.split(',').map(str::to_owned).collect(),
                "--rounds" => rounds = Some(number(&value()?)?),
                "--seconds" => seconds = Some(self::seconds(&value()?)?),
                "--passes" => plan.passes = number(&value()?)?,
                "--workers" => plan.workers = number(&value()?)?,
                "--no-calls" => plan.calls = false,
                "--cold" => plan.cold = true,
                "--quick" => plan.quick = true,
                "--gate" => plan.gate = true,
                "--goals" => plan.goals = goals(&value()?)?,
                "--md" => plan.markdown = Some(value()?.into()),
                "--svg" => plan.svg = Some(value()?.into()),
                _ => {
                    let known = MODES.into_iter().find(|known| known.flag == arg);
                    let known = known.ok_or_else(|| format!("unknown argument {arg} (--help lists them)"))?;
                    if let Some(Mode { flag, .. }) = mode.replace(known) {
                        return Err(format!("{flag} and {arg} are two modes: start one run for each"));
                    }
                    continue;
                }
            }
            options.push(arg);
        }
        if let Some(mode) = mode {
            mode.refuse_others(&options)?;
            let (rounds, seconds) = (rounds.unwrap_or(mode.rounds), seconds.unwrap_or(mode.seconds));
            return Ok((mode.command)(Settings { rounds, seconds, markdown: plan.markdown }));
        }
        if seconds.is_some() {
            let modes: Vec<&str> = MODES.iter().filter(|mode| mode.seconds > 0).map(|mode| mode.flag).collect();
            return Err(format!("the rows have no --seconds: add {} or remove it", modes.join(" or ")));
        }
        plan.rounds = rounds.unwrap_or(if plan.quick { 3 } else { plan.rounds });
        Ok(Command::Compare(plan))
    }
}

impl Mode {
    fn refuse_others(&self, options: &[String]) -> Result<(), String> {
        match options.iter().find(|option| !self.options.contains(&option.as_str())) {
            Some(option) => Err(format!("{} has no {option}: its options are {}", self.flag, self.options.join(" "))),
            None => Ok(()),
        }
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

fn seconds(text: &str) -> Result<u32, String> {
    u32::try_from(number(text)?).map_err(|_| format!("{text} seconds are too many"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn mode_without_options_has_its_defaults() {
        let Ok(Command::Contended(settings)) = parse("--contended --rounds 5") else { panic!("no such mode") };
        assert_eq!((settings.rounds, settings.seconds), (5, 2));
    }

    #[test]
    fn modes_have_different_defaults() {
        let Ok(Command::Light(settings)) = parse("--light --seconds 1") else { panic!("no such mode") };
        assert_eq!((settings.rounds, settings.seconds), (3, 1));
        let Ok(Command::Compare(plan)) = parse("--cold --quick") else { panic!("not the rows") };
        assert_eq!((plan.cold, plan.rounds), (true, 3));
    }

    #[test]
    fn option_of_another_mode_is_refused_with_a_remedy() {
        let problem = |line| parse(line).err().expect("a problem");
        assert_eq!(
            problem("--contended --passes 3"),
            "--contended has no --passes: its options are --rounds --seconds --md"
        );
        assert!(problem("--seconds 3").contains("add --contended or --light"));
        assert!(problem("--memory --rounds 3").contains("its options are --md"));
        assert!(problem("--contended --rounds 0").contains("above zero"));
        assert!(problem("--contended --contended").contains("one run for each"));
        assert!(problem("--md").contains("needs a value"));
    }
}
