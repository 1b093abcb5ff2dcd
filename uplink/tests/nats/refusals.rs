//! What servers refuse, and what becomes of the events: to review only what can never be taken.
//!
//! Method: configure servers and streams that refuse, drain, and look at the report, the review and the stream.

use std::time::Duration;

use onceward::{Event, Key, Payload, Scope};
use onceward_uplink::nats::{NatsCredentials, NatsOptions, NatsUploader, NewStream};
use onceward_uplink::{ErrorKind, Secret};

use super::reader::Reader;
use super::server::{Server, until};
use super::terminal::{Terminal, options};

/// Users of a server: `till` may publish to the stream's subject of scope `default`, `lost` may not.
const USERS: &str = r#"
authorization { users: [
    { user: admin, password: admin },
    { user: till, password: till-password,
      permissions: { publish: ["$JS.API.STREAM.INFO.SALES", "onceward.default"], subscribe: ["_INBOX.>"] } },
    { user: lost, password: lost-password,
      permissions: { publish: ["$JS.API.STREAM.INFO.SALES"], subscribe: ["_INBOX.>"] } },
    { user: blind, password: blind-password,
      permissions: { publish: ["onceward.default"], subscribe: ["_INBOX.>"] } }
] }
"#;

/// A key as the documentation of NATS has it, and its seed; and the seed of another one.
const PUBLIC: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const OTHER_SEED: &str = "SUANQDPB2RUOE4ETUA26CNX7FUKE5ZZKFCQIIW63OX225F2CO7UEXTM7ZY";

fn to(server: &Server) -> NatsOptions {
    NatsOptions::new(&[&server.url()], "SALES").unwrap()
}

fn user(user: &str, password: &str) -> NatsCredentials {
    NatsCredentials::UserPassword { user: user.to_owned(), password: Secret::new(password) }
}

fn once(terminal: &Terminal, to: NatsOptions) -> onceward::sync::Report {
    let uploader = NatsUploader::new(terminal.store.clone(), to).unwrap();
    uploader.draining(options("default"), 1).run_once(&mut |_| ()).unwrap()
}

fn large(terminal: &Terminal, bytes: usize) {
    let payload = Payload::bytes(vec![b'x'; bytes]);
    let event = Event::new(Scope::default(), Key::new("large").unwrap(), payload);
    terminal.store.capture(&event).unwrap();
}

fn code_of_large(terminal: &Terminal) -> String {
    terminal.store.reviews().get(&Scope::default(), &Key::new("large").unwrap()).unwrap().code
}

#[test]
fn a_message_over_the_servers_limit_goes_to_review_and_the_others_into_the_stream() {
    let server = Server::with_config("max_payload: 4096");
    let reader = Reader::of(&[&server.url()]);
    reader.make("SALES", "");
    let terminal = Terminal::with(20, &["default"]);
    large(&terminal, 5_000);
    let report = once(&terminal, to(&server));
    assert_eq!((report.accepted, report.rejected), (20, 1), "{report:?}");
    assert_eq!(code_of_large(&terminal), "MAX_PAYLOAD");
    terminal.assert_each_once(&reader, "SALES");
}

#[test]
fn a_message_over_the_streams_limit_goes_to_review_and_the_others_into_the_stream() {
    let server = Server::start();
    let reader = Reader::of(&[&server.url()]);
    reader.make("SALES", r#""max_msg_size":2048"#);
    let terminal = Terminal::with(20, &["default"]);
    large(&terminal, 3_000);
    let report = once(&terminal, to(&server));
    assert_eq!((report.accepted, report.rejected), (20, 1), "{report:?}");
    assert_eq!(code_of_large(&terminal), "MESSAGE_TOO_LARGE");
    terminal.assert_each_once(&reader, "SALES");
}

#[test]
fn without_the_stream_nothing_is_sent_and_the_configuration_is_named() {
    let server = Server::start();
    let terminal = Terminal::with(5, &["default"]);
    let report = once(&terminal, to(&server));
    let why = report.misconfigured.unwrap();
    assert!(why.contains("there is no stream \"SALES\""), "{why}");
    assert_eq!((report.attempted, terminal.pending()), (0, 5));
}

#[test]
fn a_stream_that_does_not_take_the_subject_is_not_sent_to() {
    let server = Server::start();
    let reader = Reader::of(&[&server.url()]);
    reader.make("SALES", r#""subjects":["onceward.tips"]"#);
    reader.make("OTHER", r#""subjects":["onceward.default"]"#);
    let terminal = Terminal::with(5, &["default"]);
    let report = once(&terminal, to(&server));
    let why = report.misconfigured.unwrap();
    assert!(why.contains("takes no messages for \"onceward.default\""), "{why}");
    assert_eq!((terminal.pending(), reader.last("OTHER")), (5, 0));
}

#[test]
fn without_jetstream_nothing_is_sent() {
    let server = Server::with_config("accounts { A { users: [{user: a, password: a}] } }");
    let terminal = Terminal::with(5, &["default"]);
    let report = once(&terminal, to(&server).with_credentials(user("a", "a")));
    assert!(report.misconfigured.is_some() || report.unreachable, "{report:?}");
    assert_eq!(terminal.pending(), 5);
}

#[test]
fn refused_credentials_block_until_there_are_others() {
    let server = Server::with_config(USERS);
    let reader = Reader::by(&server.url(), "admin", "admin");
    reader.make("SALES", "");
    let terminal = Terminal::with(5, &["default"]);
    let wrong = to(&server).with_credentials(user("till", "not-it"));
    let report = once(&terminal, wrong.clone());
    assert!(report.blocked && report.attempted == 0, "{report:?}");
    assert!(!report.last_failure.unwrap().contains("not-it"));
    let uploader = NatsUploader::new(terminal.store.clone(), wrong).unwrap();
    let uploader = uploader.draining(options("default"), 1).spawn().unwrap();
    until("it is blocked", || uploader.report().blocked);
    uploader.set_credentials(Some(user("till", "till-password")));
    assert!(uploader.flush(Duration::from_secs(20)), "{:?}", uploader.report());
    assert_eq!(uploader.stop().unwrap().accepted, 5);
    terminal.assert_each_once(&reader, "SALES");
}

#[test]
fn who_may_not_publish_is_blocked_at_once_and_told_what_is_missing() {
    let server = Server::with_config(USERS);
    let reader = Reader::by(&server.url(), "admin", "admin");
    reader.make("SALES", "");
    let terminal = Terminal::with(5, &["default"]);
    for (name, password, subject) in [
        ("lost", "lost-password", "\"onceward.default\""),
        ("blind", "blind-password", "$JS.API.STREAM.INFO.SALES"),
    ] {
        let report = once(&terminal, to(&server).with_credentials(user(name, password)));
        assert!(report.blocked, "{report:?}");
        let why = report.last_failure.unwrap();
        assert!(why.contains(subject), "{why}");
    }
    assert_eq!((terminal.pending(), reader.last("SALES")), (5, 0));
    let report = once(&terminal, to(&server).with_credentials(user("till", "till-password")));
    assert_eq!(report.accepted, 5, "control: {report:?}");
}

#[test]
fn who_signs_what_the_server_asks_is_let_in() {
    let server =
        Server::with_config(&format!("authorization {{ users: [ {{ nkey: {PUBLIC} }} ] }}"));
    let terminal = Terminal::with(5, &["default"]);
    let to = || to(&server).creating(NewStream::default());
    let by = |seed: &str| to().with_credentials(NatsCredentials::Nkey(Secret::new(seed)));
    let report = once(&terminal, to());
    assert!(report.blocked, "nobody is refused: {report:?}");
    for wrong in [OTHER_SEED, "no-seed-at-all"] {
        let report = once(&terminal, by(wrong));
        assert!(report.blocked, "{report:?}");
        assert!(!report.last_failure.unwrap().contains(wrong));
    }
    let report = once(&terminal, by(SEED));
    assert_eq!(report.accepted, 5, "{report:?}");
}

#[test]
fn a_full_stream_leaves_pending_what_it_does_not_take() {
    let server = Server::start();
    let reader = Reader::of(&[&server.url()]);
    reader.make("SALES", r#""max_msgs":30"#);
    let terminal = Terminal::with(50, &["default"]);
    let report = once(&terminal, to(&server));
    assert_eq!((report.accepted, report.rejected), (30, 0), "{report:?}");
    assert!(report.last_failure.unwrap().contains("STREAM_FULL"));
    assert_eq!((terminal.pending(), reader.last("SALES")), (20, 30));
}

#[test]
fn a_second_uploader_of_a_scope_is_fenced() {
    let server = Server::start();
    let terminal = Terminal::with(5, &["default"]);
    let make = || {
        let uploader = NatsUploader::new(terminal.store.clone(), to(&server)).unwrap();
        uploader.draining(options("default"), 1)
    };
    let first = make().spawn().unwrap();
    until("the first one drains", || first.report().misconfigured.is_some());
    let error = make().run_once(&mut |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    first.stop().unwrap();
}

#[test]
fn a_stream_takes_no_acks() {
    let terminal = Terminal::with(0, &[]);
    let nowhere = NatsOptions::new(&["nats://127.0.0.1:1"], "SALES").unwrap();
    let uploader = NatsUploader::new(terminal.store.clone(), nowhere).unwrap();
    let scope = terminal.store.inbox().scope().unwrap();
    let error = uploader.draining(options(scope.as_str()), 1).run_once(&mut |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("inbox"), "{error}");
}
