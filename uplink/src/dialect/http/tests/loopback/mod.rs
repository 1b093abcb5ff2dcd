//! Each file that comes with the crate, against a server on loopback.

mod hub;
mod speakers;

use std::time::Duration;

use onceward::sync::{Form, Options, Report, Session, Step, Upstream};
use onceward::{Config, State, Store};

use self::hub::{Act, Hub};
use self::speakers::{SPEAKERS, Speaker};
use super::*;
use crate::line::{Line, Timeouts};
use crate::secret::Secret;
use crate::uploader::Uploader;

/// A store with an event under each of these keys; the server refuses that of `bad` for good.
fn store_with(folder: &tempfile::TempDir, keys: &[&str]) -> Store {
    let store = Store::open(folder.path(), Config::new()).unwrap();
    for key in keys {
        let payload = Payload::json(r#"{"amount":2450,"currency":"eur"}"#).unwrap();
        store.capture(&Event::new(Scope::default(), Key::new(key).unwrap(), payload)).unwrap();
    }
    store
}

/// An uploader of `store` to this server, whose session waits a millisecond at most.
fn uploader(speaker: &Speaker, hub: &Hub, store: &Store) -> Uploader {
    let dialect = built_in(speaker.name);
    let key = Some(Secret::new("key-of-this-terminal"));
    let line = Line::new(&hub.url(), key, Timeouts::default()).unwrap();
    let options = Options::new(Scope::default())
        .with_items_max(dialect.items_max())
        .with_backoff(Duration::from_millis(1), Duration::from_millis(1));
    Uploader::new(store.clone(), line, Box::new(dialect), options).unwrap()
}

/// One run of a new uploader.
fn run(speaker: &Speaker, hub: &Hub, store: &Store) -> Report {
    uploader(speaker, hub, store).run_once(&mut |_| ()).unwrap()
}

/// How far the event of that key is.
fn state(store: &Store, key: &str) -> State {
    store.outcome(&Scope::default(), &Key::new(key).unwrap()).unwrap().state
}

/// What every scenario is tried with: a dialect, its server with a script, and a store with events.
fn each(
    keys: &[&str],
    script: impl Fn(&Speaker) -> Vec<Act>,
    then: impl Fn(&Speaker, &Hub, &Store),
) {
    for speaker in &SPEAKERS {
        let folder = tempfile::tempdir().unwrap();
        let hub = Hub::start(speaker, script(speaker));
        then(speaker, &hub, &store_with(&folder, keys));
    }
}

#[test]
fn everything_is_delivered_once() {
    each(
        &["a", "b", "c"],
        |_| Vec::new(),
        |speaker, hub, store| {
            let report = run(speaker, hub, store);
            assert_eq!((report.accepted, report.failures), (3, 0), "{}: {report:?}", speaker.name);
            assert_eq!(
                hub.applied(),
                [("a", 1), ("b", 1), ("c", 1)].map(|(k, n)| (k.to_owned(), n))
            );
            assert_eq!(hub.requests(), speaker.requests_of_three, "{}", speaker.name);
            let outcome = store.outcome(&Scope::default(), &Key::new("b").unwrap()).unwrap();
            let receipt =
                outcome.receipt.map(|kept| String::from_utf8(kept.as_bytes().to_vec()).unwrap());
            assert_eq!(
                receipt.as_deref(),
                speaker.has_receipts.then_some("r-b"),
                "{}",
                speaker.name
            );
        },
    );
}

#[test]
fn a_batch_with_more_bytes_than_the_file_allows_is_halved_unsent() {
    let speaker = SPEAKERS.iter().find(|speaker| speaker.name == "cloudevents-batch").unwrap();
    let (_, text) = BUILT_IN.into_iter().find(|(name, _)| *name == speaker.name).unwrap();
    assert!(text.contains("bytes_max = 262144"), "control");
    let dialect = HttpDialect::from_toml(&text.replace("262144", "600")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, &["a", "b", "c", "d"]);
    let hub = Hub::start(speaker, Vec::new());
    let line = Line::new(&hub.url(), None, Timeouts::default()).unwrap();
    let options = Options::new(Scope::default())
        .with_backoff(Duration::from_millis(1), Duration::from_millis(1));
    let mut uploader = Uploader::new(store, line, Box::new(dialect), options).unwrap();
    let report = uploader.run_once(&mut |_| ()).unwrap();
    assert_eq!((report.accepted, report.rejected), (4, 0), "{report:?}");
    // Each event has over 200 bytes.
    assert_eq!(hub.requests(), 2, "two of them fit");
}

#[test]
fn one_that_is_refused_for_good_stops_no_other() {
    each(
        &["a", "bad", "c"],
        |_| Vec::new(),
        |speaker, hub, store| {
            let report = run(speaker, hub, store);
            assert_eq!((report.accepted, report.rejected), (2, 1), "{}: {report:?}", speaker.name);
            assert_eq!(state(store, "bad"), State::InReview);
            let item = store.reviews().get(&Scope::default(), &Key::new("bad").unwrap()).unwrap();
            assert_eq!(item.code, speaker.code_of_bad, "{}", speaker.name);
            assert_eq!(hub.applied().len(), 2);
        },
    );
}

#[test]
fn another_terminals_copy_takes_effect_once() {
    each(
        &["a", "b"],
        |_| Vec::new(),
        |speaker, hub, store| {
            assert_eq!(run(speaker, hub, store).accepted, 2, "{}", speaker.name);
            let folder = tempfile::tempdir().unwrap();
            let copy = store_with(&folder, &["a", "b", "c"]);
            let report = run(speaker, hub, &copy);
            let expected = if speaker.says_duplicate { (1, 2) } else { (3, 0) };
            assert_eq!((report.accepted, report.duplicate), expected, "{}", speaker.name);
            assert!(hub.applied().iter().all(|(_, times)| *times == 1));
            assert_eq!(copy.status().pending, 0);
        },
    );
}

#[test]
fn a_lost_reply_is_made_up_for() {
    each(
        &["a"],
        |_| vec![Act::LoseReply],
        |speaker, hub, store| {
            let report = run(speaker, hub, store);
            assert!(report.unreachable, "{}: {report:?}", speaker.name);
            assert_eq!(hub.applied().len(), 1, "control: it took effect");
            assert_ne!(state(store, "a"), State::Accepted, "nothing was proved");
            let report = run(speaker, hub, store);
            let expected = if speaker.says_duplicate { (0, 1) } else { (1, 0) };
            assert_eq!((report.accepted, report.duplicate), expected, "{}", speaker.name);
            assert_eq!(hub.applied(), [("a".to_owned(), 1)]);
        },
    );
}

#[test]
fn what_fails_for_now_is_accepted_later() {
    each(
        &["a"],
        |speaker| vec![Act::Say(speaker.busy)],
        |speaker, hub, store| {
            let report = run(speaker, hub, store);
            assert_eq!((report.accepted, report.rejected), (0, 0), "{}: {report:?}", speaker.name);
            assert!(!report.blocked && hub.applied().is_empty());
            assert_eq!(run(speaker, hub, store).accepted, 1, "{}", speaker.name);
            assert_eq!(store.status().in_review, 0);
        },
    );
}

#[test]
fn refused_credentials_block_and_cost_no_event() {
    each(
        &["a", "b"],
        |speaker| vec![Act::Say(speaker.blocked)],
        |speaker, hub, store| {
            let report = run(speaker, hub, store);
            assert!(report.blocked && report.accepted == 0, "{}: {report:?}", speaker.name);
            assert_eq!(store.status().in_review, 0);
            assert_eq!(run(speaker, hub, store).accepted, 2, "{}", speaker.name);
        },
    );
}

#[test]
fn a_batch_of_an_earlier_file_gets_the_name_of_the_device() {
    let speaker = SPEAKERS.iter().find(|speaker| speaker.name == "webhook").unwrap();
    let (_, text) = BUILT_IN.into_iter().find(|(name, _)| *name == "webhook").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (store, hub) = (store_with(&folder, &["a"]), Hub::start(speaker, vec![Act::LoseReply]));
    let line = Line::new(&hub.url(), None, Timeouts::default()).unwrap();
    let earlier = text.replace("{device_id}", "till-7");
    let dialect = HttpDialect::from_toml(&earlier).unwrap();
    assert_eq!(dialect.settings(), "", "control");
    let options = Options::new(Scope::default());
    let mut first = Uploader::new(store.clone(), line, Box::new(dialect), options).unwrap();
    assert!(first.run_once(&mut |_| ()).unwrap().unreachable);
    drop(first);
    // The server looks at the header.
    assert_eq!(run(speaker, &hub, &store).duplicate, 1);
}

#[test]
fn what_cannot_be_sent_as_it_is_asks_for_nothing_and_nothing_is_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, &["a"]);
    for (settings, is_sent) in [("till-7", true), ("\u{e9}", false)] {
        let dialect = std::sync::Arc::new(built_in("webhook"));
        let own = std::sync::Arc::clone(&dialect);
        let form: Form = std::sync::Arc::new(move |event, key, item| own.form(event, key, item));
        let upstream = Upstream::new(settings, "webhook").unwrap();
        let options =
            Options::new(Scope::default()).with_settings(settings).with_upstream(upstream);
        let mut session = Session::start(&store, options, form).unwrap();
        let Step::Send(batch) = session.next(0).unwrap() else { panic!("an event waits") };
        let request = dialect.request(&batch);
        assert_eq!(request.body.is_empty(), !is_sent, "{request:?}");
        assert_eq!(request.path, if is_sent { "/hook" } else { "/" });
        assert_eq!(dialect.decode(&batch, &Response::new(200, "")).is_ok(), is_sent);
    }
}

#[test]
fn an_answer_of_somebody_else_proves_nothing() {
    const PAGE: &str = "Content-Type: text/html\r\n\r\n<html><title>Log in</title></html>";
    for status in ["302 Found", "404 Not Found", "400 Bad Request", "502 Bad Gateway"] {
        each(
            &["a"],
            |_| vec![Act::Say((status, PAGE))],
            |speaker, hub, store| {
                let report = run(speaker, hub, store);
                assert!(
                    report.unreachable && !report.blocked,
                    "{} {status}: {report:?}",
                    speaker.name
                );
                assert_eq!((report.accepted, store.status().in_review), (0, 0), "{}", speaker.name);
                assert_eq!(run(speaker, hub, store).accepted, 1, "{}", speaker.name);
            },
        );
    }
    let of_json = SPEAKERS.iter().filter(|speaker| !speaker.ignores_bodies);
    for (speaker, body) in of_json.flat_map(|speaker| {
        let cut =
            "Content-Type: application/json\r\n\r\n{\"results\":[{\"id\":\"a\",\"status\":\"acc";
        [PAGE, "\r\n", "\r\n{}", "\r\nnull", cut].map(|body| (speaker, body))
    }) {
        let folder = tempfile::tempdir().unwrap();
        let hub = Hub::start(speaker, vec![Act::Say(("200 OK", body))]);
        let store = store_with(&folder, &["a"]);
        let report = run(speaker, &hub, &store);
        assert!(report.unreachable && report.accepted == 0, "{} {body}: {report:?}", speaker.name);
        assert_ne!(state(&store, "a"), State::Accepted);
        assert_eq!(run(speaker, &hub, &store).accepted, 1, "{}", speaker.name);
    }
}

#[test]
fn the_terminals_key_goes_where_the_file_says() {
    each(
        &["a"],
        |_| Vec::new(),
        |speaker, hub, store| {
            assert_eq!(run(speaker, hub, store).accepted, 1);
            let head = hub.last_head().to_ascii_lowercase();
            let expected = if speaker.name == "webhook" {
                "x-webhook-key: key-of-this-terminal"
            } else {
                "authorization: bearer key-of-this-terminal"
            };
            assert!(head.contains(expected), "{head}");
            assert_eq!(head.matches("key-of-this-terminal").count(), 1, "{head}");
        },
    );
}
