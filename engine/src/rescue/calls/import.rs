//! Imports a bundle of another store.

use std::io::Read;

use super::Rescue;
use super::adding::Adding;
use crate::base::{Error, FrameKind, Origin, Result, State, StoreId, Wall, codec};
use crate::event::layout::{self, Carried};
use crate::event::{Event, Receipt};
use crate::kernel::{FrameBody, Share};
use crate::rescue::frames::ImportFrame;
use crate::rescue::items::{self, Begin, BundleItem, End, Head};
use crate::rescue::sealed::{Opener, SealedChunk, damaged};
use crate::rescue::{BundleId, BundleKey, Imported, LeftOut, SkipReason};
use crate::store::StoreState;
use crate::upstreams::frames::Rule;

/// Events of a bundle that become durable together.
const TOGETHER_MAX: usize = 256;

impl Rescue<'_> {
    /// Imports a bundle that another store [exported](Rescue::export), event by event under their
    /// own keys: times, amounts, lanes, classes and headers stay as they are, only the numbers are
    /// new.
    ///
    /// * What was pending or in flight there is pending here. It may have reached the upstream; that it
    ///   is sent again under the same key is right, because the upstream knows keys. Batches are formed
    ///   anew. An event that was attempted there counts as attempted here: it cannot be cancelled.
    /// * What was in review or uncertain there waits for a person here, with its reason.
    /// * What had its final answer there is known here with outcome and receipt, and is not sent.
    /// * An event whose key is here with the same content is a duplicate: nothing changes, however far
    ///   it is.
    /// * An event whose key is here with **other** content is a conflict: it is listed in the result and
    ///   left out, so the bundle and its source remain its only copies. A person has to look at both
    ///   events. So it is with one that is over a limit of this store's configuration, such as the
    ///   length of a payload. [`Limits`](crate::limits::Limits) leave nothing out: what other terminals could
    ///   not deliver is not refused.
    ///
    /// It is idempotent: the same bundle again gives duplicates only, and after an error or a crash in
    /// the middle the same call comes to the same end. A key is remembered from now on, for this store's
    /// window; age counts from now on too.
    ///
    /// ```
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    /// use onceward::rescue::BundleKey;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let open = |name: &str| Store::open(dir.path().join(name), Config::new());
    /// # let (old, new) = (open("old")?, open("new")?);
    /// # let sale = |text| -> onceward::Result<_> {
    /// #     Ok(Event::new(Scope::default(), Key::new("sale-1")?, Payload::json(text)?))
    /// # };
    /// old.capture(&sale("24.50")?)?;
    /// let (key, mut stick) = (BundleKey::from_bytes([7; 32]), Vec::new());
    /// let exported = old.rescue().export(&mut stick, &key, true)?;
    /// let imported = new.rescue().import(&mut stick.as_slice(), &key)?;
    /// assert_eq!((imported.fresh, imported.digest), (1, exported.digest));
    /// let again = new.rescue().import(&mut stick.as_slice(), &key)?;
    /// assert_eq!((again.fresh, again.duplicates), (0, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// Events that are counted as fresh survive a crash. After an error, those from before the damaged
    /// place stay, and of the damaged chunk there is nothing.
    ///
    /// # Errors
    ///
    /// `Invalid`: `BUNDLE_KEY`, the key does not fit; `SAME_STORE`, the bundle is from this store:
    /// [`Rescue::unfence`](crate::rescue::Rescue::unfence) opens it again; `WIRE_KEYS_CHANGED`, its store and this
    /// one send a scope to the same upstream under different keys, and nothing was stored. `Corrupt`:
    /// `BUNDLE_DAMAGED`, its bytes are not what was written; `BUNDLE_TRUNCATED`, its end is missing. `Unsupported`:
    /// `BUNDLE_VERSION`. `Fenced`, code `STORE_FENCED`: this store is left itself. `Full`: no room. `Io`: this disk
    /// refused, or `input` did. `Poisoned`: as for [`Store::capture`](crate::Store::capture).
    ///
    /// # Cost
    ///
    /// Holds one chunk of about 64 KiB, or the largest event; one sync for up to 256 events.
    pub fn import(&self, input: &mut dyn Read, key: &BundleKey) -> Result<Imported> {
        let inner = &self.inner;
        inner.refuse_if_closed()?;
        let imported = self.import_all(Opener::begin(input, key)?);
        // Also of what came before something failed.
        inner.reviews().call_watchers();
        imported
    }
}

impl Rescue<'_> {
    fn import_all(&self, mut opener: Opener<'_>) -> Result<Imported> {
        let header = opener.header();
        if header.store == self.inner.id().0 {
            return Err(Error::invalid(
                "SAME_STORE",
                format!(
                    "the bundle {} is from this store, which has its events: `unfence` opens it again",
                    BundleId(header.bundle)
                ),
            ));
        }
        self.inner.state.lock().rescue.refuse_if_fenced()?;
        let is_again =
            self.inner.state.lock().rescue.imports().any(|known| known.bundle == header.bundle);
        let mut imported = Imported {
            bundle: BundleId(header.bundle),
            source: StoreId(header.store),
            is_again,
            fresh: 0,
            fresh_settled: 0,
            duplicates: 0,
            conflicts: 0,
            refused: 0,
            left_out: Vec::new(),
            unreadable_at_source: 0,
            digest: [0; 32],
        };
        let mut begin = None;
        let mut seen = End::default();
        loop {
            let chunk = opener.next()?;
            if chunk.is_last {
                let end = end_of(&chunk)
                    .filter(|end| (end.unsettled, end.settled) == (seen.unsettled, seen.settled));
                let end = end.ok_or_else(|| {
                    damaged("the end of the bundle says other counts than its records have")
                })?;
                (imported.digest, imported.unreadable_at_source) = (end.digest, end.unreadable);
                break;
            }
            let mut rules = Vec::new();
            let arrivals = arrivals(&chunk, (&mut begin, &mut rules), &mut seen)?;
            self.apply_rules(&rules)?;
            self.store_all(&arrivals, &mut imported)?;
        }
        let of_header =
            |begin: &Begin| begin.store == header.store && begin.bundle == header.bundle;
        let begin = begin.filter(of_header).ok_or_else(|| {
            damaged("the bundle does not begin with the record that says where it is from")
        })?;
        if !is_again || imported.fresh > 0 {
            self.note_import(&begin, &imported)?;
        }
        Ok(imported)
    }

    /// Writes down under which keys upstreams got what comes: it is sent again under the same.
    fn apply_rules(&self, rules: &[Rule]) -> Result<()> {
        let _one_at_a_time = self.inner.control.lock();
        for rule in rules {
            let known = self.inner.state.lock().upstreams.rule_code(&rule.upstream, &rule.scope);
            match known {
                Some(known) if known == rule.rule => {}
                Some(_) => {
                    let (scope, upstream) = (&rule.scope, &rule.upstream);
                    let message = format!(
                        "the store of the bundle sent scope {scope} to {upstream} with keys by another rule than \
                         this one: what it sent would be taken for new"
                    );
                    return Err(Error::invalid("WIRE_KEYS_CHANGED", message));
                }
                None => {
                    let frame = FrameBody::new(FrameKind::Upstream, codec::encode(rule));
                    let written = self.inner.write(&[frame], Share::Decisions)?;
                    let mut state = self.inner.state.lock();
                    let StoreState { kernel, upstreams, .. } = &mut *state;
                    written
                        .placed
                        .into_iter()
                        .for_each(|at| upstreams.apply_rule(kernel, rule, at));
                }
            }
        }
        Ok(())
    }

    /// Stores the events of a chunk, some at a time.
    fn store_all(&self, arrivals: &[Arrival<'_>], imported: &mut Imported) -> Result<()> {
        let most = usize::try_from(self.inner.segment_bytes() / 2).unwrap_or(usize::MAX);
        let mut rest = arrivals;
        while !rest.is_empty() {
            let mut bytes = 0_usize;
            let fitting = rest.iter().take(TOGETHER_MAX).take_while(|arrival| {
                bytes = bytes.saturating_add(arrival.bytes());
                bytes <= most
            });
            let (some, behind) = rest.split_at(fitting.count().clamp(1, rest.len()));
            rest = behind;
            let mut fitting = Vec::with_capacity(some.len());
            for arrival in some {
                match self.inner.refuse_if_long("payload", arrival.event.payload.as_bytes()) {
                    Ok(()) => fitting.push(arrival),
                    Err(error) => {
                        let why = SkipReason::Refused { why: error.to_string() };
                        imported.leave_out(arrival.left_out(why));
                    }
                }
            }
            if !fitting.is_empty() {
                Adding::new(self.inner, &fitting).run(imported)?;
            }
        }
        Ok(())
    }

    /// Notes that a bundle was imported to its end.
    fn note_import(&self, begin: &Begin, imported: &Imported) -> Result<()> {
        self.inner.refuse_if_closed()?;
        let _one_at_a_time = self.inner.control.lock();
        let import = ImportFrame {
            number: 0,
            bundle: begin.bundle,
            store: begin.store,
            epoch: begin.epoch,
            made_ms: begin.made_ms,
            imported_ms: self.inner.time.wall_ms(),
            fresh: imported.fresh,
            duplicates: imported.duplicates,
            conflicts: imported.conflicts,
            refused: imported.refused,
        };
        let frame = FrameBody::new(FrameKind::Import, codec::encode(&import));
        let written = self.inner.write(&[frame], Share::Decisions)?;
        let mut state = self.inner.state.lock();
        written.placed.into_iter().for_each(|at| state.rescue.apply_import(&import, at));
        Ok(())
    }
}

/// An event of a bundle.
#[derive(Debug)]
pub(super) struct Arrival<'a> {
    pub(super) item: BundleItem,
    pub(super) state: State,
    pub(super) event: Event,
    body: &'a [u8],
}

impl Arrival<'_> {
    /// What it takes in the log at most, about.
    fn bytes(&self) -> usize {
        let reason = self.item.reason.as_ref();
        let reason = reason.map_or(0, |it| it.code.len() + it.message.len() + it.reply.len());
        self.body.len() + layout::CARRIED_BYTES + reason + 512
    }

    /// Reports that this event is left out.
    pub(super) fn left_out(&self, why: SkipReason) -> LeftOut {
        let (scope, key) = (self.event.scope.clone(), self.event.key.clone());
        LeftOut { scope, key, source_lsn: self.item.lsn, why }
    }

    /// What its frame says before the event: this frame is its first here.
    pub(super) fn carried(&self, trusted_ms: u64, slice_begin: u64) -> Carried {
        Carried {
            event_lsn: 0,
            trusted_ms,
            slice_begin,
            wall: Wall::at(self.item.wall_ms),
            origin: Origin { boot: self.item.boot(), mono_ms: self.item.mono_ms },
            is_attempted: self.item.is_attempted || self.state == State::InFlight,
            is_imported: true,
        }
    }
}

/// The events of a chunk; all of them are looked at before the first one is stored.
fn arrivals<'a>(
    chunk: &'a SealedChunk,
    (begin, rules): (&mut Option<Begin>, &mut Vec<Rule>),
    seen: &mut End,
) -> Result<Vec<Arrival<'a>>> {
    let broken = || damaged("a record of the bundle has no valid form");
    let mut rest = chunk.bytes.as_slice();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (head, body) = items::take(&mut rest).ok_or_else(broken)?;
        match head {
            Head::Begin(said) if begin.is_none() => *begin = Some(said),
            Head::Item(item) if begin.is_some() => {
                let state = State::from_code(item.state).filter(|state| *state != State::Unknown);
                let state = state.ok_or_else(broken)?;
                let event = layout::View::decode(item.flags, body);
                let event = event.and_then(layout::View::to_event).ok_or_else(broken)?;
                Receipt::new(&item.receipt).map_err(|_too_long| broken())?;
                seen.unsettled += u64::from(!state.is_final());
                seen.settled += u64::from(state.is_final());
                found.push(Arrival { item, state, event, body });
            }
            Head::Rule(rule) if begin.is_some() => rules.push(rule),
            Head::Begin(_) | Head::Item(_) | Head::End(_) | Head::Rule(_) => return Err(broken()),
        }
    }
    Ok(found)
}

/// What the last chunk says; `None` if it does not fit what came before.
fn end_of(chunk: &SealedChunk) -> Option<End> {
    let mut rest = chunk.bytes.as_slice();
    match items::take(&mut rest)? {
        (Head::End(end), _) if rest.is_empty() && end.digest == chunk.digest => Some(end),
        _ => None,
    }
}
