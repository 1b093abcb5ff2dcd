//! `summary`: what is still in a store, and whether it may be wiped. Takes the lock, so that nothing comes in
//! while the answer is read.

mod shapes;

use onceward::rescue::{Fence, Import, Reason, SafeToWipe, ScopeSummary, Summary, Tally};

use self::shapes::SummaryShape;
use crate::{
    args::StoreArgs,
    command::shape,
    exit::{Exit, Failure, Outcome},
    output::{Listing, Output, Style, complain, counted},
};

/// Runs the command.
///
/// # Errors
///
/// The store cannot be opened, or stdout refused.
pub fn run(args: &StoreArgs, style: Style) -> Outcome {
    let store = shape::open_existing(&args.store)?;
    // It is asked once, and not again when all of it was read.
    store.check_segments();
    let (summary, safe) = (store.rescue().summary(), store.rescue().safe_to_wipe());
    let losses = store
        .losses(None, LOSSES_LISTED_MAX)
        .map_err(|error| Failure::engine("cannot list what was dropped", &error));
    let dropped = store.status().evicted;
    let losses = shape::closing(store, losses)?;
    // Reported first: a reader of stdout that has had enough must not hide it.
    let exit = conclude(&safe);
    let mut out = Output::stdout();
    match style {
        Style::Json => out.json(&SummaryShape::new(&summary, &safe, &losses, dropped))?,
        Style::Table => show(&mut out, &summary, dropped)?,
    }
    out.flush()?;
    Ok(exit)
}

/// Reports on stderr what speaks against wiping, and returns the exit code for it: who asks in a script must not
/// take "no" for "yes".
fn conclude(safe: &SafeToWipe) -> Exit {
    let SafeToWipe::NotSafe { why } = safe else { return Exit::Ok };
    let reasons: Vec<String> = why.iter().map(Reason::to_string).collect();
    complain(&format!("not safe to wipe: {}", reasons.join("; ")));
    let is_damage = |reason: &Reason| {
        matches!(
            reason,
            Reason::Damage { .. } | Reason::Quarantine { .. } | Reason::Unreadable { .. }
        )
    };
    if why.iter().any(is_damage) { Exit::Damage } else { Exit::Pending }
}

/// Writes the summary for a person.
fn show(out: &mut Output, summary: &Summary, dropped: u64) -> Result<(), Failure> {
    let mut table = Listing::new();
    table.head(["scope", "pending", "in flight", "in review", "uncertain", "amount"]);
    for scope in &summary.scopes {
        let ScopeSummary { pending, in_flight, in_review, uncertain, .. } = scope;
        table.row(row(scope.scope.as_str(), [pending, in_flight, in_review, uncertain]));
    }
    let Summary { pending, in_flight, in_review, uncertain, .. } = summary;
    table.row(row("all", [pending, in_flight, in_review, uncertain]));
    out.listing(&table)?;
    if summary.scopes_left_out > 0 {
        out.line(&format!("scopes that are not listed: {}", summary.scopes_left_out))?;
    }
    let Summary { leases, deliveries, .. } = summary;
    out.line(&format!("open leases: {leases}, unfinished deliveries: {deliveries}"))?;
    if let Some(oldest) = summary.oldest {
        out.line(&format!("oldest event: {} ms", shape::whole_ms(oldest)))?;
    }
    if dropped > 0 {
        out.line(&format!("dropped to make room, since the store was made: {dropped}"))?;
    }
    if let Some(Fence { bundle, since_ms, .. }) = summary.fence {
        let since = shape::moment(since_ms).unwrap_or_default();
        out.line(&format!("left since {since} for the bundle {bundle}"))?;
    }
    for Import { bundle, source, fresh, .. } in &summary.imports {
        let events = counted(*fresh, "event", "events");
        out.line(&format!("imported the bundle {bundle} of the store {source}: {events}"))?;
    }
    Ok(())
}

/// A row of the table: counts, and the sum of the amounts.
fn row(name: &str, tallies: [&Tally; 4]) -> Vec<String> {
    let all = tallies.iter().fold(Tally::default(), |sum, tally| sum.with(tally));
    let counts = tallies.iter().map(|tally| tally.count.to_string());
    std::iter::once(name.to_owned()).chain(counts).chain([all.amount_shown()]).collect()
}

/// Most losses that are listed: the store lists no more.
const LOSSES_LISTED_MAX: usize = 512;
