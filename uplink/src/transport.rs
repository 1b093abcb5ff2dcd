//! What carries requests: a [`Line`](crate::Line), or whatever the host has instead.

use std::fmt;

use onceward::sync::{Answered, Failure, Upstream};

use crate::dialect::{Request, Response};
use crate::error::Error;
use crate::line::{Line, Unreachable};
use crate::secret::Secret;

/// Carries requests to one upstream, from several threads at once.
///
/// A host that has an HTTP client of its own, or reaches its upstream by other means, gives its own in the place of a
/// [`Line`].
///
/// ```
/// use onceward::sync::{Answered, Failure, Upstream};
/// use onceward_uplink::{Error, Request, Response, Transport};
///
/// /// A line on which nobody answers.
/// #[derive(Debug)]
/// struct Dead;
///
/// impl Transport for Dead {
///     fn send(&self, request: Request) -> Result<Response, Failure> {
///         let why = format!("{} {}: nobody answers", request.method.as_str(), request.path);
///         Err(Failure::Unavailable { why, retry_after_ms: None, answered: Answered::Nobody })
///     }
///
///     fn upstream(&self, dialect: &str) -> Result<Upstream, Error> {
///         Ok(Upstream::new("dead://end", dialect)?)
///     }
/// }
/// assert!(Dead.send(Request::post("/events", "{}")).is_err());
/// ```
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends a request and takes the answer, whatever its status. Redirects must not be followed, and an answer must
    /// come whole, within a time that the transport bounds.
    ///
    /// # Errors
    ///
    /// `Unavailable` where there is no complete answer: whether the upstream saw the request is then unknown. The
    /// reason must not hold credentials.
    fn send(&self, request: Request) -> Result<Response, Failure>;

    /// The identity of the upstream at the other end, which is asked in the dialect of that name.
    ///
    /// # Errors
    ///
    /// `Invalid`: the name or the address cannot be part of one.
    fn upstream(&self, dialect: &str) -> Result<Upstream, Error>;

    /// Whether [`Transport::probe`] can say something: no, unless a transport says so.
    fn can_probe(&self) -> bool {
        false
    }

    /// Opens a connection to the upstream, sends nothing and closes it.
    ///
    /// # Errors
    ///
    /// There is no connection; why, in words.
    fn probe(&self) -> Result<(), Unreachable> {
        Ok(())
    }

    /// Uses another key from the next request on. Returns whether it is another one than before.
    ///
    /// # Errors
    ///
    /// `Invalid`: the key cannot be sent, or this transport takes none, as unless it says otherwise. The old one stays.
    fn set_key(&self, _key: Option<Secret>) -> Result<bool, Error> {
        Err(Error::invalid("key", "this transport takes no key from here"))
    }

    /// Breaks off what is under way; nothing can be sent any more. Whatever cannot be broken off ends by its own time
    /// limits, unheard.
    fn shut_down(&self) {}
}

impl Transport for Line {
    fn send(&self, request: Request) -> Result<Response, Failure> {
        self.carry(&request)
    }

    fn upstream(&self, dialect: &str) -> Result<Upstream, Error> {
        self.upstream(dialect)
    }

    fn can_probe(&self) -> bool {
        true
    }

    fn probe(&self) -> Result<(), Unreachable> {
        self.probe()
    }

    fn set_key(&self, key: Option<Secret>) -> Result<bool, Error> {
        if key.as_ref().is_some_and(|key| self.has_key(key)) {
            return Ok(false);
        }
        self.set_key(key).map(|()| true)
    }

    fn shut_down(&self) {
        self.shut_down();
    }
}

/// A failure of which only the reason is known: nobody answered.
pub(crate) fn no_answer(why: impl Into<String>) -> Failure {
    Failure::Unavailable { why: why.into(), retry_after_ms: None, answered: Answered::Nobody }
}
