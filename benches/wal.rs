//! One writer that appends a small frame and waits until it is durable, beside what the disk can do.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use onceward_benches::bench;
use onceward_benches::raw::RawFile;
use onceward_benches::turns::Turns;
use onceward_vfs::{OsVfs, Vfs};
use onceward_wal::{
    Alignment, Identity, KIND_HOST_MIN, Log, NewFrame, Options, Preparation, Purpose,
    SEGMENT_BYTES_DEFAULT, Stamp, frame_bytes,
};

/// Body of the measured frame.
const BODY: [u8; 200] = [0x5a; 200];
/// Bytes of the floor's file.
const RAW_BYTES: u64 = 64 << 20;
/// Rounds of the comparison.
const ROUNDS: usize = 9;
/// Appends in a round.
const APPENDS: u32 = 500;

fn main() {
    if !bench::is_wanted() {
        return;
    }
    println!(
        "wal: append of a {}-byte frame and wait for its sync, one writer, segments of {} KiB.\n\
         limit: one pwrite of as many bytes and one fdatasync, into a file of zeros that was written before.",
        frame_bytes(BODY.len()),
        SEGMENT_BYTES_DEFAULT >> 10
    );
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let log = new_log(&dir.path().join("log"));
    let mut raw = RawFile::create(&dir.path().join("raw"), RAW_BYTES).unwrap();
    let bytes = vec![0x5a; frame_bytes(BODY.len())];

    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut group = criterion.benchmark_group("wal");
    group.throughput(Throughput::Elements(1));
    group.bench_function("append and wait", |b| b.iter(|| append(&log)));
    group.bench_function("limit", |b| b.iter(|| raw.write_synced(black_box(&bytes)).unwrap()));
    group.finish();

    let turns = Turns::take(
        ROUNDS,
        || each(|| append(&log)),
        || each(|| raw.write_synced(black_box(&bytes)).unwrap()),
    );
    println!("wal, in turn, {ROUNDS} times {APPENDS}: {}", turns.unwrap());
}

/// A new log.
fn new_log(dir: &Path) -> Log {
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::create(dir).unwrap());
    let lock = onceward_wal::lock(&*vfs).unwrap();
    onceward_wal::create(&*vfs, &lock, Identity { store: [1; 16], secret: [2; 64] }).unwrap();
    let examined = onceward_wal::examine(&*vfs, &mut |_| {}).unwrap().unwrap();
    let options = Options {
        segment_bytes: SEGMENT_BYTES_DEFAULT,
        reserve: 2,
        preparation: Preparation::InBackground,
        alignment: Alignment::Frame,
    };
    Log::start(vfs, lock, examined, options, Stamp::default()).unwrap()
}

/// What is measured.
fn append(log: &Log) {
    let frame = NewFrame { kind: KIND_HOST_MIN, flags: 0, parts: &[black_box(&BODY)] };
    log.append(frame, 0, Purpose::Capture).unwrap();
}

/// Seconds that one call of `work` takes.
fn each(mut work: impl FnMut()) -> f64 {
    let began = Instant::now();
    for _ in 0..APPENDS {
        work();
    }
    began.elapsed().as_secs_f64() / f64::from(APPENDS)
}
