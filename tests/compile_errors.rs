//! Programs that the compiler has to refuse: values that are not `Send` or `'static`, and borrows
//! that end too early.
//!
//! Each mistake stands beside a program that differs in it alone, and compiles. So the error has
//! its reason in the mistake.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The body of an `async fn`, with `«wrong¦right»`; the code of the error, and a part of its text.
struct Mistake(&'static str, &'static str, &'static str);

const NOT_SEND: &str = "cannot be sent between threads safely";

const MISTAKES: [Mistake; 32] = [
    // What moves to another thread is `Send`.
    Mistake("let n = «Rc¦Arc»::new(1); heist::spawn(async move { yield_now().await; drop(n) });", "", NOT_SEND),
    Mistake("heist::spawn(async { «Rc¦Arc»::new(1) });", "E0277", NOT_SEND),
    Mistake("let n = «Rc¦Arc»::new(1); heist::task::spawn_blocking(move || drop(n));", "E0277", NOT_SEND),
    Mistake("heist::task::spawn_blocking(|| «Rc¦Arc»::new(1));", "E0277", NOT_SEND),
    Mistake("let n = «Rc¦Arc»::new(1); Handle::current().spawn(async move { drop(n) });", "", NOT_SEND),
    Mistake("let n = «Rc¦Arc»::new(1); Handle::current().try_spawn(async move { drop(n) }).ok();", "", NOT_SEND),
    Mistake("let n = «Rc¦Arc»::new(1); JoinSet::new().spawn(async move { drop(n) });", "", NOT_SEND),
    Mistake("let mut set = JoinSet::<«Rc¦Arc»<u8>>::new(); thread::spawn(move || set.abort_all());", "E0277", NOT_SEND),
    Mistake(
        "fn over(task: JoinHandle<«Rc¦Arc»<u8>>) { thread::spawn(move || task.abort()); } let _ = over;",
        "E0277",
        NOT_SEND,
    ),
    Mistake("let n = «Rc¦Arc»::new(1); heist::task::Builder::new().spawn(async move { drop(n) }).ok();", "", NOT_SEND),
    Mistake(
        "let n = «Rc¦Arc»::new(1); Builder::new_multi_thread().on_thread_start(move || drop(n.clone()));",
        "E0277",
        "",
    ),
    Mistake(
        "fn over(runtime: «LocalRuntime¦Runtime») { thread::spawn(move || drop(runtime)); } let _ = over;",
        "E0277",
        NOT_SEND,
    ),
    Mistake(
        "let runtime = Runtime::new().unwrap(); let guard = runtime.enter(); \
         thread::scope(|scope| { scope.spawn(«move || drop(guard)¦|| ()»); });",
        "E0277",
        NOT_SEND,
    ),
    // A guard of the context may not live over an await in a task that moves.
    Mistake(
        "let handle = Handle::current(); \
         heist::spawn(async move { let guard = handle.enter(); «¦drop(guard);» yield_now().await; });",
        "",
        NOT_SEND,
    ),
    Mistake(
        "heist::spawn(timeout(SHORT, async { let n = «Rc¦Arc»::new(1); yield_now().await; drop(n) }));",
        "",
        NOT_SEND,
    ),
    Mistake(
        "heist::spawn(heist::task::unconstrained(async { let n = «Rc¦Arc»::new(1); yield_now().await; drop(n) }));",
        "",
        NOT_SEND,
    ),
    Mistake(
        "fn over(fd: AsyncFd<Fd<«Rc¦Arc»<u8>>>) { thread::spawn(move || drop(fd)); } let _ = over;",
        "E0277",
        NOT_SEND,
    ),
    // What a task holds lives as long as the task.
    Mistake("let text = String::new(); heist::spawn(async «¦move» { text.len() });", "E0373", "may outlive"),
    Mistake("let text = String::new(); heist::task::spawn_blocking(«¦move »|| text.len());", "E0373", "may outlive"),
    Mistake(
        "let text = String::new(); let part = «text.as_str()¦text.clone()»; heist::spawn(async move { part.len() });",
        "E0597",
        "does not live long enough",
    ),
    Mistake(
        "let mut stream = stream().await; let (reader, writer) = stream.«split¦into_split»(); \
         heist::spawn(async move { drop((reader, writer)) });",
        "E0597",
        "does not live long enough",
    ),
    // Borrows.
    Mistake(
        "let guard; { let runtime = Runtime::new().unwrap(); guard = runtime.enter(); «¦drop(guard); return;» } drop(guard);",
        "E0597",
        "does not live long enough",
    ),
    Mistake(
        "let mut stream = stream().await; let (reader, writer) = stream.split(); «drop(stream);¦» drop((reader, writer));",
        "E0505",
        "cannot move out of `stream`",
    ),
    Mistake(
        "let mut stream = stream().await; let (mut a, mut b) = ([0], [0]); let one = stream.read(&mut a); «¦one.await.ok();»\
         let two = stream.read(&mut b); «drop(one);¦» drop(two);",
        "E0499",
        "more than once at a time",
    ),
    Mistake(
        "let mut buf = [0; 8]; let mut stream = stream().await; let read = stream.read(&mut buf); «buf[0] = 1;¦» drop(read);",
        "E0506",
        "cannot assign",
    ),
    Mistake(
        "let fd = AsyncFd::new(Fd(1_u8)).unwrap(); let guard = fd.readable().await.unwrap(); «drop(fd);¦» drop(guard);",
        "E0505",
        "cannot move out of `fd`",
    ),
    Mistake("let text = KEY.with(|text| «text¦text.clone()»); drop(text);", "", "lifetime may not live long enough"),
    Mistake(
        "let mut set = JoinSet::new(); set.spawn(async {}); let next = set.join_next(); «drop(set);¦» drop(next);",
        "E0505",
        "cannot move out of `set`",
    ),
    // Timers are pinned.
    Mistake("let mut sleep = «¦Box::pin(»sleep(SHORT)«¦)»; Pin::new(&mut sleep).await;", "E0277", "cannot be unpinned"),
    // A lost value.
    Mistake("«¦let _ = »sleep(SHORT);", "", "that must be used"),
    Mistake("«¦let _ = »Handle::current().drain(SHORT);", "", "that must be used"),
    Mistake("«¦let _ = »Handle::current().enter();", "", "that must be used"),
];

/// Stands in front of each body.
const PRELUDE: &str = "#![allow(unused)]\n#![deny(unused_must_use)]\nuse heist::io::unix::AsyncFd; use heist::net::TcpStream; \
    use heist::runtime::{Builder, Handle, LocalRuntime, Runtime}; use heist::task::{JoinHandle, JoinSet, yield_now}; use heist::time::*; use std::pin::Pin; use std::rc::Rc; use std::sync::Arc; \
    use std::thread; const SHORT: Duration = Duration::ZERO; heist::task_local! { static KEY: String; } \
    struct Fd<T>(T); impl<T> std::os::fd::AsRawFd for Fd<T> { fn as_raw_fd(&self) -> i32 { 0 } } \
    async fn stream() -> TcpStream { unreachable!() } fn main() {} async fn body() {\n";

/// Returns the wrong and the right program.
fn programs(body: &str) -> [String; 2] {
    let choose = |wrong: bool| {
        let mut text = String::new();
        let mut rest = body;
        while let Some((before, choice)) = rest.split_once('«') {
            let (choice, after) = choice.split_once('»').expect("the end of a choice");
            let (wrong_text, right_text) = choice.split_once('¦').expect("two choices");
            text += before;
            text += if wrong { wrong_text } else { right_text };
            rest = after;
        }
        format!("{PRELUDE}{text}{rest}\n}}\n")
    };
    [choose(true), choose(false)]
}

#[test]
fn misuse_of_the_api_is_refused_for_its_own_reason() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_errors");
    let _ = fs::remove_dir_all(folder.join("src"));
    fs::create_dir_all(folder.join("src/bin")).unwrap();
    let heist = env!("CARGO_MANIFEST_DIR");
    let manifest = format!(
        "[package]\nname = \"compile_errors\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nheist = {{ path = {heist:?} }}\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    // The versions that are there already.
    fs::copy(Path::new(heist).join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    for (number, Mistake(body, ..)) in MISTAKES.iter().enumerate() {
        for (program, kind) in programs(body).iter().zip(["wrong", "right"]) {
            fs::write(folder.join(format!("src/bin/{kind}{number}.rs")), program).unwrap();
        }
    }
    let output = compiler(&folder);
    let mut faults = Vec::new();
    for (number, Mistake(body, code, text)) in MISTAKES.iter().enumerate() {
        let errors = |kind| {
            let place = format!("src/bin/{kind}{number}.rs:");
            let lines = output.lines().filter(move |line| line.starts_with(&place) && line.contains(": error"));
            lines.collect::<Vec<_>>()
        };
        let (wrong, right) = (errors("wrong"), errors("right"));
        let expected = if code.is_empty() { "error: ".to_owned() } else { format!("error[{code}]") };
        let is_expected = |line: &&str| line.contains(&expected) && line.contains(text);
        if wrong.is_empty() || !wrong.iter().all(is_expected) {
            faults.push(format!("{body}\n  expected {expected} {text:?}, and got {wrong:#?}"));
        }
        if !right.is_empty() {
            faults.push(format!("{body}\n  the right one of the two has errors: {right:#?}"));
        }
    }
    assert!(faults.is_empty(), "\n{}\n{output}", faults.join("\n"));
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
    assert!(text.contains("compile_errors v0.0.0"), "cargo failed before it checked the programs:\n{text}");
    text
}
