//! Whether there is room for new events, and what is dropped for them.

use std::ops::Bound;

use onceward_wal::{Log, Lsn, NewFrame};

use super::judging::{Judged, Plan, Prepared, lost_verdict, plan};
use super::{Inner, Store};
use crate::admission::{Limit, WhenFull};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Amount, Event};
use crate::frames::KIND_EVENT;
use crate::limits::EVICTED_TOGETHER_MAX;
use crate::report::{KeyPrint, Loss};
use crate::verdict::WouldAccept;
use crate::view::{Live, Stage, View};

/// Whether new events find room.
#[derive(Debug)]
pub(super) enum Room {
    /// They do.
    Enough,
    /// They do once these are dropped.
    Evict(Vec<u64>),
}

/// Why they do not.
#[derive(Debug)]
struct Refusal {
    limit: Limit,
    message: String,
}

impl From<Refusal> for Error {
    fn from(refused: Refusal) -> Self {
        Self::new(ErrorKind::Full, refused.limit.code(), refused.message)
    }
}

/// What new events ask for.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    bytes: u64,
    count: u64,
    /// Sum of the amounts, in ten-thousandths.
    amount: i128,
    /// The largest amount, without its sign.
    amount_largest: u64,
}

/// By how much limits would be passed.
#[derive(Clone, Copy, Debug, Default)]
struct Lack {
    bytes: u64,
    count: u64,
    amount: i128,
}

impl Lack {
    /// The limit that is passed first.
    fn limit(&self) -> Option<Limit> {
        match self {
            Self { bytes: 1.., .. } => Some(Limit::Bytes),
            Self { count: 1.., .. } => Some(Limit::Count),
            Self { amount: 1.., .. } => Some(Limit::Sum),
            Self { .. } => None,
        }
    }

    /// Less, if this event is dropped; `false`: dropping it does not help.
    fn shrink(&mut self, live: &Live) -> bool {
        let amount = i128::from(live.amount);
        if self.bytes == 0 && self.count == 0 && amount <= 0 {
            return false;
        }
        self.bytes = self.bytes.saturating_sub(u64::from(live.at.bytes));
        self.count = self.count.saturating_sub(1);
        self.amount -= amount;
        true
    }
}

impl Store {
    /// What [`Store::capture`] would answer now. Writes nothing and reserves nothing: another capture
    /// may come between.
    ///
    /// A duplicate or conflict may be told of an event that is not durable yet.
    ///
    /// # Errors
    ///
    /// As [`Store::capture`], but for limits, which are an answer here. `Full` with the code
    /// `INDEX_FULL`: no memory for a further key.
    ///
    /// ```
    /// use onceward::{Config, Event, Key, Limit, Limits, Payload, Scope, Store, WouldAccept};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("store");
    /// let store = Store::open(&dir, Config::new().limits(Limits::new().count(1)))?;
    /// let event = |key| Ok::<_, onceward::Error>(
    ///     Event::new(Scope::default(), Key::new(key)?, Payload::json("{}")?));
    /// assert_eq!(store.would_accept(&event("k1")?)?, WouldAccept::Fresh);
    /// store.capture(&event("k1")?)?;
    /// assert!(matches!(store.would_accept(&event("k1")?)?, WouldAccept::Duplicate { .. }));
    /// let refused = WouldAccept::Refused { limit: Limit::Count };
    /// assert_eq!(store.would_accept(&event("k2")?)?, refused);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn would_accept(&self, event: &Event) -> Result<WouldAccept> {
        let inner = &self.inner;
        let prepared = inner.prepare(std::iter::once((event, None)), 1)?;
        inner.refuse_if_closed()?;
        let mut view = inner.view.lock();
        inner.bring_up_to_now(&mut view);
        let plans = inner.asking(&mut view, |view| plan(view, &prepared))?;
        let parts: Vec<[&[u8]; 4]> = prepared.iter().map(Prepared::parts).collect();
        let frames = super::judging::fresh_frames(&plans, &prepared, &parts, KIND_EVENT);
        match plans.first().ok_or_else(lost_verdict)? {
            Plan::Known(Judged::Conflict { lsn }) | Plan::Lost(Judged::Conflict { lsn }) => {
                Ok(WouldAccept::Conflict { lsn: *lsn })
            }
            Plan::Known(known) | Plan::Lost(known) => {
                let state = view.state_of(known.lsn().get());
                Ok(WouldAccept::Duplicate { lsn: known.lsn(), state })
            }
            Plan::Fresh | Plan::Again { .. } => {
                view.refuse_if_fenced()?;
                match inner.judge_room(&view, &inner.demand(&plans, &prepared, &frames)) {
                    Ok(_) => Ok(WouldAccept::Fresh),
                    Err(Refusal { limit, .. }) => Ok(WouldAccept::Refused { limit }),
                }
            }
        }
    }

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
    /// use onceward::{Class, Config, Event, Key, Limits, Payload, Scope, Store, WhenFull};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("store");
    /// let limits = Limits::new().count(1).when_full(WhenFull::EvictOldest);
    /// let store = Store::open(&dir, Config::new().limits(limits))?;
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
            let view = self.inner.view.lock();
            let listed = view.room.losses().range((from, Bound::Unbounded)).take(max);
            listed
                .filter_map(|(lsn, lost)| {
                    let scope = view.scope(lost.scope)?.clone();
                    Some((Lsn::from_u64(*lsn)?, scope, lost.clone(), view.standing(*lsn)))
                })
                .collect()
        };
        let mut losses = Vec::with_capacity(found.len());
        for (lsn, scope, lost, standing) in found {
            let event = match standing.map(|standing| self.inner.read_event(standing)) {
                None => None,
                Some(Ok(event)) => event,
                // What is damaged is known by its print.
                Some(Err(error)) if error.kind() == ErrorKind::Corrupt => None,
                Some(Err(error)) => return Err(error),
            };
            let key = event.map(|event| event.event.key);
            let print = KeyPrint(lost.print.as_u128());
            losses.push(Loss { lsn, scope, key, print, dropped_ms: lost.wall_ms });
        }
        Ok(losses)
    }
}

impl Inner {
    /// Whether the fresh events of a call find room. The caller holds the view.
    ///
    /// # Errors
    ///
    /// `Full`, with the limit's code.
    pub(super) fn room_for(
        &self,
        view: &View,
        plans: &[Plan],
        prepared: &[Prepared<'_>],
        frames: &[NewFrame<'_>],
    ) -> Result<Room> {
        let is_limited = self.config.limits.is_any();
        // An effect is settled with its own frame: it waits for nothing.
        if !is_limited || frames.first().is_none_or(|frame| frame.kind != KIND_EVENT) {
            return Ok(Room::Enough);
        }
        Ok(self.judge_room(view, &self.demand(plans, prepared, frames))?)
    }

    /// What the fresh events of a call ask for, whose frames these are.
    fn demand(&self, plans: &[Plan], prepared: &[Prepared<'_>], frames: &[NewFrame<'_>]) -> Demand {
        let fresh = plans.iter().zip(prepared).filter(|(plan, _)| matches!(plan, Plan::Fresh));
        let amounts = fresh.filter_map(|(_, event)| event.facts.amount);
        let mut demand = Demand {
            bytes: bytes_of(&self.log, frames),
            count: u64::try_from(frames.len()).unwrap_or(u64::MAX),
            ..Demand::default()
        };
        for amount in amounts {
            demand.amount += i128::from(amount);
            demand.amount_largest = demand.amount_largest.max(amount.unsigned_abs());
        }
        demand
    }

    fn judge_room(&self, view: &View, demand: &Demand) -> std::result::Result<Room, Refusal> {
        let limits = &self.config.limits;
        let most = limits.amount.map(|most| (most, most.ten_thousandths().unsigned_abs()));
        if let Some((most, _)) = most.filter(|(_, most)| demand.amount_largest > *most) {
            let asked = shown(i128::from(demand.amount_largest));
            let message = format!("amount: {asked} was asked for, at most {most} an event");
            return Err(Refusal { limit: Limit::Amount, message });
        }
        let lack = self.lack(view, demand);
        let too_old: Vec<u64> = self.too_old(view);
        if lack.limit().is_none() && too_old.is_empty() {
            return Ok(Room::Enough);
        }
        let refusal =
            |lack: &Lack| self.limit_refusal(view, lack.limit().unwrap_or(Limit::Age), demand);
        match limits.when_full {
            WhenFull::Refuse => Err(refusal(&lack)),
            WhenFull::EvictOldest => {
                self.choose(view, lack, &too_old).map_err(|lack| refusal(&lack))
            }
        }
    }

    /// By how much the limits would be passed.
    fn lack(&self, view: &View, demand: &Demand) -> Lack {
        let limits = &self.config.limits;
        let over = |most: Option<u64>, held: u64, asked: u64| {
            most.map_or(0, |most| held.saturating_add(asked).saturating_sub(most))
        };
        let sum = view.amount_unsettled() + demand.amount;
        let sum_most = limits.sum.map(|sum| i128::from(sum.ten_thousandths()));
        Lack {
            bytes: over(limits.bytes, view.room.bytes(), demand.bytes),
            count: over(limits.count, held(view), demand.count),
            amount: match sum_most {
                Some(most) if demand.amount > 0 => (sum - most).max(0),
                Some(_) | None => 0,
            },
        }
    }

    /// The events that wait longer than is allowed, oldest first; at most one more than may be dropped.
    fn too_old(&self, view: &View) -> Vec<u64> {
        let Some(age_ms) = self.config.limits.age_ms else { return Vec::new() };
        let now_ms = self.moment(self.mono_ms()).trusted_ms;
        let is_old = |live: &Live| now_ms.saturating_sub(live.moment.trusted_ms) > age_ms;
        // Trusted time never falls, so those with lower numbers are older.
        let old = view.events.iter().take_while(|(_, live)| is_old(live));
        old.map(|(lsn, _)| *lsn).take(EVICTED_TOGETHER_MAX + 1).collect()
    }

    /// The oldest events that may be dropped, as many as are needed.
    fn choose(
        &self,
        view: &View,
        mut lack: Lack,
        too_old: &[u64],
    ) -> std::result::Result<Room, Lack> {
        let mut chosen = Vec::new();
        let old_last = too_old.last().copied().unwrap_or(0);
        for lsn in view.room.evictable() {
            let is_enough = lack.limit().is_none() && lsn > old_last;
            if is_enough || chosen.len() >= EVICTED_TOGETHER_MAX {
                break;
            }
            let Some(live) = view.events.get(&lsn).filter(|live| self.may_drop(lsn, live)) else {
                continue;
            };
            if lack.shrink(live) || lsn <= old_last {
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
        let told = || Lsn::from_u64(lsn).and_then(|lsn| self.log.poll(lsn));
        live.stage == Stage::Pending && matches!(told(), Some(Ok(())))
    }

    /// Says what the limit is, what is held, and what was asked for.
    fn limit_refusal(&self, view: &View, limit: Limit, demand: &Demand) -> Refusal {
        let limits = &self.config.limits;
        let number = |most: Option<u64>| most.unwrap_or(u64::MAX);
        let message = match limit {
            Limit::Bytes => format!(
                "bytes: unsettled events take {} of at most {}, and {} more were asked for",
                view.room.bytes(),
                number(limits.bytes),
                demand.bytes
            ),
            Limit::Count => format!(
                "count: {} events are unsettled, of at most {}, and {} more were asked for",
                held(view),
                number(limits.count),
                demand.count
            ),
            Limit::Sum | Limit::Amount => format!(
                "sum: unsettled amounts are {} of at most {}, and {} more was asked for",
                shown(view.amount_unsettled()),
                limits.sum.unwrap_or_default(),
                shown(demand.amount)
            ),
            Limit::Age => {
                let oldest = view.events.values().next().map(|live| live.moment.trusted_ms);
                let now_ms = self.moment(self.mono_ms()).trusted_ms;
                format!(
                    "age: the oldest unsettled event waits {} ms, at most {}",
                    oldest.map_or(0, |oldest| now_ms.saturating_sub(oldest)),
                    number(limits.age_ms)
                )
            }
        };
        Refusal { limit, message }
    }
}

/// How many events are unsettled.
fn held(view: &View) -> u64 {
    u64::try_from(view.events.len()).unwrap_or(u64::MAX)
}

/// A sum of ten-thousandths, as people write it.
fn shown(ten_thousandths: i128) -> String {
    let most = if ten_thousandths < 0 { i64::MIN } else { i64::MAX };
    Amount::from_ten_thousandths(i64::try_from(ten_thousandths).unwrap_or(most)).to_string()
}

/// Bytes that frames would take.
pub(super) fn bytes_of(log: &Log, new: &[NewFrame<'_>]) -> u64 {
    let bytes = new.iter().map(|frame| log.bytes_of(frame)).fold(0, usize::saturating_add);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
