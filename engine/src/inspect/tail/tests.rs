//! Following a store: each event once, in order, and only when it is durable.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use onceward_vfs::testing::{DiskCall, Hook, Operation, hooked};
use onceward_vfs::{Mode, SimVfs, Vfs};
use onceward_wal::{Follower, KIND_RUN};
use parking_lot::Mutex;

use super::{Since, Tail, TailBatch};
use crate::capture::Effect;
use crate::testing::{Rig, event, key, keys, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{Event, State, Store, StoredEvent};

/// Follows what stands in the place of a rig's disk.
fn follow(rig: &Rig, since: Since) -> Tail {
    let disk = rig.disk.clone();
    let find = move || -> crate::Result<Arc<dyn Vfs>> { Ok(Arc::new(disk.clone())) };
    Tail::open_on(Box::new(find), rig.clock.clone(), since, None).unwrap()
}

/// Looks until nothing more is there; no look may complain.
fn look(tail: &mut Tail) -> Vec<StoredEvent> {
    let mut events = Vec::new();
    loop {
        let looked = tail.look().unwrap();
        assert!(looked.damage.is_empty() && looked.unreadable.is_empty(), "{looked:?}");
        events.extend(looked.events);
        if !looked.is_behind {
            return events;
        }
    }
}

fn accepted(n: u64) -> Settlement {
    let answer = Answer::Accepted { receipt: Some(receipt(n)) };
    Settlement { scope: sales(), key: key(n), answer }
}

/// Everything that was captured so far is marked as durable, as after a quiet moment.
fn mark(store: &Store) {
    store.inner.log.mark().unwrap();
}

#[test]
fn an_event_is_shown_once_and_only_when_it_is_sure_to_survive() {
    let rig = Rig::new();
    let store = rig.open();
    let mut tail = follow(&rig, Since::Beginning);
    store.capture(&event(1)).unwrap();
    assert_eq!(look(&mut tail), [], "nothing says yet that it is durable");
    mark(&store);
    assert_eq!(keys(&look(&mut tail)), ["k1"]);
    assert_eq!(look(&mut tail), []);
    store.capture_batch(&[event(2), event(3)]).unwrap();
    store.capture(&event(4)).unwrap();
    assert_eq!(keys(&look(&mut tail)), ["k2", "k3"]);
    store.capture(&event(4)).unwrap();
    store.close().unwrap();
    assert_eq!(keys(&look(&mut tail)), ["k4"], "and the duplicate of it not");
    let store = rig.open();
    store.capture(&event(5)).unwrap();
    mark(&store);
    assert_eq!(keys(&look(&mut tail)), ["k5"], "over a restart");
}

#[test]
fn events_are_shown_as_a_look_at_the_store_shows_them() {
    let rig = Rig::new();
    let store = rig.open();
    let mut tail = follow(&rig, Since::Last(0));
    rig.clock.advance(5_000);
    store.capture_batch(&(1..=5).map(event).collect::<Vec<_>>()).unwrap();
    let effect = Effect { event: event(6), receipt: receipt(6) };
    store.apply_batch(&[effect]).unwrap();
    let rejected = Answer::Rejected { code: "C".into(), message: "m".into(), reply: vec![7] };
    let refused = Settlement { scope: sales(), key: key(2), answer: rejected };
    store.settle(&[accepted(1), refused]).unwrap();
    mark(&store);
    let shown = look(&mut tail);
    assert_eq!(shown, rig.look().events().map(Result::unwrap).collect::<Vec<_>>());
    let states: Vec<State> = shown.iter().map(|event| event.state).collect();
    let (accepted, pending) = (State::Accepted, State::Pending);
    assert_eq!(states, [accepted, State::InReview, pending, pending, pending, accepted]);
}

#[test]
fn what_was_there_before_is_shown_as_far_as_it_is_wanted() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&(1..=9).map(event).collect::<Vec<_>>()).unwrap();
    store.settle(&[accepted(4)]).unwrap();
    mark(&store);
    let all: Vec<StoredEvent> = rig.look().events().map(Result::unwrap).collect();
    let mut tails = [Since::Beginning, Since::Last(3), Since::Last(100), Since::Last(0)]
        .map(|since| (since, follow(&rig, since)));
    store.capture(&event(10)).unwrap();
    mark(&store);
    for (since, tail) in &mut tails {
        let from = match since {
            Since::Last(count) => all.len().saturating_sub(*count),
            Since::Beginning => 0,
        };
        let shown = look(tail);
        assert_eq!(shown[..shown.len() - 1], all[from..], "{since:?}");
        assert_eq!(shown.last().unwrap().event, event(10), "{since:?}");
        assert_eq!(look(tail), [], "{since:?}");
    }
}

/// P5: memory for a piece, however much there is.
#[test]
fn much_is_shown_in_pieces_and_each_event_once() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture_batch(&(0..50).map(event).collect::<Vec<_>>()).unwrap();
    mark(&store);
    let mut tail = follow(&rig, Since::Beginning);
    tail.bytes_max = 300;
    let mut shown = Vec::new();
    for first in [50, 100, 150] {
        store.capture_batch(&(first..first + 50).map(event).collect::<Vec<_>>()).unwrap();
        store.settle(&[accepted(first)]).unwrap();
        mark(&store);
        loop {
            let looked = tail.look().unwrap();
            assert!(looked.events.len() < 30, "{}", looked.events.len());
            assert_eq!(looked.skipped, 0);
            shown.extend(looked.events);
            if !looked.is_behind {
                break;
            }
        }
    }
    let all: Vec<StoredEvent> = rig.look().events().map(Result::unwrap).collect();
    assert_eq!(shown.len(), 200);
    assert!(shown.iter().zip(&all).all(|(a, b)| (a.lsn, &a.event) == (b.lsn, &b.event)));
    let of = |n: usize| (shown[n].state, shown[n].receipt.clone());
    assert_eq!(of(50), (State::Accepted, Some(receipt(50))), "also behind the piece's end");
    assert_eq!(of(51), (State::Pending, None));
}

/// Events that cleaning carries forward are not shown again; those that it carried before anybody looked are.
#[test]
fn events_that_move_are_shown_once() {
    for (every, bytes_max) in [(1, 1 << 20), (3, 1 << 20), (29, 1 << 20), (29, 10_000)] {
        let rig = Rig::new();
        let store = rig.open();
        let mut tail = follow(&rig, Since::Beginning);
        tail.bytes_max = bytes_max;
        let mut shown = Vec::new();
        let mut pending = BTreeSet::new();
        for (turn, first) in (100..3_000_u64).step_by(100).enumerate() {
            let batch: Vec<Event> = (first..first + 50).map(|n| sized_event(n, 2_000)).collect();
            store.capture_batch(&batch).unwrap();
            pending.insert(first.to_string());
            store.settle(&(first + 1..first + 50).map(accepted).collect::<Vec<_>>()).unwrap();
            if turn % every == 0 {
                shown.extend(look(&mut tail));
            }
        }
        assert!(store.inner.log.segments()[0].number > 2, "control: trimmed");
        mark(&store);
        shown.extend(look(&mut tail));
        let distinct: BTreeSet<String> = keys(&shown).into_iter().collect();
        assert_eq!(distinct.len(), shown.len(), "each once, every {every}");
        let missing = pending.iter().find(|n| !distinct.contains(&format!("k{n}")));
        assert_eq!(missing, None, "every {every}: nobody may miss what is not settled");
        if every == 1 {
            assert_eq!(shown.len(), 29 * 50, "who keeps up misses nothing");
        }
    }
}

#[test]
fn damage_is_told_once_and_its_neighbours_are_shown() {
    let rig = Rig::new();
    let store = rig.open();
    let mut tail = follow(&rig, Since::Beginning);
    store.capture_batch(&(1..=3).map(event).collect::<Vec<_>>()).unwrap();
    mark(&store);
    flip(&rig, r#"{"n":2,"#);
    let TailBatch { events, damage, skipped, .. } = settled(&mut tail);
    assert_eq!(keys(&events), ["k1", "k3"]);
    assert_eq!((damage, skipped), (rig.look().recovery().damage.clone(), 1));
    store.capture(&event(4)).unwrap();
    mark(&store);
    let TailBatch { events, damage, .. } = settled(&mut tail);
    assert_eq!((keys(&events), damage.len()), (vec!["k4".to_owned()], 0));

    let TailBatch { events, damage, .. } = settled(&mut follow(&rig, Since::Last(2)));
    assert_eq!(keys(&events), ["k3", "k4"]);
    assert_eq!(damage.len(), 1, "told at the beginning too");
}

/// Makes bytes whole that were just being written, once files were opened so often; and refuses to write.
#[derive(Debug)]
struct Mending {
    disk: SimVfs,
    /// The file with a wrong bit, and the place of that bit.
    wrong: (String, u64),
    /// How many openings see the bytes as they are.
    left: Mutex<u64>,
}

impl Hook for Mending {
    fn before(&self, call: &DiskCall<'_>) -> io::Result<()> {
        let is_looking = matches!(
            call.operation,
            Operation::Open(Mode::Read)
                | Operation::Map
                | Operation::List
                | Operation::Exists
                | Operation::FreeBytes
                | Operation::Usurper
                | Operation::CheckGround
                | Operation::Read(_)
                | Operation::Len
        );
        if !is_looking {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        if matches!(call.operation, Operation::Open(_)) {
            let mut left = self.left.lock();
            if *left == 0 {
                self.disk.flip_bit(&self.wrong.0, self.wrong.1, BIT);
            }
            // After the last one, no number: mended is mended.
            *left = left.wrapping_sub(1);
        }
        Ok(())
    }
}

/// T12: a look may come upon bytes that are just being written.
#[test]
fn what_a_second_reading_finds_whole_is_shown_and_not_called_damage() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    mark(&store);
    store.capture_batch(&(2..=4).map(event).collect::<Vec<_>>()).unwrap();
    mark(&store);
    let mut seen_damaged = 0;
    for left in 0..12 {
        let mut tail = follow(&rig, Since::Last(0));
        tail.follower = Follower::after(3);
        let damaged = rig.after_kill();
        let wrong = flip(&damaged, r#"{"n":3,"#);
        let disk = damaged.disk;
        let mending = Arc::new(Mending { disk: disk.clone(), wrong, left: Mutex::new(left) });
        let disk = hooked(Arc::new(disk), &mending);
        tail.disk = Box::new(move || Ok(Arc::clone(&disk)));
        let looked = settled(&mut tail);
        if looked.damage.is_empty() {
            assert_eq!(keys(&looked.events), ["k2", "k3", "k4"], "{left} openings");
        } else {
            assert_eq!(keys(&looked.events), ["k2", "k4"], "{left} openings");
            seen_damaged += 1;
        }
        assert!(left > 4 || looked.damage.is_empty(), "{left} openings");
    }
    assert!(seen_damaged > 0, "control: in the end both readings find it");
}

/// Which bit of a byte [`flip`] flips.
const BIT: u8 = 3;

/// Flips a bit of the text; returns the file and the offset of its byte.
fn flip(rig: &Rig, text: &str) -> (String, u64) {
    let names = rig.disk.list("log").unwrap();
    let found = names.iter().find_map(|name| {
        let path = format!("log/{name}");
        let bytes = rig.disk.bytes(&path)?;
        let offset = bytes.windows(text.len()).position(|window| window == text.as_bytes())?;
        Some((path, offset as u64))
    });
    let (path, offset) = found.unwrap();
    rig.disk.flip_bit(&path, offset, BIT);
    (path, offset)
}

/// What all looks together find until nothing more is there.
fn settled(tail: &mut Tail) -> TailBatch {
    let mut all = TailBatch::default();
    loop {
        let looked = tail.look().unwrap();
        all.events.extend(looked.events);
        all.damage.extend(looked.damage);
        all.skipped += looked.skipped;
        if !looked.is_behind {
            return all;
        }
    }
}

/// A person restores a backup, or another store, under a program that follows.
#[test]
fn a_store_that_takes_the_place_of_the_one_that_was_followed_is_noticed() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    mark(&store);
    let older = rig.after_kill();
    store.capture_batch(&(2..=9).map(event).collect::<Vec<_>>()).unwrap();
    mark(&store);

    let longer = Rig::new();
    let other = longer.open();
    (1..=30).for_each(|n| _ = other.capture(&event(n)).unwrap());
    mark(&other);

    let diverged = older.after_kill();
    let store = diverged.open();
    (50..80).for_each(|n| _ = store.capture(&event(n)).unwrap());
    mark(&store);

    let restored = [(&older, "older"), (&longer, "another"), (&diverged, "older, and went on")];
    for (instead, what) in restored {
        let now = Arc::new(Mutex::new(rig.disk.clone()));
        let place = Arc::clone(&now);
        let find = move || -> crate::Result<Arc<dyn Vfs>> { Ok(Arc::new(place.lock().clone())) };
        let mut tail =
            Tail::open_on(Box::new(find), rig.clock.clone(), Since::Beginning, None).unwrap();
        assert_eq!(look(&mut tail).len(), 9, "control");
        *now.lock() = instead.disk.clone();
        let error = tail.look().unwrap_err();
        assert_eq!(error.code(), "REPLACED", "{what}: {error}");
        *now.lock() = rig.disk.clone();
        assert_eq!(look(&mut tail), [], "{what}: a look that failed changed nothing");
    }
}

#[test]
fn following_changes_nothing() {
    let rig = Rig::new();
    let store = rig.open();
    store.capture(&event(1)).unwrap();
    mark(&store);
    let ops = rig.disk.changing_ops().len();
    assert_eq!(look(&mut follow(&rig, Since::Beginning)).len(), 1);
    assert_eq!(rig.disk.changing_ops().len(), ops);
}

/// The frame that says when the second run began is damaged, before following begins or while it goes on.
#[test]
fn an_event_of_a_run_whose_beginning_is_lost_has_no_time_here_either() {
    for comes_later in [false, true] {
        let rig = Rig::new();
        rig.clock.name_boot(1);
        let store = rig.open();
        store.capture(&event(1)).unwrap();
        store.close().unwrap();
        let before = comes_later.then(|| follow(&rig, Since::Beginning));
        rig.clock.advance(5_000);
        let store = rig.open();
        store.capture(&event(2)).unwrap();
        store.capture(&event(3).with_captured_at_ms(5)).unwrap();
        mark(&store);
        let mut run = None;
        onceward_wal::examine(&rig.disk, &mut |frame| {
            run = Some(frame.place).filter(|_| frame.kind == KIND_RUN).or(run);
        })
        .unwrap();
        let first = rig.disk.list("log").unwrap().swap_remove(0);
        rig.disk.flip_bit(&format!("log/{first}"), u64::from(run.unwrap().offset) + 60, 3);

        let mut tail = before.unwrap_or_else(|| follow(&rig, Since::Beginning));
        let (mut shown, mut damage) = (vec![], vec![]);
        for _ in 0..3 {
            let looked = tail.look().unwrap();
            shown.extend(looked.events);
            damage.extend(looked.damage);
        }
        assert_eq!(damage, rig.look().recovery().damage, "later: {comes_later}");
        assert_eq!(shown, rig.look().events().map(Result::unwrap).collect::<Vec<_>>());
        let times = shown.iter().map(|it| (it.wall_ms.is_some(), it.captured_at_ms.is_some()));
        let expected = [(true, true), (false, false), (false, true)];
        assert_eq!(times.collect::<Vec<_>>(), expected, "later: {comes_later}");
    }
}
