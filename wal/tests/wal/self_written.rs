//! Frames that write their bodies themselves are told where they are, and harm no others whatever they do.
//! Method: frames that say another size at the second call, or panic, between sound ones; on a simulated disk.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use onceward_vfs::{SimVfs, Survival};
use onceward_wal::{AppendFrame, ErrorKind, Log, Placed, Purpose};

use super::scenario::{KIND, bodies, body, found, host, open_sim, put};

/// A frame with a body of that many bytes.
#[derive(Clone, Debug)]
struct Own {
    bytes: Cell<usize>,
    /// The size once it was asked for.
    then: Option<usize>,
    panics: bool,
}

impl Own {
    fn of(bytes: usize) -> Self {
        Self { bytes: Cell::new(bytes), then: None, panics: false }
    }
}

impl AppendFrame for Own {
    fn kind(&self) -> u8 {
        KIND
    }

    fn flags(&self) -> u8 {
        0
    }

    fn body_bytes(&self) -> usize {
        self.bytes.replace(self.then.unwrap_or_else(|| self.bytes.get()))
    }

    fn write_body(&self, to: &mut [u8]) {
        assert!(!self.panics, "planned");
        to.copy_from_slice(&body(9, to.len()));
    }
}

fn append(log: &Log, frames: &[Own]) -> (Vec<Placed>, Result<(), onceward_wal::Error>) {
    let mut told = Vec::new();
    let queued = log.append_each(frames, 0, Purpose::Capture, |placed| told.push(placed));
    let ended = queued.and_then(|ticket| ticket.wait().map(|_| ()));
    (told, ended)
}

#[test]
fn each_is_told_where_it_is() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"before").unwrap();
    let sizes = [1, 2, 3, 200, 7, 90_000, 8];
    let (told, ended) = append(&log, &sizes.map(Own::of));
    ended.unwrap();
    put(&log, b"after").unwrap();
    drop(log);
    let found = host(&found(&disk.after_power_cut(&Survival::Nothing)).1);
    assert_eq!((&*found[0].body, &*found[8].body), (&b"before"[..], &b"after"[..]));
    assert_eq!(told.len(), sizes.len());
    for ((told, found), bytes) in told.iter().zip(&found[1..]).zip(sizes) {
        assert_eq!((told.lsn.get(), told.place), (found.lsn, found.place));
        assert_eq!(usize::try_from(told.bytes).unwrap(), found.bytes);
        assert_eq!(found.body, body(9, bytes));
    }
}

#[test]
fn nothing_is_left_of_a_batch_of_which_one_changes_its_size_or_panics() {
    let disk = SimVfs::new();
    let log = open_sim(&disk);
    put(&log, b"before").unwrap();
    for then in [60, 120, 4000, 0] {
        let frames = [Own::of(10), Own { then: Some(then), ..Own::of(100) }, Own::of(20)];
        let (_, ended) = append(&log, &frames);
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Invalid, "{then}");
        put(&log, b"between").unwrap();
    }
    // More than there are between two frames that a reader notes the place of.
    for _ in 0..100 {
        let frames = [Own::of(10), Own { panics: true, ..Own::of(100) }, Own::of(20)];
        catch_unwind(AssertUnwindSafe(|| append(&log, &frames))).unwrap_err();
        put(&log, b"behind").unwrap();
    }
    log.close().unwrap();
    let (report, _) = found(&disk);
    assert_eq!((report.damage, report.clean), (vec![], true));
    assert_eq!(bodies(&disk).len(), 1 + 4 + 100);
}
