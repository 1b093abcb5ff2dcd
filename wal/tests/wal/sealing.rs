//! Whoever gives the key sees the host's frames as the host gave them, by every way of reading; nobody else sees them.
//! Method: a toy cipher behind the seam; what is read by each way is held against what was appended.

use std::sync::Arc;

use onceward_vfs::{SimVfs, Survival, Vfs};
use onceward_wal::fuzzing::{FrameFields, forge_frame};
use onceward_wal::testing::ToySealing;
use onceward_wal::{
    Alignment, Error, ErrorKind, Follower, Identity, KIND_HOST_MIN, Log, Lsn, NewFrame, Options,
    Purpose, Sealing, Stamp, check_keys, create_sealed, examine, examine_with, identity,
    identity_with, is_sealed,
};

use crate::scenario::{OPTIONS, STORE, body, fill_segment, put, queue, segment, shared};

fn row(label: &str) {
    let document = include_str!("../../FORMAT.md");
    assert!(document.contains(&format!("\n| `{label}` |")), "FORMAT.md has no row {label}");
}

fn sealed_identity() -> Identity {
    let mut secret = [0; 64];
    secret[..16].fill(9);
    Identity { store: STORE, secret }
}

type Seen = Vec<(u64, Vec<u8>)>;

/// Opens the log, creating it when it is missing; with the host's frames that were found.
fn try_open(disk: &SimVfs, toy: &Arc<ToySealing>, options: Options) -> Result<(Log, Seen), Error> {
    let vfs = shared(disk);
    let lock = onceward_wal::lock(&*vfs)?;
    if identity(&*vfs)?.is_none() {
        create_sealed(&*vfs, &lock, sealed_identity(), &**toy)?;
    }
    let sealing = Arc::clone(toy) as Arc<dyn Sealing>;
    let mut seen = Vec::new();
    let examined = examine_with(&*vfs, Some(&sealing), &mut |frame| {
        if frame.kind >= KIND_HOST_MIN {
            seen.push((frame.lsn.get(), frame.body.to_vec()));
        }
    })?;
    let log = Log::start(vfs, lock, examined.unwrap(), options, Stamp::default())?;
    Ok((log, seen))
}

fn open(disk: &SimVfs, toy: &Arc<ToySealing>) -> (Log, Seen) {
    try_open(disk, toy, OPTIONS).unwrap()
}

/// Appends `count` bodies, and returns them with their numbers.
fn append(log: &Log, first: u64, count: u64) -> Seen {
    let bytes = |seed| 20 + 7 * usize::try_from(seed % 50).unwrap();
    let bodies = (first..first + count).map(|seed| body(seed, bytes(seed)));
    bodies.map(|body| (put(log, &body).unwrap().get(), body)).collect()
}

#[test]
fn every_way_of_reading_shows_the_bodies_of_a_sealed_log() {
    let (disk, toy) = (SimVfs::new(), Arc::new(ToySealing::default()));
    let (log, _) = open(&disk, &toy);
    assert_eq!(log.identity(), sealed_identity());
    let mut written = append(&log, 1, 30);
    let batch: Vec<Vec<u8>> = (100..110).map(|seed| body(seed, 100)).collect();
    let queued = queue(&log, &batch).unwrap();
    log.wait(queued.last).unwrap();
    written.extend((queued.first.get()..).zip(batch.clone()));
    assert_eq!(queued.tag_bytes, 16);

    // By place, alone and as a stretch.
    let parts = [batch[0].as_slice()];
    let bytes = queued.bytes_of(&NewFrame { kind: 16, flags: 0, parts: &parts });
    assert_eq!(bytes, (30 + 100 + 16_usize).next_multiple_of(8));
    let mut place = queued.place;
    let size = u32::try_from(bytes).unwrap();
    let span = log.read_span(place.segment, place.offset..place.offset + 10 * size).unwrap();
    for (lsn, body) in (queued.first.get()..).zip(&batch) {
        let lsn = Lsn::from_u64(lsn).unwrap();
        let alone = log.read(place, size, lsn).unwrap();
        let alone = alone.frame().unwrap();
        assert_eq!((alone.body, alone.bytes()), (body.as_slice(), bytes));
        assert_eq!(span.frame(place, size, lsn).unwrap().body, body);
        place.offset += size;
    }

    // Forward, by whole slices.
    let mut reader = log.read_from(Lsn::FIRST).unwrap();
    let mut read = Seen::new();
    while let Some(slice) = reader.next_slice().unwrap() {
        let host = slice.frames().filter(|frame| frame.kind >= KIND_HOST_MIN);
        read.extend(host.map(|frame| (frame.lsn.get(), frame.body.to_vec())));
    }
    assert_eq!(read, written);

    // A finished segment.
    fill_segment(&log);
    let mut read = Seen::new();
    log.read_segment(1, &mut |frame| {
        if frame.kind >= KIND_HOST_MIN {
            read.push((frame.lsn.get(), frame.body.to_vec()));
        }
    })
    .unwrap();
    assert_eq!(read[..written.len()], written);

    // From another process, and after it is gone.
    log.mark().unwrap();
    let sealing = Arc::clone(&toy) as Arc<dyn Sealing>;
    let mut follower = Follower::default().with_sealing(Some(Arc::clone(&sealing)));
    let mut followed = Seen::new();
    let looked = follower.look(&disk, &mut |frame| {
        if frame.kind >= KIND_HOST_MIN {
            followed.push((frame.lsn.get(), frame.body.to_vec()));
        }
    });
    assert_eq!(looked.unwrap().unwrap().damage, []);
    assert_eq!(followed[..written.len()], written);
    drop(log);
    let (_, seen) = open(&disk.after_power_cut(&Survival::Nothing), &toy);
    assert_eq!(seen, followed);
}

#[test]
fn without_its_key_a_sealed_log_is_judged_and_not_shown() {
    let (disk, toy) = (SimVfs::new(), Arc::new(ToySealing::default()));
    let (log, _) = open(&disk, &toy);
    append(&log, 1, 30);
    log.close().unwrap();
    assert!(is_sealed(&disk).unwrap());
    assert_eq!(identity(&disk).unwrap().unwrap().secret, [0; 64], "not told");
    let examined = examine(&disk, &mut |frame| assert!(frame.kind < KIND_HOST_MIN));
    let examined = examined.unwrap().unwrap();
    assert!(examined.is_sealed() && examined.report().clean);
    assert!(examined.report().frames > 30);
    // And nothing is written.
    let lock = onceward_wal::lock(&disk).unwrap();
    let started = Log::start(shared(&disk), lock, examined, OPTIONS, Stamp::default());
    let refused = |error: Error| (error.kind(), error.code());
    assert_eq!(refused(started.unwrap_err()), (ErrorKind::Key, Some("KEY_NEEDED")));
    let needed = (ErrorKind::Key, Some("KEY_NEEDED"));
    assert_eq!(refused(examine_with(&disk, None, &mut |_| {}).unwrap_err()), needed);
    assert_eq!(refused(identity_with(&disk, None).unwrap_err()), needed);
    assert_eq!(refused(check_keys(&disk, None).unwrap_err()), needed);
    assert_eq!(refused(Follower::default().look(&disk, &mut |_| {}).unwrap_err()), needed);
}

#[test]
fn an_opening_never_goes_on_in_a_sealed_segment() {
    for alignment in [Alignment::Frame, Alignment::Block] {
        let options = Options { alignment, ..OPTIONS };
        let (disk, toy) = (SimVfs::new(), Arc::new(ToySealing::default()));
        let mut written = Seen::new();
        for round in 0..6 {
            let (log, seen) = try_open(&disk, &toy, options).unwrap();
            assert_eq!(seen, written, "round {round}");
            assert_eq!(log.segments().len() as u64, round, "not before there is a frame");
            written.extend(append(&log, 1 + round * 10, 3));
            let segments = log.segments();
            assert_eq!(segments.len() as u64, round + 1);
            // Each has a key of its own, and `meta` one too.
            assert_eq!(log.wrapped_keys().len(), segments.len() + 1);
            if round % 2 == 0 {
                log.close().unwrap();
            }
        }
    }
}

#[test]
fn a_segment_for_which_there_is_no_key_is_not_begun() {
    let (disk, toy) = (SimVfs::new(), Arc::new(ToySealing::default()));
    let (log, _) = open(&disk, &toy);
    let mut written = append(&log, 1, 3);
    let half = body(4, 100_000);
    written.push((put(&log, &half).unwrap().get(), half));
    toy.set_away(true);
    let big = vec![body(5, 200_000), body(6, 50_000)];
    for purpose in [Purpose::Capture, Purpose::Settle, Purpose::Capture] {
        let parts = [big[0].as_slice(), big[1].as_slice()];
        let frame = NewFrame { kind: 16, flags: 0, parts: &parts };
        let error = log.append(frame, 0, purpose).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Key, Some("AWAY")));
    }
    written.extend(append(&log, 10, 3));
    toy.set_away(false);
    let queued = queue(&log, &big).unwrap();
    log.wait(queued.last).unwrap();
    written.extend((queued.first.get()..).zip(big));
    assert_eq!(log.segments().len(), 2);
    drop(log);
    let (log, seen) = open(&disk.after_power_cut(&Survival::Nothing), &toy);
    assert_eq!(seen, written);
    assert_eq!(log.file_bytes() / OPTIONS.segment_bytes, 3, "none was lost on the way");
}

#[test]
fn a_full_disk_takes_a_sealed_commit_back_and_the_next_has_another_key() {
    let (disk, toy) = (SimVfs::new(), Arc::new(ToySealing::default()));
    let (log, _) = open(&disk, &toy);
    let mut written = append(&log, 1, 3);
    drop(log);
    let (log, _) = open(&disk, &toy);
    disk.plan(onceward_vfs::Fault {
        op: onceward_vfs::FaultOp::Write,
        name_contains: segment(2),
        nth: 0,
        kind: onceward_vfs::FaultKind::Enospc,
        forever: false,
    });
    let error = put(&log, &body(4, 50)).unwrap_err();
    assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Full, false));
    let keys = toy.made();
    written.extend(append(&log, 5, 3));
    assert_eq!(toy.made(), keys + 1);
    drop(log);
    assert_eq!(open(&disk.after_power_cut(&Survival::Nothing), &toy).1, written);
}

#[test]
fn forged_is_a_frame_whose_header_was_changed_and_costs_no_other() {
    row("forged");
    let (disk, toy) = (SimVfs::new(), Arc::new(ToySealing::default()));
    let (log, _) = open(&disk, &toy);
    let written = append(&log, 1, 3);
    let first = queue(&log, &[body(50, 40)]).unwrap();
    log.wait(first.last).unwrap();
    drop(log);
    let name = segment(first.place.segment);
    let bytes = disk.bytes(&name).unwrap();
    let at = usize::try_from(first.place.offset).unwrap();
    let u32_at = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().unwrap());
    let whole = FrameFields {
        lsn_delta: u32_at(at + 12),
        run: u32_at(at + 16),
        synced_lag: u32_at(at + 20),
        time: u32_at(at + 24),
        kind: bytes[at + 28],
        flags: bytes[at + 29],
    };
    let stored = &bytes[at + 30..at + 30 + 56];
    let put_back = |fields| {
        let frame = forge_frame(u32_at(56), fields, stored);
        disk.overwrite(&name, u64::from(first.place.offset), &frame);
        open(&disk.after_kill(), &toy).1
    };
    assert_eq!(put_back(whole).len(), 4, "control");
    let changes = [
        FrameFields { time: whole.time + 1, ..whole },
        FrameFields { kind: whole.kind + 1, ..whole },
        FrameFields { flags: whole.flags ^ 1, ..whole },
        FrameFields { synced_lag: whole.synced_lag + 1, ..whole },
    ];
    for changed in changes {
        assert_eq!(put_back(changed), written, "{changed:?}");
    }
}

#[test]
fn one_bad_block_does_not_take_the_key_of_a_segment() {
    let (disk, toy) = (SimVfs::new(), Arc::new(ToySealing::default()));
    let (log, _) = open(&disk, &toy);
    let written = append(&log, 1, 3);
    drop(log);
    for (at, bytes) in [(0, 4096), (4096, 90)] {
        let disk = disk.after_power_cut(&Survival::Nothing);
        disk.overwrite(&segment(1), at, &vec![0x11; bytes]);
        assert_eq!(open(&disk, &toy).1, written, "{at}");
    }
}

#[test]
fn key_lost_costs_the_frames_of_its_segment_and_no_others() {
    row("key-lost");
    let (disk, toy) = (SimVfs::new(), Arc::new(ToySealing::default()));
    let (log, _) = open(&disk, &toy);
    let lost = append(&log, 1, 3);
    drop(log);
    let (log, _) = open(&disk, &toy);
    let kept = append(&log, 10, 3);
    drop(log);
    disk.overwrite(&segment(1), 170, &[0x11; 20]);
    disk.overwrite(&segment(1), 4096 + 100, &[0x11; 20]);
    let sealing = Arc::clone(&toy) as Arc<dyn Sealing>;
    let examined = examine_with(&disk, Some(&sealing), &mut |_| {}).unwrap().unwrap();
    let told = examined.report().damage.iter().find(|it| it.what.contains("key is lost"));
    let told = told.unwrap().lost.unwrap();
    assert_eq!((told.first, told.last), (lost[0].0, Some(lost[2].0)));
    assert_eq!(open(&disk, &toy).1, kept);
}

#[test]
fn a_reader_passes_over_forged_frames_and_counts_them() {
    let (disk, toy) = (SimVfs::new(), Arc::new(ToySealing::default()));
    let (log, _) = open(&disk, &toy);
    let first = append(&log, 1, 9);
    drop(log);
    // The key of the first segment in the header is that of another: every tag in it is wrong.
    let name = segment(1);
    let mut header = disk.bytes(&name).unwrap()[..4096].to_vec();
    header[160 + 24] ^= 0x40;
    onceward_wal::fuzzing::reseal_header(&mut header);
    disk.overwrite(&name, 0, &header);
    let (log, seen) = open(&disk, &toy);
    assert_eq!(seen, [], "none is shown");
    let second = append(&log, 20, 3);
    let mut reader = log.read_from(Lsn::FIRST).unwrap();
    let (mut read, mut skipped) = (Seen::new(), 0);
    while let Some(slice) = reader.next_slice().unwrap() {
        skipped += slice.skipped;
        let host = slice.frames().filter(|frame| frame.kind >= KIND_HOST_MIN);
        read.extend(host.map(|frame| (frame.lsn.get(), frame.body.to_vec())));
    }
    assert_eq!((read, skipped), (second, first.len() as u64));
    let vfs: Arc<dyn Vfs> = shared(&disk);
    let sealing = toy as Arc<dyn Sealing>;
    let examined = examine_with(&*vfs, Some(&sealing), &mut |_| {}).unwrap().unwrap();
    assert_eq!(examined.report().damage.len(), first.len());
}
