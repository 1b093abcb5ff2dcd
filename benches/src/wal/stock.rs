//! The log that is measured, and what keeps its segments as they are to be found.

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use onceward_vfs::{OsVfs, Vfs};
use onceward_wal::{
    Alignment, AppendTicket, Appended, Identity, KIND_HOST_MIN, Log, NewFrame, Options,
    Preparation, Purpose, Stamp,
};

use super::SEGMENT_BYTES;
use super::events::{PAYLOADS, Payloads, frames};
use crate::device::Device;
use crate::pairing::{Extent, Slice};

/// Room that a slice finds in the segment; the fastest, of half a slice's length, writes 10 MB.
const ROOM_BYTES: u64 = 24 << 20;
/// Most bytes that are written between two looks at the room.
const PIECE_BYTES: usize = 12 << 20;
/// Room that is not filled further before the next segment is begun.
const SLACK_BYTES: u64 = 256 << 10;

/// Makes an empty log in `dir` and starts it.
///
/// # Errors
///
/// What the log says.
pub fn new_log(
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
pub struct Stock<'a> {
    /// The log, running.
    pub log: Log,
    /// The directory of the log's files.
    pub dir: PathBuf,
    /// The payloads that are put into the log.
    pub payloads: &'a Payloads,
    /// Device bytes for each byte of a segment that is prepared; `None` where nobody counts.
    pub first_fill: Option<f64>,
}

impl<'a> Stock<'a> {
    /// Makes a log and uses its segments once.
    ///
    /// Segments are prepared on demand: with the thread in the background, nobody could know when
    /// it is done and the disk is quiet.
    ///
    /// # Errors
    ///
    /// What the log says.
    pub fn create(
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
    ///
    /// # Panics
    ///
    /// If the log refuses it.
    pub fn append(&self, number: usize) -> Appended {
        let body: &[u8] = black_box(self.payloads.at(number));
        let frame = NewFrame { kind: KIND_HOST_MIN, flags: 0, parts: &[body] };
        self.log.append(frame, 0, Purpose::Capture).unwrap()
    }

    /// Puts one event into the log's queue.
    ///
    /// # Panics
    ///
    /// If the log refuses it.
    pub fn queue(&self, number: usize) -> AppendTicket<'_> {
        let body: &[u8] = black_box(self.payloads.at(number));
        let frame = NewFrame { kind: KIND_HOST_MIN, flags: 0, parts: &[body] };
        self.log.append_deferred(&[frame], 0, Purpose::Capture).unwrap()
    }

    /// Measures `work`, each piece of which writes `bytes`, and makes sure that no segment ends in the time
    /// that counts.
    ///
    /// # Panics
    ///
    /// If the log refuses to begin a segment.
    pub fn in_room(
        &self,
        extent: Extent,
        bytes: usize,
        mut work: impl FnMut(Extent) -> Slice,
    ) -> Slice {
        extent.parts(PIECE_BYTES / bytes).fold(Slice::default(), |sum, part| {
            self.make_room().unwrap();
            sum.and(work(part))
        })
    }

    /// Makes sure that no segment ends during the next slice.
    ///
    /// # Errors
    ///
    /// What the log says.
    pub fn make_room(&self) -> Result<(), Box<dyn Error>> {
        if self.room_bytes() < ROOM_BYTES { self.begin_segment() } else { Ok(()) }
    }

    /// Bytes that are left in the segment.
    fn room_bytes(&self) -> u64 {
        self.log.segments().last().map_or(0, |last| last.file_bytes - last.used_bytes)
    }

    /// Makes the log one of `count` segments, the last of them nearly full as well.
    ///
    /// # Errors
    ///
    /// What the log says.
    pub fn fill_segments(&self, count: usize) -> Result<(), Box<dyn Error>> {
        let segments = self.log.segments();
        for old in segments.iter().take(segments.len().saturating_sub(count)) {
            self.log.trim(old.number)?;
        }
        for _ in segments.len()..count {
            self.fill()?;
        }
        self.fill_nearly()
    }

    /// Bytes of all segments up to the last frame.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.log.segments().iter().map(|segment| segment.used_bytes).sum()
    }

    /// Fills the segment, begins the next one and trims the full one, which is then recycled.
    fn begin_segment(&self) -> Result<(), Box<dyn Error>> {
        let full = self.fill()?;
        Ok(self.log.trim(full)?)
    }

    /// Fills the segment and begins the next one. Returns the full one's number.
    ///
    /// # Errors
    ///
    /// What the log says.
    pub fn fill(&self) -> Result<u64, Box<dyn Error>> {
        self.fill_nearly()?;
        let current = || self.log.segments().last().map(|last| last.number);
        let full = current().ok_or("the log has no segment")?;
        while current() == Some(full) {
            self.append_batch(PAYLOADS / 8)?;
        }
        Ok(full)
    }

    /// Fills the segment but for a little.
    fn fill_nearly(&self) -> Result<(), Box<dyn Error>> {
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
