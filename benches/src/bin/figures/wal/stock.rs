//! The log that is measured, and the events that are put into it.

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use onceward_benches::raw::RawFile;
use onceward_vfs::{OsVfs, Vfs};
use onceward_wal::{
    Alignment, Identity, KIND_HOST_MIN, Log, NewFrame, Options, Preparation, Purpose, Stamp,
    Ticket, frame_bytes,
};

use super::SEGMENT_BYTES;
use crate::device::Device;
use crate::pairing::{Slice, repeat};

/// Bytes of an event.
pub(super) const PAYLOAD_BYTES: usize = 200;
/// Bytes that the log writes for it.
pub(super) const FRAME_BYTES: usize = frame_bytes(PAYLOAD_BYTES);
/// Different events; at least the largest batch.
const PAYLOADS: usize = 512;
/// Room that a slice finds in the segment; the fastest, of half a slice's length, writes 10 MB.
const ROOM_BYTES: u64 = 24 << 20;
/// Room that is not filled further before the next segment is begun.
const SLACK_BYTES: u64 = 256 << 10;

/// Events with different bytes that no device can make smaller.
#[derive(Debug)]
pub(super) struct Payloads(Vec<[u8; PAYLOAD_BYTES]>);

impl Payloads {
    /// Always the same ones.
    pub(super) fn new() -> Self {
        // Marsaglia's xorshift: the bytes only have to differ.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        Self((0..PAYLOADS).map(|_| std::array::from_fn(|_| next())).collect())
    }

    /// The event with this number; they begin again after the last.
    pub(super) fn at(&self, number: usize) -> &[u8; PAYLOAD_BYTES] {
        &self.0[number % self.0.len()]
    }

    /// What the floor writes for `count` events: the same bytes, and as many more as frames take.
    pub(super) fn for_floor(&self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in 0..count {
            bytes.extend_from_slice(self.at(number));
            bytes.resize((number + 1) * FRAME_BYTES, 0x5a);
        }
        bytes
    }

    /// The bodies of `count` events, for one batch.
    pub(super) fn parts(&self, count: usize) -> Vec<[&[u8]; 1]> {
        (0..count).map(|number| [self.at(number).as_slice()]).collect()
    }
}

/// Frames of a batch.
pub(super) fn frames<'a>(parts: &'a [[&'a [u8]; 1]]) -> Vec<NewFrame<'a>> {
    parts.iter().map(|parts| NewFrame { kind: KIND_HOST_MIN, flags: 0, parts }).collect()
}

/// Makes an empty log in `dir` and starts it.
pub(super) fn new_log(
    dir: &Path,
    segment_bytes: u64,
    preparation: Preparation,
) -> Result<Log, Box<dyn Error>> {
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::create(dir)?);
    let lock = onceward_wal::lock(&*vfs)?;
    onceward_wal::create(&*vfs, &lock, Identity { store: [1; 16], secret: [2; 64] })?;
    let examined = onceward_wal::examine(&*vfs, &mut |_| {})?.ok_or("the new log is missing")?;
    let options = Options { segment_bytes, reserve: 0, preparation, alignment: Alignment::Frame };
    Ok(Log::start(vfs, lock, examined, options, Stamp::default())?)
}

/// A log whose segments were all used before.
#[derive(Debug)]
pub(super) struct Stock<'a> {
    pub(super) log: Log,
    pub(super) dir: PathBuf,
    pub(super) payloads: &'a Payloads,
    /// Device bytes for each byte of a segment that is prepared; `None` where nobody counts.
    pub(super) first_fill: Option<f64>,
}

impl<'a> Stock<'a> {
    /// Makes a log and uses its segments once.
    ///
    /// Segments are prepared on demand: with the thread in the background, nobody could tell when
    /// it is done and the disk is quiet.
    pub(super) fn create(
        dir: &Path,
        device: Option<Device>,
        payloads: &'a Payloads,
    ) -> Result<Self, Box<dyn Error>> {
        let log = new_log(dir, SEGMENT_BYTES, Preparation::OnDemand)?;
        let mut stock = Self { log, dir: dir.to_owned(), payloads, first_fill: None };
        let written = || device.and_then(Device::written_bytes);
        let before = written();
        stock.append(0);
        if let (Some(before), Some(after)) = (before, written()) {
            stock.first_fill = Some((after - before) as f64 / SEGMENT_BYTES as f64);
        }
        // Into the second one, which is prepared; then into the first one again.
        for _ in 0..2 {
            stock.begin_segment()?;
        }
        Ok(stock)
    }

    /// Puts one event into the log, durably.
    pub(super) fn append(&self, number: usize) {
        let body: &[u8] = black_box(self.payloads.at(number));
        let frame = NewFrame { kind: KIND_HOST_MIN, flags: 0, parts: &[body] };
        self.log.append(frame, 0, Purpose::Capture).unwrap();
    }

    /// Puts one event into the log's queue.
    pub(super) fn queue(&self, number: usize) -> Ticket<'_> {
        let body: &[u8] = black_box(self.payloads.at(number));
        let frame = NewFrame { kind: KIND_HOST_MIN, flags: 0, parts: &[body] };
        self.log.append_deferred(&[frame], 0, Purpose::Capture).unwrap()
    }

    /// Makes sure that no segment ends during the next slice.
    pub(super) fn make_room(&self) -> Result<(), Box<dyn Error>> {
        if self.room_bytes() < ROOM_BYTES { self.begin_segment() } else { Ok(()) }
    }

    /// Bytes that are left in the segment.
    fn room_bytes(&self) -> u64 {
        self.log.segments().last().map_or(0, |last| last.file_bytes - last.used_bytes)
    }

    /// Fills the segment, begins the next one and trims the full one, which is then recycled.
    pub(super) fn begin_segment(&self) -> Result<(), Box<dyn Error>> {
        let full = self.fill()?;
        Ok(self.log.trim(full)?)
    }

    /// Fills the segment and begins the next one. Returns the full one's number.
    pub(super) fn fill(&self) -> Result<u64, Box<dyn Error>> {
        self.fill_nearly()?;
        let current = || self.log.segments().last().map(|last| last.number);
        let full = current().ok_or("the log has no segment")?;
        while current() == Some(full) {
            self.append_batch(PAYLOADS / 8)?;
        }
        Ok(full)
    }

    /// Fills the segment but for a little.
    pub(super) fn fill_nearly(&self) -> Result<(), Box<dyn Error>> {
        while self.room_bytes() > SLACK_BYTES {
            self.append_batch(PAYLOADS)?;
        }
        Ok(())
    }

    /// Puts the first `count` events into the log, durably.
    fn append_batch(&self, count: usize) -> Result<(), Box<dyn Error>> {
        let parts = self.payloads.parts(count);
        self.log.append_batch(&frames(&parts), 0, Purpose::Capture)?;
        Ok(())
    }
}

/// One slice of the raw limit: `count` events with each `pwrite` and sync.
pub(super) fn raw_slice(
    raw: &mut RawFile,
    bytes: &[u8],
    count: usize,
    slice: std::time::Duration,
) -> Slice {
    repeat(slice, count, || raw.write_synced(black_box(bytes)).unwrap())
}
