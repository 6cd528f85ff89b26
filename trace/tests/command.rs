//! Runs the program `heist-trace`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

#[path = "support/sample.rs"]
mod sample;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_heist-trace")).args(arguments).output().expect("the program")
}

/// Writes a file into the folder for this test's files.
fn temporary(name: &str, bytes: &[u8]) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).expect("a file");
    path.display().to_string()
}

#[test]
fn command_of_each_name_writes_its_output() {
    let file = temporary("command.heist", &sample::every_event());
    let output = temporary("command.out", b"");
    for arguments in [vec!["summary", &file], vec!["diff", &file, &file], vec!["flame", &file], vec!["--version"]] {
        let result = run(&arguments);
        assert!(result.status.success() && !result.stdout.is_empty(), "{result:?}");
    }
    for (name, beginning) in [("report", "<"), ("chrome", "{\"displayTimeUnit\""), ("perfetto", "\n")] {
        let result = run(&[name, &file, "-o", &output]);
        assert!(result.status.success(), "{result:?}");
        assert!(fs::read(&output).unwrap().starts_with(beginning.as_bytes()), "{name}");
    }
}

#[test]
fn command_with_wrong_usage_has_the_status_2() {
    for arguments in
        [vec![], vec!["summary"], vec!["chrome", "x"], vec!["nonsense"], vec!["summary", "x", "--nonsense"]]
    {
        let result = run(&arguments);
        assert_eq!(result.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&result.stderr).contains("heist-trace"), "{result:?}");
    }
}

#[test]
fn command_with_a_bad_file_has_the_status_1() {
    let mut bytes = sample::every_event();
    bytes.truncate(bytes.len() - 3);
    let cut = temporary("cut.heist", &bytes);
    let result = run(&["summary", &cut]);
    assert_eq!(result.status.code(), Some(1));
    let error = String::from_utf8_lossy(&result.stderr).into_owned();
    assert!(error.contains(&format!("at byte {}", bytes.len())) && error.contains("take a new snapshot"), "{error}");
    assert_eq!(run(&["summary", "/nonexistent/file"]).status.code(), Some(1));
}
