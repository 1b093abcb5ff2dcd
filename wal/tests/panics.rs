//! A writer that panics takes nobody with it: the log is poisoned, and everybody is told.
//! Method: a simulated disk that panics once, in a write or in a sync, while others wait.

#[cfg(test)]
mod scenario;

#[cfg(test)]
mod tests {
    use std::any::Any;
    use std::io;
    use std::panic::{self, AssertUnwindSafe};
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};
    use std::thread;
    use std::time::Duration;

    use onceward_vfs::{File, LockError, LockGuard, Mode, Pace, SimVfs, Survival, Vfs};
    use onceward_wal::{Error, ErrorKind, Log};

    use super::scenario::{bodies, body, open, open_sim, put, queue};

    /// Long enough for any machine: nobody who is told waits for it.
    const FOR_EVER: Duration = Duration::from_secs(60);

    /// Where the disk panics.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    enum Where {
        Write,
        Sync,
    }

    /// What the files share.
    #[derive(Debug)]
    struct Plan {
        place: Where,
        /// The next operation of a segment at that place panics.
        armed: AtomicBool,
        /// Operations at that place that have begun since.
        began: AtomicU64,
        /// It does not panic before it gets this.
        gate: Mutex<()>,
    }

    impl Plan {
        fn reach(&self, place: Where) {
            if place == self.place && self.armed.swap(false, Ordering::SeqCst) {
                self.began.fetch_add(1, Ordering::SeqCst);
                drop(self.gate.lock().unwrap());
                // Without a message: it is meant.
                panic::resume_unwind(Box::new("planned"));
            }
        }
    }

    #[derive(Debug)]
    struct Panicking {
        inner: SimVfs,
        plan: Arc<Plan>,
    }

    #[derive(Debug)]
    struct PanickingFile {
        inner: Arc<dyn File>,
        plan: Arc<Plan>,
    }

    impl Vfs for Panicking {
        fn open(&self, name: &str, mode: Mode) -> io::Result<Arc<dyn File>> {
            let inner = self.inner.open(name, mode)?;
            if !name.starts_with("log/") {
                return Ok(inner);
            }
            Ok(Arc::new(PanickingFile { inner, plan: Arc::clone(&self.plan) }))
        }

        fn list(&self, dir: &str) -> io::Result<Vec<String>> {
            self.inner.list(dir)
        }

        fn exists(&self, name: &str) -> io::Result<bool> {
            self.inner.exists(name)
        }

        fn create_dir(&self, dir: &str) -> io::Result<()> {
            self.inner.create_dir(dir)
        }

        fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            self.inner.rename(from, to)
        }

        fn remove(&self, name: &str) -> io::Result<()> {
            self.inner.remove(name)
        }

        fn sync_dir(&self, dir: &str) -> io::Result<()> {
            self.inner.sync_dir(dir)
        }

        fn lock(&self, name: &str) -> Result<Box<dyn LockGuard>, LockError> {
            self.inner.lock(name)
        }

        fn free_bytes(&self) -> io::Result<Option<u64>> {
            self.inner.free_bytes()
        }
    }

    impl File for PanickingFile {
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            self.inner.read_at(offset, buf)
        }

        fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
            self.plan.reach(Where::Write);
            self.inner.write_all_at(offset, bytes)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.plan.reach(Where::Sync);
            self.inner.sync_data()
        }

        fn len(&self) -> io::Result<u64> {
            self.inner.len()
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.inner.set_len(len)
        }

        fn fill_zeros(&self, len: u64, pace: &dyn Fn() -> Pace) -> io::Result<()> {
            self.inner.fill_zeros(len, pace)
        }
    }

    /// What a thread ended with: what it was told, or its panic.
    type Ended = Result<Result<(), Error>, Box<dyn Any + Send>>;

    /// Runs `work` in a thread that outlives the test if it waits for ever, and tells how it ended.
    fn start(
        log: &Arc<Log>,
        to: &mpsc::Sender<Ended>,
        work: impl FnOnce(&Log) -> Result<(), Error> + Send + 'static,
    ) {
        let (log, to) = (Arc::clone(log), to.clone());
        thread::spawn(move || {
            let ended = panic::catch_unwind(AssertUnwindSafe(|| work(&log)));
            drop(log);
            to.send(ended).unwrap_or_default();
        });
    }

    fn everybody_is_told(place: Where) {
        let disk = SimVfs::new();
        let plan = Arc::new(Plan {
            place,
            armed: AtomicBool::new(false),
            began: AtomicU64::new(0),
            gate: Mutex::new(()),
        });
        let vfs: Arc<dyn Vfs> =
            Arc::new(Panicking { inner: disk.clone(), plan: Arc::clone(&plan) });
        let log = Arc::new(open(&vfs).unwrap().0);
        let kept = put(&log, b"before").unwrap();
        plan.armed.store(true, Ordering::SeqCst);
        let gate = plan.gate.lock().unwrap();
        let (to, ended) = mpsc::channel();
        // Another one of the leader's group, who comes to wait.
        let follower = queue(&log, &[body(1, 50)]).unwrap().last;
        start(&log, &to, |log| put(log, b"leader").map(|_| ()));
        while plan.began.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        let (about_to, waits) = mpsc::channel();
        let told = about_to.clone();
        start(&log, &to, move |log| {
            told.send(()).unwrap();
            log.wait(follower)
        });
        // And the group that forms behind it.
        for seed in 2..8 {
            let about_to = about_to.clone();
            start(&log, &to, move |log| {
                let lsn = queue(log, &[body(seed, 50)])?.last;
                about_to.send(()).unwrap();
                log.wait(lsn)
            });
        }
        (0..7).for_each(|_| waits.recv_timeout(FOR_EVER).unwrap());
        // They wait, or soon will: either way they must get an answer.
        (0..10_000).for_each(|_| thread::yield_now());
        drop(gate);
        let ended: Vec<Ended> = (0..8)
            .map(|_| ended.recv_timeout(FOR_EVER).expect("somebody waits for ever"))
            .collect();
        let told: Vec<_> = ended.into_iter().flatten().collect();
        assert_eq!(told.len(), 7, "one panicked");
        for told in told {
            let error = told.unwrap_err();
            assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Poisoned, true), "{error}");
        }
        assert!(matches!(log.poll(kept), Some(Ok(()))), "still");
        assert_eq!(put(&log, b"after").unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(log.mark().unwrap_err().kind(), ErrorKind::Poisoned);
        Arc::into_inner(log).unwrap();
        let disk = disk.after_power_cut(&Survival::Nothing);
        let log = open_sim(&disk);
        put(&log, b"again").unwrap();
        assert_eq!(bodies(&disk), [b"before".to_vec(), b"again".to_vec()]);
    }

    #[test]
    fn everybody_is_told_when_a_writer_panics_in_a_write() {
        everybody_is_told(Where::Write);
    }

    #[test]
    fn everybody_is_told_when_a_writer_panics_in_a_sync() {
        everybody_is_told(Where::Sync);
    }
}
