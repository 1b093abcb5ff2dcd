//! Writes what cleaning carries, and takes up where it stands.

use onceward_wal::NewFrame;

use super::harvest::{Carry, Harvest};
use crate::error::Result;
use crate::event::Scope;
use crate::frames::control::KeyEntry;
use crate::frames::inbox::DeliveryFrame;
use crate::frames::{
    KIND_BATCH, KIND_CARRIED, KIND_CLOCK, KIND_DECISION, KIND_DELIVERY, KIND_EVICT, KIND_KEYS,
    KIND_SETTLE, codec,
};
use crate::store::{Inner, Share};
use crate::view::{Located, Moment, View};

impl Inner {
    /// Carries all that was found. Returns how many bytes that took. The caller holds `control`.
    pub(super) fn carry_harvest(&self, mut harvest: Harvest) -> Result<u64> {
        let bytes = harvest.bytes();
        self.add_receipts(&mut harvest)?;
        for carries in harvest.into_carries() {
            self.carry(&carries)?;
        }
        Ok(bytes)
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

    /// Makes carried frames durable, then takes up where they stand. The caller holds `control`.
    fn carry(&self, carries: &[Carry]) -> Result<()> {
        let bodies: Vec<(u8, u8, Vec<u8>, &[u8])> = carries.iter().map(frame_of).collect();
        let parts: Vec<[&[u8]; 2]> =
            bodies.iter().map(|(_, _, head, rest)| [head.as_slice(), *rest]).collect();
        let new: Vec<NewFrame<'_>> = bodies
            .iter()
            .zip(&parts)
            .map(|((kind, flags, ..), parts)| NewFrame { kind: *kind, flags: *flags, parts })
            .collect();
        let (placed, moment) = self.append_durably(&new, Share::Answers)?;
        let mut view = self.view.lock();
        carries.iter().zip(placed).for_each(|(carry, at)| take_up(&mut view, carry, at, moment));
        Ok(())
    }
}

/// Kind, flags and the two parts of the body of a frame to be written.
fn frame_of(carry: &Carry) -> (u8, u8, Vec<u8>, &[u8]) {
    match carry {
        Carry::Event { flags, head, body, .. } => (KIND_CARRIED, *flags, head.to_vec(), body),
        Carry::Keys(keys) => (KIND_KEYS, 0, codec::encode(keys), &[]),
        Carry::Control { kind, body, .. } => (*kind, 0, Vec::new(), body),
        Carry::Finished(entries) => {
            let body = codec::encode(&DeliveryFrame::Finished(entries.clone()));
            (KIND_DELIVERY, 0, body, &[])
        }
        Carry::Batch(batch) | Carry::Attempts(batch) => (KIND_BATCH, 0, codec::encode(batch), &[]),
        Carry::Settle(settle) => (KIND_SETTLE, 0, codec::encode(settle), &[]),
        Carry::Room(evict) => (KIND_EVICT, 0, codec::encode(evict), &[]),
        Carry::Decision(decision) => (KIND_DECISION, 0, codec::encode(decision), &[]),
        Carry::Clock(clock) => (KIND_CLOCK, 0, codec::encode(clock), &[]),
    }
}

/// A carried frame is durable: it counts from now on.
fn take_up(view: &mut View, carry: &Carry, at: Located, moment: Moment) {
    match carry {
        Carry::Event { lsn, .. } => view.move_event(*lsn, at, moment),
        Carry::Keys(keys) => view.apply_keys(keys, at),
        Carry::Control { kind, of, body } => {
            view.moved(*kind, *of, at);
            view.moved_in_upstreams(*kind, body, at);
        }
        Carry::Finished(entries) => view.apply_finished(entries, at),
        Carry::Batch(batch) => {
            if let Ok(scope) = Scope::new(&batch.scope) {
                view.apply_batch(batch, scope, (at, moment));
            }
        }
        // Memory has them already; only their frame was about to go.
        Carry::Attempts(_) => {}
        Carry::Settle(settle) => view.apply_settle(settle, at, moment),
        Carry::Room(evict) => view.apply_evict(evict, at, moment),
        Carry::Decision(decision) => {
            view.apply_decision(decision, at, moment);
        }
        Carry::Clock(clock) => view.apply_clock(clock, at),
    }
}
