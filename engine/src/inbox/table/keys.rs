//! The keys by which a delivery is known. The layout is in `FORMAT.md`. No I/O here.

use onceward_index::{ContentHash, Entry, Fingerprint, Secret, Window};

use crate::inbox::frames::{DeliveryBody, WithinBody};
use crate::inbox::{INBOX, SUBJECTS};
use crate::kernel::{Reservation, Windows};

/// One of the keys by which a delivery is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct DeliveryKey {
    /// The key's fingerprint.
    pub(in crate::inbox) fingerprint: Fingerprint,
    /// How long it is remembered.
    pub(in crate::inbox) window: Window,
    /// Whether the key is of a server window: such a key is remembered at least until the window is over.
    pub(in crate::inbox) is_of_window: bool,
}

impl DeliveryKey {
    /// What the index gets as content: whatever comes under the key is the same delivery.
    pub(crate) fn reservation(&self, lsn: u64) -> Reservation {
        let entry = Entry { key: self.fingerprint, content: ContentHash::from_u64(0), lsn };
        Reservation { entry, window: self.window }
    }
}

/// The keys by which a delivery is known: one to three of them, always in the same order.
pub(crate) fn delivery_keys(
    secret: &Secret,
    windows: &Windows,
    body: &DeliveryBody,
) -> Vec<DeliveryKey> {
    let plain = |scope: &str, text: &String| DeliveryKey {
        fingerprint: secret.fingerprint(scope, text.as_bytes()),
        window: windows.of(INBOX),
        is_of_window: false,
    };
    let event = body.event_id.iter().map(|text| plain("event:", text));
    let external = body.external_id.iter().map(|text| plain("external:", text));
    let within = body.within.iter().map(|within| DeliveryKey {
        fingerprint: secret
            .fingerprint(&format!("subject:{}", within.window), &subject_key(within)),
        window: windows.of(SUBJECTS),
        is_of_window: true,
    });
    event.chain(external).chain(within).collect()
}

/// What people call a delivery.
pub(crate) fn name_of(body: &DeliveryBody) -> &str {
    let within = || body.within.as_ref().map(|within| within.delivery_id.as_str());
    body.event_id.as_deref().or_else(within).unwrap_or_default()
}

/// Subject and delivery as one key; the subject's length before it keeps two of them apart.
fn subject_key(within: &WithinBody) -> Vec<u8> {
    let bytes = u32::try_from(within.subject.len()).unwrap_or(u32::MAX);
    [&bytes.to_le_bytes(), within.subject.as_bytes(), within.delivery_id.as_bytes()].concat()
}
