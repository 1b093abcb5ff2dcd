//! Drains a store into a stream of NATS JetStream.
//!
//! ```text
//! Drain -- Batch --> NatsUploader -- one message for each event --> stream
//! Drain <-- Reply or Failure -- NatsUploader <-- a publish ack for each -- stream
//! ```
//!
//! Each event is one message: its payload as it is, on the subject that a [`SubjectTemplate`] makes of its scope and
//! kind, under these headers and the event's own ones.
//!
//! | header | what |
//! |---|---|
//! | `Nats-Msg-Id` | `scope/key`: by this the stream knows a message again; bytes of the key that are no visible ASCII, and `%`, are `%XX` |
//! | `Nats-Expected-Stream` | the stream: another one that has the subject too refuses the message |
//! | `Onceward-Store`, `Onceward-Lsn` | the store's id, and the event's number there |
//! | `Onceward-Kind` | its kind, spelled as the key is |
//! | `Onceward-Captured-At` | when it happened, RFC 3339; not there if nobody knows |
//!
//! A template that was changed counts also for what is sent again: the id alone makes it the same message.
//!
//! An event is confirmed by the stream's own publish ack and by nothing else: one that names the stream that was meant
//! and the message's number there, which both become the receipt, `STREAM:NUMBER`. After no ack, or any other answer,
//! the event stays pending and is sent again under the same id.
//!
//! | answer | what becomes of the event |
//! |---|---|
//! | ack | accepted; with `duplicate`, known before |
//! | too large, for the server or the stream | to review: `MAX_PAYLOAD`, `MESSAGE_TOO_LARGE` |
//! | the stream or the account is full, a wrong last sequence, any other refusal | pending: `STREAM_FULL`, `JS_10071` |
//! | another stream has the subject, there is no JetStream | pending; the configuration is at fault |
//! | not permitted | pending; blocked, until the host says that this changed |
//! | none in time, no leader, connection lost | pending; again after the backoff, over a new connection |
//!
//! # How long a stream knows a message again
//!
//! A stream remembers ids for its `duplicate_window`, and the default of NATS is *two minutes*: too short for a
//! terminal that loses its line. What was sent without an ack, and could not be sent again within nine tenths of the
//! window, is not sent blindly after that: it becomes uncertain and waits for a person, who looks in the stream. Make
//! the window longer than the outages that you expect:
//!
//! ```text
//! nats stream add SALES --subjects 'onceward.>' --dupe-window 24h
//! nats stream edit SALES --dupe-window 24h
//! ```
//!
//! or let the uploader create the stream ([`NatsOptions::creating`]), with 24 hours. A server keeps each id in memory
//! for so long, about 100 bytes. With a maximum age the window can be at most that; and a message that is removed from
//! its stream within the window, as in a work queue, is forgotten when the server starts again.
//!
//! The window is read from the stream over each new connection, before anything is sent over it. A connection that was
//! lost is never used again, with whatever waited in its buffers. What the network itself holds back, for over a tenth
//! of the window, and delivers then, is beyond anybody's control: another reason for a long window.
//!
//! How long ago an attempt was that was made before the machine was off, only a server shows that says its clock: one
//! of 2.10 or newer. With an older one such an event becomes uncertain.
//!
//! The account needs the permission to publish to `$JS.API.STREAM.INFO.STREAM` and to the subjects, and to subscribe to
//! `_INBOX.>`.
//!
//! # Example
//!
//! ```no_run
//! use onceward::{Config, Scope, Store, sync};
//! use onceward_uplink::Secret;
//! use onceward_uplink::nats::{NatsCredentials, NatsOptions, NatsUploader};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::open("till", Config::new())?;
//! let servers = ["tls://a.nats.example", "tls://b.nats.example"];
//! let options = NatsOptions::new(&servers, "SALES")?
//!     .with_credentials(NatsCredentials::Token(Secret::new("token-of-this-terminal")))
//!     .with_subject("onceward.{scope}.{kind}")?;
//! let uploader = NatsUploader::new(store.clone(), options)?
//!     .draining(sync::Options::new(Scope::default()).with_items_max(200).with_window(4), 2)
//!     .draining(sync::Options::new(Scope::new("tips")?).with_items_max(200), 1)
//!     .spawn()?;
//! // After each capture:
//! uploader.wake();
//! // Before the program ends:
//! let _all_gone = uploader.flush(std::time::Duration::from_secs(5));
//! let report = uploader.stop()?;
//! # let _ = report;
//! # Ok(())
//! # }
//! ```

mod ack;
mod api;
mod credentials;
mod driver;
mod handle;
mod link;
mod message;
mod options;
mod publish;
mod subject;
mod trouble;
mod uploader;

pub use credentials::NatsCredentials;
pub use handle::NatsHandle;
pub use message::sendable;
pub use options::{NatsOptions, NewStream};
pub use subject::SubjectTemplate;
pub use uploader::NatsUploader;
