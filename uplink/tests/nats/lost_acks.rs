//! An ack that is lost doubles nothing: the stream knows the message again, or a person is asked.
//!
//! Method: keep acks back, kill the server or let its window pass, drain again, and count by message id.

use std::time::Duration;

use onceward_uplink::nats::{NatsOptions, NatsUploader};

use super::deaf::Deaf;
use super::reader::Reader;
use super::server::{Server, pause, until};
use super::terminal::{Terminal, options};

#[test]
fn what_was_published_before_the_server_was_killed_is_known_there_again() {
    let mut server = Server::start();
    Reader::of(&[&server.url()]).make("SALES", "");
    let terminal = Terminal::with(300, &["default"]);
    let deaf = Deaf::to(server.port);
    let to = NatsOptions::new(&[&deaf.url()], "SALES").unwrap();
    let to = to.with_backoff(Duration::from_millis(50), Duration::from_millis(200));
    let uploader = NatsUploader::new(terminal.store.clone(), to).unwrap();
    let uploader = uploader.draining(options("default").with_items_max(100), 1).spawn().unwrap();
    let reader = Reader::of(&[&server.url()]);
    until("a batch is in the stream", || reader.last("SALES") >= 100);
    assert_eq!(terminal.store.status().settled, 0, "no ack came back");
    server.kill();
    deaf.mend();
    server.run();
    assert!(uploader.flush(Duration::from_secs(30)), "{:?}", uploader.report());
    let report = uploader.stop().unwrap();
    assert!(report.duplicate >= 100, "{report:?}");
    assert_eq!(report.accepted + report.duplicate, 300, "{report:?}");
    terminal.assert_each_once(&Reader::of(&[&server.url()]), "SALES");
}

#[test]
fn after_an_outage_that_is_longer_than_the_window_nothing_is_sent_again() {
    let server = Server::start();
    let reader = Reader::of(&[&server.url()]);
    reader.make("SALES", r#""duplicate_window":1000000000"#);
    let terminal = Terminal::with(100, &["default"]);
    let deaf = Deaf::to(server.port);
    let to = NatsOptions::new(&[&deaf.url()], "SALES").unwrap();
    let to = to.with_ack_timeout(Duration::from_millis(200));
    let make =
        |to| NatsUploader::new(terminal.store.clone(), to).unwrap().draining(options("default"), 1);
    // The program ends during the outage, too.
    let report = make(to.clone()).run_once(&mut |_| ()).unwrap();
    assert!(report.unreachable && report.accepted == 0, "{report:?}");
    assert_eq!(reader.last("SALES"), 100, "they are in the stream");
    pause(Duration::from_millis(1_500));
    deaf.mend();
    let report = make(to).run_once(&mut |_| ()).unwrap();
    assert_eq!((report.attempted, report.accepted, report.duplicate), (0, 0, 0), "{report:?}");
    let status = terminal.store.status();
    assert_eq!((status.uncertain, status.pending, status.in_flight), (100, 0, 0));
    terminal.assert_each_once(&reader, "SALES");
}

#[test]
fn an_uploader_that_goes_on_over_the_outage_asks_a_person_too() {
    let server = Server::start();
    let reader = Reader::of(&[&server.url()]);
    reader.make("SALES", r#""duplicate_window":500000000"#);
    let terminal = Terminal::with(100, &["default", "tips"]);
    let deaf = Deaf::to(server.port);
    let to = NatsOptions::new(&[&deaf.url()], "SALES").unwrap();
    let to = to.with_ack_timeout(Duration::from_millis(600));
    let uploader = NatsUploader::new(terminal.store.clone(), to).unwrap();
    let uploader = uploader.draining(options("default"), 1).spawn().unwrap();
    assert!(uploader.flush(Duration::from_secs(20)), "{:?}", uploader.report());
    assert_eq!(terminal.store.status().uncertain, 100);
    assert_eq!(terminal.pending(), 100, "the other scope is not drained, and not waited for");
    assert_eq!(uploader.stop().unwrap().attempted, 100, "each once");
    assert_eq!(reader.last("SALES"), 100);
}

#[test]
fn after_an_outage_within_the_window_a_new_program_sends_again() {
    let server = Server::start();
    let reader = Reader::of(&[&server.url()]);
    reader.make("SALES", r#""duplicate_window":120000000000"#);
    let terminal = Terminal::with(100, &["default"]);
    let deaf = Deaf::to(server.port);
    let to = NatsOptions::new(&[&deaf.url()], "SALES").unwrap();
    let to = to.with_ack_timeout(Duration::from_millis(200));
    let make =
        |to| NatsUploader::new(terminal.store.clone(), to).unwrap().draining(options("default"), 1);
    let report = make(to.clone()).run_once(&mut |_| ()).unwrap();
    assert_eq!((report.accepted, reader.last("SALES")), (0, 100), "{report:?}");
    deaf.mend();
    let report = make(to).run_once(&mut |_| ()).unwrap();
    assert_eq!((report.accepted, report.duplicate), (0, 100), "{report:?}");
    terminal.assert_each_once(&reader, "SALES");
}
