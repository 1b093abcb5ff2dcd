//! The floor of many writers: a gathering group commit, and nothing around it.
//!
//! No frames, no checksums, no segments: who commits copies bytes into one buffer and returns when they
//! are on disk. Whoever finds no leader leads: it yields, 40 us at most, until as many have joined as
//! were under way when the last group ended, writes once and syncs once. Groups take turns between two
//! condition variables, so that the end of one wakes its own members and one of the next, who leads.

use std::io;
use std::mem;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::raw::RawFile;

/// Longest time that a leader waits for others.
const GATHER: Duration = Duration::from_micros(40);

/// A file that many threads write together.
#[derive(Debug)]
pub struct Gathering {
    /// Taken by the leader only, without `state`.
    raw: Mutex<RawFile>,
    state: Mutex<State>,
    /// `State::joined`, for a leader that gathers without the lock.
    joined: AtomicU32,
    /// Members of a group, by its parity.
    done: [Condvar; 2],
}

/// What the threads share.
#[derive(Debug, Default)]
struct State {
    /// Bytes of the group that forms.
    bytes: Vec<u8>,
    /// Memory to use again.
    spare: Vec<u8>,
    /// Number of the group that forms.
    forming: u64,
    /// Groups that have ended: all with a lower number than this.
    ended: u64,
    /// Somebody gathers, writes or syncs.
    leading: bool,
    /// Members of the group that forms.
    joined: u32,
    /// How many the leader of the next group may wait for.
    expected: u32,
    /// A write failed.
    failed: bool,
}

impl Gathering {
    /// Writes into `raw`.
    #[must_use]
    pub fn new(raw: RawFile) -> Self {
        Self {
            raw: Mutex::new(raw),
            state: Mutex::default(),
            joined: AtomicU32::new(0),
            done: [Condvar::new(), Condvar::new()],
        }
    }

    /// Returns once `bytes` are on disk.
    ///
    /// # Errors
    ///
    /// A write or a sync failed, of this group or of an earlier one.
    ///
    /// # Panics
    ///
    /// If another thread panicked in here.
    pub fn commit(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.bytes.extend_from_slice(bytes);
        state.joined += 1;
        self.joined.store(state.joined, Ordering::Release);
        let mine = state.forming;
        loop {
            if state.failed {
                return Err(io::Error::other("a write of the floor failed"));
            }
            if mine < state.ended {
                return Ok(());
            }
            if state.leading {
                state = self.members(mine).wait(state).unwrap();
            } else {
                self.lead(state);
                state = self.state.lock().unwrap();
            }
        }
    }

    /// Gathers, writes and syncs the group that forms.
    fn lead<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        state.leading = true;
        let expected = state.expected;
        drop(state);
        self.gather(expected);

        let mut state = self.state.lock().unwrap();
        let group = state.forming;
        let took_part = mem::take(&mut state.joined);
        self.joined.store(0, Ordering::Release);
        let spare = mem::take(&mut state.spare);
        let mut bytes = mem::replace(&mut state.bytes, spare);
        state.forming += 1;
        drop(state);
        let written = self.raw.lock().unwrap().write_synced(&bytes);
        bytes.clear();

        let mut state = self.state.lock().unwrap();
        state.spare = bytes;
        state.failed |= written.is_err();
        state.ended = group + 1;
        state.leading = false;
        // Those who are woken come back; those who joined meanwhile wait already.
        state.expected = took_part + state.joined;
        let (others_wait, failed) = (state.joined > 0, state.failed);
        drop(state);
        self.members(group).notify_all();
        if failed {
            self.members(group + 1).notify_all();
        } else if others_wait {
            self.members(group + 1).notify_one();
        }
    }

    /// Lets others join, if others are about.
    fn gather(&self, expected: u32) {
        let are_few = || self.joined.load(Ordering::Acquire) < expected;
        if !are_few() {
            return;
        }
        let began = Instant::now();
        while are_few() && began.elapsed() < GATHER {
            thread::yield_now();
        }
    }

    /// Returns what members of `group` wait on.
    fn members(&self, group: u64) -> &Condvar {
        let [even, odd] = &self.done;
        if group.is_multiple_of(2) { even } else { odd }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_threads_commit_stands_in_the_file_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("raw");
        let gathering = Gathering::new(RawFile::create(&path, 1).unwrap());
        thread::scope(|scope| {
            for thread in 1..=8_u8 {
                let gathering = &gathering;
                scope.spawn(move || (0..50).for_each(|_| gathering.commit(&[thread; 3]).unwrap()));
            }
        });
        let held = std::fs::read(&path).unwrap();
        let (used, rest) = held.split_at(8 * 50 * 3);
        assert!(rest.iter().all(|byte| *byte == 0));
        for thread in 1..=8_u8 {
            let whole = used.chunks(3).filter(|bytes| **bytes == [thread; 3]).count();
            assert_eq!(whole, 50, "of thread {thread}");
        }
    }

    #[test]
    fn a_failed_write_is_told_to_everybody_and_nobody_waits_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let gathering = Gathering::new(RawFile::create(&dir.path().join("raw"), 1).unwrap());
        gathering.commit(b"control").unwrap();
        assert!(gathering.commit(&vec![1; 1 << 20]).is_err(), "more than the file has");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(gathering.commit(b"later").is_err()));
            }
        });
    }
}
