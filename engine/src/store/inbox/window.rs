//! Windows that the upstream issued: told, and over.
//!
//! When one is over is decided by trusted time from the moment it was told, never by a wall clock.

use onceward_wal::{Lsn, NewFrame, Purpose};

use super::super::{Inner, Share, Store, from_log, located};
use crate::error::{Error, ErrorKind, Result};
use crate::frames::inbox::{Closed, Opened, WindowFrame};
use crate::frames::{KIND_WINDOW, codec};
use crate::inbox::WindowId;
use crate::limits::{WINDOW_OPEN_MS_MAX, WINDOWS_MAX};
use crate::view::{Ending, Located, Moment};

impl Store {
    /// Takes up a window that the upstream issued, open for `remaining_ms` from now on.
    ///
    /// Telling an open window again, as after a reconnect, moves its end to what is told now and
    /// changes nothing else: what was delivered in it stays a duplicate in it. A window that is over
    /// may be told again, too; what was delivered in it is remembered as long as any key.
    ///
    /// ```
    /// # use onceward::{Config, Store};
    /// use onceward::{Delivery, Payload, Received, WindowId, Within};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let survey = |window: &WindowId| {
    ///     let within = Within::new("user-17", "survey-4", window.clone())?;
    ///     Ok::<_, onceward::Error>(Delivery::of_window(within, Payload::json("{}")?))
    /// };
    /// let (morning, evening) = (WindowId::new("s-1")?, WindowId::new("s-2")?);
    /// store.open_window(&morning, 30 * 60_000)?;
    /// assert!(matches!(store.receive(&survey(&morning)?)?, Received::Fresh { .. }));
    /// assert!(matches!(store.receive(&survey(&morning)?)?, Received::Duplicate { .. }));
    /// assert!(matches!(store.receive(&survey(&evening)?)?, Received::Dropped { .. }));
    /// store.open_window(&evening, 30 * 60_000)?;
    /// assert!(matches!(store.receive(&survey(&evening)?)?, Received::Fresh { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// It survives a crash when this returned `Ok`.
    ///
    /// # Errors
    ///
    /// `Invalid`: `WINDOW_INVALID`, not open for 1 ms to 400 days. `Full`: `WINDOWS_FULL`, 64 windows
    /// are open; or no room on the disk. `Io`, `Poisoned`.
    pub fn open_window(&self, window: &WindowId, remaining_ms: u64) -> Result<()> {
        if remaining_ms == 0 || remaining_ms > WINDOW_OPEN_MS_MAX {
            let message =
                format!("remaining_ms: {remaining_ms}, must be 1 to {WINDOW_OPEN_MS_MAX}");
            return Err(Error::invalid("WINDOW_INVALID", message));
        }
        let inner = &self.inner;
        inner.refuse_if_closed()?;
        let _one_at_a_time = inner.control.lock();
        inner.end_windows_held()?;
        let ends_ms = inner.moment(inner.mono_ms()).trusted_ms.saturating_add(remaining_ms);
        let known = {
            let view = inner.view.lock();
            let known = view.inbox.windows.get(window.as_str()).copied();
            if known.is_none() && view.inbox.windows.len() >= WINDOWS_MAX {
                let message = format!("{WINDOWS_MAX} windows are open: close one");
                return Err(Error::new(ErrorKind::Full, "WINDOWS_FULL", message));
            }
            known
        };
        if known.is_some_and(|known| known.ends_ms == ends_ms) {
            return Ok(());
        }
        let opened = Opened {
            number: known.map_or(0, |known| known.number),
            id: window.as_str().to_owned(),
            opened_ms: known.map_or(0, |known| known.opened_ms),
            ends_ms,
        };
        let frame = codec::encode(&WindowFrame::Opened(opened.clone()));
        let purpose = inner.purpose(Share::Nothing);
        let (placed, moment) = inner.append_inbox(KIND_WINDOW, &[frame], purpose)?;
        let mut view = inner.view.lock();
        placed.into_iter().for_each(|at| view.apply_opened(&opened, at, moment));
        Ok(())
    }

    /// Ends a window before its time, because the upstream says so. Returns its deliveries that were
    /// not finished: they are dropped, and listed by [`Store::dropped_deliveries`]. One that is not
    /// open is left as it is.
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
    /// assert_eq!(store.close_window(&window)?.len(), 1);
    /// assert_eq!(store.close_window(&window)?, []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// It survives a crash when this returned `Ok`: window and deliveries end with one frame.
    ///
    /// # Errors
    ///
    /// `Full`, `Io`, `Poisoned`: the disk refused.
    pub fn close_window(&self, window: &WindowId) -> Result<Vec<Lsn>> {
        let inner = &self.inner;
        inner.refuse_if_closed()?;
        let _one_at_a_time = inner.control.lock();
        inner.end_windows_held()?;
        let ending = inner.view.lock().inbox.ending(window.as_str());
        if ending.number == 0 {
            return Ok(Vec::new());
        }
        let dropped = ending.dropped.iter().filter_map(|lsn| Lsn::from_u64(*lsn)).collect();
        inner.write_endings(vec![ending])?;
        Ok(dropped)
    }
}

impl Inner {
    /// Ends the windows that are over. Takes `control`.
    pub(in crate::store) fn end_windows(&self) -> Result<()> {
        self.refuse_if_closed()?;
        let _one_at_a_time = self.control.lock();
        self.end_windows_held()
    }

    /// Ends the windows that are over. The caller holds `control`.
    pub(super) fn end_windows_held(&self) -> Result<()> {
        let trusted_ms = self.moment(self.mono_ms()).trusted_ms;
        let endings = self.view.lock().inbox.endings(trusted_ms);
        self.write_endings(endings)
    }

    fn write_endings(&self, endings: Vec<Ending>) -> Result<()> {
        if endings.is_empty() {
            return Ok(());
        }
        let mut dropped_total = self.view.lock().inbox.dropped_total;
        let mut closings = Vec::with_capacity(endings.len());
        for Ending { number, id, dropped } in endings {
            let more = u64::try_from(dropped.len()).unwrap_or(u64::MAX);
            dropped_total = dropped_total.saturating_add(more);
            closings.push(Closed { number, id, dropped, dropped_total });
        }
        let frame = |closed: &Closed| codec::encode(&WindowFrame::Closed(closed.clone()));
        let frames: Vec<Vec<u8>> = closings.iter().map(frame).collect();
        // What ends gives room back: it may use the reserve.
        let purpose = self.purpose(Share::Decisions);
        let (placed, moment) = self.append_inbox(KIND_WINDOW, &frames, purpose)?;
        let mut view = self.view.lock();
        for (closed, at) in closings.iter().zip(placed) {
            view.apply_closed(closed, at, moment);
        }
        Ok(())
    }

    /// Appends frames of one kind as one batch and waits until they are durable. The caller holds
    /// `control`.
    pub(super) fn append_inbox(
        &self,
        kind: u8,
        bodies: &[Vec<u8>],
        purpose: Purpose,
    ) -> Result<(Vec<Located>, Moment)> {
        self.refuse_if_closed()?;
        let parts: Vec<[&[u8]; 1]> = bodies.iter().map(|body| [body.as_slice()]).collect();
        let frames: Vec<NewFrame<'_>> =
            parts.iter().map(|parts| NewFrame { kind, flags: 0, parts }).collect();
        let mono_ms = self.mono_ms();
        let appended = self.log.append_batch(&frames, mono_ms, purpose).map_err(from_log)?;
        let placed = located(&appended, &frames);
        self.wrote(&mut self.view.lock(), &frames, &placed, (0, mono_ms));
        self.keeper.is_durable();
        Ok((placed, self.moment(mono_ms)))
    }
}
