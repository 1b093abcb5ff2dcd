//! Uploading: sales are captured and sent by an `Uploader` on its own thread, which is paused, flushed and stopped.
//!
//! `cargo run -p onceward-uplink --example upload` sends to a small server in this example;
//! `cargo run -p onceward-uplink --example upload URL KEY` to an upstream that speaks Wede, such as `onceward serve`.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use onceward::sync::{Options, Report};
use onceward::{Config, Event, Key, Payload, Scope, Store};
use onceward_uplink::{Line, Secret, Timeouts, Uploader, Wede};
use serde_json::{Value, json};

/// Longest wait for an answer; it is over with the answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the example.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(url), key) if url.starts_with("http") => upload(&url, key),
        _ => upload(&start_server()?, None),
    }
}

/// Captures some sales and sends them to `url`.
fn upload(url: &str, key: Option<String>) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path().join("store"), Config::new())?;
    // Keys differ from run to run, should the upstream be a real one.
    let till = store.id();
    let sell = |number: u32| -> Result<(), Box<dyn Error>> {
        let key = Key::new(&format!("{till}-{number}"))?;
        store.capture(&Event::new(Scope::default(), key, Payload::json(r#"{"total": 24.50}"#)?))?;
        Ok(())
    };
    sell(1)?;

    let line = Line::new(url, key.map(Secret::new), Timeouts::default())?;
    let options = Options::new(Scope::default());
    let uploader = Uploader::new(store.clone(), line, Box::new(Wede::new("till-7")), options)?;
    // The observer is called on the uploader's thread: it should be quick.
    let uploader = uploader.spawn_observed(|report: &Report| {
        let Report { attempted, accepted, last_failure, .. } = report;
        let why = last_failure.as_deref().unwrap_or("nothing failed");
        // Whoever reads it may have had enough.
        drop(writeln!(io::stdout(), "sent {attempted}, accepted {accepted}; {why}"));
    })?;

    sell(2)?;
    // Captured while it runs: it is told, or it looks by itself after a while. `flush` tells it too.
    uploader.wake();
    assert!(uploader.flush(PATIENCE), "both sales are answered");

    // While the shop pays by the same line, nothing new is sent; captures go on.
    uploader.pause();
    sell(3)?;
    // It waits its time out and says `false`, unless a request was being formed just then.
    let is_sent = uploader.flush(Duration::from_millis(100));
    writeln!(io::stdout(), "sent while it is paused: {is_sent}")?;
    uploader.resume();
    assert!(uploader.flush(PATIENCE), "the third is answered");

    // The thread ends. What had no answer would be sent again by the next uploader, under the same key.
    let report = uploader.stop()?;
    writeln!(
        io::stdout(),
        "{} sales took effect, {} had before",
        report.accepted,
        report.duplicate
    )?;
    assert_eq!((report.accepted, report.rejected, store.status().pending), (3, 0, 0));
    store.close()?;
    Ok(())
}

/// Starts a server that accepts whatever comes, and returns its address. It ends with the program.
fn start_server() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection that is closed again was one that only looked whether somebody is there.
            drop(answer(stream));
        }
    });
    Ok(url)
}

/// Answers the one request of a connection as Wede does. A real upstream would look whether it has the keys already.
fn answer(stream: TcpStream) -> Result<(), Box<dyn Error>> {
    let mut reader = BufReader::new(&stream);
    let (mut line, mut body_bytes) = (String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            body_bytes = value.trim().parse()?;
        }
        line.clear();
    }
    let mut body = vec![0; body_bytes];
    reader.read_exact(&mut body)?;
    let batch: Value = serde_json::from_slice(&body)?;
    let events = batch.get("events").and_then(Value::as_array).ok_or("no events")?;
    let result = |event: &Value| json!({"idempotency_key": event.get("idempotency_key"), "status": "accepted"});
    let results: Vec<Value> = events.iter().map(result).collect();
    let data = json!({
        "batch_id": "b-1", "status": "completed", "accepted": results.len(), "rejected": 0, "events": results,
    });
    let text = json!({ "data": data }).to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
    write!(&stream, "{head}\r\nContent-Length: {}\r\n\r\n{text}", text.len())?;
    Ok(())
}
