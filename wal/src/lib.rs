//! Append-only log of checksummed frames in segments, with group commit and recovery by a table.
//!
//! Knows no keys and no events: a frame has a kind and bytes. Time and random numbers are arguments.
//!
//! | to | |
//! |---|---|
//! | read and judge a log, changing nothing | [`examine`] |
//! | mend what a crash left, and write | [`Log::start`] |
//! | open a log without reading what the host knows of it | [`examine_known`], [`FinishedSegments`] |
//! | keep frames durably | [`Log::append`], [`Log::append_batch`], [`Log::append_deferred`] with a [`AppendTicket`] |
//! | read on from an LSN, beside writers of this process | [`Log::read_from`] |
//! | follow a log that another process writes | [`Follower`] |
//! | mend damage, keeping the damaged bytes | [`repair`] |
//! | keep the host's bodies sealed | [`create_sealed`], [`examine_with`], with a [`Sealing`] of the host's |
//!
//! The bytes are described in `FORMAT.md`:
#![doc = include_str!("../FORMAT.md")]
#![forbid(unsafe_code)]

mod bell;
mod blocks;
mod checksum;
mod error;
mod examine;
mod fields;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod header;
mod identity;
mod known;
mod limits;
mod log;
mod lsn;
mod meta;
mod name;
mod open_files;
mod quarantine;
mod ranges;
mod repair;
mod report;
mod resync;
mod run;
mod sealing;
mod segment;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod walk;
mod waypoints;

pub use checksum::Digest;
pub use error::{Error, ErrorKind, GROUND_MOVED, Position};
pub use examine::{
    Anchor, Examined, Followed, Follower, check_keys, examine, examine_known, examine_with,
    identity, identity_with, is_sealed,
};
pub use frame::{Frame, KIND_HOST_MIN, Place};
pub use identity::Identity;
pub use known::{KnowingReader, KnownSegment};
pub use limits::{
    FRAME_HEADER_BYTES, SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
    check_segment_bytes, frame_bytes,
};
pub use log::{
    Alignment, AppendFrame, AppendTicket, Appended, CLOSED, FinishedSegments, FrameSlice, Lock,
    Log, NewFrame, Options, Placed, Preparation, Purpose, Reader, create, create_sealed, lock,
};
pub use lsn::Lsn;
pub use quarantine::{ASIDE, verify_quarantine};
pub use repair::{Repaired, repair, repair_with};
pub use report::{Damage, ExaminationReport, LostLsns};
pub use run::{RunBody, Stamp};
pub use sealing::{DataKey, KeyRefusal, Sealing, WrappedKey};
pub use segment::span::FrameSpan;
pub use segment::{FrameBuf, SalvagedFrame, SegmentInfo, Segments};

/// Kind of the frame that says who writes; its body is a [`RunBody`].
pub const KIND_RUN: u8 = frame::KIND_RUN;
