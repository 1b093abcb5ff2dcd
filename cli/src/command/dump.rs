//! `dump`: every event that the log still has, as JSON lines. Never writes to the store and takes no lock.

use crate::{
    args::StoreArgs,
    command::shape::{self, EventShape},
    exit::{Exit, Failure, Outcome},
    output::{Output, complain},
};

/// Runs the command; goes on past damage and then ends with the code for it.
///
/// # Errors
///
/// The directory holds no store that this program can read, or stdout refused.
pub fn run(args: &StoreArgs) -> Outcome {
    let inspection = shape::inspect(&args.store)?;
    let report = inspection.recovery();
    shape::report_recovery(report);
    let mut unreadable: u64 = 0;
    let mut out = Output::stdout();
    for event in inspection.events() {
        let shown = match &event {
            Ok(event) => EventShape::new(event),
            Err(error) => Err(Failure::engine("an event is lost", error)),
        };
        match shown {
            Ok(shape) => out.json(&shape)?,
            Err(failure) => {
                unreadable = unreadable.saturating_add(1);
                complain(&failure.to_string());
            }
        }
    }
    out.flush()?;
    if report.damage.is_empty() && unreadable == 0 {
        return Ok(Exit::Ok);
    }
    complain(&format!(
        "damaged ranges: {}, events that could not be read: {unreadable}; the rest is above",
        report.damage.len()
    ));
    Ok(Exit::Damage)
}
