//! Leases, records and ends of leases as the log has them.

use onceward_index::{ContentHash, Entry, Fingerprint};

use super::{LeaseItem, RecordItem, RecordTable};
use crate::base::{Located, Moment};
use crate::kernel::{Kernel, Reservation};
use crate::records::frames::{LeaseEndFrame, LeaseFrame, RecordHead};
use crate::records::{RECORD_PREFIX, fingerprint};

impl RecordTable {
    /// Applies a lease: one that was taken, taken over, or carried.
    pub(crate) fn replay_lease(
        &mut self,
        kernel: &mut Kernel,
        lease: &LeaseFrame,
        (at, moment): (Located, Moment),
    ) {
        let number = |given: u64| if given == 0 { at.lsn } else { given };
        let (item, fence, token) = (number(lease.item), number(lease.fence), lease.token);
        if self.done.contains_key(&item) {
            return;
        }
        if let Some(open) = self.open.get_mut(&item) {
            (open.at, open.fence, open.token) = (at, fence, token);
            return;
        }
        let reservation = reservation(kernel, item, (&lease.scope, &lease.key), lease.content_hash);
        let fingerprint = reservation.entry.key;
        let is_open = |other: &u64| *other != item && self.open.contains_key(other);
        if kernel.keys.taken_by(fingerprint).filter(is_open).is_some() {
            let why = format!(
                "the record key {:?} of scope {} was taken by an earlier lease",
                lease.key, lease.scope
            );
            kernel.note_invalid(at, why);
            return;
        }
        let held = if lease.item == 0 {
            kernel.replay_key(reservation, at.lsn, moment)
        } else {
            kernel.keys.replay().moved(reservation, at.lsn, lease.slice_begin)
        };
        let (expires_ms, change) = (None, None);
        self.open
            .insert(item, LeaseItem { fingerprint, held, at, fence, token, expires_ms, change });
    }

    /// Applies a record: a lease was completed, or the record was carried.
    pub(crate) fn replay_record(&mut self, kernel: &mut Kernel, head: &RecordHead, at: Located) {
        let RecordHead { item, fence, slice_begin, settled_ms, .. } = *head;
        let reservation = reservation(kernel, item, (&head.scope, &head.key), head.content_hash);
        self.complete(kernel, (item, fence), at, settled_ms);
        // The lease's key may have been in a later slice by then; or nothing is left of the lease.
        self.put_done(item, RecordItem { at, fence, begin: slice_begin });
        kernel.keys.replay().moved_key(reservation, at.lsn, slice_begin, settled_ms);
    }

    /// Applies the end of a lease: its key is free.
    pub(crate) fn replay_end(&mut self, kernel: &mut Kernel, end: &LeaseEndFrame, at: Located) {
        let held = self.open.remove(&end.item).map(|open| open.held);
        kernel.keys.release(Fingerprint::from_u128(end.fingerprint), at.lsn, held);
    }
}

/// What the index gets of a record's key.
fn reservation(
    kernel: &Kernel,
    item: u64,
    (scope, key): (&str, &str),
    content_hash: u64,
) -> Reservation {
    let entry = Entry {
        key: fingerprint(&kernel.secret, scope, key),
        content: ContentHash::from_u64(content_hash),
        lsn: item,
    };
    Reservation { entry, window: kernel.keys.windows().of(RECORD_PREFIX) }
}
