//! Decisions that other processes drop into the directory.

use onceward_vfs::{Fault, FaultKind, FaultOp, Mode, SimVfs, Survival, Vfs, replace};

use crate::review::Decision;
use crate::review::write_decision_on;
use crate::testing::{HandClock, Rig, event, key, keys, sales};
use crate::{Answer, Settlement};
use crate::{ErrorKind, State, Store};

fn reject(store: &Store, n: u64) -> u64 {
    let (code, message) = ("A".to_owned(), "no such card".to_owned());
    let answer = Answer::Rejected { code, message, reply: vec![] };
    store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
    store.reviews().get(&sales(), &key(n)).unwrap().version
}

/// A store in which events 1 to 4 wait for a person, and their versions.
fn waiting(rig: &Rig) -> (Store, Vec<u64>) {
    let store = rig.open();
    store.capture_batch(&(1..5).map(event).collect::<Vec<_>>()).unwrap();
    let versions = (1..5).map(|n| reject(&store, n)).collect();
    (store, versions)
}

/// Writes a file as another program would.
fn drop_file(disk: &SimVfs, name: &str, text: &str) {
    disk.create_dir("decisions").unwrap();
    replace(disk, &format!("decisions/{name}"), text.as_bytes()).unwrap();
}

fn files(disk: &SimVfs) -> Vec<String> {
    disk.list("decisions").unwrap()
}

#[test]
fn a_dropped_decision_is_carried_out_by_the_next_tick_and_its_file_is_removed() {
    let rig = Rig::new();
    let (store, versions) = waiting(&rig);
    store.tick().unwrap();
    let retry = Decision::retry(sales(), key(1)).with_person("anna").with_version(versions[0]);
    write_decision_on(&rig.disk, "1", &retry).unwrap();
    let text = r#"{"scope":"sales","key":"k2","action":"resolve","note":"cash","who":"ben","version":VERSION}"#;
    drop_file(&rig.disk, "2.json", &text.replace("VERSION", &versions[1].to_string()));
    drop_file(&rig.disk, "other.txt", "not ours");
    assert_eq!(store.reviews().count(None), 4, "control: nothing happens by itself");
    store.tick().unwrap();
    assert_eq!(files(&rig.disk), ["other.txt"]);
    for store in [store, rig.after_kill().open()] {
        assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k1"]);
        assert_eq!(store.outcome(&sales(), &key(2)).unwrap().state, State::Rejected);
        let made = store.reviews().decisions(None, 9).unwrap();
        assert_eq!(made[0].decision, retry);
        let second = &made[1].decision;
        assert_eq!((second.who.as_str(), second.note.as_str()), ("ben", "cash"));
        assert_eq!(store.status().decision_troubles, []);
    }
}

#[test]
fn bad_files_are_put_away_with_the_reason_and_block_nobody() {
    let rig = Rig::new();
    let (store, versions) = waiting(&rig);
    let good = Decision::retry(sales(), key(4)).with_version(versions[3]);
    write_decision_on(&rig.disk, "z", &good).unwrap();
    let long = format!(r#"{{"note":"{}"}}"#, "n".repeat(20_000));
    let named = |key: &str, rest: &str| {
        format!(r#"{{"scope":"sales","key":"{key}","action":"retry","version":9{rest}}}"#)
    };
    let note = format!(r#","note":"{}""#, "n".repeat(1_025));
    let bad = [
        ("a", ""),
        ("b", "{"),
        ("c", "[1]"),
        ("d", r#"{"scope":"sales","key":"k1","action":"retry"}"#),
        ("e", r#"{"scope":"sales","key":"k1","action":"forget","version":9}"#),
        ("f", &named("k1", r#","more":1"#)),
        ("g", r#"{"scope":"No Scope","key":"k1","action":"retry","version":9}"#),
        ("h", &named("k77", "")),
        ("i", &named("k1", &note)),
        ("j", &long),
        ("k", "\u{0}\u{1}"),
    ];
    for (name, text) in bad {
        drop_file(&rig.disk, &format!("{name}.json"), text);
    }
    store.tick().unwrap();
    let names: Vec<String> = bad.iter().map(|(name, _)| format!("{name}.bad")).collect();
    assert_eq!(files(&rig.disk), names);
    let troubles = store.status().decision_troubles;
    assert_eq!(troubles.len(), bad.len());
    assert!(troubles[3].why.contains("version"), "{:?}", troubles[3]);
    assert!(troubles[7].why.contains("k77"), "{:?}", troubles[7]);
    assert_eq!(keys(&store.pending(&sales(), None, 9).unwrap()), ["k4"], "the good one");
    // Only the last ones are told.
    for n in 0..40 {
        drop_file(&rig.disk, &format!("{n}.json"), "?");
    }
    store.tick().unwrap();
    let troubles = store.status().decision_troubles;
    assert_eq!((troubles.len(), troubles[15].file.as_str()), (16, "9.json"));
}

#[test]
fn what_somebody_else_decided_first_is_told_and_done_twice_is_not() {
    let rig = Rig::new();
    let (store, versions) = waiting(&rig);
    let retry = Decision::retry(sales(), key(1)).with_person("anna").with_version(versions[0]);
    store.reviews().decide(&retry).unwrap();
    // The same again, as after a crash; and another's.
    write_decision_on(&rig.disk, "1", &retry).unwrap();
    store.tick().unwrap();
    assert_eq!(store.status().decision_troubles, []);
    let late = Decision::resolve(sales(), key(1), "x").with_person("ben").with_version(versions[0]);
    write_decision_on(&rig.disk, "2", &late).unwrap();
    store.tick().unwrap();
    assert_eq!(files(&rig.disk), [] as [&str; 0]);
    let troubles = store.status().decision_troubles;
    assert_eq!((troubles.len(), troubles[0].file.as_str()), (1, "2.json"));
    assert!(troubles[0].why.contains("anna decided first"), "{troubles:?}");
    assert_eq!(store.reviews().decisions(None, 9).unwrap().len(), 1);
    // It comes back: a decision about another time does not touch it.
    reject(&store, 1);
    write_decision_on(&rig.disk, "3", &retry).unwrap();
    store.tick().unwrap();
    assert_eq!(store.reviews().count(None), 4);
}

#[test]
fn at_most_a_hundred_are_taken_up_at_once_and_what_cannot_go_is_passed_over() {
    let rig = Rig::new();
    let (store, versions) = waiting(&rig);
    for n in 0..120 {
        drop_file(&rig.disk, &format!("{n:03}.json"), "?");
    }
    // A directory with such a name can be neither read nor renamed.
    (0..110).for_each(|n| rig.disk.create_dir(&format!("decisions/.{n:03}.json")).unwrap());
    let good = Decision::retry(sales(), key(1)).with_version(versions[0]);
    write_decision_on(&rig.disk, "good", &good).unwrap();
    for left in [4, 4, 4] {
        assert_eq!(store.reviews().count(None), left);
        store.tick().unwrap();
    }
    assert_eq!(store.reviews().count(None), 3);
}

#[test]
fn a_decision_stays_in_its_file_while_the_disk_refuses() {
    let rig = Rig::new();
    let (store, versions) = waiting(&rig);
    let good = Decision::retry(sales(), key(1)).with_version(versions[0]);
    write_decision_on(&rig.disk, "1", &good).unwrap();
    let (op, kind) = (FaultOp::Write, FaultKind::Enospc);
    rig.disk.plan(Fault { op, name_contains: ".seg".into(), nth: 0, kind, forever: false });
    assert_eq!(store.tick().unwrap_err().kind(), ErrorKind::Full);
    assert_eq!((files(&rig.disk).len(), store.reviews().count(None)), (1, 4));
    let (op, kind) = (FaultOp::Read, FaultKind::Eio);
    rig.disk.plan(Fault { op, name_contains: "decisions".into(), nth: 0, kind, forever: false });
    assert_eq!(store.tick().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!((files(&rig.disk).len(), store.reviews().count(None)), (1, 4));
    store.tick().unwrap();
    assert_eq!((files(&rig.disk).len(), store.reviews().count(None)), (0, 3));
    assert_eq!(store.status().decision_troubles, []);
}

#[test]
fn a_decision_that_names_no_version_or_no_store_is_not_written() {
    let rig = Rig::new();
    let decision = Decision::retry(sales(), key(1));
    let named = decision.clone().with_version(1);
    assert_eq!(write_decision_on(&rig.disk, "1", &named).unwrap_err().code(), "NO_STORE");
    drop(rig.open());
    let error = write_decision_on(&rig.disk, "1", &decision).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "VERSION_MISSING"));
    assert!(!rig.disk.exists("decisions").unwrap());
    write_decision_on(&rig.disk, "1", &named).unwrap();
    // The longest that there can be fits into what is read.
    let note = "\u{1}".repeat(1_024);
    let key = crate::Key::new(&"\"".repeat(255)).unwrap();
    let long = Decision::resolve(sales(), key, &note)
        .with_person(&"\u{1}".repeat(64))
        .with_version(u64::MAX);
    write_decision_on(&rig.disk, "2", &long).unwrap();
    let store = rig.open();
    store.tick().unwrap();
    let troubles = store.status().decision_troubles;
    assert!(troubles.iter().all(|trouble| trouble.why.contains("no review item")), "{troubles:?}");
}

/// What a crash at any operation of writing or carrying out leaves is carried out once, all of it.
#[test]
fn a_crash_anywhere_neither_loses_a_dropped_decision_nor_makes_one_twice() {
    let before = Rig::new();
    let (store, versions) = waiting(&before);
    drop(store);
    let write = |disk: &SimVfs| -> crate::Result<()> {
        let of = |n: u64| versions[usize::try_from(n).unwrap() - 1];
        let retry = Decision::retry(sales(), key(1)).with_person("anna").with_version(of(1));
        write_decision_on(disk, "1", &retry)?;
        let resolve =
            Decision::resolve(sales(), key(2), "x").with_person("ben").with_version(of(2));
        write_decision_on(disk, "2", &resolve)?;
        let old = Decision::retry(sales(), key(3)).with_person("cid").with_version(of(2));
        write_decision_on(disk, "3", &old)
    };
    let run = |rig: &Rig| -> crate::Result<()> {
        write(&rig.disk)?;
        let bad = rig.disk.open("decisions/4.json", Mode::CreateNew)?;
        bad.write_all_at(0, b"?")?;
        let store = rig.try_open()?;
        store.tick()?;
        // It comes into review once more: what was decided is not about this.
        let answer = Answer::Rejected { code: "B".into(), message: "m".into(), reply: vec![] };
        store.settle(&[Settlement { scope: sales(), key: key(1), answer }])?;
        store.tick()
    };
    let fresh = || Rig { clock: HandClock::new(), ..before.after_kill() };
    let whole = fresh();
    run(&whole).unwrap();
    let (ops, mut states) = (whole.disk.changing_ops(), 0);
    assert!(ops.len() > 30, "control: {}", ops.len());
    for op in ops {
        let rig = fresh();
        rig.disk.cut_power_at(op);
        assert!(run(&rig).is_err() || rig.disk.is_cut(), "op {op}");
        let count = rig.disk.unsynced_count();
        let seeded = Survival::Seeded { seed: op, sector_bytes: 512 };
        for survival in
            [Survival::Nothing, Survival::Everything, Survival::Prefix(count / 2), seeded]
        {
            check(&rig.after_power_cut(&survival), &write, &format!("op {op}, {survival:?}"));
            states += 1;
        }
    }
    assert!(states > 120, "{states}");
}

/// The decisions are written again, as by a person who did not hear of them, and carried out.
fn check(rig: &Rig, write: &dyn Fn(&SimVfs) -> crate::Result<()>, context: &str) {
    let store = rig.open();
    store.tick().unwrap_or_else(|error| panic!("{error}: {context}"));
    write(&rig.disk).unwrap();
    store.tick().unwrap();
    store.tick().unwrap();
    let left = files(&rig.disk);
    assert!(left.iter().all(|name| !name.ends_with(".json")), "{left:?}: {context}");
    let made = store.reviews().decisions(None, 99).unwrap();
    let who: Vec<&str> = made.iter().map(|made| made.decision.who.as_str()).collect();
    assert_eq!(who, ["anna", "ben"], "{context}");
    let state = |n: u64| store.outcome(&sales(), &key(n)).unwrap().state;
    assert!(matches!(state(1), State::Pending | State::InReview), "{:?}: {context}", state(1));
    assert_eq!((state(2), state(3)), (State::Rejected, State::InReview), "{context}");
    let troubles = store.status().decision_troubles;
    let is_known = |why: &str| why.contains("does not wait any more") || why.contains("at line 1");
    assert!(troubles.iter().all(|trouble| is_known(&trouble.why)), "{troubles:?}: {context}");
}
