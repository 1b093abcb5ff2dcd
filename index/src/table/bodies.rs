//! What a slot holds beside its control byte, in pages of one size.
//!
//! One array for each shard would be simpler, but then a shard that has grown leaves a hole that is
//! too small for every shard after it: measured, 2.5 bytes a key of a heap that nobody uses.

use super::control::GROUP_SLOTS;

/// Groups of a page; the last one of a shard may have fewer.
const PAGE_GROUPS: usize = 16;

/// A tag and a place next to each other: who looks at the right tag looks at the place next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotBody([u8; 6]);

impl SlotBody {
    /// The body of a slot that was never used.
    const NONE: Self = Self([0xff; 6]);

    /// A tag with its place.
    pub(crate) fn new(tag: u16, place: u32) -> Self {
        let ([a, b], [c, d, e, f]) = (tag.to_le_bytes(), place.to_le_bytes());
        Self([a, b, c, d, e, f])
    }

    /// See [`super::Slot::tag`].
    pub(crate) fn tag(self) -> u16 {
        let [a, b, ..] = self.0;
        u16::from_le_bytes([a, b])
    }

    /// See [`super::Slot::place`].
    pub(crate) fn place(self) -> u32 {
        let [_, _, c, d, e, f] = self.0;
        u32::from_le_bytes([c, d, e, f])
    }
}

/// The bodies of a group's slots.
pub(crate) type BodyGroup = [SlotBody; GROUP_SLOTS];

/// The bodies of a shard's slots.
#[derive(Debug, Default)]
pub(crate) struct SlotBodies {
    pages: Box<[Box<[BodyGroup]>]>,
}

impl SlotBodies {
    /// Room for this many groups.
    pub(crate) fn of(groups: usize) -> Self {
        let page = |first| {
            let length = PAGE_GROUPS.min(groups - first);
            vec![[SlotBody::NONE; GROUP_SLOTS]; length].into_boxed_slice()
        };
        Self { pages: (0..groups).step_by(PAGE_GROUPS).map(page).collect() }
    }

    /// All groups, in order.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &BodyGroup> {
        self.pages.iter().flatten()
    }

    /// The body of a slot.
    pub(crate) fn get(&self, group: usize, slot: usize) -> SlotBody {
        let page = self.pages.get(group / PAGE_GROUPS);
        let group = page.and_then(|page| page.get(group % PAGE_GROUPS));
        group.and_then(|group| group.get(slot)).copied().unwrap_or(SlotBody::NONE)
    }

    /// Changes the body of a slot.
    pub(crate) fn set(&mut self, group: usize, slot: usize, body: SlotBody) {
        let page = self.pages.get_mut(group / PAGE_GROUPS);
        let group = page.and_then(|page| page.get_mut(group % PAGE_GROUPS));
        if let Some(old) = group.and_then(|group| group.get_mut(slot)) {
            *old = body;
        }
    }
}
