//! Writes what was not delivered into a bundle.

use std::io::Write;
use std::ops::Bound;

use onceward_wal::Lsn;

use super::Rescue;
use crate::base::bounds::LEFT_OUT_LISTED_MAX;
use crate::base::clock;
use crate::base::{ErrorKind, Result, State};
use crate::event::StoredEvent;
use crate::event::layout;
use crate::outbox::{Facts, Stage, Standing};
use crate::rescue::items::{self, Begin, BundleItem, End, Head, Reason};
use crate::rescue::sealed::{Header, Sealer};
use crate::rescue::{BundleId, BundleKey, Exported, Fence};
use crate::review::catalog::RowId;
use crate::upstreams::frames::Rule;

/// Events whose places are looked up together.
const PAGE: usize = 256;
/// How often an event is looked at again that changes while it is read.
const LOOKS_MAX: usize = 4;

/// An event that goes into the bundle, as memory has it.
#[derive(Clone, Copy, Debug)]
struct Leaver {
    standing: Standing,
    is_attempted: bool,
    batch: u64,
    /// Number of the review that it waits in.
    version: Option<u64>,
}

/// A bundle that is being written.
struct Writing<'a> {
    sealer: Sealer<'a>,
    end: End,
    unreadable: Vec<Lsn>,
}

impl Rescue<'_> {
    /// Writes everything that was not delivered into a sealed bundle, for another store to
    /// [import](Rescue::import): pending, in flight, in review and uncertain events with their
    /// keys, clocks and reasons. And the events with a final answer that the log still has, so that
    /// the importer remembers their keys, outcomes and receipts too. Leases, records and deliveries
    /// stay: [`Rescue::safe_to_wipe`](crate::rescue::Rescue::safe_to_wipe) reports them.
    ///
    /// With `fence` the store is left first: that is durable before the first byte of the bundle is
    /// written, so nothing can be captured or sent here that the bundle does not have. From then on
    /// captures, deliveries, decisions, cancellations and sessions are refused with the code
    /// `STORE_FENCED`, across restarts; a capture of a known key is still answered, and answers to
    /// what was sent before are applied. If writing the bundle fails, or the machine does, the events
    /// are all still here: call it again, which writes a bundle of the same number. Who does not want
    /// to leave any more calls [`Rescue::unfence`](crate::rescue::Rescue::unfence).
    ///
    /// Without `fence` the store goes on: where both stores send, the upstream's memory of keys makes it
    /// once.
    ///
    /// The bundle is whole when this returned `Ok` and `out` is synced, which is the caller's to do.
    ///
    /// ```
    /// use onceward::{Config, Event, Key, Payload, Scope, Store};
    /// use onceward::rescue::BundleKey;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let open = |name: &str| Store::open(dir.path().join(name), Config::new());
    /// let (old, new) = (open("old")?, open("new")?);
    /// let sale = Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?);
    /// old.capture(&sale)?;
    /// let key = BundleKey::from_bytes([7; 32]); // Random, in earnest.
    /// let mut stick = Vec::new();
    /// let exported = old.rescue().export(&mut stick, &key, true)?;
    /// assert_eq!(exported.unsettled, 1);
    /// let imported = new.rescue().import(&mut stick.as_slice(), &key)?;
    /// assert_eq!((imported.fresh, imported.digest), (1, exported.digest));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Full`, `Io`: this disk refused, or `out` did. `Poisoned`: as for [`Store::capture`](crate::Store::capture). An
    /// event that is damaged is no error: it is counted in the result and in the bundle.
    ///
    /// # Cost
    ///
    /// Reads every event in the log once; holds one chunk of about 64 KiB, or the largest event. A
    /// passphrase takes 64 MiB and some tenths of a second.
    pub fn export(&self, out: &mut dyn Write, key: &BundleKey, fence: bool) -> Result<Exported> {
        let inner = &self.inner;
        inner.refuse_if_closed()?;
        let up = inner.state.lock().rescue.fence().map(Fence::of);
        let bundle = up.map_or_else(|| clock::random().map(BundleId), |up| Ok(up.bundle))?;
        let header = Header { salt: clock::random()?, store: inner.id().0, bundle: bundle.0 };
        // First, so that a stick that cannot be written to leaves everything as it is.
        let mut sealer = Sealer::begin(out, key, &header)?;
        if fence {
            inner.rescue().leave(bundle)?;
        }
        // How captures end for which nobody waits, their tickets report.
        drop(inner.sync_deferred());
        let upto = inner.log.synced();
        let is_fenced = fence || up.is_some();
        let begin = Begin {
            bundle: bundle.0,
            store: inner.id().0,
            epoch: inner.time.stamp().opening,
            made_ms: inner.time.wall_ms(),
            is_fenced,
        };
        sealer.push(&items::encode(&Head::Begin(begin), &[]))?;
        let rules: Vec<Rule> = inner.state.lock().upstreams.rules().collect();
        for rule in rules {
            sealer.push(&items::encode(&Head::Rule(rule), &[]))?;
        }
        let mut writing = Writing { sealer, end: End::default(), unreadable: Vec::new() };
        inner.rescue().write_all(&mut writing, upto, false)?;
        inner.rescue().write_all(&mut writing, upto, true)?;
        let Writing { sealer, end, unreadable } = writing;
        let (digest, bytes) =
            sealer.end(|digest| items::encode(&Head::End(End { digest, ..end }), &[]))?;
        let (unsettled, settled, unreadable_count) = (end.unsettled, end.settled, end.unreadable);
        Ok(Exported { bundle, unsettled, settled, unreadable, unreadable_count, bytes, digest })
    }
}

impl Rescue<'_> {
    /// Leaves the store for a bundle, durably.
    fn leave(&self, bundle: BundleId) -> Result<()> {
        self.inner.refuse_if_closed()?;
        let _one_at_a_time = self.inner.control.lock();
        let up = self.inner.state.lock().rescue.fence().map(Fence::of);
        if let Some(up) = up {
            // Another export was first, for a bundle of its own.
            return if up.bundle == bundle {
                Ok(())
            } else {
                self.inner.state.lock().rescue.refuse_if_fenced()
            };
        }
        // A capture that is queued from here on would be behind the fence and miss the bundle.
        self.inner.state.lock().rescue.set_closing(true);
        let fenced = self.append_fence(bundle, true);
        self.inner.state.lock().rescue.set_closing(false);
        fenced.map(drop)
    }

    /// Writes the unsettled or the settled events up to an LSN. One that is settled meanwhile comes
    /// among the settled, perhaps too: the importer takes the first of two.
    fn write_all(&self, writing: &mut Writing<'_>, upto: u64, settled: bool) -> Result<()> {
        let mut after = 0;
        loop {
            let page = self.page(after, upto, settled);
            let Some(last) = page.last() else { return Ok(()) };
            after = *last;
            for leaver in page.iter().filter_map(|lsn| self.leaver(*lsn)) {
                self.write_one(writing, leaver, settled)?;
            }
        }
    }

    fn write_one(&self, writing: &mut Writing<'_>, leaver: Leaver, settled: bool) -> Result<()> {
        let lsn = leaver.standing.lsn;
        if leaver.standing.state.is_final() != settled {
            return Ok(());
        }
        let read = match self.read_leaver(leaver) {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                writing.end.unreadable += 1;
                if writing.unreadable.len() < LEFT_OUT_LISTED_MAX {
                    writing.unreadable.extend(Lsn::from_u64(lsn));
                }
                return Ok(());
            }
            read => read?,
        };
        let Some((item, event)) = read else { return Ok(()) };
        if settled && !self.has_its_key(&event)? {
            return Ok(());
        }
        writing.end.settled += u64::from(settled);
        writing.end.unsettled += u64::from(!settled);
        writing.sealer.push(&items::encode_event(item, &event))
    }

    /// The event and what is known of it; `None` if it was settled and is gone.
    fn read_leaver(&self, mut leaver: Leaver) -> Result<Option<(BundleItem, StoredEvent)>> {
        for _ in 0..LOOKS_MAX {
            let Some(event) = self.inner.events().read_event(leaver.standing)? else {
                return Ok(None);
            };
            let item = BundleItem::of(&event, leaver.is_attempted, leaver.batch);
            let Some(version) = leaver.version else { return Ok(Some((item, event))) };
            if let Some(row) =
                self.inner.catalog().review_row(RowId { version, event: leaver.standing.lsn })
            {
                let reason = Reason {
                    code: row.reason.code,
                    message: row.reason.message,
                    reply: row.reason.reply,
                    since_ms: row.reason.since_ms,
                };
                return Ok(Some((BundleItem { reason: Some(reason), ..item }, event)));
            }
            // Somebody decided meanwhile.
            let Some(now) = self.leaver(leaver.standing.lsn) else { return Ok(None) };
            leaver = now;
        }
        Ok(None)
    }

    /// Whether the key of a settled event is still its own: after its window another may have it.
    fn has_its_key(&self, event: &StoredEvent) -> Result<bool> {
        let facts =
            Facts::of(self.inner.secret(), self.inner.windows(), &layout::View::of(&event.event));
        let found = self
            .inner
            .asking(&mut self.inner.state.lock(), |_, keys| keys.find(facts.fingerprint))?;
        Ok(found.is_some_and(|found| found.lsn == event.lsn.get()))
    }

    /// The numbers of the next events behind `after`.
    fn page(&self, after: u64, upto: u64, settled: bool) -> Vec<u64> {
        let range = (Bound::Excluded(after), Bound::Included(upto));
        let mut state = self.inner.state.lock();
        // Effects that are durable are settled with that, whoever hears of it first.
        self.inner.resolve(&mut state);
        let events = state.outbox.events();
        if settled {
            return events.packed().settled_between(range).map(|(lsn, _)| lsn).take(PAGE).collect();
        }
        events.packed().live_between(range).map(|(lsn, _)| lsn).take(PAGE).collect()
    }

    /// An event and how far it is; `None` if the log does not have it any more.
    fn leaver(&self, lsn: u64) -> Option<Leaver> {
        let state = self.inner.state.lock();
        let standing = state.outbox.events().standing(&state.kernel, lsn)?;
        let live = state.outbox.events().live(lsn);
        let waits = matches!(standing.state, State::InReview | State::Uncertain);
        Some(Leaver {
            standing,
            is_attempted: live.is_some_and(|live| live.is_attempted),
            batch: match live.map(|live| live.stage) {
                Some(Stage::InFlight(number)) => number,
                _ => 0,
            },
            version: if waits {
                state.outbox.waiting(lsn).map(|review| review.version)
            } else {
                None
            },
        })
    }
}
