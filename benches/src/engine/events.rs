//! The events that come to a store: a key of 36 bytes, and 200 bytes of JSON. Made in few steps: making them counts
//! where a host's own loop is measured.

use std::str;

use onceward::{Event, Key, Payload, Scope};

use super::PAYLOAD_BYTES;
use crate::index::keys::key;

/// What all payloads begin with.
const HEAD: &[u8] = br#"{"number":"#;
/// Digits of a payload's number.
const DIGITS: usize = 13;
/// The smallest number of so many digits: JSON knows no zeros before a number.
const FIRST: u64 = 1_000_000_000_000;
/// What follows the number.
const FILLING: &[u8] = br#","filling":""#;
/// Where it ends.
const FILLING_END: usize = HEAD.len() + DIGITS + FILLING.len();

/// The payload of the event with this number.
#[must_use]
pub fn payload(number: u64) -> [u8; PAYLOAD_BYTES] {
    let mut text = [b'a'; PAYLOAD_BYTES];
    let (digits, end) = (HEAD.len()..HEAD.len() + DIGITS, PAYLOAD_BYTES - 2);
    text[..digits.start].copy_from_slice(HEAD);
    let mut rest = FIRST + number;
    for digit in text[digits.clone()].iter_mut().rev() {
        *digit = b'0' + (rest % 10).to_le_bytes()[0];
        rest /= 10;
    }
    text[digits.end..FILLING_END].copy_from_slice(FILLING);
    text[end..].copy_from_slice(br#""}"#);
    text
}

/// The key of the event with this number, as a host makes it.
///
/// # Panics
///
/// Never: a key is ASCII, and within the limit.
#[must_use]
pub fn event_key(number: u64) -> Key {
    Key::new(str::from_utf8(&key(number)).unwrap()).unwrap()
}

/// The event with this number.
///
/// # Panics
///
/// Never: key and payload are within the limits.
#[must_use]
pub fn event(number: u64) -> Event {
    let text = payload(number);
    let payload = Payload::json(str::from_utf8(&text).unwrap()).unwrap();
    Event::new(Scope::default(), event_key(number), payload)
}

/// Puts what the log has to keep of an event behind `bytes`: the floor's way of making one.
pub fn put_bytes(bytes: &mut Vec<u8>, number: u64, frame_bytes: usize) {
    let end = bytes.len() + frame_bytes;
    bytes.extend_from_slice(&key(number));
    bytes.extend_from_slice(&payload(number));
    bytes.resize(end, 0x5a);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_json_with_their_numbers() {
        for number in [0, 7, 123_456_789_012] {
            let event = event(number);
            assert_eq!(event.payload.as_bytes().len(), PAYLOAD_BYTES);
            let text = event.payload.as_json().unwrap();
            assert!(text.starts_with(&format!(r#"{{"number":{},"#, FIRST + number)), "{text}");
        }
        assert_ne!(event(1).key, event(2).key);
    }

    #[test]
    fn the_floor_has_as_many_bytes_as_the_frame() {
        let mut bytes = vec![1];
        put_bytes(&mut bytes, 7, 300);
        assert_eq!(bytes.len(), 301);
        assert_eq!(&bytes[1..37], key(7));
        assert_eq!(&bytes[37..237], payload(7));
    }
}
