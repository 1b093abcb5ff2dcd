//! A terminal is left and loses nothing: what it did not deliver goes along in a sealed file and is imported once.
//! Method: export, import, unfence and look at real stores with the built binary, with right and wrong keys, damaged
//! files, and a person at a terminal.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::process::{Ended, Guarded, ask, capture, content, flip, lines, on_store, onceward, run};

const PASSPHRASE: &str = "nine sandwiches, no onions";

/// Two stores, of which the first has three events, and what is needed to seal.
struct Scene {
    dir: TempDir,
    old: PathBuf,
    new: PathBuf,
    file: PathBuf,
    key: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let scene = Self {
            old: path("old"),
            new: path("new"),
            file: path("bundle"),
            key: path("key"),
            dir,
        };
        capture(&scene.old, &lines(3, "secret-payload")).expect(0);
        capture(&scene.new, "").expect(0);
        fs::write(&scene.key, "5a".repeat(32)).unwrap();
        scene
    }

    /// `export` or `import` of the bundle with the key file.
    fn with_key(&self, command: &str, store: &Path) -> Ended {
        self.sealed(command, store, &["--key-file", self.key.to_str().unwrap()], "")
    }

    fn sealed(&self, command: &str, store: &Path, how: &[&str], input: &str) -> Ended {
        let mut program = onceward();
        program.arg(command).arg("--store").arg(store).arg("--file").arg(&self.file).args(how);
        run(&mut program, input.as_bytes())
    }
}

fn unfence(store: &Path, bundle: &Value) -> Ended {
    let store = store.to_str().unwrap();
    ask(&["unfence", "--store", store, "--bundle", bundle.as_str().unwrap()])
}

#[test]
fn what_was_not_delivered_goes_along_and_arrives_once() {
    let scene = Scene::new();
    let exported = scene.with_key("export", &scene.old).expect(0).last_json();
    assert_eq!((&exported["unsettled"], &exported["left"]), (&json!(3), &json!(true)));
    assert_eq!(exported["bytes"], fs::metadata(&scene.file).unwrap().len());
    assert_eq!(fs::metadata(&scene.file).unwrap().permissions().mode() & 0o777, 0o600);
    let sealed = fs::read(&scene.file).unwrap();
    assert!(!sealed.windows(14).any(|window| window == b"secret-payload"), "it can be read");

    let imported = scene.with_key("import", &scene.new).expect(0).last_json();
    assert_eq!((&imported["fresh"], &imported["again"]), (&json!(3), &json!(false)));
    assert_eq!(
        (&imported["bundle"], &imported["digest"]),
        (&exported["bundle"], &exported["digest"])
    );
    let again = scene.with_key("import", &scene.new).expect(0).last_json();
    assert_eq!((&again["fresh"], &again["duplicate"]), (&json!(0), &json!(3)));
    assert_eq!(again["again"], true);
    assert_eq!(on_store("dump", &scene.new).expect(0).column("key"), ["k1", "k2", "k3"]);
    let summary = on_store("summary", &scene.new).expect(5).last_json();
    assert_eq!(summary["imports"][0]["bundle"], exported["bundle"]);
}

#[test]
fn a_store_that_is_left_takes_and_sends_nothing_until_it_is_unfenced() {
    let scene = Scene::new();
    let exported = scene.with_key("export", &scene.old).expect(0).last_json();
    let status = on_store("status", &scene.old).expect(0).last_json();
    assert_eq!(status["fence"]["bundle"], exported["bundle"]);
    let refused = capture(&scene.old, "{\"key\":\"new\",\"payload\":1}\n").expect(1);
    assert_eq!(refused.last_json()["error"]["code"], "STORE_FENCED");
    let known = capture(&scene.old, &lines(1, "secret-payload")).expect(0);
    assert_eq!(known.last_json()["verdict"], "duplicate", "what is here is still answered");
    let to = ["sync", "--to", "http://127.0.0.1:1", "--dialect", "wede", "--once", "--store"];
    ask(&[&to[..], &[scene.old.to_str().unwrap()]].concat()).expect(1);
    assert!(scene.with_key("import", &scene.old).expect(1).err.contains("from this store"));

    let other = json!("00".repeat(16));
    assert!(unfence(&scene.old, &other).expect(1).err.contains("was left for the bundle"));
    assert_eq!(unfence(&scene.old, &exported["bundle"]).expect(0).last_json()["left"], false);
    unfence(&scene.old, &exported["bundle"]).expect(1);
    capture(&scene.old, "{\"key\":\"new\",\"payload\":1}\n").expect(0);
    assert_eq!(on_store("status", &scene.old).expect(0).last_json()["fence"], Value::Null);
}

#[test]
fn with_stay_the_store_goes_on() {
    let scene = Scene::new();
    let key = scene.key.to_str().unwrap();
    let stayed = scene.sealed("export", &scene.old, &["--stay", "--key-file", key], "").expect(0);
    assert_eq!(
        (&stayed.last_json()["left"], &stayed.last_json()["unsettled"]),
        (&json!(false), &json!(3))
    );
    capture(&scene.old, "{\"key\":\"new\",\"payload\":1}\n").expect(0);
}

#[test]
fn a_file_that_is_there_is_not_overwritten_and_the_store_is_not_left() {
    let scene = Scene::new();
    fs::write(&scene.file, "holiday").unwrap();
    let refused = scene.with_key("export", &scene.old).expect(1);
    assert!(refused.err.contains("not overwritten"), "{}", refused.err);
    assert_eq!(fs::read(&scene.file).unwrap(), b"holiday");
    assert_eq!(on_store("status", &scene.old).expect(0).last_json()["fence"], Value::Null);
}

#[test]
fn where_there_is_no_store_none_is_made_and_no_file_either() {
    let scene = Scene::new();
    let missing = scene.dir.path().join("missing");
    scene.with_key("export", &missing).expect(1);
    assert!(!scene.file.exists() && !missing.exists());
    scene.with_key("export", &scene.old).expect(0);
    scene.with_key("import", &missing).expect(1);
    unfence(&missing, &json!("00".repeat(16))).expect(1);
    assert!(!missing.exists());
}

#[test]
fn keys_and_passphrases_that_are_missing_wrong_or_weak_are_told_and_change_nothing() {
    let scene = Scene::new();
    let weak = scene.dir.path().join("weak");
    fs::write(&weak, "0123456789abcdef0123456789abcdef").unwrap();
    let key_file = |path: &Path| ["--key-file".to_owned(), path.to_str().unwrap().to_owned()];
    let before = content(&scene.old);
    for (how, input, code, word) in [
        (key_file(&weak).to_vec(), "", 2, "32 random bytes"),
        (key_file(&scene.dir.path().join("none")).to_vec(), "", 1, "cannot read"),
        (vec![], "", 2, "no secret"),
        (vec![], "short\n", 2, "at least 8"),
        (vec!["--passphrase".to_owned(), PASSPHRASE.to_owned()], "", 2, "unexpected argument"),
    ] {
        let how: Vec<&str> = how.iter().map(String::as_str).collect();
        let refused = scene.sealed("export", &scene.old, &how, input).expect(code);
        assert!(refused.err.contains(word), "{}", refused.err);
        assert!(!scene.file.exists());
        assert!(content(&scene.old) == before, "{how:?} wrote to the store");
    }
    scene.with_key("export", &scene.old).expect(0);
    let (mut raw, other) = ([0x5a_u8; 32], scene.dir.path().join("other"));
    raw[7] = 200;
    fs::write(&other, raw).unwrap();
    let how = key_file(&other);
    let how: Vec<&str> = how.iter().map(String::as_str).collect();
    let refused = scene.sealed("import", &scene.new, &how, "").expect(1);
    assert!(refused.err.contains("key"), "{}", refused.err);
    assert_eq!(on_store("dump", &scene.new).expect(0).out, "");
    scene.with_key("import", &scene.new).expect(0);
}

#[test]
fn a_passphrase_comes_from_a_file_or_from_standard_input() {
    let scene = Scene::new();
    let passphrase = scene.dir.path().join("passphrase");
    fs::write(&passphrase, format!("{PASSPHRASE}\nanother line\n")).unwrap();
    let how = ["--passphrase-file", passphrase.to_str().unwrap()];
    scene.sealed("export", &scene.old, &how, "").expect(0);
    scene.sealed("import", &scene.new, &[], "nine sandwiches and onions\n").expect(1);
    let input = format!("{PASSPHRASE}\n");
    assert_eq!(scene.sealed("import", &scene.new, &[], &input).expect(0).last_json()["fresh"], 3);
}

#[test]
fn a_damaged_and_a_cut_file_are_damage_and_no_file_is_a_failure() {
    let scene = Scene::new();
    scene.with_key("export", &scene.old).expect(0);
    let whole = fs::read(&scene.file).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for bytes in [&flipped[..], &whole[..whole.len() - 1]] {
        fs::write(&scene.file, bytes).unwrap();
        scene.with_key("import", &scene.new).expect(3);
    }
    fs::write(&scene.file, "holiday").unwrap();
    scene.with_key("import", &scene.new).expect(3);
    fs::remove_file(&scene.file).unwrap();
    scene.with_key("import", &scene.new).expect(1);
    fs::write(&scene.file, whole).unwrap();
    scene.with_key("import", &scene.new).expect(0);
}

#[test]
fn a_key_with_other_content_is_left_out_and_told() {
    let scene = Scene::new();
    capture(&scene.new, "{\"key\":\"k2\",\"payload\":\"other\"}\n").expect(0);
    scene.with_key("export", &scene.old).expect(0);
    let ended = scene.with_key("import", &scene.new).expect(1);
    let imported = ended.last_json();
    assert_eq!((&imported["fresh"], &imported["conflict"]), (&json!(2), &json!(1)));
    let left = &imported["left_out"][0];
    assert_eq!((&left["key"], &left["scope"]), (&json!("k2"), &json!("default")));
    assert!(left["conflicts_with"].is_u64(), "{left}");
    assert!(ended.err.contains("left out"), "{}", ended.err);
}

#[test]
fn what_is_damaged_is_not_in_the_file_and_told() {
    let scene = Scene::new();
    flip(&scene.old, "\"n\":2,\"is\"");
    let exported = scene.with_key("export", &scene.old).expect(3).last_json();
    assert_eq!((&exported["unsettled"], &exported["damaged_ranges"]), (&json!(2), &json!(1)));
}

#[test]
fn a_summary_says_what_is_here_and_ends_with_0_only_if_it_may_be_wiped() {
    let scene = Scene::new();
    let empty = on_store("summary", &scene.new).expect(0).last_json();
    assert_eq!((&empty["safe_to_wipe"], &empty["why"]), (&json!(true), &json!([])));
    capture(&scene.old, "{\"key\":\"paid\",\"payload\":1,\"amount\":\"24.50\"}\n").expect(0);
    let ended = on_store("summary", &scene.old).expect(5);
    assert!(ended.err.contains("4 with an amount of 24.50"), "{}", ended.err);
    let summary = ended.last_json();
    assert_eq!(summary["pending"], json!({"count": 4, "amount": "24.50"}));
    assert_eq!(summary["why"][0]["reason"], "pending");
    assert_eq!(summary["scopes"][0]["scope"], "default");
    assert_eq!((&summary["dropped"], &summary["losses"]), (&json!(0), &json!([])));
    flip(&scene.old, "\"n\":2,\"is\"");
    assert_eq!(on_store("summary", &scene.old).expect(3).last_json()["safe_to_wipe"], false);
}

/// What a person at a terminal sees of `command`, who types `answers` when asked.
pub(crate) fn at_a_terminal(command: &str, answers: &[&str]) -> (Option<i32>, String) {
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", command, "/dev/null"]);
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = Guarded(script.spawn().unwrap());
    let (mut keyboard, mut screen) =
        (child.0.stdin.take().unwrap(), child.0.stdout.take().unwrap());
    let mut seen = String::new();
    for answer in answers {
        // Only what is asked for is typed: before the question the terminal shows what is typed.
        let asked_before = seen.matches(": ").count();
        while seen.matches(": ").count() == asked_before {
            let mut bytes = [0; 256];
            let count = screen.read(&mut bytes).unwrap();
            assert!(count > 0, "no question comes: {seen}");
            seen.push_str(&String::from_utf8_lossy(bytes.get(..count).unwrap()));
        }
        writeln!(keyboard, "{answer}").unwrap();
    }
    screen.read_to_string(&mut seen).unwrap();
    (child.0.wait().unwrap().code(), seen)
}

#[test]
fn a_person_is_asked_twice_for_a_passphrase_and_does_not_see_it() {
    let scene = Scene::new();
    let command = |name: &str, store: &Path| {
        let (store, file) = (store.to_str().unwrap(), scene.file.to_str().unwrap());
        format!("{} {name} --store {store} --file {file}", env!("CARGO_BIN_EXE_onceward"))
    };
    let export = command("export", &scene.old);
    let (code, seen) = at_a_terminal(&export, &[PASSPHRASE, "nine sandwiches and onions"]);
    assert_eq!(code, Some(2), "{seen}");
    assert!(seen.contains("differ") && !scene.file.exists(), "{seen}");

    let (code, seen) = at_a_terminal(&export, &[PASSPHRASE, PASSPHRASE]);
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("3 events to deliver") && !seen.contains("sandwiches"), "{seen}");
    let (code, seen) = at_a_terminal(&command("import", &scene.new), &[PASSPHRASE]);
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("3 events are new") && !seen.contains("sandwiches"), "{seen}");
}

#[test]
fn nothing_is_saved_in_what_will_be_wiped() {
    use std::os::unix::fs::symlink;
    let scene = Scene::new();
    let path = |name: &str| scene.dir.path().join(name);
    let (hub, plain) = (path("data"), path("plain"));
    fs::create_dir_all(hub.join("tenants")).unwrap();
    capture(&hub.join("tenants/shop"), &lines(1, "x")).expect(0);
    fs::create_dir(scene.old.join("deep")).unwrap();
    fs::create_dir(&plain).unwrap();
    symlink(&scene.old, path("link")).unwrap();
    symlink(scene.new.join("log"), plain.join("link")).unwrap();
    let before = on_store("status", &scene.old).expect(0).last_json();
    let inside = [
        scene.old.join("bundle"),
        scene.old.join("log/bundle"),
        scene.old.join("deep/bundle"),
        scene.new.join("bundle"),
        path("link/bundle"),
        path("link/deep/bundle"),
        plain.join("link/bundle"),
        plain.join("../old/bundle"),
        hub.join("bundle"),
        hub.join("tenants/bundle"),
        hub.join("tenants/shop/bundle"),
    ];
    let export = |file: &Path, key: &Path| {
        let (file, key) = (file.to_str().unwrap(), key.to_str().unwrap());
        let store = scene.old.to_str().unwrap();
        ask(&["export", "--store", store, "--file", file, "--key-file", key])
    };
    for file in inside {
        let refused = export(&file, &scene.key).expect(1);
        assert!(
            refused.err.contains("would be wiped with it"),
            "{}: {}",
            file.display(),
            refused.err
        );
        assert!(!file.exists(), "{}", file.display());
    }
    // A key that goes with the store is none.
    let lost = scene.old.join("key");
    fs::copy(&scene.key, &lost).unwrap();
    symlink(&lost, path("key-link")).unwrap();
    for key in [lost, path("key-link"), path("link/key")] {
        let refused = export(&scene.file, &key).expect(1);
        assert!(refused.err.contains("would be wiped with it"), "{}", refused.err);
    }
    assert!(!scene.file.exists());
    // A store whose meta is lost is still one.
    fs::rename(scene.new.join("meta"), path("meta")).unwrap();
    export(&scene.new.join("bundle"), &scene.key).expect(1);
    assert_eq!(on_store("status", &scene.old).expect(0).last_json()["fence"], before["fence"]);
    let relative = {
        let mut program = onceward();
        program.current_dir(&scene.old).args(["export", "--store", ".", "--file", "bundle"]);
        run(program.arg("--key-file").arg(&scene.key), b"").expect(1)
    };
    assert!(relative.err.contains("would be wiped with it"), "{}", relative.err);
    export(&plain.join("bundle"), &scene.key).expect(0);
}
