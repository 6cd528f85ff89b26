//! The arguments of the attribute.

use std::str::FromStr;

use proc_macro::{Ident, Literal, Span, TokenStream, TokenTree};

use crate::{Fault, Role};

/// Set if `heist` can pause time.
const PAUSES: bool = cfg!(feature = "test-util");
/// Set if `heist` has simulations.
const SIMULATES: bool = cfg!(feature = "sim");

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    MultiThread,
    CurrentThread,
    Local,
}

pub(crate) struct Arguments {
    pub(crate) flavor: Flavor,
    pub(crate) worker_threads: Option<usize>,
    pub(crate) start_paused: Option<bool>,
    /// The path of `heist`, as text.
    pub(crate) crate_path: String,
    /// Set if the test runs by simulation.
    pub(crate) simulation: Option<Simulation>,
}

/// How a test runs by simulation.
pub(crate) struct Simulation {
    pub(crate) seeds: u64,
    pub(crate) workers: usize,
}

/// The defaults of `seeds` and `workers`.
const DEFAULT_SIMULATION: Simulation = Simulation { seeds: 100, workers: 2 };

/// Where the arguments stand that exclude others.
#[derive(Default)]
struct Places {
    flavor: Option<Span>,
    worker_threads: Option<Span>,
    start_paused: Option<Span>,
    sim: Option<Span>,
    seeds: Option<Span>,
    workers: Option<Span>,
}

impl Arguments {
    pub(crate) fn default_for(role: Role) -> Arguments {
        let flavor = match role {
            Role::Main => Flavor::MultiThread,
            Role::Test => Flavor::CurrentThread,
        };
        let crate_path = "::heist".to_owned();
        Arguments { flavor, worker_threads: None, start_paused: None, crate_path, simulation: None }
    }

    pub(crate) fn read(role: Role, tokens: TokenStream) -> Result<Arguments, Fault> {
        let mut arguments = Arguments::default_for(role);
        let (mut seen, mut at, mut simulation) = (Vec::new(), Places::default(), DEFAULT_SIMULATION);
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            let TokenTree::Ident(name) = token else {
                return Err(Fault::new(token.span(), "expected an argument of the form `name = value`"));
            };
            if seen.contains(&name.to_string()) {
                return Err(Fault::new(name.span(), format!("`{name}` is given twice")));
            }
            seen.push(name.to_string());
            match name.to_string().as_str() {
                "flavor" => {
                    at.flavor = Some(name.span());
                    arguments.flavor = flavor(&value(&name, &mut tokens)?)?;
                }
                "worker_threads" => {
                    let value = value(&name, &mut tokens)?;
                    arguments.worker_threads =
                        Some(count(&name, &value, "usize", "a runtime needs at least one worker thread")?);
                    at.worker_threads = Some(value.span());
                }
                "start_paused" => {
                    let value = value(&name, &mut tokens)?;
                    arguments.start_paused = Some(boolean(&value)?);
                    at.start_paused = Some(value.span());
                }
                "crate" => arguments.crate_path = path(&value(&name, &mut tokens)?)?,
                "sim" => {
                    at.sim = Some(name.span());
                    if let Some(equals) = tokens.next_if(|next| !is_comma(next)) {
                        return Err(Fault::new(equals.span(), "`sim` has no value; write `sim` alone"));
                    }
                }
                "seeds" => {
                    at.seeds = Some(name.span());
                    let value = value(&name, &mut tokens)?;
                    simulation.seeds = count(&name, &value, "u64", "a test by simulation needs at least one seed")?;
                }
                "workers" => {
                    at.workers = Some(name.span());
                    let value = value(&name, &mut tokens)?;
                    simulation.workers = count(&name, &value, "usize", "a simulation needs at least one worker")?;
                }
                _ => {
                    let message = format!("unknown argument `{name}`; the arguments are {}", role.arguments());
                    return Err(Fault::new(name.span(), message));
                }
            }
            match tokens.next() {
                None => break,
                Some(token) if is_comma(&token) => {}
                Some(token) => return Err(Fault::new(token.span(), "expected a comma between two arguments")),
            }
        }
        check_simulation(role, &at)?;
        arguments.simulation = at.sim.map(|_| simulation);
        arguments.check(at.worker_threads, at.start_paused)?;
        Ok(arguments)
    }

    /// Returns a fault if two arguments exclude each other.
    fn check(&self, workers_at: Option<Span>, paused_at: Option<Span>) -> Result<(), Fault> {
        match (self.flavor, workers_at, paused_at) {
            (Flavor::CurrentThread | Flavor::Local, Some(at), _) => Err(Fault::new(
                at,
                "a current-thread runtime has no worker threads; add `flavor = \"multi_thread\"` or remove `worker_threads`",
            )),
            (Flavor::MultiThread, _, Some(at)) if self.start_paused == Some(true) => Err(Fault::new(
                at,
                "only the clock of a current-thread runtime can be paused; add `flavor = \"current_thread\"`",
            )),
            (_, _, Some(at)) if !PAUSES => Err(Fault::new(
                at,
                "`start_paused` needs the feature `test-util` of heist; add `features = [\"test-util\"]` to it in the \
                 `[dev-dependencies]`",
            )),
            _ => Ok(()),
        }
    }
}

/// Returns a fault if an argument needs `sim`, or excludes it.
fn check_simulation(role: Role, at: &Places) -> Result<(), Fault> {
    let fault = |at: Span, message: &str| Err(Fault::new(at, message));
    match (at.sim, at.seeds, at.workers) {
        (None, Some(seeds), _) => {
            return fault(seeds, "`seeds` is an argument of simulations; add `sim`, or remove it");
        }
        (None, _, Some(workers)) => {
            return fault(workers, "`workers` is an argument of simulations; add `sim`, or write `worker_threads`");
        }
        (None, None, None) => return Ok(()),
        (Some(sim), ..) if role == Role::Main => {
            return fault(
                sim,
                "only a test runs by simulation; use #[heist::test(sim)], or call `heist::sim::Sim::run`",
            );
        }
        _ => {}
    }
    match (at.flavor, at.worker_threads, at.start_paused, at.sim) {
        (Some(flavor), ..) => fault(flavor, "a simulation always has the flavor \"multi_thread\"; remove `flavor`"),
        (_, Some(workers), ..) => {
            fault(workers, "a simulation takes the number of its workers from `workers`; rename this")
        }
        (_, _, Some(paused), _) => {
            fault(paused, "the time of a simulation is virtual and cannot be paused; remove `start_paused`")
        }
        (.., Some(sim)) if !SIMULATES => fault(
            sim,
            "`sim` needs the feature `sim` of heist; add `features = [\"sim\"]` to it in the `[dev-dependencies]`",
        ),
        _ => Ok(()),
    }
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(comma) if comma.as_char() == ',')
}

/// Returns the value after a name and `=`.
fn value(name: &Ident, tokens: &mut impl Iterator<Item = TokenTree>) -> Result<TokenTree, Fault> {
    let missing = || Fault::new(name.span(), format!("`{name}` needs a value: `{name} = ...`"));
    match tokens.next().ok_or_else(missing)? {
        TokenTree::Punct(equals) if equals.as_char() == '=' => tokens.next().ok_or_else(missing).map(ungrouped),
        other => Err(Fault::new(other.span(), format!("expected `=` after `{name}`"))),
    }
}

/// Returns the token of an invisible group. A value that another macro has produced is in such a
/// group.
fn ungrouped(token: TokenTree) -> TokenTree {
    match token {
        TokenTree::Group(group) if group.delimiter() == proc_macro::Delimiter::None => {
            let mut inside = group.stream().into_iter();
            match (inside.next(), inside.next()) {
                (Some(token), None) => ungrouped(token),
                _ => TokenTree::Group(group),
            }
        }
        token => token,
    }
}

fn flavor(value: &TokenTree) -> Result<Flavor, Fault> {
    match text(value).as_deref() {
        Some("multi_thread") => Ok(Flavor::MultiThread),
        Some("current_thread") => Ok(Flavor::CurrentThread),
        Some("local") => Ok(Flavor::Local),
        _ => Err(Fault::new(value.span(), "`flavor` must be \"multi_thread\", \"current_thread\" or \"local\"")),
    }
}

/// Returns a number that is not zero. `zero` is the message for zero.
fn count<N: FromStr + Default + PartialEq>(
    name: &Ident,
    value: &TokenTree,
    suffix: &str,
    zero: &str,
) -> Result<N, Fault> {
    let digits = value.to_string().replace('_', "");
    match digits.strip_suffix(suffix).unwrap_or(&digits).parse() {
        Ok(count) if count == N::default() => Err(Fault::new(value.span(), zero)),
        Ok(count) => Ok(count),
        Err(_) => Err(Fault::new(value.span(), format!("`{name}` must be a whole number, such as 4"))),
    }
}

fn boolean(value: &TokenTree) -> Result<bool, Fault> {
    value.to_string().parse().map_err(|_| Fault::new(value.span(), "`start_paused` must be `true` or `false`"))
}

fn path(value: &TokenTree) -> Result<String, Fault> {
    let is_path = |path: &String| {
        let mut segments = path.strip_prefix("::").unwrap_or(path).split("::");
        segments.all(|segment| {
            let name = segment.strip_prefix("r#").unwrap_or(segment);
            name.starts_with(|first: char| first == '_' || first.is_alphabetic())
                && name.chars().all(|c| c == '_' || c.is_alphanumeric())
        })
    };
    text(value)
        .filter(is_path)
        .ok_or_else(|| Fault::new(value.span(), "`crate` must be a path in quotes, such as \"heist\" or \"crate::rt\""))
}

/// Returns the text of a plain string literal, without its quotes.
fn text(value: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = value else { return None };
    Some(Literal::to_string(literal).strip_prefix('"')?.strip_suffix('"')?.to_owned())
}
