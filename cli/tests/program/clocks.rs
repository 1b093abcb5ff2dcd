//! A hub on a machine whose clock is wrong, or is set, applies nothing twice.
//! Method: `serve` with a small library before its own (`clocks.c`) that shows it another start of the machine and
//! of another wall clock; the same sale comes again and again, each time from a terminal that does not know it was
//! sent.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::process::{Guarded, KEY, Served, capture, first_line, onceward, run, terminate};

/// A hub's machine.
struct Machine {
    dir: TempDir,
    /// How many terminals sent the sale.
    sent: u32,
}

impl Machine {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/clocks.c");
        let mut cc = Command::new("cc");
        cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]);
        cc.arg(dir.path().join("clocks.so")).arg(source);
        assert!(cc.status().unwrap().success());
        Self { dir, sent: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The wall clock is so many seconds ahead from now on.
    fn set_clock(&self, ahead_s: i64) {
        // In one step, for it is read at any time.
        fs::write(self.path("ahead.new"), ahead_s.to_string()).unwrap();
        fs::rename(self.path("ahead.new"), self.path("ahead")).unwrap();
    }

    /// The hub, since that start of the machine.
    fn serve(&self, boot: u32) -> Served {
        fs::write(self.path("boot"), format!("0b0b0b0b-0b0b-4b0b-8b0b-{boot:012}\n")).unwrap();
        let mut command = onceward();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(self.path("data"));
        command.args(["--segment-bytes", "1048576"]).env("ONCEWARD_API_KEY", KEY);
        command.env("LD_PRELOAD", self.path("clocks.so"));
        command.env("BOOT_FILE", self.path("boot")).env("AHEAD_FILE", self.path("ahead"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Guarded(command.spawn().unwrap());
        let line = first_line(child.0.stdout.take().unwrap());
        Served { url: line.strip_prefix("listening on ").unwrap().trim().to_owned(), child }
    }

    /// A new terminal sends the sale; how often it took effect, and was known.
    fn send(&mut self, hub: &Served) -> (Value, Value) {
        self.sent += 1;
        let store = self.path(&format!("till-{}", self.sent));
        capture(&store, "{\"key\":\"sale\",\"payload\":{\"total\":1}}\n").expect(0);
        let mut command = onceward();
        command.args(["sync", "--once", "--dialect", "wede", "--to", &hub.url, "--store"]);
        let ended = run(command.arg(store).env("ONCEWARD_API_KEY", KEY), b"").expect(0);
        let summary = ended.last_json();
        let count = |name| summary.get(name).cloned().unwrap_or_default();
        (count("accepted"), count("duplicate"))
    }
}

/// The hub ends in order; what it said.
fn stopped(mut hub: Served) -> String {
    terminate(&hub.child);
    let said = hub.child.said();
    assert_eq!(hub.child.0.wait().unwrap().code(), Some(0), "{said}");
    said
}

const DAY_S: i64 = 86_400;

#[test]
fn a_hub_whose_machine_starts_anew_with_a_clock_40_days_on_applies_nothing_again_and_says_so() {
    let mut machine = Machine::new();
    machine.set_clock(0);
    let hub = machine.serve(1);
    assert_eq!(machine.send(&hub), counts(1, 0));
    let said = stopped(hub);
    assert!(!said.contains("nothing measured"), "{said}");
    for boot in 2..=3 {
        machine.set_clock(40 * DAY_S * i64::from(boot - 1));
        let hub = machine.serve(boot);
        assert_eq!(machine.send(&hub), counts(0, 1), "{boot}");
        let said = stopped(hub);
        // Forty days and some milliseconds.
        assert!(said.contains("nothing measured how long the hub was off (34560"), "{said}");
        assert!(said.contains("that time does not count"), "{said}");
    }
}

#[test]
fn a_hub_that_begins_in_1970_and_whose_clock_is_set_applies_nothing_again_and_says_so() {
    let mut machine = Machine::new();
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    machine.set_clock(-i64::try_from(now_s).unwrap());
    let hub = machine.serve(1);
    assert_eq!(machine.send(&hub), counts(1, 0));
    machine.set_clock(0);
    assert_eq!(machine.send(&hub), counts(0, 1), "while it runs");
    stopped(hub);
    let hub = machine.serve(2);
    assert_eq!(machine.send(&hub), counts(0, 1));
    let said = stopped(hub);
    assert!(said.contains("nothing measured") && said.contains("does not count"), "{said}");
    // The process alone starts anew: its machine's own clock measured that.
    machine.set_clock(-i64::try_from(now_s).unwrap());
    let hub = machine.serve(2);
    assert_eq!(machine.send(&hub), counts(0, 1));
    let said = stopped(hub);
    assert!(!said.contains("nothing measured"), "{said}");
}

/// How often a sale took effect, and was known.
fn counts(accepted: u64, duplicate: u64) -> (Value, Value) {
    (accepted.into(), duplicate.into())
}
