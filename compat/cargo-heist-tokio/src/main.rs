//! `cargo heist-tokio`: puts a crate named `tokio` over heist into a workspace.
//!
//! The crate consists of the parts of Tokio that do not depend on its scheduler, from the user's
//! own registry, and of heist's runtime in the place of Tokio's. The page is docs/tokio-facade.md.

mod check;
mod crate_source;
mod flags;
mod layout;
mod manifest;
mod project;
mod supported;

use std::path::PathBuf;
use std::process::ExitCode;

use project::Project;

const USAGE: &str = "\
Runs programs and libraries that are written for Tokio on heist, unmodified.

Usage: cargo heist-tokio <command> [options]

Commands:
  setup     write third_party/heist-tokio and patch `tokio` with it
  check     say what in the dependency tree would not run on it, and why
  remove    undo `setup`

Options:
  --manifest-path <file>   the Cargo.toml of the workspace or package
  --heist <folder>         the checkout of heist to depend on; without it, the one that this program was built from
  --with-tests             keep Tokio's own tests in the crate, to run them on heist
";

/// The arguments of the command line.
struct Arguments {
    command: String,
    manifest_path: Option<PathBuf>,
    heist: Option<PathBuf>,
    with_tests: bool,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    // Cargo passes the name of the subcommand first.
    let mut arguments = arguments.skip_while(|argument| argument == "heist-tokio").peekable();
    let mut parsed = Arguments { command: String::new(), manifest_path: None, heist: None, with_tests: false };
    while let Some(argument) = arguments.next() {
        let mut value = |name: &str| {
            arguments
                .next()
                .map(PathBuf::from)
                .ok_or(format!("`{name}` needs a path after it; see `cargo heist-tokio --help`"))
        };
        match argument.as_str() {
            "--manifest-path" => parsed.manifest_path = Some(value("--manifest-path")?),
            "--heist" => parsed.heist = Some(value("--heist")?),
            "--with-tests" => parsed.with_tests = true,
            "--help" | "-h" | "help" => parsed.command = "help".to_owned(),
            "--version" | "-V" => parsed.command = "version".to_owned(),
            "setup" | "check" | "remove" if parsed.command.is_empty() => parsed.command = argument,
            "setup" | "check" | "remove" => {
                return Err(format!(
                    "`{argument}` is a second command, after `{}`; give one command at a time",
                    parsed.command
                ));
            }
            other => {
                return Err(format!(
                    "`{other}` is no command or option of `cargo heist-tokio`; see `cargo heist-tokio --help`"
                ));
            }
        }
    }
    Ok(parsed)
}

fn run(arguments: &Arguments) -> Result<String, String> {
    if arguments.command.is_empty() || arguments.command == "help" {
        return Ok(USAGE.trim_end().to_owned());
    }
    if arguments.command == "version" {
        return Ok(format!("cargo-heist-tokio {}", env!("CARGO_PKG_VERSION")));
    }
    let project = Project::find(arguments.manifest_path.as_deref())?;
    match arguments.command.as_str() {
        "setup" => setup(&project, arguments),
        "check" => check::report(&project),
        _ => remove(&project),
    }
}

fn setup(project: &Project, arguments: &Arguments) -> Result<String, String> {
    flags::refuse_unstable(project.root())?;
    let before = project.snapshot()?;
    match set_up(project, arguments) {
        Ok(version) => {
            before.discard()?;
            Ok(format!(
                "tokio {version} of this workspace runs on heist now: {} is patched in, and no scheduler of Tokio's is in the dependency \
                 tree. Next: `cargo run`. `cargo heist-tokio remove` undoes it.",
                layout::FOLDER
            ))
        }
        Err(error) => {
            before.restore()?;
            Err(error)
        }
    }
}

fn set_up(project: &Project, arguments: &Arguments) -> Result<String, String> {
    manifest::refuse_other_patch(&project.root_manifest())?;
    if !project.facade_folder().join("Cargo.toml").exists() {
        // A fresh clone may have the patch without the folder. Cargo could resolve nothing then.
        let mirrored = project.mirrored_in_lock();
        if manifest::remove_patch(&project.root_manifest())? {
            project.forget_patch(mirrored.as_deref())?;
        }
    }
    let graph = project.graph()?;
    check::refuse_cycles(&graph)?;
    let source = crate_source::find(&graph)?;
    let heist = layout::heist_dependency(&graph, arguments.heist.as_deref())?;
    layout::write(&project.facade_folder(), &source, &heist, arguments.with_tests)?;
    patch(project)?;
    Ok(source.version)
}

/// Patches the workspace, and checks that no other `tokio` is left.
fn patch(project: &Project) -> Result<(), String> {
    manifest::add_patch(&project.root_manifest())?;
    project.use_patch()?;
    check::prove(&project.graph()?, &project.facade_folder())
}

fn remove(project: &Project) -> Result<String, String> {
    let mirrored = layout::mirrored_by(&project.facade_folder()).or_else(|| project.mirrored_in_lock());
    let was_patched = manifest::remove_patch(&project.root_manifest())?;
    let had_folder = layout::remove(&project.facade_folder())?;
    if !was_patched && !had_folder {
        return Ok("this workspace is not patched; nothing was changed".to_owned());
    }
    project.forget_patch(mirrored.as_deref())?;
    Ok("tokio of this workspace is the one of the registry again".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(arguments: &[&str]) -> String {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned());
        parse(arguments).err().expect("the arguments were accepted")
    }

    #[test]
    fn arguments_with_a_second_command_are_refused_with_its_name() {
        assert!(refusal(&["heist-tokio", "setup", "check"]).starts_with("`check` is a second command, after `setup`"));
        assert!(refusal(&["heist-tokio", "setup", "setup"]).starts_with("`setup` is a second command"));
    }

    #[test]
    fn arguments_with_an_unknown_word_are_refused_with_it() {
        assert!(refusal(&["heist-tokio", "install"]).starts_with("`install` is no command or option"));
        assert!(refusal(&["heist-tokio", "setup", "--force"]).starts_with("`--force` is no command or option"));
    }

    #[test]
    fn arguments_without_a_path_are_refused_with_the_option() {
        assert!(refusal(&["heist-tokio", "setup", "--heist"]).starts_with("`--heist` needs a path"));
    }
}
