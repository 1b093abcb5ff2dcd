//! Stores with purchases that wait to be sent, made once and copied.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use onceward::{Config, Event, Key, Kind, Lane, Payload, Scope, Store};

/// Bytes of a purchase.
pub(super) const PAYLOAD_BYTES: usize = 200;
/// Events that are captured together.
const TOGETHER: u64 = 500;

/// A store that is copied for each measurement.
#[derive(Debug)]
pub(super) struct Stock {
    dir: PathBuf,
}

impl Stock {
    /// Makes a store of so many events; of lanes there are none for 0.
    pub(super) fn make(parent: &Path, events: u64, lanes: u64) -> Result<Self, Box<dyn Error>> {
        let dir = parent.join(format!("stock-{events}-{lanes}"));
        let store = Store::open(&dir, Config::new())?;
        for first in (0..events).step_by(usize::try_from(TOGETHER)?) {
            let numbers = first..events.min(first + TOGETHER);
            let some: Result<Vec<Event>, _> = numbers.map(|n| purchase(n, lanes)).collect();
            store.capture_batch(&some?)?;
        }
        store.close()?;
        Ok(Self { dir })
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
