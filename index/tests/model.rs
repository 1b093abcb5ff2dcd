//! The index answers like a plain map of keys with one rule for deadlines, whatever happens in which order.
//! Method: random operations on both, with colliding keys, clock steps and restarts; every answer compared.

#[path = "model/reference.rs"]
mod reference;

use std::collections::BTreeMap;

use onceward_index::{ContentPrint, Entry, Fingerprint, Index, Options, SliceId, Verdict};
use proptest::prelude::*;

use reference::{CARRY_MAX, Model, SLICE_MS, Times, WINDOW_MS};

const KEYS: u8 = 10;

/// What is done to both; `key` is below [`KEYS`].
#[derive(Clone, Debug)]
enum Op {
    Reserve {
        key: u8,
        content: u64,
    },
    Confirm {
        key: u8,
        wrong: bool,
    },
    Withdraw {
        key: u8,
        wrong: bool,
    },
    Settle {
        key: u8,
        outcome: u8,
    },
    Update {
        key: u8,
        outcome: u8,
    },
    Release {
        key: u8,
    },
    Carry {
        key: u8,
    },
    Expire,
    Advance {
        ms: u64,
    },
    StepBack {
        ms: u64,
    },
    /// To the nearest deadline, or so many milliseconds before it.
    ToDeadline {
        before: u64,
    },
    /// A new index with what a log would know: confirmed keys and slices.
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let step = prop::sample::select(vec![1, SLICE_MS - 1, SLICE_MS, WINDOW_MS, 1 << 39]);
    let wrong = prop::bool::weighted(0.2);
    prop_oneof![
        6 => (0..KEYS, 0..2_u64).prop_map(|(key, content)| Op::Reserve { key, content }),
        5 => (0..KEYS, wrong).prop_map(|(key, wrong)| Op::Confirm { key, wrong }),
        2 => (0..KEYS, wrong).prop_map(|(key, wrong)| Op::Withdraw { key, wrong }),
        5 => (0..KEYS, 1..9_u8).prop_map(|(key, outcome)| Op::Settle { key, outcome }),
        1 => (0..KEYS, 1..9_u8).prop_map(|(key, outcome)| Op::Update { key, outcome }),
        1 => (0..KEYS).prop_map(|key| Op::Release { key }),
        2 => (0..KEYS).prop_map(|key| Op::Carry { key }),
        4 => Just(Op::Expire),
        4 => step.clone().prop_map(|ms| Op::Advance { ms }),
        1 => step.prop_map(|ms| Op::StepBack { ms }),
        2 => (0..2_u64).prop_map(|before| Op::ToDeadline { before }),
        1 => Just(Op::Reopen),
    ]
}

/// Half of the keys share their low 64 bits, half their high 64 bits.
fn print(key: u8) -> Fingerprint {
    let number = u128::from(key) + 1;
    Fingerprint::from_u128(if key.is_multiple_of(2) { number << 64 | 0x5eed } else { number })
}

fn empty() -> Index {
    let carry_max = u64::try_from(CARRY_MAX).unwrap_or(0);
    let options = Options { window_ms: WINDOW_MS, slice_count: 4, carry_max };
    Index::new(options).unwrap_or_else(|error| unreachable!("{error}"))
}

/// An index that is told what the model knows, keys first, so that they make their slices.
fn rebuilt(model: &Model) -> Index {
    let mut index = empty();
    for (key, known) in &model.keys {
        let (begin, _) = model.slices.get(&known.slice).copied().unwrap_or_default();
        index.restore(known.slice, begin, print(*key), known.entry, known.settled);
    }
    for (slice, (begin, last_settled)) in &model.slices {
        index.restore_slice(*slice, *begin, *last_settled);
    }
    index
}

/// The index, the model, and the clock of both.
struct Pair {
    index: Index,
    model: Model,
    now: u64,
}

impl Pair {
    /// Does the same to both and compares what they return.
    fn apply(&mut self, op: &Op, lsn: u64) {
        let Self { index, model, now } = self;
        let lsn_of = |model: &Model, key, wrong| {
            model.keys.get(&key).map_or(0, |known| known.entry.lsn) + u64::from(wrong)
        };
        match *op {
            Op::Reserve { key, content } => {
                let content = ContentPrint::from_u64(content);
                let entry = Entry { lsn, content, outcome: 0, outcome_lsn: 0 };
                let expected = model.reserve(key, entry, *now);
                assert_eq!(index.reserve(print(key), content, lsn, *now), expected);
            }
            Op::Confirm { key, wrong } => {
                let lsn = lsn_of(model, key, wrong);
                index.confirm(print(key), lsn);
                model.confirm(key, lsn);
            }
            Op::Withdraw { key, wrong } => {
                let lsn = lsn_of(model, key, wrong);
                assert_eq!(index.withdraw(print(key), lsn), model.withdraw(key, lsn));
            }
            Op::Settle { key, outcome } => {
                let expected = model.settle(key, outcome, lsn, *now);
                assert_eq!(index.settle(print(key), outcome, lsn, *now), expected);
            }
            Op::Update { key, outcome } => {
                let expected = model.update(key, outcome, lsn);
                assert_eq!(index.update(print(key), outcome, lsn), expected);
            }
            Op::Release { key } => assert_eq!(index.release(print(key)), model.release(key)),
            Op::Carry { key } => assert_eq!(index.carry(print(key), *now), model.carry(key, *now)),
            Op::Expire => assert_eq!(index.expire(*now), model.expire(*now)),
            Op::Advance { ms } => *now += ms,
            Op::StepBack { ms } => *now = now.saturating_sub(ms),
            Op::ToDeadline { before } => {
                *now = model.nearest_deadline().map_or(*now, |deadline| deadline - before);
            }
            Op::Reopen => {
                model.crash();
                *index = rebuilt(model);
            }
        }
    }

    /// Compares every question that can be asked.
    fn compare(&self) {
        let Self { index, model, .. } = self;
        for key in 0..KEYS {
            let known = model.keys.get(&key);
            assert_eq!(index.find(print(key)), known.map(|known| (known.slice, known.entry)));
            for content in [0, 1].map(ContentPrint::from_u64) {
                let expected = match known.map(|known| known.entry) {
                    None => Verdict::New,
                    Some(entry) if entry.content == content => Verdict::Duplicate(entry),
                    Some(entry) => Verdict::Conflict(entry),
                };
                assert_eq!(index.lookup(print(key), content), expected);
            }
        }
        let slices: BTreeMap<SliceId, Times> =
            index.slices().map(|slice| (slice.id, (slice.begin, slice.last_settled))).collect();
        assert_eq!(slices, model.slices);
        for slice in index.slices() {
            let keys = model.keys.values().filter(|known| known.slice == slice.id).count();
            let held = model.held(slice.id);
            assert_eq!(index.unsettled_keys(slice.id).count(), held);
            assert_eq!(u64::try_from(held), Ok(slice.unsettled));
            assert_eq!(u64::try_from(keys), Ok(slice.keys));
        }
        assert_eq!(u64::try_from(model.keys.len()), Ok(index.len()));
        assert_eq!(index.unsettled(), index.slices().map(|slice| slice.unsettled).sum::<u64>());
    }
}

proptest! {
    #[test]
    fn the_index_answers_like_the_model(ops in prop::collection::vec(op(), 1..120)) {
        let mut pair = Pair { index: empty(), model: Model::default(), now: 0 };
        for (op, lsn) in ops.iter().zip(1..) {
            pair.apply(op, lsn);
            pair.compare();
        }
    }
}
