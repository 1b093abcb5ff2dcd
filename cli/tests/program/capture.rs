//! Every line of input gets its one answer, in order, after it is durable, and a bad line costs only itself.
//! Method: feed streams with and without bad lines to `capture` and compare what it prints line by line.

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::process::{capture, capturing, first_line, lines, on_store, onceward, run, terminate};

#[test]
fn a_thousand_lines_are_fresh_then_duplicates_then_in_conflict() {
    let dir = tempdir().unwrap();
    let first = capture(dir.path(), &lines(1_000, "a")).expect(0);
    assert_eq!(first.column("verdict"), vec!["fresh"; 1_000]);
    let numbers: Vec<String> = (1..=1_000).map(|n| n.to_string()).collect();
    assert_eq!(first.column("line"), numbers);
    let keys: Vec<String> = (1..=1_000).map(|n| format!("k{n}")).collect();
    assert_eq!(first.column("key"), keys);

    let again = capture(dir.path(), &lines(1_000, "a")).expect(0);
    assert_eq!(again.column("verdict"), vec!["duplicate"; 1_000]);
    assert_eq!(again.column("lsn"), first.column("lsn"), "a duplicate's number is the original's");

    let other = capture(dir.path(), &lines(1_000, "b")).expect(1);
    assert_eq!(other.column("verdict"), vec!["conflict"; 1_000]);
    assert_eq!(other.column("lsn"), first.column("lsn"));
    assert!(other.err.contains("1000 in conflict"), "{}", other.err);
}

#[test]
fn an_answer_has_exactly_the_documented_fields() {
    let dir = tempdir().unwrap();
    let ended = capture(dir.path(), "{\"key\":\"a\",\"payload\":1}\nnot json\n").expect(1);
    let answers = ended.json_lines();
    let lsn = answers[0]["lsn"].as_u64().unwrap();
    assert_eq!(answers[0], json!({"line":1,"key":"a","lsn":lsn,"verdict":"fresh","error":null}));
    let error = &answers[1]["error"];
    assert_eq!(
        answers[1],
        json!({"line":2,"key":null,"lsn":null,"verdict":"refused","error":error})
    );
    let fields: Vec<&String> = error.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["code", "message"]);
}

#[test]
fn one_bad_line_of_a_thousand_is_refused_by_number_and_the_others_are_captured() {
    let good = lines(1_000, "a");
    let too_large = format!("{{\"key\":\"big\",\"payload\":\"{}\"}}", "x".repeat(65_536));
    let too_long = "x".repeat(2 * 1024 * 1024);
    let long_key = format!("{{\"key\":\"{}\",\"payload\":1}}", "k".repeat(256));
    for bad in [
        "",
        "no",
        "{\"payload\":1}",
        "{\"key\":\"\",\"payload\":1}",
        "{\"key\":\"k\"}",
        "{\"key\":\"k\",\"payload\":1,\"more\":2}",
        "{\"key\":\"k\",\"payload\":1,\"amount\":1e2}",
        long_key.as_str(),
        too_large.as_str(),
        too_long.as_str(),
    ] {
        let dir = tempdir().unwrap();
        let mut input: Vec<&str> = good.lines().collect();
        input[499] = bad;
        let ended = capture(dir.path(), &input.join("\n")).expect(1);
        let verdicts = ended.column("verdict");
        let shown = &bad[..bad.len().min(60)];
        assert_eq!(verdicts.len(), 1_000, "{shown}");
        assert_eq!(verdicts[499], "refused", "{shown}");
        assert_eq!(verdicts.iter().filter(|verdict| *verdict == "fresh").count(), 999, "{shown}");
        assert!(ended.err.contains("line 500"), "{}", ended.err);
    }
}

#[test]
fn a_scope_with_bad_characters_is_a_wrong_argument() {
    let dir = tempdir().unwrap();
    let store = dir.path().to_str().unwrap();
    let mut command = onceward();
    let ended = run(command.args(["capture", "--store", store, "--scope", "No!"]), b"").expect(2);
    assert!(ended.err.contains("scope"), "{}", ended.err);
}

#[test]
fn the_same_key_in_two_scopes_is_two_events() {
    let dir = tempdir().unwrap();
    let store = dir.path().to_str().unwrap();
    let line = b"{\"key\":\"a\",\"payload\":1}";
    for scope in ["one", "two"] {
        let ended = run(onceward().args(["capture", "--store", store, "--scope", scope]), line);
        assert_eq!(ended.expect(0).column("verdict"), ["fresh"]);
    }
}

#[test]
fn a_lone_line_is_answered_at_once_while_stdin_stays_open() {
    let dir = tempdir().unwrap();
    let mut child = capturing(dir.path());
    let mut stdin = child.0.stdin.take().unwrap();
    let mut answers = BufReader::new(child.0.stdout.take().unwrap());
    for n in 1..=5 {
        writeln!(stdin, "{{\"key\":\"{n}\",\"payload\":{n}}}").unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((&answer["line"], &answer["verdict"]), (&json!(n), &json!("fresh")));
    }
}

#[test]
fn a_run_that_is_asked_to_end_closes_the_store_and_says_where_it_stopped() {
    let dir = tempdir().unwrap();
    let mut child = capturing(dir.path());
    let mut stdin = child.0.stdin.take().unwrap();
    writeln!(stdin, "{{\"key\":\"a\",\"payload\":1}}").unwrap();
    assert!(first_line(child.0.stdout.take().unwrap()).contains("fresh"));
    terminate(&child);
    assert_eq!(child.0.wait().unwrap().code(), Some(1));
    let said = child.said();
    assert!(said.contains("after line 1"), "{said}");
}

#[test]
fn everything_of_a_line_comes_back_from_the_log_as_it_was_given() {
    let dir = tempdir().unwrap();
    let line = concat!(
        r#"{"key":"a","payload":{ "b" : 1.50, "a" : [1e5, "\u00e9"] },"kind":"PAYMENT","amount":12.3,"#,
        r#""captured_at":"1997-01-01T12:00:00Z","lane":"card-1","class":"evictable"}"#
    );
    capture(dir.path(), line).expect(0);
    let dump = on_store("dump", dir.path()).expect(0);
    assert!(dump.out.contains(r#""payload":{"b":1.50,"a":[1e5,"\u00e9"]}"#), "{}", dump.out);
    let event = dump.last_json();
    for (field, value) in [
        ("scope", "default"),
        ("key", "a"),
        ("state", "pending"),
        ("kind", "PAYMENT"),
        ("amount", "12.30"),
        ("captured_at", "1997-01-01T12:00:00.000Z"),
        ("lane", "card-1"),
        ("class", "evictable"),
    ] {
        assert_eq!(event[field], value, "{field}");
    }
}

#[test]
fn a_full_stdout_ends_the_run_with_a_word_and_without_a_panic() {
    let dir = tempdir().unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = onceward();
    command.arg("capture").arg("--store").arg(dir.path()).stderr(Stdio::piped());
    let mut child = command.stdin(Stdio::piped()).stdout(full).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines(10, "a").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("standard output"));
    // What was committed stays committed although no answer could be written.
    assert_eq!(on_store("dump", dir.path()).expect(0).json_lines().len(), 10);
}

#[test]
fn headers_of_the_run_and_of_the_line_travel_with_the_event() {
    let dir = tempdir().unwrap();
    let mut command = onceward();
    command.args(["capture", "--header", "till=7", "--header", "note=a=b", "--store"]);
    let input = concat!(
        "{\"key\":\"a\",\"payload\":1,\"headers\":{\"trace\":\"t1\"}}\n",
        "{\"key\":\"b\",\"payload\":1}\n",
        "{\"key\":\"c\",\"payload\":1,\"headers\":{\"Trace\":\"t1\"}}\n",
    );
    let answers = run(command.arg(dir.path()), input.as_bytes()).expect(1);
    assert_eq!(answers.column("verdict"), ["fresh", "fresh", "refused"]);
    assert_eq!(answers.last_json()["error"]["code"], "HEADER_INVALID");
    let dump = on_store("dump", dir.path()).expect(0).json_lines();
    let of_run = [["till", "7"], ["note", "a=b"]];
    assert_eq!(dump[0]["headers"], json!([of_run[0], of_run[1], ["trace", "t1"]]));
    assert_eq!(dump[1]["headers"], json!(of_run));
}
