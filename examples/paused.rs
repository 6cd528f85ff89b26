//! Testing code that waits, without waiting: under paused time a day passes in a millisecond, and
//! always in the same way.
//!
//! ```text
//! cargo test --features test-util --example paused           # the tests below
//! cargo run --release --features test-util --example paused  # the same, as a program
//! ```
//!
//! The tests are for a cache whose entries live for an hour. A request for an older entry fetches
//! it again, and a fetch that hangs times out. [`Cache`] does not know that time may be paused: it
//! only uses `heist::time`, including its `Instant`.

use std::collections::HashMap;
use std::io;
use std::process::ExitCode;
use std::time::Instant as RealInstant;

use heist::runtime::Builder;
use heist::time::{Duration, Instant, advance, interval, sleep, timeout};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Fetches values on request, and keeps them for an hour.
struct Cache<F> {
    fetch: F,
    kept: HashMap<String, (String, Instant)>,
}

impl<F: AsyncFnMut(&str) -> io::Result<String>> Cache<F> {
    fn new(fetch: F) -> Self {
        Cache { fetch, kept: HashMap::new() }
    }

    /// Returns the value of `key`. A fetch has a minute. If it fails, an old value is returned if
    /// there is one.
    async fn get(&mut self, key: &str) -> io::Result<String> {
        let old = self.kept.get(key);
        if let Some((value, _)) = old.filter(|(_, since)| since.elapsed() < HOUR) {
            return Ok(value.clone());
        }
        match timeout(MINUTE, (self.fetch)(key)).await.unwrap_or_else(|late| Err(late.into())) {
            Ok(value) => {
                self.kept.insert(key.to_owned(), (value.clone(), Instant::now()));
                Ok(value)
            }
            Err(error) => old.map(|(value, _)| value.clone()).ok_or(error),
        }
    }
}

/// With a request every minute for a day, the cache fetches about once an hour.
async fn cache_fetches_once_an_hour() {
    let mut fetches = 0;
    let mut cache = Cache::new(async |key: &str| {
        fetches += 1;
        sleep(Duration::from_millis(300)).await; // the duration of a fetch
        Ok(format!("{key}, fetched {fetches} times"))
    });
    let mut minutes = interval(MINUTE);
    for _ in 0..24 * 60 {
        minutes.tick().await;
        cache.get("weather").await.unwrap();
    }
    // A fetch takes 300 ms, so its value is not an hour old after a full hour. The next fetch comes
    // every 61 minutes.
    assert_eq!(fetches, 24);
}

/// A fetch that hangs times out after exactly a minute.
async fn cache_gives_up_hanging_fetch() {
    let mut cache = Cache::new(async |_: &str| std::future::pending().await);
    let start = Instant::now();
    assert_eq!(cache.get("weather").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(start.elapsed(), MINUTE);
}

/// If fetches fail, the cache returns the old value.
async fn cache_returns_old_value_if_fetch_fails() {
    let mut works = true;
    let mut cache = Cache::new(async |_: &str| {
        if std::mem::replace(&mut works, false) { Ok("sunny".to_owned()) } else { Err(io::ErrorKind::NotFound.into()) }
    });
    assert_eq!(cache.get("weather").await.unwrap(), "sunny");
    advance(HOUR * 48).await; // in one step, because no task sleeps
    assert_eq!(cache.get("weather").await.unwrap(), "sunny");
}

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        eprintln!("usage: paused (it takes no arguments)");
        return ExitCode::from(2);
    }
    let began = RealInstant::now();
    let paused = || Builder::new_current_thread().enable_all().start_paused(true).build();
    let run = || -> io::Result<()> {
        paused()?.block_on(cache_fetches_once_an_hour());
        paused()?.block_on(cache_gives_up_hanging_fetch());
        paused()?.block_on(cache_returns_old_value_if_fetch_fails());
        Ok(())
    };
    match run() {
        Ok(()) => {
            println!("three days passed in {:.1?}", began.elapsed());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("paused: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    #[heist::test(start_paused = true)]
    async fn cache_fetches_once_an_hour() {
        super::cache_fetches_once_an_hour().await;
    }

    #[heist::test(start_paused = true)]
    async fn cache_gives_up_hanging_fetch() {
        super::cache_gives_up_hanging_fetch().await;
    }

    #[heist::test(start_paused = true)]
    async fn cache_returns_old_value_if_fetch_fails() {
        super::cache_returns_old_value_if_fetch_fails().await;
    }
}
