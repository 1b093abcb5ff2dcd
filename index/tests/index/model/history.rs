//! What may be done to an index, and how it is drawn.
//! Method: few keys, so that they meet again; clock steps of all sizes; trouble in every third checkpoint.

use onceward_index::{Fingerprint, Window};
use onceward_vfs::{FaultKind, FaultOp};
use proptest::prelude::*;

use crate::store::{MINUTE_MS, capturing, settling};

pub(crate) const KEYS: u8 = 24;

/// One step of a history; keys are below [`KEYS`].
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Capture {
        key: u8,
        content: u8,
        from_settle: bool,
        fails: bool,
    },
    /// Reserves a key whose frame stays in flight.
    Begin {
        key: u8,
        from_settle: bool,
    },
    /// The oldest frame in flight is durable, or failed.
    End {
        fails: bool,
    },
    Batch {
        first: u8,
        count: u8,
        from_settle: bool,
    },
    Settle {
        nth: usize,
    },
    Release {
        key: u8,
    },
    Tick {
        ms: u64,
    },
    StepBack {
        ms: u64,
    },
    Expire,
    Checkpoint {
        close: bool,
        trouble: Trouble,
    },
    Crash {
        seed: u64,
        syncs: bool,
    },
    Warm {
        shards: usize,
    },
}

/// Trouble on the way through a checkpoint.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    None,
    Fault { op: FaultOp, nth: u64, kind: FaultKind },
    PowerCut { nth: u64, seed: u64 },
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let faults = [
        (FaultOp::Write, FaultKind::Enospc),
        (FaultOp::Write, FaultKind::ShortWrite(30)),
        (FaultOp::SyncData, FaultKind::Eio),
        (FaultOp::SyncDir, FaultKind::Eio),
        (FaultOp::Rename, FaultKind::Eio),
        (FaultOp::Open, FaultKind::Enospc),
        (FaultOp::Read, FaultKind::Eio),
        (FaultOp::Remove, FaultKind::Eio),
    ];
    prop_oneof![
        4 => Just(Trouble::None),
        2 => (prop::sample::select(faults.to_vec()), 0..6_u64)
            .prop_map(|((op, kind), nth)| Trouble::Fault { op, nth, kind }),
        2 => (0..40_u64, any::<u64>()).prop_map(|(nth, seed)| Trouble::PowerCut { nth, seed }),
    ]
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let ten_years = Just(10 * 365 * 24 * 60 * MINUTE_MS);
    let far = prop_oneof![20 => 1..MINUTE_MS, 1 => ten_years];
    prop_oneof![
        12 => (0..KEYS, 0..3_u8, any::<bool>(), prop::bool::weighted(0.15)).prop_map(
            |(key, content, from_settle, fails)| Op::Capture { key, content, from_settle, fails }
        ),
        3 => (0..KEYS, any::<bool>())
            .prop_map(|(key, from_settle)| Op::Begin { key, from_settle }),
        3 => prop::bool::weighted(0.3).prop_map(|fails| Op::End { fails }),
        2 => (0..KEYS, 1..6_u8, any::<bool>())
            .prop_map(|(first, count, from_settle)| Op::Batch { first, count, from_settle }),
        8 => any::<usize>().prop_map(|nth| Op::Settle { nth }),
        2 => (0..KEYS).prop_map(|key| Op::Release { key }),
        6 => far.clone().prop_map(|ms| Op::Tick { ms }),
        1 => far.prop_map(|ms| Op::StepBack { ms }),
        5 => Just(Op::Expire),
        4 => (any::<bool>(), trouble())
            .prop_map(|(close, trouble)| Op::Checkpoint { close, trouble }),
        3 => (any::<u64>(), any::<bool>()).prop_map(|(seed, syncs)| Op::Crash { seed, syncs }),
        1 => (1..5_000_usize).prop_map(|shards| Op::Warm { shards }),
    ]
}

/// Keys of three kinds: far apart; in one shard with one tag; and differing in the last bits only.
pub(crate) fn fingerprint(key: u8) -> Fingerprint {
    let number = u128::from(key);
    Fingerprint::from_u128(match key % 3 {
        0 => number << 120 | 0x5eed,
        1 => 0xabc << 116 | number,
        _ => (0xabc << 116 | 0x1234 << 100 | 0x55 << 93 | 0xffff << 8) + number,
    })
}

pub(crate) fn window(from_settle: bool) -> Window {
    if from_settle { settling() } else { capturing() }
}
