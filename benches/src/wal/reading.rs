//! Reading a log from its first frame to its last in the ways that are measured, and their floor.

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use onceward_vfs::OsVfs;
use onceward_wal::{Log, Lsn};

use super::LOG_DIR;

/// Bytes that the floor reads at once, as the log does.
const READ_BYTES: usize = 1 << 20;

/// One pass over all there is.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Time that it took.
    pub seconds: f64,
    /// Frames that were shown; 0 where nobody distinguishes them.
    pub frames: u64,
    /// Bytes that were read and are in use.
    pub bytes: u64,
}

impl Pass {
    /// The speed of the pass.
    #[must_use]
    pub fn gb_per_s(self) -> f64 {
        self.bytes as f64 / 1e9 / self.seconds
    }
}

/// What recovery does with the log in `dir`, which nobody writes just now: examines it and shows each frame.
///
/// # Errors
///
/// What the log says; damage.
pub fn examine(log: &Log, dir: &Path) -> Result<Pass, Box<dyn Error>> {
    let vfs = OsVfs::open(dir)?;
    let mut frames = 0;
    let began = Instant::now();
    let examined = onceward_wal::examine(&vfs, &mut |frame| {
        frames += 1;
        black_box(frame);
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let examined = examined.ok_or("the log is missing")?;
    if !examined.report().damage.is_empty() {
        return Err(format!("damage: {:?}", examined.report().damage).into());
    }
    let bytes = log.segments().iter().map(|segment| segment.used_bytes).sum();
    Ok(Pass { seconds, frames, bytes })
}

/// What a reader beside writers does: is shown each durable frame from the first one on.
///
/// # Errors
///
/// What the log says; a frame that is durable and was not shown.
pub fn tail(log: &Log) -> Result<Pass, Box<dyn Error>> {
    let (mut frames, mut bytes) = (0, 0);
    let began = Instant::now();
    let mut reader = log.read_from(Lsn::FIRST)?;
    while let Some(slice) = reader.next_slice()? {
        for frame in slice.frames() {
            frames += 1;
            black_box(frame);
        }
        bytes += slice.bytes.len() as u64;
    }
    let seconds = began.elapsed().as_secs_f64();
    let durable = log.wait_beyond(0, Duration::ZERO);
    if reader.position() <= durable {
        return Err(format!("{} was not shown, durable is {durable}", reader.position()).into());
    }
    Ok(Pass { seconds, frames, bytes })
}

/// The files of a log's segments, prepared ones too.
#[derive(Debug)]
pub struct SegmentFiles(Vec<PathBuf>);

impl SegmentFiles {
    /// The files of `segment_bytes` of the log in `dir`.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn of(dir: &Path, segment_bytes: u64) -> io::Result<Self> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir.join(LOG_DIR))? {
            let entry = entry?;
            if entry.metadata()?.len() == segment_bytes {
                found.push(entry.path());
            }
        }
        Ok(Self(found))
    }

    /// The floor: reads all of them, with one checksum over every piece.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn read(&self) -> io::Result<Pass> {
        let mut buffer = vec![0; READ_BYTES];
        let mut bytes = 0;
        let began = Instant::now();
        for path in &self.0 {
            let file = File::open(path)?;
            let mut offset = 0;
            loop {
                let count = file.read_at(&mut buffer, offset)?;
                if count == 0 {
                    break;
                }
                black_box(crc32fast::hash(&buffer[..count]));
                offset += count as u64;
            }
            bytes += offset;
        }
        Ok(Pass { seconds: began.elapsed().as_secs_f64(), frames: 0, bytes })
    }
}

#[cfg(test)]
mod tests {
    use onceward_wal::{Preparation, Purpose, SEGMENT_BYTES_MIN};

    use super::*;
    use crate::wal::events::{FRAME_BYTES, Payloads, frames};
    use crate::wal::stock::new_log;

    #[test]
    fn every_pass_reads_the_whole_log() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = SEGMENT_BYTES_MIN;
        let log = new_log(dir.path(), bytes, Preparation::OnDemand).unwrap();
        let payloads = Payloads::default();
        let parts = payloads.parts(400);
        while log.segments().len() < 3 {
            log.append_batch(&frames(&parts), 0, Purpose::Capture).unwrap();
        }
        let durable = log.wait_beyond(0, Duration::ZERO);
        let used = log.segments().iter().map(|segment| segment.used_bytes).sum::<u64>();

        let tail = tail(&log).unwrap();
        assert_eq!(tail.frames, durable, "LSNs count from 1");
        assert!(tail.bytes > (durable - 5) * FRAME_BYTES as u64 && tail.bytes < used, "{tail:?}");
        let examined = examine(&log, dir.path()).unwrap();
        assert!(examined.frames > durable - 5, "{examined:?}, durable {durable}");
        assert_eq!(examined.bytes, used);
        let files = SegmentFiles::of(dir.path(), bytes).unwrap();
        assert!(files.read().unwrap().bytes >= 3 * bytes);
        assert!(tail.gb_per_s() > 0.0);
    }
}
