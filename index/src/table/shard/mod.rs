//! One shard of the table: open addressing over groups of 16 slots. Knows slots, not keys.
//!
//! Control bytes are apart, because a search that finds nothing touches nothing else.

use super::bodies::{SlotBodies, SlotBody};
use super::control::{ControlBytes, GROUP_SLOTS};

/// A key in the table: where its entry is, and 23 bits of its fingerprint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Slot {
    /// The place of the entry: number of the block, and 8 bits of the position in it.
    pub(crate) place: u32,
    /// 16 bits that also lead to the home group, so that growing needs no fingerprint.
    pub(crate) tag: u16,
    /// 7 more bits.
    pub(crate) bits: u8,
}

/// A slot's position in a shard. Good until the shard is changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SlotPosition {
    group: usize,
    slot: usize,
}

/// An open-addressed table that grows alone.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    controls: Box<[ControlBytes]>,
    bodies: SlotBodies,
    /// Slots that hold a key.
    full: u32,
    /// Slots that a removed key left marked.
    removed: u32,
}

/// A shard that is copied has room for one part of so many more keys.
const GROWTH: usize = 12;

/// Bytes of a group: 7 for a slot.
pub(crate) const GROUP_BYTES: u64 = 16 * 7;

const _: () = assert!(
    size_of::<ControlBytes>() + GROUP_SLOTS * size_of::<SlotBody>() == 16 * 7,
    "FORMAT.md says 7 bytes a slot"
);

impl Shard {
    /// The slot with these bits for which `is_it` holds of the place.
    pub(crate) fn find(
        &self,
        tag: u16,
        bits: u8,
        mut is_it: impl FnMut(u32) -> bool,
    ) -> Option<SlotPosition> {
        let mut group = self.home(tag);
        for _ in 0..self.controls.len() {
            let control = *self.controls.get(group)?;
            for slot in control.matches(bits) {
                let at = SlotPosition { group, slot };
                let body = self.body(at);
                if body.tag() == tag && is_it(body.place()) {
                    return Some(at);
                }
            }
            if control.has_empty() {
                return None;
            }
            group = self.after(group);
        }
        None
    }

    /// The control bytes that a search for this tag sees first.
    pub(crate) fn first_control(&self, tag: u16) -> ControlBytes {
        self.controls.get(self.home(tag)).copied().unwrap_or(ControlBytes::EMPTY)
    }

    /// The place in the slot that a key of this tag would mostly be put into: reading it has the memory fetch it.
    pub(crate) fn first_free(&self, tag: u16) -> u32 {
        let slot = self.first_control(tag).free().next().unwrap_or(0);
        self.place(SlotPosition { group: self.home(tag), slot })
    }

    /// The place in a slot.
    pub(crate) fn place(&self, at: SlotPosition) -> u32 {
        self.body(at).place()
    }

    /// Changes the place in a slot: the entry moved.
    pub(crate) fn set_place(&mut self, at: SlotPosition, place: u32) {
        let tag = self.body(at).tag();
        self.bodies.set(at.group, at.slot, SlotBody::new(tag, place));
    }

    /// Removes the key in a slot.
    pub(crate) fn remove(&mut self, at: SlotPosition) {
        if let Some(control) = self.controls.get_mut(at.group) {
            self.removed += u32::from(control.clear(at.slot));
            self.full = self.full.saturating_sub(1);
        }
    }

    /// Whether one more key would load the shard beyond its limit.
    pub(crate) fn is_loaded(&self) -> bool {
        u64::from(self.full) + u64::from(self.removed) >= load_max(self.controls.len())
    }

    /// Puts in a key. The caller asked [`Shard::is_loaded`] and made room.
    pub(crate) fn insert(&mut self, slot: Slot) {
        let mut group = self.home(slot.tag);
        for _ in 0..self.controls.len() {
            let Some(control) = self.controls.get_mut(group) else { return };
            if let Some(free) = control.free().next() {
                if self.removed > 0 {
                    self.removed -= u32::from(control.is_removed(free));
                }
                control.fill(free, slot.bits);
                self.full += 1;
                self.bodies.set(group, free, SlotBody::new(slot.tag, slot.place));
                return;
            }
            group = self.after(group);
        }
        debug_assert!(false, "a shard has room when a key is put in");
    }

    /// The shard copied without the slots that `is_kept` refuses, all of them if nobody is to be asked,
    /// with room for `more` keys, and for a twelfth beyond them, so that the next copy is far.
    pub(crate) fn rebuilt(&self, more: u32, is_kept: Option<&dyn Fn(u32) -> bool>) -> Self {
        // Counted first: a list between would leave a hole in memory as large as the shard.
        let kept = match is_kept {
            None => usize::try_from(self.full).unwrap_or(usize::MAX),
            Some(is_kept) => self.slots().filter(|slot| is_kept(slot.place)).count(),
        };
        let mut shard = Self::with_room_for(kept + usize::try_from(more).unwrap_or(0));
        for slot in self.slots() {
            if is_kept.is_none_or(|is_kept| is_kept(slot.place)) {
                shard.insert(slot);
            }
        }
        shard
    }

    /// Whether a copy that leaves out what `is_kept` refuses would differ.
    pub(crate) fn is_worth_copying(&self, is_kept: impl Fn(u32) -> bool) -> bool {
        self.removed > 0 || self.slots().any(|slot| !is_kept(slot.place))
    }

    /// An empty shard that takes `count` keys, and a twelfth more.
    pub(crate) fn with_room_for(count: usize) -> Self {
        let groups = groups_for(count + count / GROWTH);
        Self {
            controls: vec![ControlBytes::EMPTY; groups].into(),
            bodies: SlotBodies::of(groups),
            full: 0,
            removed: 0,
        }
    }

    /// The slots that hold keys, in no order.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.controls.iter().zip(self.bodies.groups()).flat_map(|(control, bodies)| {
            control.full().filter_map(|slot| {
                let body = bodies.get(slot)?;
                Some(Slot { place: body.place(), tag: body.tag(), bits: control.byte(slot) })
            })
        })
    }

    /// Bytes that all groups take.
    pub(crate) fn bytes(&self) -> u64 {
        u64::try_from(self.controls.len()).unwrap_or(u64::MAX).saturating_mul(GROUP_BYTES)
    }

    /// Bytes that they will take once the shard has grown for one more key.
    pub(crate) fn bytes_grown(&self) -> u64 {
        bytes_for(usize::try_from(self.full).unwrap_or(usize::MAX).saturating_add(1))
    }

    fn body(&self, at: SlotPosition) -> SlotBody {
        self.bodies.get(at.group, at.slot)
    }

    /// The group at which a search begins: tags in order, spread over all groups.
    fn home(&self, tag: u16) -> usize {
        (usize::from(tag) * self.controls.len()) >> 16
    }

    fn after(&self, group: usize) -> usize {
        if group + 1 < self.controls.len() { group + 1 } else { 0 }
    }
}

/// Bytes of a shard that takes `count` keys, and a twelfth more.
pub(crate) fn bytes_for(count: usize) -> u64 {
    u64::try_from(groups_for(count + count / GROWTH))
        .unwrap_or(u64::MAX)
        .saturating_mul(GROUP_BYTES)
}

/// Keys and marks that this many groups may hold: 0.86 of their slots, and never all of them.
fn load_max(groups: usize) -> u64 {
    let slots = u64::try_from(groups * GROUP_SLOTS).unwrap_or(u64::MAX);
    slots * 55 / 64
}

/// Groups that hold this many keys within the limit.
fn groups_for(count: usize) -> usize {
    let mut groups = (count * 64).div_ceil(55 * GROUP_SLOTS).max(1);
    while load_max(groups) < u64::try_from(count).unwrap_or(u64::MAX) {
        groups += 1;
    }
    groups
}

#[cfg(test)]
mod tests;
