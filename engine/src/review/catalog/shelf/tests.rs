//! Files, memory and a plain list answer the same, whatever is told.

use std::collections::BTreeMap;

use super::*;
use crate::outbox::frames::Rejection;
use crate::review::catalog::{Memory, Sled};
use crate::review::frames::Action;

/// Numbers that look random, from a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// What a catalog should hold, as plain lists.
#[derive(Default)]
struct Model {
    rows: BTreeMap<u64, ReviewRow>,
    decisions: BTreeMap<u64, DecisionFrame>,
}

impl Model {
    fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::Arrived(row) => {
                self.rows.insert(row.reason.event, row.clone());
            }
            Fact::Gone(id) => self.rows.retain(|_, row| row.id() != *id),
            Fact::Decided(decision) => {
                self.decisions.entry(decision.number).or_insert_with(|| decision.clone());
            }
            Fact::Forgotten(number) => {
                self.decisions.remove(number);
            }
        }
    }

    fn list(&self, query: &Query, max: usize) -> Vec<ReviewRow> {
        let mut rows: Vec<ReviewRow> =
            self.rows.values().filter(|row| query.wants(row)).cloned().collect();
        rows.sort_by_key(ReviewRow::id);
        rows.truncate(max);
        rows
    }
}

fn some_row(numbers: &mut Numbers, version: u64) -> ReviewRow {
    // Lengths that differ, and one text that begins as another.
    let codes = ["A", "AB", "", "CARD_NOT_FOUND", "\u{e9}"];
    let code = codes[usize::try_from(numbers.below(5)).unwrap()].to_owned();
    let scope = ["s", "sales", "s2"][usize::try_from(numbers.below(3)).unwrap()].to_owned();
    let since_ms = i64::try_from(numbers.below(40)).unwrap() - 20;
    let (event, state) = (numbers.below(60), 6);
    let reply = vec![1; usize::try_from(numbers.below(1_024)).unwrap()];
    let reason = Rejection { event, version, code, message: "m".into(), reply, since_ms, state };
    ReviewRow { scope, reason }
}

fn some_decision(numbers: &mut Numbers, number: u64) -> DecisionFrame {
    let (scope, key, who) = ("s".to_owned(), format!("k{number}"), "ann".to_owned());
    let (event, action, note) = (numbers.below(10), Action::Retry, String::new());
    DecisionFrame { event, version: 1, action, number, scope, key, note, who, made_ms: 5 }
}

fn some_facts(numbers: &mut Numbers, model: &Model, lsn: u64) -> Vec<Fact> {
    match numbers.below(6) {
        0..=2 => vec![Fact::Arrived(some_row(numbers, lsn))],
        3 => model.rows.values().next().map(|row| Fact::Gone(row.id())).into_iter().collect(),
        // Of another time: it must not take the one that waits now.
        4 => vec![Fact::Gone(RowId { version: lsn, event: numbers.below(60) })],
        _ => {
            let mut facts = vec![Fact::Decided(some_decision(numbers, lsn))];
            if model.decisions.len() > 5 {
                facts.extend(model.decisions.keys().next().map(|first| Fact::Forgotten(*first)));
            }
            facts
        }
    }
}

fn some_query(numbers: &mut Numbers, lsn: u64) -> Query {
    let row = some_row(numbers, lsn);
    let mut perhaps = |n: u64| numbers.below(n) == 0;
    Query {
        scope: perhaps(2).then_some(row.scope),
        code: perhaps(2).then_some(row.reason.code),
        since_ms: perhaps(3).then_some(row.reason.since_ms),
        until_ms: perhaps(3).then_some(row.reason.since_ms + 9),
        after: perhaps(2).then_some(RowId { version: row.reason.version / 2, event: 30 }),
    }
}

#[test]
fn every_catalog_answers_as_plain_lists_do() {
    let dir = tempfile::tempdir().unwrap();
    let files = || Box::new(Sled::open(&dir.path().join("a")).unwrap());
    let mut shelves =
        [Shelf::open(files()).unwrap(), Shelf::open(Box::new(Memory::default())).unwrap()];
    let (mut model, mut numbers) = (Model::default(), Numbers(7));
    for lsn in 1..=1_200 {
        let facts = some_facts(&mut numbers, &model, lsn);
        facts.iter().for_each(|fact| model.apply(fact));
        let applied = AppliedUpTo { store: [1; 16], lsn };
        let query = some_query(&mut numbers, lsn);
        let max = usize::try_from(numbers.below(12)).unwrap();
        for (number, shelf) in shelves.iter_mut().enumerate() {
            let what = format!("shelf {number}, LSN {lsn}, {query:?}, at most {max}");
            shelf.apply(&facts, applied).unwrap();
            assert_eq!(shelf.applied().unwrap(), Some(applied), "{what}");
            assert_eq!(shelf.list(&query, max).unwrap(), model.list(&query, max), "{what}");
            let event = lsn % 60;
            assert_eq!(shelf.review(event).unwrap(), model.rows.get(&event).cloned(), "{what}");
            let on = |d: &&DecisionFrame| d.event == lsn % 10;
            let known: Vec<DecisionFrame> = model.decisions.values().filter(on).cloned().collect();
            assert_eq!(shelf.decisions_on(lsn % 10).unwrap(), known, "{what}");
        }
        if lsn % 300 == 0 {
            shelves.iter().for_each(|shelf| assert_whole(shelf, &model));
            // Closed and opened: nothing was only in memory.
            let [on_disk, in_memory] = shelves;
            drop(on_disk);
            shelves = [Shelf::open(files()).unwrap(), in_memory];
        }
    }
    let [on_disk, in_memory] = &shelves;
    assert_eq!(on_disk.live_bytes(), in_memory.live_bytes());
    let mut copy = Sled::open(&dir.path().join("b")).unwrap();
    on_disk.copy_to(&mut copy).unwrap();
    let copy = Shelf::open(Box::new(copy)).unwrap();
    assert_whole(&copy, &model);
    assert_eq!(copy.applied().unwrap(), on_disk.applied().unwrap());
}

/// Asserts that the shelf holds what it should and nothing else, and knows what that takes.
fn assert_whole(shelf: &Shelf, model: &Model) {
    let (mut rows, decisions) = shelf.contents().unwrap();
    rows.sort_unstable();
    let mut wanted: Vec<RowId> = model.rows.values().map(ReviewRow::id).collect();
    wanted.sort_unstable();
    assert_eq!(rows, wanted);
    assert_eq!(decisions, model.decisions.keys().copied().collect::<Vec<_>>());
    let all: Vec<DecisionFrame> = model.decisions.values().cloned().collect();
    assert_eq!(shelf.decisions(0, 999).unwrap(), all);
    let mut bytes = 0;
    shelf
        .catalog
        .scan(&[], &mut |key, value| {
            bytes += if key == APPLIED { 0 } else { bytes_of(key, value) };
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(shelf.live_bytes(), bytes);
}
