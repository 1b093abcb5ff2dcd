//! Leases and records of a segment that is to go, and where they were carried to.

use super::{RecordItem, RecordTable};
use crate::base::{FrameKind, Located, Result, codec};
use crate::kernel::{Asking, Kernel, LiveFrames};
use crate::records::fingerprint;
use crate::records::frames::{LeaseFrame, RecordHead};

impl RecordTable {
    /// Keeps a lease that is not completed.
    pub(crate) fn relocate_lease(&self, lease: LeaseFrame, at: Located, live: &mut LiveFrames) {
        let item = if lease.item == 0 { at.lsn } else { lease.item };
        let Some(open) = self.open(item).filter(|open| open.at == at) else { return };
        // What is queued to happen to it would be in front of the frame that says what it was: it is
        // not found, and the segment stays for now.
        if open.change.is_some() {
            return;
        }
        live.count_known();
        let (fence, slice_begin) = (open.fence, open.held.begin);
        let lease = LeaseFrame { item, fence, slice_begin, ..lease };
        live.push(FrameKind::Lease, codec::encode(&lease));
    }

    /// Keeps a record that is remembered; `body` is that of its frame.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    pub(crate) fn relocate_record(
        &self,
        (kernel, asking): (&Kernel, Asking<'_>),
        (head, body): (&RecordHead, &[u8]),
        at: Located,
        live: &mut LiveFrames,
    ) -> Result<()> {
        let item = head.item;
        if self.done(item).is_none_or(|done| done.at != at) {
            return Ok(());
        }
        live.count_known();
        // After its life the key is free, and perhaps another item's.
        let fingerprint = fingerprint(&kernel.secret, &head.scope, &head.key);
        if asking.find(fingerprint)?.is_some_and(|found| found.lsn == item) {
            live.push(FrameKind::Record, body.to_vec());
        }
        Ok(())
    }

    /// A lease was carried to here.
    pub(crate) fn lease_moved(&mut self, lease: &LeaseFrame, at: Located) {
        if let Some(open) = self.open.get_mut(&lease.item) {
            open.at = at;
        }
    }

    /// A record was carried to here.
    pub(crate) fn record_moved(&mut self, head: &RecordHead, at: Located) {
        if let Some(done) = self.done(head.item) {
            self.put_done(head.item, RecordItem { at, ..done });
        }
    }
}
