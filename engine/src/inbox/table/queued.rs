//! A delivery on its way in: whether its keys are known, and what it changes once its frame is durable.

use super::{DeliveryKey, DeliveryTable, HeldKey, NewDelivery};
use crate::base::{Located, Result};
use crate::inbox::DeliveryState;
use crate::kernel::{Asking, Kernel, QueuedCommit};
use crate::outbox::EventTable;

/// A delivery whose frame is queued: its first key is reserved.
#[derive(Debug)]
pub(super) struct QueuedDelivery {
    at: Located,
    first: HeldKey,
    /// The keys that it takes once it is durable.
    others: Vec<DeliveryKey>,
    /// When it was queued, trusted time.
    trusted_ms: u64,
    /// What comes in with it, but for the keys.
    new: NewDelivery,
}

impl DeliveryTable {
    /// The delivery that has one of these keys, and how far it is.
    ///
    /// One that was dropped never took effect, and one that is forgotten here was over: their keys
    /// may be taken again.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    pub(crate) fn find(
        &self,
        asking: Asking<'_>,
        keys: &[DeliveryKey],
        events: &EventTable,
    ) -> Result<Option<(u64, DeliveryState)>> {
        for key in keys {
            let Some(found) = asking.find(key.fingerprint)? else { continue };
            match self.state_of(found.lsn) {
                None if events.outcomes().is_lost(found.lsn) => {
                    return Ok(Some((found.lsn, DeliveryState::OutcomeUnknown)));
                }
                Some(DeliveryState::Dropped) | None => {}
                Some(state) => return Ok(Some((found.lsn, state))),
            }
        }
        Ok(None)
    }

    /// Frees keys that [`DeliveryTable::find`] found to be no duplicates. `durable` is the LSN of any durable
    /// frame behind those that had them.
    ///
    /// # Errors
    ///
    /// As there.
    pub(crate) fn free_keys(
        &mut self,
        kernel: &mut Kernel,
        keys: &[DeliveryKey],
        durable: u64,
    ) -> Result<()> {
        for key in keys {
            let Some(found) = kernel.keys.find(key.fingerprint)? else { continue };
            kernel.keys.release(key.fingerprint, durable, None);
            if let Some(dropped) = self.finished.get_mut(&found.lsn).filter(|it| it.keys > 0) {
                dropped.keys -= 1;
                self.keys -= 1;
            }
        }
        Ok(())
    }

    /// Notes a delivery whose frame is queued and whose first key is reserved: the index lets a frame that may still
    /// fail reserve one key only, so that the others are taken once it is durable.
    pub(crate) fn queue(
        &mut self,
        (at, trusted_ms): (Located, u64),
        first: HeldKey,
        (others, new): (Vec<DeliveryKey>, NewDelivery),
    ) {
        self.queued = Some(QueuedDelivery { at, first, others, trusted_ms, new });
    }

    /// The frame of a delivery is durable: it comes in.
    pub(crate) fn confirm(&mut self, kernel: &mut Kernel, commit: &QueuedCommit) {
        let Some(queued) = self.queued.take_if(|queued| queued.at.lsn == commit.last) else {
            return;
        };
        let QueuedDelivery { at, first, others, trusted_ms, new } = queued;
        let mut keys = vec![first];
        for key in others {
            let held = kernel.keys.take_more(key.reservation(at.lsn), trusted_ms);
            keys.push(HeldKey { key, held });
        }
        self.add(at.lsn, at, NewDelivery { keys, ..new });
    }

    /// The frame of a delivery is surely absent: its key is free again.
    pub(crate) fn withdraw(&mut self, kernel: &mut Kernel, commit: &QueuedCommit) {
        if let Some(queued) = self.queued.take_if(|queued| queued.at.lsn == commit.last) {
            kernel.keys.withdraw(queued.first.key.fingerprint, queued.at.lsn);
        }
    }
}
