//! Judges the keys of a call: what is new, what is known. No I/O here.

use std::cell::Cell;

use onceward_index::Lookup;
use onceward_wal::{Lsn, NewFrame, Place};

use super::verdict::Verdict;
use crate::base::observe::VerdictCounts;
use crate::base::{Error, ErrorKind, FrameKind, Located, Result, State};
use crate::kernel::{Asking, Commits, Kernel, Reservation, SliceHold};
use crate::outbox::{EventTable, Facts, TakenEvent};

/// An event of a call: all that is known of it, which each step adds to in its place.
pub(crate) struct Prepared<'a> {
    pub(crate) flags: u8,
    head_bytes: usize,
    /// The pieces of its frame's body.
    pub(crate) parts: [&'a [u8]; 3],
    pub(crate) facts: Facts<'a>,
    /// What is to be done with it, once its key was judged.
    pub(crate) plan: Plan,
    /// Where its frame is, once that is queued; the LSN is 0 before.
    pub(crate) at: Cell<Located>,
    /// What holds its key, once that is taken.
    pub(super) held: SliceHold,
}

impl<'a> Prepared<'a> {
    /// An event of which nothing is known but what it says. Of its frame's body the first part may be given later: so
    /// many bytes, see [`Prepared::take_head`].
    pub(crate) fn new(
        flags: u8,
        (head_bytes, parts): (usize, [&'a [u8]; 3]),
        facts: Facts<'a>,
    ) -> Self {
        let at = Located { place: Place { segment: 0, offset: 0 }, bytes: 0, lsn: 0 };
        let held = SliceHold { slice: None, window: facts.window, begin: 0 };
        Self { flags, head_bytes, parts, facts, plan: Plan::Fresh, at: Cell::new(at), held }
    }

    /// Takes the first part of its frame's body from these bytes.
    pub(super) fn take_head(&mut self, heads: &mut &'a [u8]) {
        if let Some((head, rest)) = heads.split_at_checked(self.head_bytes) {
            let [first, ..] = &mut self.parts;
            *first = head;
            *heads = rest;
        }
    }

    /// The frame of an event that is stored.
    pub(super) fn frame(&self, kind: FrameKind) -> NewFrame<'_> {
        NewFrame { kind: kind.code(), flags: self.flags, parts: &self.parts }
    }

    /// Whether its key is new.
    pub(crate) fn is_fresh(&self) -> bool {
        matches!(self.plan, Plan::Fresh)
    }

    /// Whether its frame is queued.
    pub(super) fn is_queued(&self) -> bool {
        self.lsn() > 0
    }

    /// The LSN of its frame, once that is queued.
    pub(super) fn lsn(&self) -> u64 {
        self.at.get().lsn
    }

    /// Itself, once its key is taken; `None`: nothing is queued of it.
    pub(super) fn taken(&self) -> Option<TakenEvent<'_>> {
        let Self { facts, at, held, .. } = self;
        self.is_queued().then(|| TakenEvent { facts, at: at.get(), held: *held })
    }

    /// The key to be taken for its frame; `None`: nothing is queued of it.
    pub(super) fn reservation(&self) -> Option<Reservation> {
        self.is_queued().then(|| self.facts.reservation(self.lsn()))
    }
}

/// What was found of an event's key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Judged {
    /// Queued under this number.
    Fresh { lsn: Lsn },
    /// Taken by this number, with the same content; how far that one was.
    Duplicate { lsn: Lsn, state: State },
    /// Taken by this number, with other content.
    Conflict { lsn: Lsn },
}

impl Judged {
    pub(crate) fn lsn(self) -> Lsn {
        match self {
            Self::Fresh { lsn } | Self::Duplicate { lsn, .. } | Self::Conflict { lsn } => lsn,
        }
    }

    /// The answer to a capture.
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Self::Fresh { lsn } => Verdict::Fresh { lsn },
            Self::Duplicate { lsn, state } => Verdict::Duplicate { lsn, state },
            Self::Conflict { lsn } => Verdict::Conflict { lsn },
        }
    }

    /// Number of an event that was queued by this call.
    pub(crate) fn fresh(self) -> Option<Lsn> {
        match self {
            Self::Fresh { lsn } => Some(lsn),
            Self::Duplicate { .. } | Self::Conflict { .. } => None,
        }
    }
}

/// How many events have which verdict.
pub(super) fn verdict_counts(verdicts: impl IntoIterator<Item = Verdict>) -> VerdictCounts {
    let mut counts = VerdictCounts::default();
    for verdict in verdicts {
        *match verdict {
            Verdict::Fresh { .. } => &mut counts.fresh,
            Verdict::Duplicate { .. } => &mut counts.duplicate,
            Verdict::Conflict { .. } => &mut counts.conflict,
        } += 1;
    }
    counts
}

/// What is to be done with an event of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plan {
    Known(Judged),
    /// The key of an event of which nothing is left: there is nothing to wait for.
    Lost(Judged),
    Fresh,
    /// The key of an earlier event of the same call, and whether that has the same content.
    Again {
        first: usize,
        is_same: bool,
    },
}

impl Plan {
    /// How far the original of a repetition is by now.
    pub(super) fn ask_again(&mut self, table: &EventTable) {
        if let Self::Known(Judged::Duplicate { lsn, state }) = self {
            *state = table.state_of(lsn.get());
        }
    }

    /// The event whose key this one has, if that is one which may not be durable.
    fn original(&self) -> Option<Lsn> {
        match self {
            Self::Known(known) => Some(known.lsn()),
            Self::Lost(_) | Self::Fresh | Self::Again { .. } => None,
        }
    }
}

/// An event that must not be captured, by its place in the call, and why.
pub(crate) type Unsendable = (usize, String);

/// Judges the key of every event, and refuses the call for one that is new and must not be captured, or if there may be
/// no room for those that are new. The caller holds the state. Returns how many are new.
pub(crate) fn plan(
    (kernel, table): (&Kernel, &EventTable),
    asking: Asking<'_>,
    (events, unsendable): (&mut [Prepared<'_>], &[Unsendable]),
) -> Result<usize> {
    let mut broken = None;
    asking.lookup(
        events,
        |event| (event.facts.fingerprint, event.facts.content_hash),
        |event, found| match known(table, found) {
            Ok(Some(plan)) => event.plan = plan,
            Ok(None) => event.plan = Plan::Fresh,
            Err(error) => broken = Some(error),
        },
    )?;
    if let Some(error) = broken {
        return Err(error);
    }
    let is_new = |(at, _): &&Unsendable| events.get(*at).is_some_and(Prepared::is_fresh);
    if let Some((_, why)) = unsendable.iter().find(is_new) {
        return Err(Error::invalid("UNSENDABLE", why.clone()));
    }
    let mut fresh = events.iter().filter(|event| event.is_fresh()).count();
    // Nothing to compare with, as in most calls.
    if fresh > 1 {
        fresh -= join_repetitions(events);
    }
    if fresh > 0 {
        kernel.keys.check_room(fresh)?;
    }
    Ok(fresh)
}

/// What is to be done with an event whose key is known; `None`: it is new.
fn known(table: &EventTable, found: Lookup) -> Result<Option<Plan>> {
    let (lsn, is_same) = match found {
        Lookup::New => return Ok(None),
        Lookup::Duplicate { lsn } => (lsn, true),
        Lookup::Conflict { lsn } => (lsn, false),
    };
    let (lsn, state) = (number(lsn)?, table.state_of(lsn));
    let judged = if is_same { Judged::Duplicate { lsn, state } } else { Judged::Conflict { lsn } };
    let is_lost = state == State::OutcomeUnknown;
    Ok(Some(if is_lost { Plan::Lost(judged) } else { Plan::Known(judged) }))
}

/// Slots of the table in which the new keys of a call are found; at least twice as many as a call has events.
const SLOTS: usize = 2_048;
const _: () = assert!(SLOTS.is_power_of_two(), "a slot is chosen by bits");
const _: () = assert!(
    SLOTS >= 2 * crate::base::bounds::BATCH_EVENTS_MAX,
    "the search for a key ends at a free slot"
);

/// Finds the events among the new ones whose key an earlier one of them has. Returns how many.
///
/// Slots are chosen by the fingerprint as it is: keyed with the store's secret, so that nobody outside can choose
/// where keys meet.
fn join_repetitions(events: &mut [Prepared<'_>]) -> usize {
    // Place of an event in the call, from 1; 0 is a free slot.
    let mut slots = [0_u16; SLOTS];
    let mut again = 0;
    for at in 0..events.len() {
        let Some(event) = events.get(at).filter(|event| event.is_fresh()) else { continue };
        let (key, content) = (event.facts.fingerprint, event.facts.content_hash);
        let mut slot = slot_of(key.as_u128());
        let first = loop {
            let Some(place) = slots.get_mut(slot % SLOTS) else { break None };
            let Some(first) = usize::from(*place).checked_sub(1) else {
                *place = u16::try_from(at + 1).unwrap_or(u16::MAX);
                break None;
            };
            match events.get(first).filter(|first| first.facts.fingerprint == key) {
                Some(same) => break Some((first, same.facts.content_hash == content)),
                None => slot += 1,
            }
        };
        if let (Some((first, is_same)), Some(event)) = (first, events.get_mut(at)) {
            event.plan = Plan::Again { first, is_same };
            again += 1;
        }
    }
    again
}

/// Where the search for a fingerprint begins.
fn slot_of(fingerprint: u128) -> usize {
    let [low, high, ..] = fingerprint.to_le_bytes();
    usize::from(u16::from_le_bytes([low, high])) % SLOTS
}

/// The events that hold keys of this call and are not known to be durable.
pub(crate) fn originals<'e>(
    commits: &'e Commits,
    events: &'e [Prepared<'_>],
) -> impl Iterator<Item = Lsn> + 'e {
    let originals = events.iter().filter_map(|event| event.plan.original());
    originals.filter(|original| !commits.is_durable(original.get()))
}

/// What was found of an event's key: where it is new, the event is queued.
#[inline]
pub(crate) fn judged(events: &[Prepared<'_>], event: &Prepared<'_>) -> Result<Judged> {
    let fresh = |event: &Prepared<'_>| number(event.lsn());
    match event.plan {
        Plan::Known(known) | Plan::Lost(known) => Ok(known),
        Plan::Fresh => fresh(event).map(|lsn| Judged::Fresh { lsn }),
        Plan::Again { first, is_same } => {
            let lsn = fresh(events.get(first).ok_or_else(lost_verdict)?)?;
            let state = State::Pending;
            Ok(if is_same { Judged::Duplicate { lsn, state } } else { Judged::Conflict { lsn } })
        }
    }
}

/// An LSN that the index gave back.
#[inline]
pub(crate) fn number(lsn: u64) -> Result<Lsn> {
    Lsn::from_u64(lsn).ok_or_else(lost_verdict)
}

/// An invariant of judging does not hold.
pub(crate) fn lost_verdict() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "INTERNAL",
        "a fault of this program: the verdict on a key is missing",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::layout::View;
    use crate::kernel::Windows;
    use crate::testing::event;
    use onceward_index::Secret;

    /// Keys that begin their search at the same slots, and more of them than there are such slots between two others.
    #[test]
    fn every_repetition_is_found_however_keys_meet() {
        let (secret, windows) = (Secret::from_bytes([1; 16]), Windows::default());
        let all: Vec<_> = (1..=500).chain(1..=500).map(event).collect();
        let prepared =
            |event| Prepared::new(0, (0, [&[]; 3]), Facts::of(&secret, &windows, &View::of(event)));
        let mut events: Vec<_> = all.iter().map(prepared).collect();
        assert_eq!(join_repetitions(&mut events), 500);
        for (at, event) in events.iter().enumerate() {
            match event.plan {
                Plan::Again { first, is_same } => assert_eq!((first, is_same), (at - 500, true)),
                _ => assert!(at < 500, "{at}"),
            }
        }
    }
}
