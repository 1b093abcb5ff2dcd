//! What fuzz targets need of the inside. Not part of the interface.

use std::fmt::Debug;

use crate::catalog::{Applied, ReviewRow};
use crate::event::Event;
use crate::frames::clock::Clock;
use crate::frames::codec::{self, Control};
use crate::frames::control::{Batch, Decision, Keys, Settle};
use crate::frames::event::{Carried, Encoded, View, split_effect};
use crate::frames::inbox::{DeliveryFrame, ProgressFrame, WindowFrame};
use crate::frames::leaving::{Fence, Import};
use crate::frames::limits::{Cancel, Evict};
use crate::frames::records::{Lease, LeaseEnd, RecordHead};
#[cfg(feature = "rescue")]
use crate::leaving::items;

/// Reads a body behind the right version, and tells whether it was one.
type Reading = fn(&[u8]) -> bool;

/// Every control body that a store reads: its name and how it is read.
const BODIES: &[(&str, Reading)] = &[
    ("batch", read::<Batch>),
    ("settle", read::<Settle>),
    ("decision", read::<Decision>),
    ("keys", read::<Keys>),
    ("lease", read::<Lease>),
    ("record", read::<RecordHead>),
    ("lease_end", read::<LeaseEnd>),
    ("window", read::<WindowFrame>),
    ("delivery", read::<DeliveryFrame>),
    ("progress", read::<ProgressFrame>),
    ("clock", read::<Clock>),
    ("evict", read::<Evict>),
    ("cancel", read::<Cancel>),
    ("fence", read::<Fence>),
    ("import", read::<Import>),
    ("catalog: applied", read::<Applied>),
    ("catalog: review", read::<ReviewRow>),
    #[cfg(feature = "rescue")]
    ("bundle: head", read::<items::Head>),
];

/// How many control bodies there are.
#[must_use]
pub fn control_bodies() -> usize {
    BODIES.len()
}

/// Reads `rest` as the control body with this number, behind its version, and as it is; checks that what
/// passes is written again as it was.
///
/// Returns the body's name, and whether it passed behind its version.
///
/// # Panics
///
/// If it is written otherwise.
#[must_use]
pub fn control_body(number: usize, rest: &[u8]) -> Option<(&'static str, bool)> {
    let (name, reading) = BODIES.get(number)?;
    Some((name, reading(rest)))
}

fn read<T: Control + Debug + PartialEq>(rest: &[u8]) -> bool {
    read_as_it_is::<T>(rest);
    read_as_it_is::<T>(&[T::VERSION.to_le_bytes().as_slice(), rest].concat())
}

fn read_as_it_is<T: Control + Debug + PartialEq>(bytes: &[u8]) -> bool {
    let Some(value) = codec::decode::<T>(bytes) else { return false };
    assert_eq!(codec::encode(&value), bytes, "{value:?} is written otherwise");
    true
}

/// Reads the body of an event, a carried event and an effect; checks that an event that passes is the
/// same one after it was written and read again.
///
/// # Panics
///
/// If it is another one.
pub fn event_bodies(flags: u8, body: &[u8]) {
    event_body(flags, body);
    if let Some((carried, rest)) = Carried::decode(1, body) {
        assert_eq!(Carried::decode(1, &carried.encode()).map(|(again, _)| again), Some(carried));
        event_body(flags, rest);
    }
    if let Some((_, rest)) = split_effect(body) {
        event_body(flags, rest);
    }
    #[cfg(feature = "rescue")]
    {
        let mut rest = body;
        while items::take(&mut rest).is_some() {}
    }
}

fn event_body(flags: u8, body: &[u8]) {
    let Some(event) = View::decode(flags, body).and_then(View::to_event) else { return };
    let encoded = Encoded::new(&event);
    let again = encoded.parts().concat();
    let again: Option<Event> = View::decode(encoded.flags, &again).and_then(View::to_event);
    assert_eq!(again.as_ref(), Some(&event), "it is another event");
}
