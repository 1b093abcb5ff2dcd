//! The JSON and the text that `export` and `import` print.

use std::path::Path;

use onceward::rescue::{Exported, Imported, LeftOut, SkipReason};
use serde::Serialize;

use crate::{
    exit::Failure,
    output::{Output, counted},
};

/// The result of an export, as JSON. The fields are public: their names never change.
#[derive(Debug, Serialize)]
pub(super) struct ExportedShape {
    /// The bundle's number.
    bundle: String,
    /// The file.
    file: String,
    /// Events without a final answer.
    unsettled: u64,
    /// Events of which only the answer is taken along.
    settled: u64,
    /// Numbers of events that are damaged and not in the file, the first 1,000.
    unreadable: Vec<u64>,
    /// Count of events that are damaged and not in the file.
    unreadable_count: u64,
    /// Ranges of the log that are damaged: what was there is not in the file either.
    damaged_ranges: usize,
    /// Size of the file.
    bytes: u64,
    /// Hash of the bundle; `import` prints the same one.
    digest: String,
    /// Whether the store is left: it sends nothing and takes nothing new.
    left: bool,
}

impl ExportedShape {
    /// The shape of what was done.
    pub(super) fn new(
        exported: &Exported,
        file: &Path,
        (left, damaged_ranges): (bool, usize),
    ) -> Self {
        Self {
            bundle: exported.bundle.to_string(),
            file: file.display().to_string(),
            unsettled: exported.unsettled,
            settled: exported.settled,
            unreadable: exported.unreadable.iter().map(|lsn| lsn.get()).collect(),
            unreadable_count: exported.unreadable_count,
            damaged_ranges,
            bytes: exported.bytes,
            digest: hex(&exported.digest),
            left,
        }
    }

    /// Prints the result for a person.
    pub(super) fn print(&self, out: &mut Output) -> Result<(), Failure> {
        let Self { bundle, file, unsettled, settled, bytes, digest, .. } = self;
        out.line(&format!("bundle {bundle}: {file}, {bytes} bytes"))?;
        let events = counted(*unsettled, "event", "events");
        let are = if *settled == 1 { "is" } else { "are" };
        out.line(&format!("in it: {events} to deliver, {settled} that {are} settled"))?;
        out.line(&format!("digest {digest}"))?;
        out.line(match self.left {
            true => "the store is left: it sends nothing and takes nothing new",
            false => "the store goes on: destroy the file if it is imported nowhere",
        })
    }
}

/// The result of an import, as JSON. The fields are public: their names never change.
#[derive(Debug, Serialize)]
pub(super) struct ImportedShape<'a> {
    /// The bundle's number.
    bundle: String,
    /// The store that it is from.
    source: String,
    /// Whether the bundle had been imported before.
    again: bool,
    /// Events that were new here.
    fresh: u64,
    /// Events that were new here and are settled.
    fresh_settled: u64,
    /// Events that were here.
    duplicate: u64,
    /// Events that were left out because their keys are here with other content.
    conflict: u64,
    /// Events that were left out because they are over a limit.
    refused: u64,
    /// Events that were left out, the first 1,000.
    left_out: Vec<LeftOutShape<'a>>,
    /// Events that were damaged in the store that the bundle is from.
    unreadable_at_source: u64,
    /// Hash of the bundle; `export` printed the same one.
    digest: String,
}

/// An event that was left out.
#[derive(Debug, Serialize)]
struct LeftOutShape<'a> {
    /// The event's scope.
    scope: &'a str,
    /// The event's key.
    key: &'a str,
    /// The event's number in the store that it is from.
    source_lsn: u64,
    /// The number of the event here that has the key, if that is why.
    conflicts_with: Option<u64>,
    /// Why the event was left out.
    why: String,
}

impl<'a> From<&'a LeftOut> for LeftOutShape<'a> {
    fn from(left: &'a LeftOut) -> Self {
        let (conflicts_with, why) = match &left.why {
            SkipReason::Conflict { lsn } => {
                (Some(lsn.get()), "the key is here with other content".to_owned())
            }
            SkipReason::Refused { why } => (None, why.clone()),
            other => (None, format!("{other:?}")),
        };
        let (scope, key, source_lsn) = (left.scope.as_str(), left.key.as_str(), left.source_lsn);
        Self { scope, key, source_lsn, conflicts_with, why }
    }
}

impl<'a> ImportedShape<'a> {
    /// The shape of what was found.
    pub(super) fn new(imported: &'a Imported) -> Self {
        Self {
            bundle: imported.bundle.to_string(),
            source: imported.source.to_string(),
            again: imported.is_again,
            fresh: imported.fresh,
            fresh_settled: imported.fresh_settled,
            duplicate: imported.duplicates,
            conflict: imported.conflicts,
            refused: imported.refused,
            left_out: imported.left_out.iter().map(LeftOutShape::from).collect(),
            unreadable_at_source: imported.unreadable_at_source,
            digest: hex(&imported.digest),
        }
    }

    /// Prints the result for a person.
    pub(super) fn print(&self, out: &mut Output) -> Result<(), Failure> {
        let Self { bundle, source, fresh, duplicate, conflict, refused, digest, .. } = self;
        out.line(&format!("bundle {bundle} of the store {source}"))?;
        out.line(&format!(
            "{}, {} here, {} left out",
            counted(*fresh, "event is new", "events are new"),
            counted(*duplicate, "was", "were"),
            counted(conflict.saturating_add(*refused), "is", "are")
        ))?;
        for left in &self.left_out {
            let LeftOutShape { scope, key, why, .. } = left;
            out.line(&format!("left out: {key} in scope {scope}: {why}"))?;
        }
        out.line(&format!("digest {digest}"))
    }
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
