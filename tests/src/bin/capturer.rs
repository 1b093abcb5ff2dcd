//! Captures batches into a store until it is killed, and prints each verdict once it is durable.
//!
//! Arguments: the store's directory, the number of the round, and after how many batches to close the
//! store. A batch holds new keys of this round, and keys of this and earlier rounds again. Prints
//! `ready`, then for each event a line of its key, the first letter of its verdict, and the LSN.

#![forbid(unsafe_code)]

use std::{
    error::Error,
    io::{Write, stdout},
};

use onceward::{Config, Event, Key, Payload, Scope, Store, Verdict};

/// New keys in a batch; as many again come a second time.
const NEW_KEYS: u64 = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("the store's directory is missing")?;
    let round: u64 = arguments.next().ok_or("the round is missing")?.parse()?;
    let batches: u64 = arguments.next().ok_or("the batches are missing")?.parse()?;
    let store = Store::open(dir, Config::new())?;
    if let Some(why) = &store.recovery().index_rebuilt {
        return Err(format!("the index was rebuilt: {why}").into());
    }
    let mut out = stdout().lock();
    writeln!(out, "ready")?;
    let mut random = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for batch in 0..batches {
        let mut events = Vec::new();
        for n in batch * NEW_KEYS..(batch + 1) * NEW_KEYS {
            events.push(event(&format!("{round}-{n}"))?);
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let again = random % (round + 1);
            events.push(event(&format!("{again}-{}", random % ((batch + 1) * NEW_KEYS)))?);
        }
        let verdicts = store.capture_batch(&events)?;
        let mut lines = Vec::new();
        for (event, verdict) in events.iter().zip(verdicts) {
            let (letter, lsn) = match verdict {
                Verdict::Fresh { lsn } => ('f', lsn),
                Verdict::Duplicate { lsn, .. } => ('d', lsn),
                Verdict::Conflict { lsn } => ('c', lsn),
                other => return Err(format!("not understood: {other:?}").into()),
            };
            writeln!(lines, "{} {letter} {}", event.key, lsn.get())?;
        }
        out.write_all(&lines)?;
        out.flush()?;
    }
    store.close()?;
    Ok(())
}

/// The sale of a key; the same key always has the same payload.
fn event(key: &str) -> Result<Event, onceward::Error> {
    Ok(Event::new(Scope::default(), Key::new(key)?, Payload::json(&format!("\"{key}\""))?))
}
