//! What fuzz targets need of the inside. Not part of the interface.

use std::fmt::Debug;

use crate::base::FrameKind;
use crate::base::codec::{self, Control};
use crate::event::Event;
use crate::event::layout::{Carried, Encoded, View, split_effect};
use crate::inbox::frames::{DeliveryFrame, ProgressFrame, WindowFrame};
use crate::kernel::KeysFrame;
use crate::limits::frames::{CancelFrame, EvictFrame};
use crate::outbox::frames::{BatchFrame, SettleFrame};
use crate::records::frames::{LeaseEndFrame, LeaseFrame, RecordHead};
use crate::rescue::frames::{FenceFrame, ImportFrame};
#[cfg(feature = "rescue")]
use crate::rescue::items;
use crate::review::catalog::{AppliedUpTo, ReviewRow};
use crate::review::frames::DecisionFrame;
use crate::timekeeping::frames::ClockFrame;
use crate::upstreams::frames::{Hold, Rule};

/// Reads a body behind the right version, and returns whether it was one.
type Reading = fn(&[u8]) -> bool;

/// Bodies that are in no frame of the log: their names and how they are read.
const OTHER_BODIES: &[(&str, Reading)] = &[
    ("catalog: applied", read::<AppliedUpTo>),
    ("catalog: review", read::<ReviewRow>),
    #[cfg(feature = "rescue")]
    ("bundle: head", read::<items::Head>),
];

/// The name and the reader of the control body of frames of a kind; `None`: their bodies are laid out by hand.
fn control_body_of(kind: FrameKind) -> Option<(&'static str, Reading)> {
    Some(match kind {
        FrameKind::Event | FrameKind::Carried | FrameKind::Effect => return None,
        FrameKind::Batch => ("batch", read::<BatchFrame>),
        FrameKind::Settle => ("settle", read::<SettleFrame>),
        FrameKind::Decision => ("decision", read::<DecisionFrame>),
        FrameKind::Keys => ("keys", read::<KeysFrame>),
        FrameKind::Lease => ("lease", read::<LeaseFrame>),
        FrameKind::Record => ("record", read::<RecordHead>),
        FrameKind::LeaseEnd => ("lease_end", read::<LeaseEndFrame>),
        FrameKind::Window => ("window", read::<WindowFrame>),
        FrameKind::Delivery => ("delivery", read::<DeliveryFrame>),
        FrameKind::Progress => ("progress", read::<ProgressFrame>),
        FrameKind::Clock => ("clock", read::<ClockFrame>),
        FrameKind::Evict => ("evict", read::<EvictFrame>),
        FrameKind::Cancel => ("cancel", read::<CancelFrame>),
        FrameKind::Fence => ("fence", read::<FenceFrame>),
        FrameKind::Import => ("import", read::<ImportFrame>),
        FrameKind::Upstream => ("upstream", read::<Rule>),
        FrameKind::Hold => ("hold", read::<Hold>),
    })
}

/// Every control body that a store reads: its name and how it is read.
fn bodies() -> impl Iterator<Item = (&'static str, Reading)> {
    let of_frames = FrameKind::ALL.into_iter().filter_map(control_body_of);
    of_frames.chain(OTHER_BODIES.iter().copied())
}

/// How many control bodies there are.
#[must_use]
pub fn control_bodies() -> usize {
    bodies().count()
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
    let (name, reading) = bodies().nth(number)?;
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
