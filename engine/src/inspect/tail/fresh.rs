//! Events of the frames that a look found new. No I/O here.

use std::collections::BTreeMap;

use onceward_wal::{Frame, Identity, Lsn, Place};

use crate::base::{EventPart, FrameKind, Origin, Result};
use crate::config::Config;
use crate::event::layout;
use crate::event::{Event, Receipt, StoredEvent};
use crate::kernel::opening::secret_of;
use crate::kernel::{Areas, Kernel, KeyIndex, Times};
use crate::outbox::receipts;
use crate::state::StoreState;

/// What the new frames say. A state of their own says how far their events are: nothing before them
/// matters for that.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) state: StoreState,
    /// Events up to this LSN were shown, or are not wanted.
    floor: u64,
    /// Each with the frame that has its clocks.
    events: BTreeMap<u64, (Event, EventRun)>,
    receipts: BTreeMap<u64, Vec<u8>>,
    /// Bytes that may still be taken.
    bytes_left: usize,
    /// LSN of the last frame that was taken.
    last: u64,
    /// The place of the event's frame.
    place: Option<Place>,
    /// LSNs up to there that no frame has.
    skipped: u64,
    /// Whether there were frames behind the last one.
    is_cut: bool,
}

impl Fresh {
    /// Before the first of them; the events behind `floor` are wanted.
    pub(super) fn new(
        identity: &Identity,
        times: Times,
        floor: u64,
        bytes_max: usize,
    ) -> Result<Self> {
        let keys = KeyIndex::in_memory(&Config::new().key_settings()?)?;
        let state = StoreState::new(Kernel::new(secret_of(identity), keys, times));
        Ok(Self {
            state,
            floor,
            events: BTreeMap::new(),
            receipts: BTreeMap::new(),
            bytes_left: bytes_max,
            last: floor,
            place: None,
            skipped: 0,
            is_cut: false,
        })
    }

    /// Applies the next frame.
    pub(super) fn take(&mut self, frame: &Frame<'_>) {
        self.is_cut |= self.bytes_left == 0;
        if self.is_cut && !self.concerns_taken(frame) {
            return;
        }
        self.state.replay(frame);
        if let Some((lsn, body, run)) = event_of(frame).filter(|(lsn, ..)| *lsn > self.floor) {
            self.bytes_left = self.bytes_left.saturating_sub(frame.bytes());
            let event = layout::View::decode(frame.flags, body).and_then(layout::View::to_event);
            if let Some(event) = event {
                self.events.entry(lsn).or_insert((event, run));
            }
        }
        if matches!(FrameKind::of(frame), Some(FrameKind::Settle | FrameKind::Effect)) {
            let new = receipts(frame, frame.lsn.get());
            self.receipts.extend(new.into_iter().filter(|(lsn, _)| self.events.contains_key(lsn)));
        }
        if !self.is_cut {
            self.skipped += frame.lsn.get().saturating_sub(self.last.saturating_add(1));
            self.last = frame.lsn.get();
            self.place = Some(frame.place);
        }
    }

    /// Whether a frame behind the cut is about events before it.
    fn concerns_taken(&self, frame: &Frame<'_>) -> bool {
        let Some(kind) = FrameKind::of(frame) else { return true };
        match event_of(frame) {
            Some((lsn, ..)) if kind.event_part() == EventPart::Carried => lsn <= self.last,
            Some(_) | None => kind.changes_events(),
        }
    }

    /// How many LSNs no frame has that was taken.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The place of the last frame that was taken, if one was.
    pub(super) fn place(&self) -> Option<Place> {
        self.place
    }

    /// The LSN to go on behind, if not all could be taken.
    pub(super) fn cut_after(&self) -> Option<u64> {
        self.is_cut.then_some(self.last)
    }

    /// The events in the order of their numbers, and the times that were seen.
    pub(super) fn into_events(self) -> Result<(Vec<StoredEvent>, Times)> {
        let Self { state, events, mut receipts, .. } = self;
        let mut stored = Vec::with_capacity(events.len());
        for (number, (event, run)) in events {
            // One that does not fit the log is reported as damage.
            let (Some(standing), Some(lsn)) =
                (state.outbox.events().standing(&state.kernel, number), Lsn::from_u64(number))
            else {
                continue;
            };
            let receipt = receipts.remove(&number).map(|bytes| Receipt::new(&bytes)).transpose()?;
            let origin = match run {
                EventRun::Of { run, time_ms } => state.kernel.times.origin(run, time_ms),
                EventRun::Carried(origin) => origin,
            };
            stored.push(StoredEvent {
                lsn,
                captured_at_ms: event.captured_at_ms.or_else(|| standing.wall.get()),
                boot: origin.boot,
                mono_ms: origin.mono_ms,
                wall_ms: standing.wall.get(),
                state: standing.state,
                receipt: receipt.filter(|_| standing.state.is_final()),
                event,
            });
        }
        Ok((stored, state.kernel.times))
    }
}

/// The frames that say what the clocks of an event's capture showed.
#[derive(Clone, Copy, Debug)]
enum EventRun {
    /// In the first frame of this run.
    Of { run: u32, time_ms: u32 },
    /// In its own frame, which was carried.
    Carried(Origin),
}

/// The number of the event in a frame and the event's bytes, if the frame holds one.
fn event_of<'a>(frame: &Frame<'a>) -> Option<(u64, &'a [u8], EventRun)> {
    let kind = FrameKind::of(frame)?;
    let (lsn, origin, body) = layout::event_in(kind, frame.lsn.get(), frame.body)?;
    let of_frame = EventRun::Of { run: frame.run, time_ms: frame.time_ms };
    Some((lsn, body, origin.map_or(of_frame, EventRun::Carried)))
}
