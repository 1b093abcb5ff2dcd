//! What a reply says of the upstream itself.

use super::*;

/// A day on which no test runs.
const ELSEWHEN: &str = "Date: Tue, 10 Mar 2020 14:22:05 GMT\r\n";

#[test]
fn the_clock_of_an_upstream_that_answers_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 1);
    let hub = Hub::start(&[Act::Tell(ELSEWHEN)]);
    assert_eq!(store.server_offset(), None);
    hub.uploader(&store).run_once(&mut |_| ()).unwrap();
    let offset = store.server_offset().unwrap();
    let range = Duration::from_millis(500)..Duration::from_secs(20);
    assert!(range.contains(&offset.uncertainty), "{offset:?}");
    let wall_ms = crate::clock::wall_ms() + offset.offset_ms;
    let off_ms = u64::try_from(wall_ms - 1_583_850_125_000).unwrap();
    assert!(off_ms < 60_000, "{offset:?}");
}

#[test]
fn an_answer_without_a_date_and_one_that_is_none_tell_no_time() {
    for act in [
        Act::Answer,
        Act::RefuseTelling(200, ELSEWHEN),
        Act::RefuseTelling(503, ELSEWHEN),
        Act::RefuseTelling(302, ELSEWHEN),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(&folder, 1);
        let hub = Hub::start(&[act]);
        hub.uploader(&store).run_once(&mut |_| ()).unwrap();
        assert_eq!(hub.requests.try_iter().count(), 1, "control: it was asked");
        assert_eq!(store.server_offset(), None, "{act:?}");
    }
}

#[test]
fn what_was_attempted_is_not_sent_again_once_the_upstream_says_that_it_forgets() {
    for (act, state_then) in [
        (Act::Tell("Onceward-Horizon: 2592000\r\n"), State::Accepted),
        (Act::Tell("Onceward-Horizon: 0\r\n"), State::Uncertain),
        // Whoever says this is not the upstream.
        (Act::RefuseTelling(503, "Onceward-Horizon: 0\r\n"), State::Accepted),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = store_with(&folder, 3);
        // Of three requests with one event each the second has no answer.
        let hub = Hub::start(&[act, Act::Refuse(503)]);
        let uploader = hub.uploader_with(&store, options().with_items_max(1)).spawn().unwrap();
        until(&uploader, |report| report.accepted + report.rejected == 3);
        uploader.stop().unwrap();
        let states = ["k0", "k1", "k2"].map(|key| state(&store, key));
        assert!(states.contains(&state_then), "{act:?}: {states:?}");
        let uncertain = states.iter().filter(|state| **state == State::Uncertain).count();
        assert_eq!(uncertain, usize::from(state_then == State::Uncertain), "{act:?}: {states:?}");
    }
}
