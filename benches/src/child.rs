//! Starts this program again for one part of a measurement, in a fresh process.
//!
//! A child is killed by the kernel when its parent ends, even if the child is stopped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// The first argument of a child. [`Job`] describes the rest.
pub const FLAG: &str = "--child";

/// The work of a child process.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Prints the memory per idle task, for futures of this size.
    Memory { runtime: String, workers: usize, bytes: usize },
    /// Prints the system calls per operation of a row.
    Calls { runtime: String, workers: usize, row: String },
    /// Prints the samples of one turn of a row.
    Turn { runtime: String, workers: usize, row: String, passes: usize, quick: bool },
    /// Prints the share of a processor under a light load.
    Light { runtime: String, workers: usize, event: String, seconds: u32 },
    /// Serves HTTP and prints the port.
    Server { runtime: String, workers: usize, adapter: String },
    /// Keeps one processor busy, at this nice level.
    Spin { cpu: usize, nice: i32 },
}

impl Job {
    /// Returns the arguments that [`parse`](Job::parse) reads, without the flag.
    fn words(&self) -> Vec<String> {
        match self.clone() {
            Job::Memory { runtime, workers, bytes } => {
                vec!["memory".to_owned(), runtime, workers.to_string(), bytes.to_string()]
            }
            Job::Calls { runtime, workers, row } => vec!["calls".to_owned(), runtime, workers.to_string(), row],
            Job::Turn { runtime, workers, row, passes, quick } => {
                vec!["turn".to_owned(), runtime, workers.to_string(), row, passes.to_string(), quick.to_string()]
            }
            Job::Light { runtime, workers, event, seconds } => {
                vec!["light".to_owned(), runtime, workers.to_string(), event, seconds.to_string()]
            }
            Job::Server { runtime, workers, adapter } => {
                vec!["server".to_owned(), runtime, workers.to_string(), adapter]
            }
            Job::Spin { cpu, nice } => vec!["spin".to_owned(), cpu.to_string(), nice.to_string()],
        }
    }

    /// Reads the arguments after the flag.
    ///
    /// # Errors
    ///
    /// If they are not those of a child.
    pub fn parse(words: &[String]) -> Result<Job, String> {
        let refused = || format!("{FLAG} {} is no job: {FLAG} is for this program's own use", words.join(" "));
        let number = |word: &str| word.parse::<usize>().map_err(|_| refused());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(match words[..] {
            ["memory", runtime, workers, bytes] => {
                Job::Memory { runtime: runtime.to_owned(), workers: number(workers)?, bytes: number(bytes)? }
            }
            ["calls", runtime, workers, row] => {
                Job::Calls { runtime: runtime.to_owned(), workers: number(workers)?, row: row.to_owned() }
            }
            ["turn", runtime, workers, row, passes, quick] => Job::Turn {
                runtime: runtime.to_owned(),
                workers: number(workers)?,
                row: row.to_owned(),
                passes: number(passes)?,
                quick: quick.parse().map_err(|_| refused())?,
            },
            ["light", runtime, workers, event, seconds] => Job::Light {
                runtime: runtime.to_owned(),
                workers: number(workers)?,
                event: event.to_owned(),
                seconds: seconds.parse().map_err(|_| refused())?,
            },
            ["server", runtime, workers, adapter] => {
                Job::Server { runtime: runtime.to_owned(), workers: number(workers)?, adapter: adapter.to_owned() }
            }
            ["spin", cpu, nice] => Job::Spin { cpu: number(cpu)?, nice: nice.parse().map_err(|_| refused())? },
            _ => return Err(refused()),
        })
    }

    fn command(&self) -> Result<Command, String> {
        let program = std::env::current_exe().map_err(|error| format!("this program has no path: {error}"))?;
        let mut command = Command::new(program);
        command.arg(FLAG).args(self.words());
        Ok(command)
    }

    /// Returns the output of a child that runs to its end.
    ///
    /// # Errors
    ///
    /// The first lines of its error messages, if it fails.
    pub fn output(&self) -> Result<String, String> {
        let output = self.command()?.output().map_err(|error| format!("no child process: {error}"))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(text.trim().lines().take(2).collect::<Vec<_>>().join(" "));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts a child that runs until its guard is dropped.
    ///
    /// # Errors
    ///
    /// If there is no process for it.
    pub fn start(&self) -> Result<Running, String> {
        let child = self.command()?.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        child.map(Running).map_err(|error| format!("no child process: {error}"))
    }
}

/// A child that is killed when this is dropped.
pub struct Running(Child);

impl Running {
    pub fn pid(&self) -> libc::pid_t {
        libc::pid_t::try_from(self.0.id()).expect("a process number fits its type")
    }

    /// Reads the first line that the child prints.
    ///
    /// # Errors
    ///
    /// If the child prints none.
    pub fn first_line(&mut self) -> Result<String, String> {
        let stdout = self.0.stdout.take().ok_or("the child's output has been read before")?;
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        read.map_err(|error| format!("the child's output could not be read: {error}"))?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if the child has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// In a child: lets the kernel kill this process when the thread that started it ends.
pub fn die_with_parent() {
    // SAFETY: this request takes a signal, and no pointer.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    assert!(result == 0, "the kernel refused to bind this process to its parent");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_of_the_words_of_a_job_gives_that_job() {
        let runtime = || "heist".to_owned();
        let jobs = [
            Job::Memory { runtime: runtime(), workers: 2, bytes: 40 },
            Job::Calls { runtime: runtime(), workers: 2, row: "yield".to_owned() },
            Job::Turn { runtime: runtime(), workers: 2, row: "yield".to_owned(), passes: 3, quick: true },
            Job::Light { runtime: runtime(), workers: 8, event: "timer".to_owned(), seconds: 3 },
            Job::Server { runtime: runtime(), workers: 1, adapter: "native".to_owned() },
            Job::Spin { cpu: 1, nice: 19 },
        ];
        for job in jobs {
            assert_eq!(Job::parse(&job.words()), Ok(job));
        }
    }

    #[test]
    fn parse_of_other_words_says_that_the_flag_is_internal() {
        let error = Job::parse(&["spin".to_owned(), "x".to_owned()]).unwrap_err();
        assert!(error.contains("own use"), "{error}");
    }
}
