//! A key is known from its reservation until it is withdrawn, released or out of its window.
//! Method: each promise alone, at its boundaries, in memory and over a restart.

use onceward_index::{
    ContentHash, Entry, Fingerprint, Index, KeyBatch, KnownKey, Lookup, Options, ReadMode,
    Reserved, SliceId, Until, WINDOW_MS_MAX, WINDOW_MS_MIN, Window, WindowStart,
};
use onceward_vfs::{SimVfs, Survival};

use crate::store::{MINUTE_MS, SLICE_MS, Store, capturing, location, options, secret, settling};

const CONTENT: ContentHash = ContentHash::from_u64(1);
const OTHER: ContentHash = ContentHash::from_u64(2);

fn key(number: u64) -> Fingerprint {
    secret().fingerprint("till", &number.to_le_bytes())
}

fn entry(number: u64, lsn: u64) -> Entry {
    Entry { key: key(number), content: CONTENT, lsn }
}

fn in_memory(slice_count: u32) -> Index {
    Index::new(Options { slice_count, ..Options::default() }).unwrap()
}

fn taken(reserved: Reserved) -> SliceId {
    match reserved {
        Reserved::Taken(slice) => slice,
        Reserved::Known(found) => panic!("known: {found:?}"),
    }
}

fn is_known(index: &Index, number: u64) -> bool {
    index.find(key(number)).unwrap().is_some()
}

fn store(disk: &SimVfs) -> Store {
    Store::open(location(disk.clone()), options(ReadMode::Mapped))
}

/// The store after its power was cut, with its whole log told again.
fn reopened(store: &Store, disk: &SimVfs) -> Store {
    let disk = disk.after_power_cut(&Survival::Everything);
    let (again, told) = Store::reopened(location(disk), options(ReadMode::Mapped), &store.log);
    told.unwrap();
    assert_eq!(again.index.discarded(), None);
    again
}

#[test]
fn a_window_of_either_end_of_the_range_ends_exactly_at_its_deadline_from_settle_and_from_capture() {
    for start in [WindowStart::FromSettle, WindowStart::FromCapture] {
        for length in [WINDOW_MS_MIN, WINDOW_MS_MAX] {
            for slice_count in [1, 7, 24, 720] {
                let index = in_memory(slice_count);
                let window = Window::new(length, start).unwrap();
                let slice_ms = length.div_ceil(u64::from(slice_count));
                let captured = slice_ms * 1_000 + slice_ms / 2;
                let slice = taken(index.reserve(entry(1, 1), window, captured).unwrap());
                let begin = index.slice_info(slice).unwrap().begin;
                assert_eq!(begin, slice_ms * 1_000, "slices begin at multiples of their length");
                index.confirm(1);
                let settled = captured + 5 * slice_ms;
                index.settle(slice, settled);
                let deadline = length
                    + match start {
                        WindowStart::FromSettle => settled,
                        WindowStart::FromCapture => begin + slice_ms,
                    };
                assert!(index.expire(deadline - 1).dropped.is_empty(), "{window:?} {slice_count}");
                assert!(is_known(&index, 1));
                assert_eq!(index.expire(deadline).dropped, [slice], "{window:?} {slice_count}");
                assert!(!is_known(&index, 1) && index.is_empty());
            }
        }
    }
}

#[test]
fn an_unsettled_key_outlives_every_window_and_its_slice_waits_or_it_is_carried() {
    for window in [settling(), capturing()] {
        let index = Index::new(options(ReadMode::Mapped)).unwrap();
        for number in 1..=4 {
            taken(index.reserve(entry(number, number), window, 0).unwrap());
            index.confirm(number);
        }
        let late = 400 * MINUTE_MS;
        let Some(found) = index.find(key(1)).unwrap() else { panic!() };
        let expired = index.expire(late);
        assert!(expired.to_carry.is_empty(), "four are more than may be carried: the slice waits");
        index.settle(found.slice, MINUTE_MS);
        let expired = index.expire(late);
        assert_eq!((expired.dropped, expired.to_carry), (vec![], vec![found.slice]));
        for number in 2..=4 {
            let target = index.carry(key(number), found.slice, late).unwrap().unwrap();
            assert_ne!(target, found.slice);
        }
        assert_eq!(index.expire(late).dropped, [found.slice]);
        assert!(!is_known(&index, 1), "it was settled, and not carried");
        assert!((2..=4).all(|number| is_known(&index, number)));
    }
}

#[test]
fn windows_of_several_scopes_in_one_index_do_not_shorten_or_lengthen_one_another() {
    let index = in_memory(6);
    let lengths = [WINDOW_MS_MIN, 2 * WINDOW_MS_MIN, 60 * WINDOW_MS_MIN, WINDOW_MS_MAX];
    let windows: Vec<Window> = lengths
        .iter()
        .flat_map(|length| {
            [WindowStart::FromSettle, WindowStart::FromCapture]
                .map(|start| Window::new(*length, start).unwrap())
        })
        .collect();
    let captured = WINDOW_MS_MAX * 100;
    for (window, lsn) in windows.iter().zip(1..) {
        let slice = taken(index.reserve(entry(lsn, lsn), *window, captured).unwrap());
        index.confirm(lsn);
        index.settle(slice, captured);
    }
    let mut ends: Vec<u64> =
        windows.iter().map(|w| captured + w.length_ms().div_ceil(6) + w.length_ms()).collect();
    ends.sort_unstable();
    ends.dedup();
    for now in ends.iter().flat_map(|end| [end - 1, *end]) {
        index.expire(now);
        for (window, number) in windows.iter().zip(1..) {
            let deadline = captured + window.length_ms().div_ceil(6) + window.length_ms();
            assert_eq!(is_known(&index, number), now < deadline, "{window:?} at {now}");
        }
    }
}

#[test]
fn a_clock_that_jumps_ten_years_and_back_forgets_nothing_unsettled_and_keeps_nothing_for_ever() {
    // T37
    let index = in_memory(6);
    let (now, decade) = (1_000_000_000_000, 10 * 365 * 24 * 60 * MINUTE_MS);
    let first = taken(index.reserve(entry(1, 1), settling(), now).unwrap());
    index.confirm(1);
    let expired = index.expire(now + decade);
    assert_eq!((expired.dropped, expired.to_carry), (vec![], vec![first]), "no mass expiry");
    let carried = index.carry(key(1), first, now + decade).unwrap().unwrap();
    // Back again: a key goes into the slice of its moment, not of that other time.
    let second = taken(index.reserve(entry(2, 2), settling(), now + 1).unwrap());
    index.confirm(2);
    assert_eq!(second, first);
    index.settle(carried, now + 2);
    index.settle(second, now + 2);
    assert!(index.expire(now + MINUTE_MS).dropped.is_empty(), "its window is not over");
    assert_eq!(index.expire(now + 10 * MINUTE_MS).dropped, [first]);
    assert!(is_known(&index, 1), "later, never earlier");
    assert!(!is_known(&index, 2), "one that came after the jump is not remembered for ten years");
    assert_eq!(index.expire(now + decade + 2 * MINUTE_MS).dropped, [carried]);
    assert!(index.is_empty(), "no immortal keys");
}

#[test]
fn a_clock_that_steps_back_a_little_moves_no_deadline_down() {
    let index = in_memory(6);
    let now = 100 * MINUTE_MS;
    let slice = taken(index.reserve(entry(1, 1), settling(), now).unwrap());
    index.confirm(1);
    assert_eq!(index.slice_begin(settling(), now - 3 * SLICE_MS), now - 3 * SLICE_MS);
    let older = taken(index.reserve(entry(2, 2), settling(), now - 3 * SLICE_MS).unwrap());
    index.confirm(2);
    index.settle(older, now - 3 * SLICE_MS);
    index.settle(slice, now + 2 * SLICE_MS);
    index.settle(slice, now - SLICE_MS);
    assert_eq!(index.slice_info(slice).unwrap().last_settled, Some(now + 2 * SLICE_MS));
    let deadline = now + 2 * SLICE_MS + MINUTE_MS;
    assert_eq!(index.expire(deadline - 1).dropped, [older]);
    assert_eq!(index.expire(deadline).dropped, [slice]);
}

#[test]
fn a_released_key_can_be_taken_again_and_an_older_release_does_not_undo_that() {
    // T38
    let disk = SimVfs::new();
    let mut store = store(&disk);
    for until in [Until::Later, Until::Close] {
        let number = store.next_lsn();
        taken(store.take(key(number), CONTENT, settling()).unwrap());
        store.settle(number);
        store.index.checkpoint(0, until).unwrap();
        let frame = store.next_lsn();
        assert!(store.release(key(number)).unwrap());
        assert!(!is_known(&store.index, number));
        assert!(!store.index.release(key(number), frame).unwrap(), "once is enough");
        let again = store.next_lsn();
        taken(store.take(key(number), OTHER, settling()).unwrap());
        assert!(!store.index.release(key(number), frame).unwrap(), "the entry is a later frame's");
        let found = store.index.find(key(number)).unwrap().unwrap();
        assert_eq!((found.lsn, found.content), (again, OTHER));
        let after = reopened(&store, &disk);
        let found = after.index.find(key(number)).unwrap().unwrap();
        assert_eq!((found.lsn, found.content), (again, OTHER));
    }
}

#[test]
fn a_withdrawn_key_is_new_for_the_retry_and_a_confirmed_one_cannot_be_withdrawn() {
    // T26
    let disk = SimVfs::new();
    let index = store(&disk).index;
    taken(index.reserve(entry(1, 1), settling(), 0).unwrap());
    taken(index.reserve(entry(7, 2), settling(), 0).unwrap());
    assert!(!index.withdraw(key(1), 2).unwrap(), "the frame is another key's");
    assert!(is_known(&index, 1) && is_known(&index, 7));
    assert!(index.withdraw(key(7), 2).unwrap());
    // A checkpoint in between writes nothing of a frame that may still fail.
    assert_eq!(index.checkpoint(0, Until::Close).unwrap().covered, 0);
    assert!(index.withdraw(key(1), 1).unwrap());
    assert_eq!(index.lookup(key(1), CONTENT).unwrap(), Lookup::New);
    assert_eq!(index.slices().iter().map(|slice| slice.held + slice.keys).sum::<u64>(), 0);
    taken(index.reserve(entry(1, 3), settling(), 0).unwrap());
    index.confirm(3);
    assert!(!index.withdraw(key(1), 3).unwrap());
    assert_eq!(index.lookup(key(1), CONTENT).unwrap(), Lookup::Duplicate { lsn: 3 });
}

#[test]
fn of_a_key_twice_in_one_batch_the_first_is_taken_and_the_second_is_known() {
    // T27
    let index = in_memory(6);
    taken(index.reserve(entry(5, 1), settling(), 0).unwrap());
    let entries = [entry(1, 2), entry(5, 3), entry(1, 4), entry(2, 5)];
    let mut reserved = Vec::new();
    index.insert_batch(&entries, settling(), 0, &mut reserved).unwrap();
    let slice = taken(reserved[0]);
    let known = |lsn| Reserved::Known(KnownKey { lsn, content: CONTENT, slice });
    let is_taken = Reserved::Taken(slice);
    assert_eq!(reserved, [is_taken, known(1), known(2), is_taken]);
    let mut verdicts = vec![Lookup::New];
    index.lookup_batch(&[(key(2), CONTENT), (key(9), CONTENT)], &mut verdicts).unwrap();
    assert_eq!(verdicts, [Lookup::New, Lookup::Duplicate { lsn: 5 }, Lookup::New]);
}

/// An event as a caller has it: what each step finds is put into it.
#[derive(Debug)]
struct Asked {
    /// Whether it is to be asked for at all.
    is_asked: bool,
    entry: Entry,
    window: Window,
    verdict: Option<Lookup>,
    slice: Option<SliceId>,
}

#[test]
fn items_of_one_list_are_judged_and_reserved_in_place_each_in_its_window_and_some_left_out() {
    let index = in_memory(6);
    let batch = KeyBatch::of(&index);
    let known = taken(index.reserve(entry(5, 1), settling(), 0).unwrap());
    let minute = Window::new(60_000, WindowStart::FromCapture).unwrap();
    let mut items: Vec<Asked> = (0..200)
        .map(|n| Asked {
            is_asked: n % 3 != 0,
            entry: entry(n, n + 10),
            window: if n % 4 < 2 { settling() } else { minute },
            verdict: None,
            slice: None,
        })
        .collect();
    let key_of = |item: &Asked| item.is_asked.then_some((item.entry.key, item.entry.content));
    batch.lookup_each(&mut items, key_of, |item, verdict| item.verdict = Some(verdict)).unwrap();
    for (n, item) in (0..).zip(&items) {
        let new = if n == 5 { Lookup::Duplicate { lsn: 1 } } else { Lookup::New };
        assert_eq!(item.verdict, item.is_asked.then_some(new), "{n}");
    }
    let entry_of =
        |item: &Asked| (item.verdict == Some(Lookup::New)).then_some((item.entry, item.window));
    let put = |item: &mut Asked, outcome| item.slice = Some(taken(outcome));
    batch.reserve_each(&mut items, 0, entry_of, put).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    for item in &items {
        let expected = (item.verdict == Some(Lookup::New)).then_some(item.window);
        let slice = item.slice.and_then(|slice| index.slice_info(slice));
        assert_eq!(slice.map(|info| info.window), expected, "{item:?}");
        item.slice.into_iter().for_each(|slice| *counts.entry(slice).or_insert(0) += 1);
    }
    assert_eq!(counts.len(), 2, "control: two windows");
    for (slice, count) in &counts {
        let info = index.slice_info(*slice).unwrap();
        let more = u64::from(*slice == known);
        assert_eq!((info.keys, info.held), (count + more, count + more));
    }
    batch.confirm_range(1, 1_000);
    batch.settle_slices(counts.clone(), 7_000);
    for (slice, _) in counts {
        let info = index.slice_info(slice).unwrap();
        assert_eq!((info.held, info.last_settled), (u64::from(slice == known), Some(7_000)));
    }
    assert!(!index.withdraw(entry(7, 17).key, 17).unwrap(), "all are confirmed");
    assert_eq!(index.len(), 133);
}

#[test]
fn a_key_that_is_only_reserved_is_known_to_the_second_capture() {
    // T33
    let index = in_memory(6);
    let slice = taken(index.reserve(entry(1, 1), settling(), 0).unwrap());
    let known = Reserved::Known(KnownKey { lsn: 1, content: CONTENT, slice });
    assert_eq!(index.reserve(entry(1, 2), settling(), 0).unwrap(), known);
    assert_eq!(index.lookup(key(1), CONTENT).unwrap(), Lookup::Duplicate { lsn: 1 });
    let takers = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for lsn in [11, 12, 13, 14] {
            let (index, takers) = (&index, &takers);
            scope.spawn(move || {
                for number in 100..600 {
                    let reserved = index.reserve(entry(number, lsn), settling(), 0).unwrap();
                    let is_taken = matches!(reserved, Reserved::Taken(_));
                    takers.fetch_add(is_taken.into(), std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(takers.into_inner(), 500, "exactly one of four takes each key");
}

#[test]
fn another_content_is_a_conflict_with_the_first_one_and_changes_nothing() {
    // T30
    let disk = SimVfs::new();
    let mut store = store(&disk);
    taken(store.take(key(1), CONTENT, settling()).unwrap());
    let (all, nearly) = (ContentHash::from_u64(u64::MAX), ContentHash::from_u64(u64::MAX >> 17));
    taken(store.take(key(3), all, settling()).unwrap());
    for until in [None, Some(Until::Later), Some(Until::Close)] {
        if let Some(until) = until {
            store.index.checkpoint(0, until).unwrap();
        }
        for index in [&store.index, &reopened(&store, &disk).index] {
            assert_eq!(index.lookup(key(1), CONTENT).unwrap(), Lookup::Duplicate { lsn: 1 });
            assert_eq!(index.lookup(key(1), OTHER).unwrap(), Lookup::Conflict { lsn: 1 });
            assert_eq!(index.lookup(key(2), OTHER).unwrap(), Lookup::New);
            assert_eq!(index.lookup(key(3), all).unwrap(), Lookup::Duplicate { lsn: 2 });
            assert_eq!(index.lookup(key(3), nearly).unwrap(), Lookup::Conflict { lsn: 2 });
            let near = ContentHash::from_u64(CONTENT.as_u64() | 1 << 47);
            assert_eq!(index.lookup(key(1), near).unwrap(), Lookup::Conflict { lsn: 1 });
        }
        assert!(matches!(store.take(key(1), OTHER, settling()).unwrap(), Reserved::Known(_)));
    }
}
