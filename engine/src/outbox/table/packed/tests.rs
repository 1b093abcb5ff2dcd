//! Packed events are what a tree of whole ones would be.

use std::collections::BTreeMap;

use onceward_index::Window;
use onceward_wal::Place;
use proptest::prelude::*;

use super::*;
use crate::base::{Moment, Wall, WrittenAt};

/// What is done to the events.
#[derive(Clone, Debug)]
enum Step {
    Put(u64, Live),
    Forget(u64, u64),
    Stage(EventSet, Stage),
    Attempt(EventSet, u64, Option<WrittenAt>),
    Settle(u64, u64, State, u64),
    SettleOwn(u64),
    Holder(u64, u64),
    Move(u64, Located),
}

/// Numbers that share chunks, and some that do not.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 100..160_u64, 2 => 0..700_u64, 1 => (u64::MAX - 20)..=u64::MAX]
}

fn located() -> impl Strategy<Value = Located> {
    let bytes =
        prop_oneof![6 => (1..9_u32).prop_map(|n| n * 8), 1 => 0..9_u32, 1 => 500_000..700_000_u32];
    (1..4_u64, any::<u32>(), bytes, number()).prop_map(|(segment, offset, bytes, lsn)| Located {
        place: Place { segment, offset },
        bytes,
        lsn,
    })
}

fn moment() -> impl Strategy<Value = Moment> {
    let ms = prop_oneof![4 => 5_000..5_100_u64, 1 => any::<u64>()];
    let wall = prop_oneof![4 => (0..3_i64).prop_map(Some), 1 => any::<i64>().prop_map(Some), 1 => Just(None)];
    (ms, wall).prop_map(|(trusted_ms, wall)| Moment {
        trusted_ms,
        wall: wall
            .map_or(Wall::UNKNOWN, |ahead| Wall::at(trusted_ms.cast_signed().wrapping_add(ahead))),
    })
}

fn stage() -> impl Strategy<Value = Stage> {
    prop_oneof![
        3 => Just(Stage::Pending),
        1 => (1..3_u64).prop_map(Stage::InFlight),
        1 => Just(Stage::InReview),
        1 => Just(Stage::Uncertain),
    ]
}

fn since() -> impl Strategy<Value = Option<WrittenAt>> {
    prop::option::of((1..3_u64).prop_map(|lsn| WrittenAt { lsn, trusted_ms: lsn }))
}

fn live() -> impl Strategy<Value = Live> {
    let amount = prop_oneof![3 => Just(0), 3 => -9..9_i64, 1 => any::<i64>()];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let parts = (located(), moment(), amount, flags, since(), stage(), 0..3_usize, 0..2_u64);
    parts.prop_map(|(at, moment, amount, flags, attempted, stage, scope, begin)| {
        let (has_moved, is_effect, is_evictable, is_attempted, is_imported) = flags;
        let window = Window::new(60_000, onceward_index::WindowStart::FromSettle).unwrap();
        Live {
            held: SliceHold { slice: None, window, begin },
            has_moved,
            scope,
            at,
            moment,
            amount,
            is_effect,
            is_evictable,
            is_attempted: is_attempted || attempted.is_some(),
            attempted,
            is_imported,
            stage,
        }
    })
}

/// Some neighbours, of which some may be there.
fn some() -> impl Strategy<Value = EventSet> {
    let set = |(lsn, some): (u64, u64)| {
        let all = one(lsn);
        EventSet { events: all.events | Mask::from(some) << (lsn % 64), ..all }
    };
    (number(), any::<u64>()).prop_map(set)
}

fn step() -> impl Strategy<Value = Step> {
    let state = prop_oneof![Just(State::Accepted), Just(State::Duplicate)];
    prop_oneof![
        6 => (number(), live()).prop_map(|(lsn, live)| Step::Put(lsn, live)),
        1 => (number(), 0..20_u64).prop_map(|(lsn, more)| Step::Forget(lsn, more)),
        1 => (some(), stage()).prop_map(|(some, stage)| Step::Stage(some, stage)),
        1 => (some(), 0..4_u64, since())
            .prop_map(|(some, number, since)| Step::Attempt(some, number, since)),
        2 => (number(), 0..200_u64, state, 1..900_u64)
            .prop_map(|(lsn, more, state, holder)| Step::Settle(lsn, more, state, holder)),
        1 => number().prop_map(Step::SettleOwn),
        1 => (number(), 1..900_u64).prop_map(|(lsn, holder)| Step::Holder(lsn, holder)),
        1 => (number(), located()).prop_map(|(lsn, at)| Step::Move(lsn, at)),
    ]
}

/// The same events, whole.
#[derive(Default)]
struct Whole {
    live: BTreeMap<u64, Live>,
    settled: BTreeMap<u64, Settled>,
}

impl Whole {
    fn settle(&mut self, range: RangeInclusive<u64>, state: State, holder: u64) {
        let ended: Vec<(u64, Live)> = self.live.extract_if(range, |_, _| true).collect();
        for (lsn, live) in ended {
            let Live { at, scope, has_moved, moment, .. } = live;
            let settled =
                Settled { at, scope, state, has_moved, wall: moment.wall, outcome_lsn: holder };
            self.settled.insert(lsn, settled);
        }
    }
}

fn apply(packed: &mut PackedEvents, whole: &mut Whole, step: Step) {
    match step {
        Step::Put(lsn, live) => {
            packed.put(lsn, &live);
            whole.settled.remove(&lsn);
            whole.live.insert(lsn, live);
        }
        Step::Forget(lsn, more) => {
            let range = lsn..=lsn.saturating_add(more);
            let all: Vec<EventSet> = packed.unsettled_in(range.clone()).collect();
            all.into_iter().for_each(|some| packed.forget(some));
            whole.live.retain(|lsn, _| !range.contains(lsn));
        }
        Step::Stage(some, stage) => {
            packed.set_stage(some, stage);
            for lsn in some.lsns() {
                whole.live.entry(lsn).and_modify(|live| live.stage = stage);
            }
        }
        Step::Attempt(some, number, formed) => {
            packed.note_attempts(some, number, formed);
            for lsn in some.lsns() {
                let Some(live) = whole.live.get_mut(&lsn) else { continue };
                live.attempted = match number {
                    0 if live.is_attempted => live.attempted,
                    0 => formed,
                    _ => live.attempted.filter(|first| number >= first.lsn),
                };
                live.is_attempted = true;
            }
        }
        Step::Settle(lsn, more, state, holder) => {
            let range = lsn..=lsn.saturating_add(more);
            let all: Vec<EventSet> = packed.unsettled_in(range.clone()).collect();
            check_groups(packed, whole, &all);
            all.into_iter().for_each(|some| packed.settle(some, state, holder));
            whole.settle(range, state, holder);
        }
        Step::SettleOwn(lsn) => {
            let all: Vec<EventSet> = packed.unsettled_in(lsn..=lsn).collect();
            all.into_iter().for_each(|some| packed.settle(some, State::Accepted, lsn));
            whole.settle(lsn..=lsn, State::Accepted, lsn);
        }
        Step::Holder(lsn, holder) => {
            if let Some(settled) = whole.settled.get_mut(&lsn) {
                settled.outcome_lsn = holder;
                packed.set_holder(one(lsn), holder);
            }
        }
        Step::Move(lsn, at) => {
            if let Some(settled) = whole.settled.get_mut(&lsn) {
                settled.at = at;
                packed.move_settled(lsn, at);
            }
        }
    }
}

/// Groups hold each event once, with those that are as it is, and what is counted of them.
fn check_groups(packed: &PackedEvents, whole: &Whole, all: &[EventSet]) {
    for some in all {
        let mut left = some.events;
        for group in packed.alike(*some) {
            assert_eq!(group.events & !left, 0, "twice");
            left &= !group.events;
            let these = EventSet { base: some.base, events: group.events };
            let mut counted = Counted::default();
            for live in these.lsns().map(|lsn| whole.live[&lsn]) {
                assert_eq!((live.at.place.segment, live.held), (group.segment, group.held));
                assert_eq!((live.scope, live.stage), (group.scope, group.stage));
                let one = live.counted();
                counted.count += one.count;
                counted.bytes += one.bytes;
                counted.sum += one.sum;
            }
            assert_eq!(counted, group.counted);
        }
        assert_eq!(left, 0, "left out");
    }
}

proptest! {
    #[test]
    fn they_are_the_map_that_a_tree_of_whole_events_would_be(
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let (mut packed, mut whole) = (PackedEvents::default(), Whole::default());
        for step in steps {
            apply(&mut packed, &mut whole, step);
            let live: Vec<(u64, Live)> = packed.live_between(..).collect();
            prop_assert!(live.iter().map(|(lsn, live)| (lsn, live)).eq(&whole.live));
            let settled: Vec<(u64, Settled)> = packed.settled_between(..).collect();
            prop_assert!(settled.iter().map(|(lsn, it)| (lsn, it)).eq(&whole.settled));
            prop_assert_eq!(packed.unsettled_count(), whole.live.len());
            prop_assert!(packed.chunks.values().all(|chunk| !chunk.is_empty()), "an empty chunk stays");
            for segment in 1..4 {
                let here = packed.settled_in(.., segment).flat_map(EventSet::lsns);
                let expected = whole.settled.iter().filter(|(_, it)| it.at.place.segment == segment);
                prop_assert!(here.eq(expected.map(|(lsn, _)| *lsn)));
            }
            for scope in 0..3 {
                let sets: Vec<EventSet> = packed.to_deliver(90..150, scope).collect();
                let found: Vec<u64> = sets.iter().flat_map(|some| some.lsns()).collect();
                let runs = sets.iter().flat_map(|some| some.runs());
                prop_assert_eq!(runs.flat_map(|(first, last)| first..=last).collect::<Vec<_>>(), found.clone());
                prop_assert_eq!(sets.iter().map(|some| some.count()).sum::<usize>(), found.len());
                let is_one = |live: &&Live| live.scope == scope && live.is_to_deliver();
                let expected = whole.live.range(90..150).filter(|(_, live)| is_one(live));
                prop_assert_eq!(&found, &expected.clone().map(|(lsn, _)| *lsn).collect::<Vec<_>>());
                let standing = packed.standings(90..150, (scope, 9)).into_iter();
                let whole = expected.take(9).map(|(lsn, live)| (*lsn, live.at, live.moment.wall, live.stage.state()));
                prop_assert!(standing.map(|it| (it.lsn, it.at, it.wall, it.state)).eq(whole));
            }
            let answered = packed.answered_in(.., State::Duplicate).flat_map(EventSet::lsns);
            let expected = whole.settled.iter().filter(|(_, it)| it.state == State::Duplicate);
            prop_assert!(answered.eq(expected.map(|(lsn, _)| *lsn)));
            let held = packed.holding(|held| held.begin == 1);
            let expected = whole.live.iter().filter(|(_, live)| live.held.begin == 1);
            prop_assert_eq!(held, expected.map(|(lsn, _)| *lsn).collect::<Vec<_>>());
            for some in packed.settled_in(.., 2).collect::<Vec<_>>() {
                let all = packed.by_segment(some);
                prop_assert!(all.len() == 1 && all[0].0 == 2 && all[0].1.events == some.events);
                for (holder, these) in packed.by_holder(some) {
                    prop_assert!(these.lsns().all(|lsn| whole.settled[&lsn].outcome_lsn == holder));
                }
            }
        }
    }
}

#[test]
fn chunks_of_settled_events_are_passed_over() {
    let (mut packed, chunks) = (PackedEvents::default(), 100);
    let event = {
        use proptest::strategy::ValueTree;
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        live().new_tree(&mut runner).unwrap().current()
    };
    (0..chunks * CHUNK_LSNS).for_each(|lsn| packed.put(lsn, &event));
    for chunk in 0..chunks - 1 {
        let all: Vec<EventSet> =
            packed.unsettled_in(chunk * CHUNK_LSNS..(chunk + 1) * CHUNK_LSNS).collect();
        all.into_iter().for_each(|some| packed.settle(some, State::Accepted, 1));
        assert_eq!(packed.unsettled_from, chunk + 1);
    }
    packed.put(CHUNK_LSNS + 3, &event);
    assert_eq!(packed.unsettled_from, 1, "one that moved is not passed over");
    packed.forget(one(CHUNK_LSNS + 3));
    assert_eq!(packed.unsettled_from, chunks - 1);
}

#[test]
fn events_that_wait_take_less_than_ten_bytes_each() {
    // Some milliseconds apart, and a few hundred bytes each.
    assert!(bytes_of_each(40, 256) < 10.0, "{}", bytes_of_each(40, 256));
    // 128 of them take more than a minute, and more than half a MiB of the log.
    assert!(bytes_of_each(1_000, 5_120) < 14.0, "{}", bytes_of_each(1_000, 5_120));
}

/// Memory of each of many events that come so many milliseconds after each other and have frames of so many bytes.
fn bytes_of_each(apart_ms: u64, frame_bytes: u32) -> f64 {
    let mut all = PackedEvents::default();
    let window = Window::new(60_000, onceward_index::WindowStart::FromSettle).unwrap();
    let held = SliceHold { slice: None, window, begin: 0 };
    let place = Place { segment: 1, offset: 4_096 };
    let at = Located { place, bytes: frame_bytes, lsn: 0 };
    let moment = Moment { trusted_ms: 5_000, wall: Wall::UNKNOWN };
    let mut live = Live::plain(0, held, (at, moment));
    let count = 20_000_u32;
    for lsn in 1..=u64::from(count) {
        let offset = live.at.place.offset + live.at.bytes;
        live.at = Located { lsn, place: Place { segment: 1, offset }, ..live.at };
        live.moment.trusted_ms += apart_ms;
        all.put(lsn, &live);
    }
    // A map's node has room for twice what it holds, at worst; an allocation has 16 bytes of its own.
    let in_map = 2 * (size_of::<u64>() + size_of::<usize>());
    let of_chunk = |chunk: &Chunk| chunk.allocated().map(|bytes| bytes + 16).sum::<usize>();
    let bytes: usize = all.chunks.values().map(|chunk| in_map + of_chunk(chunk)).sum();
    f64::from(u32::try_from(bytes).unwrap()) / f64::from(count)
}
