//! One shard of the table: open addressing over groups of 16 slots. Knows slots, not keys.
//!
//! Control bytes are apart, because a search that finds nothing touches nothing else.

use super::bodies::{SlotBodies, SlotBody};
use super::control::{ControlBytes, GROUP_SLOTS, SlotSet};

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

/// A search for the slots that may be a key's. Good until the shard is changed.
#[derive(Debug)]
pub(crate) struct Search {
    tag: u16,
    bits: u8,
    /// The group that is looked at, its control bytes, and those of its slots that are still to be looked at.
    group: usize,
    control: ControlBytes,
    matches: SlotSet,
    /// Groups that may be looked at, with this one.
    left: usize,
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
    /// Slots that were never used and still may be.
    left: u32,
}

/// A shard that is copied because it is loaded has room for half as many keys more: each key is copied three times
/// until the table stops growing.
const GROWTH: usize = 2;
/// One that is made of what files hold has room for an eighth more, so that opening a store takes hardly more memory
/// than it took before.
const GROWTH_FROM_FILES: usize = 8;

/// Bytes of a group: 7 for a slot.
pub(crate) const GROUP_BYTES: u64 = 16 * 7;

const _: () = assert!(
    size_of::<ControlBytes>() + GROUP_SLOTS * size_of::<SlotBody>() == 16 * 7,
    "FORMAT.md says 7 bytes a slot"
);

impl Shard {
    /// Begins a search for the slots of this tag and these bits: see [`Shard::next`].
    #[inline]
    pub(crate) fn search(&self, tag: u16, bits: u8) -> Search {
        let (group, control) = (self.home(tag), self.first_control(tag));
        let matches = control.matches(bits);
        Search { tag, bits, group, control, matches, left: self.controls.len() }
    }

    /// The next slot of a search, and the place in it: mostly the key's own, or none.
    #[inline]
    pub(crate) fn next(&self, search: &mut Search) -> Option<(SlotPosition, u32)> {
        loop {
            for slot in search.matches.by_ref() {
                let at = SlotPosition { group: search.group, slot };
                let body = self.body(at);
                if body.tag() == search.tag {
                    return Some((at, body.place()));
                }
            }
            if search.control.has_empty() || search.left <= 1 {
                return None;
            }
            search.left -= 1;
            search.group = self.after(search.group);
            search.control = *self.controls.get(search.group)?;
            search.matches = search.control.matches(search.bits);
        }
    }

    /// The slot with these bits for which `is_it` holds of the place.
    pub(crate) fn find(
        &self,
        tag: u16,
        bits: u8,
        mut is_it: impl FnMut(u32) -> bool,
    ) -> Option<SlotPosition> {
        let mut search = self.search(tag, bits);
        while let Some((at, place)) = self.next(&mut search) {
            if is_it(place) {
                return Some(at);
            }
        }
        None
    }

    /// The slot that a key of this tag goes into, if its home group has one, and says that the key is in no slot.
    #[inline]
    pub(crate) fn vacancy(&self, tag: u16, bits: u8) -> Option<SlotPosition> {
        let control = self.first_control(tag);
        let slot = control.is_without(bits).then(|| control.free().next())??;
        Some(SlotPosition { group: self.home(tag), slot })
    }

    /// All groups with their control bytes, from this one on around the end.
    fn around(&self, group: usize) -> impl Iterator<Item = (usize, ControlBytes)> + '_ {
        let (before, behind) = self.controls.split_at(group.min(self.controls.len()));
        let numbers = (group..self.controls.len()).chain(0..group);
        numbers.zip(behind.iter().chain(before).copied())
    }

    /// Whether the group that a search sees first ends it.
    #[inline]
    pub(crate) fn is_absent(&self, tag: u16, bits: u8) -> bool {
        self.first_control(tag).is_without(bits)
    }

    /// The control bytes that a search for this tag sees first.
    #[inline]
    fn first_control(&self, tag: u16) -> ControlBytes {
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
            let leaves_mark = control.clear(at.slot);
            self.removed += u32::from(leaves_mark);
            self.left += u32::from(!leaves_mark);
            self.full = self.full.saturating_sub(1);
        }
    }

    /// Whether one more key would load the shard beyond its limit.
    pub(crate) fn is_loaded(&self) -> bool {
        self.left == 0
    }

    /// Puts in a key. The caller asked [`Shard::is_loaded`] and made room.
    pub(crate) fn insert(&mut self, slot: Slot) {
        let vacant = |control: ControlBytes| control.free().next();
        let home = self.home(slot.tag);
        let first =
            vacant(self.first_control(slot.tag)).map(|slot| SlotPosition { group: home, slot });
        let at = first.or_else(|| {
            let mut all = self.around(home);
            all.find_map(|(group, control)| Some(SlotPosition { group, slot: vacant(control)? }))
        });
        debug_assert!(at.is_some(), "a shard has room when a key is put in");
        if let Some(at) = at {
            self.put(at, slot);
        }
    }

    /// Puts a key into the slot that [`Shard::vacancy`] found for it. The shard has room, as for [`Shard::insert`].
    pub(crate) fn put(&mut self, at: SlotPosition, slot: Slot) {
        let Some(control) = self.controls.get_mut(at.group) else { return };
        if self.removed > 0 && control.is_removed(at.slot) {
            self.removed -= 1;
        } else {
            self.left = self.left.saturating_sub(1);
        }
        control.fill(at.slot, slot.bits);
        self.full += 1;
        self.bodies.set(at.group, at.slot, SlotBody::new(slot.tag, slot.place));
    }

    /// The shard copied without the slots that `is_kept` refuses, all of them if nobody is to be asked,
    /// with room for `more` keys, and for half as many beyond them, so that the next copy is far.
    pub(crate) fn rebuilt(&self, more: u32, is_kept: Option<&dyn Fn(u32) -> bool>) -> Self {
        // Counted first: a list between would leave a hole in memory as large as the shard.
        let kept = match is_kept {
            None => usize::try_from(self.full).unwrap_or(usize::MAX),
            Some(is_kept) => self.slots().filter(|slot| is_kept(slot.place)).count(),
        };
        let count = kept + usize::try_from(more).unwrap_or(0);
        let mut shard = Self::with_room_for(count + count / GROWTH);
        for (control, bodies) in self.controls.iter().zip(self.bodies.groups()) {
            for slot in control.full() {
                let Some(body) = bodies.get(slot).copied() else { continue };
                if is_kept.is_none_or(|is_kept| is_kept(body.place())) {
                    shard.copy_in(control.byte(slot), body);
                }
            }
        }
        shard
    }

    /// Puts a slot of another shard into this one, from which nothing was ever removed.
    #[inline]
    fn copy_in(&mut self, bits: u8, body: SlotBody) {
        let mut group = self.home(body.tag());
        while let Some(control) = self.controls.get_mut(group) {
            if let Some(slot) = control.free().next() {
                control.fill_empty(slot, bits);
                self.bodies.set(group, slot, body);
                self.full += 1;
                self.left = self.left.saturating_sub(1);
                return;
            }
            group = self.after(group);
        }
    }

    /// Whether a copy that leaves out what `is_kept` refuses would differ.
    pub(crate) fn is_worth_copying(&self, is_kept: impl Fn(u32) -> bool) -> bool {
        self.removed > 0 || self.slots().any(|slot| !is_kept(slot.place))
    }

    /// An empty shard for `count` keys from files, and an eighth more.
    pub(crate) fn for_files(count: usize) -> Self {
        Self::with_room_for(count + count / GROWTH_FROM_FILES)
    }

    /// An empty shard that takes `count` keys.
    fn with_room_for(count: usize) -> Self {
        let groups = groups_for(count);
        Self {
            controls: vec![ControlBytes::EMPTY; groups].into(),
            bodies: SlotBodies::of(groups),
            full: 0,
            removed: 0,
            left: u32::try_from(load_max(groups)).unwrap_or(u32::MAX),
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
        bytes_of(self.controls.len())
    }

    /// Bytes that they will take once the shard has grown for one more key.
    pub(crate) fn bytes_grown(&self) -> u64 {
        let count = usize::try_from(self.full).unwrap_or(usize::MAX).saturating_add(1);
        bytes_of(groups_for(count + count / GROWTH))
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

/// Bytes of a shard that is made for `count` keys from files.
pub(crate) fn bytes_for(count: usize) -> u64 {
    bytes_of(groups_for(count + count / GROWTH_FROM_FILES))
}

fn bytes_of(groups: usize) -> u64 {
    u64::try_from(groups).unwrap_or(u64::MAX).saturating_mul(GROUP_BYTES)
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
