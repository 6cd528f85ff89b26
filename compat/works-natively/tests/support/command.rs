//! Programs that a test runs to their end.

// A test file uses some of them.
#![allow(dead_code)]

use std::process::{Command, Stdio};

/// Returns what a program prints. Panics if the program is absent or fails.
pub fn output_now(program: &str, arguments: &[&str]) -> String {
    let ended = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let ended = ended.unwrap_or_else(|error| {
        panic!("{program} did not start ({error}); install the Debian package that contains it (`.ci/run` names it)")
    });
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{program} {arguments:?} failed: {}\n{errors}", ended.status);
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

/// Returns what a program prints, without blocking the worker.
pub async fn output(program: &str, arguments: &[&str]) -> String {
    let (program, arguments) = (program.to_owned(), arguments.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
    let run = move || output_now(&program, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    heist::task::spawn_blocking(run).await.unwrap()
}
