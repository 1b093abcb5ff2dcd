//! Records of an upstream: one call for each (scope, key), wherever it is asked for, and its outcome for whoever asks
//! again.
//!
//! What [`Records::begin`](onceward::records::Records::begin) does inside one store, an upstream does for many
//! terminals. Nothing is kept here, and nothing is tried again: each call is one request, and its error says what to
//! do.
//!
//! ```text
//! begin --> Locked --> the work --> complete            or release, if nothing came of it
//!       --> Busy   --> later, again
//!       --> Cached --> the outcome of the first one
//! ```
//!
//! | answer                                                       | [`RecordBegun`], or [`RecordErrorKind`]        |
//! |--------------------------------------------------------------|-----------------------------------------------|
//! | `{"locked":true}`, `lease`, `lockExpiresInMs`, `outcomeUnknown` | `Locked`                                   |
//! | `{"locked":false,"retryAfterMs":1500}`                       | `Busy`                                        |
//! | `{"cached":true}`, `record`                                  | `Cached`                                      |
//! | 409 `LEASE_LOST`                                             | `LeaseLost`                                   |
//! | 409 `COMPLETED_OTHERWISE`                                    | `CompletedOtherwise`                          |
//! | 409 `NOT_LOCKED`                                             | `NotLocked`                                   |
//! | 409 `LEASE_AMBIGUOUS`                                        | `LeaseAmbiguous`                              |
//! | 422 `IDEMPOTENCY_KEY_REUSED`                                 | `KeyReused`                                   |
//! | 429 `USAGE_EXCEEDED`, also `{"status":429}` alone            | `UsageExceeded`                               |
//! | 503 `LEASES_FULL`                                            | `LeasesFull`                                  |
//! | 401, 403 in the upstream's format                            | `Unauthorized`                                |
//! | 400, 413, 422 in the upstream's format                       | `Invalid`                                     |
//! | anything else, or nothing                                    | `Unavailable`                                 |
//!
//! Members besides `locked`, `cached` and `retryAfterMs` are optional: an upstream that gives no lease is served too,
//! and then two holders cannot be told apart.

mod answer;
mod client;
mod error;

pub use client::{RecordBegun, RecordLease, RecordsClient};
pub use error::{RecordError, RecordErrorKind};

#[cfg(test)]
mod tests;
