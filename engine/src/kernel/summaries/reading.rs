//! Reads summaries in the place of their segments.

use std::collections::{BTreeMap, BTreeSet};

use onceward_index::Window;
use onceward_vfs::{Vfs, read_all};
use onceward_wal::{
    FRAME_HEADER_BYTES, Frame, KIND_RUN, KnowingReader, KnownSegment, Place, RunBody,
    SEGMENT_BYTES_MAX,
};

use super::layout::{self, Tag};
use super::path;
use super::run::{ItemFields, SummaryRun};
use crate::kernel::Areas;

/// What a summary says, item by item.
pub(super) enum SummaryItem<'s> {
    /// A frame, with as much of its body as replay reads.
    Frame(Frame<'s>),
    /// Events.
    Run(SummaryRun<'s>),
}

/// The summary of a segment, whole.
#[derive(Debug)]
pub(super) struct SegmentSummary {
    pub(super) known: KnownSegment,
    file: Vec<u8>,
    /// Bytes behind what is known of the segment.
    item_bytes: usize,
}

impl SegmentSummary {
    /// Reads a file; `None`: it is no summary of this version, or not as it was written.
    pub(super) fn decode(file: Vec<u8>) -> Option<Self> {
        let (known, items) = KnownSegment::decode(layout::unseal(&file)?)?;
        let item_bytes = items.len();
        Some(Self { known, file, item_bytes })
    }

    /// Shows every item in the order of the frames. `None`: one is of another form, or was refused.
    pub(super) fn visit(&self, each: &mut dyn FnMut(SummaryItem<'_>) -> Option<()>) -> Option<()> {
        let (_, items) = KnownSegment::decode(layout::content(&self.file)?)?;
        debug_assert_eq!(items.len(), self.item_bytes, "the same bytes say the same");
        let of = (self.known.number(), self.known.first_lsn());
        let (mut rest, mut scopes) = (items, Vec::new());
        while let Some((tag, after)) = rest.split_first() {
            rest = after;
            match Tag::from_code(*tag)? {
                Tag::Frame => each(SummaryItem::Frame(frame(&mut rest, of)?))?,
                Tag::Run => each(SummaryItem::Run(SummaryRun::decode(&mut rest, of, &scopes)?))?,
                Tag::Scope => {
                    let mut fields = ItemFields(rest);
                    let [count] = fields.take()?;
                    scopes.push(std::str::from_utf8(fields.bytes(usize::from(count))?).ok()?);
                    rest = fields.0;
                }
            }
        }
        Some(())
    }
}

/// Reads a frame behind its tag.
fn frame<'s>(rest: &mut &'s [u8], (segment, first_lsn): (u64, u64)) -> Option<Frame<'s>> {
    let mut fields = ItemFields(rest);
    let offset = fields.u32()?;
    let header: [u8; FRAME_HEADER_BYTES] = fields.take()?;
    let count = usize::try_from(fields.u32()?).ok()?;
    let body = fields.bytes(count)?;
    *rest = fields.0;
    Frame::known(&header, first_lsn, Place { segment, offset }, body)
}

/// The log on its way into a state: frames as they are read, and of segments with a fitting summary what that says.
#[derive(Debug)]
pub(in crate::kernel) struct SummarizedLog<'v, S> {
    vfs: &'v dyn Vfs,
    state: S,
    /// Segments that have a summary.
    numbers: BTreeSet<u64>,
    /// Slices that the index's files have.
    slices: BTreeSet<(Window, u64)>,
    found: Option<SegmentSummary>,
    /// Segments that were not read.
    passed: BTreeSet<u64>,
}

impl<'v, S: Areas> SummarizedLog<'v, S> {
    /// A state before the first frame, and the segments whose summaries may be used.
    pub(in crate::kernel) fn new(vfs: &'v dyn Vfs, state: S, numbers: BTreeSet<u64>) -> Self {
        let (slices, passed) = (BTreeSet::new(), BTreeSet::new());
        Self { vfs, state, numbers, slices, found: None, passed }
    }

    /// The state, and the segments that were not read.
    pub(in crate::kernel) fn into_parts(self) -> (S, BTreeSet<u64>) {
        (self.state, self.passed)
    }

    /// The summary of a segment, if it can be used.
    fn find(&mut self, number: u64) -> Option<SegmentSummary> {
        self.numbers.contains(&number).then_some(())?;
        let file = read_all(self.vfs, &path(number), SEGMENT_BYTES_MAX).ok()?;
        let summary =
            SegmentSummary::decode(file).filter(|found| found.known.number() == number)?;
        let covered = self.state.kernel().keys.coverage().upto();
        // The keys of its events are in the index's files alone.
        let is_covered = summary.known.last_lsn() <= covered
            || onceward_vfs::planted!("summary-beyond-the-index-is-believed");
        (is_covered && self.has_slices(&summary)?).then_some(summary)
    }

    /// Whether the index's files have the slices of all its events: the key of one that was carried elsewhere is needed
    /// to find it. `None`: it is of another form.
    fn has_slices(&mut self, summary: &SegmentSummary) -> Option<bool> {
        let mut began = BTreeMap::new();
        let mut has_all = true;
        summary.visit(&mut |item| {
            match item {
                SummaryItem::Frame(frame) if frame.kind == KIND_RUN => {
                    let body = RunBody::decode(frame.body)?;
                    began.insert(frame.run, body.stamp.trusted_ms);
                }
                SummaryItem::Frame(_) => {}
                SummaryItem::Run(run) => {
                    let known = || self.state.kernel().times.began_ms(run.run);
                    let began_ms = began.get(&run.run).copied().or_else(known)?;
                    has_all &= self.has_slices_of(&run, began_ms);
                }
            }
            has_all.then_some(())
        })?;
        Some(has_all)
    }

    fn has_slices_of(&mut self, run: &SummaryRun<'_>, began_ms: u64) -> bool {
        let Self { state, slices, .. } = self;
        let keys = &state.kernel().keys;
        let covers = |window, begin| keys.index().hold_covered(window, begin, 0).is_some();
        let first = began_ms.saturating_add(u64::from(run.time_ms));
        let last = first.saturating_add(u64::from(run.span_ms()));
        run.facts().iter().all(|facts| {
            let window = keys.windows().of(facts.scope);
            let ends = [first, last].map(|ms| keys.slice_begin(window, ms));
            let mut has = |begin| {
                slices.contains(&(window, begin))
                    || (covers(window, begin) && slices.insert((window, begin)))
            };
            let [begin, end] = ends;
            if begin == end {
                return has(begin);
            }
            let all = run.columns().times.into_iter().take(run.count());
            let begins: BTreeSet<u64> = all.map(|ms| first.saturating_add(u64::from(ms))).collect();
            begins.into_iter().all(|ms| has(keys.slice_begin(window, ms)))
        })
    }
}

impl<S: Areas> KnowingReader for SummarizedLog<'_, S> {
    fn frame(&mut self, frame: &Frame<'_>) {
        self.state.replay(frame);
    }

    fn known(&mut self, number: u64) -> Option<KnownSegment> {
        self.found = self.find(number);
        self.found.as_ref().map(|found| found.known.clone())
    }

    fn pass(&mut self, number: u64) {
        let Some(summary) = self.found.take() else { return };
        let state = &mut self.state;
        let visited = summary.visit(&mut |item| {
            match item {
                SummaryItem::Frame(frame) => state.replay(&frame),
                SummaryItem::Run(run) => state.replay_run(&run),
            }
            Some(())
        });
        if visited.is_none() {
            self.state.kernel_mut().keys.replay().refuse("a summary of a segment ended early");
        }
        self.passed.insert(number);
    }
}
