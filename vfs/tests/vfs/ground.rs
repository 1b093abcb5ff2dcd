//! What is written goes to where the tree was opened, or is refused.
//! Method: move, remove and replace the directory and the file beneath an open tree, and write.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use onceward_vfs::{
    Fault, FaultKind, FaultOp, File, GroundMoved, Mode, OsVfs, SimVfs, Survival, Vfs,
};
use tempfile::TempDir;

/// A tree with an open file, and what is to happen to it.
struct Scene {
    _dir: TempDir,
    path: PathBuf,
    vfs: OsVfs,
    file: Arc<dyn File>,
}

impl Scene {
    fn new() -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("store");
        let vfs = OsVfs::create(&path)?;
        vfs.create_dir("log")?;
        let file = vfs.open("log/file", Mode::CreateNew)?;
        file.write_all_at(0, b"before")?;
        file.sync_data()?;
        Ok(Self { _dir: dir, path, vfs, file })
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.path.with_file_name(name)
    }

    /// What every call that writes answers.
    fn writing(&self) -> Vec<io::Result<()>> {
        vec![
            self.file.write_all_at(0, b"after!"),
            self.file.set_len(1),
            self.file.sync_data(),
            self.vfs.open("new", Mode::CreateNew).map(drop),
            self.vfs.open("log/file", Mode::Write).map(drop),
            self.vfs.create_dir("dir"),
            self.vfs.rename("log/file", "moved"),
            self.vfs.remove("log/file"),
            self.vfs.sync_dir(""),
            self.vfs.check_ground(),
        ]
    }
}

fn copy_of(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.join("log"))?;
    fs::copy(from.join("log/file"), to.join("log/file")).map(drop)
}

/// What happens to a tree, with its name.
type Change = (&'static str, fn(&Scene));

#[test]
fn nothing_is_written_once_the_directory_is_not_where_it_was_opened() {
    let changes: [Change; 4] = [
        ("moved", |scene| fs::rename(&scene.path, scene.beside("moved")).unwrap()),
        ("removed", |scene| fs::remove_dir_all(&scene.path).unwrap()),
        ("made anew", |scene| {
            fs::remove_dir_all(&scene.path).unwrap();
            fs::create_dir_all(scene.path.join("log")).unwrap();
        }),
        ("exchanged for a copy", |scene| {
            copy_of(&scene.path, &scene.beside("copy")).unwrap();
            fs::rename(&scene.path, scene.beside("moved")).unwrap();
            fs::rename(scene.beside("copy"), &scene.path).unwrap();
        }),
    ];
    for (what, change) in changes {
        let scene = Scene::new().unwrap();
        change(&scene);
        for (number, answer) in scene.writing().into_iter().enumerate() {
            let error = answer.unwrap_err();
            let moved = GroundMoved::of(&error);
            assert!(matches!(moved, Some(GroundMoved::Directory(_))), "{what}, {number}: {error}");
        }
        let mut seen = [0; 6];
        assert_eq!(scene.file.read_at(0, &mut seen).unwrap(), 6);
        assert_eq!(&seen, b"before", "{what}: reading goes on, and nothing was written");
        assert!(!scene.path.join("new").exists() && !scene.beside("moved").join("new").exists());
    }
}

/// It is where a link leads, and nobody opens it by that way.
#[test]
fn nothing_is_durable_by_way_of_a_link_in_a_directorys_place() -> io::Result<()> {
    let scene = Scene::new()?;
    let (log, elsewhere) = (scene.path.join("log"), scene.beside("log"));
    fs::rename(&log, &elsewhere)?;
    std::os::unix::fs::symlink(&elsewhere, &log)?;
    // Written where it is, which the look after the sync sees.
    scene.file.write_all_at(0, b"after!")?;
    assert!(GroundMoved::of(&scene.file.sync_data().unwrap_err()).is_some());
    assert!(GroundMoved::of(&scene.file.set_len(1).unwrap_err()).is_some());
    fs::remove_file(&log)?;
    fs::rename(&elsewhere, &log)?;
    scene.file.write_all_at(0, b"again!")
}

#[test]
fn nothing_is_written_to_a_file_that_is_not_where_it_was_opened() {
    let changes: [Change; 4] = [
        ("removed", |scene| fs::remove_file(scene.path.join("log/file")).unwrap()),
        ("replaced", |scene| {
            fs::copy(scene.path.join("log/file"), scene.path.join("copy")).unwrap();
            fs::rename(scene.path.join("copy"), scene.path.join("log/file")).unwrap();
        }),
        ("its directory moved", |scene| {
            fs::rename(scene.path.join("log"), scene.path.join("old")).unwrap();
        }),
        ("its directory exchanged for a copy", |scene| {
            fs::rename(scene.path.join("log"), scene.path.join("old")).unwrap();
            fs::create_dir(scene.path.join("log")).unwrap();
            fs::copy(scene.path.join("old/file"), scene.path.join("log/file")).unwrap();
        }),
    ];
    for (what, change) in changes {
        let scene = Scene::new().unwrap();
        change(&scene);
        let told =
            [scene.file.write_all_at(0, b"after!"), scene.file.set_len(1), scene.file.sync_data()];
        for answer in told {
            let error = answer.unwrap_err();
            assert!(
                matches!(GroundMoved::of(&error), Some(GroundMoved::File(_))),
                "{what}: {error}"
            );
        }
        let mut seen = [0; 6];
        assert_eq!(scene.file.read_at(0, &mut seen).unwrap(), 6);
        assert_eq!(&seen, b"before", "{what}");
        assert!(scene.vfs.check_ground().is_ok(), "{what}: the directory is where it was");
    }
}

#[test]
fn a_directory_that_came_back_is_written_to_again() {
    let scene = Scene::new().unwrap();
    fs::rename(&scene.path, scene.beside("away")).unwrap();
    assert!(scene.file.write_all_at(0, b"after!").is_err());
    fs::rename(scene.beside("away"), &scene.path).unwrap();
    scene.file.write_all_at(0, b"after!").unwrap();
    scene.file.sync_data().unwrap();
    assert_eq!(fs::read(scene.path.join("log/file")).unwrap(), b"after!");
}

#[test]
fn a_link_that_leads_elsewhere_is_another_directory() {
    let scene = Scene::new().unwrap();
    let (link, other) = (scene.beside("link"), scene.beside("other"));
    std::os::unix::fs::symlink(&scene.path, &link).unwrap();
    let vfs = OsVfs::open(&link).unwrap();
    assert!(vfs.check_ground().is_ok(), "control");
    fs::create_dir(&other).unwrap();
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&other, &link).unwrap();
    let error = vfs.open("new", Mode::CreateNew).unwrap_err();
    assert_eq!(GroundMoved::of(&error), Some(&GroundMoved::Directory(link)));
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
}

#[test]
fn a_simulated_disk_moves_away_before_a_write_or_after_a_sync() {
    let disk = SimVfs::new();
    let file = disk.open("file", Mode::CreateNew).unwrap();
    disk.sync_dir("").unwrap();
    let moved = |op| Fault {
        op,
        name_contains: String::new(),
        nth: 0,
        kind: FaultKind::Moved,
        forever: false,
    };
    disk.plan(moved(FaultOp::Write));
    let refused = file.write_all_at(0, b"lost").unwrap_err();
    assert!(GroundMoved::of(&refused).is_some(), "{refused}");
    assert_eq!(disk.bytes("file").unwrap(), b"");
    file.write_all_at(0, b"kept").unwrap();
    disk.plan(moved(FaultOp::SyncData));
    let refused = file.sync_data().unwrap_err();
    assert!(GroundMoved::of(&refused).is_some(), "{refused}");
    let found = disk.after_power_cut(&Survival::Nothing);
    assert_eq!(found.bytes("file").unwrap(), b"kept", "somewhere else, and durable");
}
