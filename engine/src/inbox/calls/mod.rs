//! What the upstream delivers: received once, read by whoever works on it.
//!
//! Everything here holds `control` from judging to durability, so no other call of the inbox sees a
//! delivery, a step or an end that a crash could still take back.

mod finish;
mod window;

use std::ops::Bound;

use onceward_wal::{Lsn, NewFrame};

use super::frames::{DeliveryBody, DeliveryFrame};
use super::table::{DeliveryKey, DeliveryTable, HeldKey, NewDelivery, delivery_keys, next_step};
use super::{Delivery, DeliveryState, DroppedDelivery, InboxStatus, Received, StoredDelivery};
use crate::base::{Error, ErrorKind, FrameKind, Located, Moment, Result, Wall, codec};
use crate::event::Scope;
use crate::kernel::{Queueing, Waiter, bytes_of, frame_lsn};
use crate::store::{Shared, StoreState};

/// The inbox of an open store.
#[derive(Clone, Copy, Debug)]
pub struct Inbox<'s> {
    inner: &'s Shared,
}

/// The place of a delivery's frame, and how far the delivery is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct DeliveryAt {
    lsn: u64,
    at: Located,
    wall: Wall,
    state: DeliveryState,
    done: u32,
}

/// What receiving came to before it waits for the disk.
enum JudgedDelivery {
    Known(Received),
    Queued { at: Located },
}

impl Inbox<'_> {
    /// Stores a delivery, unless it was seen by any of its names, or may not come in.
    ///
    /// A delivery within a window is taken while that window is open: see
    /// [`Inbox::open_window`](crate::inbox::Inbox::open_window). Finished deliveries are remembered for
    /// [`Config::with_inbox_window`](crate::Config) at least, those of a window until it is over, at least.
    ///
    /// ```
    /// # use onceward::{Config, Store};
    /// use onceward::Payload;
    /// use onceward::inbox::{Delivery, Received};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let delivery = Delivery::new("6f1c2c1e", Payload::json(r#"{"price":2.40}"#)?)?;
    /// let Received::Fresh { lsn } = store.inbox().receive(&delivery)? else { panic!("seen before") };
    /// // The answer was lost, so the upstream delivers again.
    /// assert!(matches!(store.inbox().receive(&delivery)?, Received::Duplicate { lsn: l, .. } if l == lsn));
    /// // The work is done; that travels upstream as an event.
    /// store.inbox().ack(lsn)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// `Fresh` and `Duplicate` mean that the delivery survives kill -9 and power cut. After an error
    /// that is not [`in_doubt`](Error::in_doubt) it is surely absent.
    ///
    /// # Errors
    ///
    /// `Invalid`: `PAYLOAD_TOO_LONG`. `Full`: no room on the disk, or for its keys; nothing was
    /// stored. `Poisoned`, `Io`: as for [`Store::capture`](crate::Store::capture); the upstream delivers again.
    ///
    /// # Cost
    ///
    /// A fresh delivery: one write and one `fdatasync`.
    pub fn receive(&self, delivery: &Delivery) -> Result<Received> {
        let inner = &self.inner;
        inner.refuse_if_long("payload", delivery.payload().as_bytes())?;
        inner.refuse_if_closed()?;
        let _one_at_a_time = inner.control.lock();
        inner.state.lock().rescue.refuse_if_fenced()?;
        self.end_windows_held()?;
        self.receive_body(delivery.to_body())
    }

    /// Unfinished deliveries in the order in which they came, at most `max` of them from behind
    /// `after` on. Those whose window is over are not among them.
    ///
    /// ```
    /// use onceward::{Config, Payload, Store};
    /// use onceward::inbox::Delivery;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let delivery = Delivery::new("6f1c2c1e", Payload::json("{}")?)?.with_steps(2)?;
    /// store.inbox().receive(&delivery)?;
    /// for open in store.inbox().list(None, 100)? {
    ///     println!("do step {:?} of {:?}", open.next_step, open.delivery.event_id());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: a delivery cannot be read.
    pub fn list(&self, after: Option<Lsn>, max: usize) -> Result<Vec<StoredDelivery>> {
        let trusted_ms = self.inner.time.trusted_ms();
        let from = after.map_or(Bound::Unbounded, |lsn| Bound::Excluded(lsn.get()));
        let found: Vec<u64> = {
            let state = self.inner.state.lock();
            let open = state.inbox.open().range((from, Bound::Unbounded));
            let wanted = open.filter(|(_, open)| state.inbox.is_wanted(open, trusted_ms));
            wanted.map(|(lsn, _)| *lsn).take(max).collect()
        };
        let read = found.into_iter().filter_map(|lsn| self.read_delivery(lsn).transpose());
        // One that was finished in the meantime is none.
        let is_open = |it: &StoredDelivery| it.state == DeliveryState::Open;
        read.filter(|read| read.as_ref().map_or(true, is_open)).collect()
    }

    /// One delivery, finished or not, while the log holds it; `None` if it does not (any more).
    ///
    /// ```
    /// use onceward::{Config, Payload, Store};
    /// use onceward::inbox::{Delivery, DeliveryState, Received};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let delivery = Delivery::new("6f1c2c1e", Payload::json("{}")?)?.with_steps(2)?;
    /// let Received::Fresh { lsn } = store.inbox().receive(&delivery)? else { panic!("a new store") };
    /// store.inbox().ack(lsn)?;
    /// assert_eq!(store.inbox().get(lsn)?.map(|it| it.state), Some(DeliveryState::Acked));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: it cannot be read.
    pub fn get(&self, lsn: Lsn) -> Result<Option<StoredDelivery>> {
        self.read_delivery(lsn.get())
    }

    /// The scope of the events by which [`Inbox::ack`](crate::inbox::Inbox::ack) and
    /// [`Inbox::fail`](crate::inbox::Inbox::fail) report upstream: `inbox`, unless
    /// [configured](crate::Config::with_inbox_scope).
    ///
    /// ```
    /// use onceward::{Config, Scope, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let config = Config::new().with_inbox_scope(Scope::new("acks")?);
    /// let store = Store::open(dir.path().join("store"), config)?;
    /// assert_eq!(store.inbox().scope()?.as_str(), "acks");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// None today.
    pub fn scope(&self) -> Result<Scope> {
        self.inner.config.inbox_answer_scope()
    }

    /// How many deliveries are where.
    ///
    /// ```
    /// use onceward::{Config, Payload, Store};
    /// use onceward::inbox::Delivery;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let delivery = Delivery::new("6f1c2c1e", Payload::json("{}")?)?.with_steps(2)?;
    /// store.inbox().receive(&delivery)?;
    /// assert_eq!(store.inbox().status().open, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn status(&self) -> InboxStatus {
        let trusted_ms = self.inner.time.trusted_ms();
        self.inner.state.lock().inbox.status(trusted_ms)
    }

    /// The last deliveries that were stored and dropped, oldest first: at most 256, and after a restart
    /// those that the log still has. [`InboxStatus::dropped`] counts them all.
    ///
    /// ```
    /// use std::time::Duration;
    /// use onceward::{Config, Payload, Store};
    /// use onceward::inbox::{Delivery, WindowId, WindowKey};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let window = WindowId::new("session-1")?;
    /// store.inbox().open_window(&window, Duration::from_mins(1))?;
    /// let within = WindowKey::new("user-17", "tour", window.clone())?;
    /// store.inbox().receive(&Delivery::of_window(within, Payload::json("{}")?))?;
    /// store.inbox().close_window(&window)?;
    /// assert_eq!(store.inbox().dropped()[0].id, "tour");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn dropped(&self) -> Vec<DroppedDelivery> {
        self.inner.state.lock().inbox.dropped().listed()
    }
}

impl<'s> Inbox<'s> {
    /// The calls of this store.
    pub(crate) fn new(inner: &'s Shared) -> Self {
        Self { inner }
    }

    /// Judges a delivery, queues it, waits. The caller holds `control`.
    fn receive_body(&self, body: DeliveryBody) -> Result<Received> {
        self.inner.refuse_if_closed()?;
        let keys = delivery_keys(self.inner.secret(), self.inner.windows(), &body);
        let wall_offset_ms = self.inner.timekeeping().wall_offset_ms();
        let frame = DeliveryFrame::Received { wall_offset_ms, body };
        let encoded = codec::encode(&frame);
        let DeliveryFrame::Received { body, .. } = frame else { return Err(broken()) };
        let parts = [encoded.as_slice()];
        let kind = FrameKind::Delivery.code();
        let frames = [NewFrame { kind, flags: 0, parts: &parts }];
        let lsn = match self.queue_delivery(keys, &body, (&frames, wall_offset_ms))? {
            JudgedDelivery::Known(known) => return Ok(known),
            JudgedDelivery::Queued { at } => frame_lsn(at)?,
        };
        self.inner.wait(lsn)?;
        Ok(Received::Fresh { lsn })
    }

    /// Judges a delivery's keys, queues its frame and takes its first key.
    fn queue_delivery(
        &self,
        keys: Vec<DeliveryKey>,
        body: &DeliveryBody,
        (frames, wall_offset_ms): (&[NewFrame<'_>], i64),
    ) -> Result<JudgedDelivery> {
        let mut state = self.inner.state.lock();
        self.inner.bring_up_to_now(&mut state);
        let mono_ms = self.inner.time.mono_ms();
        let moment = self.inner.time.moment(mono_ms);
        let known = self.inner.asking(&mut state, |state, asking| {
            state.inbox.find(asking, &keys, state.outbox.events())
        })?;
        if let Some((lsn, delivery_state)) = known {
            state.inbox.count_duplicate();
            let lsn = Lsn::from_u64(lsn).ok_or_else(broken)?;
            return Ok(JudgedDelivery::Known(Received::Duplicate { lsn, state: delivery_state }));
        }
        let window = body.within.as_ref().map(|within| within.window.as_str());
        let (bytes, bounds) = (bytes_of(&self.inner.log, frames), self.inner.config.inbox_bounds());
        if let Some(why) = state.inbox.refuse(window, bytes, bounds, moment.trusted_ms) {
            return Ok(JudgedDelivery::Known(Received::Dropped { why }));
        }
        state.kernel.keys.check_room(keys.len())?;
        let StoreState { kernel, inbox, .. } = &mut *state;
        inbox.free_keys(kernel, &keys, self.inner.log.synced())?;
        let how = Queueing {
            kind: FrameKind::Delivery,
            keys: keys.len(),
            mono_ms,
            purpose: self.inner.reserve().capture_purpose(&state, 0),
            waiter: Waiter::Call,
        };
        let at = self.inner.queue(&mut state, frames, how)?;
        let at = at.first().copied().ok_or_else(broken)?;
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or_else(broken)?;
        let held = state.kernel.keys.take(first.reservation(at.lsn), moment.trusted_ms);
        let first = HeldKey { key: first, held };
        let captured = Moment { wall: moment.wall.moved(wall_offset_ms), ..moment };
        let new = NewDelivery::of(body, captured, Vec::new());
        state.inbox.queue((at, moment.trusted_ms), first, (keys.collect(), new));
        Ok(JudgedDelivery::Queued { at })
    }

    /// Reads a delivery; `None` if the log does not hold it.
    fn read_delivery(&self, lsn: u64) -> Result<Option<StoredDelivery>> {
        let look = || standing(&self.inner.state.lock().inbox, lsn);
        let read = |standing: &DeliveryAt| self.read_delivery_at(standing);
        Ok(self.inner.read_where_it_is(look, read)?.flatten())
    }

    /// `None`: only its keys are left.
    fn read_delivery_at(&self, standing: &DeliveryAt) -> Result<Option<StoredDelivery>> {
        let DeliveryAt { lsn, at, wall, state, done } = *standing;
        let not_one = || Error::corrupt(format!("LSN {}: the frame holds no delivery", at.lsn));
        let body = self.inner.read(at, |frame| match codec::decode(frame.body) {
            Some(DeliveryFrame::Received { body, .. }) => Ok(Some(body)),
            Some(DeliveryFrame::Moved(moved)) => Ok(Some(moved.body)),
            Some(DeliveryFrame::Finished(_)) => Ok(None),
            None => Err(not_one()),
        })?;
        let Some(body) = body else { return Ok(None) };
        let next_step = next_step(done, body.steps);
        Ok(Some(StoredDelivery {
            lsn: Lsn::from_u64(lsn).ok_or_else(broken)?,
            delivery: Delivery::of_body(body).ok_or_else(not_one)?,
            state,
            next_step,
            received_at_ms: wall.get(),
        }))
    }
}

/// The place of a delivery's frame, and how far the delivery is.
fn standing(inbox: &DeliveryTable, lsn: u64) -> Option<DeliveryAt> {
    if let Some(open) = inbox.open().get(&lsn) {
        let (at, wall, done) = (open.at, open.moment.wall, open.done);
        return Some(DeliveryAt { lsn, at, wall, state: DeliveryState::Open, done });
    }
    let finished = inbox.finished(lsn)?;
    let (at, wall, state) = (finished.at, finished.wall, finished.state);
    Some(DeliveryAt { lsn, at, wall, state, done: finished.done })
}

/// An invariant of this module does not hold.
fn broken() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "INTERNAL",
        "a fault of this program: the place of a delivery is missing",
    )
}
