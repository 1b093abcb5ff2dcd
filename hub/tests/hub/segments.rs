//! The hub's side of the segment stream: each dialogue of `uplink/PROTOCOL.md`, and what no terminal sends.
//! Method: the requests of the document, byte for byte, to a running hub.

use std::path::Path;

use onceward::testing::{Turn, dialogues, golden, turns};
use onceward::wire::slice_outline;
use onceward_hub::ledger;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::running::{API_KEY, Answer, Running, data};

const PROTOCOL: &str = include_str!("../../../uplink/PROTOCOL.md");
const ROUTE: &str = "/v1/segments";
const STORE: &str = "00112233445566778899aabbccddeeff";
pub(crate) const BATCH: &str = "00112233445566778899aabbccddeeff-00000000000000a1-15";

/// Posts a slice with these headers besides those that every request has.
pub(crate) fn post(hub: &Running, slice: &[u8], headers: &[(&str, &str)]) -> Answer {
    let outline = slice_outline(slice).unwrap_or_default();
    let digest: String = Sha256::digest(outline).iter().map(|byte| format!("{byte:02x}")).collect();
    let body = zstd::bulk::compress(slice, 1).unwrap();
    let usual = [
        ("Authorization", format!("Bearer {API_KEY}")),
        ("Content-Type", "application/vnd.onceward.segments+zstd".to_owned()),
        ("Onceward-Store", STORE.to_owned()),
        ("Onceward-Scope", "default".to_owned()),
        ("Onceward-Digest", digest),
        ("Idempotency-Key", BATCH.to_owned()),
    ];
    let is_given = |name: &str| headers.iter().any(|(given, _)| *given == name);
    let all = usual.iter().filter(|(name, _)| !is_given(name));
    let all = all.map(|(name, value)| (*name, value.as_str())).chain(headers.iter().copied());
    let all: Vec<String> = all
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    hub.client().request("POST", ROUTE, &all, &body)
}

pub(crate) fn two() -> Vec<u8> {
    golden(PROTOCOL, "slice-two")
}

pub(crate) fn keys(dir: &Path) -> Vec<String> {
    ledger(&data(dir), "default").unwrap().into_iter().map(|entry| entry.key).collect()
}

#[test]
fn the_dialogues_of_the_document_are_answered_to_the_letter() {
    let mut count = 0;
    for name in dialogues(PROTOCOL) {
        let dir = tempfile::tempdir().unwrap();
        let hub = Running::start(dir.path());
        for (at, turn) in turns(PROTOCOL, name).iter().enumerate() {
            let Turn { headers, slice, status, said, .. } = turn;
            let answer = post(&hub, &golden(PROTOCOL, &format!("slice-{slice}")), headers);
            let what = format!("{name}, turn {at}: {answer:?}");
            assert_eq!(answer.status, *status, "{what}");
            if *status == 200 {
                assert_eq!(answer.json(), serde_json::from_str::<Value>(said).unwrap(), "{what}");
            } else {
                assert_eq!(answer.json()["code"], *said, "{what}");
            }
            count += 1;
        }
        hub.stop().unwrap();
    }
    assert!(count > 15, "control: {count} turns");
}

#[test]
fn what_is_no_slice_is_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let refused =
        |answer: Answer, detail: &str| answer.assert_problem(400, "INVALID_SLICE", detail);
    let whole = two();
    for cut in [0, 3, 4, 8, 20, whole.len() - 1] {
        let answer = post(&hub, &whole[..cut], &[]);
        assert_eq!(answer.status, 400, "{cut}: {answer:?}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    refused(post(&hub, &longer, &[]), "goes on behind its end");
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(post(&hub, &flipped, &[]).status, 400);
    for at in 16..whole.len() - 4 {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x20;
        assert_eq!(post(&hub, &flipped, &[]).status, 400, "byte {at}");
    }
    for (header, value, detail) in [
        ("Onceward-Store", "", "onceward-store is missing"),
        ("Onceward-Store", "../etc", "onceward-store must be the id of a store"),
        ("Onceward-Scope", "", "onceward-scope is missing"),
        ("Onceward-Scope", "Not/a scope", "onceward-scope"),
        ("Onceward-Digest", "", "onceward-digest is missing"),
        ("Idempotency-Key", "", "idempotency-key is missing"),
    ] {
        refused(post(&hub, &whole, &[(header, value)]), detail);
    }
    let long = "m".repeat(1_025);
    refused(post(&hub, &whole, &[("Onceward-Mark", &long)]), "onceward-mark is longer");
    let many = vec!["b"; 257].join(",");
    refused(post(&hub, &whole, &[("Onceward-Own", &many)]), "more than 256");
    let type_ = post(&hub, &whole, &[("Content-Type", "application/json")]);
    type_.assert_problem(415, "UNSUPPORTED_MEDIA_TYPE", "");
    assert_eq!(post(&hub, &whole, &[("Authorization", "Bearer wrong")]).status, 401);
    assert_eq!(post(&hub, &whole, &[]).status, 200, "control: nothing was kept of all that");
    hub.stop().unwrap();
    assert_eq!(keys(dir.path()), ["sale-1", "sale-2"]);
}

#[test]
fn a_body_that_says_it_is_huge_takes_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    // 64 MiB of zeros behind the beginning of a slice, in some kilobytes.
    let mut huge = b"OWS1".to_vec();
    huge.resize(64 * 1024 * 1024, 0);
    post(&hub, &huge, &[]).assert_problem(400, "INVALID_SLICE", "no slice compressed with zstd");
    // So many entries that there cannot be.
    let mut many = b"OWS1".to_vec();
    many.extend_from_slice(&u32::MAX.to_le_bytes());
    many.extend_from_slice(&[0; 64]);
    assert_eq!(post(&hub, &many, &[]).status, 400);
    hub.stop().unwrap();
}

#[test]
fn a_history_outlives_a_restart_of_the_hub() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    let mark = post(&hub, &two(), &[]).json()["mark"].as_str().unwrap().to_owned();
    hub.stop().unwrap();
    let hub = Running::start(dir.path());
    let third = golden(PROTOCOL, "slice-third");
    // Of a later opening, as after a restart of the terminal.
    let key = BATCH.replace("a1-15", "a2-16");
    let forked = post(&hub, &third, &[("Idempotency-Key", &key)]);
    forked.assert_problem(409, "HISTORY_FORKED", "does not know");
    let headers = [("Idempotency-Key", key.as_str()), ("Onceward-Mark", mark.as_str())];
    assert_eq!(post(&hub, &third, &headers).json()["accepted"], 1);
    // The batch before it comes again: the answer was lost, and the hub knows no batch by its key any more.
    let own = [("Onceward-Own", key.as_str())];
    assert_eq!(post(&hub, &two(), &own).json()["duplicate"], 2);
    hub.stop().unwrap();
}
