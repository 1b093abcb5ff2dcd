//! Asks servers beside the uploader: makes streams, reads what is in them.
//!
//! Method: a client of its own, which asks the interface of JetStream and reads message by message.

use std::time::Duration;

use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// A connection for looking.
pub(crate) struct Reader {
    runtime: Runtime,
    client: Client,
    stream: Context,
}

/// A message in a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Stored {
    pub(crate) subject: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Vec<u8>,
}

impl Stored {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The id by which the stream knows it again.
    pub(crate) fn id(&self) -> &str {
        self.header("Nats-Msg-Id").unwrap()
    }
}

impl Reader {
    /// Connects to one of these servers, and to another one when that is gone.
    pub(crate) fn of(urls: &[&str]) -> Self {
        Self::connected(urls, ConnectOptions::new())
    }

    /// The same, as a user.
    pub(crate) fn by(url: &str, user: &str, password: &str) -> Self {
        let options = ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
        Self::connected(&[url], options)
    }

    fn connected(urls: &[&str], options: ConnectOptions) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let urls: Vec<async_nats::ServerAddr> =
            urls.iter().map(|url| url.parse().unwrap()).collect();
        // A cluster without a leader answers nothing: it is asked again.
        let options = options.request_timeout(Some(Duration::from_secs(1)));
        let client = runtime.block_on(options.connect(urls)).unwrap();
        let entered = runtime.enter();
        let mut stream = jetstream::new(client.clone());
        drop(entered);
        stream.set_timeout(Duration::from_secs(2));
        Self { runtime, client, stream }
    }

    /// Makes a stream for `onceward.>` with more of its settings, in JSON. Returns whether it is there then.
    pub(crate) fn makes(&self, name: &str, more: &str) -> bool {
        let comma = if more.is_empty() { "" } else { "," };
        let config = format!(
            r#"{{"name":"{name}","subjects":["onceward.>"],"retention":"limits","storage":"file","discard":"new","num_replicas":1{comma}{more}}}"#
        );
        // A setting that is given twice has its last value.
        let config: Value = serde_json::from_str(&config).unwrap();
        let answer = self.ask(&format!("$JS.API.STREAM.CREATE.{name}"), config.to_string());
        answer.is_some_and(|answer| answer.get("config").is_some())
    }

    /// Makes a stream, which must succeed.
    pub(crate) fn make(&self, name: &str, more: &str) {
        assert!(self.makes(name, more), "stream {name} {more}");
    }

    /// What the stream says of itself.
    pub(crate) fn info(&self, name: &str) -> Option<Value> {
        let info = self.ask(&format!("$JS.API.STREAM.INFO.{name}"), String::new())?;
        info.get("config").is_some().then_some(info)
    }

    fn ask(&self, subject: &str, body: String) -> Option<Value> {
        let asked = self.client.request(subject.to_owned(), body.into());
        let answer = self.runtime.block_on(asked).ok()?;
        serde_json::from_slice(&answer.payload).ok()
    }

    /// The number of the last message.
    pub(crate) fn last(&self, name: &str) -> u64 {
        self.info(name).map_or(0, |info| info["state"]["last_seq"].as_u64().unwrap())
    }

    /// The name of the server that leads the stream.
    pub(crate) fn leader(&self, name: &str) -> String {
        self.info(name).unwrap()["cluster"]["leader"].as_str().unwrap().to_owned()
    }

    /// All messages of a stream.
    pub(crate) fn messages(&self, name: &str) -> Vec<Stored> {
        self.runtime.block_on(async {
            let stream = self.stream.get_stream(name).await.unwrap();
            let last = stream.cached_info().state.last_sequence;
            let mut all = Vec::new();
            for seq in 1..=last {
                let message = stream.get_raw_message(seq).await.unwrap();
                let headers = message.headers.iter().flat_map(|(name, values)| {
                    values.iter().map(|value| (name.to_string(), value.to_string()))
                });
                all.push(Stored {
                    subject: message.subject.to_string(),
                    headers: headers.collect(),
                    payload: message.payload.to_vec(),
                });
            }
            all
        })
    }
}
