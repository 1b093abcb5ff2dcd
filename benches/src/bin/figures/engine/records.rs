//! Calls that take effect once: a lease and a record, and the answer of one that is done.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use onceward::records::{LeaseReply, LeaseRequest};
use onceward::{Payload, Scope};
use onceward_benches::engine::bare::Bare;
use onceward_benches::engine::events::event_key;
use onceward_benches::engine::till::Till;
use onceward_benches::pairing::{Extent, Slice, paired};
use onceward_benches::spread::Spread;

use super::{Setting, sides};
use crate::figure::{Asked, Detail, Must, Sheet};

/// Both halves of a call.
const CALL: Asked = Asked {
    figure: "begin_and_complete",
    unit: "times one durable append",
    must: Must::AtMost(2.2),
};
/// The answer of a call that is done.
const CACHED: Asked = Asked { figure: "cached", unit: "us, without disk", must: Must::AtMost(5.0) };
/// Calls of a slice.
const CALLS: usize = 100;
/// Answers of a round.
const ANSWERS: usize = 20_000;

/// Measures both.
pub(super) fn measure(sheet: &mut Sheet, setting: &Setting<'_>) -> Result<(), Box<dyn Error>> {
    if !sheet.wants(CALL) && !sheet.wants(CACHED) {
        return Ok(());
    }
    let dir = setting.dir.join("records");
    let till = Till::with_keys(&dir.join("till"), 0)?;
    let mut next = 0;
    if sheet.wants(CALL) {
        let mut bare = Bare::create(&dir.join("bare"), CALLS)?;
        let turns = paired(
            setting.plan,
            || called(&till, &mut next),
            || {
                bare.trim();
                Extent::Times(CALLS).of(1, |number| bare.append(number, 1))
            },
        )?;
        sheet.add(CALL, turns.cost(), sides(&turns))?;
    }
    if sheet.wants(CACHED) {
        called(&till, &mut next);
        let rounds: Vec<f64> = (0..setting.plan.rounds).map(|_| answered(&till, next)).collect();
        sheet.add(CACHED, Spread::of(&rounds).ok_or("no round")?, Detail::default())?;
    }
    drop(till);
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// A question for the call with this number.
fn question(number: u64) -> LeaseRequest {
    LeaseRequest::new(Scope::default(), event_key(number))
}

/// Begins and completes new calls, one after the other.
fn called(till: &Till, next: &mut u64) -> Slice {
    let body = Payload::json(r#"{"status":"paid"}"#).unwrap();
    let calls: Vec<LeaseRequest> = (*next..).take(CALLS).map(question).collect();
    *next += CALLS as u64;
    let began = Instant::now();
    for call in &calls {
        let LeaseReply::Acquired(lease) = till.store.records().begin(black_box(call)).unwrap()
        else {
            panic!("a new call is acquired");
        };
        till.store.records().complete(&lease, &body).unwrap();
    }
    Slice { seconds: began.elapsed().as_secs_f64(), events: CALLS as f64 }
}

/// Microseconds for an answer of a call that is done; the last ones of which there are some.
fn answered(till: &Till, next: u64) -> f64 {
    let calls: Vec<LeaseRequest> = (next - CALLS as u64..next).map(question).collect();
    let began = Instant::now();
    for call in calls.iter().cycle().take(ANSWERS) {
        let begun = till.store.records().begin(black_box(call)).unwrap();
        assert!(matches!(begun, LeaseReply::Cached(_)));
    }
    began.elapsed().as_secs_f64() * 1e6 / ANSWERS as f64
}
