//! Slices of the segment stream before their reader: the target `stream_slice`.

use onceward::wire::{
    SliceFault, StreamEntry, StreamSlice, begin_slice, end_slice, push_entry, slice_outline,
};
use onceward::{Amount, Event, Headers, Key, Kind, Lane, Payload, Scope, StoredEvent};

use crate::input::{Input, noise};

/// Bytes of the heap that reading may hold for each byte of a slice, and besides.
const HELD_PER_BYTE: usize = 32;
const HELD_BESIDES: usize = 4_096;

/// Runs one input. `held` tells how many bytes of the heap `read` held at most while it ran.
///
/// # Panics
///
/// If the reader breaks a promise.
pub fn read(data: &[u8], held: impl Fn(&mut dyn FnMut()) -> usize) {
    let mut input = Input(data);
    match input.byte() % 3 {
        0 => judge(&[&begin_slice(0)[..4], input.take(usize::MAX)].concat(), &held),
        1 => judge(&bodies(&mut input), &held),
        _ => {
            let count = input.byte() % 6;
            let events: Vec<StoredEvent> = (0..count).map(|_| stored(&mut input)).collect();
            flipped(&sent(&events), &mut input);
        }
    }
}

/// What is true of all bytes: they are read in memory that their count bounds, and what passes says the same when it is
/// sent again.
fn judge(bytes: &[u8], held: &impl Fn(&mut dyn FnMut()) -> usize) {
    let mut read = Err(SliceFault::Magic);
    let most = held(&mut || read = StreamSlice::decode(bytes));
    let allowed = HELD_PER_BYTE * bytes.len() + HELD_BESIDES;
    assert!(most <= allowed, "{most} bytes were held for a slice of {}", bytes.len());
    let outline = slice_outline(bytes);
    let Ok(slice) = read else { return };
    assert!(outline.is_ok_and(|outline| outline.len() <= bytes.len()), "it has no outline");
    let scope = Scope::default();
    for entry in slice.entries {
        let Ok(headers) = entry.checked_headers() else { continue };
        let Ok(event) = entry.event(&scope, &headers) else { continue };
        let mut stored = StoredEvent::as_if_captured(event.to_event(), 0);
        stored.captured_at_ms = entry.captured_at_ms;
        let again = sent(&[stored]);
        let again = StreamSlice::decode(&again).expect("it was just made");
        let again = again.entries.into_iter().next().expect("there is one");
        assert_eq!(told(again), told(entry), "it was sent again as something else");
    }
}

/// An entry without what its sender's place in the log is, and with the kind that none stands for.
fn told(entry: StreamEntry<'_>) -> StreamEntry<'_> {
    let kind = entry.kind.filter(|kind| *kind != Kind::DEFAULT);
    let mut told = entry;
    (told.lsn, told.behind, told.kind) = (0, None, kind);
    told
}

/// Entries of any bodies under right checksums, since random bytes rarely get past one.
fn bodies(input: &mut Input<'_>) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut count = 0;
    while !input.is_empty() && count < 64 {
        let bytes = input.below(300);
        let body = input.take(bytes);
        entries.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
        entries.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
        entries.extend_from_slice(body);
        count += 1;
    }
    let mut slice = begin_slice(count);
    slice.extend_from_slice(&entries);
    end_slice(&[(0, 7)][..usize::from(count > 0)], &mut slice);
    slice
}

/// An event as the input wants it.
fn stored(input: &mut Input<'_>) -> StoredEvent {
    let flags = input.byte();
    let bytes = input.below(200);
    let payload = Payload::bytes(noise(u64::from(flags), bytes));
    let key = Key::new(&format!("key-{}", input.byte())).expect("a right key");
    let mut event = Event::new(Scope::default(), key, payload);
    if flags & 1 != 0 {
        event = event.with_kind(Kind::new("SALE").expect("a right kind"));
    }
    if flags & 2 != 0 {
        event = event.with_amount(Amount::from_ten_thousandths(i64::from(input.byte()) - 128));
    }
    if flags & 4 != 0 {
        event = event.with_lane(Lane::new("card-7").expect("a right lane"));
    }
    if flags & 8 != 0 {
        event = event.with_headers(Headers::new().with("till", "7").expect("a right header"));
    }
    let mut stored = StoredEvent::as_if_captured(event, i64::from(input.byte()));
    if flags & 16 != 0 {
        stored.captured_at_ms = None;
    }
    stored
}

/// A slice of these events.
fn sent(events: &[StoredEvent]) -> Vec<u8> {
    let mut slice = begin_slice(u32::try_from(events.len()).unwrap_or(u32::MAX));
    for event in events {
        push_entry(event, event.event.key.as_str(), &mut slice);
    }
    end_slice(&[], &mut slice);
    slice
}

/// A right slice of which a bit is flipped is none.
fn flipped(slice: &[u8], input: &mut Input<'_>) {
    assert!(StreamSlice::decode(slice).is_ok(), "control: a right slice passes");
    let bit = input.below(8 * slice.len());
    let mut flipped = slice.to_vec();
    if let Some(byte) = flipped.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
    assert!(StreamSlice::decode(&flipped).is_err(), "bit {bit} was flipped");
}
