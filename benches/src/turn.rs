//! The turn of one runtime in a round of a row: in this process, or in a fresh one.

use std::collections::HashMap;

use hdrhistogram::Histogram;

use crate::child::Job;
use crate::contenders::Entry;
use crate::sample::{Load, Processors, Row, Sample, histogram};
use crate::wrk::Percentiles;

/// Builds the runtime, runs the row, and drops the runtime. Returns `None` if the runtime lacks
/// what the row needs.
pub fn take(row: &Row, entry: &Entry, passes: usize, load: &Load) -> Option<Vec<Sample>> {
    let runtime = (entry.build)(load.workers);
    if !row.long {
        runtime.run(row.id, load)?;
    }
    (0..passes).map(|_| runtime.run(row.id, load)).collect()
}

/// Does the same in a fresh process.
///
/// # Errors
///
/// If the process fails.
pub fn take_in_child(row: &Row, entry: &Entry, passes: usize, load: &Load) -> Result<Option<Vec<Sample>>, String> {
    let (runtime, row) = (entry.name.to_owned(), row.id.to_owned());
    let text = Job::Turn { runtime, workers: load.workers, row, passes, quick: load.quick }.output()?;
    let samples: Option<Vec<Sample>> = text.lines().map(read).collect();
    let samples = samples.ok_or_else(|| format!("the child printed no sample: {text}"))?;
    Ok(Some(samples).filter(|samples| !samples.is_empty()))
}

/// In the child: prints one line for each pass.
pub fn print(row: &Row, entry: &Entry, passes: usize, load: &Load) {
    for sample in take(row, entry, passes, load).unwrap_or_default() {
        println!("{}", written(&sample));
    }
    // nio's workers cannot be stopped, and the samples have been printed.
    std::process::exit(0)
}

/// Returns a line that [`read`] reads. It has no counts of system calls, which are taken apart from
/// the timing.
fn written(sample: &Sample) -> String {
    let mut words = vec![format!("value={}", sample.value)];
    words.extend(sample.switches.map(|switches| format!("switches={switches}")));
    let processors = |Processors { server, generator }| format!("server={server} generator={generator}");
    words.extend(sample.processors.map(processors));
    let percentiles = |Percentiles { p50, p99, p999 }| format!("p50={p50} p99={p99} p999={p999}");
    words.extend(sample.percentiles.map(percentiles));
    words.extend(sample.histogram.as_ref().map(|histogram| format!("latency={}", counts(histogram))));
    words.extend(sample.served.as_ref().map(|histogram| format!("served={}", counts(histogram))));
    words.extend(sample.lateness.as_ref().map(|histogram| format!("lateness={}", counts(histogram))));
    words.join(" ")
}

fn read(line: &str) -> Option<Sample> {
    let fields: Option<HashMap<&str, &str>> = line.split(' ').map(|word| word.split_once('=')).collect();
    let fields = fields?;
    let number = |key| fields.get(key).and_then(|text| text.parse::<f64>().ok());
    let histogram = |key| fields.get(key).and_then(|text| read_counts(text));
    let processors = number("server").zip(number("generator"));
    let percentiles = number("p50").zip(number("p99")).zip(number("p999"));
    Some(Sample {
        value: number("value")?,
        switches: number("switches"),
        calls: None,
        processors: processors.map(|(server, generator)| Processors { server, generator }),
        percentiles: percentiles.map(|((p50, p99), p999)| Percentiles { p50, p99, p999 }),
        histogram: histogram("latency"),
        served: histogram("served"),
        lateness: histogram("lateness"),
    })
}

/// Returns the values of a histogram, and how often each occurs.
fn counts(histogram: &Histogram<u64>) -> String {
    let values = histogram.iter_recorded();
    let words = values.map(|value| format!("{}:{}", value.value_iterated_to(), value.count_at_value()));
    words.collect::<Vec<_>>().join(",")
}

fn read_counts(text: &str) -> Option<Histogram<u64>> {
    let mut histogram = histogram();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        let (value, count) = word.split_once(':')?;
        histogram.record_n(value.parse().ok()?, count.parse().ok()?).ok()?;
    }
    Some(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_of_a_full_sample_gives_the_same_values() {
        let mut latency = histogram();
        for value in [17, 1_234_567, 1_234_567, 59_000_000_000] {
            latency.record(value).unwrap();
        }
        let sample = Sample {
            switches: Some(0.1),
            processors: Some(Processors { server: 0.25, generator: 0.75 }),
            percentiles: Some(Percentiles { p50: 0.1, p99: 0.2, p999: 0.3 }),
            histogram: Some(latency.clone()),
            served: Some(histogram()),
            ..Sample::plain(1.0 / 3.0)
        };
        let back = read(&written(&sample)).unwrap();
        assert_eq!((back.value, back.switches, back.percentiles), (sample.value, sample.switches, sample.percentiles));
        assert_eq!(back.processors.map(|both| (both.server, both.generator)), Some((0.25, 0.75)));
        assert_eq!((back.histogram, back.served.map(|served| served.len())), (Some(latency), Some(0)));
        assert!(back.lateness.is_none());
    }

    #[test]
    fn read_of_another_text_is_none() {
        assert!(read("thread main panicked").is_none());
        assert!(read("switches=1").is_none());
    }
}
