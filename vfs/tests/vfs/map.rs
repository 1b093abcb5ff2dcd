//! A map is the bytes of its file for as long as it lives, and to change them meanwhile is found out.
//! Method: map on real files and on the simulated disk; misuse, faults and crashes on the latter.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::symlink,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use onceward_vfs::{
    Fault, FaultKind, FaultOp, File, Map, Mode, OsVfs, Pace, SimVfs, Survival, Vfs, replace,
};

/// More than a page, and no multiple of one.
const CONTENT: [u8; 9001] = [7; 9001];

/// A simulated disk with the durable file `slice`.
fn disk_with_slice() -> io::Result<SimVfs> {
    let disk = SimVfs::new();
    replace(&disk, "slice", &CONTENT)?;
    Ok(disk)
}

/// What a panicking call said.
fn panic_text(call: impl FnOnce()) -> Option<String> {
    let thrown = catch_unwind(AssertUnwindSafe(call)).err()?;
    Some(thrown.downcast::<String>().map_or_else(|_| String::new(), |text| *text))
}

#[test]
fn both_implementations_offer_maps() {
    let dir = tempfile::tempdir().unwrap();
    let real = OsVfs::open(dir.path()).unwrap();
    replace(&real, "slice", &CONTENT).unwrap();
    let maps = [real.map("slice").unwrap(), disk_with_slice().unwrap().map("slice").unwrap()];
    for map in maps {
        assert_eq!(&*map, CONTENT);
        assert_eq!(map.as_ref(), CONTENT);
        assert_eq!(format!("{map:?}"), "Map { byte_count: 9001 }");
    }
}

#[test]
fn a_real_map_survives_its_name_its_tree_and_its_thread() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = OsVfs::create(&dir.path().join("store")).unwrap();
    replace(&vfs, "slice", &CONTENT).unwrap();
    let map: Map =
        std::thread::scope(|scope| scope.spawn(|| vfs.map("slice")).join()).unwrap().unwrap();
    let elsewhere = map.clone();
    vfs.remove("slice").unwrap();
    drop((vfs, map));
    fs::remove_dir_all(dir.path()).unwrap();
    assert_eq!(std::thread::spawn(move || elsewhere.to_vec()).join().unwrap(), CONTENT);
}

#[test]
fn a_real_map_has_the_length_that_the_file_had() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = OsVfs::open(dir.path()).unwrap();
    for byte_count in [0, 1, 4095, 4096, 4097, 300_000] {
        let name = byte_count.to_string();
        fs::write(dir.path().join(&name), vec![1; byte_count]).unwrap();
        let map = vfs.map(&name).unwrap();
        assert_eq!(map.len(), byte_count);
        assert!(map.iter().all(|byte| *byte == 1), "{byte_count}");
    }
}

#[test]
fn a_real_map_follows_no_symbolic_link() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), b"secret").unwrap();
    let dir = tempfile::tempdir().unwrap();
    symlink(outside.path().join("secret"), dir.path().join("link")).unwrap();
    symlink(outside.path(), dir.path().join("dir")).unwrap();
    let vfs = OsVfs::open(dir.path()).unwrap();
    assert_eq!(vfs.map("link").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(vfs.map("dir/secret").is_err());
    fs::write(dir.path().join("own"), b"own").unwrap();
    assert_eq!(&*vfs.map("own").unwrap(), b"own", "control");
}

#[test]
fn a_tree_opened_for_looking_has_no_maps_since_it_may_be_anybodys() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("slice"), CONTENT).unwrap();
    let vfs = OsVfs::open_read_only(dir.path()).unwrap();
    assert_eq!(vfs.map("slice").unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn every_change_of_a_mapped_file_panics_and_is_not_made() {
    let changes: [fn(&dyn File) -> io::Result<()>; 5] = [
        |file| file.write_all_at(1, b"x"),
        |file| file.set_len(1),
        |file| file.set_len(10_000),
        |file| file.fill_zeros(1, &|| Pace::Gentle),
        |file| file.fill_zeros(10_000, &|| Pace::Fast),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let disk = disk_with_slice().unwrap();
        let file = disk.open("slice", Mode::Write).unwrap();
        let (map, other) = (disk.map("slice").unwrap(), disk.map("slice").unwrap());
        drop(map);
        let text = panic_text(|| drop(change(file.as_ref()))).unwrap();
        assert_eq!(text, "slice is changed while it is mapped (1 maps)", "change {number}");
        assert_eq!(disk.bytes("slice").unwrap(), CONTENT, "change {number}");
        drop(other);
        change(file.as_ref()).unwrap();
        assert_ne!(disk.bytes("slice").unwrap(), CONTENT, "control: change {number}");
    }
}

#[test]
fn a_mapped_file_is_watched_under_every_name_and_handle() {
    let disk = disk_with_slice().unwrap();
    let before: Arc<dyn File> = disk.open("slice", Mode::Write).unwrap();
    let map = disk.map("slice").unwrap();
    disk.rename("slice", "recycled").unwrap();
    let after = disk.open("recycled", Mode::Write).unwrap();
    assert!(panic_text(|| drop(before.write_all_at(0, b"x"))).is_some());
    assert!(panic_text(|| drop(after.set_len(0))).is_some());
    replace(&disk, "slice", b"another file under the old name").unwrap();
    assert_eq!(&*map, CONTENT);
    disk.remove("recycled").unwrap();
    disk.sync_dir("").unwrap();
    assert_eq!(&*map, CONTENT);
}

#[test]
fn a_file_with_unsynced_bytes_must_not_be_mapped() {
    let disk = disk_with_slice().unwrap();
    let file = disk.open("slice", Mode::Write).unwrap();
    file.write_all_at(0, b"x").unwrap();
    let text = panic_text(|| drop(disk.map("slice"))).unwrap();
    assert_eq!(text, "slice is mapped with unsynced changes: sync it first");
    file.sync_data().unwrap();
    assert_eq!(disk.map("slice").unwrap().first(), Some(&b'x'));
}

#[test]
fn planned_faults_and_a_cut_are_errors_of_the_call() {
    for op in [FaultOp::Open, FaultOp::Read] {
        let disk = disk_with_slice().unwrap();
        let name_contains = "slice".to_owned();
        disk.plan(Fault { op, name_contains, nth: 0, kind: FaultKind::Eio, forever: false });
        assert_eq!(disk.map("slice").unwrap_err().raw_os_error(), Some(5), "{op:?}");
        let file = disk.open("slice", Mode::Write).unwrap();
        file.write_all_at(0, b"nobody has a map").unwrap();
        file.sync_data().unwrap();
        assert!(disk.map("slice").is_ok(), "control: {op:?}");
    }
    let disk = disk_with_slice().unwrap();
    let before = disk.op_count();
    disk.map("slice").unwrap();
    assert_eq!(disk.trace().last().unwrap(), &format!("{} map slice", before + 1));
    assert!(!disk.changing_ops().contains(&(before + 1)));
    disk.cut_power_at(before + 2);
    assert!(disk.map("slice").is_err());
}

#[test]
fn a_crash_ends_the_maps_and_what_they_show_stays() {
    let disk = disk_with_slice().unwrap();
    let map = disk.map("slice").unwrap();
    for found in [disk.after_kill(), disk.after_power_cut(&Survival::Nothing)] {
        let file = found.open("slice", Mode::Write).unwrap();
        file.write_all_at(0, b"changed").unwrap();
    }
    assert_eq!(&*map, CONTENT);
}
