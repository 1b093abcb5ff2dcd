//! Instructions of user space that an event takes: what no neighbour of the machine changes.
//!
//! | figure | what is counted |
//! |---|---|
//! | `instructions_batch_500`, `instructions_batch_100` | the thread that calls `capture_batch` |
//! | `instructions_capture` | the thread that calls `capture` |
//! | `instructions_deferred` | the thread that calls `capture_deferred`, and waits after 500 |
//! | `instructions_drain_range`, `instructions_drain_receipts` (by number), `instructions_drain_keys` (the same by key) | all threads, from the first `pending` until all cleaning is done; the store was opened before |
//!
//! Events have 200 bytes, were made beforehand, and wait. Captures come in turn while the store's keys double, up to a
//! million; a million are drained, 100 at a time. That is judged by what must be reached. A quick run takes a tenth of
//! it, and is compared with the numbers in `benches/instructions.json`.
//!
//! The process runs under callgrind, which shows programs the same processor on every machine that has AVX2.

mod committed;
mod profile;

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use onceward::Receipt;
use onceward_benches::engine::counted::{self, Captured};
use onceward_benches::engine::till::Settling;
use onceward_benches::spread::Spread;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::child::Child;
use crate::figure::{Asked, Detail, Must, Sheet};
use crate::workplace::Workplace;
use committed::{Committed, SLACK};

/// What all figures count.
const UNIT: &str = "instructions of user space an event";
/// Captures: the figure, its loop, and what must be reached.
const CAPTURES: [(&str, &str, f64); 4] = [
    ("instructions_batch_500", "batches_of_500", 2_200.0),
    ("instructions_batch_100", "batches_of_100", 2_500.0),
    ("instructions_capture", SINGLES, 6_000.0),
    ("instructions_deferred", "deferred", 4_000.0),
];
/// The loop that has fewer events.
const SINGLES: &str = "singles";
/// Drains: the figure, who does it, and what must be reached.
const DRAINS: [(&str, Child, f64); 3] = [
    ("instructions_drain_range", Child::CountedRange, 2_000.0),
    ("instructions_drain_receipts", Child::CountedReceipts, 2_600.0),
    ("instructions_drain_keys", Child::CountedKeys, 2_600.0),
];
/// The function that drains.
const DRAIN: &str = "drained";
/// Waiting for the store's threads is not the store's work.
const WAITING: &str = "wait_until_idle";
/// Bytes of a receipt.
const RECEIPT_BYTES: usize = 24;

/// What is compared with what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Against {
    /// A million events, with what must be reached.
    Must,
    /// A tenth, with what is committed.
    Committed,
    /// The same, and what is counted is committed from now on.
    Bless,
}

impl Against {
    /// Events that are drained, and keys at the end of captures.
    const fn events(self) -> u64 {
        match self {
            Self::Must => 1_000_000,
            Self::Committed | Self::Bless => 100_000,
        }
    }
}

/// The report of a process that was counted.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Report<T> {
    processor: Vec<String>,
    done: T,
}

/// Captures in the loops that are counted.
pub(crate) fn captured(dir: &Path, keys: u64) -> Result<Report<Captured>, Box<dyn Error>> {
    let done = counted::capture_in_turn(dir, usize::try_from(keys)?)?;
    Ok(Report { processor: processor(), done })
}

/// Drains a store, by ranges or with receipts.
pub(crate) fn drained(dir: &Path, events: u64, by: Child) -> Result<Report<usize>, Box<dyn Error>> {
    let receipt = Receipt::new(&[7; RECEIPT_BYTES])?;
    let how = match by {
        Child::CountedReceipts => Settling::ByNumber(&receipt),
        Child::CountedKeys => Settling::ByKey(&receipt),
        _ => Settling::AsRange,
    };
    let done = counted::drain_all(dir, usize::try_from(events)?, how)?;
    Ok(Report { processor: processor(), done })
}

/// What of the processor this process sees that faster code is chosen by.
fn processor() -> Vec<String> {
    #[cfg(target_arch = "x86_64")]
    let seen = [
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("pclmulqdq", is_x86_feature_detected!("pclmulqdq")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let seen: [(&str, bool); 0] = [];
    let names = seen.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name.to_owned());
    [env::consts::ARCH.to_owned()].into_iter().chain(names).collect()
}

/// Counts all of them.
pub(crate) fn measure(
    sheet: &mut Sheet,
    against: Against,
    place: &Workplace,
) -> Result<(), Box<dyn Error>> {
    let version = Command::new("valgrind").arg("--version").output().map_err(|error| {
        format!("valgrind is needed, on Debian the package of that name: {error}")
    })?;
    let mut counts = Counts {
        against,
        before: Committed::read()?,
        now: Committed {
            valgrind: String::from_utf8_lossy(&version.stdout).trim().to_owned(),
            ..Committed::default()
        },
    };
    captures(sheet, &mut counts, place.path())?;
    for drain in DRAINS {
        drains(sheet, &mut counts, place.path(), drain)?;
    }
    if against == Against::Bless {
        let kept = counts.before.figures;
        let mut all: BTreeMap<String, u64> = kept;
        all.append(&mut counts.now.figures);
        counts.now.figures = all;
        counts.now.write()?;
    }
    Ok(())
}

/// What was counted so far.
#[derive(Debug)]
struct Counts {
    against: Against,
    before: Committed,
    now: Committed,
}

impl Counts {
    /// Prints a figure, and what is to be said of its committed number.
    fn add(
        &mut self,
        sheet: &mut Sheet,
        (figure, must): (&'static str, f64),
        (instructions, events): (u64, usize),
    ) -> Result<(), Box<dyn Error>> {
        let value = instructions as f64 / events as f64;
        let mut detail = Detail::from([("events", events as f64), ("must_reach", must)]);
        let before = self.before.figures.get(figure).map(|before| *before as f64);
        detail.extend(before.map(|before| ("committed", before)));
        let must = match (self.against, before) {
            (Against::Must, _) => Must::AtMost(must),
            // Without a number to compare with, nothing is reached.
            (Against::Committed, before) => Must::AtMost(before.unwrap_or(0.0) * (1.0 + SLACK)),
            (Against::Bless, _) => Must::BeReported,
        };
        if self.against == Against::Committed {
            if let Some(remark) = self.before.remark(figure, value) {
                eprintln!("{remark}");
            }
            if (&self.before.valgrind, &self.before.processor)
                != (&self.now.valgrind, &self.now.processor)
            {
                eprintln!(
                    "the committed numbers are of {} and {}, not of {} and {}",
                    self.before.valgrind,
                    self.before.processor.join(" "),
                    self.now.valgrind,
                    self.now.processor.join(" ")
                );
            }
        }
        let rounded = format!("{value:.0}").parse()?;
        self.now.figures.insert(figure.to_owned(), rounded);
        let spread = Spread::of(&[value]).ok_or("nothing was counted")?;
        Ok(sheet.add(Asked { figure, unit: UNIT, must }, spread, detail)?)
    }
}

/// Counts the loops that capture, all in one process.
fn captures(sheet: &mut Sheet, counts: &mut Counts, dir: &Path) -> Result<(), Box<dyn Error>> {
    let asked = |figure| Asked { figure, unit: UNIT, must: Must::BeReported };
    if !CAPTURES.iter().any(|(figure, ..)| sheet.wants(asked(figure))) {
        return Ok(());
    }
    let (store, profile) = (dir.join("captured"), dir.join("captured.profile"));
    let keys = counts.against.events() / 2;
    let report: Report<Captured> =
        under_callgrind(Child::CountedCaptures, (&store, keys), &profile, &[])?;
    fs::remove_dir_all(&store)?;
    counts.now.processor = report.processor;
    let profile = fs::read_to_string(profile)?;
    for (figure, name, must) in CAPTURES {
        if sheet.wants(asked(figure)) {
            let events = if name == SINGLES { report.done.singles } else { report.done.events };
            let instructions = profile::inclusive(&profile, &format!("counted::{name}"));
            counts.add(sheet, (figure, must), (instructions, events))?;
        }
    }
    Ok(())
}

/// Counts one way to drain.
fn drains(
    sheet: &mut Sheet,
    counts: &mut Counts,
    dir: &Path,
    (figure, child, must): (&'static str, Child, f64),
) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(Asked { figure, unit: UNIT, must: Must::BeReported }) {
        return Ok(());
    }
    let (store, profile) = (dir.join("drained"), dir.join("drained.profile"));
    let events = counts.against.events();
    let filled: serde_json::Value = Child::EngineClosed.have_done("engine", &store, events)?;
    if filled.get("pending") != Some(&events.into()) {
        return Err(format!("the store was not filled: {filled}").into());
    }
    // What is before it and behind it is written apart: the profile's second part is of it alone.
    let (before, after) =
        (format!("--dump-before=*counted::{DRAIN}"), format!("--dump-after=*counted::{DRAIN}"));
    let report: Report<usize> =
        under_callgrind(child, (&store, events), &profile, &[&before, &after])?;
    fs::remove_dir_all(&store)?;
    counts.now.processor = report.processor;
    let part = fs::read_to_string(profile.with_extension("profile.2"))?;
    let all = profile::total(&part).ok_or("a profile without a total")?;
    let own = all - profile::inclusive(&part, WAITING);
    counts.add(sheet, (figure, must), (own, report.done))
}

/// Has a process do `child` under callgrind, and returns what it said; its profile is at `profile`.
fn under_callgrind<T: DeserializeOwned>(
    child: Child,
    (dir, keys): (&Path, u64),
    profile: &Path,
    options: &[&str],
) -> Result<T, Box<dyn Error>> {
    let value = child.to_possible_value().ok_or("no such work")?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .args(options)
        .arg(env::current_exe()?)
        .args(["engine", "--child", value.get_name(), "--keys", &keys.to_string(), "--dir"])
        .arg(dir)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{value:?} under callgrind: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
