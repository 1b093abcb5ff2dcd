//! The events that come to the peers: each with another key, and 200 bytes that no peer can make smaller.

use std::ops::Range;

use super::Capture;
use crate::index::keys::key;
use crate::wal::events::Payloads;

/// Events, made where they are captured.
#[derive(Debug, Default)]
pub struct Load(Payloads);

/// Numbers that a writer has for itself.
const OF_A_WRITER: u64 = 1 << 32;

impl Load {
    /// The event with this number.
    #[must_use]
    pub fn event(&self, number: u64) -> Capture<'_> {
        let place = usize::try_from(number).unwrap_or_default();
        Capture { key: key(number), payload: self.0.at(place) }
    }

    /// The events with these numbers.
    #[must_use]
    pub fn events(&self, numbers: Range<u64>) -> Vec<Capture<'_>> {
        numbers.map(|number| self.event(number)).collect()
    }

    /// The number of a writer's event; no two writers have the same. The first one is 1.
    #[must_use]
    pub fn number(writer: usize, at: usize) -> u64 {
        1 + writer as u64 * OF_A_WRITER + at as u64
    }
}
