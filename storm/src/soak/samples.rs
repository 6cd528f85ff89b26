//! Samples of memory, threads and file descriptors, and the slopes of their second half.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use crate::allocator;

/// What is sampled.
const FIGURES: [Figure; 5] = [
    Figure { name: "resident memory, KiB", floor: 8.0 * 1024.0 },
    Figure { name: "live allocations, KiB", floor: 256.0 },
    Figure { name: "live allocations", floor: 1_000.0 },
    Figure { name: "threads", floor: 2.0 },
    Figure { name: "file descriptors", floor: 4.0 },
];

/// Into how many spans the second half is divided. Of each, the lowest sample counts: a leak raises
/// it, and a queue that is long for a moment does not.
const SPANS: usize = 30;

/// How many standard errors of the growth are allowed besides the floor.
const ERRORS: f64 = 6.0;

struct Figure {
    name: &'static str,
    /// The growth over the second half that is always allowed.
    floor: f64,
}

/// All samples of a run.
#[derive(Debug)]
pub(crate) struct Samples {
    begun: Instant,
    taken: Vec<(f64, [f64; FIGURES.len()])>,
}

/// The line through samples, by least squares.
struct Line {
    mean: f64,
    /// The growth over the span of the samples.
    growth: f64,
    /// The standard error of the growth.
    error: f64,
}

/// Returns how many entries a folder has.
fn entries(path: &str) -> f64 {
    fs::read_dir(path).map_or(0.0, |entries| entries.count() as f64)
}

/// Returns the number of threads of this process.
pub(crate) fn threads() -> usize {
    entries("/proc/self/task") as usize
}

/// Returns the number of open file descriptors, without the one that reads the list.
pub(crate) fn descriptors() -> usize {
    entries("/proc/self/fd") as usize - 1
}

fn resident_kib() -> f64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    // SAFETY: the call has no preconditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages * page as f64 / 1024.0
}

impl Samples {
    /// Reserves the memory of all samples, so that they are not in the way of themselves.
    pub(crate) fn new(duration: Duration, interval: Duration) -> Samples {
        let most = duration.as_millis() / interval.as_millis() + 64;
        Samples { begun: Instant::now(), taken: Vec::with_capacity(most as usize) }
    }

    pub(crate) fn take(&mut self) {
        let (bytes, blocks) = allocator::live();
        let figures = [resident_kib(), bytes as f64 / 1024.0, blocks as f64, threads() as f64, descriptors() as f64];
        self.taken.push((self.begun.elapsed().as_secs_f64(), figures));
    }

    /// Returns the last sample in words.
    pub(crate) fn last(&self) -> String {
        let Some((_, [resident, live, blocks, threads, descriptors])) = self.taken.last() else {
            return String::new();
        };
        format!(
            "{:.1} MiB resident, {:.2} MiB in {blocks} allocations, {threads} threads, {descriptors} fds",
            resident / 1024.0,
            live / 1024.0,
        )
    }

    /// Returns a table of the slopes over the second half, and the figures that are not flat.
    pub(crate) fn verdict(&self) -> (String, Vec<String>) {
        let half = &self.taken[self.taken.len() / 2..];
        let (Some((first, _)), Some((last, _))) = (half.first(), half.last()) else {
            return ("no samples".to_owned(), vec!["no samples".to_owned()]);
        };
        let span = last - first;
        let mut table = format!(
            "second half: {} samples in {span:.1} s, the lowest of each of {SPANS} spans; the bound is a floor and {ERRORS} \
             standard errors\n{:<24}{:>12}{:>12}{:>12}{:>16}\n",
            half.len(),
            "figure",
            "mean",
            "growth",
            "bound",
            "slope per hour",
        );
        let mut growing = Vec::new();
        for (index, Figure { name, floor }) in FIGURES.iter().enumerate() {
            let points = lowest_of_spans(half, index);
            let Line { mean, growth, error } = line_of(&points);
            let bound = floor + ERRORS * error;
            let slope = growth / span * 3600.0;
            let _ = writeln!(table, "{name:<24}{mean:>12.1}{growth:>12.2}{bound:>12.2}{slope:>16.2}");
            // A figure that is not a number is not flat either.
            if growth.is_nan() || growth > bound {
                growing.push(format!("{name}: the growth is {growth:.2}, and the bound is {bound:.2}"));
            }
        }
        (table, growing)
    }
}

/// Returns the lowest sample of a figure in each span, with its time.
fn lowest_of_spans(samples: &[(f64, [f64; FIGURES.len()])], index: usize) -> Vec<(f64, f64)> {
    let lowest = |span: &[(f64, [f64; FIGURES.len()])]| {
        let figures = span.iter().map(|(at, figures)| (*at, figures[index]));
        figures.min_by(|(_, one), (_, other)| one.total_cmp(other)).expect("a span is not empty")
    };
    samples.chunks(samples.len().div_ceil(SPANS)).map(lowest).collect()
}

fn line_of(points: &[(f64, f64)]) -> Line {
    let n = points.len() as f64;
    let mean_of = |get: fn(&(f64, f64)) -> f64| points.iter().map(get).sum::<f64>() / n;
    let (mean_x, mean_y) = (mean_of(|point| point.0), mean_of(|point| point.1));
    let xx: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let xy: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let slope = xy / xx;
    let residuals: f64 = points.iter().map(|(x, y)| (y - mean_y - slope * (x - mean_x)).powi(2)).sum();
    let span = points[points.len() - 1].0 - points[0].0;
    Line { mean: mean_y, growth: slope * span, error: (residuals / (n - 2.0) / xx).sqrt() * span }
}
