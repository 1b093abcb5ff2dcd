//! Leases that are open and records that are completed, by the number of their item.
//!
//! An item is named by the LSN of the lease frame that took its key; the index leads from the key to
//! it. A lease holds the slice of its key as an unsettled event does. No I/O, no clock, no lock here.
//!
//! A live call queues its frame first and notes it here as a [`LeaseChange`]; when the frame is durable
//! the change takes place, whoever hears of it first, and no answer depends on it before.

mod groups;
mod relocate;
mod replay;

use std::collections::BTreeMap;
use std::ops::Bound;

use onceward_index::{ContentHash, Fingerprint, SliceId};

use super::RECORD_PREFIX;
use super::frames::Token;
use crate::base::{Error, Located, Result};
use crate::kernel::{Area, Asking, Kernel, QueuedCommit, SliceHold};
use crate::outbox::EventTable;
use groups::Groups;

/// A lease that is not completed.
#[derive(Clone, Debug)]
pub(crate) struct LeaseItem {
    pub(in crate::records) fingerprint: Fingerprint,
    pub(in crate::records) held: SliceHold,
    /// The frame of the item.
    pub(in crate::records) at: Located,
    pub(in crate::records) fence: u64,
    pub(in crate::records) token: Token,
    /// Trusted time from which on the lease is nobody's; `None`: its holder went with an earlier
    /// opening.
    pub(in crate::records) expires_ms: Option<u64>,
    /// What a frame says that is queued and not known to be durable.
    pub(in crate::records) change: Option<LeaseChange>,
}

/// What a queued frame does to a lease once it is durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaseChange {
    pub(in crate::records) at: Located,
    pub(in crate::records) what: ChangeKind,
}

/// The kinds of [`LeaseChange`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum ChangeKind {
    /// The key is leased: before that nothing was there.
    LeaseReply,
    /// Somebody else has the lease.
    TakenOver { token: Token, expires_ms: u64 },
    /// The record is there, at this trusted time.
    Completed { fence: u64, settled_ms: u64 },
    /// The key is free.
    Released,
}

/// A completed record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RecordItem {
    /// The frame that holds the body.
    pub(in crate::records) at: Located,
    /// The fencing number of the lease that completed the record.
    pub(in crate::records) fence: u64,
    /// Trusted time at which its key's slice began.
    begin: u64,
}

/// What is known of the key of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KnownItem<'a> {
    Open(&'a LeaseItem),
    Done(RecordItem),
    /// The log has nothing of the item any more: it was released.
    Released,
    /// Damage took what the log had of the item: what became of the work cannot be known.
    Lost,
}

/// A record's key that the index has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundItem<'a> {
    pub(in crate::records) number: u64,
    /// Content hash of the request; 0 for none.
    pub(in crate::records) content_hash: ContentHash,
    pub(in crate::records) known: KnownItem<'a>,
}

/// Leases and records.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordTable {
    open: BTreeMap<u64, LeaseItem>,
    /// The records, by number. One whose life is over stays until its segment is cleaned; the index forgot its key.
    done: BTreeMap<u64, RecordItem>,
    groups: Groups,
    /// The items that frames change which are queued, by the LSNs of the frames.
    queued: BTreeMap<u64, u64>,
}

impl LeaseItem {
    /// Whether its first frame is not known to be durable: then it is not there yet.
    pub(crate) fn is_new(&self) -> bool {
        self.change.is_some_and(|change| matches!(change.what, ChangeKind::LeaseReply))
    }
}

impl RecordTable {
    /// Leases that are not completed.
    pub(crate) fn open_count(&self) -> u64 {
        u64::try_from(self.open.len()).unwrap_or(u64::MAX)
    }

    /// Records that are remembered.
    pub(crate) fn done_count(&self) -> u64 {
        self.groups.count()
    }

    /// Leases that are durable, oldest item first, from behind `after` on.
    pub(crate) fn leases(&self, after: u64) -> impl Iterator<Item = (u64, &LeaseItem)> + '_ {
        let later = self.open.range((Bound::Excluded(after), Bound::Unbounded));
        later.filter(|(_, open)| !open.is_new()).map(|(item, open)| (*item, open))
    }

    /// An open lease.
    pub(crate) fn open(&self, item: u64) -> Option<&LeaseItem> {
        self.open.get(&item)
    }

    /// A completed record.
    pub(crate) fn done(&self, item: u64) -> Option<RecordItem> {
        self.done.get(&item).copied()
    }

    /// Notes what a queued frame is about to do.
    pub(crate) fn queue(&mut self, item: u64, change: LeaseChange) {
        if let Some(open) = self.open.get_mut(&item) {
            open.change = Some(change);
            self.queued.insert(change.at.lsn, item);
        }
    }

    /// The lease lasts until then. It needs no frame: whatever a crash leaves of a lease has no holder.
    pub(crate) fn renew(&mut self, item: u64, expires_ms: u64) {
        if let Some(open) = self.open.get_mut(&item) {
            open.expires_ms = Some(expires_ms);
        }
    }

    /// Forgets a lease, as if the log had nothing of it.
    #[cfg(test)]
    pub(crate) fn forget_for_test(&mut self, item: u64) {
        self.open.remove(&item);
    }

    fn put_done(&mut self, item: u64, done: RecordItem) {
        if let Some(before) = self.done.insert(item, done) {
            self.groups.remove(before.begin, before.at.bytes);
        }
        self.groups.add(done.begin, done.at.bytes);
    }

    /// Adds a lease whose frame is queued and whose key is taken.
    pub(crate) fn add(&mut self, open: LeaseItem) {
        let item = open.at.lsn;
        self.queued.extend(open.change.map(|change| (change.at.lsn, item)));
        self.open.insert(item, open);
    }

    /// The frame of a commit is durable: what it says of its item takes place.
    pub(crate) fn confirm(&mut self, kernel: &mut Kernel, commit: &QueuedCommit) {
        let Some((item, change)) = self.take_change(commit.last) else { return };
        let at = change.at;
        match change.what {
            // The kernel confirms the key.
            ChangeKind::LeaseReply => {}
            ChangeKind::TakenOver { token, expires_ms } => {
                self.take_over(item, at, token);
                self.renew(item, expires_ms);
            }
            ChangeKind::Completed { fence, settled_ms } => {
                self.complete(kernel, (item, fence), at, settled_ms);
            }
            ChangeKind::Released => {
                if let Some(open) = self.open.remove(&item) {
                    kernel.keys.release(open.fingerprint, at.lsn, Some(open.held));
                }
            }
        }
    }

    /// The frame of a commit was not stored, or nobody can say: its item is as it was.
    pub(crate) fn withdraw(&mut self, kernel: &mut Kernel, commit: &QueuedCommit) {
        let Some((item, change)) = self.take_change(commit.last) else { return };
        if matches!(change.what, ChangeKind::LeaseReply)
            && let Some(open) = self.open.remove(&item)
        {
            kernel.keys.withdraw(open.fingerprint, item);
        }
    }

    /// What is known of the key of a record; `None`: nothing.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read, or the log in part.
    pub(crate) fn find(
        &self,
        asking: Asking<'_>,
        fingerprint: Fingerprint,
        (kernel, events): (&Kernel, &EventTable),
    ) -> Result<Option<FoundItem<'_>>> {
        let Some(found) = asking.find(fingerprint)? else { return Ok(None) };
        let number = found.lsn;
        let open = self.open.get(&number).map(KnownItem::Open);
        let known = match open.or_else(|| self.done(number).map(KnownItem::Done)) {
            Some(known) => known,
            None if events.outcomes().is_lost(number) => KnownItem::Lost,
            None if kernel.invalid().is_empty() => KnownItem::Released,
            // Perhaps what is left of it is among what this program cannot read.
            None => {
                let message = format!("the record {number} may be in invalid frames of the log");
                return Err(Error::corrupt(message));
            }
        };
        Ok(Some(FoundItem { number, content_hash: found.content, known }))
    }

    fn take_change(&mut self, lsn: u64) -> Option<(u64, LeaseChange)> {
        let item = self.queued.remove(&lsn)?;
        let open = self.open.get_mut(&item)?;
        Some((item, open.change.take_if(|change| change.at.lsn == lsn)?))
    }

    /// Another has the lease now.
    fn take_over(&mut self, item: u64, at: Located, token: Token) {
        if let Some(open) = self.open.get_mut(&item) {
            (open.at, open.fence, open.token) = (at, at.lsn, token);
        }
    }

    /// The lease with this fencing number became a record.
    fn complete(
        &mut self,
        kernel: &mut Kernel,
        (item, fence): (u64, u64),
        at: Located,
        settled_ms: u64,
    ) {
        let Some(LeaseItem { fingerprint, held, .. }) = self.open.remove(&item) else { return };
        kernel.keys.settle(Some(fingerprint), held, settled_ms);
        self.put_done(item, RecordItem { at, fence, begin: held.begin });
    }

    /// Counts the records that are remembered: those of slices that are left.
    fn count(&mut self, kernel: &Kernel) {
        let window = kernel.keys.windows().of(RECORD_PREFIX);
        let slices = kernel.keys.index().slices();
        let live = slices.iter().filter(|info| info.window == window).map(|info| info.begin);
        self.groups.keep(&live.collect());
    }
}

impl Area for RecordTable {
    fn end_replay(&mut self, kernel: &mut Kernel) {
        for open in self.open.values_mut().filter(|open| open.held.slice.is_none()) {
            kernel.keys.hold_carried(Some(open.fingerprint), &mut open.held);
        }
        self.count(kernel);
    }

    fn carry_keys(&mut self, kernel: &mut Kernel, slices: &[SliceId], trusted_ms: u64) {
        let is_held =
            |open: &&mut LeaseItem| open.held.slice.is_some_and(|slice| slices.contains(&slice));
        for open in self.open.values_mut().filter(is_held) {
            kernel.keys.carry(Some(open.fingerprint), &mut open.held, trusted_ms);
        }
    }

    fn slices_ended(&mut self, kernel: &Kernel) {
        self.count(kernel);
    }

    /// Forgets the records of a segment that is gone: those that are remembered moved before.
    fn forget_segment(&mut self, _kernel: &mut Kernel, segment: u64) {
        let Self { done, groups, .. } = self;
        done.retain(|_, done| {
            let stays = done.at.place.segment != segment;
            if !stays {
                groups.remove(done.begin, done.at.bytes);
            }
            stays
        });
    }

    /// How many frames of a segment are needed, those included that are not durable yet.
    fn known_frames(&self, segment: u64) -> usize {
        let open = self.open.values().map(|open| &open.at);
        let changes = self.open.values().filter_map(|open| open.change.as_ref());
        // The frame that begins a lease is counted with it.
        let changes = changes.filter(|change| !matches!(change.what, ChangeKind::LeaseReply));
        let all = open.chain(changes.map(|change| &change.at));
        let done = self.done.values().map(|done| &done.at);
        all.chain(done).filter(|at| at.place.segment == segment).count()
    }

    fn live_bytes(&self) -> u64 {
        let open = self.open.values().map(|open| u64::from(open.at.bytes)).sum::<u64>();
        open.saturating_add(self.groups.bytes())
    }

    fn key_count(&self) -> u64 {
        self.open_count().saturating_add(self.done_count())
    }

    fn knows(&self, item: u64) -> bool {
        self.open.contains_key(&item) || self.done.contains_key(&item)
    }

    fn held_slices(&self, held: &mut BTreeMap<Fingerprint, SliceId>) {
        let open = self.open.values();
        held.extend(open.filter_map(|open| Some((open.fingerprint, open.held.slice?))));
    }
}

#[cfg(test)]
mod tests;
