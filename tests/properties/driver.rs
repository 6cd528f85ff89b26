//! Runs a target: its regressions, the kept inputs of the fuzzer, and new cases from a seed.

use std::fmt::Debug;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs};

use arbitrary::Unstructured;
use proptest::arbitrary::any;
use proptest::test_runner::{Config, FileFailurePersistence, RngAlgorithm, TestError, TestRng, TestRunner};

/// A property that holds for each case.
pub(crate) struct Target<C> {
    pub(crate) name: &'static str,
    /// The file of the seeds of cases that have failed.
    pub(crate) regressions: &'static str,
    /// The number of cases from one seed.
    pub(crate) cases: u32,
    /// Runs a case. Panics if the property does not hold.
    pub(crate) run: fn(&C),
}

/// The seed of a run without `HEIST_PROPERTY_SEED`.
const SEED: u64 = 1;

fn number<N: FromStr>(variable: &str) -> Option<N> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, which is no number: set a decimal number")))
}

impl<C> Target<C>
where
    C: proptest::arbitrary::Arbitrary + Debug + for<'a> arbitrary::Arbitrary<'a>,
{
    /// Runs all cases.
    pub(crate) fn check(self) {
        let kept = self.check_kept_inputs();
        let cases = number("HEIST_PROPERTY_CASES").unwrap_or(self.cases);
        let seed = number("HEIST_PROPERTY_SEED");
        let Some(seconds) = number("HEIST_PROPERTY_SECONDS") else {
            self.check_seed(seed.unwrap_or(SEED), cases);
            println!("{}: {cases} cases, and {kept} inputs of the fuzzer", self.name);
            return;
        };
        let fresh = || SystemTime::UNIX_EPOCH.elapsed().map_or(SEED, |now| now.as_secs() << 20);
        let first: u64 = seed.unwrap_or_else(fresh);
        let (end, mut next) = (Instant::now() + Duration::from_secs(seconds), first);
        println!("{}: {cases} cases per seed, from seed {first} on", self.name);
        while Instant::now() < end {
            self.check_seed(next, cases);
            next = next.wrapping_add(1);
        }
        let count = u64::from(cases) * next.wrapping_sub(first);
        println!("{}: {count} cases, seeds {first} to {}, and {kept} inputs of the fuzzer", self.name, next - 1);
    }

    fn check_seed(&self, seed: u64, cases: u32) {
        let config = Config {
            cases,
            failure_persistence: Some(Box::new(FileFailurePersistence::Direct(self.regressions))),
            ..Config::default()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let outcome = runner.run(&any::<C>(), |case| {
            (self.run)(&case);
            Ok(())
        });
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(reason, case)) => panic!(
                "{} failed: {reason}\nThe smallest case that fails: {case:#?}\nIts seed is in {}; to repeat all: \
                 HEIST_PROPERTY_SEED={seed} HEIST_PROPERTY_CASES={cases}",
                self.name, self.regressions
            ),
            Err(TestError::Abort(reason)) => panic!("{} was given up: {reason}", self.name),
        }
    }

    /// Runs the kept inputs of the fuzzer, and returns their number.
    fn check_kept_inputs(&self) -> usize {
        let folder = Path::new("fuzz/corpus").join(self.name);
        let Ok(files) = fs::read_dir(&folder) else { return 0 };
        let mut files: Vec<_> = files.map(|file| file.expect("a readable folder").path()).collect();
        files.sort();
        for file in &files {
            let bytes = fs::read(file).expect("a readable file");
            // Input that is too short is no case.
            let Ok(case) = C::arbitrary_take_rest(Unstructured::new(&bytes)) else { continue };
            println!("{}: {}", self.name, file.display());
            (self.run)(&case);
        }
        files.len()
    }
}
