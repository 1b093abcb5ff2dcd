//! Reads the log, and the index beside it, until they fit each other.

use std::sync::Arc;

use onceward_index::{Index, Location, Secret};
use onceward_vfs::Vfs;
use onceward_wal::{Examined, Sealing};

use super::lost::Lost;
use super::{INDEX_DIR, UNCHECKED, from_index, no_store, secret_of};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::store::from_log;
use crate::view::{Remembered, Times, View, options};

/// Readings of the log: one more for runs of which it tells late, one more for an index that does not fit.
const READINGS_MAX: usize = 3;

/// What was read.
pub(super) struct Read {
    pub(super) examined: Examined,
    pub(super) view: View,
    /// Why the index was made anew, if it was.
    pub(super) rebuilt: Option<String>,
    /// What the log lost and the index knows.
    pub(super) lost: Lost,
}

/// Reads the log and replays it, to the index what its files do not cover.
///
/// What damage took from the log, the index may still know: nothing of it is given up before that is
/// told to the log.
pub(super) fn read(
    vfs: &Arc<dyn Vfs>,
    config: &Config,
    sealing: Option<&Arc<dyn Sealing>>,
) -> Result<Read> {
    let identity =
        onceward_wal::identity_with(&**vfs, sealing).map_err(from_log)?.ok_or_else(no_store)?;
    let secret = secret_of(&identity);
    let location = Location { vfs: Arc::clone(vfs), dir: INDEX_DIR.to_owned() };
    let mut rebuilt = None;
    let mut times = Times::default();
    for _ in 0..READINGS_MAX {
        let (keys, trouble) = remembered(&location, &secret, config)?;
        rebuilt = rebuilt.or(trouble);
        let mut view = View::new(secret.clone(), keys);
        view.time = times.clone();
        let mut examined =
            onceward_wal::examine_with(&**vfs, sealing, &mut |frame| view.replay(frame))
                .map_err(from_log)?
                .ok_or_else(no_store)?;
        if let Some(runs) = view.time.worth_another_reading() {
            times = Times::told(runs);
            continue;
        }
        view.end_replay();
        let mut lost = Lost::find(&**vfs, &mut examined, &view)?;
        match view.keys.misfit().or_else(|| lost.misfit.take()) {
            None => return Ok(Read { examined, view, rebuilt, lost }),
            Some(why) if !lost.is_empty() => {
                lost.misfit = Some(why);
                return Ok(Read { examined, view, rebuilt, lost });
            }
            Some(why) => rebuilt = Some(why),
        }
        drop(view);
        Index::discard(&**vfs, INDEX_DIR).map_err(|error| from_index(&error))?;
        // It was looked at. One that stays only makes a later opening look again.
        drop(vfs.remove(UNCHECKED));
    }
    let why = rebuilt.unwrap_or_default();
    Err(Error::new(ErrorKind::Io, "INDEX_IO", format!("the index cannot be rebuilt: {why}")))
}

/// The keys in the files of the index. Where it can have none, as on a disk without room, the keys
/// are in memory only: a capture is worth more than a quick opening.
fn remembered(
    location: &Location,
    secret: &Secret,
    config: &Config,
) -> Result<(Remembered, Option<String>)> {
    match Index::open(location.clone(), secret, options(config)) {
        Ok(opened) => {
            let keys = Remembered::opened(opened, config)?;
            let why = keys.discarded().map(|discarded| discarded.why.clone());
            Ok((keys, why))
        }
        Err(error) if error.kind() == onceward_index::ErrorKind::Invalid => Err(from_index(&error)),
        Err(error) => Ok((Remembered::in_memory(config)?, Some(error.to_string()))),
    }
}
