//! The table of outcomes is a map, in fewer pieces.

use super::*;
use proptest::prelude::*;

const STATES: [State; 3] = [State::Accepted, State::Duplicate, State::Rejected];

fn spans(outcomes: &Outcomes) -> Vec<(u64, u64, State, u64)> {
    let spans = outcomes.spans.iter();
    spans.map(|(first, s)| (*first, s.last, s.outcome.state, s.outcome.holder)).collect()
}

/// Events 10 to 19, accepted, their keys in frame 50.
fn ten() -> Outcomes {
    let mut outcomes = Outcomes::default();
    (10..20).for_each(|lsn| outcomes.set(lsn, State::Accepted, 50));
    assert_eq!(spans(&outcomes), [(10, 19, State::Accepted, 50)], "control");
    outcomes
}

#[test]
fn neighbours_with_one_outcome_share_a_span_in_whatever_order_they_come() {
    for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        let mut outcomes = Outcomes::default();
        order.into_iter().for_each(|lsn| outcomes.set(lsn, State::Duplicate, 9));
        assert_eq!(spans(&outcomes), [(1, 3, State::Duplicate, 9)], "{order:?}");
    }
}

#[test]
fn neighbours_with_another_state_or_another_holder_are_apart() {
    let mut outcomes = ten();
    outcomes.set(20, State::Duplicate, 50);
    outcomes.set(9, State::Accepted, 51);
    outcomes.set(22, State::Duplicate, 50);
    assert_eq!(outcomes.len(), 4);
    assert_eq!(outcomes.get(21), None);
    outcomes.set(21, State::Duplicate, 50);
    assert_eq!(outcomes.len(), 3, "20 to 22 are one now");
}

#[test]
fn another_outcome_splits_a_span_and_the_old_one_mends_it() {
    for lsn in [10, 14, 19] {
        let mut outcomes = ten();
        outcomes.set(lsn, State::Rejected, 50);
        assert_eq!(outcomes.len(), if lsn == 14 { 3 } else { 2 }, "{lsn}");
        for other in 10..20 {
            let state = if other == lsn { State::Rejected } else { State::Accepted };
            assert_eq!(outcomes.get(other), Some(CarriedOutcome { state, holder: 50 }), "{other}");
        }
        outcomes.set(lsn, State::Accepted, 50);
        assert_eq!(spans(&outcomes), [(10, 19, State::Accepted, 50)], "{lsn}");
    }
}

/// What cleaning does: the keys move to another frame one by one, and then the old frame goes.
#[test]
fn outcomes_that_moved_to_another_holder_outlive_the_old_one() {
    let mut outcomes = ten();
    (10..20).filter(|lsn| *lsn != 15).for_each(|lsn| outcomes.set(lsn, State::Accepted, 60));
    outcomes.retain_holders(|holder| holder != 50);
    let expected = [(10, 14, State::Accepted, 60), (16, 19, State::Accepted, 60)];
    assert_eq!(spans(&outcomes), expected);
    outcomes.retain_holders(|holder| holder != 60);
    assert_eq!(outcomes.len(), 0);
}

#[test]
fn the_first_and_the_last_number_are_numbers_as_any_other() {
    for edge in [0, 1, u64::MAX - 1, u64::MAX] {
        let near = edge.saturating_sub(1)..=edge.saturating_add(1);
        let mut outcomes = Outcomes::default();
        near.clone().for_each(|lsn| outcomes.set(lsn, State::Accepted, u64::MAX));
        let whole = [(*near.start(), *near.end(), State::Accepted, u64::MAX)];
        assert_eq!(spans(&outcomes), whole, "{edge}");
        outcomes.set(edge, State::Duplicate, 1);
        let found = outcomes.get(edge);
        assert_eq!(found, Some(CarriedOutcome { state: State::Duplicate, holder: 1 }), "{edge}");
        outcomes.forget(edge..=edge);
        assert_eq!(outcomes.get(edge), None, "{edge}");
        let count = near.clone().filter(|lsn| outcomes.get(*lsn).is_some()).count();
        assert_eq!(count, near.clone().count() - 1, "{edge}");
        outcomes.forget(0..=u64::MAX);
        assert_eq!(outcomes.len(), 0);
    }
}

proptest! {
    #[test]
    fn it_behaves_as_a_map_with_as_few_spans_as_that_has_runs(
        is_at_end in any::<bool>(),
        steps in proptest::collection::vec((0..12_u8, 0..24_u64, 0..6_u64, 0..3_usize), 0..120),
    ) {
        // The same numbers at the beginning and at the end of the number space.
        let base = if is_at_end { u64::MAX - 23 } else { 0 };
        let mut outcomes = Outcomes::default();
        let mut map: BTreeMap<u64, CarriedOutcome> = BTreeMap::new();
        for (step, number, more, state) in steps {
            let (lsn, holder, state) = (base + number, more % 3, STATES[state]);
            let to = lsn.saturating_add(more);
            match step {
                0 => {
                    outcomes.retain_holders(|other| other != holder);
                    map.retain(|_, outcome| outcome.holder != holder);
                }
                1 | 2 => {
                    outcomes.forget(lsn..=to);
                    map.retain(|other, _| !(lsn..=to).contains(other));
                }
                3 => {
                    for lsn in lsn..=to.min(base + 23) {
                        outcomes.set(lsn, state, holder);
                        map.insert(lsn, CarriedOutcome { state, holder });
                    }
                }
                _ => {
                    outcomes.set(lsn, state, holder);
                    map.insert(lsn, CarriedOutcome { state, holder });
                }
            }
            for lsn in base..=base + 23 {
                prop_assert_eq!(outcomes.get(lsn), map.get(&lsn).copied(), "{}", lsn);
            }
            let continues = |lsn: &u64| {
                lsn.checked_sub(1).is_some_and(|before| map.get(&before) == map.get(lsn))
            };
            prop_assert_eq!(outcomes.len(), map.keys().filter(|lsn| !continues(lsn)).count());
        }
    }
}
