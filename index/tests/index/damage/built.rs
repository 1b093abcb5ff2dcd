//! An index with files of every kind, and what comes of damage to it.
//! Method: opening, then every key, may blame only the damaged files; no answer that is given is wrong.

use std::sync::Arc;

use onceward_index::{
    ContentHash, Error, ErrorKind, Fingerprint, Index, Location, ReadMode, Reserved, Secret, Until,
};
use onceward_vfs::{Mode, SimVfs, Survival, Vfs, read_all};

use crate::reference::{Frame, Reference};
use crate::store::{
    DIR, MINUTE_MS, SLICE_MS, Store, capturing, location, options, secret, settling,
};

pub(crate) const READINGS: [ReadMode; 2] = [ReadMode::Mapped, ReadMode::Positioned];
pub(crate) const MANIFEST: &str = "manifest";

pub(crate) fn key(number: u64) -> Fingerprint {
    secret().fingerprint("till", &number.to_le_bytes())
}

/// A disk with an index on it, and the log beside it.
pub(crate) struct Built {
    pub(crate) disk: SimVfs,
    log: Vec<Frame>,
    latest: u64,
    /// The manifest after each checkpoint.
    pub(crate) manifests: Vec<Vec<u8>>,
    /// A table file that is no more.
    pub(crate) old_table: Vec<u8>,
}

pub(crate) fn take(store: &mut Store, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let window = if number.is_multiple_of(3) { capturing() } else { settling() };
        let taken = store.take(key(number), ContentHash::from_u64(number), window).unwrap();
        assert!(matches!(taken, Reserved::Taken(_)));
    }
}

/// Key files with and without a table file, removed places, frames that no checkpoint covers.
pub(crate) fn built_under(secret: &Secret) -> Built {
    let disk = SimVfs::new();
    let index =
        Index::open(location(disk.clone()), secret, options(ReadMode::Mapped)).unwrap().index;
    let mut store = Store::of(index, Vec::new());
    let (mut manifests, mut old_table) = (Vec::new(), Vec::new());
    for (step, until) in [Until::Close, Until::Later, Until::Close, Until::Later].iter().enumerate()
    {
        let first = step as u64 * 60;
        take(&mut store, first..first + 60);
        for lsn in store.held.keys().copied().skip(2).collect::<Vec<_>>() {
            store.settle(lsn);
        }
        if step == 1 {
            for lsn in store.held.keys().copied().collect::<Vec<_>>() {
                store.settle(lsn);
            }
            store.now += 3 * MINUTE_MS;
            store.expire().unwrap();
        }
        if step > 1 {
            for number in (first - 50..first - 10).step_by(5) {
                store.release(key(number)).unwrap();
            }
            take(&mut store, first - 50..first - 49);
        }
        store.index.checkpoint(0, *until).unwrap();
        manifests.push(disk.bytes(&path(MANIFEST)).unwrap());
        if step == 0 {
            let name = names(&disk).into_iter().find(|name| name.starts_with("table")).unwrap();
            old_table = disk.bytes(&path(&name)).unwrap();
        }
        store.now += SLICE_MS;
    }
    take(&mut store, 600..620);
    store.release(key(605)).unwrap();
    let Store { log, latest, .. } = store;
    Built { disk, log, latest, manifests, old_table }
}

pub(crate) fn built() -> Built {
    let built = built_under(&secret());
    let kinds = |prefix| names(&built.disk).iter().filter(|n| n.starts_with(prefix)).count();
    assert!(kinds("keys") >= 4 && kinds("table") == 1, "{:?}", names(&built.disk));
    built
}

pub(crate) fn path(name: &str) -> String {
    format!("{DIR}/{name}")
}

pub(crate) fn names(vfs: &dyn Vfs) -> Vec<String> {
    vfs.list(DIR).unwrap()
}

/// Another disk with the same files.
pub(crate) fn copy(disk: &SimVfs) -> SimVfs {
    disk.after_power_cut(&Survival::Everything)
}

/// Replaces the bytes of a file.
pub(crate) fn rewrite(vfs: &dyn Vfs, name: &str, bytes: &[u8]) {
    vfs.remove(&path(name)).unwrap();
    let file = vfs.open(&path(name), Mode::CreateNew).unwrap();
    file.write_all_at(0, bytes).unwrap();
    file.sync_data().unwrap();
    vfs.sync_dir(DIR).unwrap();
}

pub(crate) fn bytes_of(vfs: &dyn Vfs, name: &str) -> Vec<u8> {
    read_all(vfs, &path(name), u64::MAX).unwrap()
}

/// The outcome of damage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// Opening discarded all files and said why.
    Discarded,
    /// An operation told of it.
    Told,
    /// Every answer is right all the same.
    Right,
}

impl Built {
    /// Opens a damaged index and asks it everything; only these files may be blamed.
    pub(crate) fn outcome(
        &self,
        vfs: &Arc<dyn Vfs>,
        reading: ReadMode,
        blamed: &[&str],
        what: &str,
    ) -> Outcome {
        let location = || Location { vfs: Arc::clone(vfs), dir: DIR.to_owned() };
        let is_blamed = |text: &str| blamed.iter().any(|name| text.contains(&path(name)));
        let (store, told) = Store::reopened(location(), options(reading), &self.log);
        if let Some(discarded) = store.index.discarded() {
            assert!(is_blamed(&discarded.why), "{what}: {}", discarded.why);
            assert!(store.index.slices().len() < 40, "{what}");
            told.unwrap_or_else(|error| panic!("{what}: {error}"));
            self.ask_all(&store, what);
            return Outcome::Discarded;
        }
        let mut failures: Vec<Error> = told.err().into_iter().collect();
        if failures.is_empty() {
            failures = self.ask(&store, what);
            // What was read once stands; the checkpoint reads files as a whole.
            failures.extend(store.index.checkpoint(0, Until::Close).err());
        }
        for error in &failures {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
            assert!(is_blamed(&error.to_string()), "{what}: {error}");
        }
        drop(store);
        if failures.is_empty() {
            let (store, told) = Store::reopened(location(), options(reading), &self.log);
            if store.index.discarded().is_none() && told.is_ok() {
                for error in self.ask(&store, what) {
                    assert!(is_blamed(&error.to_string()), "{what}: {error}");
                }
            }
            return Outcome::Right;
        }
        onceward_index::discard(&**vfs, &location().dir).unwrap();
        assert_eq!(names(&**vfs), Vec::<String>::new(), "{what}");
        let (store, told) = Store::reopened(location(), options(reading), &self.log);
        told.unwrap_or_else(|error| panic!("{what}: {error}"));
        self.ask_all(&store, what);
        Outcome::Told
    }

    /// Every answer that is given is right; returns the errors.
    fn ask(&self, store: &Store, what: &str) -> Vec<Error> {
        let reference = Reference::of(&self.log);
        let mut failures = Vec::new();
        for key in reference.keys().into_iter().chain((0..300).chain(900..920).map(key)) {
            match store.index.find(key) {
                Ok(found) => {
                    if let Some(objection) = reference.objection(key, found, self.latest) {
                        panic!("{what}: {objection}");
                    }
                }
                Err(error) => failures.push(error),
            }
        }
        failures
    }

    fn ask_all(&self, store: &Store, what: &str) {
        assert!(self.ask(store, what).is_empty(), "{what}");
    }

    /// The outcome as by [`Built::outcome`], on simulated disks, for both ways of reading: the same comes of it.
    pub(crate) fn outcome_of(
        &self,
        damage: impl Fn(&SimVfs),
        blamed: &[&str],
        what: &str,
    ) -> Outcome {
        let [mapped, positioned] = READINGS.map(|reading| {
            let disk = copy(&self.disk);
            damage(&disk);
            let vfs: Arc<dyn Vfs> = Arc::new(disk);
            self.outcome(&vfs, reading, blamed, &format!("{what}, {reading:?}"))
        });
        assert_eq!(mapped, positioned, "{what}");
        mapped
    }
}
