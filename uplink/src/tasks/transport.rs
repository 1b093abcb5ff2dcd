//! What carries requests as tasks: the client of the host, or any [`Transport`] on threads that may block.

use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

use onceward::sync::{Failure, Upstream};
use tokio::task::spawn_blocking;

use crate::dialect::{Request, Response};
use crate::error::Error;
use crate::line::Unreachable;
use crate::secret::Secret;
use crate::transport::{Transport, no_answer};

/// What a transport does, and resolves with what came of it.
pub type Carrying<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Carries requests to one upstream, several at once, as an HTTP client of the host's does.
///
/// Its futures may be dropped at any point, and break off then.
///
/// ```
/// use onceward::sync::{Answered, Failure, Upstream};
/// use onceward_uplink::{AsyncTransport, Carrying, Error, Request, Response};
///
/// /// A line on which nobody answers.
/// #[derive(Debug)]
/// struct Dead;
///
/// impl AsyncTransport for Dead {
///     fn send(&self, request: Request) -> Carrying<'_, Result<Response, Failure>> {
///         Box::pin(async move {
///             let why = format!("{} {}: nobody answers", request.method.as_str(), request.path);
///             Err(Failure::Unavailable { why, retry_after_ms: None, answered: Answered::Nobody })
///         })
///     }
///
///     fn upstream(&self, dialect: &str) -> Result<Upstream, Error> {
///         Ok(Upstream::new("dead://end", dialect)?)
///     }
/// }
/// let shared: Box<dyn AsyncTransport> = Box::new(Dead);
/// # let _ = shared;
/// ```
pub trait AsyncTransport: fmt::Debug + Send + Sync {
    /// Sends a request and takes the answer, whatever its status: see [`Transport::send`], also for the failures.
    ///
    /// A client's answer becomes a [`Response`] with [`Response::from_headers`], so that what its headers say counts.
    fn send(&self, request: Request) -> Carrying<'_, Result<Response, Failure>>;

    /// The identity of the upstream at the other end, which is asked in the dialect of that name.
    ///
    /// # Errors
    ///
    /// `Invalid`: the name or the address cannot be part of one.
    fn upstream(&self, dialect: &str) -> Result<Upstream, Error>;

    /// Whether [`AsyncTransport::probe`] can say something: no, unless a transport says so.
    fn can_probe(&self) -> bool {
        false
    }

    /// Opens a connection to the upstream, sends nothing and closes it.
    fn probe(&self) -> Carrying<'_, Result<(), Unreachable>> {
        Box::pin(ready(Ok(())))
    }

    /// Uses another key from the next request on. Returns whether it is another one than before.
    ///
    /// # Errors
    ///
    /// `Invalid`: the key cannot be sent, or this transport takes none, as unless it says otherwise. The old one stays.
    fn set_key(&self, _key: Option<Secret>) -> Result<bool, Error> {
        Err(Error::invalid("key", "this transport takes no key from here"))
    }

    /// Nothing more will be sent. Whatever dropping a future does not break off is to be broken off now.
    fn shut_down(&self) {}
}

/// A [`Transport`] that blocks, such as a [`Line`](crate::Line), for a host with a runtime: each request takes one of
/// the runtime's threads for blocking work as long as it is on its way.
///
/// What is dropped goes on there, unheard, until it ends by its own time limits or the uploader is dropped, which
/// shuts the transport down.
///
/// ```
/// use onceward_uplink::{AsyncTransport, Blocking, Line, Timeouts};
///
/// let line = Blocking::new(Line::new("http://127.0.0.1:9", None, Timeouts::default())?);
/// assert!(line.can_probe());
/// # Ok::<(), onceward_uplink::Error>(())
/// ```
#[derive(Debug)]
pub struct Blocking<T> {
    inner: Arc<T>,
}

impl<T: Transport + 'static> Blocking<T> {
    /// This transport.
    #[must_use]
    pub fn new(transport: T) -> Self {
        Self { inner: Arc::new(transport) }
    }
}

impl<T: Transport + 'static> AsyncTransport for Blocking<T> {
    fn send(&self, request: Request) -> Carrying<'_, Result<Response, Failure>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let sent = spawn_blocking(move || inner.send(request)).await;
            let panicked = |_| Err(no_answer("a fault of the transport: it panicked"));
            sent.unwrap_or_else(panicked)
        })
    }

    fn upstream(&self, dialect: &str) -> Result<Upstream, Error> {
        self.inner.upstream(dialect)
    }

    fn can_probe(&self) -> bool {
        self.inner.can_probe()
    }

    fn probe(&self) -> Carrying<'_, Result<(), Unreachable>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let probed = spawn_blocking(move || inner.probe()).await;
            probed.unwrap_or_else(|_panic| Err(Unreachable::because("the transport panicked")))
        })
    }

    fn set_key(&self, key: Option<Secret>) -> Result<bool, Error> {
        self.inner.set_key(key)
    }

    fn shut_down(&self) {
        self.inner.shut_down();
    }
}
