//! What a catalog is given and asked, whatever holds it.

use std::ops::ControlFlow;

use super::rows::{APPLIED, DECISION, REVIEW, by_text, by_time, in_history, of_decision, of_event};
use super::{AppliedUpTo, Catalog, Change, ReviewRow, RowId, Trouble};
use crate::base::codec;
use crate::review::frames::DecisionFrame;

/// Items that are looked at together.
const IDS_TOGETHER: usize = 256;
/// Pairs that are copied in one transaction.
const COPIED_TOGETHER: usize = 512;

/// Something that a frame said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fact {
    /// An event came into review.
    Arrived(ReviewRow),
    /// An item no longer waits.
    Gone(RowId),
    /// A decision was made; its number is set.
    Decided(DecisionFrame),
    /// The decision with this number is too old to be remembered.
    Forgotten(u64),
}

/// Which items are asked for, and from where on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    /// Only items of this scope.
    pub(in crate::review) scope: Option<String>,
    /// With this code.
    pub(in crate::review) code: Option<String>,
    /// Only items that came at this time or later.
    pub(in crate::review) since_ms: Option<i64>,
    /// Only items that came before this time.
    pub(in crate::review) until_ms: Option<i64>,
    /// Only items that arrived behind this one.
    pub(in crate::review) after: Option<RowId>,
}

impl Query {
    /// Whether an item is asked for.
    pub(crate) fn wants(&self, row: &ReviewRow) -> bool {
        let since_ms = row.reason.since_ms;
        self.scope.as_ref().is_none_or(|scope| *scope == row.scope)
            && self.code.as_ref().is_none_or(|code| *code == row.reason.code)
            && self.since_ms.is_none_or(|from| since_ms >= from)
            && self.until_ms.is_none_or(|to| since_ms < to)
            && self.after.is_none_or(|after| row.id() > after)
    }
}

/// A catalog and what is kept in it.
#[derive(Debug)]
pub(crate) struct Shelf {
    catalog: Box<dyn Catalog>,
    /// Bytes of all keys and values but how far the log is applied.
    live_bytes: u64,
}

impl Shelf {
    /// What is in a catalog.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(crate) fn open(catalog: Box<dyn Catalog>) -> Result<Self, Trouble> {
        let mut live_bytes = 0;
        catalog.scan(&[], &mut |key, value| {
            live_bytes += if key == APPLIED { 0 } else { bytes_of(key, value) };
            ControlFlow::Continue(())
        })?;
        Ok(Self { catalog, live_bytes })
    }

    /// Up to where the log is applied; `None` if it is new.
    pub(crate) fn applied(&self) -> Result<Option<AppliedUpTo>, Trouble> {
        match self.catalog.value(APPLIED)? {
            Some(bytes) => codec::decode(&bytes).map(Some).ok_or_else(|| unreadable(APPLIED)),
            None => Ok(None),
        }
    }

    /// Applies what frames up to `applied` said, in one transaction with how far that is.
    pub(crate) fn apply(&mut self, facts: &[Fact], applied: AppliedUpTo) -> Result<(), Trouble> {
        let mut changes = Vec::new();
        let (mut more, mut less) = (0, 0);
        for fact in facts {
            match fact {
                Fact::Arrived(row) => {
                    // Under another version, or given again.
                    let before = self.review(row.reason.event)?;
                    less += before.map_or(0, |row| take_out(&row, &mut changes));
                    more += put_in(row, &mut changes);
                }
                Fact::Gone(id) => {
                    let row = self.review(id.event)?.filter(|row| row.id() == *id);
                    less += row.map_or(0, |row| take_out(&row, &mut changes));
                }
                Fact::Decided(decision) => {
                    let (key, value) = (of_decision(decision.number), codec::encode(decision));
                    if self.catalog.value(&key)?.is_none() {
                        more += bytes_of(&key, &value) + bytes_of(&in_history(decision), &[]);
                        changes.push(Change::Put(key, value));
                        changes.push(Change::Put(in_history(decision), Vec::new()));
                    }
                }
                Fact::Forgotten(number) => {
                    let key = of_decision(*number);
                    if let Some(value) = self.catalog.value(&key)? {
                        let decision = decoded::<DecisionFrame>(&key, &value)?;
                        less += bytes_of(&key, &value) + bytes_of(&in_history(&decision), &[]);
                        changes.push(Change::Remove(in_history(&decision)));
                        changes.push(Change::Remove(key));
                    }
                }
            }
        }
        changes.push(Change::Put(APPLIED.to_vec(), codec::encode(&applied)));
        self.catalog.write(&changes)?;
        self.live_bytes = self.live_bytes.saturating_add(more).saturating_sub(less);
        Ok(())
    }

    /// The first items that are asked for, in order of arrival, at most `max`.
    pub(crate) fn list(&self, query: &Query, max: usize) -> Result<Vec<ReviewRow>, Trouble> {
        let mut found = Vec::new();
        let prefix = match (&query.scope, &query.code) {
            _ if query.since_ms.is_some() || query.until_ms.is_some() => {
                return self.list_by_time(query, max);
            }
            (_, Some(code)) => by_text(b'c', code),
            (Some(scope), None) => by_text(b's', scope),
            (None, None) => vec![REVIEW],
        };
        let mut after = query.after;
        while found.len() < max {
            let ids = self.ids_behind(&prefix, after, IDS_TOGETHER)?;
            let Some(last) = ids.last() else { break };
            after = Some(*last);
            for id in ids {
                let row = self.row(id)?;
                if query.wants(&row) && found.len() < max {
                    found.push(row);
                }
            }
        }
        Ok(found)
    }

    /// Lists as [`Shelf::list`] does, when the time is bounded: items are few then, or few are left out.
    fn list_by_time(&self, query: &Query, max: usize) -> Result<Vec<ReviewRow>, Trouble> {
        let from = by_time(query.since_ms.unwrap_or(i64::MIN));
        let to = query.until_ms.map_or_else(|| b"u".to_vec(), by_time);
        let mut ids = Vec::new();
        self.catalog.scan(&from, &mut |key, _| {
            if key >= to.as_slice() {
                return ControlFlow::Break(());
            }
            ids.extend(RowId::at_end_of(key).filter(|id| query.after.is_none_or(|a| *id > a)));
            ControlFlow::Continue(())
        })?;
        ids.sort_unstable();
        let mut found = Vec::new();
        for id in ids {
            if found.len() >= max {
                break;
            }
            let row = self.row(id)?;
            if query.wants(&row) {
                found.push(row);
            }
        }
        Ok(found)
    }

    /// The item of an event.
    pub(crate) fn review(&self, event: u64) -> Result<Option<ReviewRow>, Trouble> {
        let key = of_event(event);
        let Some(version) = self.catalog.value(&key)? else { return Ok(None) };
        let version = version.first_chunk::<8>().ok_or_else(|| unreadable(&key))?;
        self.row(RowId { version: u64::from_be_bytes(*version), event }).map(Some)
    }

    /// The decision with this number.
    pub(crate) fn decision(&self, number: u64) -> Result<Option<DecisionFrame>, Trouble> {
        let key = of_decision(number);
        self.catalog.value(&key)?.map(|value| decoded(&key, &value)).transpose()
    }

    /// Decisions from behind `after` on, in order, at most `max`.
    pub(crate) fn decisions(&self, after: u64, max: usize) -> Result<Vec<DecisionFrame>, Trouble> {
        let mut found = Vec::new();
        let from = of_decision(after.saturating_add(1));
        self.catalog.scan(&from, &mut |key, value| {
            if key.first() != Some(&DECISION) || found.len() >= max {
                return ControlFlow::Break(());
            }
            found.push(decoded(key, value));
            ControlFlow::Continue(())
        })?;
        found.into_iter().collect()
    }

    /// The decisions on an event, in order.
    pub(crate) fn decisions_on(&self, event: u64) -> Result<Vec<DecisionFrame>, Trouble> {
        let prefix = [&b"h"[..], &event.to_be_bytes()].concat();
        let mut numbers = Vec::new();
        self.catalog.scan(&prefix, &mut |key, _| match RowId::at_end_of(key) {
            Some(id) if key.starts_with(&prefix) => {
                numbers.push(id.event);
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
        })?;
        let found = numbers
            .into_iter()
            .map(|number| self.decision(number)?.ok_or_else(|| unreadable(&of_decision(number))));
        found.collect()
    }

    /// Everything that it holds, each looked at: items, and the numbers of decisions.
    pub(crate) fn contents(&self) -> Result<(Vec<RowId>, Vec<u64>), Trouble> {
        let (mut ids, mut numbers, mut bad) = (Vec::new(), Vec::new(), None);
        self.catalog.scan(&[], &mut |key, value| {
            let read = match key.first() {
                Some(&REVIEW) => self.checked(key, value).map(|id| ids.push(id)),
                Some(&DECISION) => {
                    decoded(key, value).map(|it: DecisionFrame| numbers.push(it.number))
                }
                _ => Ok(()),
            };
            bad = read.err();
            if bad.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        bad.map_or(Ok((ids, numbers)), Err)
    }

    /// The id of an item that is found under every key under which it is looked for.
    fn checked(&self, key: &[u8], value: &[u8]) -> Result<RowId, Trouble> {
        let row: ReviewRow = decoded(key, value)?;
        for key in row.orders().into_iter().chain([of_event(row.reason.event)]) {
            self.catalog.value(&key)?.ok_or_else(|| unreadable(&key))?;
        }
        Ok(row.id())
    }

    /// Copies everything into an empty catalog.
    pub(crate) fn copy_to(&self, catalog: &mut dyn Catalog) -> Result<(), Trouble> {
        let mut from = Vec::new();
        loop {
            let mut changes = Vec::new();
            self.catalog.scan(&from, &mut |key, value| {
                changes.push(Change::Put(key.to_vec(), value.to_vec()));
                if changes.len() < COPIED_TOGETHER {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })?;
            let Some(Change::Put(last, _)) = changes.last() else { return catalog.flush() };
            from = [last.as_slice(), &[0]].concat();
            catalog.write(&changes)?;
        }
    }

    /// Bytes of all keys and values.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Bytes of its files.
    pub(crate) fn disk_bytes(&self) -> Result<u64, Trouble> {
        self.catalog.disk_bytes()
    }

    /// Writes what is in memory.
    pub(crate) fn flush(&mut self) -> Result<(), Trouble> {
        self.catalog.flush()
    }

    /// The first ids in an order, from behind `after` on.
    fn ids_behind(
        &self,
        prefix: &[u8],
        after: Option<RowId>,
        max: usize,
    ) -> Result<Vec<RowId>, Trouble> {
        let from = after.map_or_else(|| prefix.to_vec(), |id| id.behind(prefix));
        let mut ids = Vec::new();
        self.catalog.scan(&from, &mut |key, _| {
            if !key.starts_with(prefix) || ids.len() >= max {
                return ControlFlow::Break(());
            }
            ids.extend(RowId::at_end_of(key).filter(|id| after.is_none_or(|after| *id > after)));
            ControlFlow::Continue(())
        })?;
        Ok(ids)
    }

    fn row(&self, id: RowId) -> Result<ReviewRow, Trouble> {
        let key = id.behind(&[REVIEW]);
        let value = self.catalog.value(&key)?.ok_or_else(|| unreadable(&key))?;
        decoded(&key, &value)
    }
}

/// A value, or why it is none.
fn decoded<T: codec::Control>(key: &[u8], value: &[u8]) -> Result<T, Trouble> {
    codec::decode(value).ok_or_else(|| unreadable(key))
}

/// What a pair takes.
fn bytes_of(key: &[u8], value: &[u8]) -> u64 {
    u64::try_from(key.len().saturating_add(value.len())).unwrap_or(u64::MAX)
}

/// Adds an item under all its keys; returns what it takes.
fn put_in(row: &ReviewRow, changes: &mut Vec<Change>) -> u64 {
    let version = row.reason.version.to_be_bytes().to_vec();
    let orders = row.orders().map(|key| (key, Vec::new()));
    let pairs =
        [(row.id().behind(&[REVIEW]), codec::encode(row)), (of_event(row.reason.event), version)];
    let mut bytes = 0;
    for (key, value) in pairs.into_iter().chain(orders) {
        bytes += bytes_of(&key, &value);
        changes.push(Change::Put(key, value));
    }
    bytes
}

/// Removes an item under all its keys; returns what it took.
fn take_out(row: &ReviewRow, changes: &mut Vec<Change>) -> u64 {
    let mut put = Vec::new();
    let bytes = put_in(row, &mut put);
    changes.extend(put.into_iter().map(|change| match change {
        Change::Put(key, _) | Change::Remove(key) => Change::Remove(key),
    }));
    bytes
}

fn unreadable(key: &[u8]) -> Trouble {
    Trouble::Files(format!("the row {:?} is missing or unreadable", String::from_utf8_lossy(key)))
}

#[cfg(test)]
#[cfg(feature = "sled")]
mod tests;
