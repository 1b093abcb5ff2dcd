//! What changes a lease: queued, waited for, applied by whoever hears first that it is durable.

use std::sync::atomic::Ordering::Relaxed;

use onceward_wal::{Lsn, NewFrame, Purpose};

use super::Records;
use super::begin::lost_key;
use crate::base::{Error, ErrorKind, FrameKind, Located, Result, codec};
use crate::event::Payload;
use crate::kernel::{Asking, Queueing, Share, Waiter};
use crate::records::frames::{LeaseEndFrame, RecordHead};
use crate::records::table::{ChangeKind, KnownItem, LeaseChange, LeaseItem, RecordItem};
use crate::records::{Lease, Record, fingerprint};
use crate::store::StoreState;

/// What of a segment the ends of leases may take from the reserve while captures find no room.
const RESERVE_SHARE: u64 = 4;
/// What a frame takes besides its body.
const FRAME_BYTES: u64 = 48;

/// How a lease is to end.
#[derive(Clone, Copy)]
pub(super) enum Ending<'a> {
    Complete(&'a Payload),
    Release,
}

/// What a lease was found to be, once what was asked is durable.
pub(super) enum Holding {
    /// The lease was the caller's, and ended as asked.
    Mine { record: Option<Record> },
    /// The key has a record.
    Done { item: u64, done: RecordItem },
    /// The lease is another caller's, or nobody's.
    Lost,
}

/// What is known under a lease's key.
enum FoundLease {
    Wait(Lsn),
    Mine { item: u64, content_hash: u64, open: LeaseItem },
    Done { item: u64, done: RecordItem },
    Lost,
}

impl Records<'_> {
    /// Ends a lease, if it is still its holder's.
    pub(super) fn end_lease(&self, lease: &Lease, ending: Ending<'_>) -> Result<Holding> {
        loop {
            self.inner.refuse_if_closed()?;
            let control = self.inner.control.lock();
            let mut state = self.inner.state.lock();
            self.inner.resolve(&mut state);
            let found = self.inner.asking(&mut state, |state, keys| found(state, keys, lease))?;
            let (item, content_hash, open) = match found {
                FoundLease::Wait(waiting) => {
                    drop((state, control));
                    self.inner.wait_for_other(waiting)?;
                    continue;
                }
                FoundLease::Done { item, done } => return Ok(Holding::Done { item, done }),
                FoundLease::Lost => return Ok(Holding::Lost),
                FoundLease::Mine { item, content_hash, open } => (item, content_hash, open),
            };
            let (waiting, record) = match ending {
                Ending::Release => (self.queue_release(&mut state, item, &open)?, None),
                Ending::Complete(body) => {
                    let of = (item, content_hash, &open);
                    let (waiting, record) = self.queue_record(&mut state, lease, of, body)?;
                    (waiting, Some(record))
                }
            };
            drop((state, control));
            self.inner.wait(waiting)?;
            if let Some(record) = &record {
                self.inner.bodies.lock().put(item, record);
            }
            return Ok(Holding::Mine { record });
        }
    }

    /// Lets a lease last longer, if it is still its holder's.
    pub(super) fn renew_lease(&self, lease: &Lease, lease_ms: u64) -> Result<Option<Lease>> {
        loop {
            self.inner.refuse_if_closed()?;
            let mut state = self.inner.state.lock();
            self.inner.resolve(&mut state);
            let now = self.inner.time.now();
            match self.inner.asking(&mut state, |state, keys| found(state, keys, lease))? {
                FoundLease::Wait(waiting) => {
                    drop(state);
                    self.inner.wait_for_other(waiting)?;
                }
                FoundLease::Done { .. } | FoundLease::Lost => return Ok(None),
                FoundLease::Mine { item, .. } => {
                    state.records.renew(item, now.trusted_ms.saturating_add(lease_ms));
                    let expires_at_ms = self.inner.time.wall_ms().saturating_add_unsigned(lease_ms);
                    return Ok(Some(Lease { expires_at_ms, ..lease.clone() }));
                }
            }
        }
    }

    fn queue_release(&self, state: &mut StoreState, item: u64, open: &LeaseItem) -> Result<Lsn> {
        let end =
            LeaseEndFrame { item, fence: open.fence, fingerprint: open.fingerprint.as_u128() };
        let body = codec::encode(&end);
        let at =
            self.queue_end_of(state, (FrameKind::LeaseEnd, &[&body]), self.inner.time.mono_ms())?;
        state.records.queue(item, LeaseChange { at, what: ChangeKind::Released });
        number(at)
    }

    fn queue_record(
        &self,
        state: &mut StoreState,
        lease: &Lease,
        (item, content_hash, open): (u64, u64, &LeaseItem),
        body: &Payload,
    ) -> Result<(Lsn, Record)> {
        let mono_ms = self.inner.time.mono_ms();
        let moment = self.inner.time.moment(mono_ms);
        let completed_at_ms = self.inner.time.wall_ms();
        let fence = open.fence;
        let head = RecordHead {
            item,
            fence,
            scope: lease.scope.as_str().to_owned(),
            key: lease.key.as_str().to_owned(),
            content_hash,
            slice_begin: open.held.begin,
            settled_ms: moment.trusted_ms,
            completed_at_ms,
            form: u8::from(body.is_json()),
        };
        let head = head.encode();
        let parts = [head.as_slice(), body.as_bytes()];
        let at = self.queue_end_of(state, (FrameKind::Record, &parts), mono_ms)?;
        let what = ChangeKind::Completed { fence, settled_ms: moment.trusted_ms };
        state.records.queue(item, LeaseChange { at, what });
        let fence = lease.fence;
        let record = Record { body: body.clone(), completed_at_ms, fence };
        Ok((number(at)?, record))
    }

    /// Queues a frame for which nothing of the reserve is used, and which takes so many keys.
    pub(super) fn queue_new(
        &self,
        state: &mut StoreState,
        frame: (FrameKind, &[&[u8]]),
        (keys, mono_ms): (usize, u64),
    ) -> Result<Located> {
        let purpose = self.inner.reserve().capture_purpose(state, 0);
        self.queue_frame(state, frame, (keys, mono_ms, purpose))
    }

    /// Queues one frame that finishes something. Where captures find no room it may use the reserve, a
    /// little of it: the rest is for what gives room back. The caller holds `control`.
    pub(super) fn queue_end_of(
        &self,
        state: &mut StoreState,
        frame: (FrameKind, &[&[u8]]),
        mono_ms: u64,
    ) -> Result<Located> {
        let mut used = self.inner.reserve_used.load(Relaxed);
        // What captures find in a segment that settling took from the reserve is no sign of it.
        if used > 0 && self.inner.log.has_whole_reserve() {
            used = 0;
        }
        if used == 0 {
            match self.queue_new(state, frame, (0, mono_ms)) {
                Err(error) if error.kind() == ErrorKind::Full => {}
                done => {
                    self.inner.reserve_used.store(0, Relaxed);
                    return done;
                }
            }
        }
        let bytes: usize = frame.1.iter().map(|part| part.len()).sum();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(FRAME_BYTES);
        let used = used.saturating_add(bytes);
        if used > self.inner.log.reserved_segment_bytes() / RESERVE_SHARE {
            let message = "the disk is full: the room that is left is kept for settling events";
            return Err(Error::new(ErrorKind::Full, "FULL", message));
        }
        let purpose = self.inner.reserve().purpose(state, (Share::Decisions, 0));
        let at = self.queue_frame(state, frame, (0, mono_ms, purpose))?;
        self.inner.reserve_used.store(used, Relaxed);
        Ok(at)
    }

    fn queue_frame(
        &self,
        state: &mut StoreState,
        (kind, parts): (FrameKind, &[&[u8]]),
        (keys, mono_ms, purpose): (usize, u64, Purpose),
    ) -> Result<Located> {
        let new = [NewFrame { kind: kind.code(), flags: 0, parts }];
        let how = Queueing { kind, keys, mono_ms, purpose, waiter: Waiter::Call };
        self.inner.queue(state, &new, how)?.into_iter().next().ok_or_else(lost_key)
    }
}

/// The number of a frame, to wait for.
fn number(at: Located) -> Result<Lsn> {
    Lsn::from_u64(at.lsn).ok_or_else(lost_key)
}

/// What a lease is now. The caller holds the state.
fn found(state: &StoreState, keys: Asking<'_>, lease: &Lease) -> Result<FoundLease> {
    let secret = &state.kernel.secret;
    let fingerprint = fingerprint(secret, lease.scope.as_str(), lease.key.as_str());
    let below = (&state.kernel, state.outbox.events());
    let Some(item) = state.records.find(keys, fingerprint, below)? else {
        return Ok(FoundLease::Lost);
    };
    let item_number = item.number;
    Ok(match item.known {
        KnownItem::Open(LeaseItem { change: Some(change), .. }) => {
            FoundLease::Wait(number(change.at)?)
        }
        KnownItem::Open(open) if open.fence == lease.fence.get() && open.token == lease.token => {
            FoundLease::Mine {
                item: item_number,
                content_hash: item.content_hash.as_u64(),
                open: open.clone(),
            }
        }
        KnownItem::Done(done) if done.fence == lease.fence.get() => {
            FoundLease::Done { item: item_number, done }
        }
        KnownItem::Open(_) | KnownItem::Done(_) | KnownItem::Released | KnownItem::Lost => {
            FoundLease::Lost
        }
    })
}
