//! `review`: what the upstream refused for good, and what a person decides about it.

use std::path::Path;

use onceward::review::{Decision, ReviewFilter, ReviewItem};
use onceward::{Key, Scope, Store};
use serde::Serialize;

use crate::{
    args::{
        DecidedByArgs, ItemNameArgs, ReviewCommand, ReviewItemArgs, ReviewListArgs,
        ReviewResolveArgs, ReviewRetryArgs,
    },
    command::shape::{self, ReviewShape},
    exit::{self, Exit, Failure, Outcome},
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

/// Prints all items, oldest event first.
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
    table.head(["lsn", "scope", "key", "code", "amount", "since", "message"]);
    for item in items {
        let amount = item.event().amount.map(|amount| amount.to_string()).unwrap_or_default();
        let since = shape::moment(item.since_ms).unwrap_or_default();
        table.row([
            &item.lsn.to_string(),
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

/// Prints one item.
fn show(args: &ReviewItemArgs) -> Outcome {
    let name = Name::of(&args.name, args.scope.as_ref())?;
    let (items, exit) = inspected(&args.store, None)?;
    let is_it = |item: &&ReviewItem| match &name {
        Name::Key(scope, key) => item.scope == *scope && item.key == *key,
        Name::Lsn(lsn) => item.lsn.get() == *lsn,
    };
    let item = items.iter().find(is_it).ok_or_else(|| name.is_unknown())?;
    let mut out = Output::stdout();
    out.json(&ReviewShape::whole(item)?)?;
    out.flush()?;
    Ok(exit)
}

/// How an item is named.
enum Name {
    /// By scope and key.
    Key(Scope, Key),
    /// By the event's number.
    Lsn(u64),
}

impl Name {
    /// The name that the caller gave.
    fn of(args: &ItemNameArgs, scope: Option<&Scope>) -> Result<Self, Failure> {
        let key = args.key.as_ref().or(args.key_json.as_ref());
        match (key, args.lsn) {
            (Some(key), _) => Ok(Self::Key(scope.cloned().unwrap_or_default(), key.clone())),
            (None, Some(lsn)) => Ok(Self::Lsn(lsn)),
            (None, None) => Err(Failure::usage("which item? Give KEY, --key-json or --lsn")),
        }
    }

    /// The failure that nothing of this name waits.
    fn is_unknown(&self) -> Failure {
        Failure::failed(match self {
            Self::Key(scope, key) => format!("no review item {key} in scope {scope}"),
            Self::Lsn(lsn) => format!("no review item has the LSN {lsn}"),
        })
    }

    /// Scope and key of the item.
    fn found_in(self, store: &Store) -> Result<(Scope, Key), Failure> {
        match self {
            Self::Key(scope, key) => Ok((scope, key)),
            Self::Lsn(lsn) => {
                let found = in_review(store, None)?.into_iter().find(|item| item.0 == lsn);
                found.map(|(_, scope, key)| (scope, key)).ok_or_else(|| self.is_unknown())
            }
        }
    }
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

/// The state of an item after a decision, as JSON.
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
    let name = if args.all { None } else { Some(Name::of(&args.name, args.scope.as_ref())?) };
    let store = shape::open_existing(&args.store)?;
    let mut out = Output::stdout();
    let decided = match name {
        Some(name) => name.found_in(&store).map(|chosen| vec![chosen]),
        None => in_review(&store, args.scope.as_ref())
            .map(|all| all.into_iter().map(|(_, scope, key)| (scope, key)).collect()),
    }
    .and_then(|chosen| {
        for (scope, key) in &chosen {
            let what = format!("cannot retry {key} in scope {scope}");
            let decision = Decision::retry(scope.clone(), key.clone()).with_note(&args.note);
            store
                .reviews()
                .decide(&signed(decision, &args.by))
                .map_err(|error| Failure::engine(&what, &error))?;
            out.json(&Decided { scope: scope.as_str(), key: key.as_str(), state: "pending" })?;
        }
        chatter(&format!("{} to be sent again", chosen.len()));
        Ok(())
    });
    finish(store, out, decided)
}

/// Number, scope and key of all items.
fn in_review(store: &Store, scope: Option<&Scope>) -> Result<Vec<(u64, Scope, Key)>, Failure> {
    let mut filter = ReviewFilter::new().with_max(1_000);
    if let Some(scope) = scope {
        filter = filter.with_scope(scope.clone());
    }
    let mut all = Vec::new();
    loop {
        let page = store
            .reviews()
            .list(&filter)
            .map_err(|error| Failure::engine("cannot read the review items", &error))?;
        let Some(last) = page.last() else { return Ok(all) };
        filter = filter.with_after(last.version, last.lsn);
        all.extend(page.into_iter().map(|item| (item.lsn.get(), item.scope, item.key)));
    }
}

/// Closes an item for ever.
fn resolve(args: &ReviewResolveArgs) -> Outcome {
    let name = Name::of(&args.item.name, args.item.scope.as_ref())?;
    let store = shape::open_existing(&args.item.store)?;
    let mut out = Output::stdout();
    let decided = name.found_in(&store).and_then(|(scope, key)| {
        let what = format!("cannot resolve {key} in scope {scope}");
        let decision = Decision::resolve(scope.clone(), key.clone(), &args.note);
        store
            .reviews()
            .decide(&signed(decision, &args.by))
            .map_err(|error| Failure::engine(&what, &error))?;
        out.json(&Decided { scope: scope.as_str(), key: key.as_str(), state: "rejected" })
    });
    finish(store, out, decided)
}

/// The decision with who makes it, and about which item.
fn signed(decision: Decision, by: &DecidedByArgs) -> Decision {
    let decision = decision.with_person(&by.who);
    match by.of_version {
        Some(version) => decision.with_version(version),
        None => decision,
    }
}

/// Closes the store in order and shows what was decided, also where something else could not be.
fn finish(store: Store, mut out: Output, decided: Result<(), Failure>) -> Outcome {
    let closed = shape::close(store);
    let shown = out.flush();
    exit::after_closing(decided.and(shown).map(|()| Exit::Ok), closed)
}
