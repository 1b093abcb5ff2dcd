//! A bad line between an uploader and a hub: cuts, loses replies, repeats requests, refuses, and calls for kills.
//!
//! It understands just enough HTTP to know where a message ends, and of a reply only how many items the hub took
//! and how many it already had. It runs on threads of its own and keeps no request longer than its connection.

mod carry;
mod faults;
mod http;
mod tally;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

pub use faults::{Fault, Plan};
pub use tally::Tally;

/// What the line asks its owner to do; the line waits until it is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Call {
    /// The hub has a request that it has not answered: kill it now.
    KillHub,
    /// The hub has answered a request and the uploader does not know: kill the uploader now.
    KillUploader,
}

/// A running line; ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where uploaders connect.
    address: SocketAddr,
    /// What its threads share.
    shared: Arc<Shared>,
    /// Takes connections.
    acceptor: Option<JoinHandle<()>>,
}

/// What the threads of one line share.
#[derive(Debug)]
struct Shared {
    /// Where the hub is now.
    hub: Mutex<SocketAddr>,
    /// Which fault comes next.
    plan: Mutex<Plan>,
    /// What happened so far.
    tally: Mutex<Tally>,
    /// Until when connections are refused.
    refusing_until: Mutex<Option<Instant>>,
    /// Calls to the owner.
    calls: Mutex<Sender<Call>>,
    /// Set when the line is to end.
    ending: AtomicBool,
}

impl Proxy {
    /// Starts a line to `hub` on a free port of the loopback.
    ///
    /// # Errors
    ///
    /// No port or no thread.
    pub fn start(hub: SocketAddr, plan: Plan, calls: Sender<Call>) -> io::Result<Self> {
        let listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            hub: Mutex::new(hub),
            plan: Mutex::new(plan),
            tally: Mutex::default(),
            refusing_until: Mutex::default(),
            calls: Mutex::new(calls),
            ending: AtomicBool::new(false),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("line".to_owned())
                .spawn(move || accept_all(&shared, address, listener))?
        };
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// Where uploaders connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads to a hub that was started again elsewhere.
    pub fn lead_to(&self, hub: SocketAddr) {
        *lock(&self.shared.hub) = hub;
    }

    /// What happened so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        lock(&self.shared.tally).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Release);
        if let Some(acceptor) = self.acceptor.take()
            && acceptor.join().is_err()
        {
            // The thread panicked; its listener is closed all the same, and the uploads have failed loudly.
        }
    }
}

/// Locks; a thread that panicked while it held the lock leaves counters behind, nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the line's own port. Not blocking, so that the line can end and refuse at any time.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Takes connections until the line ends. While the line refuses, there is no listener at all.
fn accept_all(shared: &Arc<Shared>, address: SocketAddr, first: TcpListener) {
    let mut listener = Some(first);
    while !shared.ending.load(Ordering::Acquire) {
        let refusing = lock(&shared.refusing_until).is_some_and(|until| Instant::now() < until);
        if refusing {
            listener = None;
        } else if listener.is_none() {
            // The port may be slow to come free; until then the line goes on refusing.
            listener = listen(address).ok();
        }
        match listener.as_ref().map(TcpListener::accept) {
            Some(Ok((client, _from))) => start_connection(shared, client),
            Some(Err(_nobody_there)) => thread::sleep(ACCEPT_PAUSE),
            None => thread::sleep(ACCEPT_PAUSE),
        }
    }
}

/// Serves one connection on a thread of its own.
fn start_connection(shared: &Arc<Shared>, client: TcpStream) {
    let shared = Arc::clone(shared);
    let started = thread::Builder::new().name("line-connection".to_owned()).spawn(move || {
        if carry::serve(&shared, client).is_err() {
            // To the two ends this is a line that broke, which is what a line like this does.
        }
    });
    if started.is_err() {
        // No thread: the connection is closed, which the uploader takes for a broken line.
    }
}

/// Between two looks for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests;
