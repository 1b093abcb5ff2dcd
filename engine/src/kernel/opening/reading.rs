//! Reads the log, and the index beside it, until they fit each other.

use std::collections::BTreeSet;
use std::sync::Arc;

use onceward_index::{Index, Location};
use onceward_vfs::Vfs;
use onceward_wal::{Error as LogError, Examined, Frame, Identity, Preparation, Sealing};

use super::lost::LostToDamage;
use super::{from_index, no_store, secret_of};
use crate::base::places::{INDEX_DIR, UNCHECKED};
use crate::base::{Error, ErrorKind, Result};
use crate::kernel::summaries::{self, SummarizedLog, Unread};
use crate::kernel::{Areas, Kernel, KeyIndex, KeySettings, Times, from_log};

/// How often the log is read: as it is, with the times of all its runs, and for an index that is made anew.
const OPENINGS_MAX: usize = 3;
/// How often somebody without the lock reads what changes meanwhile.
pub(crate) const READINGS_MAX: usize = 4;

/// What reading came to.
pub(super) struct Read<S> {
    pub(super) examined: Examined,
    pub(super) state: S,
    /// Why the index was made anew, if it was.
    pub(super) rebuilt: Option<String>,
    /// Keys that the index knows and the log has lost.
    pub(super) lost: LostToDamage,
    /// Segments of which summaries were read.
    pub(super) unread: Unread,
}

/// Reads the log and the index. Files of the index that do not fit the log, or are damaged, are given up,
/// and the whole log is applied; unless they alone know keys: that is for the caller to write down first.
pub(super) fn read<S: Areas>(
    vfs: &Arc<dyn Vfs>,
    sealing: Option<&Arc<dyn Sealing>>,
    settings: &KeySettings,
    preparation: Preparation,
) -> Result<Read<S>> {
    let identity =
        onceward_wal::identity_with(&**vfs, sealing).map_err(from_log)?.ok_or_else(no_store)?;
    let secret = secret_of(&identity);
    let location = Location { vfs: Arc::clone(vfs), dir: INDEX_DIR.to_owned() };
    let mut rebuilt = None;
    let mut times = Times::default();
    // Only by an index that fits, and never twice: what did not do once is read.
    let is_used = sealing.is_none();
    let mut numbers = if is_used { summaries::numbers(&**vfs) } else { BTreeSet::new() };
    if preparation == Preparation::InBackground {
        summaries::warm(&**vfs, &numbers);
    }
    for _ in 0..OPENINGS_MAX {
        let (keys, trouble) = open_keys(&location, &identity, settings)?;
        rebuilt = rebuilt.or(trouble);
        let state = S::new(Kernel::new(secret.clone(), keys, times.clone()));
        let mut reading = SummarizedLog::new(&**vfs, state, std::mem::take(&mut numbers));
        let mut examined = onceward_wal::examine_known(&**vfs, sealing, &mut reading)
            .map_err(from_log)?
            .ok_or_else(no_store)?;
        let (mut state, passed) = reading.into_parts();
        if let Some(runs) = state.kernel().times.worth_another_reading() {
            times = Times::with_runs(runs);
            continue;
        }
        let unread = Unread { passed, is_used };
        state.end_replay();
        #[cfg(test)]
        if !unread.passed.is_empty() {
            let keys = open_keys(&location, &identity, settings)?.0;
            assert_as_read(&**vfs, Kernel::new(secret.clone(), keys, Times::default()), &state);
        }
        let mut lost = LostToDamage::find(&**vfs, &mut examined, &state)?;
        match state.kernel().keys.misfit().or_else(|| lost.misfit.take()) {
            None => return Ok(Read { examined, state, rebuilt, lost, unread }),
            Some(why) if !lost.is_empty() => {
                lost.misfit = Some(why);
                return Ok(Read { examined, state, rebuilt, lost, unread });
            }
            Some(why) => rebuilt = Some(why),
        }
        drop(state);
        onceward_index::discard(&**vfs, INDEX_DIR).map_err(|error| from_index(&error))?;
        // It was looked at. One that stays only makes a later opening look again.
        drop(vfs.remove(UNCHECKED));
    }
    let why = rebuilt.unwrap_or_default();
    Err(Error::new(ErrorKind::Io, "INDEX_IO", format!("the index cannot be rebuilt: {why}")))
}

/// The index beside the log, and why it is empty, if its files cannot be used.
fn open_keys(
    location: &Location,
    identity: &Identity,
    settings: &KeySettings,
) -> Result<(KeyIndex, Option<String>)> {
    match Index::open(location.clone(), &secret_of(identity), settings.options()) {
        Ok(opened) => {
            let keys = KeyIndex::opened(opened, settings)?;
            let why = keys.discarded().map(|discarded| discarded.why.clone());
            Ok((keys, why))
        }
        Err(error) if error.kind() == onceward_index::ErrorKind::Invalid => Err(from_index(&error)),
        Err(error) => Ok((KeyIndex::in_memory(settings)?, Some(error.to_string()))),
    }
}

/// Holds a state that came from summaries against what reading the whole log says, unless that has damage.
#[cfg(test)]
fn assert_as_read<S: Areas>(vfs: &dyn Vfs, kernel: Kernel, state: &S) {
    let mut read = S::new(kernel);
    let examined = onceward_wal::examine(vfs, &mut |frame| read.replay(frame));
    // A disk that refuses refuses the opening too.
    if let Ok(Some(examined)) = examined
        && examined.report().damage.is_empty()
    {
        read.end_replay();
        let (read, state) = (read.described(), state.described());
        let same = read.bytes().zip(state.bytes()).take_while(|(one, other)| one == other).count();
        let from = same.saturating_sub(400);
        let part = |text: &str| text.chars().skip(from).take(800).collect::<String>();
        assert!(read == state, "read:\n{}\nsummarized:\n{}", part(&read), part(&state));
    }
}

/// Reads the log without a lock, and without the index's files.
///
/// # Errors
///
/// `NotFound`, `EncryptionKey`, `Corrupt`, `Io`.
pub(crate) fn read_log<S: Areas>(
    vfs: &dyn Vfs,
    sealing: Option<&Arc<dyn Sealing>>,
    settings: &KeySettings,
) -> Result<(Examined, S)> {
    let identity =
        onceward_wal::identity_with(vfs, sealing).map_err(from_log)?.ok_or_else(no_store)?;
    read_as(&identity, settings, &|visit| onceward_wal::examine_with(vfs, sealing, visit))
}

/// Reads a log without its keys, also one that is sealed: then what its frames say is not read.
///
/// # Errors
///
/// As [`read_log`].
pub(crate) fn read_log_without_keys<S: Areas>(
    vfs: &dyn Vfs,
    settings: &KeySettings,
) -> Result<(Examined, S)> {
    let identity = onceward_wal::identity(vfs).map_err(from_log)?.ok_or_else(no_store)?;
    read_as(&identity, settings, &|visit| onceward_wal::examine(vfs, visit))
}

/// Examines a log and hands its frames to what it is given.
type Examine<'a> =
    dyn Fn(&mut dyn FnMut(&Frame<'_>)) -> std::result::Result<Option<Examined>, LogError> + 'a;

fn read_as<S: Areas>(
    identity: &Identity,
    settings: &KeySettings,
    examine: &Examine<'_>,
) -> Result<(Examined, S)> {
    let mut times = Times::default();
    loop {
        let keys = KeyIndex::in_memory(settings)?;
        let mut state = S::new(Kernel::new(secret_of(identity), keys, times));
        let examined =
            examine(&mut |frame| state.replay(frame)).map_err(from_log)?.ok_or_else(no_store)?;
        match state.kernel().times.worth_another_reading() {
            Some(runs) => times = Times::with_runs(runs),
            None => {
                state.end_replay();
                return Ok((examined, state));
            }
        }
    }
}
