//! Segments go in any order, and the log still says the same. (`FORMAT.md`, "What must stay".)

use std::collections::BTreeMap;

use onceward_vfs::Survival;

use crate::capture::Effect;
use crate::review::ReviewFilter;
use crate::sync::payloads;
use crate::sync::{Session, Step};
use crate::testing::draw::Draw;
use crate::testing::{Rig, event, key, keys, receipt, sales, sized_event};
use crate::{Answer, Settlement};
use crate::{Lane, State, Store};

fn answer(store: &Store, n: u64, answer: Answer) {
    store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
}

fn accept(store: &Store, n: u64) {
    answer(store, n, Answer::Accepted { receipt: Some(receipt(n)) });
}

fn reject(store: &Store, n: u64) {
    let (code, message) = (format!("NO_{n}"), "m".to_owned());
    answer(store, n, Answer::Rejected { code, message, reply: b"r".to_vec() });
}

/// Fills what is left of a segment with events that are settled at once.
fn fill(store: &Store, next: &mut u64) {
    let last = || store.inner.log.segments().last().map_or(0, |it| it.number);
    let begun = last();
    while last() == begun {
        *next += 1;
        store.capture(&sized_event(*next, 40_000)).unwrap();
        accept(store, *next);
    }
}

/// Everything that a host can ask, of events below `end`.
fn told(store: &Store, end: u64) -> BTreeMap<u64, (State, Option<u64>, Option<String>)> {
    let told = |n| {
        let outcome = store.outcome(&sales(), &key(n)).unwrap();
        let receipt = outcome.receipt.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
        (n, (outcome.state, outcome.lsn.map(|lsn| lsn.get()), receipt))
    };
    (0..end).map(told).collect()
}

/// Cleans segment `number`, whatever lives in it.
fn clean(store: &Store, number: u64) -> bool {
    store.inner.cleaner().clean_one(number).unwrap()
}

fn has(store: &Store, number: u64) -> bool {
    store.inner.log.segments().iter().any(|it| it.number == number)
}

/// The event stays where it is, and the segment with its answer goes first: it is not sent again.
#[test]
fn an_answer_may_not_go_before_the_event_that_it_settles() {
    for expired in [false, true] {
        let mut rig = Rig::new();
        rig.config.cleaning_slack_segments = u64::MAX;
        let store = rig.open();
        let mut next = 1_000;
        store.capture_batch(&(0..4).map(event).collect::<Vec<_>>()).unwrap();
        let first = store.inner.log.segments()[0].number;
        fill(&store, &mut next);
        accept(&store, 0);
        reject(&store, 1);
        store.reviews().resolve(&sales(), &key(1), "note").unwrap();
        reject(&store, 2);
        store.reviews().retry(&sales(), &key(2)).unwrap();
        let second = store.inner.log.segments().last().unwrap().number;
        fill(&store, &mut next);
        if expired {
            rig.clock.advance(3 * crate::testing::WINDOW_MS);
            store.tick().unwrap();
            // The key is free, and comes again before the old answer moves behind it.
            store.capture(&event(0)).unwrap();
        }
        let before = told(&store, 4);
        assert!(clean(&store, second) && has(&store, first) && !has(&store, second));
        assert_eq!(told(&store, 4), before);
        let store = rig.after_kill().open();
        assert_eq!((store.recovery().damage.clone(), told(&store, 4)), (vec![], before.clone()));
        let pending = keys(&store.pending(&sales(), None, 99).unwrap());
        let expected: &[&str] = if expired { &["k2", "k3", "k0"] } else { &["k2", "k3"] };
        assert_eq!(pending, expected);
        // Then the first goes, and what was carried for it need not be carried on.
        assert!(clean(&store, first));
        assert_eq!(told(&store, 4), before);
    }
}

/// The power goes at each operation of a cleaning that takes the younger segment first.
#[test]
fn a_cleaning_out_of_order_that_is_cut_anywhere_takes_no_answer_back() {
    let mut rig = Rig::new();
    rig.config.cleaning_slack_segments = u64::MAX;
    let store = rig.open();
    let mut next = 1_000;
    store.capture_batch(&(0..6).map(event).collect::<Vec<_>>()).unwrap();
    let first = store.inner.log.segments()[0].number;
    fill(&store, &mut next);
    accept(&store, 0);
    (1..4).for_each(|n| reject(&store, n));
    store.reviews().resolve(&sales(), &key(1), "note").unwrap();
    store.reviews().retry(&sales(), &key(2)).unwrap();
    let waiting = store.inner.events().waiting(&sales(), 0, 9);
    store.inner.events().form_batches(crate::testing::options().route(), 0, &[waiting]).unwrap();
    let second = store.inner.log.segments().last().unwrap().number;
    fill(&store, &mut next);
    let look = |store: &Store| {
        let open = store.inner.events().open_batches(&sales());
        let open: Vec<_> = open.into_iter().map(|it| (it.number, it.events)).collect();
        (told(store, next), store.reviews().list(&ReviewFilter::new()).unwrap(), open)
    };
    let before = look(&store);
    drop(store);
    let clean_all = |store: &Store| {
        [second, first]
            .into_iter()
            .try_for_each(|number| store.inner.cleaner().clean_one(number).map(|_went| ()))
    };
    let control = rig.after_kill();
    let store = control.open();
    let opened = control.disk.op_count();
    clean_all(&store).unwrap();
    assert!(!has(&store, first) && !has(&store, second), "control");
    let cuts: Vec<u64> =
        control.disk.changing_ops().into_iter().filter(|op| *op >= opened).collect();
    assert!(cuts.len() > 10, "{cuts:?}");
    for op in cuts {
        for survival in [
            Survival::Nothing,
            Survival::Everything,
            Survival::Seeded { seed: op, sector_bytes: 512 },
        ] {
            let cut = rig.after_kill();
            let store = cut.open();
            cut.disk.cut_power_at(op);
            // Nobody hears of a summary that could not be removed.
            drop(clean_all(&store));
            assert!(cut.disk.is_cut(), "op {op}");
            drop(store);
            let rig = cut.after_power_cut(&survival);
            let store = rig.open();
            assert_eq!(store.recovery().damage, [], "op {op}, {survival:?}");
            assert_eq!(look(&store), before, "op {op}, {survival:?}");
            // What was left half done is finished in either order.
            let mut numbers = [first, second];
            numbers.rotate_left(usize::from(op.is_multiple_of(2)));
            numbers.into_iter().for_each(|number| {
                clean(&store, number);
            });
            assert!(!has(&store, first) && !has(&store, second), "op {op}, {survival:?}");
            drop(store);
            assert_eq!(look(&rig.open()), before, "op {op}, {survival:?}, finished");
        }
    }
}

/// T39: a batch that is closed is not sent again, whatever goes first.
#[test]
fn a_closed_batch_stays_closed_when_the_frame_that_closed_it_goes_first() {
    let mut rig = Rig::new();
    rig.config.cleaning_slack_segments = u64::MAX;
    let store = rig.open();
    let mut next = 1_000;
    store.capture_batch(&(0..4).map(event).collect::<Vec<_>>()).unwrap();
    let lsns: Vec<u64> =
        store.pending(&sales(), None, 9).unwrap().iter().map(|event| event.lsn.get()).collect();
    let formed = store
        .inner
        .events()
        .form_batches(crate::testing::options().route(), 0, std::slice::from_ref(&lsns))
        .unwrap();
    let first = store.inner.log.segments()[0].number;
    fill(&store, &mut next);
    // Split in two, of which the first is answered for one event.
    let parts = [lsns[..2].to_vec(), lsns[2..].to_vec()];
    let parts = store
        .inner
        .events()
        .form_batches(crate::testing::options().route(), formed[0].number, &parts)
        .unwrap();
    let second = store.inner.log.segments().last().unwrap().number;
    fill(&store, &mut next);
    {
        let _one_at_a_time = store.inner.control.lock();
        let accepted = Answer::Accepted { receipt: None };
        store.inner.events().settle_events(parts[0].number, &[(lsns[0], &accepted)]).unwrap();
    }
    let third = store.inner.log.segments().last().unwrap().number;
    fill(&store, &mut next);
    let look = |store: &Store| {
        let open = store.inner.events().open_batches(&sales());
        let open: Vec<_> = open.into_iter().map(|it| (it.number, it.events)).collect();
        (open, store.inner.events().waiting(&sales(), 0, 99), told(store, 4))
    };
    let before = look(&store);
    assert_eq!(before.0, [(parts[1].number, lsns[2..].to_vec())], "control");
    for order in [[third, second, first], [second, third, first], [second, first, third]] {
        let rig = rig.after_kill();
        let mut store = rig.open();
        for number in order {
            assert!(clean(&store, number), "{order:?}");
            assert_eq!(look(&store), before, "{order:?}");
            drop(store);
            store = rig.open();
            assert_eq!(look(&store), before, "{order:?}: {number} is gone, reopened");
        }
        let mut session = Session::start(&store, crate::testing::options(), payloads()).unwrap();
        let Step::Send(batch) = session.next(0).unwrap() else { panic!("nothing to send") };
        assert_eq!(batch.item_keys(), ["k2", "k3"]);
    }
}

/// A store to which random things happen.
struct World {
    draw: Draw,
    rig: Rig,
    store: Option<Store>,
    /// Number of the next event that only fills.
    filler: u64,
    /// Events so far.
    events: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rig = Rig::new();
        rig.config.cleaning_slack_segments = u64::MAX;
        let draw = Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let store = Some(rig.open());
        Self { draw, rig, store, filler: 10_000, events: 0 }
    }

    fn store(&self) -> Store {
        self.store.clone().unwrap()
    }

    fn step(&mut self) {
        let (store, events) = (self.store(), self.events);
        match self.draw.below(10) {
            0 | 1 => {
                let count = 1 + self.draw.below(4);
                let new: Vec<_> = (events..events + count).map(event).collect();
                store.capture_batch(&new).unwrap();
                self.events += count;
            }
            2 => {
                let effect = Effect { event: event(events), receipt: receipt(events) };
                store.apply_batch(&[effect]).unwrap();
                self.events += 1;
            }
            3 if events > 0 => accept(&store, self.draw.below(events)),
            4 if events > 0 => reject(&store, self.draw.below(events)),
            5 => self.decide(&store),
            6 => self.send(&store),
            7 | 8 => {
                drop(store);
                self.clean();
            }
            _ => {
                self.rig.clock.advance(self.draw.below(crate::testing::WINDOW_MS / 8));
                store.tick().unwrap();
            }
        }
    }

    fn decide(&mut self, store: &Store) {
        let reviews = store.reviews().list(&ReviewFilter::new()).unwrap();
        let Some(item) = reviews.first() else { return };
        if self.draw.below(2) == 0 {
            store.reviews().retry(&item.scope, &item.key).unwrap();
        } else {
            store.reviews().resolve(&item.scope, &item.key, "note").unwrap();
        }
    }

    /// Forms a batch, and closes the oldest, of which half is accepted.
    fn send(&mut self, store: &Store) {
        let waiting = store.inner.events().waiting(&sales(), 0, 3);
        if !waiting.is_empty() {
            store
                .inner
                .events()
                .form_batches(crate::testing::options().route(), 0, &[waiting])
                .unwrap();
        }
        let open = store.inner.events().open_batches(&sales());
        let Some(batch) = open.first().filter(|_| self.draw.below(2) == 0) else { return };
        let _one_at_a_time = store.inner.control.lock();
        let accepted = Answer::Accepted { receipt: None };
        let half = &batch.events[..batch.events.len() / 2];
        let some: Vec<_> = half.iter().map(|lsn| (*lsn, &accepted)).collect();
        store.inner.events().settle_events(batch.number, &some).unwrap();
    }

    /// Cleans any segment, whatever lives in it; sometimes the power goes.
    fn clean(&mut self) {
        let store = self.store();
        if self.draw.below(3) == 0 {
            fill(&store, &mut self.filler);
        }
        let segments = store.inner.log.segments();
        let finished = &segments[..segments.len().saturating_sub(1)];
        if finished.is_empty() {
            return;
        }
        let which = self.draw.below(finished.len() as u64);
        let number = finished[usize::try_from(which).unwrap()].number;
        if self.draw.below(3) > 0 {
            clean(&store, number);
            return;
        }
        self.rig.disk.cut_power_at(self.rig.disk.op_count() + self.draw.below(14));
        store.inner.cleaner().clean_one(number).ok();
        drop(store);
        self.store = None;
        let survival = Survival::Seeded { seed: self.draw.0, sector_bytes: 512 };
        self.rig.disk = self.rig.disk.after_power_cut(&survival);
        self.store = Some(self.rig.open());
    }
}

/// Random calls, random segments cleaned whatever lives in them, cuts in between: a restart answers
/// as before.
fn at_random(seed: u64) {
    let mut world = World::new(seed);
    let look = |world: &World| {
        let store = world.store();
        let open = store.inner.events().open_batches(&sales());
        let open: Vec<_> = open.into_iter().map(|it| (it.number, it.events)).collect();
        let pending = keys(&store.pending(&sales(), None, 999).unwrap());
        (
            told(&store, world.events),
            store.reviews().list(&ReviewFilter::new()).unwrap(),
            open,
            pending,
        )
    };
    for step in 0..60 {
        world.step();
        if world.draw.below(4) == 0 {
            let before = look(&world);
            world.store = None;
            let store = world.rig.open();
            assert_eq!(store.recovery().damage, [], "seed {seed}, step {step}");
            world.store = Some(store);
            assert_eq!(look(&world), before, "seed {seed}, step {step}");
        }
    }
}

#[test]
fn whatever_segments_go_in_whatever_order_a_restart_answers_the_same() {
    (1..=60).for_each(at_random);
}

/// Replay meets the carried frame of an early event behind later ones of its lane.
#[test]
fn the_order_of_a_lane_outlives_the_segment_of_its_first_event() {
    let rig = Rig::new();
    let store = rig.open();
    let of_lane = |n| event(n).with_lane(Lane::new("card").unwrap());
    let mut next = 1_000;
    store.capture(&of_lane(1)).unwrap();
    let first = store.inner.log.segments()[0].number;
    fill(&store, &mut next);
    store.capture(&of_lane(2)).unwrap();
    clean(&store, first);
    assert!(!has(&store, first), "control");
    let (one, two) = (lsn_of(&store, 1), lsn_of(&store, 2));
    drop(store);
    let store = rig.open();
    assert_eq!(store.inner.events().waiting(&sales(), 0, 9), [one]);
    accept(&store, 1);
    assert_eq!(store.inner.events().waiting(&sales(), 0, 9), [two]);
}

fn lsn_of(store: &Store, n: u64) -> u64 {
    store.outcome(&sales(), &key(n)).unwrap().lsn.unwrap().get()
}
