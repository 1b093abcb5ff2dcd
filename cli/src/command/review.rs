//! `review`: what the upstream refused for good, and what a person decides about it.

use std::path::Path;

use onceward::{Decision, Key, ReviewFilter, ReviewItem, Scope, Store};
use serde::Serialize;

use crate::{
    args::{
        DecidedByArgs, ReviewCommand, ReviewItemArgs, ReviewListArgs, ReviewResolveArgs,
        ReviewRetryArgs,
    },
    command::shape::{self, ReviewShape},
    exit::{Exit, Failure, Outcome},
    output::{Listing, Output, Style, chatter, complain},
};

/// Runs one of the commands. `list` and `show` take no lock.
///
/// # Errors
///
/// The store cannot be opened, there is no such item, or stdout refused.
pub fn run(command: &ReviewCommand, style: Style) -> Outcome {
    match command {
        ReviewCommand::List(args) => crate::forgive(list(args, style)),
        ReviewCommand::Show(args) => crate::forgive(show(args)),
        ReviewCommand::Retry(args) => retry(args),
        ReviewCommand::Resolve(args) => resolve(args),
    }
}

/// All items, oldest event first.
fn list(args: &ReviewListArgs, style: Style) -> Outcome {
    let (items, exit) = inspected(&args.store, args.scope.as_ref())?;
    let mut out = Output::stdout();
    if style == Style::Json {
        for item in &items {
            out.json(&ReviewShape::brief(item))?;
        }
    } else {
        out.listing(&table(&items))?;
    }
    out.flush()?;
    Ok(exit)
}

/// The items for a person at a terminal.
fn table(items: &[ReviewItem]) -> Listing {
    let mut table = Listing::new();
    table.head(["scope", "key", "code", "amount", "since", "message"]);
    for item in items {
        let amount = item.event.event.amount.map(|amount| amount.to_string()).unwrap_or_default();
        let since = shape::moment(item.since_ms).unwrap_or_default();
        table.row([
            item.scope.as_str(),
            item.key.as_str(),
            &item.code,
            &amount,
            &since,
            &item.message,
        ]);
    }
    table
}

/// One item.
fn show(args: &ReviewItemArgs) -> Outcome {
    let (items, exit) = inspected(&args.store, Some(&args.scope))?;
    let found = items.iter().find(|item| item.key == args.key);
    let item = found.ok_or_else(|| {
        Failure::failed(format!("no review item {} in scope {}", args.key, args.scope))
    })?;
    let mut out = Output::stdout();
    out.json(&ReviewShape::whole(item)?)?;
    out.flush()?;
    Ok(exit)
}

/// The items that an inspection finds, and the exit code that its damage asks for.
fn inspected(dir: &Path, scope: Option<&Scope>) -> Result<(Vec<ReviewItem>, Exit), Failure> {
    let inspection = shape::inspect(dir)?;
    let mut items = inspection
        .reviews()
        .map_err(|error| Failure::engine("cannot read the review items", &error))?;
    items.retain(|item| scope.is_none_or(|scope| item.scope == *scope));
    items.sort_by_key(|item| item.lsn);
    let damaged = inspection.recovery().damage.len();
    if damaged == 0 {
        return Ok((items, Exit::Ok));
    }
    complain(&format!(
        "damaged ranges: {damaged}; items may be missing, `verify` names the ranges"
    ));
    Ok((items, Exit::Damage))
}

/// What became of an item.
#[derive(Debug, Serialize)]
struct Decided<'a> {
    /// The item's scope.
    scope: &'a str,
    /// The item's key.
    key: &'a str,
    /// The event's state from now on.
    state: &'static str,
}

/// Makes items pending again, under the same key.
fn retry(args: &ReviewRetryArgs) -> Outcome {
    let store = shape::open_existing(&args.store)?;
    let chosen = match &args.key {
        Some(key) => vec![(args.scope.clone().unwrap_or_default(), key.clone())],
        None => in_review(&store, args.scope.as_ref())?,
    };
    let mut out = Output::stdout();
    for (scope, key) in &chosen {
        let what = format!("cannot retry {key} in scope {scope}");
        let decision = Decision::retry(scope.clone(), key.clone()).because(&args.note);
        store
            .decide(&signed(decision, &args.by))
            .map_err(|error| Failure::engine(&what, &error))?;
        out.json(&Decided { scope: scope.as_str(), key: key.as_str(), state: "pending" })?;
    }
    chatter(&format!("{} to be sent again", chosen.len()));
    finish(store, out)
}

/// Scope and key of all items.
fn in_review(store: &Store, scope: Option<&Scope>) -> Result<Vec<(Scope, Key)>, Failure> {
    let mut filter = ReviewFilter::new().max(1_000);
    if let Some(scope) = scope {
        filter = filter.scope(scope.clone());
    }
    let mut all = Vec::new();
    loop {
        let page = store
            .reviews(&filter)
            .map_err(|error| Failure::engine("cannot read the review items", &error))?;
        let Some(last) = page.last() else { return Ok(all) };
        filter = filter.after(last.version, last.lsn);
        all.extend(page.into_iter().map(|item| (item.scope, item.key)));
    }
}

/// Closes an item for ever.
fn resolve(args: &ReviewResolveArgs) -> Outcome {
    let (scope, key) = (&args.item.scope, &args.item.key);
    let store = shape::open_existing(&args.item.store)?;
    let what = format!("cannot resolve {key} in scope {scope}");
    let decision = Decision::resolve(scope.clone(), key.clone(), &args.note);
    store.decide(&signed(decision, &args.by)).map_err(|error| Failure::engine(&what, &error))?;
    let mut out = Output::stdout();
    out.json(&Decided { scope: scope.as_str(), key: key.as_str(), state: "rejected" })?;
    finish(store, out)
}

/// The decision with who makes it, and about which item.
fn signed(decision: Decision, by: &DecidedByArgs) -> Decision {
    let decision = decision.by(&by.who);
    match by.of_version {
        Some(version) => decision.of_version(version),
        None => decision,
    }
}

/// Closes the store in order and shows what was decided.
fn finish(store: Store, mut out: Output) -> Outcome {
    store.close().map_err(|error| Failure::engine("cannot close the store", &error))?;
    out.flush()?;
    Ok(Exit::Ok)
}
