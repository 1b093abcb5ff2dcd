//! Carried keys and their answers, while segments go.

use onceward_index::{ContentHash, Fingerprint, Secret, Window};
use onceward_wal::Place;

use crate::base::{Located, Moment, State, Wall, WrittenAt};
use crate::config::Config;
use crate::event::Scope;
use crate::kernel::{KeyEntry, KeyIndex, KeysFrame, Times};
use crate::outbox::frames::{BatchFrame, Envelope, SettleFrame};
use crate::outbox::*;

/// An outbox, and the kernel that it stands on.
struct Replay {
    kernel: Kernel,
    outbox: Outbox,
}

impl Replay {
    fn new() -> Self {
        let keys = KeyIndex::in_memory(&Config::new().key_settings().unwrap()).unwrap();
        let kernel = Kernel::new(Secret::from_bytes([7; 16]), keys, Times::default());
        Self { kernel, outbox: Outbox::default() }
    }

    fn keys(&mut self, keys: &KeysFrame, at: Located) {
        self.outbox.apply_keys(&mut self.kernel, keys, at);
    }

    fn forget_segment(&mut self, number: u64) {
        self.kernel.forget_segment(number);
        self.outbox.forget_segment(&mut self.kernel, number);
    }

    /// The state of an event, and where its answer is.
    fn answer(&self, lsn: u64) -> (State, Option<Located>) {
        let events = self.outbox.events();
        (events.state_of(lsn), events.outcome_at(&self.kernel, lsn))
    }

    /// Adds an event that is captured and durable.
    fn add(&mut self, lsn: u64, facts: &Facts<'_>, moment: Moment) {
        let keys = &mut self.kernel.keys;
        let held = keys.take(facts.reservation(lsn), moment.trusted_ms);
        let arrived = Arrived { moment, is_effect: false };
        self.outbox.add(&mut self.kernel, TakenEvent { facts, at: at(lsn, 1), held }, arrived);
        self.kernel.keys.confirm(lsn..=lsn);
    }
}

/// The frame `lsn`, somewhere in a segment.
fn at(lsn: u64, segment: u64) -> Located {
    Located { place: Place { segment, offset: 4_096 }, bytes: 64, lsn }
}

/// Keys of accepted events, each with its event's number as its fingerprint.
fn keys(events: impl Iterator<Item = u64>) -> KeysFrame {
    let entry = |event| KeyEntry {
        fingerprint: u128::from(event),
        event,
        content_hash: 1,
        slice_begin: 0,
        state: State::Accepted.code(),
        receipt: Vec::new(),
    };
    KeysFrame {
        scope: "sales".to_owned(),
        entries: events.map(entry).collect(),
        settled_ms: 0,
        has_moved: false,
    }
}

#[test]
fn answers_of_carried_keys_stay_as_long_as_the_frame_that_held_them_last() {
    let mut replay = Replay::new();
    replay.keys(&keys(10..20), at(100, 2));
    replay.forget_segment(1);
    assert_eq!(replay.answer(15), (State::Accepted, Some(at(100, 2))));
    // Cleaning: first the keys move, all but one that expired, and then the segment goes.
    replay.keys(&keys((10..20).filter(|event| *event != 15)), at(200, 3));
    replay.forget_segment(2);
    for lsn in (10..20).filter(|lsn| *lsn != 15) {
        assert_eq!(replay.answer(lsn), (State::Accepted, Some(at(200, 3))), "{lsn}");
    }
    assert_eq!(replay.answer(15), (State::OutcomeUnknown, None), "the frame that held it is gone");
    assert_eq!(replay.outbox.events().outcomes().len(), 2);
    replay.forget_segment(3);
    let holders = replay.kernel.dependencies.places().count();
    assert_eq!((replay.outbox.events().outcomes().len(), holders), (0, 0));
}

/// A crash between carrying keys and trimming leaves both frames.
#[test]
fn an_event_that_is_still_in_the_log_is_answered_by_its_settlement_and_then_by_its_carried_key() {
    let mut replay = Replay::new();
    let (fingerprint, content_hash) = (Fingerprint::from_u128(10), ContentHash::from_u64(1));
    let facts = facts(fingerprint, content_hash);
    let moment = Moment { trusted_ms: 5, wall: Wall::at(6) };
    assert_eq!(replay.answer(10).0, State::OutcomeUnknown);
    replay.add(10, &facts, moment);
    assert_eq!(replay.answer(10), (State::Pending, None));
    let mut settle = SettleFrame::default();
    settle.add(10, State::Duplicate.code());
    replay.outbox.apply_settle(&mut replay.kernel, &settle, (at(11, 1), moment));
    let mut carried = keys(10..11);
    carried.entries[0].state = State::Duplicate.code();
    replay.keys(&carried, at(50, 4));
    assert_eq!(replay.answer(10), (State::Duplicate, Some(at(50, 4))));
    replay.forget_segment(1);
    assert_eq!(replay.answer(10), (State::Duplicate, Some(at(50, 4))));
    assert_eq!(replay.kernel.keys.find(fingerprint).unwrap().map(|found| found.lsn), Some(10));
}

fn facts(fingerprint: Fingerprint, content_hash: ContentHash) -> Facts<'static> {
    let (scope, window) = ("sales", Window::default());
    Facts {
        fingerprint,
        content_hash,
        scope,
        amount: None,
        lane: None,
        is_evictable: false,
        window,
    }
}

#[test]
fn an_unsettled_event_holds_the_slice_in_which_the_index_has_its_key() {
    const SLICE_MS: u64 = 3_600_000;
    let mut replay = Replay::new();
    let check = |replay: &Replay| {
        let keys = &replay.kernel.keys;
        for (lsn, live) in replay.outbox.events().packed().live_between(..) {
            let found = keys.find(Fingerprint::from_u128(u128::from(lsn))).unwrap().unwrap();
            assert_eq!(live.held.slice, Some(found.slice), "{lsn}");
            let begin = keys.slice_times(found.slice).map(|(begin, _)| begin);
            assert_eq!(begin, Some(live.held.begin), "{lsn}");
        }
    };
    for (lsn, trusted_ms) in [(1, 5 * SLICE_MS + 7), (2, 3 * SLICE_MS + 7)] {
        let fingerprint = Fingerprint::from_u128(u128::from(lsn));
        let content_hash = ContentHash::from_u64(1);
        let facts = facts(fingerprint, content_hash);
        replay.add(lsn, &facts, Moment { trusted_ms, wall: Wall::at(0) });
    }
    check(&replay);
    let first = replay.outbox.events().live(1).unwrap().held.slice;
    let now_ms = 1_000 * SLICE_MS + 7;
    let ended = replay.kernel.keys.expire(now_ms).to_carry;
    replay.outbox.carry_keys(&mut replay.kernel, &ended, now_ms);
    let events = replay.outbox.events();
    let moved = |live: &Live| live.held.slice > first;
    assert!(
        events.packed().live_between(..).all(|(_, live)| moved(&live)),
        "control: they moved on"
    );
    assert_eq!(events.live(1).unwrap().held.begin, 1_000 * SLICE_MS);
    check(&replay);
}

/// Of a batch whose frame cleaning carried, or whose run nobody knows, only the number is left.
#[test]
fn the_first_batch_tells_when_an_event_was_attempted_unless_an_older_one_is_known() {
    let first = |frames: &[(u64, u64, Wall)]| {
        let mut replay = Replay::new();
        let facts = facts(Fingerprint::from_u128(1), ContentHash::from_u64(1));
        replay.add(1, &facts, Moment { trusted_ms: 5, wall: Wall::at(6) });
        for (lsn, number, wall) in frames {
            let (scope, envelope) = ("sales".to_owned(), Envelope::default());
            let batch =
                BatchFrame { number: *number, scope, parent: *number, events: vec![1], envelope };
            let moment = Moment { trusted_ms: lsn * 10, wall: *wall };
            let whence = (Scope::new("sales").unwrap(), at(*lsn, 1), moment);
            replay.outbox.apply_batch(&mut replay.kernel, &batch, whence);
        }
        let live = replay.outbox.events().live(1).unwrap();
        assert!(live.is_attempted);
        live.attempted
    };
    let (wall, since) = (Wall::at(7), |lsn| Some(WrittenAt { lsn, trusted_ms: lsn * 10 }));
    assert_eq!(first(&[(20, 0, wall)]), since(20));
    assert_eq!(first(&[(20, 0, wall), (30, 0, wall)]), since(20), "a later one");
    assert_eq!(first(&[(20, 0, wall), (30, 20, wall), (40, 25, wall)]), since(20), "carried");
    assert_eq!(first(&[(20, 0, wall), (30, 15, wall)]), None, "an older one was carried");
    assert_eq!(first(&[(30, 15, wall), (40, 0, wall)]), None);
    assert_eq!(first(&[(20, 0, Wall::UNKNOWN), (30, 0, wall)]), None, "of an unknown run");
}
