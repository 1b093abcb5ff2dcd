//! Damage of the catalog's files: nothing that is served from it is wrong, and every panic in sled is one that
//! the store tells of.
//! Method: 1,000 bytes of the files of a closed catalog, spread over them, one at a time; each time the catalog is
//! opened anew and asked for everything. Some of them also with an opening of the whole store.

use std::fs;
use std::panic::{set_hook, take_hook};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Site, answers, open};

/// Sampled bytes of all files.
const SAMPLES: usize = 1_000;
/// One of so many is also tried with the whole store.
const WITH_STORE: usize = 50;

/// Counts panics in sled of which no store tells.
fn count_panics() -> Arc<AtomicU64> {
    let untold = Arc::new(AtomicU64::new(0));
    let (counted, before) = (Arc::clone(&untold), take_hook());
    set_hook(Box::new(move |panic| {
        let in_sled = panic.location().is_some_and(|place| place.file().contains("sled-"));
        counted
            .fetch_add(u64::from(in_sled && !crate::host::reports_panic(panic)), Ordering::Relaxed);
        before(panic);
    }));
    untold
}

#[test]
fn flipped_bytes_are_noticed_or_change_nothing() {
    let untold = count_panics();
    // No power is cut here.
    let in_memory = Path::new("/dev/shm");
    let site = if in_memory.is_dir() { Site::new_in(in_memory) } else { Site::new() };
    let whole: Vec<_> = site.files().into_iter().map(|it| (fs::read(&it).unwrap(), it)).collect();
    let used = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    let step = (whole.iter().map(|(bytes, _)| used(bytes)).sum::<usize>() / SAMPLES).max(1);
    let store = open(site.dir.path());
    let (mut noticed, mut count) = (0, 0);
    for (number, (bytes, file)) in whole.iter().enumerate() {
        // Behind what is used there are only zeros; the last byte there is one of them.
        let offsets = (0..used(bytes)).step_by(step).map(|at| at + at / step * 7 % step);
        for at in offsets.chain(bytes.len().checked_sub(1)) {
            let Some(byte) = bytes.get(at) else { continue };
            let flipped = byte ^ if count % 2 == 0 { 1 << (at % 8) } else { 0xff };
            let what = format!("byte {at} of {}", file.display());
            store.inner.kept_catalog.forget();
            fs::remove_dir_all(site.path("catalog")).unwrap();
            fs::create_dir(site.path("catalog")).unwrap();
            for (bytes, file) in &whole {
                fs::write(file, bytes).unwrap();
            }
            let mut damaged = bytes.clone();
            damaged[at] = flipped;
            fs::write(file, damaged).unwrap();
            if count % WITH_STORE == 0 {
                noticed += usize::from(site.copied().reopened().is_some());
            }
            assert_eq!(answers(&store), site.answers, "{what}, file {number}");
            let trouble = store.status().catalog_trouble;
            noticed += usize::from(trouble.is_some());
            let is_silent = trouble.iter().any(|why| why.contains("did not answer"));
            assert!(!is_silent && site.path("catalog").is_dir(), "{what}: {trouble:?}");
            count += 1;
        }
    }
    assert!(count >= SAMPLES, "control: {count} of {step} bytes each");
    assert!(noticed > count / 10, "control: some of it matters: {noticed} of {count}");
    assert_eq!(untold.load(Ordering::Relaxed), 0, "panics in sled that no store tells of");
}
