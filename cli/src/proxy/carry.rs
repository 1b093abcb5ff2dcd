//! Carries the requests of one connection, each with the fault that the plan has for it.

use std::{
    io::{self, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use super::{
    Call, Shared,
    faults::Fault,
    http::{self, Message},
    lock,
    tally::Answered,
};

/// What becomes of the connection to the uploader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Then {
    /// The connection takes the next request.
    Keep,
    /// The connection is closed.
    Close,
}

/// Serves a connection until either side or a fault closes it.
///
/// # Errors
///
/// A side went away, or spoke something that the line does not understand.
pub(super) fn serve(shared: &Shared, client: TcpStream) -> io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(WAIT_MAX))?;
    client.set_write_timeout(Some(WAIT_MAX))?;
    let mut input = BufReader::new(client.try_clone()?);
    let mut then = Then::Keep;
    while then == Then::Keep {
        let Some(request) = http::read(&mut input)? else { return Ok(()) };
        then = carry(shared, &request, &client)?;
    }
    client.shutdown(Shutdown::Both)
}

/// Carries one request.
fn carry(shared: &Shared, request: &Message, mut client: &TcpStream) -> io::Result<Then> {
    let fault = {
        let mut tally = lock(&shared.tally);
        tally.requests += 1;
        lock(&shared.plan).draw(tally.delivered)
    };
    match fault {
        Fault::None => {
            let reply = shared.ask(request)?;
            shared.deliver(&reply, client)
        }
        Fault::CutRequest => {
            shared.connect()?.write_all(request.first_half())?;
            lock(&shared.tally).requests_lost += 1;
            Ok(Then::Close)
        }
        Fault::CutReply => {
            let reply = shared.ask(request)?;
            client.write_all(reply.first_half())?;
            Ok(shared.lose())
        }
        Fault::LoseReply => {
            shared.ask(request)?;
            Ok(shared.lose())
        }
        Fault::Repeat => shared.repeat(request, client),
        Fault::Refuse => {
            *lock(&shared.refusing_until) = Instant::now().checked_add(REFUSED_FOR);
            lock(&shared.tally).requests_lost += 1;
            Ok(Then::Close)
        }
        Fault::KillHub => shared.kill_hub(request),
        Fault::KillUploader => {
            shared.ask(request)?;
            shared.call(Call::KillUploader)?;
            // The kill closes the connection from the other side; whatever ends this read, the reply stays here.
            let closed = client.read(&mut [0; 1]);
            let then = shared.lose();
            closed.map(|_| then)
        }
    }
}

impl Shared {
    /// Opens a connection to the hub.
    fn connect(&self) -> io::Result<TcpStream> {
        let hub = *lock(&self.hub);
        let stream = TcpStream::connect_timeout(&hub, CONNECT_MAX)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        Ok(stream)
    }

    /// Takes a request to the hub and comes back with the reply.
    fn ask(&self, request: &Message) -> io::Result<Message> {
        let mut hub = self.connect()?;
        hub.write_all(request.as_bytes())?;
        self.hear(hub)
    }

    /// Reads the hub's reply and counts what it says it had already.
    fn hear(&self, hub: TcpStream) -> io::Result<Message> {
        let reply = http::read(&mut BufReader::new(hub))?
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        lock(&self.tally).duplicates_absorbed += Answered::read(reply.body()).before;
        Ok(reply)
    }

    /// Brings a reply to the uploader.
    fn deliver(&self, reply: &Message, mut client: &TcpStream) -> io::Result<Then> {
        client.write_all(reply.as_bytes())?;
        lock(&self.tally).delivered += Answered::read(reply.body()).taken;
        Ok(Then::Keep)
    }

    /// Does not bring a reply to the uploader.
    fn lose(&self) -> Then {
        lock(&self.tally).replies_lost += 1;
        Then::Close
    }

    /// Gives the hub the same request twice at once, and the uploader either reply.
    fn repeat(&self, request: &Message, client: &TcpStream) -> io::Result<Then> {
        let (mut one, mut other) = (self.connect()?, self.connect()?);
        one.write_all(request.as_bytes())?;
        other.write_all(request.as_bytes())?;
        let replies = (self.hear(one)?, self.hear(other)?);
        let first = {
            lock(&self.tally).requests_repeated += 1;
            lock(&self.plan).toss()
        };
        self.deliver(if first { &replies.0 } else { &replies.1 }, client)
    }

    /// Gives the hub a request and has it killed while it works on it.
    fn kill_hub(&self, request: &Message) -> io::Result<Then> {
        let mut hub = self.connect()?;
        hub.write_all(request.as_bytes())?;
        self.call(Call::KillHub)?;
        // The hub may have been faster than the kill: then it is a reply that is lost.
        match self.hear(hub) {
            Ok(_reply) => Ok(self.lose()),
            Err(_killed) => {
                lock(&self.tally).requests_lost += 1;
                Ok(Then::Close)
            }
        }
    }

    /// Asks the owner for a kill.
    fn call(&self, call: Call) -> io::Result<()> {
        lock(&self.calls).send(call).map_err(|_owner_left| io::ErrorKind::BrokenPipe.into())
    }
}

/// Longest wait for either side; over any fair answer, under the life of a run.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Longest wait for a connection to the hub.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// How long a refusal lasts.
const REFUSED_FOR: Duration = Duration::from_millis(120);
