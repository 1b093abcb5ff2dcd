//! Stores with purchases that wait to be sent, made once and copied.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use onceward::{Config, Event, Key, Kind, Lane, Payload, Scope, Store};

/// Bytes of a purchase.
pub(super) const PAYLOAD_BYTES: usize = 200;
/// Events that are captured together.
const TOGETHER: u64 = 500;

/// What is bought.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Goods {
    /// Made up, in so many lanes; 0: in none.
    Made {
        /// How many.
        lanes: u64,
    },
    /// Real purchases: `cli/data/README.md`, again and again under other keys.
    Real,
    /// Made up, all signature: nothing makes them shorter.
    Signed,
}

/// A store that is copied for each measurement.
#[derive(Debug)]
pub(super) struct Stock {
    dir: PathBuf,
    /// Bytes of the payloads.
    pub(super) payload_bytes: u64,
}

impl Stock {
    /// Makes a store of so many events.
    pub(super) fn make(parent: &Path, events: u64, goods: Goods) -> Result<Self, Box<dyn Error>> {
        let dir = parent.join(format!("stock-{events}-{goods:?}"));
        let store = Store::open(&dir, Config::new())?;
        let real: Vec<&str> = REAL.lines().collect();
        let mut payload_bytes = 0;
        for first in (0..events).step_by(usize::try_from(TOGETHER)?) {
            let numbers = first..events.min(first + TOGETHER);
            let some: Result<Vec<Event>, _> = numbers
                .map(|n| match goods {
                    Goods::Made { lanes } => purchase(n, lanes),
                    Goods::Real => real_purchase(n, &real),
                    Goods::Signed => signed(n),
                })
                .collect();
            let some = some?;
            payload_bytes += some.iter().map(|it| it.payload.as_bytes().len() as u64).sum::<u64>();
            store.capture_batch(&some)?;
        }
        store.close()?;
        Ok(Self { dir, payload_bytes })
    }

    /// A copy of it in `to`.
    pub(super) fn copied(&self, to: &Path) -> Result<PathBuf, Box<dyn Error>> {
        copy(&self.dir, to)?;
        Ok(to.to_owned())
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The data of the demo.
const REAL: &str = include_str!("../../../../../cli/data/cdnow_sample.txt");

/// The purchase in the line that it is the turn of, as the demo's tills have it.
fn real_purchase(n: u64, lines: &[&str]) -> Result<Event, Box<dyn Error>> {
    let at = usize::try_from(n)? % lines.len();
    let columns: Vec<&str> = lines.get(at).ok_or("no lines")?.split_ascii_whitespace().collect();
    let [customer, _, date, count, amount] = columns.as_slice() else {
        return Err("a line has another number of columns".into());
    };
    let (year, rest) = date.split_at(4);
    let (month, day) = rest.split_at(2);
    let text = format!(
        r#"{{"qr_code_data":"forloy_enr_{customer}","location_id":"loc_cdnow","staff_user_id":"usr_till_01","purchase_amount":{amount},"pos_reference_id":"receipt-{date}-{n:06}","transaction_notes":"{count} CDs","client_timestamp":"{year}-{month}-{day}T12:00:00.000Z"}}"#,
    );
    let key = Key::new(&format!("cdnow-{n:06}"))?;
    Ok(Event::new(Scope::default(), key, Payload::json(&text)?).with_kind(Kind::new("PAYMENT")?))
}

/// A purchase that is all signature.
fn signed(n: u64) -> Result<Event, Box<dyn Error>> {
    let mut state = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut signature = Vec::with_capacity(PAYLOAD_BYTES);
    while signature.len() < PAYLOAD_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        signature.extend_from_slice(&state.to_le_bytes());
    }
    let key = Key::new(&format!("signed-{n:09}"))?;
    Ok(Event::new(Scope::default(), key, Payload::bytes(signature)))
}

/// Purchase number `n`, as both dialects take it.
fn purchase(n: u64, lanes: u64) -> Result<Event, Box<dyn Error>> {
    let mut text = format!(
        r#"{{"qr_code_data":"forloy_enr_{n:012x}","location_id":"loc_01HQXYZ","staff_user_id":"usr_staff_{:03}","purchase_amount":{}.{:02},"transaction_notes":""#,
        n % 40,
        n % 90 + 1,
        n % 100,
    );
    // Such words as a till prints.
    let words = ["latte", "bagel", "oat milk", "to go", "muffin", "table 12", "receipt", "tea"];
    for at in (0..).map(|step| n + step) {
        if text.len() + 2 >= PAYLOAD_BYTES {
            break;
        }
        text.push_str(words.get(usize::try_from(at % 8)?).copied().unwrap_or_default());
        text.push(' ');
    }
    text.truncate(PAYLOAD_BYTES - 2);
    text.push_str("\"}");
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let key = Key::new(&format!("{:08x}-0000-4000-8000-{mixed:012x}", n)[..36])?;
    let event = Event::new(Scope::default(), key, Payload::json(&text)?);
    let event = event.with_kind(Kind::new("PAYMENT")?);
    Ok(match lanes {
        0 => event,
        lanes => event.with_lane(Lane::new(&format!("card-{}", n % lanes))?),
    })
}
