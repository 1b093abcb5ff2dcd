//! Decisions that other processes drop into `DIR/decisions/` while this one has the store open.
//!
//! | what is found | what becomes of it |
//! |---|---|
//! | a decision on what waits | carried out, durably; then the file is removed |
//! | one that was carried out, and a crash came before the removal | removed |
//! | one on what somebody else decided first | removed, and reported in the status |
//! | anything else | renamed to `NAME.bad`, and reported in the status |
//! | anything while the disk refuses | left for the next time |

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::Path;

use onceward_vfs::{OsVfs, Vfs, read_all, replace};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{Decision, DecisionAction, DecisionTrouble};
use crate::base::bounds::{DECISION_FILE_BYTES_MAX, DECISION_FILES_MAX, DECISION_TROUBLES_KEPT};
use crate::base::places::DECISIONS_DIR;
use crate::base::{Error, ErrorKind, Result};
use crate::event::{Key, Scope};
use crate::kernel::from_log;
use crate::kernel::opening::{cannot_open, no_store};
use crate::store::Shared;

/// How the name of a file ends that is to be carried out.
const ENDING: &str = ".json";
/// Files that could be neither removed nor renamed and that are passed over from then on.
const STUCK_MAX: usize = 1_000;

/// A decision in a file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct InFile {
    scope: String,
    key: String,
    action: ActionInFile,
    #[serde(default)]
    note: String,
    #[serde(default)]
    who: String,
    version: u64,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum ActionInFile {
    Retry,
    Resolve,
}

impl InFile {
    fn decision(self) -> Result<Decision> {
        let (scope, key) = (Scope::new(&self.scope)?, Key::new(&self.key)?);
        let decision = match self.action {
            ActionInFile::Retry => Decision::retry(scope, key),
            ActionInFile::Resolve => Decision::resolve(scope, key, ""),
        };
        Ok(decision.with_note(&self.note).with_person(&self.who).with_version(self.version))
    }
}

/// Drops a decision into the directory of a store that another process has open; its next
/// [`Store::tick`](crate::Store::tick) carries it out.
///
/// The decision must name the version that the person looked at. Nobody waits for the answer: look at
/// the item later, and at [`Status::decision_troubles`](crate::Status::decision_troubles).
///
/// ```
/// use onceward::{Config, Key, Scope, Store};
/// use onceward::review::{Decision, write_decision};
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// # let store = Store::open(&dir, Config::new())?;
/// let decision = Decision::retry(Scope::default(), Key::new("sale-1")?).with_person("anna").with_version(17);
/// write_decision(&dir, &decision)?;
/// // In the process that has the store:
/// store.tick()?;
/// assert_eq!(store.status().decision_troubles.len(), 1, "nothing waits under this key");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Durability
///
/// After `Ok` the file survives a crash. After an error it may be there or not: written twice, it
/// is carried out once.
///
/// # Errors
///
/// `Invalid`: no version, code `VERSION_MISSING`, or a text that is too long; with the code `ENCRYPTED`, the
/// store is encrypted, and a note in a file would not be. `NotFound`: no store
/// there. `Full`, `Io`.
pub fn write_decision(dir: impl AsRef<Path>, decision: &Decision) -> Result<()> {
    let dir = dir.as_ref();
    let vfs = OsVfs::open(dir).map_err(|source| cannot_open(dir, source))?;
    // Names ascend with time, and no two writers have the same.
    write_decision_on(&vfs, &uuid::Uuid::now_v7().to_string(), decision)
}

/// Writes a decision as [`write_decision`] does, on any disk and under a name.
pub(crate) fn write_decision_on(vfs: &dyn Vfs, name: &str, decision: &Decision) -> Result<()> {
    decision.check()?;
    let Some(version) = decision.version else {
        let why = "version: missing, a decision in a file must name the version of the item that it is about";
        return Err(Error::invalid("VERSION_MISSING", why));
    };
    if !vfs.exists("meta")? {
        return Err(no_store());
    }
    if onceward_wal::is_sealed(vfs).map_err(from_log)? {
        let why = "the store is encrypted, and a file with a decision is not: decide in the process that has it open";
        return Err(Error::invalid("ENCRYPTED", why));
    }
    let file = InFile {
        scope: decision.scope.as_str().to_owned(),
        key: decision.key.as_str().to_owned(),
        action: match decision.action {
            DecisionAction::Retry => ActionInFile::Retry,
            DecisionAction::Resolve => ActionInFile::Resolve,
        },
        note: decision.note.clone(),
        who: decision.who.clone(),
        version,
    };
    let bytes = serde_json::to_vec(&file).map_err(io::Error::from)?;
    vfs.create_dir(DECISIONS_DIR)?;
    Ok(replace(vfs, &format!("{DECISIONS_DIR}/{name}{ENDING}"), &bytes)?)
}

/// What is known of the files.
#[derive(Debug, Default)]
pub(crate) struct DecisionDropbox {
    /// Held by who takes files up.
    stuck: Mutex<BTreeSet<String>>,
    troubles: Mutex<VecDeque<DecisionTrouble>>,
}

impl DecisionDropbox {
    /// Decisions that were refused, the last ones.
    pub(crate) fn troubles(&self) -> Vec<DecisionTrouble> {
        self.troubles.lock().iter().cloned().collect()
    }

    fn report(&self, file: &str, why: &Error) {
        let mut troubles = self.troubles.lock();
        if troubles.len() >= DECISION_TROUBLES_KEPT {
            troubles.pop_front();
        }
        troubles.push_back(DecisionTrouble { file: file.to_owned(), why: why.to_string() });
    }
}

/// Decisions that were dropped into the directory of an open store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropped<'s> {
    inner: &'s Shared,
}

impl<'s> Dropped<'s> {
    /// The calls of this store.
    pub(crate) fn new(inner: &'s Shared) -> Self {
        Self { inner }
    }

    /// Carries out the decisions that were dropped into the store's directory.
    ///
    /// # Errors
    ///
    /// What the disk said; what is left is carried out the next time.
    pub(crate) fn carry_out(&self) -> Result<()> {
        // They wait until the store is not left any more: elsewhere somebody else decides.
        if self.inner.state.lock().rescue.refuse_if_fenced().is_err() {
            return Ok(());
        }
        // Another thread is at it.
        let Some(mut stuck) = self.inner.dropbox.stuck.try_lock() else { return Ok(()) };
        let names = match self.inner.vfs.list(DECISIONS_DIR) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            names => names?,
        };
        stuck.retain(|name| names.contains(name));
        let wanted = names.iter().filter(|name| name.ends_with(ENDING) && !stuck.contains(*name));
        let wanted: Vec<&String> = wanted.take(DECISION_FILES_MAX).collect();
        let mut done = Ok(());
        for name in &wanted {
            match self.carry_out_one(name, &mut stuck) {
                Ok(()) => {}
                Err(Refused::File(error)) => done = Err(error),
                Err(Refused::Log(error)) => {
                    done = Err(error);
                    break;
                }
            }
        }
        if !wanted.is_empty() {
            // A crash before this may bring files back: they are refused then.
            self.inner.vfs.sync_dir(DECISIONS_DIR)?;
        }
        done
    }

    /// Carries out the decision of one file.
    fn carry_out_one(&self, name: &str, stuck: &mut BTreeSet<String>) -> Result<(), Refused> {
        let path = format!("{DECISIONS_DIR}/{name}");
        let decision = match self.read_decision(&path) {
            Ok(Some(decision)) => decision,
            Ok(None) => {
                // Removed by another, or a name that is not ours.
                pass_over(name, stuck);
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::Invalid => {
                self.put_away(&path, name, &error, stuck);
                return Ok(());
            }
            Err(error) => return Err(Refused::File(error)),
        };
        match self.inner.reviews().decide(&decision) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Fenced => {
                if !self.inner.reviews().was_made(&decision).map_err(Refused::Log)? {
                    self.inner.dropbox.report(name, &error);
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.put_away(&path, name, &error, stuck);
                return Ok(());
            }
            Err(error) => return Err(Refused::Log(error)),
        }
        match self.inner.vfs.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                pass_over(name, stuck);
                self.inner.dropbox.report(name, &Error::from(error));
            }
            Ok(()) | Err(_) => {}
        }
        Ok(())
    }

    /// The decision in a file; `None` if the file is gone.
    fn read_decision(&self, path: &str) -> Result<Option<Decision>> {
        use io::ErrorKind as Kind;
        let bytes = match read_all(&*self.inner.vfs, path, DECISION_FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) => match error.kind() {
                Kind::NotFound => return Ok(None),
                // Too long, or no file at all.
                Kind::InvalidData | Kind::InvalidInput | Kind::IsADirectory => {
                    return Err(Error::invalid("NOT_A_DECISION", error.to_string()));
                }
                _ => return Err(error.into()),
            },
        };
        let file: InFile = serde_json::from_slice(&bytes).map_err(|error| {
            Error::invalid("NOT_A_DECISION", error.to_string()).with_source(error)
        })?;
        let decision = file.decision()?;
        decision.check()?;
        Ok(Some(decision))
    }

    /// Renames a file that is no use, so that it is in nobody's way.
    fn put_away(&self, path: &str, name: &str, why: &Error, stuck: &mut BTreeSet<String>) {
        self.inner.dropbox.report(name, why);
        let bad = format!("{DECISIONS_DIR}/{}.bad", name.strip_suffix(ENDING).unwrap_or(name));
        if self.inner.vfs.rename(path, &bad).is_err() {
            pass_over(name, stuck);
        }
    }
}

/// The part that refuses a decision, so that the file stays for the next time.
enum Refused {
    /// The disk cannot read this file.
    File(Error),
    /// The log takes no decision, from no file.
    Log(Error),
}

/// Notes a file that can be neither removed nor renamed.
fn pass_over(name: &str, stuck: &mut BTreeSet<String>) {
    if stuck.len() < STUCK_MAX {
        stuck.insert(name.to_owned());
    }
}
