//! What fuzz targets need of the inside. Not part of the interface.

use crate::base::FrameKind;
use crate::base::codec::ControlBody;
use crate::event::Event;
use crate::event::layout::{Carried, Encoded, View, split_effect};
#[cfg(feature = "rescue")]
use crate::rescue::items;
use crate::review::catalog::{AppliedUpTo, ReviewRow};
use crate::state::control_body_of;

/// Every control body that a store reads, and its name: those of frames, and those that are in no frame of the log.
fn bodies() -> impl Iterator<Item = (String, ControlBody)> {
    let of_frame = |kind| control_body_of(kind).map(|body| (format!("{kind:?}"), body));
    let others = [
        ("catalog: applied", ControlBody::of::<AppliedUpTo>()),
        ("catalog: review", ControlBody::of::<ReviewRow>()),
        #[cfg(feature = "rescue")]
        ("bundle: head", ControlBody::of::<items::Head>()),
    ];
    let others = others.into_iter().map(|(name, body)| (name.to_owned(), body));
    FrameKind::ALL.into_iter().filter_map(of_frame).chain(others)
}

/// How many control bodies there are.
#[must_use]
pub fn control_bodies() -> usize {
    bodies().count()
}

/// Reads `rest` as the control body with this number, behind its version, and as it is; checks that what
/// passes is written again as it was, and of an older version so that it says the same.
///
/// Returns the body's name, and whether it passed behind its version.
///
/// # Panics
///
/// If it is written otherwise.
#[must_use]
pub fn control_body(number: usize, rest: &[u8]) -> Option<(String, bool)> {
    let (name, body) = bodies().nth(number)?;
    is_written_again(body, rest);
    let versioned = [body.version.to_le_bytes().as_slice(), rest].concat();
    Some((name, is_written_again(body, &versioned)))
}

fn is_written_again(body: ControlBody, bytes: &[u8]) -> bool {
    let Some(again) = (body.rewrite)(bytes) else { return false };
    // What an older version says is written as the newest, which says the same from then on.
    let is_newest = bytes.starts_with(&body.version.to_le_bytes());
    let expected = if is_newest { Some(bytes.to_vec()) } else { (body.rewrite)(&again) };
    assert_eq!(Some(again), expected, "it is written otherwise");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::KeysFrame;

    /// As the first version had the body of a frame of keys: found by its target.
    #[test]
    fn a_body_of_an_older_version_is_written_as_the_newest_and_says_the_same() {
        let scope = [&5_u64.to_le_bytes()[..], b"sales"].concat();
        // Fingerprint, event, content hash, beginning of the slice, state, and no receipt.
        let key =
            [&[1; 16][..], &[2, 0, 0, 0, 0, 0, 0, 0], &[3; 8], &[4; 8], &[4], &[0; 8]].concat();
        let behind = [&scope[..], &1_u64.to_le_bytes(), &key, &[9; 8], &[0]].concat();
        let of_version = |version: u16| [&version.to_le_bytes()[..], &behind].concat();
        let body = ControlBody::of::<KeysFrame>();
        assert_ne!((body.rewrite)(&of_version(1)), (body.rewrite)(&of_version(2)), "control");
        for version in [1, 2] {
            assert!(is_written_again(body, &of_version(version)), "version {version}");
        }
        assert!(!is_written_again(body, &of_version(3)));
    }
}
