//! Those who read a log while it is written: the process that writes it, and another one.

use onceward_vfs::SimVfs;
use onceward_wal::{Error, Follower, KIND_HOST_MIN, Log, Lsn, Reader};

use super::Seen;

/// Reads the log that is open.
pub(super) struct Inside<'l> {
    reader: Reader<'l>,
    read: Vec<Seen>,
}

impl<'l> Inside<'l> {
    /// From the beginning on.
    pub(super) fn new(log: &'l Log) -> Self {
        let reader = log.read_from(Lsn::FIRST).expect("every log may be read from its beginning");
        Self { reader, read: Vec::new() }
    }

    /// Reads what is new.
    pub(super) fn read(&mut self) {
        while let Ok(Some(slice)) = self.reader.next_slice() {
            let host = slice.frames().filter(|frame| frame.kind >= KIND_HOST_MIN);
            self.read.extend(host.map(|frame| Seen::of(&frame)));
        }
    }

    /// It showed the host's frames, each once.
    pub(super) fn assert_showed(&self, all: &[Seen]) {
        assert_eq!(lsns(&self.read), lsns(all), "the reader");
        assert!(self.read == all, "the reader: right numbers, other frames");
    }
}

/// Follows the log from outside, through its files.
#[derive(Default)]
pub(super) struct Outside {
    follower: Follower,
    followed: Vec<Seen>,
    /// Why the last look failed.
    refused: Option<Error>,
}

impl Outside {
    /// Looks at what is new.
    pub(super) fn look(&mut self, disk: &SimVfs) {
        let looked = self.follower.look(disk, &mut |frame| {
            if frame.kind >= KIND_HOST_MIN {
                self.followed.push(Seen::of(frame));
            }
        });
        self.refused = looked.err();
    }

    /// It showed the host's frames, each once; but for the last ones if those are not proven yet.
    pub(super) fn assert_showed(&self, all: &[Seen], with_the_end: bool) {
        let expected = if with_the_end { all } else { &all[..self.followed.len().min(all.len())] };
        assert_eq!(lsns(&self.followed), lsns(expected), "the follower: {:?}", self.refused);
        assert!(self.followed == expected, "the follower: right numbers, other frames");
    }
}

/// The numbers of frames.
fn lsns(seen: &[Seen]) -> Vec<u64> {
    seen.iter().map(|frame| frame.lsn).collect()
}
