//! Leases and records of a segment that is to go.

use onceward_wal::Frame;

use super::{Carry, Harvest};
use crate::error::Result;
use crate::frames::records::{Lease, RecordHead};
use crate::frames::{KIND_LEASE, KIND_RECORD, codec};
use crate::view::{Asking, Located, View};

impl Harvest {
    /// Keeps a lease that is open, without anything else.
    pub(super) fn take_lease(&mut self, view: &View, frame: &Frame<'_>, at: Located) {
        let Some(lease) = codec::decode::<Lease>(frame.body) else { return };
        let item = if lease.item == 0 { at.lsn } else { lease.item };
        let Some(open) = view.records.open(item).filter(|open| open.at == at) else { return };
        // What is queued to happen to it would stand before the frame that says what it was: it is
        // not found, and the segment stays for now.
        if open.change.is_some() {
            return;
        }
        self.known_frames += 1;
        let (fence, slice_begin) = (open.fence, open.held.begin);
        let body = codec::encode(&Lease { item, fence, slice_begin, ..lease });
        self.push(Carry::Control { kind: KIND_LEASE, body, of: item });
    }

    /// Keeps a record that is remembered, with its body.
    pub(super) fn take_record(
        &mut self,
        view: Asking<'_>,
        frame: &Frame<'_>,
        at: Located,
    ) -> Result<()> {
        let Some((head, _body)) = RecordHead::decode(frame.body) else { return Ok(()) };
        let item = head.item;
        if view.records.done(item).is_none_or(|done| done.at != at) {
            return Ok(());
        }
        self.known_frames += 1;
        // After its life the key is free, and perhaps another item's.
        let print = view.record_print(&head.scope, &head.key);
        if view.find(print)?.is_some_and(|found| found.lsn == item) {
            let body = frame.body.to_vec();
            self.push(Carry::Control { kind: KIND_RECORD, body, of: item });
        }
        Ok(())
    }
}
