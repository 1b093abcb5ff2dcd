//! One connection, with what the stream said of itself over it. A connection that is lost is not used again.
//!
//! The client would connect anew by itself, and then send what waited in its buffers, however old that is: perhaps
//! after the stream forgot that it has it. So it is kept from that, and each connection has a runtime of its own, which
//! ends with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, Request, RequestErrorKind};
use onceward::Scope;
use tokio::sync::{Notify, broadcast};

use super::api::{StreamAnswer, StreamConfig, creation};
use super::credentials::NatsCredentials;
use super::options::NatsOptions;
use super::trouble::Trouble;
use crate::clock::Monotonic;
use crate::upstream::ServerTime;

/// How many refusals may wait to be looked at.
const REFUSALS_MAX: usize = 1_024;

/// One connection, and the stream at its end.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) stream: String,
    pub(super) ack_timeout: Duration,
    /// How long the stream knows a message again.
    pub(super) duplicate_window: Duration,
    /// The server's clock.
    pub(super) time: Option<ServerTime>,
    pub(super) news: Arc<News>,
}

/// What is heard of a connection besides answers.
pub(super) struct News {
    is_lost: AtomicBool,
    lost: Notify,
    refusals: broadcast::Sender<String>,
}

impl News {
    fn new() -> Self {
        let (is_lost, lost) = (AtomicBool::new(false), Notify::new());
        Self { is_lost, lost, refusals: broadcast::channel(REFUSALS_MAX).0 }
    }

    /// What the server refuses for want of a permission, from now on.
    pub(super) fn refusals(&self) -> broadcast::Receiver<String> {
        self.refusals.subscribe()
    }

    /// The connection is not to be used any more.
    pub(super) fn lose(&self) {
        self.is_lost.store(true, Ordering::SeqCst);
        self.lost.notify_waiters();
    }

    /// Whether the connection is lost.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::SeqCst)
    }

    /// Waits until the connection is lost.
    pub(super) async fn lost(&self) {
        let lost = self.lost.notified();
        if !self.is_lost() {
            lost.await;
        }
    }

    fn hear(&self, event: &Event) {
        match event {
            Event::Disconnected | Event::Closed => self.lose(),
            Event::ServerError(error) => {
                let text = error.to_string();
                if text.to_ascii_lowercase().contains("permissions violation") {
                    // Nobody listens: nothing waits for an answer that will not come.
                    drop(self.refusals.send(text));
                }
            }
            _ => {}
        }
    }
}

impl Link {
    /// Connects to one of the servers, and asks what the stream is.
    pub(super) async fn open(
        options: &NatsOptions,
        credentials: Option<&NatsCredentials>,
        scopes: &[Scope],
    ) -> Result<Self, Trouble> {
        let news = Arc::new(News::new());
        let mut refusals = news.refusals();
        let client = connect(options, credentials, &news).await?;
        let asked = async {
            let asked = ask_stream(&client, options).await?;
            Ok(Self {
                stream: options.stream.clone(),
                ack_timeout: options.ack_timeout,
                duplicate_window: asked.config.duplicate_window(),
                time: asked.time,
                client: client.clone(),
                news: Arc::clone(&news),
            })
            .and_then(|link| match asked.config.unfit(options, scopes) {
                Some(why) => Err(Trouble::Misdirected(why)),
                None => Ok(link),
            })
        };
        tokio::select! {
            asked = asked => asked,
            Ok(refusal) = refusals.recv() => Err(Trouble::Blocked(refusal)),
            () = news.lost() => Err(Trouble::Unreachable("the connection was lost".to_owned())),
        }
    }
}

/// What a stream said of itself.
struct Asked {
    config: StreamConfig,
    time: Option<ServerTime>,
}

/// Asks what the stream is; makes it first, where there is none and that is wanted.
async fn ask_stream(client: &Client, options: &NatsOptions) -> Result<Asked, Trouble> {
    let clock = Monotonic::start();
    let mut answer = call(client, options, "INFO", String::new()).await?;
    let is_missing = answer.error.as_ref().is_some_and(super::api::ApiError::is_not_found);
    if let Some(new) = options.new_stream.filter(|_| is_missing) {
        answer = call(client, options, "CREATE", creation(options, new)).await?;
    }
    let stream = &options.stream;
    match answer {
        StreamAnswer { error: Some(error), .. } if error.is_not_found() => {
            let why = format!("there is no stream {stream:?}: create it, or let it be created");
            Err(Trouble::Misdirected(why))
        }
        StreamAnswer { error: Some(error), .. } if error.is_no_jetstream() => {
            Err(Trouble::Misdirected(format!("there is no JetStream: {error}")))
        }
        // A bad request is mended by nobody but the host.
        StreamAnswer { error: Some(error), .. } if (400..500).contains(&error.code) => {
            Err(Trouble::Misdirected(format!("no stream {stream:?}: {error}")))
        }
        StreamAnswer { error: Some(error), .. } => {
            Err(Trouble::Unreachable(format!("no stream {stream:?}: {error}")))
        }
        StreamAnswer { config: Some(config), ts, .. } => {
            let time = ts.and_then(|ts| reading(&ts, clock.now_ms()));
            Ok(Asked { config, time })
        }
        StreamAnswer { .. } => Err(Trouble::Unreachable("the answer is no stream".to_owned())),
    }
}

/// A call of JetStream about the stream.
async fn call(
    client: &Client,
    options: &NatsOptions,
    verb: &str,
    body: String,
) -> Result<StreamAnswer, Trouble> {
    let subject = format!("$JS.API.STREAM.{verb}.{}", options.stream);
    let timeout = Some(options.ack_timeout);
    let request = Request::new().payload(body.into()).timeout(timeout);
    let answered = client.send_request(subject, request).await;
    let message = answered.map_err(|error| {
        Trouble::Unreachable(match error.kind() {
            RequestErrorKind::NoResponders => {
                "JetStream does not answer: it is not enabled, or has no leader now".to_owned()
            }
            _ => format!("JetStream does not answer: {error}"),
        })
    })?;
    serde_json::from_slice(&message.payload)
        .map_err(|_not_it| Trouble::Unreachable("the answer is no stream".to_owned()))
}

/// The server's clock, as an answer said that came so long after its request.
fn reading(ts: &str, round_trip_ms: u64) -> Option<ServerTime> {
    let at: jiff::Timestamp = ts.parse().ok()?;
    let half_ms = round_trip_ms / 2;
    let unix_ms = at.as_millisecond().checked_add_unsigned(half_ms)?;
    // What halving and cutting off lost.
    let uncertainty = Duration::from_millis(half_ms.saturating_add(2));
    Some(ServerTime { unix_ms, uncertainty })
}

/// Connects to one of the servers.
async fn connect(
    options: &NatsOptions,
    credentials: Option<&NatsCredentials>,
    news: &Arc<News>,
) -> Result<Client, Trouble> {
    let is_open = Arc::new(AtomicBool::new(false));
    let (was_open, theirs) = (Arc::clone(&is_open), Arc::clone(news));
    let with = ConnectOptions::new()
        .name("onceward")
        .connection_timeout(options.connect_timeout)
        .request_timeout(Some(options.ack_timeout))
        .require_tls(options.is_tls_required())
        .ignore_discovered_servers()
        .reconnect_delay_callback(move |_attempts| {
            if was_open.load(Ordering::SeqCst) { Duration::MAX } else { Duration::ZERO }
        })
        .event_callback(move |event| {
            theirs.hear(&event);
            std::future::ready(())
        });
    let tls = options.tls_config().map_err(|error| Trouble::Misdirected(error.to_string()))?;
    let with = with.tls_client_config(tls.as_ref().clone());
    let with = shown(with, credentials).await?;
    let client =
        with.connect(options.servers.clone()).await.map_err(|error| match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                Trouble::Blocked(format!("the server refuses the credentials: {error}"))
            }
            _ => {
                let first = options.first_server();
                let others = match options.servers.len() {
                    0 | 1 => String::new(),
                    count => format!(" and {} others", count - 1),
                };
                Trouble::Unreachable(format!("{first}{others}: {error}"))
            }
        })?;
    is_open.store(true, Ordering::SeqCst);
    Ok(client)
}

/// The options with what the terminal shows.
async fn shown(
    with: ConnectOptions,
    credentials: Option<&NatsCredentials>,
) -> Result<ConnectOptions, Trouble> {
    // What the library says of them is not repeated: it may quote a seed.
    let unusable = |_may_quote_it| Trouble::Blocked("the credentials cannot be used".to_owned());
    match credentials {
        None => Ok(with),
        Some(NatsCredentials::UserPassword { user, password }) => {
            Ok(with.user_and_password(user.clone(), password.expose().to_owned()))
        }
        Some(NatsCredentials::Token(token)) => Ok(with.token(token.expose().to_owned())),
        Some(NatsCredentials::Nkey(seed)) => Ok(with.nkey(seed.expose().to_owned())),
        Some(NatsCredentials::Creds(text)) => with.credentials(text.expose()).map_err(unusable),
        Some(NatsCredentials::CredsFile(file)) => {
            let read = with.credentials_file(file).await;
            read.map_err(|error| {
                let why =
                    format!("cannot use the credentials in {}: {}", file.display(), error.kind());
                Trouble::Blocked(why)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_covers_every_moment_at_which_the_clock_may_have_been_read() {
        let ts_ms = 1_773_152_525_007;
        for round_trip_ms in [0, 1, 80, 5_000] {
            let time = reading("2026-03-10T14:22:05.007123456Z", round_trip_ms).unwrap();
            let around = i64::try_from(time.uncertainty.as_millis()).unwrap();
            let latest = ts_ms + 1 + i64::try_from(round_trip_ms).unwrap();
            assert!(time.unix_ms - around <= ts_ms && time.unix_ms + around >= latest);
        }
        assert_eq!(reading("yesterday", 0), None);
    }
}
