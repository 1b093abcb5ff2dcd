//! The logs that inputs start from, made once by a process through the log's own interface.

use std::sync::LazyLock;

use onceward_vfs::{SimVfs, Survival, Vfs};
use onceward_wal::{
    Alignment, Error, Identity, KIND_HOST_MIN, Log, NewFrame, Options, Preparation, Purpose,
    SEGMENT_BYTES_MIN,
};

use super::{Seen, look, start};
use crate::input::{Input, noise};

/// The store of all logs.
pub(super) const STORE: [u8; 16] = [0x5a; 16];
/// Small segments and no thread.
pub(super) fn options(alignment: Alignment) -> Options {
    Options {
        segment_bytes: SEGMENT_BYTES_MIN,
        reserve: 1,
        preparation: Preparation::OnDemand,
        alignment,
    }
}

/// A log and what is true of it.
pub(super) struct Original {
    disk: SimVfs,
    /// The host's frames, all of them confirmed.
    pub(super) frames: Vec<Seen>,
    /// Those that were trimmed: the file of a recycled segment still holds them, and if it gets its old
    /// number back and `meta` is lost they are found again.
    pub(super) trimmed: Vec<Seen>,
    /// It was closed in order.
    pub(super) closed: bool,
    /// Its segment files, ascending.
    pub(super) segments: Vec<String>,
    /// Segment and offset of every frame.
    pub(super) places: Vec<(String, u64)>,
}

/// The store's identity.
pub(super) fn identity() -> Identity {
    Identity { store: STORE, secret: [7; 64] }
}

/// The name of a segment's file.
pub(super) fn segment(store: [u8; 16], number: u64) -> String {
    format!("log/{number:016x}-{:032x}.seg", u128::from_be_bytes(store))
}

/// Appends a batch durably. Returns the last LSN.
pub(super) fn append(log: &Log, bodies: &[&[u8]]) -> Result<u64, Error> {
    let parts: Vec<[&[u8]; 1]> = bodies.iter().map(|body| [*body]).collect();
    let frames: Vec<NewFrame<'_>> =
        parts.iter().map(|parts| NewFrame { kind: KIND_HOST_MIN, flags: 0, parts }).collect();
    Ok(log.append_batch(&frames, 0, Purpose::Capture)?.last.get())
}

/// Takes one of the logs, some of which have commits that fill their blocks.
pub(super) fn pick(input: &mut Input<'_>) -> &'static Original {
    static FRAME: LazyLock<Vec<Original>> = LazyLock::new(|| make(Alignment::Frame));
    static BLOCK: LazyLock<Vec<Original>> = LazyLock::new(|| make(Alignment::Block));
    let which = usize::from(input.byte());
    let logs = if which / 8 % 4 == 2 { &BLOCK } else { &FRAME };
    &logs[which % logs.len()]
}

/// Makes them.
fn make(alignment: Alignment) -> Vec<Original> {
    let with = |disk: &SimVfs, work: &dyn Fn(&Log)| with(disk, alignment, work);
    let small = |disk: &SimVfs| with(disk, &|log| (1..20).for_each(|seed| put(log, seed, 60)));
    let large = |disk: &SimVfs| with(disk, &|log| (1..9).for_each(|seed| put(log, seed, 60_000)));
    let before = SimVfs::new();
    drop(large(&before));
    let trimmed = |disk: &SimVfs| {
        large(disk).close().expect("closes");
        with(disk, &|log| {
            let first = log.segments()[0].number;
            log.trim(first).expect("trims");
            (50..60).for_each(|seed| put(log, seed, 50_000));
        })
    };
    let mut logs = Vec::new();
    for work in [&small as &dyn Fn(&SimVfs) -> Log, &large, &trimmed] {
        for closed in [true, false] {
            let disk = SimVfs::new();
            let log = work(&disk);
            if closed {
                log.close().expect("closes");
            } else {
                log.mark().expect("marks");
                drop(log);
            }
            logs.push(Original::of(disk, closed, &before));
        }
    }
    // Several runs in one segment, none of them closed.
    let disk = SimVfs::new();
    for run in 0..4 {
        drop(with(&disk, &|log| (0..5).for_each(|seed| put(log, 10 * run + seed, 700))));
    }
    logs.push(Original::of(disk, false, &SimVfs::new()));
    // Nothing in it.
    let disk = SimVfs::new();
    with(&disk, &|_| ()).close().expect("closes");
    logs.push(Original::of(disk, true, &SimVfs::new()));
    logs
}

/// Opens the log and works on it.
fn with(disk: &SimVfs, alignment: Alignment, work: &dyn Fn(&Log)) -> Log {
    let log = start(disk, alignment).expect("starts");
    work(&log);
    log
}

/// Appends a frame, or a batch of three.
fn put(log: &Log, seed: u64, bytes: usize) {
    let body = noise(seed, bytes);
    let bodies: &[&[u8]] = if seed % 4 == 0 { &[&body, &body[..5], b"end"] } else { &[&body] };
    append(log, bodies).expect("appends");
}

impl Original {
    /// Notes what is true of the log on `disk`, which was `before` before anything was trimmed.
    fn of(disk: SimVfs, closed: bool, before: &SimVfs) -> Self {
        // Everything that was confirmed is durable, and the mark behind it is written.
        let disk = disk.after_power_cut(&Survival::Everything);
        let (examined, mut frames) = look(&disk).expect("control").expect("control");
        let report = examined.report();
        assert_eq!((report.clean, report.damage.len()), (closed, 0), "control: {report:?}");
        frames.retain(|frame| frame.kind >= KIND_HOST_MIN);
        let mut places = Vec::new();
        onceward_wal::examine(&disk, &mut |frame| {
            let place = frame.place;
            places.push((segment(STORE, place.segment), u64::from(place.offset)));
        })
        .expect("control");
        let mut segments = disk.list("log").unwrap_or_default();
        segments.iter_mut().for_each(|name| *name = format!("log/{name}"));
        segments.sort();
        let mut trimmed = look(before).expect("control").map(|found| found.1).unwrap_or_default();
        trimmed.retain(|frame| !frames.contains(frame));
        Self { disk, frames, trimmed, closed, segments, places }
    }

    /// A disk of its own with this log on it.
    pub(super) fn disk(&self) -> SimVfs {
        self.disk.after_power_cut(&Survival::Everything)
    }
}
