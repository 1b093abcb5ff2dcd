//! The bytes of a slot are those of `FORMAT.md`, and no other bytes pass for it.

use super::*;
use crate::limits::SECRET_BYTES;
use onceward_vfs::testing::golden;
use onceward_vfs::{Fault, FaultKind, FaultOp, SimVfs, Survival};

const FORMAT: &str = include_str!("../../FORMAT.md");

fn example() -> Meta {
    let mut secret = [0; SECRET_BYTES];
    secret.iter_mut().zip(0xa0..0xb0).for_each(|(to, from)| *to = from);
    let store = std::array::from_fn(|i| u8::try_from(i).unwrap());
    let mut meta = Meta::new(Identity { store, secret });
    meta.run = 1;
    meta.next_number = 4;
    (1..4).for_each(|number| meta.segments.add(number));
    meta
}

/// The example where bodies are sealed: the secret is within.
fn sealed() -> Meta {
    let envelope = KeyEnvelope { key: [0xc1; 88], secret: [0xc2; 32] };
    let identity = Identity { secret: [0; SECRET_BYTES], ..example().identity };
    Meta { identity, envelope: Some(envelope), ..example() }
}

#[test]
fn encoding_gives_the_bytes_of_the_format_document() {
    assert_eq!(example().encode().unwrap(), golden(FORMAT, "meta"));
}

#[test]
fn decoding_the_bytes_of_the_format_document_gives_its_fields() {
    assert_eq!(Meta::decode(&golden(FORMAT, "meta")), Ok(example()));
}

#[test]
fn every_field_has_its_own_place() {
    let end = CleanEnd { number: u64::MAX, offset: u64::MAX, digest: Digest::from_u64(u64::MAX) };
    let most = 0x7fff_ffff_ffff_ff00;
    let changes: [(&str, Meta, [std::ops::Range<usize>; 2]); 7] = [
        ("read_compat", Meta { read_compat: u32::MAX, ..example() }, [16..20, 0..0]),
        ("generation", Meta { generation: u64::MAX - 1, ..example() }, [40..48, 0..0]),
        ("run", Meta { run: u32::MAX - 1, ..example() }, [48..52, 0..0]),
        ("next_number", Meta { next_number: u64::MAX - 4, ..example() }, [56..64, 0..0]),
        ("synced", Meta { synced: u64::MAX, ..example() }, [64..72, 0..0]),
        ("next_lsn", Meta { next_lsn: most, ..example() }, [72..80, 0..0]),
        ("clean", Meta { clean: Some(end), ..example() }, [52..53, 80..104]),
    ];
    let before = example().encode().unwrap();
    for (field, meta, places) in changes {
        let after = meta.encode().unwrap();
        for at in 0..before.len() - 4 {
            let own = places.iter().any(|place| place.contains(&at));
            assert_eq!(before[at] != after[at], own, "{field} at {at}");
        }
        assert_eq!(Meta::decode(&after), Ok(meta), "control: {field}");
    }
}

#[test]
fn no_flipped_bit_and_no_prefix_passes_for_the_slot() {
    for meta in [example(), sealed()] {
        let slot = meta.encode().unwrap();
        assert_eq!(Meta::decode(&slot), Ok(meta), "control");
        for bit in 0..slot.len() * 8 {
            let mut damaged = slot.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Meta::decode(&damaged), Err(HeaderError::NotAHeader), "bit {bit}");
        }
        for end in 0..slot.len() {
            assert!(Meta::decode(&slot[..end]).is_err(), "{end}");
        }
    }
}

#[test]
fn a_sealed_slot_has_its_key_behind_the_fixed_part() {
    let (plain, slot) = (example().encode().unwrap(), sealed().encode().unwrap());
    assert_eq!(slot.len(), plain.len() + 88);
    assert_eq!((slot[20], &slot[104..136], &slot[136..168]), (1, &[0xc2; 32][..], &[0; 32][..]));
    assert_eq!(slot[176..264], [0xc1; 88]);
    assert_eq!(slot[264..280], plain[176..192], "then the ranges");
}

#[test]
fn both_slots_tell_their_key_until_each_is_written_anew() {
    let disk = SimVfs::new();
    MetaFile::create(&disk, &sealed()).unwrap();
    let mut file = MetaFile::open(&disk, sealed()).unwrap();
    assert_eq!(file.wrapped_keys().collect::<Vec<_>>(), [[0xc1; 88]]);
    let envelope = Some(KeyEnvelope { key: [0xd1; 88], secret: [0xd2; 32] });
    file.write(Meta { envelope, ..sealed() }).unwrap();
    assert!(!file.is_rotated() && file.wrapped_keys().count() == 2);
    file.write(Meta { envelope, ..sealed() }).unwrap();
    assert!(file.is_rotated());
    assert_eq!(file.wrapped_keys().collect::<Vec<_>>(), [[0xd1; 88]; 2]);
}

#[test]
fn as_many_ranges_as_the_limit_says_fit_and_one_more_is_refused() {
    for (mut meta, most) in [(example(), RANGES_MAX), (sealed(), RANGES_MAX_SEALED)] {
        meta.segments = Ranges::default();
        (0..most).for_each(|i| meta.segments.add(u64::try_from(2 * i + 1).unwrap()));
        let slot = meta.encode().unwrap();
        assert!(slot.len() <= SLOT_BYTES && slot.len() + 16 > SLOT_BYTES, "{}", slot.len());
        assert_eq!(Meta::decode(&slot), Ok(meta.clone()));
        meta.segments.add(100_000);
        assert_eq!(meta.encode().unwrap_err().kind(), ErrorKind::Full);
    }
}

#[test]
fn a_state_whose_sync_failed_is_not_believed_when_the_other_slot_is_overwritten() {
    let disk = SimVfs::new();
    MetaFile::create(&disk, &example()).unwrap();
    let mut file = MetaFile::open(&disk, example()).unwrap();
    file.write(Meta { run: 2, ..example() }).unwrap();
    let fault = Fault {
        op: FaultOp::SyncData,
        name_contains: name::META.to_owned(),
        nth: 0,
        kind: FaultKind::Eio,
        forever: false,
    };
    disk.plan(fault);
    let error = file.write(Meta { run: 3, ..example() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned);
    let error = file.write(Meta { run: 3, ..example() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned, "and stays so");
    // The process ends, and another one reads what only memory holds.
    let disk = disk.after_kill();
    let found = read(&disk).unwrap().unwrap().unwrap();
    assert_eq!((found.run, found.generation), (3, 3), "control: memory serves it");
    let mut again = MetaFile::open(&disk, found.clone()).unwrap();
    disk.cut_power_at(disk.op_count() + 1);
    again.write(Meta { run: 4, ..found }).unwrap_err();
    for bytes in 0..200 {
        let cut = disk.after_power_cut(&Survival::Torn { whole: 0, bytes });
        let run = read(&cut).unwrap().unwrap().map(|meta| meta.run);
        assert!(run == Some(3) || run == Some(4), "{run:?} after {bytes} bytes");
    }
}
