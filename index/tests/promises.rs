//! A key is never forgotten early, never for ever, and a key that was not taken is never a duplicate.
//! Method: random histories under a clock that also steps back, against a ledger that knows no slices.

use std::collections::BTreeMap;

use onceward_index::{ContentPrint, Fingerprint, Index, Options, Verdict};
use proptest::prelude::*;

const WINDOW_MS: u64 = 60_000;
const SLICE_MS: u64 = 10_000;
const CONTENT: ContentPrint = ContentPrint::from_u64(1);

/// What a terminal does, without a thought for slices.
#[derive(Clone, Debug)]
enum Op {
    Capture { key: u8, fails: bool },
    Settle { key: u8 },
    Tick { ms: u64 },
    StepBack { ms: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..16_u8, prop::bool::weighted(0.2)).prop_map(|(key, fails)| Op::Capture { key, fails }),
        4 => (0..16_u8).prop_map(|key| Op::Settle { key }),
        4 => (1..WINDOW_MS).prop_map(|ms| Op::Tick { ms }),
        1 => (1..WINDOW_MS).prop_map(|ms| Op::StepBack { ms }),
    ]
}

fn print(key: u8) -> Fingerprint {
    Fingerprint::from_u128(u128::from(key) << 64 | 0x5eed)
}

/// The index and what a person would write down beside it.
struct Run {
    index: Index,
    /// LSN of the capture and time of the settlement of each key taken and not seen to be gone.
    taken: BTreeMap<u8, (u64, Option<u64>)>,
    now: u64,
    lsn: u64,
}

impl Run {
    fn capture(&mut self, key: u8, fails: bool) {
        self.lsn += 1;
        let is_free = !self.taken.contains_key(&key);
        let taken = self.index.reserve(print(key), CONTENT, self.lsn, self.now).is_ok();
        assert_eq!(taken, is_free, "key {key} at {}", self.now);
        match (taken, fails) {
            (false, _) => {}
            (true, true) => assert!(self.index.withdraw(print(key), self.lsn)),
            (true, false) => {
                self.index.confirm(print(key), self.lsn);
                self.taken.insert(key, (self.lsn, None));
            }
        }
    }

    fn settle(&mut self, key: u8) {
        let slice = self.index.settle(print(key), 1, self.lsn, self.now);
        assert_eq!(slice.is_some(), self.taken.contains_key(&key));
        if let Some((_, settled)) = self.taken.get_mut(&key) {
            *settled = settled.or(Some(self.now));
        }
    }

    /// What a host does every now and then: expire, carry what it is asked to, expire again.
    fn expire(&mut self) {
        for slice in self.index.expire(self.now).to_carry {
            let keys: Vec<_> = self.index.unsettled_keys(slice).map(|(key, _)| key).collect();
            for key in keys {
                assert!(self.index.carry(key, self.now));
            }
        }
        assert!(self.index.expire(self.now).to_carry.is_empty(), "one round is enough");
    }

    /// Every key taken is a duplicate unless its window is over; any other key is new.
    fn check(&mut self) {
        for key in 0..16 {
            let seen = match self.index.lookup(print(key), CONTENT) {
                Verdict::Duplicate(entry) => Some(entry.lsn),
                Verdict::New => None,
                Verdict::Conflict(entry) => unreachable!("{entry:?}"),
            };
            let Some((lsn, settled)) = self.taken.get(&key) else {
                assert_eq!(seen, None, "key {key} was never taken");
                continue;
            };
            let may_go = settled.is_some_and(|at| at + WINDOW_MS <= self.now);
            match seen {
                Some(seen) => assert_eq!(seen, *lsn),
                None => assert!(may_go, "key {key} is forgotten early"),
            }
            if seen.is_none() {
                self.taken.remove(&key);
            }
        }
        assert_eq!(self.index.len(), u64::try_from(self.taken.len()).unwrap_or(u64::MAX));
    }
}

proptest! {
    #[test]
    fn keys_are_remembered_for_the_window_and_not_for_ever(
        ops in prop::collection::vec(op(), 1..200),
        carry_max in prop::sample::select(vec![1, 100]),
    ) {
        let options = Options { window_ms: WINDOW_MS, slice_count: 6, carry_max };
        let index = Index::new(options).unwrap();
        let mut run = Run { index, taken: BTreeMap::new(), now: 1_000_000_000, lsn: 0 };
        let mut latest = run.now;
        for op in ops {
            match op {
                Op::Capture { key, fails } => run.capture(key, fails),
                Op::Settle { key } => run.settle(key),
                Op::Tick { ms } => {
                    run.now += ms;
                    run.expire();
                }
                Op::StepBack { ms } => run.now -= ms,
            }
            latest = latest.max(run.now);
            run.check();
        }
        for key in 0..16 {
            run.settle(key);
        }
        run.now = latest + SLICE_MS + WINDOW_MS;
        run.expire();
        run.check();
        prop_assert!(run.index.is_empty(), "one slice after the last settlement nothing is left");
    }
}
