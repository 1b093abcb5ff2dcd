//! How long the upstream remembers keys, as the file says it.

use super::fault::{Found, found};
use super::file::File;

/// What a horizon may be.
const ALLOWED: &str = "a number above 0 with `d`, `h`, `m` or `s`, such as \"30d\", or \"none\" with `horizon_reason`";

/// The milliseconds of the units.
const UNITS: [(char, u64); 4] = [('d', 86_400_000), ('h', 3_600_000), ('m', 60_000), ('s', 1_000)];

/// Reads the horizon, milliseconds; `None` where nobody knows.
pub(super) fn read(file: &File) -> Result<Option<u64>, Found> {
    let horizon = &file.horizon;
    let text = horizon.get_ref().as_str();
    if text == "none" {
        let reason = file.horizon_reason.as_ref();
        if reason.is_some_and(|reason| !reason.get_ref().trim().is_empty()) {
            return Ok(None);
        }
        let what =
            "\"none\" needs a reason, because everything is then sent again however old it is";
        return Err(found(horizon, "horizon", what, "`horizon_reason` beside it"));
    }
    if let Some(reason) = &file.horizon_reason {
        return Err(found(
            reason,
            "horizon_reason",
            "there is a horizon",
            "only with horizon = \"none\"",
        ));
    }
    let wrong = || found(horizon, "horizon", format!("{text:?} is no duration"), ALLOWED);
    let unit = UNITS.iter().find(|(unit, _)| text.ends_with(*unit)).ok_or_else(wrong)?;
    let count = text.strip_suffix(unit.0).filter(|count| count.bytes().all(|b| b.is_ascii_digit()));
    let count: u64 = count.and_then(|count| count.parse().ok()).ok_or_else(wrong)?;
    let ms = count.checked_mul(unit.1).filter(|ms| *ms > 0);
    ms.map(Some).ok_or_else(wrong)
}
