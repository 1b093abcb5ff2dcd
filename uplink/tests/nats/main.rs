//! Events drained into a real stream are in it exactly once, whatever becomes of servers, acks and permissions.
//!
//! Method: each test starts `nats-server` processes of its own, on free ports and with a folder of its own, drains a
//! store into them, harms them where that is the point, and counts by message id what is in the stream.
//!
//! | file | what |
//! |---|---|
//! | `server`, `cluster` | starts servers, kills and restarts them |
//! | `reader` | asks the servers beside the uploader: makes streams, reads them |
//! | `deaf` | a way to a server on which answers get lost |
//! | `terminal` | stores, and what is to be true of them |

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test helper that cannot go on has failed the test"
)]

mod cluster;
mod deaf;
mod drains;
mod lost_acks;
mod reader;
mod refusals;
mod server;
mod terminal;
mod tls;
