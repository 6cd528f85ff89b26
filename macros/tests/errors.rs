//! Compile errors for a wrong argument or a wrong function: one error, at the faulty token, with
//! the remedy.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A program in which «guillemets» enclose the faulty token, and a part of the expected message.
struct Mistake(&'static str, &'static str);

const MISTAKES: [Mistake; 52] = [
    // Faulty arguments.
    Mistake("#[heist::main(«5»)] async fn main() {}", "expected an argument of the form `name = value`"),
    Mistake("#[heist::main(«\"flavor\"»)] async fn main() {}", "expected an argument of the form `name = value`"),
    Mistake(
        "#[heist::main(«threads» = 4)] async fn main() {}",
        "unknown argument `threads`; the arguments are `flavor`, `worker_threads`, `start_paused` and `crate`",
    ),
    Mistake(
        "#[heist::main(flavor = \"multi_thread\", «flavor» = \"current_thread\")] async fn main() {}",
        "`flavor` is given twice",
    ),
    Mistake("#[heist::main(«flavor»)] async fn main() {}", "`flavor` needs a value: `flavor = ...`"),
    Mistake("#[heist::main(«worker_threads» =)] async fn main() {}", "`worker_threads` needs a value"),
    Mistake("#[heist::main(worker_threads«(4)»)] async fn main() {}", "expected `=` after `worker_threads`"),
    Mistake(
        "#[heist::main(worker_threads = 4 «crate» = \"heist\")] async fn main() {}",
        "expected a comma between two arguments",
    ),
    // Faulty values.
    Mistake(
        "#[heist::main(flavor = «\"threaded\"»)] async fn main() {}",
        "`flavor` must be \"multi_thread\", \"current_thread\" or \"local\"",
    ),
    Mistake(
        "#[heist::main(flavor = «current_thread»)] async fn main() {}",
        "`flavor` must be \"multi_thread\", \"current_thread\" or \"local\"",
    ),
    Mistake("#[heist::main(worker_threads = «0»)] async fn main() {}", "a runtime needs at least one worker thread"),
    Mistake("#[heist::main(worker_threads = «\"4\"»)] async fn main() {}", "must be a whole number, such as 4"),
    Mistake("#[heist::main(worker_threads = «4.0»)] async fn main() {}", "must be a whole number, such as 4"),
    Mistake("#[heist::main(worker_threads = «-»4)] async fn main() {}", "must be a whole number, such as 4"),
    Mistake("#[heist::main(start_paused = «1»)] async fn main() {}", "`start_paused` must be `true` or `false`"),
    Mistake("#[heist::main(start_paused = «\"true\"»)] async fn main() {}", "`start_paused` must be `true` or `false`"),
    Mistake("#[heist::main(crate = «heist»)] async fn main() {}", "`crate` must be a path in quotes"),
    Mistake("#[heist::main(crate = «\"a b\"»)] async fn main() {}", "`crate` must be a path in quotes"),
    Mistake("#[heist::main(crate = «\"\"»)] async fn main() {}", "`crate` must be a path in quotes"),
    // Arguments that exclude each other.
    Mistake(
        "#[heist::main(flavor = \"current_thread\", worker_threads = «4»)] async fn main() {}",
        "has no worker threads; add `flavor = \"multi_thread\"` or remove `worker_threads`",
    ),
    Mistake(
        "#[heist::main(flavor = \"local\", worker_threads = «4»)] async fn main() {}",
        "has no worker threads; add `flavor = \"multi_thread\"` or remove `worker_threads`",
    ),
    Mistake(
        "#[heist::test(worker_threads = «4»)] async fn test() {} fn main() {}",
        "has no worker threads; add `flavor = \"multi_thread\"` or remove `worker_threads`",
    ),
    Mistake(
        "#[heist::main(start_paused = «true»)] async fn main() {}",
        "only the clock of a current-thread runtime can be paused; add `flavor = \"current_thread\"`",
    ),
    // Simulations.
    Mistake(
        "#[heist::test(«threads» = 4)] async fn test() {} fn main() {}",
        "the arguments are `flavor`, `worker_threads`, `start_paused`, `crate`, `sim`, `seeds` and `workers`",
    ),
    Mistake("#[heist::test(sim «=» true)] async fn test() {} fn main() {}", "`sim` has no value; write `sim` alone"),
    Mistake("#[heist::test(sim, «sim»)] async fn test() {} fn main() {}", "`sim` is given twice"),
    Mistake("#[heist::test(sim, seeds = «0»)] async fn test() {} fn main() {}", "needs at least one seed"),
    Mistake("#[heist::test(sim, workers = «0»)] async fn test() {} fn main() {}", "needs at least one worker"),
    Mistake(
        "#[heist::test(sim, seeds = «\"9\"»)] async fn test() {} fn main() {}",
        "`seeds` must be a whole number, such as 4",
    ),
    Mistake(
        "#[heist::test(«seeds» = 9)] async fn test() {} fn main() {}",
        "`seeds` is an argument of simulations; add `sim`, or remove it",
    ),
    Mistake(
        "#[heist::test(flavor = \"multi_thread\", «workers» = 9)] async fn test() {} fn main() {}",
        "`workers` is an argument of simulations; add `sim`, or write `worker_threads`",
    ),
    Mistake(
        "#[heist::test(sim, «flavor» = \"multi_thread\")] async fn test() {} fn main() {}",
        "a simulation always has the flavor \"multi_thread\"; remove `flavor`",
    ),
    Mistake(
        "#[heist::test(sim, worker_threads = «4»)] async fn test() {} fn main() {}",
        "a simulation takes the number of its workers from `workers`; rename this",
    ),
    Mistake(
        "#[heist::test(start_paused = «true», sim)] async fn test() {} fn main() {}",
        "the time of a simulation is virtual and cannot be paused; remove `start_paused`",
    ),
    Mistake(
        "#[heist::main(«sim»)] async fn main() {}",
        "only a test runs by simulation; use #[heist::test(sim)], or call `heist::sim::Sim::run`",
    ),
    Mistake("#[heist::test(sim)] async fn test«(_: u8)» {} fn main() {}", "the test harness calls a test without"),
    // Faulty functions.
    Mistake("#[heist::main] «fn» main() {}", "#[heist::main] needs an `async fn`; put `async` before this `fn`"),
    Mistake("#[heist::main] async «unsafe» fn other() {} fn main() {}", "#[heist::main] needs a plain `async fn`"),
    Mistake(
        "#[heist::main] async fn main«(_: u8)» {}",
        "the operating system calls `main` without arguments; take them from `std::env::args`",
    ),
    Mistake("#[heist::main] async fn main«<»T>() {}", "`main` has no generic parameters"),
    Mistake(
        "#[heist::test] async fn test«(_: u8)» {} fn main() {}",
        "the test harness calls a test without arguments; create them inside of the test",
    ),
    Mistake("#[heist::test] async fn test«<»T>() {} fn main() {}", "a test has no generic parameters"),
    Mistake(
        "#[heist::main] async fn other(a: u8) -> u8 { if a == 0 { return «\"\"»; } a } fn main() { other(1); }",
        "mismatched types",
    ),
    Mistake(
        "#[heist::main] async fn other(a: u8) -> u8 { «missing»(a) } fn main() { other(1); }",
        "cannot find function",
    ),
    Mistake("#[heist::main] async fn other(_: u8) {} fn main() { other(1) }", ""),
    Mistake("#[heist::main] async fn other<T>() {} fn main() { other::<u8>() }", ""),
    Mistake("#[heist::main] «struct» Nothing; fn main() {}", "#[heist::main] needs an `async fn`"),
    Mistake("#[heist::test] «mod» tests {} fn main() {}", "#[heist::test] needs an `async fn`"),
    Mistake("#[heist::test] «fn» test() {} fn main() {}", "put `async` before this `fn`"),
    Mistake(
        "#[heist::test] #«[test]» async fn test() {} fn main() {}",
        "remove `#[test]`: #[heist::test] already declares a test",
    ),
    // Correct programs.
    Mistake("#[heist::test(seeds = 1_000, sim, workers = 4usize,)] async fn test() {} fn main() {}", ""),
    Mistake("#[heist::main(worker_threads = 2,)] async fn main() {}", ""),
];

/// A stub of the library, under its name, with what the attributes call.
const STUB: &str = r#"
pub use heist_macros::{main, test};
pub mod runtime {
    pub struct Builder;
    impl Builder {
        pub fn new_multi_thread() -> Builder { Builder }
        pub fn new_current_thread() -> Builder { Builder }
        pub fn worker_threads(&mut self, _: usize) -> &mut Builder { self }
        pub fn start_paused(&mut self, _: bool) -> &mut Builder { self }
        pub fn enable_all(&mut self) -> &mut Builder { self }
        pub fn build(&mut self) -> Result<Builder, ()> { Ok(Builder) }
        pub fn block_on<F: Future>(&self, _: F) -> F::Output { loop {} }
    }
}
"#;

/// Compiles each mistake as a program of its own, and compares the errors.
fn check(name: &str, features: &str, mistakes: &[Mistake]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(folder.join("src"));
    fs::create_dir_all(folder.join("src/bin")).unwrap();
    let macros = env!("CARGO_MANIFEST_DIR");
    let manifest = format!(
        "[package]\nname = \"heist\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nheist-macros = {{ path = {macros:?}, features = [{features}] }}\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("src/lib.rs"), STUB).unwrap();
    for (number, Mistake(program, _)) in mistakes.iter().enumerate() {
        let program = program.replace(['«', '»'], "");
        fs::write(folder.join(format!("src/bin/m{number}.rs")), program).unwrap();
    }
    let output = compiler(&folder);
    for (number, Mistake(program, message)) in mistakes.iter().enumerate() {
        let place = format!("src/bin/m{number}.rs:");
        let errors: Vec<&str> = output.lines().filter_map(|line| line.strip_prefix(&place)).collect();
        let expected = program.chars().position(|char| char == '«').map(|at| format!("1:{}: error", at + 1));
        match (expected, &errors[..]) {
            (None, []) => {}
            (Some(expected), [error]) if error.starts_with(&expected) && error.contains(message) => {}
            (expected, _) => {
                panic!("{program}\nexpected {expected:?} {message:?}, and got:\n{errors:#?}\nof\n{output}")
            }
        }
    }
}

fn compiler(folder: &Path) -> String {
    let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let output = Command::new(cargo)
        .args(["check", "--offline", "--keep-going", "--bins", "--message-format", "short"])
        .args(["--manifest-path".as_ref(), folder.join("Cargo.toml").as_os_str()])
        .args(["--target-dir".as_ref(), folder.join("target").as_os_str()])
        .env_remove("CARGO_TERM_COLOR")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("heist v0.0.0"), "cargo failed before it checked the programs:\n{text}");
    text
}

#[test]
fn macro_misuse_reports_one_error_at_the_token() {
    check("mistakes", "\"test-util\", \"sim\"", &MISTAKES);
}

#[test]
fn start_paused_without_feature_is_refused() {
    let program = "#[heist::main(flavor = \"current_thread\", start_paused = «true»)] async fn main() {}";
    check("without_the_feature", "", &[Mistake(program, "needs the feature `test-util` of heist")]);
}

#[test]
fn sim_without_feature_is_refused() {
    let program = "#[heist::test(seeds = 9, «sim»)] async fn test() {} fn main() {}";
    check("without_simulation", "", &[Mistake(program, "needs the feature `sim` of heist")]);
}
