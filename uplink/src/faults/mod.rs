//! A proxy that damages what passes it, for tests of whatever speaks HTTP to an upstream.
//!
//! It stands between a terminal and its upstream and does to requests and replies what bad lines, portals, gateways
//! and upstreams do: it delays, cuts, loses, repeats, reorders, answers in their place, and lies about lengths. Which
//! request meets which fault is decided by a [`Plan`], a script or a seed, so that a run can be had again.
//!
//! ```text
//! terminal -- request --> FaultProxy -- request --> upstream
//!          <-- reply ---   ^ Plan    <-- reply ---
//! ```
//!
//! [`TABLE`] lists the faults, and `onceward fault-proxy --list` prints it; that command runs the proxy for terminals
//! in any language.
//!
//! It speaks HTTP/1.1 without TLS. It keeps the connection to the client, and opens one to the upstream for each
//! request. A request that meets no fault, or only `delay` and `rate`, is carried piece by piece; for all others
//! request and reply are read whole first, up to 64 MiB. It takes real time and real sockets, and has no place in a
//! program that people rely on: nothing bounds the number of its connections, of which each takes two threads, and one
//! more for each request.
//!
//! | module                            | job                                              |
//! |-----------------------------------|--------------------------------------------------|
//! | `fault`, `table`, `injection`     | the faults by name; a fault and what it is told  |
//! | `plan`, `chance`, `parse_error`   | which request meets which                        |
//! | `carry`, `upstream`, `shared`     | the way of a request                             |
//! | `link`, `queue`                   | bytes on their way                               |
//! | `door`, `ending`                  | the port; the end                                |
//! | `items`, `made`, `spoilt`, `bomb` | what a reply becomes                             |
//! | `http`                            | where a message ends                             |
//! | `journal`                         | what happened                                    |
//!
//! # Example
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::{TcpListener, TcpStream};
//!
//! use onceward_uplink::faults::{Fault, FaultProxy, Plan};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let upstream = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
//! let plan = Plan::script("1 status_503 retry_after=2\n2 html_200")?;
//! let proxy = FaultProxy::start("127.0.0.1:0".parse()?, upstream, plan)?;
//!
//! let mut terminal = TcpStream::connect(proxy.addr())?;
//! terminal.write_all(b"POST /sync HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")?;
//! let mut reply = String::new();
//! terminal.read_to_string(&mut reply)?;
//! assert!(reply.starts_with("HTTP/1.1 503") && reply.contains("Retry-After: 2"));
//! assert_eq!(proxy.counts().of(Fault::Status503), 1);
//! # Ok(())
//! # }
//! ```

mod bomb;
mod carry;
mod chance;
mod door;
mod ending;
mod fault;
mod http;
mod injection;
mod items;
mod journal;
mod link;
mod made;
mod parse_error;
mod plan;
mod queue;
mod shared;
mod spoilt;
mod table;
mod upstream;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use fault::{Argument, Fault};
pub use injection::Injection;
pub use journal::{Counts, Exchange};
pub use parse_error::ParseError;
pub use plan::{Draw, Plan, Shape, Weights};
pub use table::{Row, TABLE};

use door::Door;
use shared::{Report, Shared};

/// A running proxy; ends when it is dropped, with all its connections and threads.
///
/// ```
/// use onceward_uplink::faults::{FaultProxy, Plan};
///
/// // Whoever connects to `proxy.addr()` reaches port 9 through a line that loses every second reply.
/// let plan = Plan::script("every 2 lost_reply")?;
/// let proxy = FaultProxy::start("127.0.0.1:0".parse()?, "127.0.0.1:9", plan)?;
/// assert_eq!(proxy.counts().requests, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    /// What its threads share.
    shared: Arc<Shared>,
    /// Takes connections.
    acceptor: Option<JoinHandle<()>>,
}

impl FaultProxy {
    /// Starts a proxy that listens on `listen`, where port 0 picks one, and leads to `upstream`: an address, or a text
    /// with host and port.
    ///
    /// # Errors
    ///
    /// The port cannot be had, the name of the upstream has no address, or there is no thread.
    pub fn start(listen: SocketAddr, upstream: impl ToSocketAddrs, plan: Plan) -> io::Result<Self> {
        Self::run(listen, upstream, plan, None)
    }

    /// The same; `report` is told of each exchange once it is known what the client will see of it, on the thread of
    /// its connection.
    ///
    /// ```
    /// use onceward_uplink::faults::{Exchange, FaultProxy, Plan};
    ///
    /// let report = |exchange: &Exchange| eprintln!("{exchange}");
    /// let listen = "127.0.0.1:0".parse()?;
    /// let proxy = FaultProxy::start_with_report(listen, "127.0.0.1:9", Plan::pass(), report)?;
    /// # drop(proxy);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`FaultProxy::start`].
    pub fn start_with_report(
        listen: SocketAddr,
        upstream: impl ToSocketAddrs,
        plan: Plan,
        report: impl Fn(&Exchange) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::run(listen, upstream, plan, Some(Box::new(report)))
    }

    /// Starts it.
    fn run(
        listen: SocketAddr,
        upstream: impl ToSocketAddrs,
        plan: Plan,
        report: Option<Report>,
    ) -> io::Result<Self> {
        let upstream = resolved(upstream)?;
        let shared = Arc::new(Shared::new(Door::open(listen)?, upstream, plan, report));
        let acceptor = {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name("fault-proxy".to_owned());
            thread.spawn(move || accept_all(&shared))?
        };
        Ok(Self { shared, acceptor: Some(acceptor) })
    }

    /// Where clients connect.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.shared.door.address()
    }

    /// Has another plan from the next request on. Requests are numbered on.
    ///
    /// ```
    /// use onceward_uplink::faults::{FaultProxy, Plan};
    ///
    /// let proxy = FaultProxy::start("127.0.0.1:0".parse()?, "127.0.0.1:9", Plan::pass())?;
    /// // The line goes down.
    /// proxy.set_plan(Plan::script("* refuse ms=60000")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_plan(&self, plan: Plan) {
        self.shared.set_plan(plan);
    }

    /// Leads to another upstream from the next request on, such as one that was started again elsewhere.
    ///
    /// ```
    /// use onceward_uplink::faults::{FaultProxy, Plan};
    ///
    /// let proxy = FaultProxy::start("127.0.0.1:0".parse()?, "127.0.0.1:9", Plan::pass())?;
    /// proxy.lead_to("127.0.0.1:10")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The name has no address; then it leads where it did.
    pub fn lead_to(&self, upstream: impl ToSocketAddrs) -> io::Result<()> {
        self.shared.lead_to(resolved(upstream)?);
        Ok(())
    }

    /// What was counted so far. What a client has seen, or waited for in vain, is counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// The last exchanges, a thousand at most, the oldest first.
    ///
    /// ```
    /// use onceward_uplink::faults::{FaultProxy, Plan};
    ///
    /// let proxy = FaultProxy::start("127.0.0.1:0".parse()?, "127.0.0.1:9", Plan::pass())?;
    /// assert!(proxy.log().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn log(&self) -> Vec<Exchange> {
        self.shared.last()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.ending.end();
        // Wakes the thread that waits there.
        self.shared.refuse(Duration::ZERO);
        if let Some(acceptor) = self.acceptor.take()
            && acceptor.join().is_err()
        {
            // It panicked; its port is closed all the same.
        }
    }
}

/// The addresses of an upstream.
fn resolved(upstream: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    let addresses: Vec<_> = upstream.to_socket_addrs()?.collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the upstream has no address"));
    }
    Ok(addresses)
}

/// Takes connections until the end, and then waits for the threads that serve them.
fn accept_all(shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while let Some(listener) = shared.door.listener(&shared.ending) {
        let accepted = listener.accept();
        // While connections are refused nobody else may hold it.
        drop(listener);
        threads.retain(|thread| !thread.is_finished());
        let Ok((client, _from)) = accepted else {
            // It was shut, or there is no file for another connection; in that case one of ours may end soon.
            if shared.ending.wait(ACCEPT_PAUSE).is_err() {
                break;
            }
            continue;
        };
        let shared = Arc::clone(shared);
        let thread = thread::Builder::new().name("fault-connection".to_owned());
        let serving = thread.spawn(move || {
            if carry::serve(&shared, client).is_err() {
                // To both ends this is a line that broke, which is what a line like this does.
            }
        });
        // No thread: the connection is closed, which the client takes for a broken line.
        threads.extend(serving);
    }
    for thread in threads {
        if thread.join().is_err() {
            // It panicked; its connection is closed.
        }
    }
}

/// Before the next connection is taken where one could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests;
