//! Makes the summary of a segment from its frames.

use onceward_wal::{Frame, KIND_HOST_MIN, KIND_RUN, KnownSegment};

use super::layout::{self, MAGIC, Tag, VERSION};
use super::run::{NewRun, RunEvent, SIZE_UNIT};
use crate::base::FrameKind;
use crate::event::layout::View;
use crate::kernel::Areas;

/// The part of a segment that its summary may be: what is not much smaller is not read much faster.
const PART_MAX: u64 = 4;

/// A summary that is being made.
#[derive(Debug)]
pub(super) struct NewSummary {
    items: Vec<u8>,
    run: NewRun,
    /// Scopes by number.
    scopes: Vec<String>,
    /// First LSN of the segment, once a frame was seen.
    first_lsn: Option<u64>,
    bytes_max: usize,
    /// The segment has something that no summary can say, or too much of it.
    is_given_up: bool,
}

impl NewSummary {
    /// Of a segment of which so many bytes are used.
    pub(super) fn new(used_bytes: u64) -> Self {
        Self {
            items: Vec::new(),
            run: NewRun::default(),
            scopes: Vec::new(),
            first_lsn: None,
            bytes_max: usize::try_from(used_bytes / PART_MAX).unwrap_or(usize::MAX),
            is_given_up: false,
        }
    }

    /// Adds the next frame of the segment.
    pub(super) fn add<S: Areas>(&mut self, frame: &Frame<'_>) {
        let first_lsn = *self.first_lsn.get_or_insert_with(|| frame.lsn.get());
        if self.is_given_up || (frame.kind < KIND_HOST_MIN && frame.kind != KIND_RUN) {
            return;
        }
        if let Some(event) = self.plain(frame) {
            if !self.run.add(event) {
                self.run.finish(Tag::Run.code(), first_lsn, &mut self.items);
                self.run.add(event);
            }
            return;
        }
        self.run.finish(Tag::Run.code(), first_lsn, &mut self.items);
        let needed = match FrameKind::of(frame) {
            Some(kind) => S::replayed_bytes(kind, frame),
            None => frame.body.len(),
        };
        // What only a newer program can read, it is to see whole.
        self.is_given_up |= frame.kind != KIND_RUN && FrameKind::of(frame).is_none();
        let body = frame.body.get(..needed).unwrap_or(frame.body);
        self.items.push(Tag::Frame.code());
        self.items.extend_from_slice(&frame.place.offset.to_le_bytes());
        self.items.extend_from_slice(&frame.header());
        let bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
        self.items.extend_from_slice(&bytes.to_le_bytes());
        self.items.extend_from_slice(body);
        self.is_given_up |= self.items.len() > self.bytes_max;
    }

    /// An event of which a run says all that replay needs; `None`: it is another frame.
    fn plain(&mut self, frame: &Frame<'_>) -> Option<RunEvent> {
        if FrameKind::of(frame) != Some(FrameKind::Event) {
            return None;
        }
        let event = View::decode(frame.flags, frame.body)?;
        // Of those in lanes and of those that may be dropped, keys or lanes must be known.
        if event.lane.is_some() || event.evictable {
            return None;
        }
        let bytes = u32::try_from(frame.bytes()).ok()?;
        let size = u16::try_from(bytes / SIZE_UNIT).ok();
        let size = size.filter(|size| *size > 0 && bytes.is_multiple_of(SIZE_UNIT))?;
        Some(RunEvent {
            lsn: frame.lsn.get(),
            offset: frame.place.offset,
            size,
            run: frame.run,
            time_ms: frame.time_ms,
            amount: event.amount.unwrap_or(0),
            scope: self.scope(event.scope)?,
            wall_offset_ms: event.wall_offset_ms(),
        })
    }

    /// The number of a scope, which is told before the run that names it.
    fn scope(&mut self, scope: &str) -> Option<u16> {
        let known = self.scopes.iter().rposition(|known| known == scope);
        if let Some(number) = known {
            return u16::try_from(number).ok();
        }
        let number = u16::try_from(self.scopes.len()).ok()?;
        let bytes = u8::try_from(scope.len()).ok()?;
        // Before the run under way too: it may be one of the next in it.
        self.items.extend_from_slice(&[Tag::Scope.code(), bytes]);
        self.items.extend_from_slice(scope.as_bytes());
        self.scopes.push(scope.to_owned());
        Some(number)
    }

    /// The bytes of the file; `None`: there is to be none.
    pub(super) fn finish(mut self, known: &KnownSegment) -> Option<Vec<u8>> {
        self.run.finish(Tag::Run.code(), self.first_lsn?, &mut self.items);
        let fits = self.first_lsn == Some(known.first_lsn()) && self.items.len() <= self.bytes_max;
        if self.is_given_up || !fits {
            return None;
        }
        let mut file = Vec::with_capacity(self.items.len() + 4 * 1024);
        file.extend_from_slice(&MAGIC);
        file.extend_from_slice(&VERSION.to_le_bytes());
        known.encode(&mut file);
        file.append(&mut self.items);
        layout::seal(&mut file);
        Some(file)
    }
}
