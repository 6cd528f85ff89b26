//! The stacks of all threads of this process.

use std::fmt::Write as _;
use std::fs;
use std::process::{self, Command};

/// The longest that the debugger may take.
const LIMIT_SECONDS: &str = "90";

/// Returns the stacks, by the debugger if there is one, else what the kernel tells.
pub(crate) fn all_threads() -> String {
    by_debugger().unwrap_or_else(by_kernel)
}

fn by_debugger() -> Option<String> {
    let pid = process::id().to_string();
    let arguments = ["-nx", "-batch", "-p", &pid, "-ex", "set pagination off", "-ex", "thread apply all backtrace 40"];
    let ran = Command::new("timeout").arg(LIMIT_SECONDS).arg("gdb").args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&ran.stdout);
    text.contains("#0").then(|| text.into_owned())
}

fn by_kernel() -> String {
    let mut text = String::new();
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return "the system lists no threads".to_owned() };
    for thread in threads.flatten() {
        let read = |file: &str| fs::read_to_string(thread.path().join(file)).unwrap_or_default();
        let _ = writeln!(
            text,
            "thread {} {:?}: waits in {:?}, system call {:?}\n{}",
            thread.file_name().to_string_lossy(),
            read("comm").trim(),
            read("wchan"),
            read("syscall").trim(),
            read("stack"),
        );
    }
    text
}
