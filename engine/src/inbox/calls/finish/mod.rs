//! Work on a delivery: step by step, and how it ends. The end, and the event that reports it to
//! the upstream, are one commit.

use onceward_index::Secret;
use onceward_wal::{Lsn, NewFrame};
use serde_json::json;

use super::{Inbox, broken};
use crate::base::bounds::{DELIVERY_ERROR_BYTES_MAX, KEY_BYTES_MAX};
use crate::base::{Error, ErrorKind, FrameKind, Located, Moment, Result, codec};
use crate::event::layout::{self, Encoded};
use crate::event::{Event, Key, Kind, Payload};
use crate::inbox::frames::{DeliveryEnd, ProgressFrame};
use crate::inbox::{Delivery, DeliveryState, Progress};
use crate::kernel::{FrameBody, Queueing, Share, Waiter, frame_lsn};
use crate::outbox::{Arrived, Facts, TakenEvent};
use crate::store::StoreState;

/// How much of a number stays in a key that would be too long.
const NUMBER_BYTES_KEPT: usize = 190;

/// How a delivery ends.
#[derive(Clone, Copy, Debug)]
enum DeliveryFinish<'a> {
    Acked,
    Failed { error: &'a str },
}

/// An end that is queued.
struct QueuedFinish {
    ending: DeliveryEnd,
    at: Located,
    event: Located,
    moment: Moment,
}

impl Inbox<'_> {
    /// Notes that a step of a delivery is done, and those before it: after a crash, work resumes
    /// behind it. Steps count from 1.
    ///
    /// ```
    /// use onceward::{Config, Payload, Store};
    /// use onceward::inbox::{Delivery, Received};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let delivery = Delivery::new("6f1c2c1e", Payload::json("{}")?)?.with_steps(2)?;
    /// let Received::Fresh { lsn } = store.inbox().receive(&delivery)? else { panic!("a new store") };
    /// while let Some(step) = store.inbox().get(lsn)?.and_then(|it| it.next_step) {
    ///     println!("doing step {step}");
    ///     store.inbox().progress(lsn, step)?;
    /// }
    /// store.inbox().ack(lsn)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// `Ok` means that the step survives kill -9 and power cut.
    ///
    /// # Errors
    ///
    /// `Invalid`: `STEP_INVALID`, the step is 0 or the delivery has fewer. `NotFound`: `NO_DELIVERY`.
    /// `Fenced`: `ALREADY_FINISHED`. `Full`: no room. `Poisoned`, `Io`: as for
    /// [`Store::capture`](crate::Store::capture).
    pub fn progress(&self, lsn: Lsn, step: u32) -> Result<Progress> {
        let inner = &self.inner;
        inner.refuse_if_closed()?;
        let _one_at_a_time = inner.control.lock();
        inner.inbox().end_windows_held()?;
        {
            let state = inner.state.lock();
            let Some(open) = state.inbox.open().get(&lsn.get()) else {
                return Err(not_open(lsn, state.inbox.state_of(lsn.get())));
            };
            if step == 0 || (open.steps > 0 && step > open.steps) {
                let most = if open.steps > 0 { open.steps } else { u32::MAX };
                let message = format!("step: {step}, must be 1 to {most}");
                return Err(Error::invalid("STEP_INVALID", message));
            }
            if step <= open.done {
                return Ok(Progress::DoneBefore { next: open.next_step() });
            }
        }
        let delivery = lsn.get();
        let body = codec::encode(&ProgressFrame::Step { delivery, step });
        let frame = FrameBody::new(FrameKind::Progress, body);
        let written = inner.write(&[frame], Share::Nothing)?;
        let mut state = inner.state.lock();
        for at in written.placed {
            state.inbox.apply_step(delivery, step, at);
        }
        let next = state.inbox.open().get(&delivery).and_then(|open| open.next_step());
        Ok(Progress::Noted { next })
    }

    /// The step of an unfinished delivery to do next, counted from 1; `None` if all are done and only
    /// [`Inbox::ack`](crate::inbox::Inbox::ack) is missing.
    ///
    /// ```
    /// # use onceward::{Config, Store};
    /// use onceward::Payload;
    /// use onceward::inbox::{Delivery, Received};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let survey = Delivery::new("6f1c2c1e", Payload::json(r#"{"pages":5}"#)?)?.with_steps(5)?;
    /// let Received::Fresh { lsn } = store.inbox().receive(&survey)? else { panic!("seen before") };
    /// store.inbox().progress(lsn, 1)?;
    /// store.inbox().progress(lsn, 2)?;
    /// assert_eq!(store.inbox().resume(lsn)?, Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `NotFound`: `NO_DELIVERY`. `Fenced`: `ALREADY_FINISHED`.
    pub fn resume(&self, lsn: Lsn) -> Result<Option<u32>> {
        let trusted_ms = self.inner.time.trusted_ms();
        let state = self.inner.state.lock();
        match state.inbox.open().get(&lsn.get()) {
            Some(open) if state.inbox.is_wanted(open, trusted_ms) => Ok(open.next_step()),
            Some(_) => Err(not_open(lsn, Some(DeliveryState::Dropped))),
            None => Err(not_open(lsn, state.inbox.state_of(lsn.get()))),
        }
    }

    /// Finishes a delivery: it took effect. Returns the number of the event that reports this upstream.
    ///
    /// That event is in the inbox's scope, which is `inbox` unless
    /// [configured](crate::Config::with_inbox_scope): it is sent only by a session of that scope. This
    /// succeeds whatever steps were [noted](Inbox::progress): that all are done is for the host to know.
    ///
    /// The event has kind `ACK`, key `ack:EVENT_ID`, and a JSON payload with `event_id` and `external_id` (`null` where
    /// there is none) and for one within a window `subject`, `delivery_id` and `window`. It travels as any other. A
    /// delivery without a number of an event has the key `ack:DELIVERY_ID~` and 32 hexadecimal digits of subject,
    /// delivery and window together; a number that is too long for a key is cut, with digits of the whole of it. Where
    /// the key is taken, as by a delivery of this number that is forgotten, `~` and the delivery's LSN follow.
    ///
    /// Repeated, it gives the same answer and writes nothing.
    ///
    /// ```
    /// use onceward::{Config, Payload, Scope, Store};
    /// use onceward::inbox::{Delivery, Received};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let delivery = Delivery::new("6f1c2c1e", Payload::json("{}")?)?.with_steps(2)?;
    /// let Received::Fresh { lsn } = store.inbox().receive(&delivery)? else { panic!("a new store") };
    /// let told = store.inbox().ack(lsn)?;
    /// let waiting = store.pending(&Scope::new("inbox")?, None, 10)?;
    /// assert_eq!((waiting[0].lsn, waiting[0].event.key.as_str()), (told, "ack:6f1c2c1e"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// `Ok` means that the end and the event survive kill -9 and power cut. A crash never leaves one
    /// without the other.
    ///
    /// # Errors
    ///
    /// `NotFound`: `NO_DELIVERY`, it is not known (any more). `Fenced`: `ALREADY_FINISHED`, it failed, or
    /// its window was over. `Full`: no room; nothing changed. `Corrupt`: the delivery cannot be read.
    /// `Poisoned`, `Io`: as for [`Store::capture`](crate::Store::capture).
    pub fn ack(&self, lsn: Lsn) -> Result<Lsn> {
        self.finish_delivery(lsn, DeliveryFinish::Acked)
    }

    /// Finishes a delivery: it did not take effect, and why. Returns the number of the event that reports this to
    /// the upstream: as that of [`Inbox::ack`](crate::inbox::Inbox::ack), with kind `FAIL`, key `fail:EVENT_ID` and
    /// `error` in the payload.
    ///
    /// Repeated, it gives the same answer and writes nothing: the first error counts.
    ///
    /// ```
    /// use onceward::{Config, Payload, Scope, Store};
    /// use onceward::inbox::{Delivery, Received};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let delivery = Delivery::new("6f1c2c1e", Payload::json("{}")?)?.with_steps(2)?;
    /// let Received::Fresh { lsn } = store.inbox().receive(&delivery)? else { panic!("a new store") };
    /// store.inbox().fail(lsn, "no such article")?;
    /// let waiting = store.pending(&Scope::new("inbox")?, None, 10)?;
    /// assert_eq!(waiting[0].event.key.as_str(), "fail:6f1c2c1e");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// As [`Inbox::ack`](crate::inbox::Inbox::ack).
    ///
    /// # Errors
    ///
    /// As [`Inbox::ack`](crate::inbox::Inbox::ack), and `Invalid`: `ERROR_TOO_LONG`, over 1,024 bytes. `Fenced`: it
    /// was acked.
    pub fn fail(&self, lsn: Lsn, error: &str) -> Result<Lsn> {
        if error.len() > DELIVERY_ERROR_BYTES_MAX {
            let bytes = error.len();
            let message = format!("error: has {bytes} bytes, at most {DELIVERY_ERROR_BYTES_MAX}");
            return Err(Error::invalid("ERROR_TOO_LONG", message));
        }
        self.finish_delivery(lsn, DeliveryFinish::Failed { error })
    }
}

impl Inbox<'_> {
    fn finish_delivery(&self, lsn: Lsn, end: DeliveryFinish<'_>) -> Result<Lsn> {
        self.inner.refuse_if_closed()?;
        let _one_at_a_time = self.inner.control.lock();
        self.end_windows_held()?;
        {
            let state = self.inner.state.lock();
            if !state.inbox.open().contains_key(&lsn.get()) {
                let finished = state.inbox.finished(lsn.get());
                return match finished.filter(|finished| finished.state == end.state()) {
                    Some(finished) => Lsn::from_u64(finished.event).ok_or_else(broken),
                    None => Err(not_open(lsn, finished.map(|finished| finished.state))),
                };
            }
        }
        self.inner.state.lock().rescue.refuse_if_fenced()?;
        let stored = self.read_delivery(lsn.get())?.ok_or_else(broken)?;
        let queued = self.queue_end(lsn, &stored.delivery, end)?;
        let event = frame_lsn(queued.event)?;
        let QueuedFinish { ending, at, moment, .. } = queued;
        self.inner.wait_then(event, |state| {
            state.inbox.apply_final(&mut state.kernel, &ending, (at, moment));
        })?;
        Ok(event)
    }

    /// Queues the end of a delivery and its event as one batch, and takes the event's key.
    fn queue_end(
        &self,
        lsn: Lsn,
        delivery: &Delivery,
        end: DeliveryFinish<'_>,
    ) -> Result<QueuedFinish> {
        self.inner.refuse_if_closed()?;
        let ending =
            DeliveryEnd { delivery: lsn.get(), state: end.state().code(), settled_ms: 0, event: 0 };
        let body = codec::encode(&ProgressFrame::Final(ending));
        let mut event = self.answer_event(delivery, end, None)?;
        let mut state = self.inner.state.lock();
        self.inner.bring_up_to_now(&mut state);
        let mono_ms = self.inner.time.mono_ms();
        let moment = self.inner.time.moment(mono_ms);
        let key_of = |event: &Event| {
            self.inner.secret().fingerprint(event.scope.as_str(), event.key.as_str().as_bytes())
        };
        if self.inner.asking(&mut state, |_, keys| keys.find(key_of(&event)))?.is_some() {
            event = self.answer_event(delivery, end, Some(lsn))?;
            if self.inner.asking(&mut state, |_, keys| keys.find(key_of(&event)))?.is_some() {
                let message = format!("an event has the key {} already", event.key);
                return Err(Error::new(ErrorKind::Fenced, "KEY_TAKEN", message));
            }
        }
        state.kernel.keys.check_room(1)?;
        let encoded = Encoded::dated(&event, self.inner.timekeeping().wall_offset_ms());
        let (end_parts, event_parts) = ([body.as_slice()], encoded.parts());
        let (progress, kind) = (FrameKind::Progress.code(), FrameKind::Event.code());
        let frames = [
            NewFrame { kind: progress, flags: 0, parts: &end_parts },
            NewFrame { kind, flags: encoded.flags, parts: &event_parts },
        ];
        let purpose = self.inner.reserve().capture_purpose(&state, 1);
        let (kind, waiter) = (FrameKind::Event, Waiter::Call);
        let how = Queueing { kind, keys: 1, mono_ms, purpose, waiter };
        let placed = self.inner.queue(&mut state, &frames, how)?;
        let [at, event_at] = placed.as_slice() else { return Err(broken()) };
        let view = layout::View::of(&event);
        let facts = Facts::of(self.inner.secret(), self.inner.windows(), &view);
        let reservation = facts.reservation(event_at.lsn);
        let held = state.kernel.keys.take(reservation, moment.trusted_ms);
        let event = TakenEvent { facts: &facts, at: *event_at, held };
        let arrived = Arrived { moment: encoded.captured(moment), is_effect: false };
        let StoreState { kernel, outbox, .. } = &mut *state;
        outbox.add(kernel, event, arrived);
        Ok(QueuedFinish { ending, at: *at, event: *event_at, moment })
    }

    /// The event that reports to the upstream how a delivery ended.
    fn answer_event(
        &self,
        delivery: &Delivery,
        end: DeliveryFinish<'_>,
        number: Option<Lsn>,
    ) -> Result<Event> {
        let mut payload = json!({
            "event_id": delivery.event_id(),
            "external_id": delivery.external_id(),
        });
        let members = payload.as_object_mut().ok_or_else(broken)?;
        if let Some(within) = delivery.within() {
            members.insert("subject".to_owned(), within.subject().into());
            members.insert("delivery_id".to_owned(), within.delivery_id().into());
            members.insert("window".to_owned(), within.window().as_str().into());
        }
        if let DeliveryFinish::Failed { error } = end {
            members.insert("error".to_owned(), error.into());
        }
        let key = Key::new(&event_key(delivery, end, number))?;
        let payload = Payload::json(&payload.to_string())?;
        Ok(Event::new(self.inner.config.inbox_answer_scope()?, key, payload)
            .with_kind(Kind::new(end.kind())?))
    }
}

impl DeliveryFinish<'_> {
    fn state(self) -> DeliveryState {
        match self {
            Self::Acked => DeliveryState::Acked,
            Self::Failed { .. } => DeliveryState::Failed,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Acked => "ACK",
            Self::Failed { .. } => "FAIL",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Acked => "ack:",
            Self::Failed { .. } => "fail:",
        }
    }
}

/// The key of the event that reports to the upstream how a delivery ended.
fn event_key(delivery: &Delivery, end: DeliveryFinish<'_>, number: Option<Lsn>) -> String {
    let behind = number.map_or_else(String::new, |lsn| format!("~{}", lsn.get()));
    let prefix = end.prefix();
    if let Some(event_id) = delivery.event_id() {
        let whole = format!("{prefix}{event_id}{behind}");
        if whole.len() <= KEY_BYTES_MAX {
            return whole;
        }
        return format!("{prefix}{}{behind}", shortened(event_id, &[event_id]));
    }
    let Some(within) = delivery.within() else { return String::new() };
    let parts = [within.window().as_str(), within.subject(), within.delivery_id()];
    format!("{prefix}{}{behind}", shortened(within.delivery_id(), &parts))
}

/// The beginning of a text and digits of the whole of `parts`: the same in every store.
fn shortened(text: &str, parts: &[&str]) -> String {
    let mut end = NUMBER_BYTES_KEPT.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut all = Vec::new();
    for part in parts {
        let bytes = u32::try_from(part.len()).unwrap_or(u32::MAX);
        all.extend_from_slice(&bytes.to_le_bytes());
        all.extend_from_slice(part.as_bytes());
    }
    // Not the store's secret: another store gives the same key for the same delivery.
    let digits = Secret::from_bytes([0; 16]).fingerprint("inbox", &all).as_u128();
    format!("{}~{digits:032x}", text.get(..end).unwrap_or_default())
}

/// Why work on a delivery is not possible.
fn not_open(lsn: Lsn, state: Option<DeliveryState>) -> Error {
    match state {
        Some(state) => {
            let message = format!("the delivery {lsn} is {state} already");
            Error::new(ErrorKind::Fenced, "ALREADY_FINISHED", message)
        }
        None => {
            let message = format!("no delivery has the number {lsn}");
            Error::new(ErrorKind::NotFound, "NO_DELIVERY", message)
        }
    }
}

#[cfg(test)]
mod tests;
