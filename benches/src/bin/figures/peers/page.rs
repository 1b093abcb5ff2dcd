//! The document: tables, words and settings, all from what was measured. No clock and no disk here.

use std::collections::BTreeMap;
use std::fmt;

use onceward_benches::peers::kind::Kind;
use onceward_benches::peers::workload::Workload;

use super::results::Results;
use super::words::{compared, shown};
use super::{Extents, Machine};

/// Syncs of a commit, where they were counted.
pub(super) type Counted = BTreeMap<Kind, f64>;

/// Workloads of the first table: each event is durable before the next.
const DURABLE: [Workload; 6] = [
    Workload::OneWriter,
    Workload::Writers2,
    Workload::Writers8,
    Workload::Writers64,
    Workload::Batches100,
    Workload::Batches500,
];
/// Workloads of the second.
const OTHERS: [Workload; 5] = [
    Workload::Unsynced,
    Workload::Lookup,
    Workload::Drain,
    Workload::DrainRemoving,
    Workload::Memory,
];

/// What the document says before its figures.
const HEAD: &str = "\
# Peers, measured side by side

Made by `cargo run --release --locked -p onceward-benches --features peers --bin figures -- peers --write`; do not edit.

The work is *dedup capture* and draining: an event with a key of 36 bytes and 200 bytes that nothing can make smaller is stored
durably unless its key was seen; what waits is read in its order, a hundred events at a time, and settled durably. Each peer
is used as a careful user would use it for that: whatever was answered survives a power cut, no event that waits is
forgotten, and the upstream is away, so nothing is settled while events are captured. Figures are the rate by that of LIMIT in
the same round: 1 is what the machine can do.
";

/// What LIMIT is, and how is measured.
const METHOD: &str = "\
LIMIT is the same bytes with nothing around them: for durable writes one `pwrite` and one `fdatasync` on blocks that were
written before, of as many events as there are writers or as a batch has, without dedup. Unsynced: xxh3-128, a table that was
made large enough, CRC-32, a copy, and a write for each MiB; no sync. Lookup: xxh3-128 and that table. Draining: a hundred
events are read, their checksums computed, 8 bytes written and synced. LIMIT-gc is a gathering group commit with real
threads and no dedup. *naive* is what a good engineer writes in an afternoon.
";

/// The document.
pub(super) struct Page<'a> {
    pub(super) results: &'a Results,
    pub(super) extents: Extents,
    pub(super) machine: &'a Machine,
    pub(super) counted: &'a Counted,
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}\n{}\n\n![The figures as bars](peers.svg)\n", self.machine)?;
        writeln!(f, "## Where a peer is better, and where none is\n")?;
        for workload in Workload::ALL {
            if let Some(said) = compared(self.results, workload) {
                writeln!(f, "- {said}")?;
            }
        }
        writeln!(f, "\n## Durable captures\n")?;
        self.table(f, &DURABLE)?;
        writeln!(f, "\n## Unsynced captures, lookups, draining, memory\n")?;
        self.table(f, &OTHERS)?;
        writeln!(
            f,
            "\n`-`: the peer cannot do it, or is not measured with it. Logs without an index have the naive map for \
             lookups;\nokaywal hands events to its owner and gives none back; the naive file only grows. Onceward and \
             raft-engine\nalways give space back. Memory is that of the process, without mapped files and the page \
             cache, and with\nthat of the keys; a cache of the peer's own counts.\n"
        )?;
        writeln!(f, "## What each really does\n")?;
        self.facts(f)?;
        writeln!(f, "\n## Method\n\n{METHOD}")?;
        self.method(f)
    }
}

impl Page<'_> {
    /// Peers as rows, workloads as columns.
    fn table(&self, f: &mut fmt::Formatter<'_>, workloads: &[Workload]) -> fmt::Result {
        let title = |workload: &Workload| match workload {
            Workload::Memory => format!("{}, bytes", workload.title()),
            _ => workload.title().to_owned(),
        };
        let titles: Vec<String> = workloads.iter().map(title).collect();
        writeln!(f, "| | {} |", titles.join(" | "))?;
        writeln!(f, "|---|{}", "---|".repeat(workloads.len()))?;
        for kind in Kind::ALL {
            let cells: Vec<String> =
                workloads.iter().map(|workload| self.cell(*workload, kind)).collect();
            if cells.iter().any(|cell| cell != "-") {
                writeln!(f, "| {} | {} |", kind.name(), cells.join(" | "))?;
            }
        }
        Ok(())
    }

    /// One figure: of the limit what it is in events, of all others its share and how far rounds lie apart.
    fn cell(&self, workload: Workload, kind: Kind) -> String {
        let Some(figure) = self.results.figure(workload, kind) else { return "-".to_owned() };
        if kind == Kind::Limit {
            return match workload {
                Workload::Lookup => format!("{:.0} ns", figure.cost * 1e9),
                _ => format!("{:.0}/s", 1.0 / figure.cost),
            };
        }
        let [low, median, high] = [figure.value.low, figure.value.median, figure.value.high]
            .map(|value| shown(workload, value).trim_end_matches(" bytes").to_owned());
        let bold = if kind == Kind::Onceward { "**" } else { "" };
        format!("{bold}{median}{bold} ({low} to {high})")
    }

    /// What the peers are and what they withstand.
    fn facts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| peer | settings | syncs a commit | durable when a power cut comes |")?;
        writeln!(f, "|---|---|---|---|")?;
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_limit()) {
            let facts = kind.facts();
            let syncs = match self.counted.get(&kind) {
                Some(count) => format!("{count:.2}"),
                None if kind.is_counted() => "not counted: no strace".to_owned(),
                None => "as above".to_owned(),
            };
            writeln!(f, "| {} | {} | {syncs} | {} |", kind.name(), facts.settings, facts.durable)?;
        }
        writeln!(
            f,
            "\nSyncs are `fsync`, `fdatasync` and `msync` of a process that commits 200 events one by one, by strace, \
             less those of\nopening and closing. The test `every_durable_commit_is_synced` holds that \
             nobody who claims\ndurability has fewer than one."
        )
    }

    /// How often and how long.
    fn method(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Extents { rounds, seconds, rounds_of_many, events } = self.extents;
        writeln!(
            f,
            "Every measurement has a process and a new directory of its own; before each, all that others left to be \
             written is\nwritten. In a round everybody has one turn, and LIMIT two, of which the mean counts; who is \
             first changes from round\nto round. Shown is the median of {rounds} rounds of {seconds} s, and of \
             {rounds_of_many} rounds with {events} events that wait (lookups,\ndraining, memory), with the lowest and \
             the highest. Making keys and events counts, for all alike. Within 0.15 of each\nother figures of durable \
             writes are a tie."
        )
    }
}

#[cfg(test)]
mod tests {
    use onceward_benches::peers::workload::{Costs, Work};

    use super::*;

    #[test]
    fn who_cannot_do_a_workload_is_left_out_of_it_and_ours_stands_out() {
        let mut results = Results::default();
        for (kind, cost) in [(Kind::Limit, 1e-7), (Kind::Onceward, 2e-7), (Kind::Fjall, 4e-7)] {
            let costs = Costs::from([(Workload::Lookup, cost), (Workload::Drain, cost)]);
            results.add((Work::Million, 0), kind, &costs);
        }
        let costs = Costs::from([(Workload::Drain, 8e-7)]);
        results.add((Work::Million, 0), Kind::Naive, &costs);
        let machine = Machine {
            date: "2026-11-30".to_owned(),
            processor: "Some CPU".to_owned(),
            processors: 2,
            memory_gib: 23.4,
            kernel: "6.1".to_owned(),
            file_system: "ext4".to_owned(),
            load: 0.1,
        };
        let counted = Counted::from([(Kind::Fjall, 1.0)]);
        let page = Page {
            results: &results,
            extents: Extents::FULL,
            machine: &machine,
            counted: &counted,
        };
        let text = page.to_string();
        let has = |line: &str| assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        has("| LIMIT | - | 100 ns | 10000000/s | - | - |");
        has("| Onceward | - | **0.50** (0.50 to 0.50) | **0.50** (0.50 to 0.50) | - | - |");
        has("| naive | - | - | 0.12 (0.12 to 0.12) | - | - |");
        has(
            "- **lookup by key, half hits** (Onceward 0.50): no peer is better; the next is fjall (0.25).",
        );
        assert!(!text.contains("| LMDB | - | - |"), "a row without figures");
        assert!(
            text.lines()
                .any(|line| line.starts_with("| fjall | 3, a") && line.contains("| 1.00 |"))
        );
        assert!(text.contains("Measured 2026-11-30: 2 processors (Some CPU), 23 GiB of memory"));
    }
}
