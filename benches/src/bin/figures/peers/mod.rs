//! Other stores doing the same work, in the same run, each figure beside what the machine can do.
//!
//! | workload | what | LIMIT |
//! |---|---|---|
//! | `one_writer`, `writers_N` | durable captures, one event for each, from the first of a new store on | one write and one sync of as many events as there are writers |
//! | `batches_N` | so many events in a commit, likewise | one write and one sync of as many |
//! | `unsynced` | captures that nobody waits for, and one sync at the end | xxh3, a table, CRC-32, a write for each MiB |
//! | `lookup` | the number of a key's event, half of the keys unknown | xxh3 and a table |
//! | `drain`, `drain_removing` | a hundred events are read and settled, until nothing waits | read, CRC-32, 8 bytes and a sync |
//! | `memory` | anonymous memory for each event that waits, with that of its key | - |
//!
//! Every measurement has a process and a directory of its own; in each round all take their turn.

mod chart;
mod machine;
mod page;
mod results;
mod rounds;
mod words;

use std::error::Error;
use std::path::Path;

use onceward_benches::peers::job::Job;
use onceward_benches::peers::kind::Kind;
use onceward_benches::peers::workload::{Work, Workload};
use onceward_benches::peers::{Mode, syncs};

use crate::workplace::Workplace;
use machine::Machine;
use page::{Counted, Page};
use results::Results;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extents {
    /// Rounds of what lasts a time.
    rounds: usize,
    /// How long that lasts.
    seconds: f64,
    /// Rounds of what has many events.
    rounds_of_many: usize,
    /// How many they are.
    events: u64,
}

impl Extents {
    /// What the document shows.
    pub(crate) const FULL: Self =
        Self { rounds: 5, seconds: 0.6, rounds_of_many: 3, events: 1_000_000 };
    /// What a developer runs between two changes.
    pub(crate) const QUICK: Self =
        Self { rounds: 3, seconds: 0.2, rounds_of_many: 3, events: 100_000 };
}

/// Does one measurement, in a process of its own, and prints what it found.
///
/// # Errors
///
/// It cannot be done.
pub(crate) fn work(job: &str, dir: &Path) -> Result<(), Box<dyn Error>> {
    let job: Job = serde_json::from_str(job)?;
    let costs = job.run(dir).map_err(|error| error.to_string())?;
    println!("{}", serde_json::to_string(&costs)?);
    Ok(())
}

/// Measures the workloads whose names begin with `only`, and prints a line for each figure. Returns whether all could
/// be measured.
///
/// With `is_written` document and chart are made anew, for which all workloads have to be measured.
///
/// # Errors
///
/// Not all that is needed is wanted, or what was measured cannot be written.
pub(crate) fn measure(
    (extents, only, is_written): (Extents, &str, bool),
    place: &Workplace,
) -> Result<bool, Box<dyn Error>> {
    let wanted: Vec<Workload> =
        Workload::ALL.into_iter().filter(|workload| workload.name().starts_with(only)).collect();
    if wanted.is_empty() || (is_written && wanted.len() < Workload::ALL.len()) {
        return Err("the document needs all workloads, and a run at least one".into());
    }
    let machine = Machine::look(place.path())?;
    let (mut results, mut failed) = (Results::default(), 0);
    for work in Work::ALL {
        failed += rounds::measure(&mut results, (work, &wanted), extents, place.path());
        for workload in work.workloads().filter(|workload| wanted.contains(workload)) {
            results.lines(workload)?.iter().for_each(|line| println!("{line}"));
        }
    }
    if is_written {
        let counted = count_syncs(place.path());
        let page = Page { results: &results, extents, machine: &machine, counted: &counted };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::write(folder.join("PEERS.md"), page.to_string())?;
        std::fs::write(folder.join("peers.svg"), chart::draw(&results))?;
    }
    Ok(failed == 0)
}

/// Syncs of a commit, by strace, of each peer; none where strace is missing.
fn count_syncs(dir: &Path) -> Counted {
    let mut counted = Counted::new();
    let Ok(program) = std::env::current_exe() else { return counted };
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_counted()) {
        match syncs::for_each_commit(&program, dir, kind, Mode::Durable) {
            Ok(count) => drop(counted.insert(kind, count)),
            Err(error) => eprintln!("figures: syncs of {}: {error}", kind.name()),
        }
    }
    counted
}
