//! The identity of an upstream: what makes one upstream another one.

use std::fmt;

use crate::base::{Error, Result};

/// Longest address, bytes.
const URL_BYTES_MAX: usize = 1_024;
/// Longest name of a dialect, bytes.
const DIALECT_BYTES_MAX: usize = 64;
/// Longest name that a host gives, bytes.
const NAME_BYTES_MAX: usize = 255;

/// The identity of an upstream: its address, the dialect that is spoken to it, and a name if the host
/// gives one.
///
/// What one upstream said of an event or asked of this store counts for that one. Credentials are no
/// part of it: an address is taken without them, in small letters up to its path, without a port that
/// is its scheme's own and without a slash at its end. Where the same address serves several
/// installations, by credentials or by day, the host distinguishes them by a name.
///
/// ```
/// use onceward::sync::Upstream;
///
/// let upstream = Upstream::new("https://user:secret@HUB.example:443/tills/", "wede")?;
/// assert_eq!((upstream.url(), upstream.dialect()), ("https://hub.example/tills", "wede"));
/// let trial = upstream.clone().named("trial")?;
/// assert_ne!(trial, upstream);
/// assert_eq!(trial.to_string(), "wede https://hub.example/tills trial");
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Upstream {
    /// Dialect, address and name with blanks between; empty where the host named no upstream.
    text: String,
}

impl Upstream {
    /// The upstream at an address, by the name of its dialect.
    ///
    /// # Errors
    ///
    /// `Invalid`, code `UPSTREAM_INVALID`: the address is empty, over 1,024 bytes, or has a blank or
    /// control character in it; or the dialect's name is, over 64 bytes. The address is not repeated:
    /// it may hold a password.
    pub fn new(url: &str, dialect: &str) -> Result<Self> {
        check("the dialect's name", dialect, DIALECT_BYTES_MAX)?;
        let url = without_credentials(url);
        check("the address", &url, URL_BYTES_MAX)?;
        Ok(Self { text: format!("{dialect} {url}") })
    }

    /// Returns this upstream under a name of the host's.
    ///
    /// # Errors
    ///
    /// `Invalid`, code `UPSTREAM_INVALID`: the name is empty, over 255 bytes, or has a blank or
    /// control character in it.
    pub fn named(self, name: &str) -> Result<Self> {
        check("the upstream's name", name, NAME_BYTES_MAX)?;
        let (dialect, url) = (self.dialect(), self.url());
        Ok(Self { text: format!("{dialect} {url} {name}") })
    }

    /// The name of the dialect; empty where the host named no upstream.
    #[must_use]
    pub fn dialect(&self) -> &str {
        self.part(0).unwrap_or_default()
    }

    /// The address without credentials; empty where the host named no upstream.
    #[must_use]
    pub fn url(&self) -> &str {
        self.part(1).unwrap_or_default()
    }

    /// The name that the host gave.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.part(2)
    }

    /// Whether the host named no upstream.
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        self.text.is_empty()
    }

    /// What frames hold: equal for equal identities, and only for them.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    fn part(&self, at: usize) -> Option<&str> {
        self.text.split(' ').nth(at)
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_unnamed() { "an upstream without a name" } else { &self.text })
    }
}

fn check(what: &str, text: &str, bytes_max: usize) -> Result<()> {
    let why = if text.is_empty() {
        "is empty".to_owned()
    } else if text.len() > bytes_max {
        format!("has {} bytes, more than {bytes_max}", text.len())
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        "has a blank or control character in it".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::invalid("UPSTREAM_INVALID", format!("{what} {why}")))
}

/// An address as it is compared: without user, password, query and fragment.
fn without_credentials(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let (scheme, rest) = url.split_once("://").map_or((None, url), |(s, rest)| (Some(s), rest));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    let Some(scheme) = scheme.map(str::to_ascii_lowercase) else { return format!("{host}{path}") };
    let own_port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let host = host.strip_suffix(own_port).unwrap_or(&host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> String {
        Upstream::new(text, "wede").unwrap().url().to_owned()
    }

    #[test]
    fn spellings_of_one_address_are_one_identity() {
        for same in [
            "http://hub.example/a/B",
            "HTTP://Hub.Example:80/a/B/",
            "http://user:pa@ss@hub.example/a/B",
            "http://hub.example/a/B?token=secret",
            "http://hub.example/a/B#secret",
        ] {
            assert_eq!(url(same), "http://hub.example/a/B", "{same}");
        }
        for other in
            ["https://hub.example/a/B", "http://hub.example:81/a/B", "http://hub.example/a/b"]
        {
            assert_ne!(url(other), "http://hub.example/a/B");
        }
        assert_eq!(url("https://[::1]:443"), "https://[::1]");
        assert_eq!(url("user:pass@broker:1883"), "broker:1883");
    }

    #[test]
    fn the_parts_of_an_identity_cannot_be_mistaken_for_one_another() {
        let upstream = Upstream::new("http://hub", "wede").unwrap();
        for bad in ["", "two words", "line\nbreak", &"n".repeat(256)] {
            assert_eq!(
                upstream.clone().named(bad).unwrap_err().code(),
                "UPSTREAM_INVALID",
                "{bad}"
            );
        }
        for bad in ["", "http://a b", "http://user:pass@hub\n"] {
            let error = Upstream::new(bad, "wede").unwrap_err();
            assert!(!error.to_string().contains("pass"), "{error}");
        }
        assert_eq!(Upstream::new("http://hub", "we de").unwrap_err().code(), "UPSTREAM_INVALID");
        let renamed = upstream.clone().named("a").unwrap().named("b").unwrap();
        assert_eq!(renamed.name(), Some("b"));
        assert_eq!((upstream.name(), Upstream::default().url()), (None, ""));
        assert!(Upstream::default().is_unnamed() && !upstream.is_unnamed());
    }
}
