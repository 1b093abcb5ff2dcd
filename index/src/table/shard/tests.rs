//! A shard against a plain list, with tags that all lead to the same group.

use std::collections::BTreeMap;

use super::*;

/// A shard and what it holds, by place.
#[derive(Default)]
struct CheckedShard {
    shard: Shard,
    held: BTreeMap<u32, Slot>,
}

impl CheckedShard {
    fn insert(&mut self, slot: Slot) {
        if self.shard.is_loaded() {
            self.shard = self.shard.rebuilt(1, None);
        }
        match self.shard.vacancy(slot.tag, slot.bits) {
            Some(at) => {
                let is_known = |place| self.held.contains_key(&place);
                assert_eq!(self.shard.find(slot.tag, slot.bits, is_known), None, "{slot:?}");
                assert!(self.shard.is_absent(slot.tag, slot.bits));
                self.shard.put(at, slot);
            }
            None => self.shard.insert(slot),
        }
        self.held.insert(slot.place, slot);
    }

    fn remove(&mut self, place: u32) {
        let slot = self.held.remove(&place).unwrap();
        let at = self.shard.find(slot.tag, slot.bits, |found| found == place).unwrap();
        self.shard.remove(at);
    }

    fn check(&self) {
        let Shard { full, removed, left, .. } = self.shard;
        assert_eq!(full as usize, self.held.len());
        assert_eq!(u64::from(full + removed + left), load_max(self.shard.controls.len()));
        for slot in self.held.values() {
            let found = self.shard.find(slot.tag, slot.bits, |place| place == slot.place);
            assert_eq!(found.map(|at| self.shard.place(at)), Some(slot.place), "{slot:?}");
        }
        let mut slots: Vec<Slot> = self.shard.slots().collect();
        slots.sort_by_key(|slot| slot.place);
        assert!(slots.iter().eq(self.held.values()), "what is listed is what is held");
    }
}

#[test]
fn every_key_is_found_through_growth_removal_and_reuse_even_if_all_share_tag_and_bits() {
    for same in [true, false] {
        let mut run = CheckedShard::default();
        for place in 0..2_000_u32 {
            let tag = if same { 0xffff } else { u16::try_from(place * 33 % 65_536).unwrap() };
            run.insert(Slot {
                place,
                tag,
                bits: if same { 7 } else { u8::try_from(place % 128).unwrap() },
            });
            if place % 3 == 2 {
                run.remove(place - 1);
            }
            if place % 251 == 0 {
                run.check();
            }
        }
        run.check();
        let tag = if same { 0xffff } else { 1 };
        assert_eq!(run.shard.find(tag, 7, |_| false), None, "a search for no key ends");
    }
}

#[test]
fn marks_of_removed_keys_count_as_load_until_the_shard_is_copied() {
    let mut run = CheckedShard::default();
    let slot = |place| Slot { place, tag: 0, bits: 1 };
    for place in 0..400 {
        run.insert(slot(place));
    }
    for place in 0..400 {
        run.remove(place);
    }
    assert!(run.shard.removed > 0, "full groups keep marks");
    let copied = run.shard.rebuilt(0, None);
    assert_eq!((copied.full, copied.removed, copied.bytes()), (0, 0, GROUP_BYTES));
}

#[test]
fn a_copy_leaves_out_what_is_refused_and_is_within_its_load() {
    let mut run = CheckedShard::default();
    for place in 0..10_000_u32 {
        run.insert(Slot { place, tag: u16::try_from(place * 6).unwrap(), bits: 1 });
    }
    let bytes = run.shard.bytes();
    // 7 bytes a slot, loaded to 0.86, and half as much again where it was copied just now.
    assert!(bytes <= 10_000 * 125 / 10, "{bytes} bytes for 10,000 keys");
    run.held.retain(|place, _| place % 2 == 0);
    run.shard = run.shard.rebuilt(0, Some(&|place| place % 2 == 0));
    run.check();
    assert!(run.shard.bytes() < bytes * 7 / 10, "a shard that lost half its keys is smaller");
    assert!(!run.shard.is_loaded());
}

#[test]
fn a_shard_without_memory_holds_nothing_and_is_loaded() {
    let shard = Shard::default();
    assert_eq!(shard.bytes(), 0);
    assert!(shard.is_loaded());
    assert_eq!(shard.find(1, 1, |_| true), None);
    assert_eq!(shard.first_control(9), ControlBytes::EMPTY);
}
