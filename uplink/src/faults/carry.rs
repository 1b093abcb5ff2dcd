//! Carries the requests of one connection, each with the fault that the plan has for it.

use std::cell::Cell;
use std::io::{self, BufReader};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::fault::{Argument, Fault};
use super::http::{Framing, Head, Message};
use super::injection::Injection;
use super::journal::Exchange;
use super::link::Link;
use super::plan::{Draw, Plan, Shape};
use super::shared::Shared;
use super::spoilt::spoilt;
use super::upstream::Way;
use super::{items, made};
use crate::clock;

/// What becomes of the connection to the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Then {
    /// It takes the next request.
    Keep,
    /// It is closed in order.
    Close,
    /// It is reset.
    Reset,
}

/// Serves a connection until either side or a fault closes it.
///
/// # Errors
///
/// A side went away or spoke something that is not understood, or the proxy ends.
pub(super) fn serve(shared: &Arc<Shared>, client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let client = Arc::new(client);
    shared.ending.watch(&client);
    let down = Link::start(&shared.down, &shared.ending, &client)?;
    let mut input = BufReader::with_capacity(BUFFER_BYTES, &*client);
    let mut then = Then::Keep;
    while then == Then::Keep {
        let Some(head) = Head::read(&mut input)? else { break };
        then = carry(shared, head, &mut input, &down)?;
    }
    if then == Then::Reset {
        // Without time to linger a close throws away what is on its way, and says so.
        rustix::net::sockopt::set_socket_linger(&*client, Some(Duration::ZERO))?;
    }
    Ok(())
}

/// Carries one request, and then those of others that were held until after it.
fn carry(
    shared: &Arc<Shared>,
    head: Head,
    input: &mut BufReader<&TcpStream>,
    down: &Link,
) -> io::Result<Then> {
    let (number, plan) = shared.begin();
    let Draw { injection, shape } = plan.draw(number);
    shared.count(injection.fault());
    let (plan, head, is_noted) = (&plan, &head, Cell::new(false));
    let carrier = Carrier { shared, number, plan, injection, shape, down, head, is_noted };
    let carried = carrier.run(input);
    if let Err(error) = &carried {
        carrier.note(None, Some(error.to_string()));
    }
    shared.release(number);
    carried
}

/// One request on its way.
struct Carrier<'a> {
    /// What all connections share.
    shared: &'a Arc<Shared>,
    /// Its number.
    number: u64,
    /// The plan that it was drawn from.
    plan: &'a Plan,
    /// What it meets.
    injection: Injection,
    /// The line.
    shape: Shape,
    /// The way to the client.
    down: &'a Link,
    /// Its head.
    head: &'a Head,
    /// Whether it is in the journal.
    is_noted: Cell<bool>,
}

impl Carrier<'_> {
    /// Carries it.
    fn run(&self, input: &mut BufReader<&TcpStream>) -> io::Result<Then> {
        if self.head.lists("expect", "100-continue") {
            self.down.send(b"HTTP/1.1 100 Continue\r\n\r\n", self.shape)?;
        }
        let fault = self.injection.fault();
        match fault {
            Fault::Pass | Fault::Delay | Fault::Rate | Fault::CloseAfter => {
                return self.pass(input);
            }
            _ => {}
        }
        let framing = self.head.framing_of_request()?;
        let request = Message::read(self.head.clone(), framing, input)?;
        match fault {
            Fault::CutRequest => self.cut_request(&request),
            Fault::LostReply => {
                self.ask(&request)?;
                self.close(None)
            }
            Fault::HungUp => self.hang_up(&request, input.get_ref()),
            Fault::Twice => self.twice(&request),
            Fault::Late => {
                self.shared.hold(self.due(), request.to_bytes());
                self.close(None)
            }
            Fault::LateCopy => {
                let reply = self.ask(&request)?;
                self.shared.hold(self.due(), request.to_bytes());
                self.deliver(&reply, None)
            }
            Fault::Reset => {
                self.ask_if_applied(&request)?;
                self.note(None, None);
                Ok(Then::Reset)
            }
            Fault::Refuse => {
                let ms = self.injection.number(Argument::Ms).unwrap_or(0);
                self.shared.refuse(Duration::from_millis(ms));
                self.close(None)
            }
            Fault::Hang => {
                self.ask_if_applied(&request)?;
                self.note(None, None);
                // Whatever else the client says, until it gives up.
                Framing::UntilClose.read(input, &mut |_| Ok(()))?;
                Ok(Then::Close)
            }
            Fault::EndlessBody => {
                self.ask_if_applied(&request)?;
                self.endless()
            }
            _ => match made::reply(&self.injection, self.head, clock::wall_ms()) {
                Some(reply) => {
                    self.ask_if_applied(&request)?;
                    self.note(Some(reply.status), None);
                    self.down.send(&reply.to_bytes(self.head.method()), self.shape)?;
                    Ok(self.then(None))
                }
                None => self.reply_fault(&request),
            },
        }
    }

    /// The faults of the upstream's own reply.
    fn reply_fault(&self, request: &Message) -> io::Result<Then> {
        let reply = self.ask(request)?;
        let fault = self.injection.fault();
        let status = reply.head.status();
        if let Some(bytes) = spoilt(fault, &reply) {
            self.note(status, None);
            self.down.send(&bytes, self.shape)?;
            return Ok(match fault {
                Fault::ShortLength | Fault::BadHeader => self.then(Some(&reply.head)),
                _ => Then::Close,
            });
        }
        let bytes = reply.to_bytes();
        match fault {
            Fault::CutReply => {
                let end = cut_at(&self.injection, &reply);
                self.note(status, None);
                self.down.send(bytes.get(..end).unwrap_or(&bytes), self.shape)?;
                Ok(Then::Close)
            }
            Fault::OldReply => match self.shared.old_reply(&self.key()) {
                Some(old) => {
                    self.note(Some(old.status), None);
                    self.down.send(&old.bytes, self.shape)?;
                    Ok(self.then(Some(&reply.head)))
                }
                None => self.deliver(&reply, Some("there is no older reply".to_owned())),
            },
            Fault::DripHead | Fault::DripBody => {
                let head_bytes = reply.head.as_bytes().len();
                let (head, body) = bytes.split_at_checked(head_bytes).unwrap_or((&bytes, &[]));
                self.note(status, None);
                match fault {
                    Fault::DripHead => {
                        self.drip(head)?;
                        self.down.send(body, self.shape)?;
                    }
                    _ => {
                        self.down.send(head, self.shape)?;
                        self.drip(body)?;
                    }
                }
                Ok(self.then(Some(&reply.head)))
            }
            _ => {
                let mut chance = self.plan.chance(self.number);
                let Some(body) = items::changed(fault, reply.content(), &mut chance) else {
                    return self.deliver(&reply, Some("the reply has no items".to_owned()));
                };
                self.note(status, None);
                let length = format!("Content-Length: {}\r\n", body.len());
                self.down.send(&reply.rebuilt(&length, &body), self.shape)?;
                Ok(self.then(Some(&reply.head)))
            }
        }
    }

    /// Carries request and reply as they come, piece by piece.
    fn pass(&self, input: &mut BufReader<&TcpStream>) -> io::Result<Then> {
        let way = self.connect()?;
        let framing = self.head.framing_of_request()?;
        // Who answers before it has read everything may be gone; then its answer is what counts.
        let mut is_open = way.send(self.head.as_bytes(), self.shape).is_ok();
        framing.read(input, &mut |part| {
            is_open = is_open && way.send(part.bytes(), self.shape).is_ok();
            Ok(())
        })?;
        let mut from = way.reader();
        let head = Head::read_reply(&mut from)?;
        let framing = head.framing_of_reply(self.head.method())?;
        self.note(head.status(), None);
        self.down.send(head.as_bytes(), self.shape)?;
        let mut kept = head.as_bytes().to_vec();
        framing.read(&mut from, &mut |part| {
            if kept.len() <= KEPT_BYTES_MAX {
                kept.extend_from_slice(part.bytes());
            }
            self.down.send(part.bytes(), self.shape)
        })?;
        if kept.len() <= KEPT_BYTES_MAX && framing != Framing::UntilClose {
            self.shared.remember(self.key(), head.status().unwrap_or(0), kept);
        }
        Ok(match (self.injection.fault(), framing) {
            (Fault::CloseAfter, _) | (_, Framing::UntilClose) => Then::Close,
            _ => self.then(Some(&head)),
        })
    }

    /// Gives the upstream a part of the request.
    fn cut_request(&self, request: &Message) -> io::Result<Then> {
        let bytes = request.to_bytes();
        let end = cut_at(&self.injection, request);
        self.connect()?.send(bytes.get(..end).unwrap_or(&bytes), self.shape)?;
        self.close(None)
    }

    /// Gives the upstream the request, and closes the connection to the client while the upstream is at work.
    fn hang_up(&self, request: &Message, client: &TcpStream) -> io::Result<Then> {
        let way = self.connect()?;
        way.send(&request.to_bytes(), self.shape)?;
        self.note(None, None);
        client.shutdown(Shutdown::Both)?;
        // The upstream is not cut off, and what it says is for nobody.
        way.hear(self.head.method()).map(|_reply| Then::Close)
    }

    /// Gives the upstream the request twice at once, and the client either reply.
    fn twice(&self, request: &Message) -> io::Result<Then> {
        let bytes = request.to_bytes();
        let (one, other) = (self.connect()?, self.connect()?);
        one.send(&bytes, self.shape)?;
        other.send(&bytes, self.shape)?;
        let method = self.head.method();
        let (one, other) = (one.hear(method)?, other.hear(method)?);
        let is_second = self.injection.value(Argument::Reply) == "2";
        self.deliver(if is_second { &other } else { &one }, None)
    }

    /// Sends a body that never ends.
    fn endless(&self) -> io::Result<Then> {
        self.note(Some(200), None);
        self.down.send(ENDLESS_HEAD, self.shape)?;
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
        loop {
            // Until the client gives up, or the proxy ends.
            self.down.send(chunk.as_bytes(), self.shape)?;
        }
    }

    /// Sends byte by byte.
    fn drip(&self, bytes: &[u8]) -> io::Result<()> {
        let ms = self.injection.number(Argument::Ms).unwrap_or(0);
        for byte in bytes {
            self.down.send(&[*byte], self.shape)?;
            self.shared.ending.wait(Duration::from_millis(ms))?;
        }
        Ok(())
    }

    /// Delivers the upstream's reply as it is.
    fn deliver(&self, reply: &Message, note: Option<String>) -> io::Result<Then> {
        let status = reply.head.status();
        self.note(status, note);
        let bytes = reply.to_bytes();
        self.down.send(&bytes, self.shape)?;
        if reply.framing == Framing::UntilClose {
            return Ok(Then::Close);
        }
        if bytes.len() <= KEPT_BYTES_MAX {
            self.shared.remember(self.key(), status.unwrap_or(0), bytes);
        }
        Ok(self.then(Some(&reply.head)))
    }

    /// Closes the connection without a word.
    fn close(&self, note: Option<String>) -> io::Result<Then> {
        self.note(None, note);
        Ok(Then::Close)
    }

    /// Takes the request to the upstream and comes back with the reply.
    fn ask(&self, request: &Message) -> io::Result<Message> {
        let way = self.connect()?;
        way.send(&request.to_bytes(), self.shape)?;
        way.hear(self.head.method())
    }

    /// The same where the fault was told so; the reply stays here.
    fn ask_if_applied(&self, request: &Message) -> io::Result<()> {
        if self.injection.is_applied() {
            self.ask(request)?;
        }
        Ok(())
    }

    /// A connection to the upstream, for one request.
    fn connect(&self) -> io::Result<Way> {
        Way::connect(self.shared)
    }

    /// After which request a held one goes.
    fn due(&self) -> u64 {
        let newer = self.injection.number(Argument::Requests).unwrap_or(0);
        self.number.saturating_add(newer)
    }

    /// What an older reply is found by.
    fn key(&self) -> String {
        format!("{} {}", self.head.method(), self.head.target())
    }

    /// Whether both sides keep the connection.
    fn then(&self, reply: Option<&Head>) -> Then {
        let wants_close = |head: &Head| head.lists("connection", "close");
        if wants_close(self.head) || reply.is_some_and(wants_close) {
            Then::Close
        } else {
            Then::Keep
        }
    }

    /// Notes what the client is about to see. Only the first note of an exchange counts.
    fn note(&self, status: Option<u16>, note: Option<String>) {
        if self.is_noted.replace(true) {
            return;
        }
        self.shared.note(Exchange {
            number: self.number,
            request: self.key(),
            injection: self.injection.clone(),
            status,
            note,
        });
    }
}

/// Where a message is cut, in bytes from its beginning.
fn cut_at(injection: &Injection, message: &Message) -> usize {
    let middle = message.head.as_bytes().len().saturating_add(message.body().len() / 2);
    let told = injection.number(Argument::Bytes);
    told.map_or(middle, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// What is read at once.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;

/// The longest reply that is kept to be served again.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// The head of a reply that never ends.
const ENDLESS_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
Transfer-Encoding: chunked\r\n\r\n";
