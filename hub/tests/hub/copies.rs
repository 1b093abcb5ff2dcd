//! Of copies of a terminal's store, and of a hub that was put back, nothing takes effect out of order or unnoticed.
//! Method: the requests of two openings to a running hub, and a hub whose data is replaced by what it was before.

use std::{fs, path::Path};

use onceward::wire::{begin_slice, end_slice, push_entry};
use onceward::{Event, Key, Lane, Lsn, Payload, Scope, StoredEvent};

use crate::running::{Running, data};
use crate::segments::{BATCH, keys, post, two};

/// A slice of one event of a lane, with its number and that of the event behind which it waits.
fn slice(key: &str, lsn: u64, behind: u64) -> Vec<u8> {
    let payload = Payload::json("{}").unwrap();
    let event = Event::new(Scope::default(), Key::new(key).unwrap(), payload)
        .with_lane(Lane::new("card-7").unwrap());
    let mut stored = StoredEvent::as_if_captured(event, 5);
    stored.lsn = Lsn::from_u64(lsn).unwrap();
    let mut slice = begin_slice(1);
    push_entry(&stored, key, &mut slice);
    end_slice(&[(0, behind)], &mut slice);
    slice
}

/// The key of a batch of another opening of the store.
fn of_another_opening(number: u64) -> String {
    BATCH.replace("a1-15", &format!("b2-{number}"))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn what_took_effect_for_one_copy_lets_nothing_of_the_other_overtake() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(dir.path());
    // Number 12 is of the lane, and took effect.
    assert_eq!(post(&hub, &two(), &[]).json()["accepted"], 2);
    let next = BATCH.replace("-15", "-16");
    let control = post(&hub, &slice("own", 14, 12), &[("Idempotency-Key", &next)]);
    assert_eq!(control.json()["accepted"], 1, "control: {control:?}");
    // At a copy the numbers 12 and 14 are of other events, which did not come.
    let of_copy = of_another_opening(9);
    let fork = [("Idempotency-Key", of_copy.as_str()), ("Onceward-Fork", "accepted")];
    for behind in [12, 14] {
        let answer = post(&hub, &slice("copied", 16, behind), &fork).json();
        assert_eq!(answer["exceptions"][0]["code"], "PARKED", "{answer}");
    }
    // Once its own predecessor took effect, it goes.
    let before = of_another_opening(10);
    let fork = [("Idempotency-Key", before.as_str()), ("Onceward-Fork", "accepted")];
    let first = post(&hub, &alone("before", 15), &fork).json();
    assert_eq!(first["accepted"], 1, "{first}");
    let after = of_another_opening(11);
    let fork = [("Idempotency-Key", after.as_str()), ("Onceward-Fork", "accepted")];
    assert_eq!(post(&hub, &slice("copied", 16, 15), &fork).json()["accepted"], 1);
    // And what took effect for the copy says nothing of the first one's events.
    let next = BATCH.replace("-15", "-17");
    let answer = post(&hub, &slice("later", 17, 15), &[("Idempotency-Key", &next)]).json();
    assert_eq!(answer["exceptions"][0]["code"], "PARKED", "{answer}");
    hub.stop().unwrap();
    assert_eq!(keys(dir.path()), ["sale-1", "sale-2", "own", "before", "copied"]);
}

/// A slice of one event of the lane, which waits for nothing.
fn alone(key: &str, lsn: u64) -> Vec<u8> {
    let mut slice = slice(key, lsn, 0);
    slice.truncate(slice.len() - 16);
    end_slice(&[], &mut slice);
    slice
}

#[test]
fn a_hub_that_was_put_back_is_told_of_also_by_a_terminal_that_ran_on() {
    let dir = tempfile::tempdir().unwrap();
    let backup = dir.path().join("backup");
    let hub = Running::start(dir.path());
    assert_eq!(post(&hub, &two(), &[]).json()["accepted"], 2);
    hub.stop().unwrap();
    copy(&data(dir.path()), &backup);
    let hub = Running::start(dir.path());
    let second = BATCH.replace("-15", "-16");
    let answer = post(&hub, &alone("lost", 14), &[("Idempotency-Key", second.as_str())]).json();
    let mark = answer["mark"].as_str().unwrap().to_owned();
    hub.stop().unwrap();
    fs::remove_dir_all(data(dir.path())).unwrap();
    copy(&backup, &data(dir.path()));
    let hub = Running::start(dir.path());
    assert_eq!(keys(dir.path()).len(), 2, "control: what it had confirmed is gone");
    let third = BATCH.replace("-15", "-17");
    let headers = [("Idempotency-Key", third.as_str()), ("Onceward-Mark", mark.as_str())];
    let told = post(&hub, &alone("next", 15), &headers);
    told.assert_problem(409, "HISTORY_FORKED", "put back");
    let accepted = [headers[0], headers[1], ("Onceward-Fork", "accepted")];
    let answer = post(&hub, &alone("next", 15), &accepted).json();
    assert_eq!(answer["accepted"], 1);
    let mark = answer["mark"].as_str().unwrap().to_owned();
    let fourth = BATCH.replace("-15", "-18");
    let headers = [("Idempotency-Key", fourth.as_str()), ("Onceward-Mark", mark.as_str())];
    assert_eq!(post(&hub, &alone("then", 16), &headers).json()["accepted"], 1);
    hub.stop().unwrap();
}
