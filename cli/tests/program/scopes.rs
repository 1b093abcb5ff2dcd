//! The same key in two scopes is two events at the hub, too.
//! Method: `sync` against `serve`, both real processes, one key captured in two scopes.

use std::path::Path;

use serde_json::json;
use tempfile::tempdir;

use crate::process::{Ended, KEY, onceward, run, serve};

/// Captures `receipt-1` in a scope.
fn capture(store: &Path, scope: &str) {
    let item = r#"{"qr_code_data":"c","location_id":"l","staff_user_id":"s","purchase_amount":1.25,"client_timestamp":"2026-03-10T14:22:05.000Z"}"#;
    let line = format!("{{\"key\":\"receipt-1\",\"payload\":{item}}}\n");
    let mut command = onceward();
    command.args(["capture", "--scope", scope, "--store"]).arg(store);
    run(&mut command, line.as_bytes()).expect(0);
}

fn sync(store: &Path, url: &str, dialect: &str, more: &[&str]) -> Ended {
    let mut command = onceward();
    command.args(["sync", "--once", "--dialect", dialect, "--to", url, "--store"]).arg(store);
    run(command.args(more).env("ONCEWARD_API_KEY", KEY), b"")
}

#[test]
fn one_key_in_two_scopes_takes_effect_twice_at_the_hub() {
    for dialect in ["wede", "forloy"] {
        let dir = tempdir().unwrap();
        let store = dir.path().join("store");
        let hub = serve(&dir.path().join("data"), None);
        capture(&store, "default");
        capture(&store, "tips");
        let first = sync(&store, &hub.url, dialect, &[]).expect(0).last_json();
        assert_eq!((&first["accepted"], &first["duplicate"]), (&json!(1), &json!(0)));
        // Without a rule it is refused by name, and nothing is sent.
        let refused = sync(&store, &hub.url, dialect, &["--scope", "tips"]).expect(2);
        assert!(refused.err.contains("--wire-keys scope-prefix"), "{}", refused.err);
        sync(&store, &hub.url, dialect, &["--scope", "tips", "--wire-keys", "bare"]).expect(2);
        let tips = ["--scope", "tips", "--wire-keys", "scope-prefix"];
        let second = sync(&store, &hub.url, dialect, &tips).expect(0).last_json();
        let counts = (&second["accepted"], &second["duplicate"], &second["pending"]);
        assert_eq!(counts, (&json!(1), &json!(0), &json!(0)), "{dialect}");
        // From then on the rule is known.
        sync(&store, &hub.url, dialect, &["--scope", "tips"]).expect(0);
    }
}
