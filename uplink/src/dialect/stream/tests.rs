//! The terminal's side of `PROTOCOL.md`: its bytes, and what it takes from each answer of its dialogues.

use std::sync::Arc;

use onceward::sync::{Form, ItemOutcome};
use onceward::testing::{Turn, dialogues, golden, turns};
use onceward::wire::StreamSlice;
use onceward::{Event, Headers, Key, Kind, Lane, Lsn, Payload, Scope};

use super::*;

const PROTOCOL: &str = include_str!("../../../PROTOCOL.md");
/// The batch of the example in the document.
const BATCH_KEY: &str = "00112233445566778899aabbccddeeff-00000000000000a1-15";

fn form() -> Form {
    Arc::new(|event, key, item| Onceward::new().form(event, key, item))
}

fn slice_named(name: &str) -> Vec<u8> {
    golden(PROTOCOL, &format!("slice-{name}"))
}

/// The batch whose slice has this name in the document.
fn batch(key: &str, slice: &str) -> Batch {
    let bytes = slice_named(slice);
    let slice = StreamSlice::decode(&bytes).unwrap();
    let events: Vec<StoredEvent> = slice
        .entries
        .iter()
        .map(|entry| {
            let headers = entry.checked_headers().unwrap();
            let event = entry.event(&Scope::default(), &headers).unwrap().to_event();
            let lsn = Lsn::from_u64(entry.lsn).unwrap();
            let mut stored = StoredEvent::as_if_captured(event, 0);
            (stored.lsn, stored.captured_at_ms) = (lsn, entry.captured_at_ms);
            stored
        })
        .collect();
    Batch::as_if_formed(key, &events, &form()).unwrap()
}

/// The slice in a request.
fn sent(request: &Request) -> Vec<u8> {
    zstd::bulk::decompress(&request.body, 1024 * 1024).unwrap()
}

#[test]
fn events_become_the_bytes_of_the_document() {
    let payload = |text| Payload::json(text).unwrap();
    let key = |text| Key::new(text).unwrap();
    let first = Event::new(Scope::default(), key("sale-1"), payload(r#"{"total":2.50}"#))
        .with_kind(Kind::new("PAYMENT").unwrap())
        .with_amount("2.50".parse().unwrap())
        .with_lane(Lane::new("card-7").unwrap());
    let headers = Headers::new().with("till", "7").unwrap();
    let second = Event::new(Scope::default(), key("sale-2"), payload(r#"{"total":4}"#));
    let mut events = [first, second.with_headers(headers)]
        .map(|event| StoredEvent::as_if_captured(event, 1_800_000_000_000));
    for (event, lsn) in events.iter_mut().zip(12..) {
        event.lsn = Lsn::from_u64(lsn).unwrap();
    }
    events[1].captured_at_ms = None;
    let batch = Batch::as_if_formed(BATCH_KEY, &events, &form()).unwrap();
    let request = Onceward::new().request(&batch);
    assert_eq!(sent(&request), slice_named("two"));
}

#[test]
fn a_request_has_the_headers_of_the_document() {
    let mut batch = batch(BATCH_KEY, "two");
    let request = Onceward::new().request(&batch);
    assert_eq!((request.path.as_str(), request.method.as_str()), ("/v1/segments", "POST"));
    let header = |request: &Request, name: &str| {
        let mut named = request.headers.iter().filter(|(other, _)| other == name);
        let value = named.next().map(|(_, value)| value.clone());
        assert_eq!(named.count(), 0, "{name} twice");
        value.unwrap_or_default()
    };
    let (_, digest) = PROTOCOL.split_once("and `Onceward-Digest` is `").unwrap();
    for (name, value) in [
        ("Content-Type", MEDIA_TYPE),
        ("Onceward-Store", "00112233445566778899aabbccddeeff"),
        ("Onceward-Scope", "default"),
        ("Onceward-Lsn", "12-13"),
        ("Idempotency-Key", BATCH_KEY),
        ("Onceward-Digest", &digest[..64]),
    ] {
        assert_eq!(header(&request, name), value, "{name}");
    }
    assert_eq!(request.headers.len(), 6, "nothing to remind of: {:?}", request.headers);
    batch.mark = "m 1 d".to_owned();
    batch.own = vec!["b-1".to_owned(), "b-2".to_owned()];
    batch.after = Some("b-1".to_owned());
    let request = Onceward::new().accepting_fork().request(&batch);
    for (name, value) in [
        ("Onceward-Mark", "m 1 d"),
        ("Onceward-Own", "b-1,b-2"),
        ("Onceward-After", "b-1"),
        ("Onceward-Fork", "accepted"),
    ] {
        assert_eq!(header(&request, name), value, "{name}");
    }
}

#[test]
fn of_more_batches_of_its_own_than_the_hub_takes_those_are_named_that_it_does_not_know_otherwise() {
    let mut batch = batch(BATCH_KEY, "two");
    let key = |opening: &str, n: u32| BATCH_KEY.replace("a1-15", &format!("{opening}-{n}"));
    let same: Vec<String> = (0..400).map(|n| key("a1", n)).collect();
    batch.own = same.iter().cloned().chain((0..200).map(|n| key("b2", n))).collect();
    let request = Onceward::new().request(&batch);
    let (_, own) = request.headers.iter().find(|(name, _)| name == "Onceward-Own").unwrap();
    let own: Vec<&str> = own.split(',').collect();
    assert_eq!(own.len(), 256, "what the document allows");
    assert_eq!(own.iter().filter(|named| named.contains("b2-")).count(), 200);
    // Of those that the hub knows by their opening, the last ones.
    assert!(own.contains(&same[399].as_str()) && !own.contains(&same[0].as_str()));
}

/// The headers of a request that the document's table has.
#[test]
fn no_header_is_sent_that_the_document_does_not_name() {
    let mut batch = batch(BATCH_KEY, "two");
    batch.mark = "m".to_owned();
    batch.own = vec!["b".to_owned()];
    batch.after = Some("b".to_owned());
    for (name, _) in Onceward::new().accepting_fork().request(&batch).headers {
        assert!(PROTOCOL.contains(&format!("| `{name}` |")), "{name}");
    }
}

/// What the terminal takes from the answer of a turn, in the document's words.
fn taken(turn: &Turn<'_>) -> Vec<String> {
    let (_, key) = turn.headers.iter().find(|(name, _)| *name == "Idempotency-Key").unwrap();
    let response = match turn.status {
        200 => Response::new(200, turn.said).with_content_type("application/json"),
        status => {
            let problem = format!(r#"{{"status":{status},"code":"{}"}}"#, turn.said);
            Response::new(status, problem).with_content_type("application/problem+json")
        }
    };
    let word = match Onceward::new().decode(&batch(key, turn.slice), &response) {
        Ok(reply) => {
            let (_, mark) = turn.said.split_once(r#""mark":""#).unwrap();
            assert_eq!(reply.mark.as_deref(), mark.strip_suffix("\"}"));
            let named = reply.items.iter().map(|(key, outcome)| match outcome {
                ItemOutcome::Rejected { code, .. } => format!("{key} rejected {code}"),
                ItemOutcome::Transient { .. } => format!("{key} waits"),
                other => panic!("{other:?}"),
            });
            let rest = reply.rest.as_ref().map(|rest| match rest {
                ItemOutcome::Accepted { receipt: None } => "the rest accepted".to_owned(),
                ItemOutcome::Duplicate { receipt: None } => "the rest duplicate".to_owned(),
                other => panic!("{other:?}"),
            });
            return named.chain(rest).collect();
        }
        Err(Failure::BatchKeyRefused { .. }) => "another key",
        Err(Failure::Misdirected { .. }) => "a person",
        Err(Failure::Refused { .. }) => "halves",
        Err(Failure::Unavailable { .. }) => "later",
        Err(other) => panic!("{other:?}"),
    };
    vec![format!("nothing: {word}")]
}

#[test]
fn a_terminal_takes_from_each_answer_what_the_document_says() {
    let mut count = 0;
    for name in dialogues(PROTOCOL) {
        for (at, turn) in turns(PROTOCOL, name).iter().enumerate() {
            assert_eq!(taken(turn), turn.taken, "{name}, turn {at}");
            count += 1;
        }
    }
    assert!(count > 15, "control: {count} turns");
}

#[test]
fn an_answer_that_does_not_add_up_settles_nothing() {
    let decode =
        |body: &str| Onceward::new().decode(&batch(BATCH_KEY, "two"), &Response::new(200, body));
    let right = format!(
        r#"{{"batch":"{BATCH_KEY}","accepted":2,"duplicate":0,"exceptions":[],"mark":"m"}}"#
    );
    assert!(decode(&right).is_ok(), "control");
    let parked = r#""exceptions":[{"lsn":12,"status":"parked","code":"PARKED"}]"#;
    for (before, after) in [
        ("\"accepted\":2", "\"accepted\":1"),
        ("\"accepted\":2", "\"accepted\":3"),
        ("\"duplicate\":0", "\"duplicate\":1"),
        ("\"accepted\":2", "\"accepted\":18446744073709551615"),
        ("-15\"", "-16\""),
        ("\"exceptions\":[]", parked),
        ("\"mark\":\"m\"", "\"mark\":7"),
        ("\"accepted\":2", "\"accepted\":2,\"accepted\":2"),
        ("}", ""),
    ] {
        let wrong = right.replacen(before, after, 1);
        assert_ne!(wrong, right, "control: {before}");
        let failure = decode(&wrong).unwrap_err();
        assert!(matches!(failure, Failure::Unavailable { .. }), "{wrong}: {failure:?}");
    }
    // Of an event of another batch.
    let strange = right.replace("\"accepted\":2", "\"accepted\":1").replace(
        "\"exceptions\":[]",
        r#""exceptions":[{"lsn":99,"status":"parked","code":"PARKED"}]"#,
    );
    assert!(matches!(decode(&strange), Err(Failure::Unavailable { .. })));
    // Of one event twice.
    let twice = right.replace("\"accepted\":2", "\"accepted\":0").replace(
        "\"exceptions\":[]",
        r#""exceptions":[{"lsn":12,"status":"parked","code":"A"},{"lsn":12,"status":"parked","code":"B"}]"#,
    );
    assert!(matches!(decode(&twice), Err(Failure::Unavailable { .. })), "the other is in no list");
}
