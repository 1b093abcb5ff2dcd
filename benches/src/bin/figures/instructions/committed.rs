//! The numbers that are committed, with which a run is compared.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How far above its committed number a figure may be.
pub(super) const SLACK: f64 = 0.05;

/// What was counted once, and where.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Committed {
    /// Valgrind's version.
    pub(super) valgrind: String,
    /// What of the processor valgrind shows to programs: checksums, hashes and copies depend on it.
    pub(super) processor: Vec<String>,
    /// Instructions an event, by figure.
    pub(super) figures: BTreeMap<String, u64>,
}

impl Committed {
    /// Where it is.
    fn path() -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json"))
    }

    /// Reads it; what is missing has no numbers.
    pub(super) fn read() -> Result<Self, Box<dyn Error>> {
        let path = Self::path();
        if !path.exists() {
            return Ok(Self::default());
        }
        Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
    }

    /// Writes it.
    pub(super) fn write(&self) -> Result<(), Box<dyn Error>> {
        Ok(fs::write(Self::path(), serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// What is to be said of a number that was counted now; `None`: it is as before.
    pub(super) fn remark(&self, figure: &str, counted: f64) -> Option<String> {
        let Some(before) = self.figures.get(figure) else {
            return Some(format!("{figure} has no committed number: --bless writes it"));
        };
        let share = counted / *before as f64 - 1.0;
        let percent = (share * 100.0).round();
        if share > SLACK {
            return Some(format!("{figure} is {percent} % above its committed number {before}"));
        }
        (share < -SLACK).then(|| {
            format!(
                "{figure} is {} % below its committed number {before}: lower it with --bless",
                -percent
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_slack_above_or_below_is_remarked() {
        let figures = BTreeMap::from([("one".to_owned(), 1_000)]);
        let committed = Committed { figures, ..Committed::default() };
        let remark = |counted| committed.remark("one", counted);
        assert_eq!((remark(1_000.0), remark(1_049.0), remark(951.0)), (None, None, None));
        assert!(remark(1_060.0).unwrap().contains("6 % above"));
        assert!(remark(900.0).unwrap().contains("10 % below"));
        assert!(committed.remark("two", 1.0).unwrap().contains("no committed number"));
    }

    #[test]
    fn the_committed_file_is_read_and_has_numbers() {
        let committed = Committed::read().unwrap();
        assert!(!committed.figures.is_empty() && !committed.valgrind.is_empty());
    }
}
