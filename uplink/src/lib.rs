//! Carries batches upstream: what a batch looks like on the wire, what an answer proves, and the
//! thread that drives a [`sync::Session`](onceward::sync::Session).
//!
//! It decides nothing about delivery. Which events go into a batch, when to try again and what
//! becomes of an event is the session's business; this crate only translates and carries.
//!
//! ```text
//! Session -- Batch --> Dialect -- Request --> Line --> upstream
//! Session <-- Reply or Failure -- Dialect <-- Response -- Line
//! ```
//!
//! One rule is above all: an event is confirmed only by an explicit positive answer for its own
//! key in a complete, well-formed document. Anything else leaves it pending.
//!
//! Two dialects of events are written in Rust, [`Forloy`] and [`Wede`]; an [`HttpDialect`] is described by a file.
//!
//! A [`Line`] sends nothing before it knows whom it talks to: certificates are always checked, plain `http` leaves
//! the machine only where that is allowed by name, and an operator can ask for more: a pinned key, authorities of his
//! own, a certificate of the terminal. [`Line::probe`] tries the way without sending anything.
//!
//! # Which driver
//!
//! All of them are short loops around an [`Exchange`], which has no socket, no clock and no thread.
//!
//! | the host has                                     | it takes                                             |
//! |--------------------------------------------------|------------------------------------------------------|
//! | threads, and no HTTP client                      | [`Uploader`] with a [`Line`]                         |
//! | threads, and a client or another way upstream    | [`Uploader`] with a [`Transport`] of its own         |
//! | a tokio runtime, and no HTTP client              | `AsyncUploader` with `Blocking` of a [`Line`]        |
//! | a tokio runtime, and a client such as hyper's    | `AsyncUploader` with an `AsyncTransport` of its own  |
//! | another loop, a simulation, a client in C        | [`Exchange`], in C `ow_exchange_start`               |
//! | a command line                                   | `onceward sync`                                      |
//!
//! The two with tokio need the feature `tokio`. An [`Uploader`] and an `AsyncUploader` listen to a [`Control`]; so does
//! whoever hears that the line is back, such as a [`LinkWatch`].
//!
//! # What comes from upstream
//!
//! [`deliveries::Puller`] brings what a hub queued for a device into the store's inbox. How deliveries ended goes
//! back in the dialect [`Deliveries`], or in [`Transyt`] to that upstream itself: the acks' scope takes no other
//! dialect. [`records::RecordsClient`] asks an upstream for the right to do a piece of work that many terminals
//! share. `DELIVERIES.md` has the routes, the codes, and what the terminal does.
//!
//! # Testing against a bad line
//!
//! With the feature `faults` there is a proxy, in the module `faults`, that delays, cuts, loses, repeats and spoils
//! what passes it, as a script or a seed has it. `onceward fault-proxy` is the same as a program, for terminals in any
//! language.
//!
//! What our own dialects make of each of these faults is a matrix that tests print: runs of a real store against a real
//! hub through the proxy, and how many events were lost, doubled or stuck, which must be none.
//!
//! ```text
//! cargo nextest run -p onceward-cli -E 'binary(faults)' --success-output final
//! ```
//!
//! # NATS
//!
//! With the feature `nats`, the module `nats` drains scopes of a store into a stream of NATS JetStream: a message for
//! each event, which the stream knows again by its id, and which is confirmed by the stream's publish ack alone. How
//! long it knows it again is the stream's `duplicate_window`, two minutes unless it is made with more; what may have
//! been forgotten is not sent again, and waits for a person.
//!
//! # Example
//!
//! ```no_run
//! use onceward::{Config, Scope, Store, sync};
//! use onceward_uplink::{Forloy, Line, Secret, Timeouts, Uploader};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::open("till", Config::new())?;
//! let key = Secret::new("key-of-this-terminal");
//! let line = Line::new("https://hub.example", Some(key), Timeouts::default())?;
//! let options = sync::Options::new(Scope::default()).with_items_max(100);
//! let uploader = Uploader::new(store.clone(), line, Box::new(Forloy::new()), options)?.spawn()?;
//! // After each capture:
//! uploader.wake();
//! // Before the program ends:
//! let report = uploader.stop()?;
//! # let _ = report;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod clock;
mod control;
mod crew;
pub mod deliveries;
mod dialect;
mod error;
mod excerpt;
mod exchange;
#[cfg(feature = "faults")]
pub mod faults;
mod line;
mod links;
#[cfg(feature = "nats")]
pub mod nats;
pub mod records;
mod retry_after;
mod secret;
#[cfg(feature = "tokio")]
mod tasks;
mod timestamp;
mod transport;
mod uploader;
mod upstream;

pub use control::Control;
pub use dialect::{
    BUILT_IN, Deliveries, Dialect, DialectFault, Forloy, HttpDialect, KeyPlace, Method, Onceward,
    Request, Response, Spot, Transyt, Wede, sendable,
};
pub use error::{Error, ErrorKind};
pub use exchange::{Exchange, RequestId, Route, Work};
pub use line::{Line, Pin, Timeouts, Unreachable};
pub use links::LinkWatch;
pub use secret::Secret;
#[cfg(feature = "tokio")]
pub use tasks::{AsyncHandle, AsyncTransport, AsyncUploader, Blocking, Carrying};
pub use transport::Transport;
pub use uploader::{Uploader, UploaderHandle};
