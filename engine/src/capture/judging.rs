//! Judges the keys of a call: what is new, what is known. No I/O here.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::hash::{BuildHasherDefault, Hasher};

use onceward_index::{Fingerprint, Lookup};
use onceward_wal::{Lsn, NewFrame};

use crate::base::observe::VerdictCounts;
use crate::base::{Error, ErrorKind, FrameKind, Result, State};
use crate::event::layout::Encoded;
use crate::kernel::{Asking, Kernel};
use crate::outbox::{EventTable, Facts};

/// An event that is ready to be appended.
pub(crate) struct Prepared<'a> {
    pub(crate) encoded: Encoded<'a>,
    pub(crate) facts: Facts<'a>,
    /// What an effect's body begins with.
    pub(crate) receipt: Option<Vec<u8>>,
    /// Why it must not be captured, if its key is new.
    pub(crate) unsendable: Option<String>,
}

impl Prepared<'_> {
    /// The pieces of the frame's body.
    pub(crate) fn parts(&self) -> [&[u8]; 4] {
        let [head, key, payload] = self.encoded.parts();
        [self.receipt.as_deref().unwrap_or_default(), head, key, payload]
    }
}

/// What was found of an event's key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Judged {
    /// Queued under this number.
    Fresh { lsn: Lsn, fingerprint: Fingerprint },
    /// Taken by this number, with the same content.
    Duplicate { lsn: Lsn },
    /// Taken by this number, with other content.
    Conflict { lsn: Lsn },
}

/// How many events have which verdict.
pub(super) fn verdict_counts(judged: &[Judged]) -> VerdictCounts {
    let mut counts = VerdictCounts::default();
    for judged in judged {
        *match judged {
            Judged::Fresh { .. } => &mut counts.fresh,
            Judged::Duplicate { .. } => &mut counts.duplicate,
            Judged::Conflict { .. } => &mut counts.conflict,
        } += 1;
    }
    counts
}

impl Judged {
    pub(crate) fn lsn(self) -> Lsn {
        match self {
            Self::Fresh { lsn, .. } | Self::Duplicate { lsn } | Self::Conflict { lsn } => lsn,
        }
    }

    /// Number and key of an event that was queued by this call.
    pub(crate) fn fresh(self) -> Option<(Lsn, Fingerprint)> {
        match self {
            Self::Fresh { lsn, fingerprint } => Some((lsn, fingerprint)),
            Self::Duplicate { .. } | Self::Conflict { .. } => None,
        }
    }
}

/// What is to be done with an event of a batch.
pub(crate) enum Plan {
    Known(Judged),
    /// The key of an event of which nothing is left: there is nothing to wait for.
    Lost(Judged),
    Fresh,
    /// The key of an earlier event of the same batch.
    Again {
        first: usize,
    },
}

/// Hashes a fingerprint by what it is: keyed with the store's secret already, so that nobody outside
/// can choose where it is.
#[derive(Default)]
struct PrintHasher(u64);

type Printed = BuildHasherDefault<PrintHasher>;

impl Hasher for PrintHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for some in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(some).for_each(|(to, from)| *to = *from);
            self.0 = self.0.rotate_left(5) ^ u64::from_le_bytes(word);
        }
    }

    fn write_u128(&mut self, fingerprint: u128) {
        let (high, low) = (fingerprint >> 64, fingerprint & u128::from(u64::MAX));
        self.0 = u64::try_from(high ^ low).unwrap_or_default();
    }
}

/// Judges every key, in order, and refuses the call for one that is new and must not be captured. The caller
/// holds the state.
pub(crate) fn plan(
    (kernel, events): (&Kernel, &EventTable),
    asking: Asking<'_>,
    prepared: &[Prepared<'_>],
) -> Result<Vec<Plan>> {
    let keys: Vec<_> =
        prepared.iter().map(|it| (it.facts.fingerprint, it.facts.content_hash)).collect();
    let verdicts = asking.lookup(&keys)?;
    let mut fresh: HashMap<Fingerprint, usize, Printed> = HashMap::default();
    if prepared.len() > 1 {
        fresh.reserve(prepared.len());
    }
    let mut plans = Vec::with_capacity(prepared.len());
    for ((position, (fingerprint, _)), verdict) in keys.iter().enumerate().zip(verdicts) {
        plans.push(match verdict {
            Lookup::Duplicate { lsn } => {
                known(events, lsn, Judged::Duplicate { lsn: number(lsn)? })
            }
            Lookup::Conflict { lsn } => known(events, lsn, Judged::Conflict { lsn: number(lsn)? }),
            // Nothing to compare with, as in most calls.
            Lookup::New if prepared.len() == 1 => Plan::Fresh,
            Lookup::New => match fresh.entry(*fingerprint) {
                Slot::Occupied(first) => Plan::Again { first: *first.get() },
                Slot::Vacant(slot) => {
                    slot.insert(position);
                    Plan::Fresh
                }
            },
        });
    }
    let refused = |(plan, event): (&Plan, &Prepared<'_>)| match plan {
        Plan::Fresh | Plan::Again { .. } => event.unsendable.clone(),
        Plan::Known(_) | Plan::Lost(_) => None,
    };
    if let Some(why) = plans.iter().zip(prepared).find_map(refused) {
        return Err(Error::invalid("UNSENDABLE", why));
    }
    let count = plans.iter().filter(|plan| matches!(plan, Plan::Fresh)).count();
    kernel.keys.check_room(count)?;
    Ok(plans)
}

/// What is to be done with an event whose key the event `lsn` has.
fn known(events: &EventTable, lsn: u64, judged: Judged) -> Plan {
    let is_lost = events.state_of(lsn) == State::OutcomeUnknown;
    if is_lost { Plan::Lost(judged) } else { Plan::Known(judged) }
}

/// The frames of the fresh events.
pub(crate) fn fresh_frames<'a>(
    plans: &[Plan],
    prepared: &[Prepared<'_>],
    parts: &'a [[&'a [u8]; 4]],
    kind: FrameKind,
) -> Vec<NewFrame<'a>> {
    let kind = kind.code();
    plans
        .iter()
        .zip(prepared)
        .zip(parts)
        .filter(|((plan, _), _)| matches!(plan, Plan::Fresh))
        .map(|((_, event), parts)| NewFrame { kind, flags: event.encoded.flags, parts })
        .collect()
}

/// The events that hold keys of this call, and the position of one that asks for each.
pub(crate) fn originals(plans: &[Plan]) -> impl Iterator<Item = Lsn> + '_ {
    plans.iter().filter_map(|plan| match plan {
        Plan::Known(known) => Some(known.lsn()),
        Plan::Lost(_) | Plan::Fresh | Plan::Again { .. } => None,
    })
}

/// An LSN that the index gave back.
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
