//! The attribute macros of the `heist` runtime: `#[heist::main]` and `#[heist::test]`.
//!
//! The macros work on tokens only. The function becomes a plain one that contains the original
//! `async fn`. It builds a runtime, and blocks on the original function with its own arguments:
//!
//! ```text
//! fn main() -> io::Result<()> {
//!     async fn main() -> io::Result<()> { /* the original body */ }
//!     heist::runtime::Builder::new_multi_thread()
//!         .enable_all()
//!         .build()
//!         .expect("...")
//!         .block_on(main())
//! }
//! ```
//!
//! So return types and `?` keep their meaning, and errors point into the program's own text. A
//! method or a generic function would change its meaning inside of another function. Its body
//! becomes an `async move` block instead.
//!
//! A test by simulation becomes a plain function without a return type. It calls the `async fn` for
//! each seed:
//!
//! ```text
//! #[test]
//! fn name() {
//!     async fn name() -> io::Result<()> { /* the original body */ }
//!     heist::sim::for_each_seed(100, |sim| {
//!         sim.workers(2).run(async { /* panics if the report of `name().await` is an error */ })
//!     });
//! }
//! ```

mod arguments;
mod function;
mod parameters;

use arguments::Arguments;
use function::Function;
use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// Runs an `async fn`, usually `main`, on a runtime of its own.
///
/// I/O and time are enabled. When the function returns, the runtime is dropped, which shuts it
/// down.
///
/// A function other than `main` may have parameters and generics, and may be a method. Each call
/// builds a runtime and blocks the thread. A call in async code panics.
///
/// # Arguments
///
/// - `flavor = "multi_thread"` (the default), `flavor = "current_thread"`, or `flavor = "local"`.
///   The last is a `LocalRuntime`, whose tasks need not be `Send`.
/// - `worker_threads = N`: the number of workers, at least one. It is valid only with
///   `multi_thread`. The default is that of the builder.
/// - `start_paused = true`: time is paused, and advances when the runtime is idle (see
///   `heist::time::pause`). It is not valid with `multi_thread`, and needs heist's feature
///   `test-util`.
/// - `crate = "path"`: the path of `heist`, if it was renamed or re-exported.
///
/// # Panics
///
/// The function panics if the operating system refuses a resource of the runtime (threads, an event
/// queue).
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
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(Role::Main, arguments, item)
}

/// Turns an `async fn` into a test, with a runtime of its own.
///
/// The arguments are those of [`main`](macro@main), but the default flavor is `current_thread`.
/// Other attributes of tests, such as `#[ignore]` and `#[should_panic]`, keep their effect. A test
/// has neither parameters nor generics.
///
/// # Simulation
///
/// With `sim`, the test runs by `heist::sim::for_each_seed`: once per seed, each time on a
/// simulated runtime of its own. It needs heist's feature `sim`.
///
/// - `seeds = N`: the number of seeds, at least one. The default is 100.
/// - `workers = N`: the number of workers, at least one. The default is 2.
///
/// Both need `sim`. It excludes `flavor`, `worker_threads` and `start_paused`. The future has to be
/// `Send`. If the variable `HEIST_SIM_SEED` is set, the test runs with that seed alone.
/// `HEIST_SIM_FIRST_SEED` sets another first seed than 0. Schedules, faults and hosts need
/// `heist::sim::for_each_seed`.
///
/// # Panics
///
/// The test panics if the operating system refuses a resource of the runtime (threads, an event
/// queue).
///
/// A test with `sim` panics with the smallest seed that has failed, and the command that repeats
/// it. Seeds run in parallel, so two calls may name different ones. A seed fails if its run panics
/// or returns an error, or if the simulation cannot go on.
///
/// # Examples
///
/// ```
/// #[heist::test]
/// async fn spawned_task_returns_output() {
///     assert_eq!(heist::spawn(async { 42 }).await.unwrap(), 42);
/// }
///
/// #[heist::test(flavor = "multi_thread", worker_threads = 2)]
/// async fn spawned_task_on_two_workers_returns_output() -> Result<(), heist::task::JoinError> {
///     assert_eq!(heist::spawn(async { 42 }).await?, 42);
///     Ok(())
/// }
/// ```
///
/// A test by simulation:
///
/// ```
/// use heist::time::{Duration, Instant, sleep};
///
/// # #[cfg(feature = "sim")]
/// #[heist::test(sim, seeds = 20, workers = 4)]
/// async fn sleeping_tasks_end_together() -> Result<(), heist::task::JoinError> {
///     let begun = Instant::now();
///     let tasks = [1, 4, 7].map(|secs| heist::spawn(sleep(Duration::from_secs(secs))));
///     for task in tasks {
///         task.await?;
///     }
///     let slept = begun.elapsed(); // in virtual time
///     assert!((7..8).contains(&slept.as_secs()), "{slept:?}");
///     Ok(())
/// }
/// ```
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

    /// Returns the list of arguments for a message.
    fn arguments(self) -> &'static str {
        match self {
            Role::Main => "`flavor`, `worker_threads`, `start_paused` and `crate`",
            Role::Test => "`flavor`, `worker_threads`, `start_paused`, `crate`, `sim`, `seeds` and `workers`",
        }
    }
}

/// A mistake in the program: its message, and the token to which the message points.
struct Fault {
    at: Span,
    message: String,
}

impl Fault {
    fn new(at: Span, message: impl Into<String>) -> Fault {
        Fault { at, message: message.into() }
    }

    /// Returns `::core::compile_error! { "..." }`, with every token at the location of the mistake.
    fn into_tokens(self) -> TokenStream {
        let mut text = Literal::string(&self.message);
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
            // The item stays: otherwise the compiler reports it as missing, too.
            let mut tokens = fault.into_tokens();
            tokens.extend(function::without_async_main(item));
            return tokens;
        }
    };
    match Arguments::read(role, arguments) {
        Ok(Arguments { simulation: Some(simulation), crate_path, .. }) => {
            function.with_simulation(&simulation, &crate_path)
        }
        Ok(arguments) => function.with_runtime(role, &arguments),
        Err(fault) => {
            let mut tokens = fault.into_tokens();
            tokens.extend(function.with_runtime(role, &Arguments::default_for(role)));
            tokens
        }
    }
}
