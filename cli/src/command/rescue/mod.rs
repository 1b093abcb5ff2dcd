//! `export`, `import` and `unfence`: a terminal is left, and what it did not deliver goes along in a
//! sealed file.

mod place;
mod shapes;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use onceward::rescue::{Exported, Imported};
use serde::Serialize;

use self::shapes::{ExportedShape, ImportedShape};
use crate::{
    args::{ExportArgs, ImportArgs, UnfenceArgs},
    command::{
        bundle_key::{self, Purpose},
        shape,
        stop::Stop,
    },
    exit::{self, Exit, Failure, Outcome},
    output::{Output, Style, chatter, complain, counted},
    outside::Waiting,
    prompt::Prompt,
};

/// Runs `export`.
///
/// # Errors
///
/// The file, or its key, is below a store or a hub's data, with which it would be wiped; the key cannot be
/// had, the store cannot be opened or left, the file is there or cannot be written, a signal came, or stdout refused.
/// Of a file that is not whole nothing is left.
pub fn export(args: &ExportArgs, style: Style) -> Outcome {
    place::refuse_inside(&args.file, &args.store)?;
    // Without it the file is of no use.
    place::refuse_inside_of(args.key.key_file.as_deref(), &args.store)?;
    place::refuse_inside_of(args.key.passphrase_file.as_deref(), &args.store)?;
    let prompt = Prompt::new()?;
    let key = bundle_key::given(&args.key, Purpose::Seal, &prompt)?;
    let stop = prompt.into_stop();
    let store = shape::open_existing(&args.store)?;
    let file = match create(&args.file) {
        Ok(file) => file,
        Err(failure) => return shape::closing(store, Err(failure)),
    };
    let mut out = Stoppable { inner: file, stop: &stop };
    let written = store
        .rescue()
        .export(&mut out, &key, !args.stay)
        .map_err(|error| Failure::engine("cannot export", &error))
        .and_then(|exported| {
            let synced = out.inner.sync_all().and_then(|()| sync_folder(&args.file));
            synced.map(|()| exported).map_err(|error| {
                let file = args.file.display();
                Failure::failed(format!("cannot make {file} survive a power cut: {error}"))
            })
        });
    let fence = store.status().fence;
    let exported = match written {
        Ok(exported) => exported,
        Err(failure) => {
            discard(&args.file);
            if let Some(fence) = fence {
                chatter(&format!(
                    "nothing is lost: the store is left for the bundle {}; export again, or `unfence` it",
                    fence.bundle
                ));
            }
            return shape::closing(store, Err(failure));
        }
    };
    // Whoever exports is about to wipe.
    store.check_segments();
    let damaged = store.recovery().damage.len();
    let closed = shape::close(store);
    let shape = ExportedShape::new(&exported, &args.file, (fence.is_some(), damaged));
    // Reported first: a reader of stdout that has had enough must not hide it.
    let exit = conclude_export(&exported, damaged);
    let mut out = Output::stdout();
    let shown = match style {
        Style::Json => out.json(&shape),
        Style::Table => shape.print(&mut out),
    };
    exit::after_closing(shown.and_then(|()| out.flush()).map(|()| exit), closed)
}

/// Runs `import`.
///
/// # Errors
///
/// The key cannot be had, the store cannot be opened or written, the file cannot be read or is not what
/// was written, a signal came, or stdout refused. The same import again goes on where this one ended.
pub fn import(args: &ImportArgs, style: Style) -> Outcome {
    let prompt = Prompt::new()?;
    let key = bundle_key::given(&args.key, Purpose::Open, &prompt)?;
    let stop = prompt.into_stop();
    let file = Waiting::open(&args.file).map_err(|error| {
        Failure::failed(format!("cannot read the bundle {}: {error}", args.file.display()))
    })?;
    let store = shape::open_existing(&args.store)?;
    let mut input = Stoppable { inner: BufReader::new(file), stop: &stop };
    let before = store.status().keys;
    let imported = store.rescue().import(&mut input, &key);
    let taken = store.status().keys.saturating_sub(before);
    let closed = shape::close(store);
    let imported = match imported {
        Ok(imported) => imported,
        Err(error) => {
            chatter(&match taken {
                0 => "no event of it was imported".to_owned(),
                1 => {
                    "1 event of it was imported and stays; the same import again goes on from there"
                        .to_owned()
                }
                taken => format!(
                    "{taken} events of it were imported and stay; the same import again goes on from there"
                ),
            });
            let what = format!("cannot import {}", args.file.display());
            return exit::after_closing(Err(Failure::engine(&what, &error)), closed);
        }
    };
    let exit = conclude_import(&imported);
    let shape = ImportedShape::new(&imported);
    let mut out = Output::stdout();
    let shown = match style {
        Style::Json => out.json(&shape),
        Style::Table => shape.print(&mut out),
    };
    exit::after_closing(shown.and_then(|()| out.flush()).map(|()| exit), closed)
}

/// Runs `unfence`.
///
/// # Errors
///
/// The store cannot be opened or written, or is not left for this bundle.
pub fn unfence(args: &UnfenceArgs) -> Outcome {
    /// The state of the store now, as JSON.
    #[derive(Serialize)]
    struct Unfenced {
        /// The bundle that the store was left for.
        bundle: String,
        /// Whether the store is left.
        left: bool,
    }
    let store = shape::open_existing(&args.store)?;
    let what = format!("cannot open the store {} again", args.store.display());
    let unfenced =
        store.rescue().unfence(args.bundle).map_err(|error| Failure::engine(&what, &error));
    shape::closing(store, unfenced)?;
    chatter(
        "it captures and sends again; destroy the file of this bundle, or events are sent twice",
    );
    let mut out = Output::stdout();
    out.json(&Unfenced { bundle: args.bundle.to_string(), left: false })?;
    out.flush()?;
    Ok(Exit::Ok)
}

/// A file or pipe that is not used any more once a signal came.
struct Stoppable<'a, T> {
    /// The file or pipe.
    inner: T,
    /// Whether a signal came.
    stop: &'a Stop,
}

impl<T> Stoppable<'_, T> {
    /// Refuses if a signal came.
    fn check(&self) -> io::Result<()> {
        match self.stop.is_asked() {
            // Not `Interrupted`, which would be tried again.
            true => Err(io::Error::other("stopped by a signal")),
            false => Ok(()),
        }
    }
}

impl<T: Write> Write for Stoppable<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Stoppable<'_, T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.read(bytes)
    }
}

/// Creates a file that is not there yet, for its owner only.
fn create(path: &Path) -> Result<File, Failure> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
        let file = path.display();
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Failure::failed(format!("{file} is there already and is not overwritten"))
            }
            _ => Failure::failed(format!("cannot create {file}: {error}")),
        }
    })
}

/// Makes the name of a new file survive a power cut.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Removes the beginning of a bundle, which is of no use to anybody.
fn discard(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        chatter(&format!("cannot remove {}, which is not whole: {error}", path.display()));
    }
}

/// Reports on stderr what is not in a bundle, and returns the exit code for it. Of a range that was damaged before
/// the store was opened nobody knows how many events were in it.
fn conclude_export(exported: &Exported, damaged: usize) -> Exit {
    let unreadable = exported.unreadable_count;
    if unreadable == 0 && damaged == 0 {
        return Exit::Ok;
    }
    complain(&format!(
        "damaged ranges: {damaged}, events that could not be read: {unreadable}; what was there is \
         not in the file"
    ));
    Exit::Damage
}

/// Reports on stderr what was not imported, and returns the exit code for it.
fn conclude_import(imported: &Imported) -> Exit {
    let Imported { conflicts, refused, unreadable_at_source, .. } = imported;
    if *unreadable_at_source > 0 {
        complain(&format!(
            "{} not in the file, because of damage in the store that it is from",
            counted(*unreadable_at_source, "event is", "events are")
        ));
    }
    if conflicts.saturating_add(*refused) > 0 {
        complain(&format!(
            "left out: {} here with other content, {refused} over a limit; what is left out is only in the file and \
             in the store that it is from",
            counted(*conflicts, "event whose key is", "events whose keys are")
        ));
        return Exit::Failed;
    }
    if *unreadable_at_source > 0 { Exit::Damage } else { Exit::Ok }
}
