//! Leases that are open and records that are completed, by the number of their item.
//!
//! An item is named by the LSN of the lease frame that took its key; the index leads from the key to
//! it. A lease holds the slice of its key as an unsettled event does. No I/O, no clock, no lock here.
//!
//! A live call queues its frame first and notes it here as a [`Change`]; when the frame is durable
//! the change takes place, whoever hears of it first, and nobody is told of it before.

mod groups;
mod replay;

use std::collections::BTreeMap;
use std::ops::Bound;

use onceward_index::{ContentHash, Fingerprint, Secret, SliceId};

use super::windows::RECORD_PREFIX;
use super::{Asking, Held, Located, View};
use crate::error::{Error, Result};
use crate::frames::records::Token;
use crate::frames::{KIND_LEASE, KIND_RECORD};
use groups::Groups;

/// A lease that is not completed.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) print: Fingerprint,
    pub(crate) held: Held,
    /// The frame that stands for it.
    pub(crate) at: Located,
    pub(crate) fence: u64,
    pub(crate) token: Token,
    /// Trusted time from which on the lease is nobody's; `None`: its holder went with an earlier
    /// opening.
    pub(crate) expires_ms: Option<u64>,
    /// What a frame says that is queued and not known to be durable.
    pub(crate) change: Option<Change>,
}

/// What a queued frame does to a lease once it is durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) at: Located,
    pub(crate) what: What,
}

/// The kinds of [`Change`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// The key is leased: before that nothing was there.
    Begun,
    /// Somebody else has the lease.
    TakenOver { token: Token, expires_ms: u64 },
    /// The record is there, at this trusted time.
    Completed { fence: u64, settled_ms: u64 },
    /// The key is free.
    Released,
}

/// A completed record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Done {
    /// The frame that holds the body.
    pub(crate) at: Located,
    /// Of the lease that completed it.
    pub(crate) fence: u64,
    /// Trusted time at which its key's slice began.
    begin: u64,
}

/// What is known of the key of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known<'a> {
    Open(&'a Open),
    Done(Done),
    /// The log has nothing of the item any more: it was released.
    Released,
    /// Damage took what the log had of the item: nobody can tell what became of the work.
    Lost,
}

/// A record's key that the index has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) number: u64,
    /// Print of the request; 0 for none.
    pub(crate) content: ContentHash,
    pub(crate) known: Known<'a>,
}

/// Leases and records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    open: BTreeMap<u64, Open>,
    /// Those whose life is over stay until their segment is cleaned: the index forgot their keys.
    done: BTreeMap<u64, Done>,
    groups: Groups,
}

impl Open {
    /// Whether its first frame is not known to be durable: then it is not there yet.
    pub(crate) fn is_new(&self) -> bool {
        self.change.is_some_and(|change| matches!(change.what, What::Begun))
    }
}

impl Records {
    /// Leases that are not completed.
    pub(crate) fn open_count(&self) -> u64 {
        u64::try_from(self.open.len()).unwrap_or(u64::MAX)
    }

    /// Records that are remembered.
    pub(crate) fn done_count(&self) -> u64 {
        self.groups.count()
    }

    /// Bytes of the frames of leases and of records that are remembered.
    pub(crate) fn live_bytes(&self) -> u64 {
        let open = self.open.values().map(|open| u64::from(open.at.bytes)).sum::<u64>();
        open.saturating_add(self.groups.bytes())
    }

    /// Leases that are durable, oldest item first, from behind `after` on.
    pub(crate) fn leases(&self, after: u64) -> impl Iterator<Item = (u64, &Open)> + '_ {
        let later = self.open.range((Bound::Excluded(after), Bound::Unbounded));
        later.filter(|(_, open)| !open.is_new()).map(|(item, open)| (*item, open))
    }

    /// Every open lease, durable or not.
    pub(crate) fn all_open(&self) -> impl Iterator<Item = &Open> + '_ {
        self.open.values()
    }

    /// An open lease.
    pub(crate) fn open(&self, item: u64) -> Option<&Open> {
        self.open.get(&item)
    }

    /// A completed record.
    pub(crate) fn done(&self, item: u64) -> Option<Done> {
        self.done.get(&item).copied()
    }

    /// How many frames of a segment are needed, those included that are not durable yet.
    pub(super) fn known_frames(&self, segment: u64) -> usize {
        let open = self.open.values().map(|open| &open.at);
        let changes = self.open.values().filter_map(|open| open.change.as_ref());
        // The frame that begins a lease is counted with it.
        let changes = changes.filter(|change| !matches!(change.what, What::Begun));
        let all = open.chain(changes.map(|change| &change.at));
        let done = self.done.values().map(|done| &done.at);
        all.chain(done).filter(|at| at.place.segment == segment).count()
    }

    /// Forgets the records of a segment that is gone: those that are remembered moved before.
    pub(super) fn forget_segment(&mut self, segment: u64) {
        let Self { done, groups, .. } = self;
        done.retain(|_, done| {
            let stays = done.at.place.segment != segment;
            if !stays {
                groups.remove(done.begin, done.at.bytes);
            }
            stays
        });
    }

    /// Notes what a queued frame is about to do.
    pub(crate) fn queue(&mut self, item: u64, change: Change) {
        if let Some(open) = self.open.get_mut(&item) {
            open.change = Some(change);
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

    fn put_done(&mut self, item: u64, done: Done) {
        if let Some(before) = self.done.insert(item, done) {
            self.groups.remove(before.begin, before.at.bytes);
        }
        self.groups.add(done.begin, done.at.bytes);
    }
}

/// The fingerprint of a record's key: that of an event with the same scope and key is another.
pub(crate) fn record_print(secret: &Secret, scope: &str, key: &str) -> Fingerprint {
    secret.fingerprint(&format!("{RECORD_PREFIX}{scope}"), key.as_bytes())
}

impl<'v> Asking<'v> {
    /// What is known of the key of a record; `None`: nothing.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read, or the log in part.
    pub(crate) fn item(self, print: Fingerprint) -> Result<Option<Item<'v>>> {
        let Some(found) = self.find(print)? else { return Ok(None) };
        let (view, number) = (self.view(), found.lsn);
        let open = view.records.open.get(&number).map(Known::Open);
        let known = match open.or_else(|| view.records.done(number).map(Known::Done)) {
            Some(known) => known,
            None if view.is_lost(number) => Known::Lost,
            None if view.odd.is_empty() => Known::Released,
            // Perhaps what is left of it is among what this program cannot read.
            None => {
                let message = format!("the record {number} may stand in frames that do not fit");
                return Err(Error::corrupt(message));
            }
        };
        Ok(Some(Item { number, content: found.content, known }))
    }
}

impl View {
    /// The fingerprint of a record's key.
    pub(crate) fn record_print(&self, scope: &str, key: &str) -> Fingerprint {
        record_print(&self.secret, scope, key)
    }

    /// A lease whose frame is queued and whose key is taken.
    pub(crate) fn add_lease(&mut self, open: Open) {
        self.records.open.insert(open.at.lsn, open);
    }

    /// The frame `lsn` is durable: what it says of the item takes place, unless it did.
    pub(crate) fn apply_change(&mut self, item: u64, lsn: u64) {
        let Some(change) = self.take_change(item, lsn) else { return };
        let at = change.at;
        match change.what {
            What::Begun => self.keys.confirm([lsn]),
            What::TakenOver { token, expires_ms } => {
                self.take_over(item, at, token);
                self.records.renew(item, expires_ms);
            }
            What::Completed { fence, settled_ms } => {
                self.complete_lease((item, fence), at, settled_ms);
            }
            What::Released => self.end_lease(item, at.lsn),
        }
    }

    /// The frame `lsn` was not stored, or nobody can say: the item is as it was.
    pub(crate) fn drop_change(&mut self, item: u64, lsn: u64) {
        let Some(change) = self.take_change(item, lsn) else { return };
        if matches!(change.what, What::Begun)
            && let Some(open) = self.records.open.remove(&item)
        {
            self.keys.withdraw(open.print, item);
        }
    }

    fn take_change(&mut self, item: u64, lsn: u64) -> Option<Change> {
        let open = self.records.open.get_mut(&item)?;
        open.change.take_if(|change| change.at.lsn == lsn)
    }

    /// Another has the lease now.
    fn take_over(&mut self, item: u64, at: Located, token: Token) {
        if let Some(open) = self.records.open.get_mut(&item) {
            (open.at, open.fence, open.token) = (at, at.lsn, token);
        }
    }

    /// The lease with this fencing number became a record.
    fn complete_lease(&mut self, (item, fence): (u64, u64), at: Located, settled_ms: u64) {
        let Some(Open { print, held, .. }) = self.records.open.remove(&item) else { return };
        self.keys.settle(&[(print, held)], settled_ms);
        self.records.put_done(item, Done { at, fence, begin: held.begin });
    }

    /// The lease is given back and the key is free, as the frame `frame` says.
    fn end_lease(&mut self, item: u64, frame: u64) {
        if let Some(open) = self.records.open.remove(&item) {
            self.keys.release(open.print, frame, Some(open.held));
        }
    }

    /// A frame that cleaning carried stands for its item from now on.
    pub(super) fn moved_in_records(&mut self, kind: u8, item: u64, at: Located) {
        match kind {
            KIND_LEASE => {
                if let Some(open) = self.records.open.get_mut(&item) {
                    open.at = at;
                }
            }
            KIND_RECORD => {
                if let Some(done) = self.records.done(item) {
                    self.records.put_done(item, Done { at, ..done });
                }
            }
            _ => {}
        }
    }

    /// Moves the keys of leases out of slices that are over.
    pub(super) fn carry_leases(&mut self, slices: &[SliceId], trusted_ms: u64) {
        let is_held = |open: &&mut Open| open.held.slice.is_some_and(|it| slices.contains(&it));
        for open in self.records.open.values_mut().filter(is_held) {
            self.keys.carry(open.print, &mut open.held, trusted_ms);
        }
    }

    /// Stops counting the records whose slices are gone.
    pub(super) fn count_records(&mut self) {
        let window = self.keys.windows().of(RECORD_PREFIX);
        let slices = self.keys.index().slices();
        let live = slices.iter().filter(|info| info.window == window).map(|info| info.begin);
        self.records.groups.keep(&live.collect());
    }
}

#[cfg(test)]
mod tests;
