//! What changes a lease: queued, waited for, applied by whoever hears first that it is durable.

use std::sync::atomic::Ordering::Relaxed;

use onceward_wal::{Lsn, NewFrame, Purpose};

use super::begin::lost_key;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Payload;
use crate::frames::records::{LeaseEnd, RecordHead};
use crate::frames::{KIND_LEASE_END, KIND_RECORD, codec};
use crate::record::{Lease, Record};
use crate::store::{Inner, Share, capture_purpose, from_log, located};
use crate::view::records::{Change, Done, Known, Open, What};
use crate::view::{Asking, Located, View};

/// What of a segment the ends of leases may take from the reserve while captures find no room.
const RESERVE_SHARE: u64 = 4;
/// What a frame takes besides its body.
const FRAME_BYTES: u64 = 48;

/// A queued frame of an item.
#[derive(Clone, Copy)]
pub(super) struct Waiting {
    pub(super) item: u64,
    pub(super) lsn: Lsn,
}

impl Waiting {
    /// For the frame that stands there.
    pub(super) fn on(item: u64, at: Located) -> Result<Self> {
        Ok(Self { item, lsn: Lsn::from_u64(at.lsn).ok_or_else(lost_key)? })
    }
}

/// How a lease is to end.
#[derive(Clone, Copy)]
pub(super) enum Ending<'a> {
    Complete(&'a Payload),
    Release,
}

/// What a lease was found to be, once what was asked is durable.
pub(super) enum Holding {
    /// It was its holder's, and ended as asked.
    Mine { record: Option<Record> },
    /// The key has a record.
    Done { item: u64, done: Done },
    /// It is another's, or nobody's.
    Lost,
}

/// What stands under a lease's key.
enum Found {
    Wait(Waiting),
    Mine { item: u64, content: u64, open: Open },
    Done { item: u64, done: Done },
    Lost,
}

impl Inner {
    /// Ends a lease, if it is still its holder's.
    pub(super) fn end_lease(&self, lease: &Lease, ending: Ending<'_>) -> Result<Holding> {
        loop {
            self.refuse_if_closed()?;
            let control = self.control.lock();
            let mut view = self.view.lock();
            let (item, content, open) = match self.asking(&mut view, |view| found(view, lease))? {
                Found::Wait(waiting) => {
                    drop((view, control));
                    self.wait_for_other(waiting)?;
                    continue;
                }
                Found::Done { item, done } => return Ok(Holding::Done { item, done }),
                Found::Lost => return Ok(Holding::Lost),
                Found::Mine { item, content, open } => (item, content, open),
            };
            let (waiting, record) = match ending {
                Ending::Release => (self.queue_release(&mut view, item, &open)?, None),
                Ending::Complete(body) => {
                    let of = (item, content, &open);
                    let (waiting, record) = self.queue_record(&mut view, lease, of, body)?;
                    (waiting, Some(record))
                }
            };
            drop((view, control));
            self.end_change(waiting)?;
            if let Some(record) = &record {
                self.bodies.lock().put(item, record);
            }
            return Ok(Holding::Mine { record });
        }
    }

    /// Lets a lease last longer, if it is still its holder's.
    pub(super) fn renew_lease(&self, lease: &Lease, lease_ms: u64) -> Result<Option<Lease>> {
        loop {
            self.refuse_if_closed()?;
            let mut view = self.view.lock();
            let now = self.moment(self.mono_ms());
            match self.asking(&mut view, |view| found(view, lease))? {
                Found::Wait(waiting) => {
                    drop(view);
                    self.wait_for_other(waiting)?;
                }
                Found::Done { .. } | Found::Lost => return Ok(None),
                Found::Mine { item, .. } => {
                    view.records.renew(item, now.trusted_ms.saturating_add(lease_ms));
                    let expires_at_ms = self.wall_ms().saturating_add_unsigned(lease_ms);
                    return Ok(Some(Lease { expires_at_ms, ..lease.clone() }));
                }
            }
        }
    }

    fn queue_release(&self, view: &mut View, item: u64, open: &Open) -> Result<Waiting> {
        let end = LeaseEnd { item, fence: open.fence, print: open.print.as_u128() };
        let body = codec::encode(&end);
        let at = self.queue_end_of(view, (KIND_LEASE_END, &[&body]), self.mono_ms())?;
        view.records.queue(item, Change { at, what: What::Released });
        Waiting::on(item, at)
    }

    fn queue_record(
        &self,
        view: &mut View,
        lease: &Lease,
        (item, content, open): (u64, u64, &Open),
        body: &Payload,
    ) -> Result<(Waiting, Record)> {
        let mono_ms = self.mono_ms();
        let moment = self.moment(mono_ms);
        let completed_at_ms = self.wall_ms();
        let fence = open.fence;
        let head = RecordHead {
            item,
            fence,
            scope: lease.scope.as_str().to_owned(),
            key: lease.key.as_str().to_owned(),
            content,
            slice_begin: open.held.begin,
            settled_ms: moment.trusted_ms,
            completed_at_ms,
            form: u8::from(body.is_json()),
        };
        let head = head.encode();
        let parts = [head.as_slice(), body.as_bytes()];
        let at = self.queue_end_of(view, (KIND_RECORD, &parts), mono_ms)?;
        let what = What::Completed { fence, settled_ms: moment.trusted_ms };
        view.records.queue(item, Change { at, what });
        let fence = lease.fence;
        let record = Record { body: body.clone(), completed_at_ms, fence };
        Ok((Waiting::on(item, at)?, record))
    }

    /// Queues one frame that begins something new: refused where captures are.
    pub(super) fn queue_new(
        &self,
        view: &mut View,
        frame: (u8, &[&[u8]]),
        mono_ms: u64,
    ) -> Result<Located> {
        let purpose = capture_purpose(view, &[]);
        self.queue_frame(view, frame, mono_ms, purpose)
    }

    /// Queues one frame that finishes something. Where captures find no room it may use the reserve, a
    /// little of it: the rest is for what gives room back. The caller holds `control`.
    pub(super) fn queue_end_of(
        &self,
        view: &mut View,
        frame: (u8, &[&[u8]]),
        mono_ms: u64,
    ) -> Result<Located> {
        let mut used = self.reserve_used.load(Relaxed);
        // What captures find in a segment that settling took from the reserve is no sign of it.
        if used > 0 && self.log.has_whole_reserve() {
            used = 0;
        }
        if used == 0 {
            match self.queue_new(view, frame, mono_ms) {
                Err(error) if error.kind() == ErrorKind::Full => {}
                done => {
                    self.reserve_used.store(0, Relaxed);
                    return done;
                }
            }
        }
        let bytes: usize = frame.1.iter().map(|part| part.len()).sum();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(FRAME_BYTES);
        let used = used.saturating_add(bytes);
        if used > self.log.reserved_segment_bytes() / RESERVE_SHARE {
            let message = "the disk is full, and what is left is for settling";
            return Err(Error::new(ErrorKind::Full, "FULL", message));
        }
        let purpose = self.purpose_in(view, Share::Decisions);
        let at = self.queue_frame(view, frame, mono_ms, purpose)?;
        self.reserve_used.store(used, Relaxed);
        Ok(at)
    }

    fn queue_frame(
        &self,
        view: &mut View,
        (kind, parts): (u8, &[&[u8]]),
        mono_ms: u64,
        purpose: Purpose,
    ) -> Result<Located> {
        let new = [NewFrame { kind, flags: 0, parts }];
        let appended =
            self.log.append_deferred(&new, mono_ms, purpose).map_err(from_log)?.appended();
        let placed = located(&appended, &new);
        self.wrote(view, &new, &placed, (0, mono_ms));
        placed.into_iter().next().ok_or_else(lost_key)
    }

    /// Waits for a frame of this call.
    pub(super) fn end_change(&self, Waiting { item, lsn }: Waiting) -> Result<()> {
        let waited = self.log.wait(lsn);
        let mut view = self.view.lock();
        match &waited {
            Ok(()) => {
                self.keeper.is_durable();
                view.apply_change(item, lsn.get());
            }
            Err(_) => view.drop_change(item, lsn.get()),
        }
        drop(view);
        waited.map_err(from_log)
    }

    /// Waits for a frame of another call, before its key is judged again.
    pub(super) fn wait_for_other(&self, waiting: Waiting) -> Result<()> {
        match self.end_change(waiting) {
            // It was surely not stored, which is the other one's trouble.
            Err(error) if error.kind() == ErrorKind::Full => Ok(()),
            done => done,
        }
    }
}

/// What a lease is now. The caller holds the view.
fn found(view: Asking<'_>, lease: &Lease) -> Result<Found> {
    let print = view.record_print(lease.scope.as_str(), lease.key.as_str());
    let Some(item) = view.item(print)? else { return Ok(Found::Lost) };
    let number = item.number;
    Ok(match item.known {
        Known::Open(Open { change: Some(change), .. }) => {
            Found::Wait(Waiting::on(number, change.at)?)
        }
        Known::Open(open) if open.fence == lease.fence.get() && open.token == lease.token => {
            Found::Mine { item: number, content: item.content.as_u64(), open: open.clone() }
        }
        Known::Done(done) if done.fence == lease.fence.get() => Found::Done { item: number, done },
        Known::Open(_) | Known::Done(_) | Known::Released | Known::Lost => Found::Lost,
    })
}
