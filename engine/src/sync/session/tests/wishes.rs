//! What an upstream asks for in whatever form is kept, and what another one may have taken is told.

use super::identity::{capture, once, refuse_for_now};
use super::*;
use crate::sync::{Answered, Failure, Upstream};
use crate::testing::Rig;

/// Whatever form it comes in: the upstream said it in its own format.
#[test]
fn a_wish_of_what_works_on_it_or_fails_every_item_is_kept_too() {
    let all = |wish| ItemOutcome::Transient { code: "BUSY".to_owned(), retry_after_ms: wish };
    for is_in_progress in [false, true] {
        let store = Rig::new().open();
        capture(&store, "default", "k");
        let mut session = Session::start(&store, once("default"), payloads()).unwrap();
        let Step::Send(sent) = session.next(0).unwrap() else { panic!("an event waits") };
        if is_in_progress {
            let failure = Failure::InProgress { retry_after_ms: Some(600_000) };
            session.on_failure(sent.id, &failure, 0).unwrap();
        } else {
            let reply = Reply::of(vec![("k".to_owned(), all(Some(600_000)))]);
            session.on_reply(sent.id, &reply, 0).unwrap();
        }
        drop(session);
        assert!(!refuse_for_now(&store, once("default"), Answered::Upstream), "{is_in_progress}");
    }
}

#[test]
fn what_another_upstream_may_have_taken_is_told_when_it_goes_to_this_one() {
    let store = Rig::new().open();
    capture(&store, "default", "k");
    let mut session = Session::start(&store, once("default"), payloads()).unwrap();
    assert!(matches!(session.next(0).unwrap(), Step::Send(_)), "and no reply comes");
    drop(session);
    for (dialect, readdressed) in [("wede", 0), ("forloy", 1)] {
        let upstream = Upstream::new("https://hub.example", dialect).unwrap();
        let mut session =
            Session::start(&store, once("default").with_upstream(upstream), payloads()).unwrap();
        assert!(matches!(session.next(0).unwrap(), Step::Send(_)));
        assert_eq!(session.report().readdressed, readdressed, "{dialect}");
    }
}
