//! Follows a store that another process writes: each event once, as soon as it is proven durable.
//!
//! | file | what |
//! |---|---|
//! | `backlog` | events that were there before following began |
//! | `fresh` | events of the frames that a look found new |
//!
//! No lock is taken and nothing is written. Nothing is kept of what was shown, so following for years
//! takes no more memory than following for a minute.

mod backlog;
mod fresh;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use onceward_vfs::{OsVfs, Vfs};
use onceward_wal::{Anchor, Followed, Follower, Identity, KIND_RUN, RunBody};

use crate::base::Damage;
use crate::base::clock::{Clock, OsClock};
use crate::base::{Error, ErrorKind, Result};
use crate::config::Config;
use crate::event::StoredEvent;
use crate::inspect::{Inspection, Keys};
use crate::kernel::Times;
use crate::kernel::from_log;
use crate::kernel::opening::READINGS_MAX;
use crate::kernel::opening::{cannot_open, damage_of, log_damage, no_store};
use backlog::Backlog;
use fresh::Fresh;

/// Most bytes of frames whose events one look returns, but for the last of them.
const LOOK_BYTES_MAX: usize = 8 * 1024 * 1024;

/// From where on a store is followed.
///
/// ```
/// use onceward::{Config, Store};
/// use onceward::inspect::{Since, Tail};
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// # Store::open(&dir, Config::new())?.close()?;
/// // What was there does not matter, only what comes.
/// let mut tail = Tail::open(&dir, Since::Last(0))?;
/// assert!(tail.look()?.events.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Since {
    /// Every event that the log still has.
    Beginning,
    /// The last events, this many; 0 for only those that come from now on.
    Last(usize),
}

/// A store that is followed.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
/// use onceward::inspect::{Since, Tail};
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// let store = Store::open(&dir, Config::new())?;
/// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("24.50")?);
/// store.capture(&sale)?;
/// store.close()?;
/// let mut tail = Tail::open(&dir, Since::Beginning)?;
/// assert_eq!(tail.look()?.events[0].event, sale);
/// assert!(tail.look()?.events.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tail {
    disk: Disk,
    keys: Keys,
    identity: Identity,
    follower: Follower,
    /// The frame that the follower was shown last.
    anchor: Option<Anchor>,
    times: Times,
    /// What was there before, until it has been shown.
    backlog: Option<Backlog>,
    /// Damage that was reported.
    reported: Vec<Damage>,
    /// Damage that opening found, until it is reported.
    untold: Vec<Damage>,
    /// How many bytes of frames a look may hold.
    bytes_max: usize,
}

/// Finds the store's directory under its name, whatever was put there since.
type Disk = Box<dyn Fn() -> Result<Arc<dyn Vfs>> + Send>;

/// What a look found.
///
/// ```
/// use onceward::{Config, Store};
/// use onceward::inspect::{Since, Tail};
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path().join("store");
/// # Store::open(&dir, Config::new())?.close()?;
/// let mut tail = Tail::open(&dir, Since::Beginning)?;
/// loop {
///     let looked = tail.look()?;
///     for event in &looked.events {
///         println!("{} {}", event.lsn, event.event.key);
///     }
///     if !looked.is_behind {
///         break; // And look again later.
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct TailBatch {
    /// Events that are new, in the order of their numbers, each as far as it is now.
    pub events: Vec<StoredEvent>,
    /// Why events that should be there cannot be read.
    pub unreadable: Vec<Error>,
    /// Damage that was not reported before.
    pub damage: Vec<Damage>,
    /// Numbers between the frames that are not there: never used, lost to damage, or trimmed before
    /// they were looked at.
    pub skipped: u64,
    /// Whether there is more, so that the next look need not wait.
    pub is_behind: bool,
}

impl Tail {
    /// Begins to follow the store in `dir`.
    ///
    /// # Errors
    ///
    /// `NotFound`: no store. `EncryptionKey`: it is encrypted; see [`Tail::open_with`]. `Unsupported`: of a newer
    /// version. `Corrupt`: nothing of it can be read. `Io`.
    ///
    /// # Cost
    ///
    /// Reads the whole log.
    pub fn open(dir: impl AsRef<Path>, since: Since) -> Result<Self> {
        Self::open_with(dir, since, &Config::new())
    }

    /// Opens as [`Tail::open`] does, with the keys of an encrypted store; nothing else of the configuration is used.
    ///
    /// # Errors
    ///
    /// As [`Tail::open`].
    pub fn open_with(dir: impl AsRef<Path>, since: Since, config: &Config) -> Result<Self> {
        let place = dir.as_ref();
        let dir = place.to_owned();
        let disk = move || -> Result<Arc<dyn Vfs>> {
            let vfs = OsVfs::open_read_only(&dir).map_err(|source| cannot_open(&dir, source))?;
            Ok(Arc::new(vfs))
        };
        Self::open_on(Box::new(disk), Arc::new(OsClock::new()), since, config.sealing())
            .map_err(|error| error.in_place("read", place, "read"))
    }

    /// Opens as [`Tail::open`] does, on any disk.
    pub(crate) fn open_on(
        disk: Disk,
        clock: Arc<dyn Clock>,
        since: Since,
        keys: Keys,
    ) -> Result<Self> {
        let (identity, follower, anchor, times) = again(|| {
            let vfs = disk()?;
            let identity = identity_of(&*vfs, &keys)?;
            let mut times = Times::default();
            let mut follower = Follower::default().with_sealing(keys.clone());
            let mut last = None;
            follower
                .look(&*vfs, &mut |frame| {
                    last = Some(frame.place);
                    match RunBody::decode(frame.body) {
                        Some(body) if frame.kind == KIND_RUN => times.begin_run(frame, &body),
                        Some(_) | None => _ = times.of(frame),
                    }
                })
                .map_err(from_log)?
                .ok_or_else(no_store)?;
            let anchor = last.and_then(|place| Anchor::drop_at(&*vfs, &identity, place));
            Ok((identity, follower, anchor, times))
        })?;
        // After the follower: whatever it does not show any more is found here.
        let inspection = Inspection::open_on(disk()?, clock, keys.clone())?;
        let damage = inspection.recovery().damage.clone();
        let backlog = Backlog::new(inspection, follower.shown(), since);
        Ok(Self {
            disk,
            keys,
            identity,
            follower,
            anchor,
            times,
            backlog: Some(backlog),
            reported: damage.clone(),
            untold: damage,
            bytes_max: LOOK_BYTES_MAX,
        })
    }

    /// Looks for what is new: first what was there before, then what came since the last look.
    ///
    /// An event is shown once it is proven that it survives a power cut: when something was written
    /// after it, or when its store has been quiet for a tenth of a second. Its state is that of this
    /// moment, mostly pending; what becomes of it later is not shown. Damage is reported once, and only if
    /// a second reading finds it too.
    ///
    /// # Errors
    ///
    /// `Invalid`, with the code `REPLACED`: the store was replaced by another one, or by an older state
    /// of itself. `NotFound`: it is gone. `Unsupported`, `Corrupt`, `Io`: it cannot be read; looking
    /// again may help, and shows nothing twice.
    ///
    /// # Cost
    ///
    /// One small read if nothing was written; otherwise the segments that hold what is new are read,
    /// from their beginning. At most 8 MiB of events are held at a time.
    pub fn look(&mut self) -> Result<TailBatch> {
        let mut looked = match &mut self.backlog {
            Some(backlog) => {
                let looked = backlog.next(self.bytes_max);
                if !looked.is_behind {
                    self.backlog = None;
                }
                // What came in the meantime is next.
                TailBatch { is_behind: true, ..looked }
            }
            None => again(|| self.look_once())?,
        };
        looked.damage.splice(..0, self.untold.drain(..));
        Ok(looked)
    }

    /// Looks at the frames that are new. If it fails, nothing happened.
    fn look_once(&mut self) -> Result<TailBatch> {
        let vfs = (self.disk)()?;
        let shown = self.follower.shown();
        let mut start = match &self.anchor {
            Some(anchor) if !anchor.holds(&*vfs) => {
                refuse_another_state(&*vfs, shown, &self.keys)?;
                Follower::after(shown).with_sealing(self.keys.clone())
            }
            Some(_) | None => self.follower.clone(),
        };
        let mut follower = start.clone();
        let mut fresh = Fresh::new(&self.identity, self.times.clone(), shown, self.bytes_max)?;
        let followed = follow(&mut follower, &*vfs, &mut fresh)?;
        if followed != Followed::default() && identity_of(&*vfs, &self.keys)? != self.identity {
            return Err(replaced("it is another store"));
        }
        let mut damage: Vec<Damage> = followed.damage.iter().map(log_damage).collect();
        damage.retain(|damage| !self.reported.contains(damage));
        if !damage.is_empty() {
            let mut scrap = Fresh::new(&self.identity, self.times.clone(), shown, 0)?;
            let second = follow(&mut start, &*vfs, &mut scrap)?;
            let second: Vec<Damage> = second.damage.iter().map(log_damage).collect();
            if damage.iter().any(|damage| !second.contains(damage)) {
                // Not damage, and perhaps frames were not seen behind it.
                return Err(Error::new(ErrorKind::Io, "IO", "the log changed while it was read"));
            }
        }
        damage.extend(
            damage_of(&fresh.state.kernel).filter(|damage| !self.reported.contains(damage)),
        );
        let (cut, skipped) = (fresh.cut_after(), fresh.skipped());
        // Without a new frame, what it was dropped at was trimmed or is damaged: it no longer holds.
        let is_held = self.anchor.as_ref().is_some_and(|anchor| anchor.holds(&*vfs));
        self.anchor = match fresh.place() {
            Some(place) => Anchor::drop_at(&*vfs, &self.identity, place),
            None => self.anchor.take().filter(|_| is_held),
        };
        let (events, times) = fresh.into_events()?;
        self.times = times;
        self.follower =
            cut.map_or(follower, |shown| Follower::after(shown).with_sealing(self.keys.clone()));
        self.reported.extend(damage.iter().cloned());
        Ok(TailBatch { events, damage, skipped, is_behind: cut.is_some(), ..TailBatch::default() })
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("follower", &self.follower).finish_non_exhaustive()
    }
}

/// Looks once at what is new.
fn follow(follower: &mut Follower, vfs: &dyn Vfs, fresh: &mut Fresh) -> Result<Followed> {
    follower.look(vfs, &mut |frame| fresh.take(frame)).map_err(cannot_follow)?.ok_or_else(no_store)
}

/// An error of a look.
fn cannot_follow(error: onceward_wal::Error) -> Error {
    match error.kind() {
        onceward_wal::ErrorKind::Invalid => replaced(&error.to_string()),
        _ => from_log(error),
    }
}

/// Refuses a log whose frame `shown` is not the one that was shown. None at all may have been trimmed.
fn refuse_another_state(vfs: &dyn Vfs, shown: u64, keys: &Keys) -> Result<()> {
    let mut is_there = false;
    Follower::after(shown.saturating_sub(1))
        .with_sealing(keys.clone())
        .look(vfs, &mut |frame| is_there |= frame.lsn.get() == shown)
        .map_err(cannot_follow)?;
    if is_there {
        return Err(replaced(&format!("LSN {shown} is not what was shown before")));
    }
    Ok(())
}

/// The identity of the store.
fn identity_of(vfs: &dyn Vfs, keys: &Keys) -> Result<Identity> {
    onceward_wal::identity_with(vfs, keys.as_ref()).map_err(from_log)?.ok_or_else(no_store)
}

/// The store is not the one that was followed.
fn replaced(why: &str) -> Error {
    Error::invalid("REPLACED", format!("the store was replaced while it was followed: {why}"))
}

/// Does something again that a writer at work may have disturbed.
fn again<T>(mut reading: impl FnMut() -> Result<T>) -> Result<T> {
    let mut tries = 1;
    loop {
        match reading() {
            Err(error)
                if tries < READINGS_MAX
                    && (error.kind() == ErrorKind::Io || error.code() == "REPLACED") =>
            {
                tries += 1;
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests;
