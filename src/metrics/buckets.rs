//! Sorts durations into buckets.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// The highest precision: 2^-10.
const MOST_PRECISE: u32 = 10;

/// The most linear buckets. It is more than the finest logarithmic histogram has, and takes half a
/// mebibyte for each worker.
const MOST_BUCKETS: usize = 1 << 16;

/// How a histogram sorts durations into buckets, for
/// [`metrics_poll_time_histogram_configuration`](crate::runtime::Builder::metrics_poll_time_histogram_configuration)
/// and
/// [`metrics_schedule_latency_histogram_configuration`](crate::runtime::Builder::metrics_schedule_latency_histogram_configuration).
///
/// Each worker keeps a counter of eight bytes for each bucket.
#[derive(Clone, Debug)]
pub struct HistogramConfiguration(Scale);

#[derive(Clone, Copy, Debug)]
enum Scale {
    Linear { width: u64, buckets: usize },
    Log(LogHistogram),
}

impl HistogramConfiguration {
    /// Creates `num_buckets` buckets of the same width. The last bucket also takes everything
    /// longer.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heist::runtime::HistogramConfiguration;
    ///
    /// // Up to 10 µs, up to 20 µs, ..., from 990 µs on.
    /// let buckets = HistogramConfiguration::linear(Duration::from_micros(10), 100);
    /// # drop(buckets);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no bucket, if there are more than 65,536 of them, or if they have no width.
    #[track_caller]
    pub fn linear(bucket_width: Duration, num_buckets: usize) -> HistogramConfiguration {
        assert!(num_buckets > 0, "HistogramConfiguration::linear(_, 0): a histogram needs at least one bucket");
        assert!(
            num_buckets <= MOST_BUCKETS,
            "HistogramConfiguration::linear(_, {num_buckets}): a histogram has at most {MOST_BUCKETS} buckets, and each worker has its \
             own; use fewer and wider buckets, or a `LogHistogram`"
        );
        assert!(
            !bucket_width.is_zero(),
            "HistogramConfiguration::linear(0, _): a bucket has to be a nanosecond wide, or wider"
        );
        HistogramConfiguration(Scale::Linear { width: nanos(bucket_width), buckets: num_buckets })
    }

    /// Creates buckets whose width grows in proportion to their values; see [`LogHistogram`].
    ///
    /// ```
    /// use heist::runtime::{HistogramConfiguration, LogHistogram};
    ///
    /// // Each bucket is twice as wide as the one before.
    /// let buckets = HistogramConfiguration::log(LogHistogram::builder().precision_exact(0));
    /// # drop(buckets);
    /// ```
    pub fn log(configuration: impl Into<LogHistogram>) -> HistogramConfiguration {
        HistogramConfiguration(Scale::Log(configuration.into()))
    }

    /// Returns the number of buckets.
    pub(crate) fn buckets(&self) -> usize {
        match self.0 {
            Scale::Linear { buckets, .. } => buckets,
            Scale::Log(log) => log.buckets,
        }
    }

    /// Returns the bucket of a duration.
    pub(crate) fn bucket(&self, nanos: u64) -> usize {
        match self.0 {
            Scale::Linear { width, buckets } => usize::try_from(nanos / width).unwrap_or(usize::MAX).min(buckets - 1),
            Scale::Log(log) => log.bucket(nanos),
        }
    }

    /// Returns the range of durations of a bucket.
    pub(crate) fn range(&self, bucket: usize) -> Range<Duration> {
        let start = |bucket| match self.0 {
            Scale::Linear { width, .. } => width.saturating_mul(bucket as u64),
            Scale::Log(log) => log.start(bucket),
        };
        let end = if bucket + 1 == self.buckets() { u64::MAX } else { start(bucket + 1) };
        Duration::from_nanos(start(bucket))..Duration::from_nanos(end)
    }
}

impl Default for HistogramConfiguration {
    /// Ten buckets of 100 µs each.
    fn default() -> Self {
        HistogramConfiguration::linear(Duration::from_micros(100), 10)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A histogram configuration whose buckets grow with their values, so that the relative error stays
/// the same.
///
/// There are 2^p buckets of the same width between two powers of two, in nanoseconds. No bucket is
/// wider than 2^-p of its start. The first bucket begins at zero, and takes everything below
/// [`min_value`](LogHistogramBuilder::min_value). The last bucket takes everything above
/// [`max_value`](LogHistogramBuilder::max_value).
///
/// ```
/// use std::time::Duration;
/// use heist::runtime::LogHistogram;
///
/// let buckets = LogHistogram::builder()
///     .min_value(Duration::from_micros(1))
///     .max_value(Duration::from_secs(1))
///     .max_error(0.1)
///     .max_buckets(400)
///     .unwrap();
/// assert!(buckets.max_value() >= 1_000_000_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHistogram {
    /// There are 2^p buckets between two powers of two.
    precision: u32,
    /// The steps up to this one form the first bucket.
    first: u64,
    buckets: usize,
}

/// Returns the step of a value, before steps are merged at either end. There are 2^p steps between
/// two powers of two. Where these would be narrower than one, each value has its own step.
fn step(value: u64, precision: u32) -> u64 {
    let power = value.checked_ilog2().unwrap_or(0);
    let shift = power.saturating_sub(precision);
    // Below the leading bit, `precision` bits name the step, and `shift` bits do not.
    (u64::from(shift) << precision) + (value >> shift)
}

/// Returns the least value of a step, or `None` if no value is that large.
fn least(step: u64, precision: u32) -> Option<u64> {
    let shift = (step >> precision).saturating_sub(1);
    let leading = step - (shift << precision);
    let shift = u32::try_from(shift).ok()?;
    (shift <= leading.leading_zeros()).then(|| leading << shift)
}

impl LogHistogram {
    /// Returns a builder with the default configuration.
    ///
    /// ```
    /// use heist::runtime::LogHistogram;
    ///
    /// let buckets = LogHistogram::builder().precision_exact(3).build();
    /// # let _ = buckets;
    /// ```
    pub fn builder() -> LogHistogramBuilder {
        LogHistogramBuilder::default()
    }

    /// Returns the start of the last bucket, in nanoseconds. Longer durations are not
    /// distinguished.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heist::runtime::LogHistogram;
    ///
    /// let buckets = LogHistogram::builder().max_value(Duration::from_secs(1)).build();
    /// let last = buckets.max_value();
    /// assert!((1_000_000_000..1_250_000_001).contains(&last), "{last}");
    /// ```
    pub fn max_value(&self) -> u64 {
        self.start(self.buckets - 1)
    }

    fn bucket(&self, nanos: u64) -> usize {
        let behind_the_first = step(nanos, self.precision).saturating_sub(self.first);
        usize::try_from(behind_the_first).unwrap_or(usize::MAX).min(self.buckets - 1)
    }

    fn start(&self, bucket: usize) -> u64 {
        if bucket == 0 {
            return 0;
        }
        least(self.first + bucket as u64, self.precision).expect("every bucket begins somewhere")
    }
}

impl Default for LogHistogram {
    /// Returns the default configuration of [`LogHistogramBuilder`].
    fn default() -> Self {
        LogHistogramBuilder::default().build()
    }
}

impl From<LogHistogramBuilder> for LogHistogram {
    fn from(builder: LogHistogramBuilder) -> Self {
        builder.build()
    }
}

/// Builder of a [`LogHistogram`]. By default, the buckets cover 100 ns to 60 s with an error of at
/// most a quarter.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogHistogramBuilder {
    min: Option<Duration>,
    max: Option<Duration>,
    precision: Option<u32>,
}

impl LogHistogramBuilder {
    /// Sets the largest width of a bucket, relative to its values. The precision becomes the next
    /// power of two that is not larger, but at least 2^-10.
    ///
    /// ```
    /// use heist::runtime::LogHistogram;
    ///
    /// assert!(LogHistogram::builder().max_error(0.5).max_buckets(100).is_ok());
    /// assert!(LogHistogram::builder().max_error(0.01).max_buckets(100).is_err(), "it takes more");
    /// ```
    ///
    /// # Panics
    ///
    /// If it is not above zero and below one.
    #[track_caller]
    pub fn max_error(mut self, max_error: f64) -> Self {
        assert!(
            max_error > 0.0 && max_error < 1.0,
            "LogHistogramBuilder::max_error({max_error}): give a part of one, such as 0.25"
        );
        let precise_enough = |&p: &u32| 0.5_f64.powi(p as i32) <= max_error;
        self.precision = Some((0..MOST_PRECISE).find(precise_enough).unwrap_or(MOST_PRECISE));
        self
    }

    /// Sets the precision to 2^-p: there are 2^p buckets between two powers of two.
    ///
    /// ```
    /// use heist::runtime::LogHistogram;
    ///
    /// let exact = LogHistogram::builder().precision_exact(2).build();
    /// assert_eq!(exact, LogHistogram::builder().max_error(0.25).build());
    /// ```
    ///
    /// # Panics
    ///
    /// If `p` is above 10.
    #[track_caller]
    pub fn precision_exact(mut self, p: u32) -> Self {
        assert!(
            p <= MOST_PRECISE,
            "LogHistogramBuilder::precision_exact({p}): the most is {MOST_PRECISE}, about 0.1 %"
        );
        self.precision = Some(p);
        self
    }

    /// Sets the shortest duration to distinguish: the first bucket ends here, or earlier.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heist::runtime::LogHistogram;
    ///
    /// // With a longer `min_value`, fewer buckets are needed.
    /// let short = LogHistogram::builder().min_value(Duration::from_nanos(100)).max_buckets(60);
    /// let long = LogHistogram::builder().min_value(Duration::from_millis(1)).max_buckets(70);
    /// assert!(short.is_err() && long.is_ok());
    /// ```
    pub fn min_value(mut self, duration: Duration) -> Self {
        self.min = Some(duration);
        self
    }

    /// Sets the longest duration to distinguish: the last bucket begins here, or later. If it is
    /// below [`min_value`](Self::min_value), that value is used instead.
    ///
    /// ```
    /// use std::time::Duration;
    /// use heist::runtime::LogHistogram;
    ///
    /// // With a shorter `max_value`, fewer buckets are needed.
    /// let buckets = LogHistogram::builder().max_value(Duration::from_millis(1)).max_buckets(60);
    /// assert!(buckets.is_ok());
    /// ```
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_value(mut self, duration: Duration) -> Self {
        assert!(!duration.is_zero(), "LogHistogramBuilder::max_value(0): give a duration above zero");
        self.max = Some(duration);
        self
    }

    /// Builds the configuration if it needs at most `max_buckets` buckets.
    ///
    /// # Errors
    ///
    /// [`InvalidHistogramConfiguration::TooManyBuckets`], with the number that it needs.
    ///
    /// ```
    /// use heist::runtime::LogHistogram;
    ///
    /// let mut buckets = LogHistogram::builder();
    /// assert!(buckets.max_buckets(200).is_ok());
    /// let refused = buckets.max_buckets(20).unwrap_err();
    /// println!("{refused}"); // how many it would need, and what to do about it
    /// ```
    pub fn max_buckets(&mut self, max_buckets: usize) -> Result<LogHistogram, InvalidHistogramConfiguration> {
        let built = self.build();
        if built.buckets > max_buckets {
            return Err(InvalidHistogramConfiguration::TooManyBuckets { required_bucket_count: built.buckets });
        }
        Ok(built)
    }

    /// Builds the configuration.
    ///
    /// ```
    /// use heist::runtime::LogHistogram;
    ///
    /// assert_eq!(LogHistogram::builder().build(), LogHistogram::default());
    /// ```
    pub fn build(&self) -> LogHistogram {
        let precision = self.precision.unwrap_or(2);
        let min = nanos(self.min.unwrap_or(Duration::from_nanos(100)));
        let max = nanos(self.max.unwrap_or(Duration::from_secs(60))).max(min);
        let first = step(min, precision).saturating_sub(1);
        let top = step(max, precision);
        // The step behind that of the longest duration begins the last bucket, if such a step
        // exists.
        let last = if least(top + 1, precision).is_some() { top + 1 } else { top };
        LogHistogram { precision, first, buckets: (last - first) as usize + 1 }
    }
}

/// Error of [`LogHistogramBuilder::max_buckets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidHistogramConfiguration {
    /// The configuration would need more buckets than allowed.
    TooManyBuckets {
        /// The number of buckets that it would need.
        required_bucket_count: usize,
    },
}

impl fmt::Display for InvalidHistogramConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidHistogramConfiguration::TooManyBuckets { required_bucket_count } => write!(
                f,
                "the histogram would need {required_bucket_count} buckets: allow for more, or for a larger error, or raise \
                 `min_value`, or lower `max_value`"
            ),
        }
    }
}

impl Error for InvalidHistogramConfiguration {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that each bucket begins where the one before ends, and holds the values that it
    /// names.
    fn is_sound(configuration: &HistogramConfiguration) {
        let buckets = configuration.buckets();
        let mut end = Duration::ZERO;
        for bucket in 0..buckets {
            let range = configuration.range(bucket);
            assert_eq!(range.start, end, "bucket {bucket} of {configuration:?}");
            assert!(range.start < range.end, "bucket {bucket} of {configuration:?}");
            for inside in [range.start, range.end - Duration::from_nanos(1)] {
                assert_eq!(configuration.bucket(nanos(inside)), bucket, "{inside:?} of {configuration:?}");
            }
            end = range.end;
        }
        assert_eq!((end, configuration.bucket(u64::MAX)), (Duration::from_nanos(u64::MAX), buckets - 1));
    }

    #[test]
    fn linear_buckets_have_the_same_width() {
        let configuration = HistogramConfiguration::default();
        is_sound(&configuration);
        let micros = Duration::from_micros;
        assert_eq!((configuration.buckets(), configuration.range(1)), (10, micros(100)..micros(200)));
        is_sound(&HistogramConfiguration::linear(Duration::from_nanos(1), 1));
        is_sound(&HistogramConfiguration::linear(Duration::from_secs(1), 3));
    }

    #[test]
    fn logarithmic_buckets_grow_in_proportion_and_cover_all_values() {
        let values = [0, 1, 2, 3, 99, 1 << 20, (1 << 20) - 1, 60_000_000_000, u64::MAX / 2, u64::MAX - 1, u64::MAX];
        for precision in 0..=MOST_PRECISE {
            for min in values {
                for max in values.into_iter().filter(|&max| max > 0) {
                    let mut builder = LogHistogram::builder().precision_exact(precision);
                    builder = builder.min_value(Duration::from_nanos(min)).max_value(Duration::from_nanos(max));
                    let log = builder.build();
                    assert!(log.buckets <= MOST_BUCKETS, "{builder:?}: {log:?}");
                    if log.buckets < 2_000 {
                        is_sound(&HistogramConfiguration::log(builder));
                    }
                    assert!(log.buckets == 1 || log.start(1) <= min.max(1), "{builder:?}: {log:?}");
                    let told_apart = least(step(max.max(min), precision) + 1, precision).is_some();
                    assert!(!told_apart || log.max_value() > max.max(min), "{builder:?}: {log:?}");
                    for bucket in (1..log.buckets - 1).step_by(7) {
                        let (start, end) = (log.start(bucket), log.start(bucket + 1));
                        let width = end - start;
                        assert!(width == 1 || width << precision <= start, "{start}..{end} of {log:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn histogram_builder_settings_are_what_is_built() {
        assert_eq!(LogHistogram::default(), LogHistogram::builder().precision_exact(2).build());
        for (error, precision) in [(0.9, 1), (0.5, 1), (0.25, 2), (0.2, 3), (0.001, 10), (1e-9, 10)] {
            assert_eq!(LogHistogram::builder().max_error(error).build().precision, precision);
        }
        // At precision 0 every bucket is twice the one before.
        let doubling =
            HistogramConfiguration::log(LogHistogram::builder().precision_exact(0).min_value(Duration::ZERO));
        let starts: Vec<_> = (0..5).map(|bucket| doubling.range(bucket).start.as_nanos()).collect();
        assert_eq!(starts, [0, 1, 2, 4, 8]);

        let mut builder = LogHistogram::builder();
        let built = builder.build();
        assert_eq!(builder.max_buckets(built.buckets), Ok(built));
        let refused = builder.max_buckets(built.buckets - 1).unwrap_err();
        let expected = InvalidHistogramConfiguration::TooManyBuckets { required_bucket_count: built.buckets };
        assert_eq!(refused, expected);
        assert!(refused.to_string().contains("raise `min_value`"));
    }
}
