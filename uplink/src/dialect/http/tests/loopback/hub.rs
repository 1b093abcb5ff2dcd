//! A server on loopback that applies each key once, answers as a speaker does, and follows a script.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::speakers::{Given, Speaker};

/// A status with its reason, and headers and body with an empty line between.
pub(super) type Said = (&'static str, &'static str);

/// What the server does with a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Applies and closes without an answer.
    LoseReply,
    /// Says this and applies nothing.
    Say(Said),
}

/// What came, and what became of it.
#[derive(Default)]
struct Seen {
    applied: Mutex<BTreeMap<String, u32>>,
    heads: Mutex<Vec<String>>,
    closing: AtomicBool,
}

/// The server.
pub(super) struct Hub {
    address: SocketAddr,
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

impl Hub {
    /// Starts it; after the script it answers.
    pub(super) fn start(speaker: &'static Speaker, script: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let theirs = Arc::clone(&seen);
        let thread = thread::spawn(move || {
            let mut acts = script.into_iter();
            loop {
                let (mut stream, _) = listener.accept().unwrap();
                if theirs.closing.load(Ordering::SeqCst) {
                    return;
                }
                let (head, body) = read(&mut stream);
                theirs.heads.lock().unwrap().push(head.clone());
                let answer = match acts.next() {
                    Some(Act::Say((status, rest))) => Some(answer(status, rest)),
                    other => {
                        let answer = theirs.apply(speaker, &head, &body);
                        other.is_none().then_some(answer)
                    }
                };
                if let Some(answer) = answer {
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            }
        });
        Self { address, seen, thread: Some(thread) }
    }

    /// Its address.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often each key took effect.
    pub(super) fn applied(&self) -> Vec<(String, u32)> {
        self.seen.applied.lock().unwrap().clone().into_iter().collect()
    }

    /// How many requests came.
    pub(super) fn requests(&self) -> usize {
        self.seen.heads.lock().unwrap().len()
    }

    /// The head of the last request.
    pub(super) fn last_head(&self) -> String {
        self.seen.heads.lock().unwrap().last().unwrap().clone()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.seen.closing.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl Seen {
    /// Applies what is new, and says what became of all.
    fn apply(&self, speaker: &Speaker, head: &str, body: &str) -> String {
        let mut applied = self.applied.lock().unwrap();
        let given: Vec<Given> = (speaker.keys)(head, body)
            .into_iter()
            .map(|key| {
                let (is_bad, is_known) = (key == "bad", applied.contains_key(&key));
                if !is_bad {
                    applied.entry(key.clone()).or_insert(1);
                }
                Given { key, is_bad, is_known }
            })
            .collect();
        let (status, rest) = (speaker.answer)(&given);
        answer(status, &rest)
    }
}

/// A whole answer.
fn answer(status: &str, rest: &str) -> String {
    let (headers, body) = rest.split_once("\r\n\r\n").unwrap_or_else(|| ("", rest.trim_start()));
    let headers = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
    let bytes = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {bytes}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// The head and the body of a request.
fn read(stream: &mut TcpStream) -> (String, String) {
    let mut seen = Vec::new();
    let mut block = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&seen).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length = lower.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.lines().next()?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                return (head.to_owned(), body.to_owned());
            }
        }
        let count = stream.read(&mut block).unwrap();
        assert!(count > 0, "the request ends early");
        seen.extend_from_slice(&block[..count]);
    }
}
