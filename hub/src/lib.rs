//! The upstream of Onceward: accepts what terminals send, applies each item once, and confirms it.
//!
//! [`Hub::open`] opens the data directory, [`Hub::router`] gives the HTTP interface, [`serve`] runs it
//! on a listener until it is asked to stop, and [`ledger`] reads from outside what was applied. The library
//! prints nothing and installs nothing: what an operator should hear of arrives as a [`Notice`].
//!
//! | route                                | who  | does                                             |
//! |--------------------------------------|------|--------------------------------------------------|
//! | `POST /api/v1/transactions/sync`     | key  | Forloy: 1 to 100 purchases, 200 or 207           |
//! | `POST /v1/sync/batch`                | key  | Wede: 1 to 500 events                            |
//! | `GET /v1/sync/batch/{id}`            | key  | Wede: the answer that a batch was given          |
//! | `GET /healthz`, `GET /readyz`        | all  | the process lives; the stores take writes        |
//! | `GET /metrics`                       | all  | damage, full disks: the text of Prometheus       |
//! | `GET /problems/{name}`               | all  | what a problem's `type` means                    |
//!
//! Everything refused is answered as `application/problem+json` (RFC 9457). An item is confirmed only
//! after the store has synced it; a rejected item writes nothing and leaves its key free.
//!
//! Every answer says what time it is (`Date`) and how many seconds keys are remembered at least
//! (`Onceward-Horizon`): a terminal confirms its clock with the one, and does not send again blindly what
//! it first sent longer ago than the other.
//!
//! # Example
//!
//! ```
//! use onceward_hub::{Hub, Options, ledger, serve};
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let data = dir.path().join("data");
//! let hub = Hub::open(Options::new(&data, "key-of-these-terminals"))?;
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let shutdown = async { /* for example: tokio::signal::ctrl_c().await */ };
//! serve(hub, listener, shutdown).await?;
//! assert!(ledger(&data, "default")?.is_empty());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod apply;
mod auth;
mod batches;
mod blocking;
mod body;
mod cards;
mod connection;
mod error;
mod fields;
mod forloy;
mod health;
mod hub;
mod idempotency_key;
mod ledger;
mod moment;
mod notice;
mod options;
mod problem;
mod process;
mod receipt;
mod request_id;
mod routes;
mod segments;
mod serve;
mod shared;
mod strict;
mod tenant;
mod wede;

pub use cards::CardsReport;
pub use error::Error;
pub use hub::Hub;
pub use ledger::{LedgerEntry, ledger};
pub use notice::Notice;
pub use options::{Options, Secret};
pub use serve::{serve, serve_with_grace};
