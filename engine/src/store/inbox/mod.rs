//! What the upstream delivers: received once, read by whoever works on it.
//!
//! Everything here holds `control` from judging to durability, so no other call of the inbox sees a
//! delivery, a step or an end that a crash could still take back.

mod finish;
mod window;

use std::ops::Bound;

use onceward_wal::{Lsn, NewFrame};

use super::limits::bytes_of;
use super::{Inner, Store, capture_purpose, frame_lsn, from_log, located};
use crate::error::{Error, ErrorKind, Result};
use crate::frames::inbox::{Body, DeliveryFrame};
use crate::frames::{KIND_DELIVERY, codec};
use crate::inbox::{
    Delivery, DeliveryState, DroppedDelivery, InboxStatus, Received, StoredDelivery,
};
use crate::view::{
    DeliveryKey, HeldKey, Located, Moment, NewDelivery, View, Wall, delivery_keys, next_step,
};

/// Where a delivery stands and how far it is.
#[derive(Clone, Copy, Debug)]
struct Standing {
    lsn: u64,
    at: Located,
    wall: Wall,
    state: DeliveryState,
    done: u32,
}

/// What receiving came to before it waits for the disk.
enum Judged {
    Known(Received),
    Queued { at: Located, held: HeldKey, moment: Moment },
}

impl Store {
    /// Stores a delivery, unless it was seen by any of its names, or may not come in.
    ///
    /// A delivery within a window is taken while that window is open: see [`Store::open_window`].
    /// Finished deliveries are remembered for [`Config::inbox_window_ms`](crate::Config) at least, those
    /// of a window until it is over, at least.
    ///
    /// ```
    /// # use onceward::{Config, Store};
    /// use onceward::{Delivery, Payload, Received};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let delivery = Delivery::new("6f1c2c1e", Payload::json(r#"{"price":2.40}"#)?)?;
    /// let Received::Fresh { lsn } = store.receive(&delivery)? else { panic!("seen before") };
    /// // The answer was lost, so the upstream delivers again.
    /// assert!(matches!(store.receive(&delivery)?, Received::Duplicate { lsn: l, .. } if l == lsn));
    /// // The work is done; that travels upstream as an event.
    /// store.ack(lsn)?;
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
    /// stored. `Io`, `Poisoned`: the disk failed; the upstream delivers again after reopening.
    ///
    /// # Cost
    ///
    /// A fresh delivery: one write and one `fdatasync`.
    pub fn receive(&self, delivery: &Delivery) -> Result<Received> {
        let inner = &self.inner;
        inner.refuse_if_long("payload", delivery.payload())?;
        inner.refuse_if_closed()?;
        let _one_at_a_time = inner.control.lock();
        inner.refuse_if_fenced()?;
        inner.end_windows_held()?;
        inner.receive(delivery.to_body())
    }

    /// Unfinished deliveries in the order in which they came, at most `max` of them from behind
    /// `after` on. Those whose window is over are not among them.
    ///
    /// ```
    /// use onceward::{Config, Delivery, Payload, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let delivery = Delivery::new("6f1c2c1e", Payload::json("{}")?)?.with_steps(2)?;
    /// store.receive(&delivery)?;
    /// for open in store.deliveries(None, 100)? {
    ///     println!("do step {:?} of {:?}", open.next_step, open.delivery.event_id());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: a delivery cannot be read.
    pub fn deliveries(&self, after: Option<Lsn>, max: usize) -> Result<Vec<StoredDelivery>> {
        let trusted_ms = self.inner.moment(self.inner.mono_ms()).trusted_ms;
        let from = after.map_or(Bound::Unbounded, |lsn| Bound::Excluded(lsn.get()));
        let found: Vec<u64> = {
            let view = self.inner.view.lock();
            let open = view.inbox.open.range((from, Bound::Unbounded));
            let wanted = open.filter(|(_, open)| view.inbox.is_wanted(open, trusted_ms));
            wanted.map(|(lsn, _)| *lsn).take(max).collect()
        };
        let read = found.into_iter().filter_map(|lsn| self.inner.read_delivery(lsn).transpose());
        // One that was finished in the meantime is none.
        let is_open = |it: &StoredDelivery| it.state == DeliveryState::Open;
        read.filter(|read| read.as_ref().map_or(true, is_open)).collect()
    }

    /// One delivery, finished or not, while the log holds it; `None` if it does not (any more).
    ///
    /// ```
    /// use onceward::{Config, Delivery, DeliveryState, Payload, Received, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let delivery = Delivery::new("6f1c2c1e", Payload::json("{}")?)?.with_steps(2)?;
    /// let Received::Fresh { lsn } = store.receive(&delivery)? else { panic!("a new store") };
    /// store.ack(lsn)?;
    /// assert_eq!(store.delivery(lsn)?.map(|it| it.state), Some(DeliveryState::Acked));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: it cannot be read.
    pub fn delivery(&self, lsn: Lsn) -> Result<Option<StoredDelivery>> {
        self.inner.read_delivery(lsn.get())
    }

    /// How many deliveries are where.
    ///
    /// ```
    /// use onceward::{Config, Delivery, Payload, Store};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let delivery = Delivery::new("6f1c2c1e", Payload::json("{}")?)?.with_steps(2)?;
    /// store.receive(&delivery)?;
    /// assert_eq!(store.inbox_status().open, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn inbox_status(&self) -> InboxStatus {
        let trusted_ms = self.inner.moment(self.inner.mono_ms()).trusted_ms;
        self.inner.view.lock().inbox.status(trusted_ms)
    }

    /// The last deliveries that were stored and dropped, oldest first: at most 256, and after a restart
    /// those of which the log still tells. [`InboxStatus::dropped`] counts them all.
    ///
    /// ```
    /// use onceward::{Config, Delivery, Payload, Store, WindowId, Within};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let window = WindowId::new("session-1")?;
    /// store.open_window(&window, 60_000)?;
    /// let within = Within::new("user-17", "tour", window.clone())?;
    /// store.receive(&Delivery::of_window(within, Payload::json("{}")?))?;
    /// store.close_window(&window)?;
    /// assert_eq!(store.dropped_deliveries()[0].id, "tour");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn dropped_deliveries(&self) -> Vec<DroppedDelivery> {
        self.inner.view.lock().inbox.dropped()
    }
}

impl Inner {
    /// Judges a delivery, appends it, waits. The caller holds `control`.
    fn receive(&self, body: Body) -> Result<Received> {
        self.refuse_if_closed()?;
        let keys = delivery_keys(&self.secret, &self.windows, &body);
        let wall_offset_ms = self.wall_offset_ms();
        let frame = DeliveryFrame::Received { wall_offset_ms, body };
        let encoded = codec::encode(&frame);
        let DeliveryFrame::Received { body, .. } = frame else { return Err(broken()) };
        let parts = [encoded.as_slice()];
        let frames = [NewFrame { kind: KIND_DELIVERY, flags: 0, parts: &parts }];
        let (at, first, moment) = match self.queue_delivery(&keys, &body, &frames)? {
            Judged::Known(known) => return Ok(known),
            Judged::Queued { at, held, moment } => (at, held, moment),
        };
        let lsn = frame_lsn(at)?;
        let waited = self.log.wait(lsn);
        let mut view = self.view.lock();
        if let Err(error) = waited {
            view.keys.withdraw(first.key.print, at.lsn);
            return Err(from_log(error));
        }
        self.keeper.is_durable();
        let mut all = vec![first];
        for key in keys.into_iter().skip(1) {
            let held = view.keys.take_more(key.taking(at.lsn), moment.trusted_ms);
            all.push(HeldKey { key, held });
        }
        view.keys.confirm([at.lsn]);
        let moment = Moment { wall: moment.wall.moved(wall_offset_ms), ..moment };
        view.add_delivery(at.lsn, at, NewDelivery::of(&body, moment, all));
        Ok(Received::Fresh { lsn })
    }

    /// Judges a delivery's keys, queues its frame and takes its first key.
    fn queue_delivery(
        &self,
        keys: &[DeliveryKey],
        body: &Body,
        frames: &[NewFrame<'_>],
    ) -> Result<Judged> {
        let mono_ms = self.mono_ms();
        let moment = self.moment(mono_ms);
        let mut view = self.view.lock();
        if view.turn(moment.trusted_ms) {
            self.keeper.ask();
        }
        let known = self.asking(&mut view, |view| view.known_delivery(keys))?;
        if let Some((lsn, state)) = known {
            view.inbox.saw_duplicate();
            let lsn = Lsn::from_u64(lsn).ok_or_else(broken)?;
            return Ok(Judged::Known(Received::Duplicate { lsn, state }));
        }
        let window = body.within.as_ref().map(|within| within.window.as_str());
        let (bytes, bounds) = (bytes_of(&self.log, frames), &self.config.inbox);
        if let Some(why) = view.inbox.refuse(window, bytes, bounds, moment.trusted_ms) {
            return Ok(Judged::Known(Received::Dropped { why }));
        }
        view.keys.check_room(keys.len())?;
        let first = keys.first().copied().ok_or_else(broken)?;
        view.free_delivery_keys(keys, self.log.synced())?;
        let purpose = capture_purpose(&view, &[]);
        let queued = self.log.append_deferred(frames, mono_ms, purpose);
        let at = queued.map(|ticket| located(&ticket.appended(), frames)).map_err(from_log)?;
        self.wrote(&mut view, frames, &at, (keys.len(), mono_ms));
        let at = at.first().copied().ok_or_else(broken)?;
        let held = view.keys.take(&[first.taking(at.lsn)], moment.trusted_ms);
        let held = held.first().copied().ok_or_else(broken)?;
        Ok(Judged::Queued { at, held: HeldKey { key: first, held }, moment })
    }

    /// Reads a delivery; `None` if the log does not hold it.
    fn read_delivery(&self, lsn: u64) -> Result<Option<StoredDelivery>> {
        let mut before = None;
        loop {
            let Some(standing) = standing(&self.view.lock(), lsn) else { return Ok(None) };
            match self.read_delivery_at(&standing) {
                // Perhaps cleaning moved it since somebody looked where it is.
                Err(error) if error.kind() == ErrorKind::Corrupt && before != Some(standing.at) => {
                    before = Some(standing.at);
                }
                done => return done,
            }
        }
    }

    /// `None`: only its keys are left.
    fn read_delivery_at(&self, standing: &Standing) -> Result<Option<StoredDelivery>> {
        let Standing { lsn, at, wall, state, done } = *standing;
        let read = self.log.read(at.place, at.bytes, frame_lsn(at)?).map_err(from_log)?;
        let frame = read.frame().map_err(from_log)?;
        let not_one = || Error::corrupt(format!("LSN {}: the frame holds no delivery", at.lsn));
        let body = match codec::decode(frame.body) {
            Some(DeliveryFrame::Received { body, .. }) => body,
            Some(DeliveryFrame::Moved(moved)) => moved.body,
            Some(DeliveryFrame::Finished(_)) => return Ok(None),
            None => return Err(not_one()),
        };
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

/// Where a delivery stands.
fn standing(view: &View, lsn: u64) -> Option<Standing> {
    if let Some(open) = view.inbox.open.get(&lsn) {
        let (at, wall, done) = (open.at, open.moment.wall, open.done);
        return Some(Standing { lsn, at, wall, state: DeliveryState::Open, done });
    }
    let finished = view.inbox.finished.get(&lsn)?;
    let (at, wall, state) = (finished.at, finished.wall, finished.state);
    Some(Standing { lsn, at, wall, state, done: finished.done })
}

/// An invariant of this module does not hold.
fn broken() -> Error {
    Error::new(ErrorKind::Corrupt, "INTERNAL", "the inbox gave an impossible answer")
}
