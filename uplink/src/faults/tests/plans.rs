//! What a request meets follows from the script, the seed and its number, and from nothing else.
//!
//! Method: draw plans twice, and read scripts that mean nothing.

use std::collections::BTreeMap;

use super::super::{Argument, Draw, Fault, Plan, TABLE, Weights};

/// The draws of the first thousand requests.
fn draws(plan: &Plan) -> Vec<Draw> {
    (1..=1_000).map(|number| plan.draw(number)).collect()
}

#[test]
fn the_same_seed_gives_the_same_faults_and_another_does_not() {
    let plan = |seed| Plan::seeded(seed, Weights::default());
    assert_eq!(draws(&plan(7)), draws(&plan(7)));
    assert_ne!(draws(&plan(7)), draws(&plan(8)));
    let backwards: Vec<_> = (1..=1_000).rev().map(|number| plan(7).draw(number)).collect();
    assert_eq!(draws(&plan(7)), backwards.into_iter().rev().collect::<Vec<_>>());
}

#[test]
fn a_seed_gives_every_fault_and_leaves_half_of_the_requests_alone() {
    let mut counts = BTreeMap::new();
    for draw in draws(&Plan::seeded(1, Weights::default())) {
        *counts.entry(draw.injection.fault()).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), TABLE.len() - 2, "all but delay and rate: {counts:?}");
    assert!((400..600).contains(&counts[&Fault::Pass]), "{counts:?}");
}

#[test]
fn a_seed_gives_every_shape_of_retry_after_unless_it_is_told_one() {
    let shapes = |injection: &str| {
        let plan = Plan::seeded(1, Weights::of([(injection.parse().unwrap(), 1)]));
        let mut shapes: Vec<_> = draws(&plan)
            .iter()
            .map(|draw| draw.injection.value(Argument::RetryAfter).to_owned())
            .collect();
        shapes.sort();
        shapes.dedup();
        shapes
    };
    let all = ["0", "1", "absent", "date", "garbage", "huge", "negative"];
    assert_eq!(shapes("status_503"), all);
    assert_eq!(shapes("status_503 retry_after=9"), ["9"]);
}

#[test]
fn weights_of_nothing_are_no_fault() {
    for weights in [Weights::of([]), Weights::of([(Fault::Reset.into(), 0)])] {
        assert_eq!(Plan::seeded(1, weights).draw(1).injection, Fault::Pass.into());
    }
}

#[test]
fn the_first_line_that_names_a_request_decides_and_the_line_is_as_slow_as_all_say() {
    let script = "
        # A comment, and lines without anything.

        2     lost_reply  # Another.
        2-3   reset
        every 4 hang
        *     delay ms=10
        3     delay ms=30
        5     pass
        2-9   rate bytes_per_s=1000
    ";
    use Fault::{Hang, LostReply, Pass, Reset, Twice};
    let plan = Plan::script(script).unwrap();
    let plan = plan.or_seeded(1, Weights::of([(Twice.into(), 1)]));
    let faults: Vec<_> = (1..=8).map(|number| plan.draw(number).injection.fault()).collect();
    assert_eq!(faults, [Twice, LostReply, Reset, Hang, Pass, Twice, Twice, Hang]);
    let ms: Vec<_> = (1..=4).map(|number| plan.draw(number).shape.delay.as_millis()).collect();
    assert_eq!(ms, [10, 10, 30, 10]);
    assert_eq!(plan.draw(1).shape.bytes_per_s, None);
    assert_eq!(plan.draw(9).shape.bytes_per_s.unwrap().get(), 1000);
}

#[test]
fn a_script_that_means_nothing_is_refused_by_line_and_field() {
    let table = [
        ("1 pass\n\n2 lost_socks", 3, "lost_socks"),
        ("1 pass ms=1", 1, "ms=1"),
        ("# fine\n* status_503 retry_after=soon", 2, "retry_after=soon"),
        ("* status_503 2", 1, "2"),
        ("0 pass", 1, "0"),
        ("3-2 pass", 1, "3-2"),
        ("1-x pass", 1, "x"),
        ("every 0 pass", 1, "0"),
        ("every", 1, ""),
        ("each 7 pass", 1, "each"),
        ("-3 pass", 1, ""),
        ("7", 1, ""),
    ];
    for (script, line, field) in table {
        let error = Plan::script(script).unwrap_err();
        assert_eq!((error.line(), error.field()), (Some(line), field), "{script}: {error}");
        assert!(error.to_string().starts_with(&format!("line {line}, {field:?}: ")));
    }
}
