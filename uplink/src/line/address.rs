//! The base address of an upstream.

use std::net::IpAddr;

use onceward::sync::Upstream;
use ureq::http::Uri;
use ureq::http::uri::{Authority, Scheme};

use crate::error::Error;

/// A checked address that paths are appended to. Holds no credentials.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Address {
    /// The address without a slash at its end.
    base: String,
    /// Whether the host is this machine.
    loopback: bool,
    /// Whether the scheme is `https`.
    https: bool,
    /// The host, an address of version 6 in its brackets.
    host: String,
    /// The port, also where the address does not name it.
    port: u16,
}

impl Address {
    /// Checks an address.
    ///
    /// # Errors
    ///
    /// `Invalid`, saying which rule it breaks and not what it is: it may hold a password.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |why: &str| Error::invalid("address", why);
        let uri: Uri = text.parse().map_err(|_may_quote_it| invalid("is not an address"))?;
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(invalid("must start with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| invalid("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("holds credentials; they belong in the key"));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(invalid("has a query or a fragment"));
        }
        let host = authority.host();
        if host.is_empty() {
            return Err(invalid("has no host"));
        }
        if !has_whole_port(authority) {
            return Err(invalid("has a port that is no number from 0 to 65535"));
        }
        let loopback = is_loopback(host);
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
        let (base, host) = (text.trim_end_matches('/').to_owned(), host.to_owned());
        Ok(Self { base, loopback, https, host, port })
    }

    /// The address itself, without a slash at its end.
    pub(super) fn as_str(&self) -> &str {
        &self.base
    }

    /// The identity of the upstream there, which is asked in the dialect of that name.
    ///
    /// # Errors
    ///
    /// `Invalid`: the name has a blank in it, or it or the address is too long.
    pub(super) fn upstream(&self, dialect: &str) -> Result<Upstream, Error> {
        Upstream::new(&self.base, dialect)
            .map_err(|found| Error::invalid("upstream", found.to_string()))
    }

    /// The address of `path`, which starts with a slash.
    pub(super) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The host, an address of version 6 in its brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where the address does not name it.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Scheme, host and port.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }

    /// Whether the host is this machine, which no proxy of the environment leads to.
    pub(super) fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether that is this host and port.
    pub(super) fn is_at(&self, uri: &Uri) -> bool {
        let https = uri.scheme() == Some(&Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let host = uri.host().unwrap_or_default();
        port == self.port && host.eq_ignore_ascii_case(&self.host)
    }

    /// Whether plain `http` must never be used.
    pub(super) fn is_https(&self) -> bool {
        self.https
    }
}

/// Whether a host is this machine by its name or address, which may be in brackets.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether what follows a host is a port, or nothing.
pub(super) fn has_whole_port(authority: &Authority) -> bool {
    let place = authority.as_str().rsplit('@').next().unwrap_or_default();
    place == authority.host() || authority.port_u16().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_appended_to_the_base() {
        for base in ["http://hub.example:8080/a/b", "http://hub.example:8080/a/b/"] {
            let address = Address::parse(base).unwrap();
            assert_eq!(address.join("/v1/sync/batch"), "http://hub.example:8080/a/b/v1/sync/batch");
        }
    }

    #[test]
    fn an_unusable_address_is_refused_without_being_repeated() {
        assert!(Address::parse("https://hub.example").is_ok(), "control");
        let bad = [
            "",
            "hub.example",
            "/path",
            "ftp://hub.example",
            "http://",
            "https://u:pass@hub.example",
            "https://hub.example?key=pass",
            "https://hub.example/#pass",
            "https://hub example",
            "https://hub:pass",
            "https://hub:",
            "https://hub:99999",
        ];
        for text in bad {
            let error = Address::parse(text).unwrap_err();
            assert!(!error.to_string().contains("pass"), "{error}");
        }
    }

    #[test]
    fn loopback_and_https_are_recognised() {
        for text in ["http://127.0.0.1:1", "http://localhost", "http://[::1]:80/x"] {
            let address = Address::parse(text).unwrap();
            assert!(address.is_loopback() && !address.is_https(), "{text}");
        }
        let address = Address::parse("HTTPS://hub.example").unwrap();
        assert!(!address.is_loopback() && address.is_https());
    }
}
