//! Events that came one behind the other, in columns: what replay needs of them, in a few bytes each.

use onceward_wal::Place;

/// Most events of a run. A run never crosses a multiple of this number, so that it is within one piece of any table
/// that is cut there.
pub(crate) const RUN_EVENTS_MAX: usize = 128;
/// The same, in the type of LSNs.
pub(super) const RUN_LSNS: u64 = RUN_EVENTS_MAX as u64;
/// The unit in which the size of a frame is counted: the log aligns frames to it.
pub(super) const SIZE_UNIT: u32 = 8;
/// Bytes before the facts of a run.
const HEAD_BYTES: usize = 1 + 1 + 4 + 4 + 4 + 4 + 4 + 2 + 1;
/// Bytes of the facts that some events share.
const FACTS_BYTES: usize = 2 + 8;

/// What some events of a run have in common.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RunFacts<'s> {
    /// Their scope.
    pub(crate) scope: &'s str,
    /// How far the wall clock was from what the beginning of the log's run says.
    pub(crate) wall_offset_ms: i64,
}

/// Events whose frames follow each other, and of which nothing else must be known without reading those.
#[derive(Debug)]
pub(crate) struct SummaryRun<'s> {
    /// LSN of the first of them.
    first_lsn: u64,
    /// Where its frame is.
    place: Place,
    /// How many there are.
    count: usize,
    /// The log's run in which they were written.
    pub(in crate::kernel) run: u32,
    /// The lowest time of any of them, milliseconds since that run's first frame, and how far the highest is from it.
    pub(in crate::kernel) time_ms: u32,
    span_ms: u32,
    /// What they have in common, by number.
    facts: Vec<RunFacts<'s>>,
    /// The lowest size of a frame.
    size: u16,
    sizes: Column<'s>,
    times: Column<'s>,
    amounts: Column<'s>,
    facts_of: Column<'s>,
}

/// The columns of a run, one item for each event.
#[derive(Debug)]
pub(crate) struct RunColumns {
    /// Offsets of the frames in their segment.
    pub(crate) offsets: [u32; RUN_EVENTS_MAX],
    /// Their sizes in units of eight bytes; none is 0.
    pub(crate) sizes: [u16; RUN_EVENTS_MAX],
    /// Milliseconds behind the lowest time of the run.
    pub(crate) times: [u32; RUN_EVENTS_MAX],
    /// Amounts in ten-thousandths.
    pub(crate) amounts: [i64; RUN_EVENTS_MAX],
    /// Which of the run's facts are each event's.
    pub(crate) facts: [u8; RUN_EVENTS_MAX],
}

impl RunColumns {
    /// The unit of [`RunColumns::sizes`], bytes.
    pub(crate) const SIZE_UNIT: u32 = SIZE_UNIT;
}

/// Numbers of one size.
#[derive(Clone, Copy, Debug)]
struct Column<'s> {
    width: usize,
    bytes: &'s [u8],
}

impl Column<'_> {
    /// The numbers.
    fn numbers(&self) -> impl Iterator<Item = u64> {
        // At most one of these has any: each is a loop over numbers of one size.
        let of = |width: usize| if self.width == width { self.bytes } else { &[] };
        let one = of(1).iter().map(|byte| u64::from(*byte));
        let two = of(2).as_chunks().0.iter().map(|bytes| u64::from(u16::from_le_bytes(*bytes)));
        let four = of(4).as_chunks().0.iter().map(|bytes| u64::from(u32::from_le_bytes(*bytes)));
        let eight = of(8).as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        one.chain(two).chain(four).chain(eight)
    }

    /// Puts the numbers into as many places as there are.
    fn fill<T>(&self, to: &mut [T], of: impl Fn(u64) -> T) {
        let mut places = to.iter_mut();
        self.numbers().for_each(|number| {
            if let Some(place) = places.next() {
                *place = of(number);
            }
        });
    }

    /// The last number; 0 where all are.
    fn last(&self) -> u64 {
        let from = self.bytes.len().saturating_sub(self.width);
        let last = Column { bytes: self.bytes.get(from..).unwrap_or_default(), ..*self };
        last.numbers().next().unwrap_or(0)
    }
}

impl<'s> SummaryRun<'s> {
    /// LSN of the first event.
    pub(crate) fn first_lsn(&self) -> u64 {
        self.first_lsn
    }

    /// Where the frame of the first event is.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// How many events there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// How far the highest time of an event is from the lowest, milliseconds.
    pub(crate) fn span_ms(&self) -> u32 {
        self.span_ms
    }

    /// What events have in common, by number.
    pub(crate) fn facts(&self) -> &[RunFacts<'s>] {
        &self.facts
    }

    /// LSN of the last event.
    pub(crate) fn last_lsn(&self) -> u64 {
        self.first_lsn + u64::try_from(self.count).unwrap_or(u64::MAX) - 1
    }

    /// The time of the last event, milliseconds since the first frame of the log's run.
    pub(crate) fn last_ms(&self) -> u32 {
        let behind = u32::try_from(self.times.last()).unwrap_or(u32::MAX);
        self.time_ms.saturating_add(behind)
    }

    /// The columns.
    pub(crate) fn columns(&self) -> RunColumns {
        let mut columns = RunColumns {
            offsets: [0; RUN_EVENTS_MAX],
            sizes: [self.size; RUN_EVENTS_MAX],
            times: [0; RUN_EVENTS_MAX],
            amounts: [0; RUN_EVENTS_MAX],
            facts: [0; RUN_EVENTS_MAX],
        };
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        self.sizes.fill(&mut columns.sizes, |more| {
            self.size.saturating_add(u16::try_from(more).unwrap_or(u16::MAX))
        });
        self.times.fill(&mut columns.times, narrow);
        if self.amounts.width == 8 {
            self.amounts.fill(&mut columns.amounts, u64::cast_signed);
        } else {
            let of = |number| i64::from(narrow(number).cast_signed());
            self.amounts.fill(&mut columns.amounts, of);
        }
        self.facts_of.fill(&mut columns.facts, |number| u8::try_from(number).unwrap_or(0));
        let mut offset = self.place.offset;
        for (to, size) in columns.offsets.iter_mut().zip(columns.sizes) {
            *to = offset;
            offset = offset.saturating_add(u32::from(size) * SIZE_UNIT);
        }
        columns
    }

    /// Reads a run behind its tag; `None`: it is not one. `from`: number and first LSN of its segment.
    pub(super) fn decode(
        rest: &mut &'s [u8],
        (segment, segment_lsn): (u64, u64),
        scopes: &[&'s str],
    ) -> Option<Self> {
        let (head, mut after) = rest.split_first_chunk::<HEAD_BYTES>()?;
        let mut head = ItemFields(head);
        let [count, fact_count] = head.take()?;
        let [lsn_delta, offset, run, time_ms, span_ms] =
            [head.u32()?, head.u32()?, head.u32()?, head.u32()?, head.u32()?];
        let size = u16::from_le_bytes(head.take()?);
        let [widths] = head.take()?;
        let first_lsn = segment_lsn.checked_add(u64::from(lsn_delta))?;
        let count = usize::from(count);
        let place = Place { segment, offset };
        let is_within = count > 0
            && first_lsn % RUN_LSNS + u64::try_from(count).ok()? <= RUN_LSNS
            && (size > 0 || widths & 3 != 0);
        if !is_within || fact_count == 0 {
            return None;
        }
        let mut facts = Vec::with_capacity(usize::from(fact_count));
        for _ in 0..fact_count {
            let (bytes, behind) = after.split_first_chunk::<FACTS_BYTES>()?;
            let mut fields = ItemFields(bytes);
            let scope = scopes.get(usize::from(u16::from_le_bytes(fields.take()?)))?;
            facts.push(RunFacts { scope, wall_offset_ms: i64::from_le_bytes(fields.take()?) });
            after = behind;
        }
        let mut column = |width: usize| {
            let (bytes, behind) = after.split_at_checked(width * count)?;
            after = behind;
            Some(Column { width, bytes })
        };
        let width = |shift: u32, of: [usize; 4]| of.get(usize::from(widths >> shift & 3)).copied();
        let sizes = column(width(0, [0, 1, 2, 2])?)?;
        let times = column(width(2, [0, 1, 2, 4])?)?;
        let amounts = column(width(4, [0, 4, 8, 8])?)?;
        let facts_of = column(width(6, [0, 1, 1, 1])?)?;
        let most = facts_of.bytes.iter().max().copied().unwrap_or(0);
        *rest = after;
        (most < fact_count).then_some(Self {
            first_lsn,
            place,
            count,
            run,
            time_ms,
            span_ms,
            facts,
            size,
            sizes,
            times,
            amounts,
            facts_of,
        })
    }
}

/// Fields from the front of bytes.
pub(super) struct ItemFields<'s>(pub(super) &'s [u8]);

impl<'s> ItemFields<'s> {
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'s [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
}

/// An event of a run that is being made.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunEvent {
    pub(super) lsn: u64,
    pub(super) offset: u32,
    /// In units of eight bytes.
    pub(super) size: u16,
    pub(super) run: u32,
    pub(super) time_ms: u32,
    pub(super) amount: i64,
    /// Number of its scope.
    pub(super) scope: u16,
    pub(super) wall_offset_ms: i64,
}

/// A run that is being made.
#[derive(Debug, Default)]
pub(super) struct NewRun {
    events: Vec<RunEvent>,
    facts: Vec<(u16, i64)>,
    facts_of: Vec<u8>,
}

impl NewRun {
    /// Adds an event; `false`: it is none that follows in this run.
    pub(super) fn add(&mut self, event: RunEvent) -> bool {
        if let Some(last) = self.events.last() {
            let follows = last.lsn.checked_add(1) == Some(event.lsn)
                && !event.lsn.is_multiple_of(RUN_LSNS)
                && last.offset.checked_add(u32::from(last.size) * SIZE_UNIT) == Some(event.offset)
                && last.run == event.run;
            if !follows {
                return false;
            }
        }
        let facts = (event.scope, event.wall_offset_ms);
        // The last are mostly those of the next.
        let known = self.facts.iter().rposition(|it| *it == facts);
        let number = known.unwrap_or_else(|| {
            self.facts.push(facts);
            self.facts.len() - 1
        });
        self.facts_of.push(u8::try_from(number).unwrap_or(u8::MAX));
        self.events.push(event);
        true
    }

    /// Appends the run and begins the next; nothing if there is no event in it.
    pub(super) fn finish(&mut self, tag: u8, segment_lsn: u64, out: &mut Vec<u8>) {
        let Some(first) = self.events.first().copied() else { return };
        let lowest = |of: fn(&RunEvent) -> u32| self.events.iter().map(of).min().unwrap_or(0);
        let highest = |of: fn(&RunEvent) -> u32| self.events.iter().map(of).max().unwrap_or(0);
        let (size, time_ms) = (lowest(|it| it.size.into()), lowest(|it| it.time_ms));
        let span_ms = highest(|it| it.time_ms) - time_ms;
        let amounts = || self.events.iter().map(|event| event.amount);
        let width = |most: u32| if most == 0 { 0 } else { 1 + usize::from(most > 0xff) };
        let size_width = width(highest(|it| it.size.into()) - size);
        let time_width = if span_ms > 0xffff { 3 } else { width(span_ms) };
        let amount_width = if amounts().all(|amount| amount == 0) {
            0
        } else {
            1 + usize::from(amounts().any(|amount| i32::try_from(amount).is_err()))
        };
        let facts_width = usize::from(self.facts.len() > 1);
        let widths = size_width | time_width << 2 | amount_width << 4 | facts_width << 6;
        let byte = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
        let delta = u32::try_from(first.lsn.saturating_sub(segment_lsn)).unwrap_or(u32::MAX);
        out.extend_from_slice(&[tag, byte(self.events.len()), byte(self.facts.len())]);
        for number in [delta, first.offset, first.run, time_ms, span_ms] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&u16::try_from(size).unwrap_or(u16::MAX).to_le_bytes());
        out.push(byte(widths));
        for (scope, wall_offset_ms) in &self.facts {
            out.extend_from_slice(&scope.to_le_bytes());
            out.extend_from_slice(&wall_offset_ms.to_le_bytes());
        }
        let mut put = |number: [u8; 8], width: usize| {
            out.extend_from_slice(number.get(..width).unwrap_or_default());
        };
        let wide = |number: u32| u64::from(number).to_le_bytes();
        let bytes = |of: [usize; 4], width: usize| of.get(width).copied().unwrap_or(0);
        let sizes = bytes([0, 1, 2, 2], size_width);
        self.events.iter().for_each(|it| put(wide(u32::from(it.size) - size), sizes));
        let times = bytes([0, 1, 2, 4], time_width);
        self.events.iter().for_each(|it| put(wide(it.time_ms - time_ms), times));
        let amounts = bytes([0, 4, 8, 8], amount_width);
        self.events.iter().for_each(|it| put(it.amount.to_le_bytes(), amounts));
        if facts_width > 0 {
            out.extend_from_slice(&self.facts_of);
        }
        self.events.clear();
        self.facts.clear();
        self.facts_of.clear();
    }
}
