//! `repair`: quarantines damage, mends the store around it, and says what was lost. Without `--apply` it
//! takes no lock, changes nothing, and says what it would do.

use onceward::repair::{LostKey, LostRange, Repair};
use serde::Serialize;

use crate::{
    args::RepairArgs,
    command::shape::{self, DamageShape},
    exit::{Exit, Failure, Outcome},
    output::{Output, chatter, complain},
};

/// Runs the command.
///
/// # Errors
///
/// The directory holds no store that this program can read, another process has it, the disk refused, or
/// stdout did.
pub fn run(args: &RepairArgs, json: bool) -> Outcome {
    let done = if args.apply {
        onceward::repair::repair(&args.store).map_err(|error| Failure::opening(&error))?
    } else {
        onceward::repair::plan_repair(&args.store)
            .map_err(|error| shape::refused(&args.store, &error))?
    };
    // Reported first: a reader of stdout that has had enough must not hide it.
    let exit = conclude(&done, args.apply);
    let mut out = Output::stdout();
    if json {
        out.json(&RepairShape::new(&done, args.apply))?;
    } else {
        show(&mut out, &done, args.apply)?;
    }
    out.flush()?;
    Ok(exit)
}

/// Says on stderr how it ended, and the exit code for it.
fn conclude(done: &Repair, applied: bool) -> Exit {
    let (found, left) = (done.damage.len(), done.left.len());
    if found == 0 && left == 0 {
        chatter("no damage, nothing to repair");
        return Exit::Ok;
    }
    if left == 0 {
        chatter(&format!("damaged ranges that were repaired: {found}"));
        return Exit::Ok;
    }
    if applied {
        complain(&format!("damaged ranges: {found}, left after the repair: {left}"));
    } else {
        complain(&format!(
            "damaged ranges: {found}; nothing was changed, `repair --apply` copies them to \
             quarantine and mends the store"
        ));
    }
    Exit::Damage
}

/// Writes what was found and done for a person.
fn show(out: &mut Output, done: &Repair, applied: bool) -> Result<(), Failure> {
    for damage in &done.damage {
        out.line(&shape::damage_line(damage))?;
    }
    for LostRange { first, last, .. } in &done.lost.lsns {
        match last {
            Some(last) if last == first => out.line(&format!("lost: LSN {first}"))?,
            Some(last) => out.line(&format!("lost: LSN {first} to {last}"))?,
            None => out.line(&format!("lost: LSN {first} and those after it"))?,
        }
    }
    for LostKey { lsn, scope, key, .. } in &done.lost.keys {
        let known = "as far as the damaged bytes show it,";
        out.line(&format!("lost: event {lsn}, {known} with key {key} in scope {scope}"))?;
    }
    for file in &done.kept {
        out.line(&format!("kept: {file}"))?;
    }
    if applied {
        for damage in &done.left {
            out.line(&format!("left: {}", shape::damage_line(damage)))?;
        }
    }
    Ok(())
}

/// The result of a repair, as JSON.
#[derive(Debug, Serialize)]
struct RepairShape<'a> {
    /// Damaged ranges that were found.
    damage: Vec<DamageShape<'a>>,
    /// Files within the store's directory that hold the damaged bytes.
    kept: &'a [String],
    /// Damaged ranges that are still there.
    left: Vec<DamageShape<'a>>,
    /// The events that cannot be read because of the damage.
    lost: LostShape<'a>,
    /// Whether anything was changed, or would have been if there had been damage.
    applied: bool,
}

/// The events that are lost, as JSON.
#[derive(Debug, Serialize)]
struct LostShape<'a> {
    /// First and last number of each range; the last is null where nothing shows it.
    lsns: Vec<(u64, Option<u64>)>,
    /// Lost events by key, as far as the damaged bytes show them.
    keys: Vec<LostKeyShape<'a>>,
}

/// A lost event, as JSON.
#[derive(Debug, Serialize)]
struct LostKeyShape<'a> {
    /// The event's number.
    lsn: u64,
    /// The event's scope.
    scope: &'a str,
    /// The event's key.
    key: &'a str,
}

impl<'a> RepairShape<'a> {
    /// The shape of what was found and done.
    fn new(done: &'a Repair, applied: bool) -> Self {
        let lsns = done.lost.lsns.iter();
        let keys = done.lost.keys.iter().map(|lost| LostKeyShape {
            lsn: lost.lsn.get(),
            scope: lost.scope.as_str(),
            key: lost.key.as_str(),
        });
        Self {
            damage: done.damage.iter().map(DamageShape::from).collect(),
            kept: &done.kept,
            left: done.left.iter().map(DamageShape::from).collect(),
            lost: LostShape {
                lsns: lsns
                    .map(|lost| (lost.first.get(), lost.last.map(|last| last.get())))
                    .collect(),
                keys: keys.collect(),
            },
            applied,
        }
    }
}
