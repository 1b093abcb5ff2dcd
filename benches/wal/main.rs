//! Durable appends, recovery and reading beside writers, each beside what the disk or the memory can do.

#![forbid(unsafe_code)]

mod comparison;

use std::cell::OnceCell;
use std::path::Path;
use std::time::Duration;

use comparison::Comparison;
use criterion::{Criterion, Throughput};
use onceward_benches::bench;
use onceward_benches::gathering::Gathering;
use onceward_benches::pairing::{Extent, Slice};
use onceward_benches::raw::RawFile;
use onceward_benches::wal::events::{FRAME_BYTES, PAYLOAD_BYTES, PAYLOADS, Payloads, frames};
use onceward_benches::wal::reading::{self, Pass, SegmentFiles};
use onceward_benches::wal::stock::Stock;
use onceward_benches::wal::{SEGMENT_BYTES, commits};

/// Threads that append and wait.
const WRITERS: [usize; 2] = [8, 64];
/// Events of a batch.
const BATCHES: [usize; 2] = [100, 500];
/// Segments of the log that is read.
const SEGMENTS: usize = 3;

fn main() {
    if !bench::is_wanted() {
        return;
    }
    println!(
        "wal: events of {PAYLOAD_BYTES} bytes, {FRAME_BYTES} with their frame; recycled segments of {} MiB.\n\
         limit of one writer and of batches: one pwrite of as many bytes and one fdatasync, into a file of zeros\n\
         that was written before; of more writers: a gathering group commit of the same bytes; of reading: the same\n\
         files from the page cache, with one checksum over each MiB.",
        SEGMENT_BYTES >> 20
    );
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let payloads = Payloads::default();
    let stock = Stock::create(&dir.path().join("log"), None, &payloads).unwrap();
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    appends(&mut criterion, dir.path(), &stock);
    reads(&mut criterion, &stock);
}

/// One writer, many writers, batches.
fn appends(criterion: &mut Criterion, dir: &Path, stock: &Stock<'_>) {
    let mut raw = RawFile::create(&dir.join("raw"), SEGMENT_BYTES).unwrap();
    let gathering = Gathering::new(RawFile::create(&dir.join("gathering"), SEGMENT_BYTES).unwrap());
    let one = stock.payloads.for_floor(1);
    Comparison { name: "one writer", throughput: Throughput::Elements(1) }.run(
        criterion,
        |extent| commits::lone(stock, extent),
        |extent| commits::raw(&mut raw, &one, 1, extent),
    );
    let different = stock.payloads.for_floor(PAYLOADS);
    for writers in WRITERS {
        let name = &format!("{writers} writers");
        Comparison { name, throughput: Throughput::Elements(writers as u64) }.run(
            criterion,
            |extent| commits::writers(stock, writers, extent),
            |extent| commits::gathered(&gathering, &different, writers, extent),
        );
    }
    for count in BATCHES {
        let bytes = stock.payloads.for_floor(count);
        let parts = stock.payloads.parts(count);
        let frames = frames(&parts);
        let name = &format!("batches of {count}");
        Comparison { name, throughput: Throughput::Elements(count as u64) }.run(
            criterion,
            |extent| commits::batches(stock, &frames, extent),
            |extent| commits::raw(&mut raw, &bytes, count, extent),
        );
    }
}

/// Recovery and a reader, of a log of full segments.
fn reads(criterion: &mut Criterion, stock: &Stock<'_>) {
    let full = OnceCell::new();
    // Only now, and only if it is measured: filling takes a second.
    let files = || {
        full.get_or_init(|| {
            stock.fill_segments(SEGMENTS).unwrap();
            SegmentFiles::of(&stock.dir, SEGMENT_BYTES).unwrap()
        })
    };
    let throughput = Throughput::Bytes(SEGMENTS as u64 * SEGMENT_BYTES);
    let floor = |extent: Extent| {
        let files = files();
        passes(extent, || {
            let pass = files.read().unwrap();
            Pass { frames: pass.bytes / FRAME_BYTES as u64, ..pass }
        })
    };
    Comparison { name: "recovery scan", throughput: throughput.clone() }.run(
        criterion,
        |extent| {
            files();
            passes(extent, || reading::examine(&stock.log, &stock.dir).unwrap())
        },
        floor,
    );
    Comparison { name: "tail read", throughput }.run(
        criterion,
        |extent| {
            files();
            passes(extent, || reading::tail(&stock.log).unwrap())
        },
        floor,
    );
}

/// The time of the passes alone, and their frames.
fn passes(extent: Extent, pass: impl Fn() -> Pass) -> Slice {
    let mut sum = Slice::default();
    extent.count(|_| {
        let Pass { seconds, frames, .. } = pass();
        sum = sum.and(Slice { seconds, events: frames as f64 });
    });
    sum
}
