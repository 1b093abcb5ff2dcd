//! Facts that events of a chunk share, each with the set of the events of which it holds.

/// A set of slots of a chunk: a bit for each.
pub(in crate::outbox) type Mask = u128;

/// Slots of a chunk.
pub(super) const SLOTS: usize = 128;

/// The set of one slot.
pub(super) fn bit(slot: usize) -> Mask {
    1_u128.checked_shl(u32::try_from(slot).unwrap_or(u32::MAX)).unwrap_or(0)
}

/// The slots of a set, ascending.
pub(in crate::outbox) fn slots(mut mask: Mask) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let slot = usize::try_from(mask.trailing_zeros()).ok().filter(|slot| *slot < SLOTS)?;
        mask &= mask - 1;
        Some(slot)
    })
}

/// The slots from `first` to `last`.
pub(super) fn between(first: usize, last: usize) -> Mask {
    let upto = |slot: usize| bit(slot).wrapping_sub(1) | bit(slot);
    let last = if onceward_vfs::planted!("range-of-events-one-too-long") {
        last.saturating_add(1)
    } else {
        last
    };
    if first > last { 0 } else { upto(last.min(SLOTS - 1)) & !(bit(first).wrapping_sub(1)) }
}

/// Facts, of which at most one holds for each event; few for each chunk, because neighbours mostly share them.
#[derive(Clone, Debug)]
pub(super) struct SharedFacts<T>(Vec<(Mask, T)>);

impl<T> Default for SharedFacts<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + Eq> SharedFacts<T> {
    /// The fact that holds for the event at a slot.
    pub(super) fn of(&self, slot: usize) -> Option<T> {
        let mask = bit(slot);
        self.0.iter().find(|(events, _)| events & mask != 0).map(|(_, fact)| *fact)
    }

    /// From now on this fact holds for these events.
    pub(super) fn set(&mut self, events: Mask, fact: T) {
        self.clear(events);
        match self.0.iter_mut().find(|(_, same)| *same == fact) {
            _ if events == 0 => {}
            Some((others, _)) => *others |= events,
            None => self.0.push((events, fact)),
        }
    }

    /// From now on none holds for these events.
    pub(super) fn clear(&mut self, events: Mask) {
        if self.0.is_empty() {
            return;
        }
        self.0.iter_mut().for_each(|(marked, _)| *marked &= !events);
        self.0.retain(|(marked, _)| *marked != 0);
    }

    /// The facts that hold for some of these events, each with those of which it does.
    pub(super) fn within(&self, events: Mask) -> impl Iterator<Item = (Mask, T)> + '_ {
        let found = self.0.iter().map(move |(marked, fact)| (marked & events, *fact));
        found.filter(|(marked, _)| *marked != 0)
    }

    /// The events for which any holds.
    pub(super) fn all(&self) -> Mask {
        self.0.iter().fold(0, |all, (marked, _)| all | marked)
    }
}
