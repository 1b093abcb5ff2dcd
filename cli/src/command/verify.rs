//! `verify`: reads every byte of a store and names each damage. Changes nothing and takes no lock.

use crate::{
    args::StoreArgs,
    command::shape::{self, RecoveryShape},
    exit::{Exit, Outcome},
    output::{Output, chatter, complain},
};

/// Runs the command.
///
/// # Errors
///
/// The directory holds no store that this program can read, or stdout refused.
pub fn run(args: &StoreArgs, json: bool) -> Outcome {
    let inspected = shape::inspect(&args.store);
    // The log as it is read by everybody, and then every other byte.
    let all = onceward::inspect::verify(&args.store)
        .map_err(|error| shape::refused(&args.store, &error))?;
    let report = &match inspected {
        Ok(inspection) => {
            let mut report = inspection.recovery().clone();
            report.damage.extend(
                all.damage.into_iter().filter(|it| !inspection.recovery().damage.contains(it)),
            );
            report
        }
        // What is in the place of the log is why nobody can read it.
        Err(_refused) if !all.damage.is_empty() => all,
        Err(refused) => return Err(refused),
    };
    if report.torn_bytes > 0 {
        chatter(&shape::torn(report));
    }
    if report.damage.is_empty() {
        chatter(&format!("no damage in {} frames", report.frames));
    } else {
        complain(&format!("damaged ranges: {}", report.damage.len()));
    }
    let mut out = Output::stdout();
    if json {
        out.json(&RecoveryShape::from(report))?;
    } else {
        for damage in &report.damage {
            out.line(&shape::damage_line(damage))?;
        }
    }
    out.flush()?;
    Ok(if report.damage.is_empty() { Exit::Ok } else { Exit::Damage })
}
