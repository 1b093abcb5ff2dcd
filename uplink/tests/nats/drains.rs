//! What is drained is in the stream, once each, as it was captured.
//!
//! Method: drain stores into a server, in one run and beside captures, and read back every message.

use std::time::{Duration, Instant};

use onceward::{Event, Headers, Key, Kind, Payload, Scope, State};
use onceward_uplink::ErrorKind;
use onceward_uplink::nats::{NatsOptions, NatsUploader, NewStream};

use super::reader::Reader;
use super::server::{Server, free_port, until};
use super::terminal::{Terminal, event, options};

fn to(server: &Server) -> NatsOptions {
    NatsOptions::new(&[&server.url()], "SALES").unwrap()
}

/// The time now.
fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "how long it took is the question")]
    Instant::now()
}

#[test]
fn two_thousand_events_are_in_the_stream_once_each() {
    let server = Server::start();
    let reader = Reader::of(&[&server.url()]);
    reader.make("SALES", "");
    let terminal = Terminal::with(2_000, &["default"]);
    let uploader = NatsUploader::new(terminal.store.clone(), to(&server)).unwrap();
    let mut uploader = uploader.draining(options("default"), 1);
    let began = now();
    let report = uploader.run_once(&mut |_| ()).unwrap();
    let took = began.elapsed();
    println!("{:.0} events a second", 2_000.0 / took.as_secs_f64());
    assert_eq!((report.accepted, report.duplicate, report.failures), (2_000, 0, 0), "{report:?}");
    assert_eq!(terminal.store.status().settled, 2_000);
    terminal.assert_each_once(&reader, "SALES");
    let settled =
        terminal.store.find(&Scope::default(), &Key::new("k-0").unwrap()).unwrap().unwrap();
    assert_eq!(settled.state, State::Accepted);
    let receipt = String::from_utf8(settled.receipt.unwrap().as_bytes().to_vec()).unwrap();
    let number: usize = receipt.strip_prefix("SALES:").unwrap().parse().unwrap();
    assert_eq!(reader.messages("SALES")[number - 1].id(), "default/k-0");
}

#[test]
fn a_message_is_the_event_as_it_was_captured() {
    let server = Server::start();
    let reader = Reader::of(&[&server.url()]);
    let terminal = Terminal::with(0, &[]);
    let headers = Headers::new().with("trace-id", "4711").unwrap();
    let payload = Payload::bytes(vec![0, 10, 10, 255]);
    let event = Event::new(Scope::new("tips").unwrap(), Key::new("a b/\u{e9}").unwrap(), payload)
        .with_kind(Kind::new("PAY.ED").unwrap())
        .with_captured_at_ms(1_773_152_525_007)
        .with_headers(headers);
    terminal.store.capture(&event).unwrap();
    let new = NewStream { duplicate_window: Duration::from_secs(3_600), ..NewStream::default() };
    let to = to(&server).with_subject("till-7.{scope}.{kind}").unwrap().creating(new);
    let uploader = NatsUploader::new(terminal.store.clone(), to).unwrap();
    let report = uploader.draining(options("tips"), 1).run_once(&mut |_| ()).unwrap();
    assert_eq!(report.accepted, 1, "{report:?}");
    let messages = reader.messages("SALES");
    let message = &messages[0];
    assert_eq!((messages.len(), message.subject.as_str()), (1, "till-7.tips.PAY%2EED"));
    assert_eq!(message.payload, [0, 10, 10, 255]);
    let store = terminal.store.id().to_string();
    for (name, value) in [
        ("Nats-Msg-Id", "tips/a%20b/%C3%A9"),
        ("Onceward-Store", store.as_str()),
        ("Onceward-Kind", "PAY.ED"),
        ("Onceward-Captured-At", "2026-03-10T14:22:05.007Z"),
        ("trace-id", "4711"),
    ] {
        assert_eq!(message.header(name), Some(value), "{name}");
    }
    let info = reader.info("SALES").unwrap();
    assert_eq!(info["config"]["duplicate_window"], 3_600_000_000_000_u64, "as it was to be made");
    assert_eq!(info["config"]["subjects"], serde_json::json!(["till-7.*.*"]));
}

#[test]
fn the_same_keys_of_two_scopes_are_two_events_also_while_the_uploader_runs() {
    let server = Server::start();
    let reader = Reader::of(&[&server.url()]);
    reader.make("SALES", "");
    let terminal = Terminal::with(300, &["default", "tips"]);
    let uploader = NatsUploader::new(terminal.store.clone(), to(&server)).unwrap();
    let uploader =
        uploader.draining(options("default"), 2).draining(options("tips"), 1).spawn().unwrap();
    assert!(uploader.flush(Duration::from_secs(20)), "{:?}", uploader.report());
    terminal.assert_each_once(&reader, "SALES");
    terminal.store.capture(&event(&Scope::default(), 300)).unwrap();
    uploader.wake();
    until("what was captured meanwhile is there", || reader.last("SALES") == 601);
    let began = now();
    let report = uploader.stop().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(report.accepted, 601, "{report:?}");
}

#[test]
fn a_server_that_comes_late_gets_everything_and_a_stop_waits_for_none() {
    let terminal = Terminal::with(10, &["default"]);
    let mut server = Server::new(free_port(), &[]);
    let to = to(&server).creating(NewStream::default());
    let uploader = NatsUploader::new(terminal.store.clone(), to).unwrap();
    let mut once = NatsUploader::new(terminal.store.clone(), self::to(&server)).unwrap();
    let report = {
        once = once.draining(options("default"), 1);
        once.run_once(&mut |_| ()).unwrap()
    };
    assert!(report.unreachable && report.attempted == 0, "{report:?}");
    let uploader = uploader.draining(options("default"), 1).spawn().unwrap();
    until("it says that nobody is there", || uploader.report().unreachable);
    server.run();
    uploader.online();
    assert!(uploader.flush(Duration::from_secs(20)), "{:?}", uploader.report());
    assert!(!uploader.report().unreachable);
    terminal.assert_each_once(&Reader::of(&[&server.url()]), "SALES");
    server.kill();
    terminal.store.capture(&event(&Scope::default(), 10)).unwrap();
    uploader.wake();
    until("nobody is there again", || uploader.report().unreachable);
    let began = now();
    uploader.stop().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn an_uploader_without_a_scope_is_refused() {
    let terminal = Terminal::with(1, &["default"]);
    let to = NatsOptions::new(&["nats://127.0.0.1:9"], "SALES").unwrap();
    let uploader = NatsUploader::new(terminal.store, to).unwrap();
    let error = { uploader }.run_once(&mut |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
