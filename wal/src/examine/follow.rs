//! Follows a log that another process writes: shows what is new, once, and only what is proven durable.

use std::sync::Arc;

use onceward_vfs::Vfs;

use super::anchor::Anchor;
use super::found_meta::found_meta;
use super::judge::Examination;
use super::scanned_segment::Shows;
use super::unlock;
use crate::error::Error;
use crate::frame::Frame;
use crate::name;
use crate::report::Damage;
use crate::sealing::Sealing;

/// How far a log was followed.
///
/// Takes no lock and changes nothing. A frame is shown once it is proven that its writer synced it:
/// by a later frame, or by the mark that a writer leaves when it is idle.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    /// LSN of the last frame that was shown.
    shown: u64,
    /// Where the log ended, and what was there. Every append, mark and seal begins there.
    end: Option<Anchor>,
    /// The sealing that opens the bodies of a sealed log.
    sealing: Option<Arc<dyn Sealing>>,
}

/// The result of [`Follower::look`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Followed {
    /// Frames that were shown.
    pub frames: u64,
    /// LSNs between the frames shown before and the first one shown now that are not there: never used,
    /// lost to damage, or trimmed before they were shown.
    pub skipped: u64,
    /// Damage in the part of the log that was looked at.
    pub damage: Vec<Damage>,
}

impl Follower {
    /// Shows what comes after `lsn`; 0 for everything that is there.
    #[must_use]
    pub fn after(lsn: u64) -> Self {
        Self { shown: lsn, ..Self::default() }
    }

    /// With what opens the bodies of a sealed log.
    #[must_use]
    pub fn with_sealing(mut self, sealing: Option<Arc<dyn Sealing>>) -> Self {
        self.sealing = sealing;
        self
    }

    /// LSN of the last frame that was shown, or the one that this began after.
    #[must_use]
    pub fn shown(&self) -> u64 {
        self.shown
    }

    /// Shows the frames that are new since the last look and proven durable, in order. `None`: there is
    /// no log.
    ///
    /// # Errors
    ///
    /// `Invalid`: the log ends before what was shown: it is another state of the store, older or
    /// restored. `Key`: as [`examine_with`](crate::examine_with). `Unsupported`, `Corrupt`, `Io`: as
    /// [`examine`](crate::examine); looking again may help.
    ///
    /// # Cost
    ///
    /// One small read if nothing was written since. Otherwise the heads of all segments, and twice the
    /// segments that hold what is new.
    pub fn look(
        &mut self,
        vfs: &dyn Vfs,
        visit: &mut dyn FnMut(&Frame<'_>),
    ) -> Result<Option<Followed>, Error> {
        if self.end.as_ref().is_some_and(|end| end.holds(vfs)) {
            return Ok(Some(Followed::default()));
        }
        let Some((meta, _, files)) = found_meta(vfs)? else { return Ok(None) };
        let store = meta.identity.store;
        let identity = unlock::identity(vfs, &meta, &files, self.sealing.as_ref())?;
        let mut examination = Examination::new(vfs, meta, &files)?;
        (examination.identity, examination.sealing) = (identity, self.sealing.clone());
        examination.shows = Shows::Proven;
        let mut followed = Followed::default();
        let mut shown = self.shown;
        let mut each = |frame: &Frame<'_>| {
            let lsn = frame.lsn.get();
            if lsn > shown {
                followed.skipped += lsn - shown - 1;
                followed.frames += 1;
                shown = lsn;
                visit(frame);
            }
        };
        let first = examination.number_holding(self.shown + 1);
        for number in examination.numbers() {
            if number >= first {
                examination.segment(number, &mut each)?;
            }
        }
        let (highest, hidden) = (examination.highest_lsn(), examination.hidden);
        let examined = examination.finish();
        if self.shown > highest {
            let message = format!("the log ends at LSN {highest}, {} was shown before", self.shown);
            return Err(Error::invalid(message));
        }
        self.shown = shown;
        // With frames that are not proven yet, nothing here says when they are.
        let ends = examined.tail.filter(|tail| !tail.sealed && hidden == 0);
        self.end = ends.and_then(|tail| {
            let offset = u64::try_from(tail.offset).unwrap_or(u64::MAX);
            // Not what is there by now: that may be a frame that was not shown.
            tail.behind.map(|bytes| Anchor::of(name::segment(&store, tail.number), offset, bytes))
        });
        followed.damage = examined.report.damage;
        Ok(Some(followed))
    }
}
