//! The keys by which a delivery is known. The layout is in `FORMAT.md`. No I/O here.

use onceward_index::{ContentHash, Entry, Fingerprint, Secret, Window};

use crate::frames::inbox::{Body, WithinBody};
use crate::view::{Taking, Windows};

/// One of the keys by which a delivery is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct DeliveryKey {
    /// The key's fingerprint.
    pub(crate) print: Fingerprint,
    /// How long it is remembered.
    pub(crate) window: Window,
    /// It is the key of a server window: remembered until that is over, at least.
    pub(crate) is_of_window: bool,
}

impl DeliveryKey {
    /// What the index is told: whatever comes under the key is the same delivery.
    pub(crate) fn taking(&self, lsn: u64) -> Taking {
        let entry = Entry { key: self.print, content: ContentHash::from_u64(0), lsn };
        Taking { entry, window: self.window }
    }
}

/// The keys by which a delivery is known: one to three of them, always in the same order.
pub(crate) fn delivery_keys(secret: &Secret, windows: &Windows, body: &Body) -> Vec<DeliveryKey> {
    let plain = |scope: &str, text: &String| DeliveryKey {
        print: secret.fingerprint(scope, text.as_bytes()),
        window: windows.of_delivery(false),
        is_of_window: false,
    };
    let event = body.event_id.iter().map(|text| plain("event:", text));
    let external = body.external_id.iter().map(|text| plain("external:", text));
    let within = body.within.iter().map(|within| DeliveryKey {
        print: secret.fingerprint(&format!("subject:{}", within.window), &subject_key(within)),
        window: windows.of_delivery(true),
        is_of_window: true,
    });
    event.chain(external).chain(within).collect()
}

/// What people call a delivery.
pub(crate) fn name_of(body: &Body) -> &str {
    let within = || body.within.as_ref().map(|within| within.delivery_id.as_str());
    body.event_id.as_deref().or_else(within).unwrap_or_default()
}

/// Subject and delivery as one key; the subject's length before it keeps two of them apart.
fn subject_key(within: &WithinBody) -> Vec<u8> {
    let bytes = u32::try_from(within.subject.len()).unwrap_or(u32::MAX);
    [&bytes.to_le_bytes(), within.subject.as_bytes(), within.delivery_id.as_bytes()].concat()
}
