//! A hub that really runs, and a client that really speaks to it.
//! Method: the hub serves a loopback port from a runtime of its own; the client writes HTTP by hand, so
//! that it can also send what no library would.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use onceward_hub::{Error, Hub, Options, serve};
use serde_json::Value;
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot, task::JoinHandle};

/// The key that every hub of these tests knows.
pub(crate) const API_KEY: &str = "test-key-1";
/// Small segments: a test needs no 64 MiB.
pub(crate) const SEGMENT_BYTES: u64 = 1024 * 1024;
/// Forloy's route.
pub(crate) const FORLOY: &str = "/api/v1/transactions/sync";
/// Wede's route.
pub(crate) const WEDE: &str = "/v1/sync/batch";

/// A hub that serves a loopback port.
pub(crate) struct Running {
    runtime: Runtime,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<Result<(), Error>>>,
    pub(crate) address: SocketAddr,
}

/// Options of a hub in `dir`.
pub(crate) fn options(dir: &Path) -> Options {
    Options::new(dir.join("data"), API_KEY).with_segment_bytes(SEGMENT_BYTES)
}

/// Where `options` keeps its data.
pub(crate) fn data(dir: &Path) -> PathBuf {
    dir.join("data")
}

impl Running {
    /// Opens a hub in `dir` and serves it.
    pub(crate) fn start(dir: &Path) -> Self {
        Self::serve(Hub::open(options(dir)).expect("the hub opens"))
    }

    /// Opens a hub with cards and serves it.
    pub(crate) fn start_with_cards(dir: &Path, cards: &Path) -> Self {
        Self::serve(Hub::open(options(dir).with_cards(cards)).expect("the hub opens"))
    }

    /// Serves `hub`.
    pub(crate) fn serve(hub: Hub) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("its address");
        let (stop, stopped) = oneshot::channel::<()>();
        let served = runtime.spawn(serve(hub, listener, async move {
            // A sender that is gone stops the hub too.
            stopped.await.unwrap_or_default();
        }));
        Self { runtime, stop: Some(stop), served: Some(served), address }
    }

    /// Asks the hub to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        drop(self.stop.take());
        let served = self.served.take().expect("it is served once");
        self.runtime.block_on(served).expect("no panic")
    }

    /// A client of this hub with the right key.
    pub(crate) const fn client(&self) -> Client {
        Client { address: self.address }
    }
}

/// Speaks to a hub.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
}

/// What the hub answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Client {
    /// Posts JSON with the right key.
    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.post_with(path, &[], body)
    }

    /// Posts JSON with the right key and more headers.
    pub(crate) fn post_with(&self, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut all = vec!["content-type: application/json".to_owned()];
        all.push(format!("authorization: Bearer {API_KEY}"));
        all.extend(headers.iter().map(|header| (*header).to_owned()));
        self.request("POST", path, &all, body.as_bytes())
    }

    /// Gets with the right key.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[format!("authorization: Bearer {API_KEY}")], b"")
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[String],
        body: &[u8],
    ) -> Answer {
        let head = head(method, path, headers, body.len());
        self.raw(&[head.as_bytes(), body].concat()).expect("an answer")
    }

    /// Sends bytes and reads until the hub closes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> io::Result<Answer> {
        let mut stream = self.connect()?;
        stream.write_all(bytes)?;
        read_answer(&mut stream)
    }

    /// Opens a connection.
    pub(crate) fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(stream)
    }
}

/// The head of a request that asks for the connection to be closed.
pub(crate) fn head(method: &str, path: &str, headers: &[String], body_bytes: usize) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str(&format!("content-length: {body_bytes}\r\n\r\n"));
    head
}

/// Reads an answer to the end of the connection.
pub(crate) fn read_answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or(io::ErrorKind::InvalidData)?;
    Ok(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The result of the item at `index` of a Forloy answer.
    pub(crate) fn result(&self, index: usize) -> Value {
        self.json()["data"]["results"][index]["result"].clone()
    }

    /// Asserts that this is a problem document with `status`, `code` and a detail that holds `detail`.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str, detail: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{self:?}");
        assert_eq!(problem["code"], code, "{self:?}");
        let name = code.to_ascii_lowercase().replace('_', "-");
        assert_eq!(problem["type"], format!("/problems/{name}"), "{self:?}");
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{self:?}");
        assert!(problem["detail"].as_str().is_some_and(|it| it.contains(detail)), "{self:?}");
        assert!(
            problem["request_id"].as_str().is_some_and(|id| id.starts_with("req_")),
            "{self:?}"
        );
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
    }
}

/// A purchase that keeps every rule.
pub(crate) fn purchase(key: &str, card: &str, amount: &str) -> String {
    format!(
        r#"{{"qr_code_data":"{card}","location_id":"loc_1","staff_user_id":"usr_1","purchase_amount":{amount},"idempotency_key":"{key}"}}"#
    )
}

/// A Forloy request of these purchases.
pub(crate) fn purchases(items: &[String]) -> String {
    format!(r#"{{"transactions":[{}]}}"#, items.join(","))
}

/// A Wede event that keeps every rule.
pub(crate) fn event(key: &str, payload: &str) -> String {
    format!(r#"{{"type":"PAYMENT","idempotency_key":"{key}","payload":{payload}}}"#)
}

/// A Wede request of these events.
pub(crate) fn batch(items: &[String]) -> String {
    let items = items.join(",");
    format!(
        r#"{{"events":[{items}],"device_id":"device-001","captured_at":"2026-03-10T14:25:31.000Z"}}"#
    )
}

/// JSON text without the white space outside strings.
pub(crate) fn minified(text: &str) -> String {
    let mut is_text = false;
    let mut is_escaped = false;
    let keep = |character: &char| {
        let keeps = is_text || !character.is_ascii_whitespace();
        if !is_escaped && *character == '"' {
            is_text = !is_text;
        }
        is_escaped = is_text && !is_escaped && *character == '\\';
        keeps
    };
    text.chars().filter(keep).collect()
}
