//! `tail`: follows a store that another process writes, until a signal. Takes no lock and never writes.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use onceward::inspect::{Since, Tail, TailBatch};

use crate::{
    args::TailArgs,
    command::{
        shape::{self, EventShape},
        stop::Stop,
    },
    exit::{Exit, Failure, Outcome},
    output::{Output, chatter},
};

/// Runs the command.
///
/// # Errors
///
/// The directory holds no store that this program can read, or no longer the same one, or stdout refused.
pub fn run(args: &TailArgs) -> Outcome {
    let (wake, woken) = mpsc::channel();
    let stop = Stop::listen(move || {
        if wake.send(()).is_err() {
            // The run has ended by itself.
        }
    })?;
    let since = if args.all { Since::Beginning } else { Since::Last(args.last) };
    let opened = Tail::open(&args.store, since);
    let mut tail = opened.map_err(|error| shape::refused(&args.store, &error))?;
    let mut out = Output::stdout();
    while !stop.is_asked() && out.has_reader() {
        let looked = tail.look().map_err(|error| {
            Failure::engine(&format!("cannot follow the store {}", args.store.display()), &error)
        })?;
        match show(&mut out, &looked) {
            Err(failure) if failure.gave_up_reader() => break,
            shown => shown?,
        }
        if looked.is_behind {
            continue;
        }
        match woken.recv_timeout(LOOK_EVERY) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(Exit::Ok)
}

/// Writes what is new, and says on stderr what cannot be shown.
fn show(out: &mut Output, looked: &TailBatch) -> Result<(), Failure> {
    shape::report_damage(&looked.damage);
    for error in &looked.unreadable {
        chatter(&format!("an event is lost: {error}"));
    }
    if looked.skipped > 0 {
        chatter(&format!(
            "numbers passed over, which were never used, lost to damage, or trimmed before they were \
             read: {}",
            looked.skipped
        ));
    }
    for event in &looked.events {
        match EventShape::new(event) {
            Ok(shape) => out.json(&shape)?,
            Err(failure) => chatter(&failure.to_string()),
        }
    }
    out.flush()
}

/// How long to wait between two looks where nothing was new.
const LOOK_EVERY: Duration = Duration::from_millis(200);
