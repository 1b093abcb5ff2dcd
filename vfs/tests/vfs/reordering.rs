//! Unsynced changes land in any order: between files, within one, and among names.
//! Method: two changes each, cut under many seeds; the set of outcomes is compared with the rule.

use std::{collections::BTreeSet, io};

use onceward_vfs::{Mode, SimVfs, Survival, Vfs};

/// Seeds that every check tries.
const SEEDS: u64 = 400;

/// A disk with the durable files `a` and `b`, each holding `old` many times.
fn disk_with_two() -> io::Result<SimVfs> {
    let disk = SimVfs::new();
    for name in ["a", "b"] {
        let file = disk.open(name, Mode::CreateNew)?;
        file.write_all_at(0, &[b'o'; 4096])?;
        file.sync_data()?;
    }
    disk.sync_dir("")?;
    Ok(disk)
}

/// What `look` sees after cuts under all seeds.
fn outcomes<T: Ord>(disk: &SimVfs, look: impl Fn(&SimVfs) -> T) -> BTreeSet<T> {
    (0..SEEDS)
        .map(|seed| look(&disk.after_power_cut(&Survival::Seeded { seed, sector_bytes: 512 })))
        .collect()
}

/// The first byte of a file; `-` if there is none.
fn first_byte(disk: &SimVfs, name: &str) -> char {
    disk.bytes(name).and_then(|bytes| bytes.first().copied()).map_or('-', char::from)
}

/// Writes one byte, without a sync.
fn write(disk: &SimVfs, name: &str, offset: u64, byte: u8) -> io::Result<()> {
    disk.open(name, Mode::Write)?.write_all_at(offset, &[byte])
}

#[test]
fn a_later_write_of_one_file_lands_without_an_earlier_one_of_another() {
    for names in [["a", "b"], ["b", "a"]] {
        let disk = disk_with_two().unwrap();
        names.iter().for_each(|name| write(&disk, name, 0, b'n').unwrap());
        let look = |disk: &SimVfs| names.map(|name| first_byte(disk, name));
        let all = BTreeSet::from([['o', 'o'], ['n', 'o'], ['o', 'n'], ['n', 'n']]);
        assert_eq!(outcomes(&disk, look), all);
        let pieces: BTreeSet<_> = (0..4)
            .map(|kept| look(&disk.after_power_cut(&Survival::Pieces { kept, sector_bytes: 512 })))
            .collect();
        assert_eq!(pieces, all, "spelt out");
        let prefixes: Vec<_> =
            (0..3).map(|count| look(&disk.after_power_cut(&Survival::Prefix(count)))).collect();
        assert_eq!(prefixes, [['o', 'o'], ['n', 'o'], ['n', 'n']], "control: in order");
    }
}

#[test]
fn a_sync_of_one_file_orders_nothing_in_another() {
    let disk = disk_with_two().unwrap();
    write(&disk, "a", 0, b'n').unwrap();
    write(&disk, "b", 0, b'n').unwrap();
    disk.open("b", Mode::Write).unwrap().sync_data().unwrap();
    let look = |disk: &SimVfs| [first_byte(disk, "a"), first_byte(disk, "b")];
    assert_eq!(outcomes(&disk, look), BTreeSet::from([['o', 'n'], ['n', 'n']]));
}

#[test]
fn a_later_sector_of_a_file_lands_without_an_earlier_one() {
    let disk = disk_with_two().unwrap();
    write(&disk, "a", 0, b'n').unwrap();
    write(&disk, "a", 512, b'n').unwrap();
    let look = |disk: &SimVfs| {
        let bytes = disk.bytes("a").unwrap();
        [bytes[0], bytes[512]].map(char::from)
    };
    assert_eq!(
        outcomes(&disk, look),
        BTreeSet::from([['o', 'o'], ['n', 'o'], ['o', 'n'], ['n', 'n']])
    );
}

#[test]
fn an_unsynced_creation_is_missing_or_there_and_a_later_one_without_an_earlier_one() {
    let disk = SimVfs::new();
    disk.open("a", Mode::CreateNew).unwrap();
    disk.open("b", Mode::CreateNew).unwrap();
    let seen = outcomes(&disk, |disk| disk.list("").unwrap().concat());
    assert_eq!(seen, ["", "a", "ab", "b"].map(str::to_owned).into());
}

#[test]
fn an_unsynced_removal_comes_back_with_its_bytes_or_not() {
    let disk = disk_with_two().unwrap();
    disk.remove("a").unwrap();
    disk.remove("b").unwrap();
    let seen = outcomes(&disk, |disk| [first_byte(disk, "a"), first_byte(disk, "b")]);
    assert_eq!(seen, BTreeSet::from([['o', 'o'], ['-', 'o'], ['o', '-'], ['-', '-']]));
}

#[test]
fn a_name_that_was_removed_and_given_anew_is_one_of_the_two_files_or_none() {
    let disk = disk_with_two().unwrap();
    disk.remove("a").unwrap();
    let file = disk.open("a", Mode::CreateNew).unwrap();
    file.write_all_at(0, b"n").unwrap();
    file.sync_data().unwrap();
    let seen = outcomes(&disk, |disk| first_byte(disk, "a"));
    assert_eq!(seen, BTreeSet::from(['o', '-', 'n']));
}

#[test]
fn an_unsynced_rename_happened_or_not_whatever_became_of_the_bytes() {
    let disk = disk_with_two().unwrap();
    write(&disk, "b", 0, b'n').unwrap();
    disk.rename("b", "a").unwrap();
    let seen = outcomes(&disk, |disk| [first_byte(disk, "a"), first_byte(disk, "b")]);
    let expected = [['o', 'o'], ['o', 'n'], ['n', '-']];
    let renamed_early = ['o', '-'];
    assert_eq!(seen, BTreeSet::from_iter(expected.into_iter().chain([renamed_early])));
}

#[test]
fn names_land_out_of_order_with_bytes_in_both_directions() {
    let disk = disk_with_two().unwrap();
    write(&disk, "a", 0, b'n').unwrap();
    disk.open("new", Mode::CreateNew).unwrap();
    write(&disk, "b", 0, b'n').unwrap();
    let seen = outcomes(&disk, |disk| {
        (disk.bytes("new").is_some(), first_byte(disk, "a"), first_byte(disk, "b"))
    });
    assert!(seen.contains(&(true, 'o', 'o')), "the name without earlier bytes");
    assert!(seen.contains(&(false, 'n', 'n')), "later bytes without the name");
}

/// Both names are of one file, with its bytes.
#[test]
fn a_move_that_was_cut_between_its_directories_leaves_the_bytes_under_either_name() {
    let disk = SimVfs::new();
    disk.create_dir("a").unwrap();
    disk.create_dir("b").unwrap();
    let file = disk.open("a/file", Mode::CreateNew).unwrap();
    file.write_all_at(0, b"bytes").unwrap();
    file.sync_data().unwrap();
    disk.sync_dir("a").unwrap();
    disk.rename("a/file", "b/file").unwrap();
    disk.sync_dir("b").unwrap();
    let found = disk.after_power_cut(&Survival::Nothing);
    assert_eq!(found.bytes("b/file").as_deref(), Some(&b"bytes"[..]));
    assert_eq!(found.bytes("a/file").as_deref(), Some(&b"bytes"[..]), "its sync was not asked for");
}
