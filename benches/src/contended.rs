//! A hyper server under `wrk` on a machine that has other work to do.
//!
//! Each turn is a fresh server process. The servers of a cell take turns, in an order that rotates.

use std::net::{Ipv4Addr, SocketAddr};

use crate::child::{Job, Running};
use crate::contenders::Entry;
use crate::driver::progress;
use crate::goals::{REFERENCE, SUBJECT};
use crate::neighbours::Neighbours;
use crate::wrk::{self, Figures};

const WORKERS: [usize; 2] = [1, 2];
const CONNECTIONS: [u32; 2] = [64, 512];

/// The conditions under which the servers are compared.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    pub workers: usize,
    pub connections: u32,
    pub neighbours: Neighbours,
}

impl std::fmt::Display for Conditions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = if self.workers == 1 { "" } else { "s" };
        let Conditions { workers, connections, neighbours } = self;
        write!(f, "{workers} worker{plural}, {connections} connections, neighbours {}", neighbours.name())
    }
}

/// A runtime, and the adapter between its streams and hyper.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    pub runtime: &'static str,
    pub adapter: &'static str,
}

impl Server {
    /// Starts a server process, and returns it with its address.
    fn start(self, workers: usize) -> Result<(Running, SocketAddr), String> {
        let (runtime, adapter) = (self.runtime.to_owned(), self.adapter.to_owned());
        let mut process = Job::Server { runtime, workers, adapter }.start()?;
        let port = process.first_line()?;
        let port: u16 = port.parse().map_err(|_| format!("the server printed no port: {port}"))?;
        Ok((process, SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
    }

    fn turn(self, conditions: Conditions, seconds: u32) -> Result<Figures, String> {
        let (process, addr) = self.start(conditions.workers)?;
        // The work is dropped before the server, whose process number it uses.
        let _work = conditions.neighbours.start(&process)?;
        wrk::run(addr, conditions.connections, seconds)
    }
}

/// The results under one set of conditions: the rounds of each server.
pub struct Cell {
    pub conditions: Conditions,
    pub series: Vec<(Server, Vec<Figures>)>,
}

impl Cell {
    /// Returns the rounds of the reference, and each of the subject's servers with its rounds.
    pub fn pairs(&self) -> impl Iterator<Item = (Server, &[Figures], &[Figures])> {
        let theirs = self.series.iter().find(|(server, _)| server.runtime == REFERENCE);
        let ours = self.series.iter().filter(|(server, _)| server.runtime == SUBJECT);
        theirs.into_iter().flat_map(move |(_, theirs)| {
            ours.clone().map(move |(server, rounds)| (*server, rounds.as_slice(), theirs.as_slice()))
        })
    }
}

/// Runs all cells, and passes each to `done` when it is complete.
///
/// # Errors
///
/// If `wrk` is not installed, or a server fails.
pub fn run(entries: &[Entry], rounds: usize, seconds: u32, done: impl Fn(&Cell)) -> Result<Vec<Cell>, String> {
    if !wrk::is_installed() {
        return Err("wrk is not installed: install the package wrk".to_owned());
    }
    let servers = servers(entries)?;
    let mut cells = Vec::new();
    for neighbours in Neighbours::ALL {
        for workers in WORKERS {
            for connections in CONNECTIONS {
                let conditions = Conditions { workers, connections, neighbours };
                let cell = run_cell(conditions, &servers, rounds, seconds)?;
                done(&cell);
                cells.push(cell);
            }
        }
    }
    Ok(cells)
}

fn servers(entries: &[Entry]) -> Result<Vec<Server>, String> {
    let taking_part = entries.iter().filter(|entry| [SUBJECT, REFERENCE].contains(&entry.name));
    let servers: Vec<Server> = taking_part
        .flat_map(|entry| entry.adapters.iter().map(|adapter| Server { runtime: entry.name, adapter: adapter.name }))
        .collect();
    if servers.iter().all(|server| server.runtime != SUBJECT) {
        return Err(format!("this build has no {SUBJECT}: build it with the feature heist-adapter"));
    }
    Ok(servers)
}

fn run_cell(conditions: Conditions, servers: &[Server], rounds: usize, seconds: u32) -> Result<Cell, String> {
    let mut series: Vec<(Server, Vec<Figures>)> = servers.iter().map(|server| (*server, Vec::new())).collect();
    for round in 0..rounds {
        for turn in 0..servers.len() {
            let at = (turn + round) % servers.len();
            let Server { runtime, adapter } = servers[at];
            progress(&format!("{conditions}: round {} of {rounds}, {runtime} ({adapter})", round + 1));
            let figures = servers[at].turn(conditions, seconds);
            let figures = figures.map_err(|problem| format!("{runtime} ({adapter}), {conditions}: {problem}"))?;
            series[at].1.push(figures);
        }
    }
    progress("");
    Ok(Cell { conditions, series })
}
