//! Gives space back: forgets keys whose window is over, and trims segments, oldest first.
//!
//! What still lives in the oldest segment is carried forward in its smallest form, durably, before
//! the segment goes: an unsettled event whole, of a settled one its key with outcome and receipt.
//! A crash between leaves both, and replay makes one of them.

mod harvest;

use onceward_wal::{NewFrame, SegmentInfo};

use super::{Inner, Store, from_log};
use crate::config::Retain;
use crate::error::Result;
use crate::frames::control::KeyEntry;
use crate::frames::inbox::DeliveryFrame;
use crate::frames::{
    KIND_BATCH, KIND_CARRIED, KIND_DECISION, KIND_DELIVERY, KIND_EVICT, KIND_KEYS, KIND_SETTLE,
    codec,
};
use harvest::{Carry, Harvest};

/// What a key entry takes at most: its fields and the longest receipt.
const KEY_BYTES_MAX: u64 = 128;
/// Segments that are left alone however little lives in them.
const SEGMENTS_KEPT: usize = 2;

impl Store {
    /// Makes deferred captures durable for which nobody waited for a fifth of a second, carries out
    /// decisions that other processes dropped into the directory (see
    /// [`write_decision`](crate::write_decision)), forgets keys whose window is over and trims
    /// segments that are mostly settled.
    ///
    /// Settling does the last two by itself; a host calls this now and then.
    ///
    /// # Errors
    ///
    /// `Full`, `Io`, `Poisoned`: the disk refused; nothing is lost.
    pub fn tick(&self) -> Result<()> {
        self.inner.refuse_if_closed()?;
        // On a full disk, cleaning may make room for what could not be decided.
        let taken_up = self.inner.take_up_decisions();
        self.clean_up()?;
        taken_up
    }

    /// The part of [`Store::tick`] that settling does.
    pub(crate) fn clean_up(&self) -> Result<()> {
        let inner = &self.inner;
        inner.refuse_if_closed()?;
        inner.sync_lingering()?;
        let trusted_ms = inner.moment(inner.mono_ms()).trusted_ms;
        if inner.view.lock().expire(trusted_ms) {
            inner.keeper.ask();
        }
        inner.keeper.tick();
        let ended = inner.end_windows();
        inner.tidy_catalog();
        if inner.config.retain == Retain::Everything {
            return ended;
        }
        // As many as there are now: what is carried must not keep this going.
        for _ in 0..inner.log.segments().len() {
            let _one_at_a_time = inner.control.lock();
            let Some(oldest) = inner.worth_cleaning() else { return ended };
            if !inner.clean(oldest)? {
                return ended;
            }
        }
        ended
    }
}

impl Inner {
    /// The oldest segment, if at most half of what the log holds still lives.
    ///
    /// Then a turn through all segments frees at least as much as it carries.
    fn worth_cleaning(&self) -> Option<SegmentInfo> {
        let segments = self.log.segments();
        if segments.len() <= SEGMENTS_KEPT {
            return None;
        }
        let used: u64 = segments.iter().map(|segment| segment.used_bytes).sum();
        let view = self.view.lock();
        let unsettled: u64 = view.unsettled_bytes.values().sum();
        let unsettled = unsettled + view.records.live_bytes() + view.inbox.open_bytes();
        let live = unsettled + view.keys.len() * KEY_BYTES_MAX + view.reviews.bytes();
        let oldest = segments.first().copied()?;
        let kept = segments.last().map_or(0, |segment| segment.used_bytes) + oldest.used_bytes;
        (used >= 2 * live + kept).then_some(oldest)
    }

    /// Carries what lives in a finished segment and trims it. The caller holds `control`.
    ///
    /// `false`: it must stay for now, because not everything that it holds can be carried.
    pub(super) fn clean(&self, segment: SegmentInfo) -> Result<bool> {
        let mut harvest = Harvest::new();
        {
            let mut view = self.view.lock();
            // Reading under the lock: only this one segment, and cleaning is rare.
            let mut taken = Ok(());
            self.log
                .read_segment(segment.number, &mut |frame| {
                    if taken.is_ok() {
                        taken = harvest.take(&mut view, frame);
                    }
                })
                .map_err(from_log)?;
            taken?;
            if !harvest.is_whole(&view, segment.number) {
                return Ok(false);
            }
        }
        self.add_receipts(&mut harvest)?;
        for carry in harvest.into_carries() {
            self.carry(&carry)?;
        }
        // First, so that who finds a frame gone knows from the view that it is not needed there.
        self.view.lock().forget_segment(segment.number);
        self.log.trim(segment.number).map_err(from_log)?;
        Ok(true)
    }

    /// Reads the receipts of the keys that move: each frame that holds some is read once.
    fn add_receipts(&self, harvest: &mut Harvest) -> Result<()> {
        let mut keys: Vec<(u64, &mut KeyEntry)> =
            harvest.keys.values_mut().flatten().map(|(holder, key)| (*holder, key)).collect();
        keys.sort_by_key(|(holder, key)| (*holder, key.event));
        for same in keys.chunk_by_mut(|(one, _), (two, _)| one == two) {
            let Some((_, first)) = same.first() else { continue };
            let at = self.view.lock().outcome_at(first.event);
            let Some(at) = at else { continue };
            let receipts = self.receipts_in(at, first.event)?;
            for (_, key) in same {
                if let Some(receipt) = receipts.get(&key.event) {
                    key.receipt.clone_from(receipt);
                }
            }
        }
        Ok(())
    }

    /// Makes carried frames durable, then takes up where they stand.
    fn carry(&self, carries: &[Carry]) -> Result<()> {
        let bodies: Vec<(u8, u8, Vec<u8>, &[u8])> = carries
            .iter()
            .map(|carry| match carry {
                Carry::Event { flags, head, body, .. } => {
                    (KIND_CARRIED, *flags, head.to_vec(), body.as_slice())
                }
                Carry::Keys(keys) => (KIND_KEYS, 0, codec::encode(keys), &[][..]),
                Carry::Control { kind, body, .. } => (*kind, 0, Vec::new(), body.as_slice()),
                Carry::Finished(entries) => {
                    let body = codec::encode(&DeliveryFrame::Finished(entries.clone()));
                    (KIND_DELIVERY, 0, body, &[][..])
                }
                Carry::Batch(batch) | Carry::Attempts(batch) => {
                    (KIND_BATCH, 0, codec::encode(batch), &[][..])
                }
                Carry::Reviews(settle) => (KIND_SETTLE, 0, codec::encode(settle), &[][..]),
                Carry::Room(evict) => (KIND_EVICT, 0, codec::encode(evict), &[][..]),
                Carry::Decision(decision) => (KIND_DECISION, 0, codec::encode(decision), &[][..]),
            })
            .collect();
        let parts: Vec<[&[u8]; 2]> =
            bodies.iter().map(|(_, _, head, rest)| [head.as_slice(), *rest]).collect();
        let new: Vec<NewFrame<'_>> = bodies
            .iter()
            .zip(&parts)
            .map(|((kind, flags, ..), parts)| NewFrame { kind: *kind, flags: *flags, parts })
            .collect();
        let (placed, moment) = self.append_durably(&new)?;
        let mut view = self.view.lock();
        for (carry, at) in carries.iter().zip(placed) {
            match carry {
                Carry::Event { lsn, .. } => view.move_event(*lsn, at),
                Carry::Keys(keys) => view.apply_keys(keys, at),
                Carry::Batch(batch) => {
                    if let Some(open) = view.batches.get_mut(&batch.number) {
                        open.at = at;
                    }
                }
                Carry::Control { kind, of, .. } => view.moved(*kind, *of, at),
                Carry::Finished(entries) => view.apply_finished(entries, at),
                Carry::Room(evict) => view.apply_evict(evict, at, moment),
                Carry::Reviews(settle) => {
                    for rejection in &settle.rejections {
                        view.reviews.moved(rejection.event, at);
                    }
                }
                Carry::Decision(decision) => view.reviews.decision_moved(decision.number, at),
                // Memory has them already; only their frame was about to go.
                Carry::Attempts(_) => {}
            }
        }
        Ok(())
    }
}
