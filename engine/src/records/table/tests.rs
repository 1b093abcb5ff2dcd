//! Of a frame and its carried copy replay makes one item, whichever comes first.

use onceward_wal::Place;

use super::*;
use crate::base::Moment;
use crate::config::Config;
use crate::kernel::{KeyIndex, Times};
use crate::records::fingerprint;
use crate::records::frames::{LeaseFrame, RecordHead};

/// Leases and records, with the keys that they are found by.
struct Replay {
    kernel: Kernel,
    records: RecordTable,
}

impl Replay {
    fn new() -> Self {
        let keys = KeyIndex::in_memory(&Config::new().key_settings().unwrap()).unwrap();
        let secret = onceward_index::Secret::from_bytes([7; 16]);
        let kernel = Kernel::new(secret, keys, Times::default());
        Self { kernel, records: RecordTable::default() }
    }

    fn lease(&mut self, lease: &LeaseFrame, at: Located) {
        self.records.replay_lease(&mut self.kernel, lease, (at, Moment::default()));
    }

    fn record(&mut self, head: &RecordHead, at: Located) {
        self.records.replay_record(&mut self.kernel, head, at);
    }

    /// What is known of the key.
    fn find(&self) -> Result<FoundItem<'_>> {
        let fingerprint = fingerprint(&self.kernel.secret, "s", "k");
        let events = EventTable::default();
        let found =
            self.records.find(self.kernel.keys.ask(), fingerprint, (&self.kernel, &events))?;
        Ok(found.unwrap())
    }
}

fn at(lsn: u64, segment: u64) -> Located {
    Located { place: Place { segment, offset: 4_096 }, bytes: 64, lsn }
}

fn lease(item: u64, fence: u64) -> LeaseFrame {
    let (scope, key, token) = ("s".to_owned(), "k".to_owned(), Token::new([1; 16]));
    LeaseFrame { item, fence, scope, key, token, content_hash: 0, slice_begin: 0, since_ms: 0 }
}

fn record(item: u64, fence: u64) -> RecordHead {
    RecordHead {
        item,
        fence,
        scope: "s".to_owned(),
        key: "k".to_owned(),
        content_hash: 0,
        slice_begin: 0,
        settled_ms: 5,
        completed_at_ms: 6,
        form: 0,
    }
}

#[test]
fn a_lease_and_its_carried_copy_are_one() {
    let mut replay = Replay::new();
    replay.lease(&lease(0, 0), at(10, 1));
    replay.lease(&lease(10, 10), at(50, 3));
    let records = &replay.records;
    assert_eq!(records.open_count(), 1);
    let open = records.open(10).unwrap();
    assert_eq!((open.at, open.fence), (at(50, 3), 10));
    assert_eq!((records.known_frames(1), records.known_frames(3)), (0, 1));
    // Alone, as after its segment was trimmed.
    let mut alone = Replay::new();
    alone.lease(&lease(10, 10), at(50, 3));
    assert_eq!(alone.records.open(10).unwrap().fence, 10);
    assert_eq!(alone.find().unwrap().number, 10);
}

#[test]
fn a_record_stands_whatever_of_its_lease_is_left_before_and_after_it() {
    for order in 0..4 {
        let mut replay = Replay::new();
        if order % 2 == 0 {
            replay.lease(&lease(0, 0), at(10, 1));
        }
        replay.record(&record(10, 10), at(20, 2));
        if order > 1 {
            replay.record(&record(10, 10), at(60, 4));
            replay.lease(&lease(10, 10), at(61, 4));
        }
        let item = replay.find().unwrap();
        let KnownItem::Done(done) = item.known else { panic!("{item:?}") };
        let place = if order > 1 { at(60, 4) } else { at(20, 2) };
        assert_eq!((item.number, done.at, done.fence), (10, place, 10), "order {order}");
        replay.records.end_replay(&mut replay.kernel);
        let records = &replay.records;
        let counts = (records.open_count(), records.done_count());
        assert_eq!((counts, records.live_bytes()), ((0, 1), 64), "order {order}");
    }
}

#[test]
fn a_key_that_an_open_lease_has_is_odd_when_another_frame_takes_it() {
    let mut replay = Replay::new();
    replay.lease(&lease(0, 0), at(10, 1));
    assert!(replay.kernel.invalid().is_empty(), "control");
    replay.lease(&lease(0, 0), at(20, 1));
    assert_eq!((replay.kernel.invalid().len(), replay.records.open_count()), (1, 1));
}

/// P2: what a newer program wrote may be the record; its key is not called free.
#[test]
fn a_key_without_an_item_is_free_only_if_the_whole_log_could_be_read() {
    let mut replay = Replay::new();
    replay.lease(&lease(0, 0), at(10, 1));
    replay.records.forget_for_test(10);
    assert!(matches!(replay.find().unwrap().known, KnownItem::Released), "control");
    replay.kernel.note_invalid(at(20, 1), "of a newer program".to_owned());
    assert_eq!(replay.find().unwrap_err().kind(), crate::ErrorKind::Corrupt);
}
