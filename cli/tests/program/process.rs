//! The program is run as its users run it.
//! Method: start the built binary, feed its stdin from a thread, and collect what it says.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
};

use serde_json::Value;

/// The built program, with no key in its environment.
pub(crate) fn onceward() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onceward"));
    command.env_remove("ONCEWARD_API_KEY").stdin(Stdio::null());
    command
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; a signal has none.
    pub(crate) code: Option<i32>,
    /// What was on stdout.
    pub(crate) out: String,
    /// What was on stderr.
    pub(crate) err: String,
}

impl Ended {
    /// The lines on stdout, as JSON.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The last line on stdout, as JSON.
    pub(crate) fn last_json(&self) -> Value {
        self.json_lines().pop().unwrap()
    }

    /// The values of one field of all lines.
    pub(crate) fn column(&self, field: &str) -> Vec<String> {
        let texts = self.json_lines().into_iter().map(|line| match line.get(field).unwrap() {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        texts.collect()
    }

    /// Checks the exit code, and that a failure is explained.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        assert!(code == 0 || !self.err.trim().is_empty(), "exit {code} without a word");
        self
    }
}

/// Runs to the end with `input` on stdin.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A program that ends before it has read everything breaks this pipe, as it may.
    let feeder = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    drop(feeder.join().unwrap());
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// `onceward ARGS` with nothing on stdin.
pub(crate) fn ask(args: &[&str]) -> Ended {
    run(onceward().args(args), b"")
}

/// `onceward capture --store DIR` with `input`.
pub(crate) fn capture(store: &Path, input: &str) -> Ended {
    run(onceward().arg("capture").arg("--store").arg(store), input.as_bytes())
}

/// The same, started, with a pipe at each end.
pub(crate) fn capturing(store: &Path) -> Guarded {
    let mut command = onceward();
    command.arg("capture").arg("--store").arg(store);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Guarded(command.spawn().unwrap())
}

/// `onceward NAME --store DIR`.
pub(crate) fn on_store(name: &str, store: &Path) -> Ended {
    run(onceward().args(name.split(' ')).arg("--store").arg(store), b"")
}

/// A child that is killed and reaped when the test ends, however it ends.
#[derive(Debug)]
pub(crate) struct Guarded(pub(crate) Child);

impl Guarded {
    /// All that it says on stderr, until it ends.
    pub(crate) fn said(&mut self) -> String {
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A hub on a free port of the loopback.
#[derive(Debug)]
pub(crate) struct Served {
    /// The hub's base URL.
    pub(crate) url: String,
    /// The hub.
    pub(crate) child: Guarded,
}

/// The bearer key of [`serve`].
pub(crate) const KEY: &str = "test_key_1";

/// Starts `onceward serve` and waits until it is ready.
pub(crate) fn serve(data: &Path, cards: Option<&Path>) -> Served {
    let mut command = onceward();
    command.args(["serve", "--listen", "127.0.0.1:0", "--segment-bytes", "1048576", "--data"]);
    command.arg(data).env("ONCEWARD_API_KEY", KEY).stdout(Stdio::piped());
    if let Some(cards) = cards {
        command.arg("--cards").arg(cards);
    }
    let mut child = Guarded(command.spawn().unwrap());
    let line = first_line(child.0.stdout.take().unwrap());
    let url = line.strip_prefix("listening on ").unwrap().trim().to_owned();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    Served { url, child }
}

/// A store in `dir` whose purchases under these keys wait in review: the hub does not know their card.
pub(crate) fn reviewed(dir: &Path, keys: &[&str]) -> PathBuf {
    reviewed_and_said(dir, keys).0
}

/// As [`reviewed`], with what `sync` said on stderr.
pub(crate) fn reviewed_and_said(dir: &Path, keys: &[&str]) -> (PathBuf, String) {
    fs::create_dir_all(dir).unwrap();
    let (store, cards) = (dir.join("store"), dir.join("cards"));
    let card = "{\"code\":\"other\",\"status\":\"active\",\"card_type\":\"punch\"}\n";
    fs::write(&cards, card).unwrap();
    let purchase =
        r#"{"qr_code_data":"c","location_id":"l","staff_user_id":"s","purchase_amount":1}"#;
    let line = |key: &&str| {
        let key = serde_json::to_string(key).unwrap();
        format!("{{\"key\":{key},\"payload\":{purchase}}}\n")
    };
    capture(&store, &keys.iter().map(line).collect::<String>()).expect(0);
    let hub = serve(&dir.join("data"), Some(&cards));
    let mut command = onceward();
    command
        .args(["sync", "--once", "--dialect", "forloy", "--to", &hub.url, "--store"])
        .arg(&store);
    let ended = run(command.env("ONCEWARD_API_KEY", KEY), b"");
    let sent = ended.last_json();
    let reviewed = sent.get("in_review").and_then(Value::as_u64);
    assert_eq!(reviewed, u64::try_from(keys.len()).ok());
    (store, ended.err)
}

/// The first line of a pipe.
pub(crate) fn first_line(pipe: ChildStdout) -> String {
    let mut line = String::new();
    BufReader::new(pipe).read_line(&mut line).unwrap();
    line
}

/// Lines for `capture`: `count` events whose payloads differ by `payload`.
pub(crate) fn lines(count: usize, payload: &str) -> String {
    (1..=count)
        .map(|n| format!("{{\"key\":\"k{n}\",\"payload\":{{\"n\":{n},\"is\":\"{payload}\"}}}}\n"))
        .collect()
}

/// Sends SIGTERM.
pub(crate) fn terminate(child: &Guarded) {
    send("-TERM", child);
}

/// Sends a signal.
pub(crate) fn send(signal: &str, child: &Guarded) {
    let pid = child.0.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

/// All files below a directory with their content.
pub(crate) fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(content(&entry.path()));
        } else {
            files.insert(entry.path(), fs::read(entry.path()).unwrap());
        }
    }
    files
}

/// Flips a bit of the text, which is in one file of the store.
pub(crate) fn flip(store: &Path, text: &str) {
    let mut hits = 0;
    for (file, mut bytes) in content(store) {
        let found = bytes.windows(text.len()).position(|window| window == text.as_bytes());
        let Some(at) = found else { continue };
        *bytes.get_mut(at + 4).unwrap() ^= 1;
        fs::write(file, bytes).unwrap();
        hits += 1;
    }
    assert_eq!(hits, 1, "{text} is in one file");
}
