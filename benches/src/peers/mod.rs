//! Other stores doing the work of this one, *dedup capture* and draining, each through what its users call.
//!
//! A peer takes events with keys: a key that it has is a duplicate, any other event is stored and its key
//! remembered, in one step. What waits is read in its order and marked as settled. Each peer is opened as a careful
//! user would open it for that: what was answered survives a power cut, and nothing that waits is dropped.

use std::error::Error;
use std::path::Path;

use crate::engine::BODY_BYTES;
use crate::index::keys::Key;

pub mod fjall;
pub mod job;
pub mod kind;
pub mod limits;
pub mod lmdb;
pub mod load;
pub mod naive;
pub mod naive_gc;
pub mod okaywal;
pub mod onceward;
pub mod raft_engine;
pub mod redb;
pub mod remembered;
pub mod sqlite;
pub mod syncs;
pub mod workload;

/// Bytes that the limits write for an event: those of our own frame.
pub const EVENT_BYTES: usize = onceward_wal::frame_bytes(BODY_BYTES);
/// Bytes of cache of a peer that has one of its own.
pub const CACHE_BYTES: usize = 64 << 20;

/// What a peer says.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// An event that comes to a peer.
#[derive(Clone, Copy, Debug)]
pub struct Capture<'a> {
    /// The key.
    pub key: Key,
    /// What is stored with it.
    pub payload: &'a [u8],
}

/// How a peer is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Each commit survives a power cut.
    Durable,
    /// Only what [`Peer::sync`] came after does.
    Unsynced,
}

/// How events that the upstream took are settled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Settling {
    /// A durable number says how far; the events stay.
    Mark,
    /// They are removed, so that their space is used again. Their keys stay.
    Remove,
}

/// A store that does the work. Calls that it cannot do fail; [`kind::Kind::does`] says which.
pub trait Peer: Send + Sync {
    /// Takes those of `events` whose keys are new, all on disk when this returns; returns how many.
    ///
    /// `writer` says who calls: a peer may keep the events of each apart.
    ///
    /// # Errors
    ///
    /// What the peer says.
    fn capture_durable(&self, writer: usize, events: &[Capture<'_>]) -> Result<usize>;

    /// The same, on disk only after the next [`Peer::sync`].
    ///
    /// # Errors
    ///
    /// What the peer says, or that it has no such call.
    fn capture_unsynced(&self, _events: &[Capture<'_>]) -> Result<usize> {
        Err("this peer syncs every commit".into())
    }

    /// Puts on disk all that was taken.
    ///
    /// # Errors
    ///
    /// What the peer says.
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// The number of the event that has this key; 0 if there is none.
    ///
    /// # Errors
    ///
    /// What the peer says, or that it has no such call.
    fn seen(&self, _key: &Key) -> Result<u64> {
        Err("this peer has no lookup of its own".into())
    }

    /// Reads the next `count` events that wait and settles them durably; returns how many there were.
    ///
    /// # Errors
    ///
    /// What the peer says, or that it has no such call.
    fn drain(&self, _count: usize, _settling: Settling) -> Result<usize> {
        Err("this peer gives no events back".into())
    }

    /// Ends what settling began: returns when nothing is left to be cleaned up.
    ///
    /// # Errors
    ///
    /// What the peer says.
    fn end_draining(&self) -> Result<()> {
        Ok(())
    }

    /// Has all events wait again, where [`Settling::Mark`] leaves them.
    ///
    /// # Errors
    ///
    /// What the peer says.
    fn rewind(&self) -> Result<()> {
        Err("what is settled is gone".into())
    }
}

/// A path as text: some interfaces take nothing else.
fn text_of(path: &Path) -> Result<String> {
    Ok(path.to_str().ok_or("the path is not text")?.to_owned())
}
