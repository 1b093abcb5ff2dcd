//! Which proxy the way to an upstream leads through: from the host, or from the environment.
//!
//! | an upstream at | asks these variables, in small letters first |
//! |---|---|
//! | `https://` | `HTTPS_PROXY`, `ALL_PROXY` |
//! | `http://` | `HTTP_PROXY` (its capitals not in a CGI program, where they are a header of a request), `ALL_PROXY` |
//!
//! `NO_PROXY` names the hosts that are reached without. An empty variable counts as absent. What is set and cannot
//! be honoured is refused: a proxy may be there for a reason, so none is ever passed by in silence.

use std::env::{self, VarError};

use ureq::ProxyProtocol;
use ureq::http::Uri;

use super::address::{Address, has_whole_port};
use super::no_proxy;
use crate::error::Error;

/// A proxy, and where it was named. Shows no credentials.
#[derive(Clone, Debug)]
pub(super) struct Via {
    /// The proxy itself.
    pub(super) proxy: ureq::Proxy,
    /// The proxy's address without credentials.
    pub(super) shown: String,
    /// Where the proxy was named: a variable, or what the host calls it.
    pub(super) named_by: &'static str,
}

/// A variable of the environment; `None` if it is absent or empty.
pub(super) fn variable(name: &'static str) -> Result<Option<String>, Error> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.trim().is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Error::invalid(name, "is not text")),
    }
}

impl Via {
    /// The proxy at `text`, for an upstream at `address`.
    ///
    /// # Errors
    ///
    /// `Invalid`, without repeating the text, which may hold a password: it is no address, a kind of proxy that
    /// is not supported, or one that is not supported for this upstream.
    pub(super) fn parse(
        named_by: &'static str,
        text: &str,
        address: &Address,
    ) -> Result<Self, Error> {
        let invalid = |why: String| Error::invalid(named_by, why);
        let text = text.trim();
        let scheme = text.split_once("://").map_or("http", |(scheme, _)| scheme);
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "http" && scheme != "https" {
            let known = ["socks", "socks4", "socks4a", "socks5", "socks5h"].contains(&&*scheme);
            let what = if known { scheme.as_str() } else { "such" };
            return Err(invalid(format!("{what} proxies are not supported, only http and https")));
        }
        let proxy = ureq::Proxy::new(text)
            .map_err(|_may_quote_it| invalid("is no address of a proxy".to_owned()))?;
        let host = proxy.uri().host().unwrap_or_default();
        if host.is_empty() || !proxy.uri().authority().is_some_and(has_whole_port) {
            return Err(invalid("is no address of a proxy".to_owned()));
        }
        if proxy.protocol() == ProxyProtocol::Https && !address.is_https() {
            let why = "an https proxy is not supported for an upstream at http://";
            return Err(invalid(why.to_owned()));
        }
        let shown = format!("{scheme}://{host}:{}", proxy.port());
        Ok(Self { proxy, shown, named_by })
    }

    /// The proxy that the environment names for an upstream at `address`; `None`: there is none. `variable` looks
    /// a variable up.
    ///
    /// # Errors
    ///
    /// `Invalid`: what it names cannot be honoured.
    pub(super) fn from_environment(
        address: &Address,
        variable: impl Fn(&'static str) -> Result<Option<String>, Error>,
    ) -> Result<Option<Self>, Error> {
        if address.is_loopback() {
            return Ok(None);
        }
        let names: &[&'static str] = match address.is_https() {
            true => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
            // A CGI program finds the header `Proxy` of whoever asks it in that variable.
            false if variable("REQUEST_METHOD")?.is_some() => {
                &["http_proxy", "all_proxy", "ALL_PROXY"]
            }
            false => &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
        };
        let mut found = None;
        for name in names {
            if let Some(text) = variable(name)? {
                found = Some((*name, text));
                break;
            }
        }
        let Some((name, text)) = found else { return Ok(None) };
        for spared in ["no_proxy", "NO_PROXY"] {
            let Some(list) = variable(spared)? else { continue };
            let is_spared = no_proxy::spares(&list, address.host(), address.port())
                .map_err(|why| Error::invalid(spared, why))?;
            return if is_spared { Ok(None) } else { Self::parse(name, &text, address).map(Some) };
        }
        Self::parse(name, &text, address).map(Some)
    }

    /// The address that its name is looked up by.
    pub(super) fn uri(&self) -> &Uri {
        self.proxy.uri()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What these variables lead to for an upstream there: the proxy and who named it.
    fn way(to: &str, variables: &[(&str, &str)]) -> Result<Option<(String, &'static str)>, String> {
        let address = Address::parse(to).unwrap();
        let look_up = |name: &'static str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            Ok(found.map(|(_, value)| (*value).to_owned()).filter(|value| !value.is_empty()))
        };
        let found = Via::from_environment(&address, look_up).map_err(|error| error.to_string())?;
        Ok(found.map(|via| (via.shown, via.named_by)))
    }

    const HTTP: &str = "http://hub.example:8080/x";
    const HTTPS: &str = "https://hub.example";

    #[test]
    fn each_scheme_has_its_variables_and_small_letters_come_first() {
        let all = [
            ("ALL_PROXY", "all:1"),
            ("HTTP_PROXY", "http:1"),
            ("HTTPS_PROXY", "https:1"),
            ("http_proxy", "small:1"),
        ];
        assert_eq!(way(HTTPS, &all), Ok(Some(("http://https:1".to_owned(), "HTTPS_PROXY"))));
        assert_eq!(way(HTTP, &all), Ok(Some(("http://small:1".to_owned(), "http_proxy"))));
        let [all_of_them, _, https, _] = all;
        assert_eq!(way(HTTP, &[https]), Ok(None), "https is for https only");
        let found = way(HTTP, &[https, all_of_them, ("http_proxy", "")]);
        assert_eq!(found, Ok(Some(("http://all:1".to_owned(), "ALL_PROXY"))));
        assert_eq!(way(HTTP, &[]), Ok(None));
    }

    #[test]
    fn a_header_of_a_cgi_request_names_no_proxy() {
        let attack = [("HTTP_PROXY", "http://evil.example"), ("REQUEST_METHOD", "POST")];
        assert_eq!(way(HTTP, &attack), Ok(None));
        let small = [("http_proxy", "proxy:1"), ("REQUEST_METHOD", "POST")];
        assert!(way(HTTP, &small).unwrap().is_some(), "control");
    }

    #[test]
    fn what_is_set_and_cannot_be_honoured_is_refused_by_name_and_without_its_password() {
        for (value, expected) in [
            ("socks5://user:pass@proxy:1080", "ALL_PROXY: socks5 proxies are not supported"),
            ("socks5h://proxy", "ALL_PROXY: socks5h proxies are not supported"),
            ("socks4://proxy", "ALL_PROXY: socks4 proxies are not supported"),
            ("ftp://user:pass@proxy", "ALL_PROXY: such proxies are not supported"),
            ("http://", "ALL_PROXY: is no address"),
            ("http://user:pass@", "ALL_PROXY: is no address"),
            ("r32/?//52:pass**", "ALL_PROXY: is no address"),
            ("http://proxy:port", "ALL_PROXY: is no address"),
        ] {
            let refused = way(HTTPS, &[("ALL_PROXY", value)]).unwrap_err();
            assert!(refused.starts_with(expected), "{value}: {refused}");
            assert!(!refused.contains("pass"), "{refused}");
        }
        let tls = [("http_proxy", "https://proxy")];
        assert!(way(HTTP, &tls).unwrap_err().starts_with("http_proxy: an https proxy"));
    }

    #[test]
    fn no_proxy_and_this_machine_are_reached_without() {
        let proxy = ("ALL_PROXY", "http://user:pass@proxy:3128");
        let shown = Ok(Some(("http://proxy:3128".to_owned(), "ALL_PROXY")));
        assert_eq!(way(HTTPS, &[proxy, ("NO_PROXY", "other.example")]), shown);
        assert_eq!(way(HTTPS, &[proxy, ("NO_PROXY", "hub.example")]), Ok(None));
        assert_eq!(way(HTTPS, &[proxy, ("NO_PROXY", "*"), ("no_proxy", "other")]), shown);
        assert_eq!(way("http://127.0.0.1:1", &[("ALL_PROXY", "socks5://proxy")]), Ok(None));
        let bad = way(HTTPS, &[proxy, ("NO_PROXY", "10.0.0.0/33")]).unwrap_err();
        assert!(bad.starts_with("NO_PROXY: "), "{bad}");
    }
}
