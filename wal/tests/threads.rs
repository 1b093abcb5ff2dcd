//! Many threads share syncs, and what each was told is true.
//! Method: threads append and wait on real files; then the log is read again.

#[cfg(test)]
mod scenario;

#[cfg(test)]
mod watched;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::thread;

    use onceward_vfs::{OsVfs, SimVfs, Vfs};
    use onceward_wal::Log;

    use super::scenario::{Seen, body, found, host, open, open_sim, put, queue, segment};
    use super::watched::Watched;

    const THREADS: u64 = 8;
    const APPENDS: u64 = 60;

    /// What one thread does: lone appends and batches. Returns the body of each confirmed LSN.
    fn work(log: &Log, thread: u64) -> BTreeMap<u64, Vec<u8>> {
        let mut told = BTreeMap::new();
        for i in 0..APPENDS {
            let seed = thread * 1000 + i * 3;
            let bytes = usize::try_from(10 + seed % 3000).unwrap();
            let count = if i % 5 == 0 { 3 } else { 1 };
            let bodies: Vec<_> = (seed..seed + count).map(|seed| body(seed, bytes)).collect();
            let appended = queue(log, &bodies).unwrap();
            log.wait(appended.last).unwrap();
            assert!(log.synced() >= appended.last.get());
            let numbers = appended.first.get()..=appended.last.get();
            told.extend(numbers.zip(bodies));
        }
        told
    }

    #[test]
    fn every_append_that_was_confirmed_to_any_thread_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let watched = Watched::new(Arc::new(OsVfs::open(dir.path()).unwrap()));
        let watch = Arc::clone(&watched.watch);
        let vfs: Arc<dyn Vfs> = Arc::new(watched);
        let (log, ..) = open(&vfs).unwrap();
        let before = watch.syncs.load(Ordering::SeqCst);
        let told: BTreeMap<u64, Vec<u8>> = thread::scope(|scope| {
            let log = &log;
            let threads: Vec<_> =
                (0..THREADS).map(|thread| scope.spawn(move || work(log, thread))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let syncs = watch.syncs.load(Ordering::SeqCst) - before;
        assert!(log.segments().len() > 1, "control: it rolled");
        assert!(syncs < THREADS * APPENDS, "{syncs} syncs for {} appends", THREADS * APPENDS);
        // Without closing.
        drop(log);
        let (log, report, seen) = open(&vfs).unwrap();
        assert_eq!(report.damage, []);
        let all: BTreeMap<u64, Vec<u8>> =
            host(&seen).into_iter().map(|Seen { lsn, body, .. }| (lsn, body)).collect();
        assert_eq!(all, told);
        log.close().unwrap();
        assert!(found(&*vfs).0.clean);
    }

    #[test]
    fn readers_and_a_trimmer_beside_a_writer_see_whole_frames_or_are_told() {
        let disk = SimVfs::new();
        let log = open_sim(&disk);
        let reader = disk.clone();
        thread::scope(|scope| {
            let log = &log;
            let writer = scope.spawn(move || {
                for seed in 0..120 {
                    put(log, &body(seed, 20_000)).unwrap();
                }
            });
            scope.spawn(move || {
                while !writer.is_finished() {
                    let infos = log.segments();
                    if infos.len() > 3 {
                        log.trim(infos[0].number).unwrap();
                    }
                    thread::yield_now();
                }
            });
            // Without the lock, as another process would.
            for _ in 0..40 {
                let (report, seen) = found(&reader);
                assert_eq!(report.damage, []);
                let host = host(&seen);
                assert!(host.windows(2).all(|w| w[0].lsn < w[1].lsn));
                for Seen { body: found, .. } in &host {
                    let seed = u64::from_le_bytes(found[..8].try_into().unwrap()) & 0x7f;
                    assert!(*found == body(seed, 20_000), "a frame that nobody wrote");
                }
            }
        });
        log.close().unwrap();
        assert!(found(&disk).0.clean);
    }

    #[test]
    fn a_reader_beside_a_host_that_opens_and_closes_sees_no_damage() {
        let disk = SimVfs::new();
        open_sim(&disk).close().unwrap();
        let reader = disk.clone();
        thread::scope(|scope| {
            let writer = scope.spawn(move || {
                for seed in 0..40 {
                    let log = open_sim(&disk);
                    put(&log, &body(seed, 20_000)).unwrap();
                    log.close().unwrap();
                }
            });
            let mut looks = 0;
            while looks < 20 || !writer.is_finished() {
                assert_eq!(found(&reader).0.damage, []);
                looks += 1;
            }
        });
        let (report, seen) = found(&reader);
        assert_eq!((report.clean, host(&seen).len()), (true, 40));
    }

    #[test]
    fn a_segment_is_not_trimmed_before_the_log_goes_on_durably_in_a_later_one() {
        let disk = SimVfs::new();
        let log = open_sim(&disk);
        put(&log, &body(1, 100)).unwrap();
        assert!(log.trim(1).is_err(), "it is being written");
        // Two rolls that nobody waited for.
        for seed in 0..5 {
            queue(&log, &[body(seed, 120_000)]).unwrap();
        }
        let infos = log.segments();
        assert!(infos.len() >= 3, "control");
        for info in &infos {
            assert!(log.trim(info.number).is_err(), "segment {} is not synced", info.number);
        }
        put(&log, b"now").unwrap();
        log.trim(1).unwrap();
        assert!(log.trim(1).is_err(), "it is gone");
        assert!(!disk.exists(&segment(1)).unwrap());
    }

    #[test]
    fn a_lone_durable_append_is_one_write_and_one_sync() {
        let disk = SimVfs::new();
        let log = open_sim(&disk);
        put(&log, b"the first of a run has a run frame before it").unwrap();
        for seed in 0..20 {
            let before = disk.trace().len();
            put(&log, &body(seed, 200)).unwrap();
            let steps = disk.trace().split_off(before);
            let calls: Vec<&str> =
                steps.iter().map(|step| step.split(' ').nth(1).unwrap()).collect();
            assert_eq!(calls, ["write", "sync_data"], "{steps:?}");
        }
    }
}
