//! Looks at one segment, twice where something seems damaged: a writer may be at work.

use super::head::{Head, SegmentFile};
use super::judge::Examination;
use crate::error::Error;
use crate::frame::Frame;
use crate::meta;
use crate::walk::{self, Context, Walked};

/// One segment in use.
pub(super) struct Found {
    pub(super) file: SegmentFile,
    pub(super) bytes: usize,
    pub(super) head: Head,
    pub(super) context: Context,
    pub(super) walked: Walked,
}

impl Examination<'_> {
    /// Reads the frames of a segment; `None` if a writer at work trimmed it.
    pub(super) fn look(
        &self,
        file: SegmentFile,
        mut image: Vec<u8>,
        last_lsn: u64,
        visit: &mut dyn FnMut(&Frame<'_>),
    ) -> Result<Option<Found>, Error> {
        let mut shown = 0;
        let mut looks = 0;
        loop {
            looks += 1;
            let head = Head::of(&image, file.number, &file.store)?;
            // Another segment's header: the file is used again, and must not be read as this one.
            if head.header.is_none() && self.was_trimmed(file.number)? {
                return Ok(None);
            }
            let context = self.context(file.number, &head, last_lsn);
            let mut walked = walk::walk(&image, &context, &mut |frame| {
                if frame.lsn.get() > shown {
                    shown = frame.lsn.get();
                    visit(frame);
                }
            });
            if !walked.lost.is_empty() || head.header.is_none() {
                if looks == 1 {
                    // A writer at work may have changed the bytes while they were read.
                    let again = file.image()?;
                    if again != image {
                        image = again;
                        continue;
                    }
                }
                if self.was_trimmed(file.number)? {
                    return Ok(None);
                }
            }
            if walked.frames == 0 && walked.lost.is_empty() {
                // What its header says of the log before it holds, also if that was trimmed.
                walked.last_lsn = context.last_lsn;
            }
            return Ok(Some(Found { bytes: image.len(), file, head, context, walked }));
        }
    }

    /// Whether a writer at work took a segment off the list since it was read, which it does before
    /// it touches the file.
    pub(super) fn was_trimmed(&self, number: u64) -> Result<bool, Error> {
        if cfg!(bug = "reader-racing-recycling") {
            return Ok(false);
        }
        let now = meta::read(self.vfs)?.flatten();
        Ok(now.is_some_and(|meta| number < meta.next_number && !meta.segments.contains(number)))
    }

    /// Whether a writer at work changed `meta` since it was read.
    pub(super) fn has_moved_on(&self) -> bool {
        let now = meta::read(self.vfs).ok().flatten().flatten();
        now.is_some_and(|now| now.generation != self.meta.generation)
    }
}
