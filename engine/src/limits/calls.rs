//! Whether there is room for new events, and what is dropped for them.

use std::ops::Bound;

use onceward_wal::Lsn;

use super::{KeyFingerprint, Limit, Loss, WhenFull};
use crate::base::bounds::EVICTED_TOGETHER_MAX;
use crate::base::{Error, ErrorKind, Result, whole_ms};
use crate::event::Amount;
use crate::outbox::{EventTable, Live, Outbox, Stage};
use crate::store::{Shared, Store};

/// Admission of new events to an open store: whether there is room, and what is dropped for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admission<'s> {
    pub(super) inner: &'s Shared,
}

/// Whether new events find room.
#[derive(Debug)]
pub(crate) enum Room {
    /// New events find room.
    Enough,
    /// New events find room once these events are dropped.
    Evict(Vec<u64>),
}

/// Why new events find no room.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) limit: Limit,
    message: String,
}

impl From<Refusal> for Error {
    fn from(refused: Refusal) -> Self {
        Self::new(ErrorKind::Full, refused.limit.code(), refused.message)
    }
}

/// What new events ask for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Demand {
    bytes: u64,
    count: u64,
    /// Sum of the amounts, in ten-thousandths.
    amount: i128,
    /// The largest amount, without its sign.
    amount_largest: u64,
}

impl Demand {
    /// The demand of this many events, whose frames take this many bytes, with the amounts of those that have one, in
    /// ten-thousandths.
    pub(crate) fn of(count: usize, bytes: u64, amounts: impl Iterator<Item = i64>) -> Self {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let mut demand = Self { bytes, count, ..Self::default() };
        for amount in amounts {
            demand.amount += i128::from(amount);
            demand.amount_largest = demand.amount_largest.max(amount.unsigned_abs());
        }
        demand
    }
}

/// By how much limits would be passed.
#[derive(Clone, Copy, Debug, Default)]
struct Lack {
    bytes: u64,
    count: u64,
    /// What the sum would be over its limit, or below it if that is negative; `None`: there is no limit.
    amount: Option<i128>,
}

impl Lack {
    /// The limit that is passed first.
    fn limit(&self) -> Option<Limit> {
        match self {
            Self { bytes: 1.., .. } => Some(Limit::Bytes),
            Self { count: 1.., .. } => Some(Limit::Count),
            Self { amount: Some(1..), .. } => Some(Limit::Sum),
            Self { .. } => None,
        }
    }

    /// Whether it is less if this event is dropped.
    fn is_less_without(&self, live: &Live) -> bool {
        let is_sum_less = self.amount.is_some_and(|over| over > 0) && live.amount > 0;
        self.bytes > 0 || self.count > 0 || is_sum_less
    }

    /// What it is once this event is dropped; a refund raises the sum.
    fn drop(&mut self, live: &Live) {
        self.bytes = self.bytes.saturating_sub(u64::from(live.at.bytes));
        self.count = self.count.saturating_sub(1);
        self.amount = self.amount.map(|over| over - i128::from(live.amount));
    }
}

impl Store {
    /// Events that were dropped to make room, in the order of their numbers, at most `max` of them from
    /// behind `after` on.
    ///
    /// The last 512 can be listed; [`Status::evicted`](crate::Status::evicted) counts all. Their keys
    /// stay taken as those of other settled events do: capturing one again is a duplicate whose state is
    /// `Expired`.
    ///
    /// # Errors
    ///
    /// `Io`: the log cannot be read.
    ///
    /// ```
    /// use onceward::{Class, Config, Event, Key, Payload, Scope, Store};
    /// use onceward::limits::{Limits, WhenFull};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("store");
    /// let limits = Limits::new().with_count(1).with_when_full(WhenFull::EvictOldest);
    /// let store = Store::open(&dir, Config::new().with_limits(limits))?;
    /// for key in ["reading-1", "reading-2"] {
    ///     let event = Event::new(Scope::default(), Key::new(key)?, Payload::json("{}")?);
    ///     store.capture(&event.with_class(Class::Evictable))?;
    /// }
    /// let losses = store.losses(None, 10)?;
    /// assert_eq!(losses[0].key, Some(Key::new("reading-1")?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn losses(&self, after: Option<Lsn>, max: usize) -> Result<Vec<Loss>> {
        let from = after.map_or(Bound::Unbounded, |lsn| Bound::Excluded(lsn.get()));
        let found: Vec<_> = {
            let state = self.inner.state.lock();
            let listed = state.losses.losses().range((from, Bound::Unbounded)).take(max);
            listed
                .filter_map(|(lsn, lost)| {
                    let scope = state.outbox.scopes().get(lost.scope)?.clone();
                    Some((
                        Lsn::from_u64(*lsn)?,
                        scope,
                        lost.clone(),
                        state.outbox.events().standing(&state.kernel, *lsn),
                    ))
                })
                .collect()
        };
        let mut losses = Vec::with_capacity(found.len());
        for (lsn, scope, lost, standing) in found {
            let event = match standing.map(|standing| self.inner.events().read_event(standing)) {
                None => None,
                Some(Ok(event)) => event,
                // What is damaged is known by its fingerprint.
                Some(Err(error)) if error.kind() == ErrorKind::Corrupt => None,
                Some(Err(error)) => return Err(error),
            };
            let key = event.map(|event| event.event.key);
            let fingerprint = KeyFingerprint(lost.fingerprint.as_u128());
            losses.push(Loss { lsn, scope, key, fingerprint, dropped_ms: lost.wall_ms });
        }
        Ok(losses)
    }
}

impl<'s> Admission<'s> {
    /// Admission to this store.
    pub(crate) fn new(inner: &'s Shared) -> Self {
        Self { inner }
    }

    /// Whether what new events ask for finds room. The caller holds the state.
    pub(crate) fn judge(
        &self,
        outbox: &Outbox,
        demand: &Demand,
    ) -> std::result::Result<Room, Refusal> {
        let limits = &self.inner.config.limits;
        let most = limits.amount.map(|most| (most, most.ten_thousandths().unsigned_abs()));
        if let Some((most, _)) = most.filter(|(_, most)| demand.amount_largest > *most) {
            let asked = shown(i128::from(demand.amount_largest));
            let message = format!("amount: {asked} is beyond {most}, the most for one event");
            return Err(Refusal { limit: Limit::Amount, message });
        }
        let events = outbox.events();
        let lack = self.lack(events, demand);
        let too_old: Vec<u64> = self.too_old(events);
        if lack.limit().is_none() && too_old.is_empty() {
            return Ok(Room::Enough);
        }
        let refusal =
            |lack: &Lack| self.limit_refusal(outbox, lack.limit().unwrap_or(Limit::Age), demand);
        match limits.when_full {
            WhenFull::Refuse => Err(refusal(&lack)),
            WhenFull::EvictOldest => {
                self.choose(events, lack, &too_old).map_err(|lack| refusal(&lack))
            }
        }
    }

    /// By how much the limits would be passed.
    fn lack(&self, events: &EventTable, demand: &Demand) -> Lack {
        let limits = &self.inner.config.limits;
        let over = |most: Option<u64>, held: u64, asked: u64| {
            most.map_or(0, |most| held.saturating_add(asked).saturating_sub(most))
        };
        let sum = events.tallies().sum() + demand.amount;
        let sum_most = limits.sum.map(|sum| i128::from(sum.ten_thousandths()));
        Lack {
            bytes: over(limits.bytes, events.tallies().bytes(), demand.bytes),
            count: over(limits.count, held(events), demand.count),
            // What asks for nothing is not refused for what is over already; but dropping refunds must not raise the
            // sum over the limit.
            amount: sum_most.map(|most| match sum - most {
                over if demand.amount > 0 => over,
                over => over.min(0),
            }),
        }
    }

    /// The events that wait longer than is allowed, oldest first; at most one more than may be dropped.
    fn too_old(&self, events: &EventTable) -> Vec<u64> {
        let Some(age) = self.inner.config.limits.age else { return Vec::new() };
        // Rounded up: nothing is dropped or refused before that much time passed.
        let age_ms = whole_ms(age);
        let now_ms = self.inner.time.trusted_ms();
        let is_old = |live: &Live| now_ms.saturating_sub(live.moment.trusted_ms) > age_ms;
        // Trusted time never falls, so those with lower numbers are older.
        let old = events.packed().live_between(..).take_while(|(_, live)| is_old(live));
        old.map(|(lsn, _)| lsn).take(EVICTED_TOGETHER_MAX + 1).collect()
    }

    /// The oldest events that may be dropped, as many as are needed.
    fn choose(
        &self,
        events: &EventTable,
        mut lack: Lack,
        too_old: &[u64],
    ) -> std::result::Result<Room, Lack> {
        let mut chosen = Vec::new();
        let old_last = too_old.last().copied().unwrap_or(0);
        for lsn in events.keys().evictable() {
            let is_enough = lack.limit().is_none() && lsn > old_last;
            if is_enough || chosen.len() >= EVICTED_TOGETHER_MAX {
                break;
            }
            let live = events.live(lsn).filter(|live| self.may_drop(lsn, live));
            let Some(live) = live else {
                continue;
            };
            if lsn <= old_last || lack.is_less_without(&live) {
                lack.drop(&live);
                chosen.push(lsn);
            }
        }
        if lack.limit().is_none() && too_old.iter().all(|lsn| chosen.binary_search(lsn).is_ok()) {
            return Ok(Room::Evict(chosen));
        }
        Err(lack)
    }

    /// Whether an event may be dropped: it waits to be sent, and it is surely stored.
    fn may_drop(&self, lsn: u64, live: &Live) -> bool {
        let ended = || Lsn::from_u64(lsn).and_then(|lsn| self.inner.log.poll(lsn));
        live.stage == Stage::Pending && matches!(ended(), Some(Ok(())))
    }

    /// Says what the limit is, what is held, and what was asked for.
    fn limit_refusal(&self, outbox: &Outbox, limit: Limit, demand: &Demand) -> Refusal {
        let limits = &self.inner.config.limits;
        let number = |most: Option<u64>| most.unwrap_or(u64::MAX);
        let events = outbox.events();
        let message = match limit {
            Limit::Bytes => format!(
                "bytes: unsettled events take {} of at most {}, and {} more were asked for",
                events.tallies().bytes(),
                number(limits.bytes),
                demand.bytes
            ),
            Limit::Count => format!(
                "count: {} events are unsettled, of at most {}, and {} more were asked for",
                held(events),
                number(limits.count),
                demand.count
            ),
            Limit::Sum | Limit::Amount => format!(
                "sum: unsettled amounts are {} of at most {}, and {} more was asked for",
                shown(events.tallies().sum()),
                limits.sum.unwrap_or_default(),
                shown(demand.amount)
            ),
            Limit::Age => {
                let oldest = outbox.oldest_ms();
                let now_ms = self.inner.time.trusted_ms();
                format!(
                    "age: the oldest unsettled event waits {} ms, at most {}",
                    oldest.map_or(0, |oldest| now_ms.saturating_sub(oldest)),
                    number(limits.age.map(whole_ms))
                )
            }
        };
        Refusal { limit, message }
    }
}

/// How many events are unsettled.
fn held(events: &EventTable) -> u64 {
    u64::try_from(events.packed().unsettled_count()).unwrap_or(u64::MAX)
}

/// A sum of ten-thousandths, as people write it.
fn shown(ten_thousandths: i128) -> String {
    let most = if ten_thousandths < 0 { i64::MIN } else { i64::MAX };
    Amount::from_ten_thousandths(i64::try_from(ten_thousandths).unwrap_or(most)).to_string()
}
