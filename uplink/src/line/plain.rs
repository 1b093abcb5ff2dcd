//! Where requests may go that anybody on the way can read.

use super::address::{Address, is_loopback};
use super::proxy::Via;
use crate::error::Error;

/// Where plain `http` may go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Plain {
    /// To this machine.
    Here,
    /// To every machine.
    Anywhere,
}

impl Plain {
    /// Refuses an address that may not be used.
    ///
    /// # Errors
    ///
    /// `Invalid`: it is plain `http` to another machine.
    pub(super) fn check(self, address: &Address) -> Result<(), Error> {
        if self == Self::Anywhere || address.is_https() || address.is_loopback() {
            return Ok(());
        }
        let why = "plain http to another machine shows key and events to whoever is on the way: use https, or allow \
                   it by name (--allow-plain-http)";
        Err(Error::invalid("address", why))
    }

    /// Refuses a proxy that may not be used.
    ///
    /// # Errors
    ///
    /// `Invalid`: requests to `address` are plain `http`, and it is on another machine.
    pub(super) fn check_proxy(self, address: &Address, via: &Via) -> Result<(), Error> {
        let is_here = is_loopback(via.uri().host().unwrap_or_default());
        if self == Self::Anywhere || address.is_https() || is_here {
            return Ok(());
        }
        let why = "plain http through a proxy on another machine shows key and events to whoever is on the way: allow \
                   it by name (--allow-plain-http)";
        Err(Error::invalid(via.named_by, why))
    }
}
