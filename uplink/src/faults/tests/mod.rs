//! What the tests of this folder share: an upstream that counts, and a client that reads whatever comes.

mod ending;
mod forms;
mod line;
mod plans;
mod replies;
mod slow;
mod table;

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use super::ending::lock;
use super::http::{Framing, Head, Message};
use super::{FaultProxy, Plan};

/// A port of the loopback that the system picks.
fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Waits until it holds.
fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        thread::yield_now();
    }
}

/// What an upstream heard.
#[derive(Debug, Default)]
struct Heard {
    /// Bodies of whole requests.
    whole: Vec<String>,
    /// Bytes of requests that broke off.
    broken_off: Vec<usize>,
}

/// An upstream that answers each whole request with its number and three items.
struct Upstream {
    /// Where it listens.
    address: SocketAddr,
    /// What it heard.
    heard: Arc<Mutex<Heard>>,
}

impl Upstream {
    /// Starts one.
    fn start() -> Self {
        let listener = TcpListener::bind(any_port()).unwrap();
        let (address, heard) = (listener.local_addr().unwrap(), Arc::<Mutex<Heard>>::default());
        let hears = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let hears = Arc::clone(&hears);
                thread::spawn(move || answer(&stream.unwrap(), &hears));
            }
        });
        Self { address, heard }
    }

    /// How many whole requests it heard.
    fn count(&self) -> usize {
        lock(&self.heard).whole.len()
    }

    /// A proxy that leads here by this script.
    fn behind(&self, script: &str) -> FaultProxy {
        FaultProxy::start(any_port(), self.address, Plan::script(script).unwrap()).unwrap()
    }
}

/// Serves one request.
fn answer(stream: &TcpStream, heard: &Mutex<Heard>) {
    let mut all = Vec::new();
    let mut input = BufReader::new(stream);
    let Ok(Some(head)) = Head::read(&mut input) else {
        lock(heard).broken_off.push(0);
        return;
    };
    let framing = head.framing_of_request().unwrap();
    let read = framing.read(&mut input, &mut |part| {
        all.extend_from_slice(part.bytes());
        Ok(())
    });
    if read.is_err() {
        lock(heard).broken_off.push(head.as_bytes().len() + all.len());
        return;
    }
    let number = {
        let mut heard = lock(heard);
        heard.whole.push(String::from_utf8(all).unwrap());
        heard.whole.len()
    };
    let body = reply_body(number);
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Kept: yes\r\n";
    let reply = format!("{head}Content-Length: {length}\r\n\r\n{body}");
    // Whoever was cut off does not read it.
    drop((&*stream).write_all(reply.as_bytes()));
}

/// The body of the reply to the request of this number.
fn reply_body(number: usize) -> String {
    let item = |key| json!({"key": key, "result": {"success": true}});
    json!({"number": number, "data": {"items": [item("a"), item("b"), item("c")]}}).to_string()
}

/// The keys of a reply, and whether each was a success.
fn items_of(body: &[u8]) -> Vec<(String, bool)> {
    let body: Value = serde_json::from_slice(body).unwrap();
    let items = body["data"]["items"].as_array().unwrap();
    let item = |item: &Value| {
        let key = item["key"].as_str().unwrap().to_owned();
        (key, item["result"]["success"].as_bool().unwrap())
    };
    items.iter().map(item).collect()
}

/// What came back until the connection ended, and how it did.
#[derive(Debug)]
struct Came {
    /// The bytes.
    bytes: Vec<u8>,
    /// Whether it was reset.
    is_reset: bool,
}

impl Came {
    /// The bytes as text.
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The head of the reply, in small letters, and its body as it came.
    fn parts(&self) -> (String, Vec<u8>) {
        let at = self.bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let (head, body) = self.bytes.split_at(at + 4);
        (String::from_utf8(head.to_vec()).unwrap().to_ascii_lowercase(), body.to_vec())
    }

    /// The status of the reply.
    fn status(&self) -> u16 {
        let (head, _body) = self.parts();
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

/// Reads until the connection ends.
fn read_to_end(mut stream: &TcpStream) -> Came {
    let mut bytes = Vec::new();
    let is_reset = match stream.read_to_end(&mut bytes) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            true
        }
    };
    Came { bytes, is_reset }
}

/// A request with this body; the connection is closed after it if `extra` says so.
fn request(body: &str, extra: &str) -> String {
    let length = body.len();
    format!("POST /sync HTTP/1.1\r\nHost: hub\r\n{extra}Content-Length: {length}\r\n\r\n{body}")
}

/// Sends one request and reads until the connection ends.
fn ask(proxy: &FaultProxy, body: &str) -> Came {
    let stream = TcpStream::connect(proxy.addr()).unwrap();
    (&stream).write_all(request(body, "Connection: close\r\n").as_bytes()).unwrap();
    read_to_end(&stream)
}

/// Sends one request on a connection that is kept, and reads one reply.
fn ask_on(stream: &TcpStream, body: &str) -> Message {
    let mut writer = stream;
    writer.write_all(request(body, "").as_bytes()).unwrap();
    // Of one byte, so that nothing of what follows the reply is taken.
    let mut input = BufReader::with_capacity(1, stream);
    let head = Head::read_reply(&mut input).unwrap();
    let framing = head.framing_of_reply("POST").unwrap();
    assert_ne!(framing, Framing::UntilClose);
    Message::read(head, framing, &mut input).unwrap()
}
