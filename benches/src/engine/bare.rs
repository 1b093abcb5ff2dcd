//! The log alone with the bytes of the same events: what a store adds to it is what remembering costs.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;

use onceward_wal::{KIND_HOST_MIN, Log, NewFrame, Preparation, Purpose};

use super::{BODY_BYTES, SEGMENT_BYTES};
use crate::index::keys::scattered;
use crate::wal::stock::new_log;

/// A log that is appended to and trimmed.
#[derive(Debug)]
pub struct Bare {
    log: Log,
    bodies: Vec<Vec<u8>>,
    /// The segment that was written last.
    segment: u64,
}

impl Bare {
    /// Makes a log in `dir`, and `count` different bodies.
    ///
    /// # Errors
    ///
    /// What the log says.
    pub fn create(dir: &Path, count: usize) -> Result<Self, Box<dyn Error>> {
        let log = new_log(dir, SEGMENT_BYTES, Preparation::InBackground)?;
        let body = |number: usize| {
            let bytes = (0..BODY_BYTES).map(|at| scattered((number * BODY_BYTES + at) as u64));
            bytes.map(|bits| bits.to_le_bytes()[3]).collect()
        };
        Ok(Self { log, bodies: (0..count).map(body).collect(), segment: 0 })
    }

    /// Appends `count` events as one commit, durable when this returns.
    ///
    /// # Panics
    ///
    /// If the log refuses.
    pub fn append(&mut self, first: usize, count: usize) {
        let body = |number: usize| [self.bodies[number % self.bodies.len()].as_slice()];
        let parts: Vec<[&[u8]; 1]> = (first..first + count).map(body).collect();
        let frames: Vec<NewFrame<'_>> =
            parts.iter().map(|parts| NewFrame { kind: KIND_HOST_MIN, flags: 0, parts }).collect();
        let appended = self.log.append_batch(black_box(&frames), 0, Purpose::Capture).unwrap();
        self.segment = appended.place.segment;
    }

    /// Trims the segments that are full, so that they are used again.
    ///
    /// # Panics
    ///
    /// If the log refuses.
    pub fn trim(&self) {
        let full = self.log.segments().into_iter().filter(|segment| segment.number < self.segment);
        full.for_each(|segment| self.log.trim(segment.number).unwrap());
    }
}
