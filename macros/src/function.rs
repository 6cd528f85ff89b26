//! The function that the attribute is applied to.

use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

use crate::arguments::{Arguments, Flavor, Simulation};
use crate::parameters::Parameters;
use crate::{Fault, Role};

/// The parts of `#[attributes] pub async fn name() -> Output where ... { body }` that the macros
/// need.
pub(crate) struct Function {
    /// Attributes and visibility.
    before: Vec<TokenTree>,
    /// From `fn` up to the body.
    signature: Vec<TokenTree>,
    name: Ident,
    body: Group,
}

impl Function {
    pub(crate) fn read(role: Role, item: TokenStream) -> Result<Function, Fault> {
        let mut tokens: Vec<TokenTree> = item.into_iter().collect();
        let not_a_function = |at| Fault::new(at, format!("{} needs an `async fn`", role.name()));
        let at = tokens.first().map_or_else(Span::call_site, TokenTree::span);
        let Some(body) = pop_body(&mut tokens) else {
            return Err(not_a_function(at));
        };
        let fn_at = tokens.iter().position(|token| is_word(token, "fn")).ok_or_else(|| not_a_function(at))?;
        let Some(TokenTree::Ident(name)) = tokens.get(fn_at + 1).cloned() else {
            return Err(not_a_function(at));
        };
        let signature = tokens.split_off(fn_at);
        let Some(async_at) = tokens.iter().position(|token| is_word(token, "async")) else {
            let message = format!("{} needs an `async fn`; put `async` before this `fn`", role.name());
            return Err(Fault::new(signature[0].span(), message));
        };
        tokens.remove(async_at);
        if let Some(qualifier) = tokens.get(async_at) {
            return Err(Fault::new(qualifier.span(), format!("{} needs a plain `async fn`", role.name())));
        }
        if role == Role::Test || name.to_string() == "main" {
            check_no_parameters(role, &signature)?;
        }
        if role == Role::Test {
            check_no_test_attribute(&tokens)?;
        }
        Ok(Function { before: tokens, signature, name, body })
    }

    /// Returns a plain function that builds a runtime and runs the async one on it.
    ///
    /// If the parameters can be passed on, the async function stays unchanged, inside of the plain
    /// one. Then the compiler reports the same errors as for any other function.
    pub(crate) fn with_runtime(&self, role: Role, arguments: &Arguments) -> TokenStream {
        let mut signature = self.signature.clone();
        let mut inside: Vec<TokenTree> = Vec::new();
        let future: Vec<TokenTree> = match self.parameters_of_nested() {
            Some(Parameters { taken, passed }) => {
                inside.push(Ident::new("async", self.name.span()).into());
                inside.extend(self.signature.iter().cloned());
                inside.push(self.body.clone().into());
                signature[PARAMETERS] = taken.into();
                vec![self.name.clone().into(), passed.into()]
            }
            None => {
                let word = |word| Ident::new(word, self.name.span());
                vec![word("async").into(), word("move").into(), self.body.clone().into()]
            }
        };
        inside.extend(parsed(&builder(arguments)));
        inside.push(Group::new(Delimiter::Parenthesis, future.into_iter().collect()).into());
        let mut body = Group::new(Delimiter::Brace, inside.into_iter().collect());
        body.set_span(self.body.span());

        let mut whole = TokenStream::new();
        if role == Role::Test {
            whole.extend(parsed("#[::core::prelude::v1::test]"));
        }
        whole.extend(self.before.iter().cloned());
        whole.extend(signature);
        whole.extend([TokenTree::from(body)]);
        whole
    }

    /// Returns a test that runs the async function once per seed, by simulation.
    ///
    /// The output is reported as the test harness does it: an error is printed, and the test fails.
    /// That happens within the simulation, since an error need not be `Send`.
    pub(crate) fn with_simulation(&self, simulation: &Simulation, crate_path: &str) -> TokenStream {
        let Simulation { seeds, workers } = simulation;
        let name = &self.name;
        let mut inside: Vec<TokenTree> = vec![Ident::new("async", name.span()).into()];
        inside.extend(self.signature.iter().cloned());
        inside.push(self.body.clone().into());
        inside.extend(parsed(&format!(
            "{crate_path}::sim::for_each_seed({seeds}u64, |__heist_sim| {{ \
                 __heist_sim.workers({workers}usize).run(async {{ \
                     let report = ::std::process::Termination::report({name}().await); \
                     let fine = ::core::cmp::PartialEq::eq(&report, &::std::process::ExitCode::SUCCESS); \
                     ::core::assert!(fine, \"the test returned an error: its text is printed above\"); \
                 }}) \
             }});"
        )));
        let mut body = Group::new(Delimiter::Brace, inside.into_iter().collect());
        body.set_span(self.body.span());

        let mut whole = parsed("#[::core::prelude::v1::test]");
        whole.extend(self.before.iter().cloned());
        whole.extend(self.signature[..=PARAMETERS].iter().cloned());
        whole.extend([TokenTree::from(body)]);
        whole
    }

    /// Returns the parameters that the plain function passes on to the async one inside of it.
    ///
    /// Returns None if they would have another meaning there: the inner function sees neither the
    /// generics of the plain one nor `Self`.
    fn parameters_of_nested(&self) -> Option<Parameters> {
        let list = parameters(&self.signature)?;
        let names_self = self.signature.iter().any(names_self_type) || names_self_type(&self.body.clone().into());
        if names_self { None } else { Parameters::read(list) }
    }
}

/// The index of the parameters in a function without generics: `fn name ( parameters )`.
const PARAMETERS: usize = 2;

/// Returns None if there are generics.
fn parameters(signature: &[TokenTree]) -> Option<&Group> {
    match signature.get(PARAMETERS) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => Some(group),
        _ => None,
    }
}

fn names_self_type(token: &TokenTree) -> bool {
    match token {
        TokenTree::Group(group) => group.stream().into_iter().any(|token| names_self_type(&token)),
        token => is_word(token, "Self"),
    }
}

/// Returns the code up to the call of `block_on`, without its parentheses.
fn builder(arguments: &Arguments) -> String {
    let (flavor, build) = match arguments.flavor {
        Flavor::MultiThread => ("new_multi_thread", "build()"),
        Flavor::CurrentThread => ("new_current_thread", "build()"),
        Flavor::Local => ("new_current_thread", "build_local(::core::default::Default::default())"),
    };
    let workers = arguments.worker_threads.map_or(String::new(), |count| format!(".worker_threads({count}usize)"));
    let paused = arguments.start_paused.map_or(String::new(), |paused| format!(".start_paused({paused})"));
    format!(
        "{}::runtime::Builder::{flavor}(){workers}{paused}.enable_all().{build}.expect(\"the runtime could not be built\").block_on",
        arguments.crate_path
    )
}

/// Returns the item of a faulty function.
///
/// An `async fn main` is replaced by a plain one, because the compiler reports a further error for
/// it.
pub(crate) fn without_async_main(item: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = item.clone().into_iter().collect();
    let is_main = tokens.windows(2).any(|pair| is_word(&pair[0], "fn") && is_word(&pair[1], "main"));
    let is_async = tokens.iter().any(|token| is_word(token, "async"));
    if is_main && is_async { parsed("fn main() {}") } else { item }
}

fn parsed(text: &str) -> TokenStream {
    text.parse().expect("valid tokens")
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident.to_string() == word)
}

/// Returns a fault for generics and parameters: the caller of `main` or of a test passes no
/// arguments.
fn check_no_parameters(role: Role, signature: &[TokenTree]) -> Result<(), Fault> {
    let (taken, generic) = match role {
        Role::Main => (
            "the operating system calls `main` without arguments; take them from `std::env::args`",
            "`main` has no generic parameters; let it call a function that has them",
        ),
        Role::Test => (
            "the test harness calls a test without arguments; create them inside of the test",
            "a test has no generic parameters; let it call a function that has them",
        ),
    };
    match (parameters(signature), signature.get(PARAMETERS)) {
        (Some(list), _) if list.stream().is_empty() => Ok(()),
        (Some(list), _) => Err(Fault::new(list.span(), taken)),
        (None, Some(other)) => Err(Fault::new(other.span(), generic)),
        (None, None) => Err(Fault::new(Span::call_site(), format!("{} needs an `async fn`", role.name()))),
    }
}

/// Returns a fault for a further `#[test]`, with which the test would run twice.
fn check_no_test_attribute(before: &[TokenTree]) -> Result<(), Fault> {
    let attributes = before.iter().filter_map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => Some(group),
        _ => None,
    });
    for attribute in attributes {
        let mut words = attribute.stream().into_iter();
        if words.next().is_some_and(|word| is_word(&word, "test")) && words.next().is_none() {
            return Err(Fault::new(attribute.span(), "remove `#[test]`: #[heist::test] already declares a test"));
        }
    }
    Ok(())
}

/// Removes and returns the body, if there is one at the end.
fn pop_body(tokens: &mut Vec<TokenTree>) -> Option<Group> {
    match tokens.pop()? {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    }
}
