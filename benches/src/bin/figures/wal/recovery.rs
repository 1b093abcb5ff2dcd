//! How fast a log is read and judged.

use std::error::Error;

use onceward_benches::wal::reading;

use super::Setting;
use super::passes::{self, SEGMENTS, UNIT};
use crate::figure::{Asked, Must, Sheet};

/// What is asked of a log whose last segment is full as well.
const FULL: Asked = Asked { figure: "recovery_scan", unit: UNIT, must: Must::AtLeast(2.0) };
/// Reported: the last segment was just begun, so that its stale rest is searched in vain.
const BEGUN: Asked =
    Asked { figure: "recovery_scan_after_a_new_segment", unit: UNIT, must: Must::BeReported };

/// Examines a log as a crash leaves it, which nobody writes just now.
pub(super) fn measure(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(FULL) && !sheet.wants(BEGUN) {
        return Ok(());
    }
    let Setting { plan, stock, .. } = setting;
    let examine = || reading::examine(&stock.log, &stock.dir);
    stock.fill_segments(SEGMENTS)?;
    passes::measure(sheet, *plan, stock, FULL, examine)?;
    stock.fill()?;
    passes::measure(sheet, *plan, stock, BEGUN, examine)
}
