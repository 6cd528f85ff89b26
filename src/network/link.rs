//! How the network between two hosts behaves.

use std::ops::RangeInclusive;
use std::time::Duration;

/// How a simulated network behaves between two hosts. Every choice is drawn from the seed, and is
/// uniform in its range.
///
/// # Examples
///
/// ```
/// use heist::sim::Link;
/// use heist::time::Duration;
///
/// let link = Link::new()
///     .latency(Duration::from_millis(1)..=Duration::from_millis(40))
///     .loss(0.01) // of datagrams
///     .resets(0.0001); // per segment of data
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// In nanoseconds.
    pub(super) latency: (u64, u64),
    /// Bytes per second.
    pub(super) bandwidth: u64,
    pub(super) loss: f64,
    pub(super) duplication: f64,
    pub(super) resets: f64,
    pub(super) segments: (u64, u64),
    pub(super) buffers: (u64, u64),
}

impl Default for Link {
    fn default() -> Link {
        Link::new()
    }
}

impl Link {
    /// Creates a link of one data centre: a latency of 50 to 500 µs, and 125 MB per second.
    /// Segments have up to 16 KiB, and buffers 4 to 64 KiB. Nothing is lost.
    pub fn new() -> Link {
        Link {
            latency: (50_000, 500_000),
            bandwidth: 125_000_000,
            loss: 0.0,
            duplication: 0.0,
            resets: 0.0,
            segments: (1, 16 << 10),
            buffers: (4 << 10, 64 << 10),
        }
    }

    /// Returns the link of a host to itself.
    pub(super) fn loopback() -> Link {
        Link { latency: (5_000, 30_000), bandwidth: 4_000_000_000, ..Link::new() }
    }

    /// Sets the time that a message travels. Datagrams overtake each other if the range is wide.
    /// The segments of a connection arrive in their order.
    ///
    /// # Panics
    ///
    /// Panics if the range is empty.
    #[must_use]
    #[track_caller]
    pub fn latency(mut self, latency: RangeInclusive<Duration>) -> Link {
        let nanos = |time: &Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4);
        self.latency = checked((nanos(latency.start()), nanos(latency.end())));
        self
    }

    /// Sets how many bytes the link carries in one second, in each direction. Segments count 40
    /// bytes more, datagrams none. The queue has no limit.
    ///
    /// # Panics
    ///
    /// Panics if it is zero.
    #[must_use]
    #[track_caller]
    pub fn bandwidth(mut self, bytes_per_second: u64) -> Link {
        assert!(bytes_per_second > 0, "a link carries at least one byte per second: use `partition` to cut it");
        self.bandwidth = bytes_per_second;
        self
    }

    /// Sets the probability that a datagram is lost.
    ///
    /// # Panics
    ///
    /// Panics if it does not lie between 0 and 1.
    #[must_use]
    #[track_caller]
    pub fn loss(mut self, probability: f64) -> Link {
        self.loss = checked_probability(probability);
        self
    }

    /// Sets the probability that a datagram arrives twice.
    ///
    /// # Panics
    ///
    /// Panics if it does not lie between 0 and 1.
    #[must_use]
    #[track_caller]
    pub fn duplication(mut self, probability: f64) -> Link {
        self.duplication = checked_probability(probability);
        self
    }

    /// Sets the probability that a segment of data resets its connection.
    ///
    /// # Panics
    ///
    /// Panics if it does not lie between 0 and 1.
    #[must_use]
    #[track_caller]
    pub fn resets(mut self, probability: f64) -> Link {
        self.resets = checked_probability(probability);
        self
    }

    /// Sets the sizes, in bytes, of the pieces in which written bytes arrive. Small ones make reads
    /// partial.
    ///
    /// # Panics
    ///
    /// Panics if the range is empty, or begins with zero.
    #[must_use]
    #[track_caller]
    pub fn segments(mut self, bytes: RangeInclusive<usize>) -> Link {
        self.segments = checked_sizes(bytes);
        self
    }

    /// Sets the sizes, in bytes, of a connection's buffers: how many bytes may be written that the
    /// peer has not read. Small ones make writes partial. Each end of a connection draws one.
    ///
    /// # Panics
    ///
    /// Panics if the range is empty, or begins with zero.
    #[must_use]
    #[track_caller]
    pub fn buffers(mut self, bytes: RangeInclusive<usize>) -> Link {
        self.buffers = checked_sizes(bytes);
        self
    }
}

#[track_caller]
fn checked(range: (u64, u64)) -> (u64, u64) {
    assert!(range.0 <= range.1, "the range is empty: its end lies before its start");
    range
}

#[track_caller]
fn checked_sizes(bytes: RangeInclusive<usize>) -> (u64, u64) {
    assert!(*bytes.start() > 0, "a size is at least 1 byte");
    checked((*bytes.start() as u64, *bytes.end() as u64))
}

#[track_caller]
fn checked_probability(probability: f64) -> f64 {
    assert!((0.0..=1.0).contains(&probability), "a probability lies between 0 and 1, and {probability} does not");
    probability
}
