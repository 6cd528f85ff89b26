//! Simulates the scheduler with up to 256 workers, and writes the results into `docs/scaling.md`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use heist::sim::scaling::Costs;
use heist_benches::scaling::loads::{LOADS, Load};
use heist_benches::scaling::{Cell, POLICIES, SIZES, VARIANTS, page, plot, run_all};

const USAGE: &str = "usage: scaling [OPTION …]
  --seeds N           simulations of each cell (5)
  --rows ID,…         only these workloads
  --sizes N,…         only these numbers of workers
  --constants-at N,…  the numbers of workers for which constants are varied (2,64), or none
  --wake-up US        the time of a wake-up in µs (11–14)
  --inspection NS     the cost of a look at another worker's queues, in ns (40)
  --md FILE           replaces the results in this page, and writes the plots beside it
";

struct Options {
    seeds: u64,
    rows: Vec<String>,
    sizes: Vec<usize>,
    constants_at: Vec<usize>,
    costs: Costs,
    page: Option<PathBuf>,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprint!("scaling: {problem}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        seeds: 5,
        rows: Vec::new(),
        sizes: SIZES.to_vec(),
        constants_at: vec![2, 64],
        costs: Costs::MEASURED,
        page: None,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--constants-at" => options.constants_at = sizes(&value()?)?,
            "--seeds" => {
                let seeds = value()?.parse().ok().filter(|seeds| *seeds > 0);
                options.seeds = seeds.ok_or("--seeds needs a number above zero")?;
            }
            "--rows" => options.rows = value()?.split(',').map(str::to_owned).collect(),
            "--sizes" => options.sizes = sizes(&value()?)?,
            "--wake-up" => {
                let micros: u64 = value()?.parse().map_err(|_| "--wake-up needs a number of µs")?;
                options.costs.wake_up = (micros * 1_000, micros * 1_250);
                options.costs.waker = (micros * 250, micros * 300);
                options.costs.slow_wake_up = (micros * 2_000, micros * 4_000);
            }
            "--inspection" => {
                options.costs.inspection = value()?.parse().map_err(|_| "--inspection needs a number of ns")?;
            }
            "--md" => options.page = Some(value()?.into()),
            _ => return Err(format!("unknown argument {arg}")),
        }
    }
    if let Some(unknown) = options.rows.iter().find(|row| LOADS.iter().all(|load| load.id != **row)) {
        return Err(format!("there is no workload {unknown}"));
    }
    Ok(options)
}

/// Reads some of the numbers of workers, or `none`.
fn sizes(text: &str) -> Result<Vec<usize>, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let sizes = text.split(',').map(|size| size.parse().ok().filter(|size| SIZES.contains(size)));
    sizes.collect::<Option<_>>().ok_or(format!("{text} is not some of {SIZES:?}"))
}

fn run(options: &Options) -> Result<(), String> {
    let rows: Vec<Load> = LOADS
        .into_iter()
        .filter(|load| options.rows.is_empty() || options.rows.iter().any(|row| row == load.id))
        .collect();
    let mut cells = Vec::new();
    for &load in &rows {
        for &workers in &options.sizes {
            cells.extend(POLICIES.map(|policy| Cell { load, workers, policy, variant: None, costs: options.costs }));
        }
    }
    let varied: Vec<usize> = options.constants_at.iter().copied().filter(|at| options.sizes.contains(at)).collect();
    for &workers in &varied {
        for &variant in VARIANTS {
            let with = |&load: &Load| Cell {
                load,
                workers,
                policy: POLICIES[0],
                variant: Some(variant),
                costs: options.costs,
            };
            cells.extend(rows.iter().map(with));
        }
    }
    let (begun, jobs) = (Instant::now(), cells.len() * options.seeds as usize);
    let figures = run_all(&cells, options.seeds, |done| {
        if done % 50 == 0 || done == jobs {
            eprintln!("{done} of {jobs} simulations, {:.0} s", begun.elapsed().as_secs_f64());
        }
    });
    let mut results = format!(
        "Written by `cargo run --release -p heist-benches --features sim --bin scaling -- --md docs/scaling.md`, \
         with {} seeds per row. A value is the median of the seeds; the worst one is in parentheses.\n\n",
        options.seeds
    );
    results += &page::policies(&rows, &cells, &figures);
    for workers in varied {
        results += &page::constants(&rows, &cells, &figures, workers);
    }
    let Some(path) = &options.page else {
        print!("{results}");
        return Ok(());
    };
    let problem = |error: std::io::Error| format!("{}: {error}", path.display());
    let old = std::fs::read_to_string(path).map_err(problem)?;
    std::fs::write(path, page::replace_results(&old, &results)?).map_err(problem)?;
    for load in &rows {
        let plotted = plot::plot(load, &cells, &figures);
        std::fs::write(path.with_file_name(plot::file(load.id)), plotted).map_err(problem)?;
    }
    Ok(())
}
