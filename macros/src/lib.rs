//! The attribute macros of the `heist` runtime: `#[heist::main]` and `#[heist::test]`.
//!
//! They work on tokens alone. The function becomes a plain one that holds the `async fn` as it was,
//! builds a runtime, and blocks on it with the arguments that it is called with:
//!
//! ```text
//! fn main() -> io::Result<()> {
//!     async fn main() -> io::Result<()> { /* as it was */ }
//!     heist::runtime::Builder::new_multi_thread().enable_all().build().expect("...").block_on(main())
//! }
//! ```
//!
//! So return types and `?` mean what they say, and errors point into the user's own text. A method,
//! or a generic function, would not mean the same inside of another function. So its body becomes
//! an `async move` block.

mod arguments;
mod function;
mod parameters;

use arguments::Arguments;
use function::Function;
use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// Runs an `async fn` on a runtime of its own; usually `main`.
///
/// The runtime has all drivers on. When the function returns, the runtime is shut down as by
/// dropping it.
///
/// Any function other than `main` may have parameters and generics, and may be a method. Each call
/// of it builds a runtime, and blocks the thread. A call inside of async code panics.
///
/// # Arguments
///
/// - `flavor = "multi_thread"` (the default), `flavor = "current_thread"`, or `flavor = "local"`: a
///   `LocalRuntime`, whose tasks need not be `Send`
/// - `worker_threads = N`: how many workers, from one; with `multi_thread` only. Without it the
///   builder's default holds.
/// - `start_paused = true`: time stands still, and leaps when there is nothing to do (see
///   `heist::time::pause`); not with `multi_thread`, and with heist's feature `test-util` only
/// - `crate = "path"`: where `heist` is found, if it was renamed or re-exported
///
/// # Examples
///
/// ```
/// #[heist::main]
/// async fn main() -> std::io::Result<()> {
///     let listener = heist::net::TcpListener::bind("127.0.0.1:0").await?;
///     println!("listening on {}", listener.local_addr()?);
///     Ok(())
/// }
/// ```
///
/// ```
/// #[heist::main(flavor = "current_thread")]
/// async fn main() {
///     assert_eq!(heist::spawn(async { 42 }).await.unwrap(), 42);
/// }
/// ```
///
/// ```
/// #[heist::main(flavor = "local")]
/// async fn main() {
///     let here = std::rc::Rc::new(42);
///     assert_eq!(*heist::task::spawn_local(async move { here }).await.unwrap(), 42);
/// }
/// ```
///
/// ```
/// #[heist::main(flavor = "current_thread")]
/// async fn add(left: u32, right: u32) -> u32 {
///     heist::spawn(async move { left + right }).await.unwrap()
/// }
///
/// assert_eq!(add(40, 2), 42);
/// ```
///
/// # Panics
///
/// The function panics if the system refuses what the runtime needs (threads, an event queue).
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(Role::Main, arguments, item)
}

/// Makes a test of an `async fn`, with a runtime of its own.
///
/// The arguments are those of [`main`](macro@main), but the flavor is `current_thread` unless the
/// argument says otherwise. Other attributes of tests, such as `#[ignore]` and `#[should_panic]`,
/// stay as they are. A test has neither parameters nor generics.
///
/// # Examples
///
/// ```
/// #[heist::test]
/// async fn a_spawned_task_answers() {
///     assert_eq!(heist::spawn(async { 42 }).await.unwrap(), 42);
/// }
///
/// #[heist::test(flavor = "multi_thread", worker_threads = 2)]
/// async fn so_it_does_on_two_workers() -> Result<(), heist::task::JoinError> {
///     assert_eq!(heist::spawn(async { 42 }).await?, 42);
///     Ok(())
/// }
/// ```
///
/// # Panics
///
/// The test panics if the system refuses what the runtime needs (threads, an event queue).
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(Role::Test, arguments, item)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Main,
    Test,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Main => "#[heist::main]",
            Role::Test => "#[heist::test]",
        }
    }
}

/// What is wrong, and the token that is to blame.
struct Fault {
    at: Span,
    says: String,
}

impl Fault {
    fn new(at: Span, says: impl Into<String>) -> Fault {
        Fault { at, says: says.into() }
    }

    /// `::core::compile_error! { "..." }`, every token of it at the place that is to blame.
    fn into_tokens(self) -> TokenStream {
        let mut text = Literal::string(&self.says);
        text.set_span(self.at);
        let text = TokenStream::from(TokenTree::from(text));
        let mut tokens: Vec<TokenTree> = Vec::new();
        for word in ["core", "compile_error"] {
            tokens.push(Punct::new(':', Spacing::Joint).into());
            tokens.push(Punct::new(':', Spacing::Alone).into());
            tokens.push(Ident::new(word, self.at).into());
        }
        tokens.push(Punct::new('!', Spacing::Alone).into());
        tokens.push(Group::new(Delimiter::Brace, text).into());
        for token in &mut tokens {
            token.set_span(self.at);
        }
        tokens.into_iter().collect()
    }
}

fn expand(role: Role, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = match Function::read(role, item.clone()) {
        Ok(function) => function,
        Err(fault) => {
            // The item is kept: otherwise the compiler reports it as missing, too.
            let mut tokens = fault.into_tokens();
            tokens.extend(function::without_async_main(item));
            return tokens;
        }
    };
    match Arguments::read(role, arguments) {
        Ok(arguments) => function.with_runtime(role, &arguments),
        Err(fault) => {
            let mut tokens = fault.into_tokens();
            tokens.extend(function.with_runtime(role, &Arguments::default_for(role)));
            tokens
        }
    }
}
