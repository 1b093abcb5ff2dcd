//! Leases, records and ends of leases as the log tells of them.

use onceward_index::{ContentHash, Entry, Fingerprint};
use onceward_wal::Frame;

use super::{Done, Open};
use crate::frames::records::{Lease, LeaseEnd, RecordHead};
use crate::frames::{KIND_LEASE, KIND_LEASE_END, KIND_RECORD, codec};
use crate::view::windows::RECORD_PREFIX;
use crate::view::{Located, Moment, Taking, View};

impl View {
    /// Takes up a frame of a record; `None`: the content is not of this format.
    pub(in crate::view) fn replay_records(
        &mut self,
        frame: &Frame<'_>,
        at: Located,
        moment: Moment,
    ) -> Option<()> {
        match frame.kind {
            KIND_LEASE => self.replay_lease(&codec::decode(frame.body)?, at, moment),
            KIND_RECORD => self.replay_record(&RecordHead::decode(frame.body)?.0, at),
            KIND_LEASE_END => {
                let LeaseEnd { item, fence: _, print } = codec::decode(frame.body)?;
                let held = self.records.open.remove(&item).map(|open| open.held);
                self.keys.release(Fingerprint::from_u128(print), at.lsn, held);
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn replay_lease(&mut self, lease: &Lease, at: Located, moment: Moment) {
        let number = |given: u64| if given == 0 { at.lsn } else { given };
        let (item, fence, token) = (number(lease.item), number(lease.fence), lease.token);
        if self.records.done.contains_key(&item) {
            return;
        }
        if let Some(open) = self.records.open.get_mut(&item) {
            (open.at, open.fence, open.token) = (at, fence, token);
            return;
        }
        let taking = self.record_taking(item, (&lease.scope, &lease.key), lease.content);
        let print = taking.entry.key;
        let is_open = |other: &u64| *other != item && self.records.open.contains_key(other);
        if self.keys.taken_by(print).filter(is_open).is_some() {
            let why = format!("record key {:?} of scope {} again", lease.key, lease.scope);
            self.odd.push((at, why));
            return;
        }
        let held = if lease.item == 0 {
            self.replay_key_of(taking, at.lsn, moment)
        } else {
            self.keys.replay_moved(taking, at.lsn, lease.slice_begin)
        };
        let (expires_ms, change) = (None, None);
        self.records.open.insert(item, Open { print, held, at, fence, token, expires_ms, change });
    }

    pub(super) fn replay_record(&mut self, head: &RecordHead, at: Located) {
        let RecordHead { item, fence, slice_begin, settled_ms, .. } = *head;
        let taking = self.record_taking(item, (&head.scope, &head.key), head.content);
        self.complete_lease((item, fence), at, settled_ms);
        // The lease's key may have been in a later slice by then; or nothing is left of the lease.
        self.records.put_done(item, Done { at, fence, begin: slice_begin });
        self.keys.replay_moved_key(taking, at.lsn, slice_begin, settled_ms);
    }

    fn record_taking(&self, item: u64, (scope, key): (&str, &str), content: u64) -> Taking {
        let print = self.record_print(scope, key);
        let content = ContentHash::from_u64(content);
        let window = self.keys.windows().of(RECORD_PREFIX);
        Taking { entry: Entry { key: print, content, lsn: item }, window }
    }

    /// The log was read: leases whose keys were carried hold the slices that have them now.
    pub(in crate::view) fn end_records_replay(&mut self) {
        for open in self.records.open.values_mut().filter(|open| open.held.slice.is_none()) {
            self.keys.hold_carried(open.print, &mut open.held);
        }
        self.count_records();
    }
}
