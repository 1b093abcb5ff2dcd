//! Pulls what a hub queued for a device into the store's inbox, and tells the hub how far work on it is.
//!
//! It hands nothing to the application: that lists the [inbox](onceward::inbox::Inbox), does the steps, notes them and
//! acknowledges. How deliveries end travels by another way: the acks are events of the inbox's scope, which an
//! [`Uploader`](crate::Uploader) sends in the dialect [`Deliveries`](crate::Deliveries).
//!
//! ```text
//! hub -- session: window, how long --> Pull -- open_window --> inbox
//! hub -- next: a delivery, or none --> Pull -- receive ------> inbox --> application
//! hub <-- ack of a step -------------- Pull <-- steps done --- inbox <-- application
//! hub <-- ack of the whole ----------- Uploader <-- event ---- inbox <-- application
//! ```
//!
//! | what came                                       | what follows                                                   |
//! |-------------------------------------------------|----------------------------------------------------------------|
//! | a session                                       | its window is open for as long as the hub says; other windows of the user are closed |
//! | a delivery that is new                          | it is stored, durably, from the step on at which the hub resumes |
//! | one that is there                               | nothing is stored; steps that the hub knows and the store does not are noted |
//! | one that was acknowledged here                  | its ack is repeated: the hub did not hear of it                |
//! | one that failed here                            | nothing                                                        |
//! | one for which there is no room                  | nothing is asked for until the backoff is over; the hub keeps it |
//! | one that the store can never take               | it is counted; the hub keeps it, and others come               |
//! | 204                                             | the next question, a second after the last one at the earliest |
//! | 410 `WINDOW_OVER`, or `"window_over":true`      | the window is closed, and another session asked for            |
//! | to a step, `done`                               | another device of the user finished it: it is acknowledged here |
//! | to a step, `late`                               | as 410                                                         |
//! | to a step, 404 `DELIVERY_NOT_FOUND` or 422 `STEP_INVALID` | no more steps of it are told                         |
//! | 401, 403 in the hub's format                    | nothing is asked for until there is another key                |
//! | anything else                                   | the same again after the backoff, or after `Retry-After`       |
//!
//! No time of this machine is told to anybody: how long a window is open, and whether an ack is late, is the hub's
//! word.

mod handle;
mod offer;
mod options;
mod pacing;
mod pull;
mod puller;
mod report;
mod session;
mod steps;

pub use handle::PullerHandle;
pub use options::PullOptions;
pub use pull::{Pull, PullStep};
pub use puller::Puller;
pub use report::PullReport;

#[cfg(test)]
mod tests;
