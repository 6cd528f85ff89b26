//! The expansion of the attributes, observed by a builder that records its calls.

use std::future::Future;

/// Takes the place of `heist`.
mod recorder {
    #[cfg(feature = "sim")]
    pub(crate) mod sim {
        use super::runtime::Builder;

        pub(crate) struct Sim {
            seed: u64,
            workers: usize,
        }

        pub(crate) fn for_each_seed(seeds: u64, test: impl Fn(Sim) + Sync) {
            for seed in 0..seeds {
                super::runtime::record(format!("seeds={seeds}"));
                test(Sim { seed, workers: 0 });
            }
        }

        impl Sim {
            pub(crate) fn workers(self, workers: usize) -> Sim {
                Sim { workers, ..self }
            }
            pub(crate) fn run<F>(&mut self, future: F) -> F::Output
            where
                F: Future + Send + 'static,
                F::Output: Send + 'static,
            {
                super::runtime::record(format!("seed={} workers={}", self.seed, self.workers));
                Builder.block_on(future)
            }
        }
    }

    pub(crate) mod runtime {
        use std::future::Future;
        use std::pin::pin;
        use std::task::{Context, Poll, Waker};

        thread_local! {
            static CALLS: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
        }

        pub(crate) fn calls() -> String {
            CALLS.with(|calls| calls.take().join(" "))
        }

        pub(super) fn record(call: impl Into<String>) -> Builder {
            CALLS.with(|calls| calls.borrow_mut().push(call.into()));
            Builder
        }

        pub(crate) struct Builder;

        impl Builder {
            pub(crate) fn new_multi_thread() -> Builder {
                record("multi_thread")
            }
            pub(crate) fn new_current_thread() -> Builder {
                record("current_thread")
            }
            pub(crate) fn worker_threads(&mut self, count: usize) -> Builder {
                record(format!("workers={count}"))
            }
            #[cfg_attr(not(feature = "test-util"), allow(dead_code))]
            pub(crate) fn start_paused(&mut self, paused: bool) -> Builder {
                record(format!("paused={paused}"))
            }
            pub(crate) fn enable_all(&mut self) -> Builder {
                record("all")
            }
            pub(crate) fn build(&mut self) -> std::io::Result<Builder> {
                Ok(record("build"))
            }
            pub(crate) fn build_local(&mut self, (): ()) -> std::io::Result<Builder> {
                Ok(record("build_local"))
            }
            pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
                record("block_on");
                match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(output) => output,
                    Poll::Pending => unreachable!("no future of these tests waits"),
                }
            }
        }
    }
}

#[heist_macros::main(crate = "crate::recorder")]
async fn plain() -> String {
    recorder::runtime::calls()
}

#[test]
fn main_without_flavor_is_multi_thread() {
    assert_eq!(plain(), "multi_thread all build block_on");
}

#[heist_macros::main(flavor = "multi_thread", worker_threads = 1_6, crate = "recorder")]
async fn sixteen() -> String {
    recorder::runtime::calls()
}

#[test]
fn worker_threads_is_passed_on() {
    assert_eq!(sixteen(), "multi_thread workers=16 all build block_on");
}

#[heist_macros::main(flavor = "local", crate = "recorder")]
async fn local() -> String {
    recorder::runtime::calls()
}

#[test]
fn flavor_local_builds_local_runtime() {
    assert_eq!(local(), "current_thread all build_local block_on");
}

#[cfg(feature = "test-util")]
#[heist_macros::main(start_paused = true, flavor = "current_thread", crate = "self::recorder")]
async fn paused() -> String {
    recorder::runtime::calls()
}

#[cfg(feature = "test-util")]
#[test]
fn start_paused_is_passed_on() {
    assert_eq!(paused(), "current_thread paused=true all build block_on");
}

/// Returns early, by `?`, with a conversion of the error.
#[heist_macros::main(crate = "crate::recorder")]
async fn parse() -> Result<u32, Box<dyn std::error::Error>> {
    let number: u32 = "x".parse()?;
    Ok(number)
}

#[test]
fn question_mark_in_main_keeps_its_meaning() {
    assert_eq!(parse().unwrap_err().to_string(), "invalid digit found in string");
}

#[heist_macros::main(crate = "crate::recorder")]
async fn opaque() -> impl Iterator<Item = u32>
where
    u32: Copy,
{
    if std::env::args().count() == 0 {
        return 0..0;
    }
    0..3
}

#[test]
fn opaque_type_and_where_clause_keep_their_meaning() {
    assert_eq!(opaque().sum::<u32>(), 3);
}

#[heist_macros::main(crate = "crate::recorder")]
async fn sum(first: u32, (second, _): (u32, &str), mut rest: Vec<u32>) -> (u32, String) {
    rest.push(first);
    (rest.into_iter().sum::<u32>() + second, recorder::runtime::calls())
}

#[test]
fn main_on_a_function_with_parameters_takes_arguments() {
    assert_eq!(sum(1, (2, "two"), vec![3]), (6, String::from("multi_thread all build block_on")));
}

type Map<K, V> = std::collections::BTreeMap<K, V>;

#[heist_macros::main(crate = "crate::recorder")]
async fn of_all_kinds(
    map: Map<u32, Vec<Option<u32>>>,
    double: fn(u32) -> u32,
    triple: impl Fn(u32, u32) -> Vec<Option<u32>>,
    std::ops::Range { start, end }: std::ops::Range<u32>,
    [first, .., last]: [u32; 1 + 2],
    text: ::std::string::String,
    &_byte: &<Vec<u8> as IntoIterator>::Item,
) -> Vec<u32> {
    let mut all: Vec<_> = map.into_values().flatten().flatten().collect();
    all.extend(triple(double(start), end).into_iter().flatten());
    all.extend([first, last, text.parse().unwrap()]);
    all
}

#[test]
fn parameters_of_all_kinds_are_passed_on() {
    let map = Map::from([(1, vec![Some(10), None])]);
    let triple = |a: u32, b: u32| vec![Some(a + b)];
    let all = of_all_kinds(map, |a| a * 2, triple, 3..4, [5, 6, 7], String::from("8"), &9);
    assert_eq!(all, [10, 10, 5, 7, 8]);
}

macro_rules! declare {
    ($name:ident, $parameter:pat, $type:ty, $output:expr) => {
        #[heist_macros::main(crate = "crate::recorder")]
        async fn $name($parameter: $type, #[allow(unused)] argument_0: u8) -> u32 {
            $output
        }
    };
}

declare!(declared, (number, _), (u32, u32), number);

#[test]
fn parameters_from_another_macro_are_passed_on() {
    assert_eq!(declared((1, 2), 3), 1);
}

/// Returns early, by `?` and by `return`, with a conversion of the error.
#[heist_macros::main(crate = "crate::recorder")]
async fn parse_all(texts: &[&str]) -> Result<u32, Box<dyn std::error::Error>> {
    let mut sum = 0;
    for text in texts {
        sum += text.parse::<u32>()?;
    }
    if sum == 0 {
        return Err("nothing".into());
    }
    Ok(sum)
}

#[test]
fn question_mark_in_function_with_parameters_keeps_its_meaning() {
    assert_eq!(parse_all(&["1", "2"]).unwrap(), 3);
    assert_eq!(parse_all(&["x"]).unwrap_err().to_string(), "invalid digit found in string");
    assert_eq!(parse_all(&[]).unwrap_err().to_string(), "nothing");
}

#[heist_macros::main(crate = "crate::recorder")]
async fn show<'a, T, const N: usize>(value: &'a T, pad: impl Into<char>) -> impl Iterator<Item = char>
where
    T: ToString + ?Sized + 'a,
{
    let pad = pad.into();
    value.to_string().chars().chain([pad; N]).collect::<Vec<_>>().into_iter()
}

#[test]
fn generics_of_function_keep_their_meaning() {
    assert_eq!(show::<_, 2>("x", b'-').collect::<String>(), "x--");
}

struct Counter(u32);

impl Counter {
    #[heist_macros::main(crate = "crate::recorder")]
    async fn new() -> Self {
        Self(40)
    }

    #[heist_macros::main(crate = "crate::recorder")]
    async fn add(&mut self, count: u32) -> u32 {
        self.0 += count;
        self.0
    }

    #[heist_macros::main(crate = "crate::recorder")]
    async fn into_inner(self) -> u32 {
        self.0
    }
}

#[test]
fn methods_keep_their_receivers() {
    let mut counter = Counter::new();
    assert_eq!((counter.add(2), counter.into_inner()), (42, 42));
}

fn is_future<F: Future>(_: &F) {}

#[heist_macros::test(crate = "crate::recorder")]
async fn test_without_flavor_is_current_thread() {
    let future = async {};
    is_future(&future);
    assert_eq!(recorder::runtime::calls(), "current_thread all build block_on");
}

#[heist_macros::test(flavor = "multi_thread", worker_threads = 2, crate = "crate::recorder")]
#[should_panic = "on purpose"]
async fn test_with_should_panic_keeps_attribute() {
    assert_eq!(recorder::runtime::calls(), "multi_thread workers=2 all build block_on");
    panic!("on purpose");
}

#[heist_macros::test(crate = "crate::recorder")]
async fn test_returning_result_compiles() -> Result<(), std::num::ParseIntError> {
    assert_eq!("7".parse::<u32>()?, 7);
    Ok(())
}

/// Tests by simulation.
#[cfg(feature = "sim")]
mod simulated {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::recorder;

    #[heist_macros::test(sim, crate = "crate::recorder")]
    async fn test_with_sim_alone_has_a_hundred_seeds_and_two_workers() {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let seed = RUNS.fetch_add(1, Ordering::Relaxed);
        assert_eq!(recorder::runtime::calls(), format!("seeds=100 seed={seed} workers=2 block_on"));
    }

    #[heist_macros::test(sim, seeds = 3, workers = 5, crate = "crate::recorder")]
    async fn test_with_seeds_and_workers_passes_them_on() {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let seed = RUNS.fetch_add(1, Ordering::Relaxed);
        assert_eq!(recorder::runtime::calls(), format!("seeds=3 seed={seed} workers=5 block_on"));
    }

    /// An error need not be `Send`, and `Self` has its own meaning in an item of the body.
    #[heist_macros::test(sim, seeds = 2, crate = "crate::recorder")]
    async fn test_with_sim_and_result_compiles() -> Result<(), Box<dyn std::error::Error>> {
        struct Seven(u32);
        impl Seven {
            fn new() -> Self {
                Self(7)
            }
        }
        assert_eq!("7".parse::<u32>()?, Seven::new().0);
        Ok(())
    }

    #[heist_macros::test(sim, seeds = 1, crate = "crate::recorder")]
    #[should_panic = "the test returned an error"]
    async fn test_with_sim_and_error_fails() -> Result<(), std::num::ParseIntError> {
        "x".parse::<u32>().map(drop)
    }
}
