//! Finished segments, for a thread of the host's beside those who write: what is known of them, and whether they are
//! still as they were written.

use std::sync::Arc;

use super::{Core, Log};
use crate::error::{Error, ErrorKind};
use crate::examine::Reread;
use crate::frame::Frame;
use crate::known::KnownSegment;
use crate::name;
use crate::report::Damage;
use crate::sealing::SegmentBodies;
use crate::segment::SegmentInfo;

/// Reads the finished segments of an open log. Does not keep the log open.
#[derive(Clone, Debug)]
pub struct FinishedSegments {
    core: Arc<Core>,
}

impl FinishedSegments {
    /// Those that there are, oldest first.
    #[must_use]
    pub fn infos(&self) -> Vec<SegmentInfo> {
        let segments = self.core.segments.read();
        let all: Vec<SegmentInfo> = segments.infos().collect();
        all.into_iter().filter(|info| segments.goes_on_after(info.number)).collect()
    }

    /// Shows every frame of a finished segment to `visit`, in order, and returns what the next opening needs to know
    /// of it in the place of reading it. `None`: it is not whole, or its bodies are sealed.
    ///
    /// # Errors
    ///
    /// `Trimmed`: it went meanwhile. `Io`: it cannot be read.
    pub fn describe(
        &self,
        number: u64,
        visit: &mut dyn FnMut(&Frame<'_>),
    ) -> Result<Option<KnownSegment>, Error> {
        let is_finished = self.core.segments.read().goes_on_after(number);
        let Some(reread) = reread(&self.core, number, visit)?.filter(|_| is_finished) else {
            return Ok(None);
        };
        Ok(reread.known())
    }

    /// Reads a segment that opening did not read, and returns what of it is not as it was written. Nothing of one that
    /// was checked before, or is gone.
    ///
    /// # Errors
    ///
    /// `Io`: it cannot be read; it is not checked then.
    pub fn check(&self, number: u64) -> Result<Vec<Damage>, Error> {
        check_segment(&self.core, number)
    }
}

impl Log {
    /// The finished segments, to be read beside those who write.
    #[must_use]
    pub fn finished(&self) -> FinishedSegments {
        FinishedSegments { core: Arc::clone(&self.core) }
    }
}

/// Reads a finished segment; `None`: its bodies are sealed.
fn reread(
    core: &Core,
    number: u64,
    visit: &mut dyn FnMut(&Frame<'_>),
) -> Result<Option<Reread>, Error> {
    let gone = || {
        let path = name::segment(&core.identity.store, number);
        Error::new(ErrorKind::Trimmed, "the segment was trimmed").at(&path, 0)
    };
    let source = core.source(number)?.ok_or_else(gone)?;
    if !matches!(source.bodies, SegmentBodies::Clear) {
        return Ok(None);
    }
    Reread::of(&source, core.identity.store, visit).map(Some)
}

/// See [`FinishedSegments::check`].
pub(super) fn check_segment(core: &Core, number: u64) -> Result<Vec<Damage>, Error> {
    let unchecked = {
        let segments = core.segments.read();
        let info = segments.infos().find(|info| info.number == number);
        info.zip(segments.get(number).and_then(|segment| segment.unchecked))
    };
    let Some((info, ends)) = unchecked else { return Ok(Vec::new()) };
    let read = || match reread(core, number, &mut |_frame| {}) {
        Err(error) if error.kind() == ErrorKind::Trimmed => Ok(None),
        read => read,
    };
    let Some(mut found) = read()? else { return Ok(Vec::new()) };
    if !found.damage(&info, ends).is_empty() {
        // What came to memory wrongly once comes rightly the next time.
        let Some(again) = read()? else { return Ok(Vec::new()) };
        found = again;
    }
    let damage = found.damage(&info, ends);
    if let Some(segment) = core.segments.write().get_mut(number) {
        segment.unchecked = None;
        segment.damaged |= !damage.is_empty();
        segment.unread |= found.is_unread();
    }
    Ok(damage)
}
