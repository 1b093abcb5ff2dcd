//! `repair` keeps the damaged bytes, costs nothing that can still be read, and says what was lost.
//! Method: flip bits in stores, and hold every file and every answer before against those after.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::process::{Ended, capture, capturing, content, first_line, flip, lines, on_store};

/// What `repair --json` said.
fn repair(store: &Path, args: &str, code: i32) -> (Value, Ended) {
    let ended = on_store(format!("--json repair {args}").trim_end(), store).expect(code);
    (ended.last_json(), ended)
}

/// Every command reports what was lost when it is asked, and its keys are not given again: their outcome is unknown.
fn assert_lost_keys_stay_taken(store: &Path) {
    let again = capture(store, &lines(301, "a")).expect(3);
    assert!(again.err.contains("2 duplicates of events that are lost to damage"), "{}", again.err);
    let answers = again.json_lines();
    let keys_with = |name: &str, value: &str| {
        let those = answers.iter().filter(|it| it.get(name).is_some_and(|found| found == value));
        those.map(|it| it.get("key").unwrap().as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(keys_with("state", "outcome_unknown"), ["k150", "k200"]);
    assert_eq!(keys_with("verdict", "fresh"), ["k301"], "they are duplicates");
    assert_eq!(answers.iter().filter(|answer| answer.get("state").is_some()).count(), 2);
    let status = on_store("status", store).expect(0).last_json();
    assert_eq!(status.get("lost"), Some(&json!(2)), "{status}");
    let summary = on_store("summary", store).expect(3).last_json();
    assert_eq!(summary.get("safe_to_wipe"), Some(&json!(false)), "{summary}");
}

#[test]
fn damage_is_named_then_kept_and_mended_and_the_store_goes_on() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &lines(300, "a")).expect(0);
    assert_eq!(on_store("repair", dir.path()).expect(0).out, "", "control: undamaged");
    let whole = on_store("dump", dir.path()).expect(0);
    let lsn_of = |n: usize| whole.json_lines()[n - 1]["lsn"].clone();
    flip(dir.path(), "\"n\":150,\"is\"");
    flip(dir.path(), "\"n\":200,\"is\"");
    let verify = on_store("verify", dir.path()).expect(3);
    let before = content(dir.path());

    let plan = on_store("repair", dir.path()).expect(3);
    let told: Vec<&str> = plan.out.lines().collect();
    assert_eq!(told[..2], verify.out.lines().collect::<Vec<_>>(), "as verify prints it");
    assert!(told.iter().any(|line| line.contains("k150")), "{told:?}");
    assert!(plan.err.contains("nothing was changed"), "{}", plan.err);
    let (planned, _) = repair(dir.path(), "--dry-run", 3);
    assert!(before == content(dir.path()), "a plan changes no byte");
    assert_eq!(planned["applied"], false);
    assert_eq!((&planned["kept"], &planned["left"]), (&json!([]), &planned["damage"]));

    let (done, _) = repair(dir.path(), "--apply", 0);
    assert_eq!((&done["damage"], &done["lost"]), (&planned["damage"], &planned["lost"]));
    assert_eq!((&done["left"], &done["applied"]), (&json!([]), &json!(true)));
    assert_eq!(
        done["lost"]["lsns"],
        json!([[lsn_of(150), lsn_of(150)], [lsn_of(200), lsn_of(200)]])
    );
    let key = |n: usize| json!({"lsn": lsn_of(n), "scope": "default", "key": format!("k{n}")});
    assert_eq!(done["lost"]["keys"], json!([key(150), key(200)]));
    let kept = done["kept"].as_array().unwrap();
    let (note, kept) = kept.split_first().unwrap();
    let note = fs::read_to_string(dir.path().join(note.as_str().unwrap())).unwrap();
    assert!(note.contains("key \"k150\"") && note.contains("key \"k200\""), "{note}");
    for (damage, kept) in done["damage"].as_array().unwrap().iter().zip(kept) {
        let number = |field: &str| usize::try_from(damage[field].as_u64().unwrap()).unwrap();
        let bytes = &before[&dir.path().join(damage["file"].as_str().unwrap())];
        let damaged = &bytes[number("offset")..number("offset") + number("length")];
        assert_eq!(fs::read(dir.path().join(kept.as_str().unwrap())).unwrap(), damaged);
    }
    assert_eq!(kept.len(), 2);

    on_store("verify", dir.path()).expect(0);
    let dump = on_store("dump", dir.path()).expect(0);
    let expected: Vec<&str> = whole
        .out
        .lines()
        .filter(|line| !line.contains("\"k150\"") && !line.contains("\"k200\""))
        .collect();
    assert_eq!(dump.out.lines().collect::<Vec<_>>(), expected);
    assert_lost_keys_stay_taken(dir.path());
    on_store("verify", dir.path()).expect(0);
    assert_eq!(repair(dir.path(), "--apply", 0).0["kept"], json!([]), "nothing is left to do");
}

#[test]
fn a_store_that_another_process_has_is_not_repaired_but_can_be_asked_about() {
    let dir = tempdir().unwrap();
    let mut child = capturing(dir.path());
    let mut stdin = child.0.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"{\"key\":\"a\",\"payload\":1}\n").unwrap();
    first_line(child.0.stdout.take().unwrap());
    on_store("repair", dir.path()).expect(0);
    on_store("repair --apply", dir.path()).expect(4);
}

#[test]
fn without_apply_a_directory_that_may_only_be_read_is_enough() {
    let dir = tempdir().unwrap();
    capture(dir.path(), &lines(3, "a")).expect(0);
    flip(dir.path(), "\"n\":2,\"is\"");
    let before = content(dir.path());
    let (planned, ended) = repair(dir.path(), "", 3);
    assert_eq!(planned["lost"]["keys"][0]["key"], "k2");
    assert!(ended.err.contains("--apply"), "{}", ended.err);
    assert!(before == content(dir.path()));
}
