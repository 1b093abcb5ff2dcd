//! Which frames others depend on: what may not go before what it changes is gone.
//!
//! A frame may go only if every older frame that it changes is gone, or the change is carried. Without
//! that, replay would take the older one at its word: an event would be unsettled again and be sent a
//! second time. Four changes there are:
//!
//! | changed | by | lost, it would |
//! |---|---|---|
//! | a frame of an event | the frame with its final answer | be sent again |
//! | a frame of a batch | the frame that closed it | be sent again as it was |
//! | a frame that put an event into review | the decision to send it again | wait for a person again |
//! | a frame that says not to ask an upstream | the one that ends it | be left alone again |
//!
//! A frame of an event or a batch may be in the log more than once, after a crash within a cleaning: each copy
//! counts. The first three are counted here, by the frame on which others depend.

use std::collections::BTreeMap;

use super::Kernel;
use crate::base::Located;

/// A frame on which older ones depend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Holder {
    at: Located,
    /// Frames of other segments that depend on it.
    outside: u64,
    /// Whether it may hold receipts.
    may_have_receipts: bool,
}

/// Frames on which older ones depend, by their LSN.
#[derive(Debug, Default)]
pub(crate) struct Dependencies {
    holders: BTreeMap<u64, Holder>,
}

impl Dependencies {
    /// The place of a frame on which others may depend.
    pub(crate) fn at(&self, holder: u64) -> Option<Located> {
        self.holders.get(&holder).map(|holder| holder.at)
    }

    /// Whether a frame is known on which others may depend.
    pub(crate) fn has(&self, holder: u64) -> bool {
        self.holders.contains_key(&holder)
    }

    /// Whether a frame on which others may depend may hold receipts.
    pub(crate) fn may_have_receipts(&self, holder: u64) -> bool {
        self.holders.get(&holder).is_none_or(|found| found.may_have_receipts)
    }

    /// Whether the segment of a frame may not go without it.
    pub(crate) fn is_needed(&self, holder: u64) -> bool {
        self.holders.get(&holder).is_some_and(|found| found.outside > 0)
    }

    /// The places of all frames that are known.
    #[cfg(test)]
    pub(crate) fn places(&self) -> impl Iterator<Item = Located> + '_ {
        self.holders.values().map(|holder| holder.at)
    }

    /// Forgets frames whose segment goes.
    pub(crate) fn forget(&mut self, holders: &[u64]) {
        holders.iter().for_each(|holder| _ = self.holders.remove(holder));
    }
}

impl Kernel {
    /// Notes a frame on which older ones will depend.
    pub(crate) fn add_holder(&mut self, at: Located) {
        let holder = Holder { at, outside: 0, may_have_receipts: true };
        self.dependencies.holders.insert(at.lsn, holder);
        self.usage.add_holder(at);
    }

    /// Notes that a frame of [`Kernel::add_holder`] holds no receipt: nobody need read it for one.
    pub(crate) fn note_no_receipts(&mut self, holder: u64) {
        if let Some(found) = self.dependencies.holders.get_mut(&holder) {
            found.may_have_receipts = false;
        }
    }

    /// A frame in `segment` depends on this one.
    pub(crate) fn depend(&mut self, holder: u64, segment: u64) {
        self.depend_many(holder, segment, 1);
    }

    /// So many frames in `segment` depend on this one.
    pub(crate) fn depend_many(&mut self, holder: u64, segment: u64, count: u64) {
        let Some(found) = self.dependencies.holders.get_mut(&holder) else { return };
        let Located { place, bytes, .. } = found.at;
        if place.segment == segment {
            return;
        }
        let is_first = found.outside == 0;
        found.outside = found.outside.saturating_add(count);
        if is_first {
            self.usage.need(place.segment, u64::from(bytes));
        }
    }

    /// A frame in `segment` depends on this one no more.
    pub(crate) fn end_depend(&mut self, holder: u64, segment: u64) {
        self.end_depend_many(holder, segment, 1);
    }

    /// So many frames in `segment` depend on this one no more.
    pub(crate) fn end_depend_many(&mut self, holder: u64, segment: u64, count: u64) {
        let Some(found) = self.dependencies.holders.get_mut(&holder) else { return };
        let Located { place, bytes, .. } = found.at;
        if place.segment == segment || found.outside == 0 {
            return;
        }
        found.outside = found.outside.saturating_sub(count);
        if found.outside == 0 {
            self.usage.end_need(place.segment, u64::from(bytes));
        }
    }
}
