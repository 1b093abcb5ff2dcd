//! Where a store's events go, and how.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_nats::ServerAddr;
use onceward::sync::Upstream;
use rustls::ClientConfig;

use super::credentials::NatsCredentials;
use super::subject::SubjectTemplate;
use crate::error::Error;
use crate::line::{Line, Timeouts, is_loopback};

/// An address by which a line is made whose TLS is wanted and nothing else.
const ANY: &str = "https://localhost";
/// Longest name of a stream, bytes.
const STREAM_BYTES_MAX: usize = 255;

/// Where a store's events go, and how; see each setter for its default.
///
/// ```
/// use std::time::Duration;
///
/// use onceward_uplink::nats::{NatsOptions, NewStream};
///
/// let options = NatsOptions::new(&["nats://127.0.0.1:4222"], "SALES")?
///     .with_subject("onceward.{scope}.{kind}")?
///     .with_ack_timeout(Duration::from_secs(3))
///     .creating(NewStream { replicas: 3, ..NewStream::default() });
/// # let _ = options;
/// # Ok::<(), onceward_uplink::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct NatsOptions {
    pub(super) servers: Vec<ServerAddr>,
    pub(super) stream: String,
    pub(super) subject: SubjectTemplate,
    pub(super) credentials: Option<NatsCredentials>,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) is_plain_allowed: bool,
    pub(super) new_stream: Option<NewStream>,
    pub(super) ack_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) backoff_base: Duration,
    pub(super) backoff_cap: Duration,
}

/// How a stream is made, where it is to be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewStream {
    /// On how many servers of the cluster its messages are: 1 by default.
    pub replicas: usize,
    /// How long it knows a message again: 24 hours by default.
    pub duplicate_window: Duration,
}

impl Default for NewStream {
    fn default() -> Self {
        Self { replicas: 1, duplicate_window: Duration::from_hours(24) }
    }
}

impl NatsOptions {
    /// To a stream of these servers, `nats://HOST:PORT` or `tls://HOST:PORT`, of one cluster: any of them is connected
    /// to. The stream must exist.
    ///
    /// # Errors
    ///
    /// `Invalid`: no server, an address that is none or holds credentials, which belong in
    /// [`NatsOptions::with_credentials`]; or the stream's name is none.
    pub fn new(servers: &[&str], stream: &str) -> Result<Self, Error> {
        if servers.is_empty() {
            return Err(Error::invalid("servers", "there is none"));
        }
        let servers = servers.iter().map(|text| server(text)).collect::<Result<Vec<_>, _>>()?;
        let is_name = |c: char| c.is_ascii_graphic() && !".*>/\\".contains(c);
        if stream.is_empty() || stream.len() > STREAM_BYTES_MAX || !stream.chars().all(is_name) {
            let why = "must have 1 to 255 visible characters of ASCII, none of them . * > / \\";
            return Err(Error::invalid("stream", why));
        }
        Ok(Self {
            servers,
            stream: stream.to_owned(),
            subject: SubjectTemplate::default(),
            credentials: None,
            tls: None,
            is_plain_allowed: false,
            new_stream: None,
            ack_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            backoff_base: Duration::from_millis(500),
            backoff_cap: Duration::from_secs(30),
        })
    }

    /// The [template](SubjectTemplate) of subjects: `onceward.{scope}` by default.
    ///
    /// # Errors
    ///
    /// Those of [`SubjectTemplate::parse`].
    pub fn with_subject(mut self, template: &str) -> Result<Self, Error> {
        self.subject = SubjectTemplate::parse(template)?;
        Ok(self)
    }

    /// How the terminal shows who it is: not at all by default.
    pub fn with_credentials(mut self, credentials: NatsCredentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// TLS as this line has it: its authorities, its pins and its certificate of the terminal count for all servers.
    /// Its address and its proxy do not. By default, as a new line has it: the authorities that are built in.
    ///
    /// ```no_run
    /// use std::path::Path;
    ///
    /// use onceward_uplink::nats::NatsOptions;
    /// use onceward_uplink::{Line, Timeouts};
    ///
    /// let line = Line::direct("https://nats.shop.example", None, Timeouts::default())?;
    /// let line = line.trusting_file("ca", Path::new("shop-ca.pem"))?;
    /// let options = NatsOptions::new(&["tls://nats.shop.example"], "SALES")?.with_tls_of(&line);
    /// # let _ = options;
    /// # Ok::<(), onceward_uplink::Error>(())
    /// ```
    pub fn with_tls_of(mut self, line: &Line) -> Self {
        self.tls = Some(line.tls_config());
        self
    }

    /// Sends to another machine also without TLS: whoever is on the way reads the credentials and all events, and can
    /// answer in the server's place. Without this, TLS is asked for where any of the servers is another machine.
    pub fn allowing_plain(mut self) -> Self {
        self.is_plain_allowed = true;
        self
    }

    /// Creates the stream if there is none of its name, with the template's subjects, in files, without a bound. One
    /// that is there is left as it is.
    pub fn creating(mut self, stream: NewStream) -> Self {
        self.new_stream = Some(stream);
        self
    }

    /// How long a publish ack may take: 5 s by default. After that the connection is given up.
    pub fn with_ack_timeout(mut self, timeout: Duration) -> Self {
        self.ack_timeout = timeout;
        self
    }

    /// How long it may take to connect to one server: 5 s by default.
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Shortest and longest wait before it is connected again: 500 ms, doubling to 30 s by default, with jitter.
    pub fn with_backoff(mut self, base: Duration, cap: Duration) -> Self {
        (self.backoff_base, self.backoff_cap) = (base, cap.max(base));
        self
    }

    /// The identity of this upstream: the first server's address with the stream behind it. Hosts that list the same
    /// servers in another order, or replace the first one, keep the old identity by
    /// [`sync::Options::with_upstream`](onceward::sync::Options::with_upstream).
    ///
    /// # Errors
    ///
    /// `Invalid`: address and stream have over 1,024 bytes.
    pub fn upstream(&self) -> Result<Upstream, Error> {
        let url = format!("nats://{}/{}", self.first_server(), self.stream);
        Ok(Upstream::new(&url, "nats")?)
    }

    /// What TLS is held to.
    ///
    /// # Errors
    ///
    /// `Invalid`: never, with what is built in.
    pub(super) fn tls_config(&self) -> Result<Arc<ClientConfig>, Error> {
        match &self.tls {
            Some(config) => Ok(Arc::clone(config)),
            None => Ok(Line::direct(ANY, None, Timeouts::default())?.tls_config()),
        }
    }

    /// Host and port of the first server.
    pub(super) fn first_server(&self) -> String {
        self.servers.first().map(host_and_port).unwrap_or_default()
    }

    /// Whether only TLS will do.
    pub(super) fn is_tls_required(&self) -> bool {
        let is_far = |server: &ServerAddr| !is_loopback(server.host());
        !self.is_plain_allowed && self.servers.iter().any(is_far)
    }
}

/// Host and port, as an address has them.
fn host_and_port(server: &ServerAddr) -> String {
    let (host, port) = (server.host(), server.port());
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Checks a server's address, without repeating it: it may hold a password.
fn server(text: &str) -> Result<ServerAddr, Error> {
    let invalid = |why: &str| Error::invalid("servers", why);
    if !(text.starts_with("nats://") || text.starts_with("tls://")) {
        return Err(invalid("must start with nats:// or tls://"));
    }
    let server =
        ServerAddr::from_str(text).map_err(|_may_quote_it| invalid("is not an address"))?;
    if server.username().is_some() || server.password().is_some() {
        return Err(invalid("holds credentials; they belong in the credentials"));
    }
    if server.host().is_empty() {
        return Err(invalid("has no host"));
    }
    Ok(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_refused_without_being_repeated() {
        for bad in [
            "http://a",
            "a:4222",
            "nats://user:pass@a",
            "nats://",
            "nats://a:notaport",
            "nats://token@a",
        ] {
            let error = NatsOptions::new(&[bad], "S").unwrap_err();
            assert!(!error.to_string().contains("pass"), "{error}");
        }
        assert!(NatsOptions::new(&[], "S").is_err());
        for bad in ["", "a.b", "a b", "a*", "\u{e9}"] {
            assert!(NatsOptions::new(&["nats://a"], bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tls_is_asked_for_where_a_server_is_another_machine() {
        let to = |servers: &[&str]| NatsOptions::new(servers, "S").unwrap();
        assert!(
            !to(&["nats://127.0.0.1:1", "nats://localhost", "nats://[::1]:2"]).is_tls_required()
        );
        assert!(to(&["nats://127.0.0.1:1", "nats://hub.example"]).is_tls_required());
        assert!(!to(&["nats://hub.example"]).allowing_plain().is_tls_required());
    }

    #[test]
    fn an_upstream_is_its_first_server_and_its_stream() {
        let to = |servers: &[&str], stream| {
            NatsOptions::new(servers, stream).unwrap().upstream().unwrap().to_string()
        };
        assert_eq!(to(&["tls://A.example", "tls://b"], "S"), "nats nats://a.example:4222/S");
        assert_eq!(to(&["nats://[::1]:5"], "S"), "nats nats://[::1]:5/S");
    }
}
