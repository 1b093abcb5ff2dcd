//! Trusted time that is moved on counts for every frame from then on, and for none before.
//! Method: append, move, append and roll; then hold what a new reading finds against the sums.

use std::collections::BTreeMap;

use onceward_wal::{KIND_HOST_MIN, KIND_RUN, Log, NewFrame, Purpose, RunBody};

use super::scenario::{fill_segment, open_sim};

fn put(log: &Log, now_ms: u64) -> u64 {
    let new = NewFrame { kind: KIND_HOST_MIN, flags: 0, parts: &[b"body"] };
    log.append(new, now_ms, Purpose::Capture).unwrap().first.get()
}

#[test]
fn time_that_is_moved_on_holds_from_the_next_frame_on_in_every_segment() {
    let disk = onceward_vfs::SimVfs::new();
    let log = open_sim(&disk);
    // Before the first frame no further run is needed.
    log.advance_trusted(7);
    let mut expected = BTreeMap::from([(put(&log, 1_000), 7)]);
    log.advance_trusted(50);
    expected.insert(put(&log, 1_500), 57);
    // Also where the run frame is repeated.
    fill_segment(&log);
    expected.insert(put(&log, 2_000), 57);
    drop(log);
    let (mut runs, mut found) = (BTreeMap::new(), BTreeMap::new());
    onceward_wal::examine(&disk, &mut |frame| {
        if frame.kind == KIND_RUN {
            let stamp = RunBody::decode(frame.body).unwrap().stamp;
            runs.insert(frame.run, stamp);
        } else if expected.contains_key(&frame.lsn.get()) {
            let stamp = runs[&frame.run];
            // What monotonic time went on, trusted time did too.
            let moved = stamp.trusted_ms.wrapping_sub(stamp.mono_ms);
            found.insert(frame.lsn.get(), moved);
        }
    })
    .unwrap();
    let first = *found.values().next().unwrap();
    let found: BTreeMap<u64, u64> =
        found.into_iter().map(|(lsn, moved)| (lsn, moved.wrapping_sub(first) + 7)).collect();
    assert_eq!(found, expected);
    assert_eq!(runs.len(), 2);
}
