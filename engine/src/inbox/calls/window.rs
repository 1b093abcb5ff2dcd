//! Windows that the upstream issued: opened, and over.
//!
//! When one is over is decided by trusted time from the moment it was opened, never by a wall clock.

use onceward_wal::Lsn;
use std::time::Duration;

use super::Inbox;
use crate::base::bounds::{WINDOW_OPEN_MS_MAX, WINDOWS_MAX};
use crate::base::{Error, ErrorKind, FrameKind, Result, codec, whole_ms};
use crate::inbox::WindowId;
use crate::inbox::frames::{WindowClosed, WindowFrame, WindowOpened};
use crate::inbox::table::WindowEnding;
use crate::kernel::{FrameBody, Share};
use crate::store::StoreState;

impl Inbox<'_> {
    /// Opens a window that the upstream issued, open for `remaining` from now on.
    ///
    /// Opening an open window again, as after a reconnect, moves its end to what is given now and
    /// changes nothing else: what was delivered in it stays a duplicate in it. A window that is over
    /// may be opened again, too; what was delivered in it is remembered as long as any key.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use onceward::{Config, Store};
    /// use onceward::Payload;
    /// use onceward::inbox::{Delivery, Received, WindowId, WindowKey};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::open(dir.path().join("store"), Config::new())?;
    /// let survey = |window: &WindowId| {
    ///     let within = WindowKey::new("user-17", "survey-4", window.clone())?;
    ///     Ok::<_, onceward::Error>(Delivery::of_window(within, Payload::json("{}")?))
    /// };
    /// let (morning, evening) = (WindowId::new("s-1")?, WindowId::new("s-2")?);
    /// store.inbox().open_window(&morning, Duration::from_mins(30))?;
    /// assert!(matches!(store.inbox().receive(&survey(&morning)?)?, Received::Fresh { .. }));
    /// assert!(matches!(store.inbox().receive(&survey(&morning)?)?, Received::Duplicate { .. }));
    /// assert!(matches!(store.inbox().receive(&survey(&evening)?)?, Received::Dropped { .. }));
    /// store.inbox().open_window(&evening, Duration::from_mins(30))?;
    /// assert!(matches!(store.inbox().receive(&survey(&evening)?)?, Received::Fresh { .. }));
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
    /// are open; or no room on the disk. `Poisoned`, `Io`: as for [`Store::capture`](crate::Store::capture).
    pub fn open_window(&self, window: &WindowId, remaining: Duration) -> Result<()> {
        let remaining_ms = whole_ms(remaining);
        if remaining_ms == 0 || remaining_ms > WINDOW_OPEN_MS_MAX {
            let message =
                format!("remaining: {remaining_ms} ms, must be 1 to {WINDOW_OPEN_MS_MAX}");
            return Err(Error::invalid("WINDOW_INVALID", message));
        }
        let inner = &self.inner;
        inner.refuse_if_closed()?;
        let _one_at_a_time = inner.control.lock();
        inner.inbox().end_windows_held()?;
        let ends_ms = inner.time.trusted_ms().saturating_add(remaining_ms);
        let known = {
            let state = inner.state.lock();
            let known = state.inbox.windows().get(window.as_str()).copied();
            if known.is_none() && state.inbox.windows().len() >= WINDOWS_MAX {
                let message = format!("{WINDOWS_MAX} windows are open: close one");
                return Err(Error::new(ErrorKind::Full, "WINDOWS_FULL", message));
            }
            known
        };
        if known.is_some_and(|known| known.ends_ms == ends_ms) {
            return Ok(());
        }
        let opened = WindowOpened {
            number: known.map_or(0, |known| known.number),
            id: window.as_str().to_owned(),
            opened_ms: known.map_or(0, |known| known.opened_ms),
            ends_ms,
        };
        let body = codec::encode(&WindowFrame::Opened(opened.clone()));
        let frame = FrameBody::new(FrameKind::Window, body);
        let written = inner.write(&[frame], Share::Nothing)?;
        let mut state = inner.state.lock();
        let StoreState { kernel, inbox, .. } = &mut *state;
        for at in written.placed {
            inbox.apply_opened(kernel, &opened, (at, written.moment));
        }
        Ok(())
    }

    /// Ends a window before its time, because the upstream says so. Returns its deliveries that were
    /// not finished: they are dropped, and listed by [`Inbox::dropped`](crate::inbox::Inbox::dropped). One that is not
    /// open is left as it is.
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
    /// assert_eq!(store.inbox().close_window(&window)?.len(), 1);
    /// assert_eq!(store.inbox().close_window(&window)?, []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Durability
    ///
    /// It survives a crash when this returned `Ok`: window and deliveries end with one frame.
    ///
    /// # Errors
    ///
    /// `Full`: no room. `Poisoned`, `Io`: as for [`Store::capture`](crate::Store::capture).
    pub fn close_window(&self, window: &WindowId) -> Result<Vec<Lsn>> {
        let inner = &self.inner;
        inner.refuse_if_closed()?;
        let _one_at_a_time = inner.control.lock();
        inner.inbox().end_windows_held()?;
        let ending = inner.state.lock().inbox.ending(window.as_str());
        if ending.number == 0 {
            return Ok(Vec::new());
        }
        let dropped = ending.dropped.iter().filter_map(|lsn| Lsn::from_u64(*lsn)).collect();
        inner.inbox().write_endings(vec![ending])?;
        Ok(dropped)
    }
}

impl Inbox<'_> {
    /// Ends the windows that are over. Takes `control`.
    pub(crate) fn end_windows(&self) -> Result<()> {
        self.inner.refuse_if_closed()?;
        let _one_at_a_time = self.inner.control.lock();
        self.end_windows_held()
    }

    /// Ends the windows that are over. The caller holds `control`.
    pub(super) fn end_windows_held(&self) -> Result<()> {
        let trusted_ms = self.inner.time.trusted_ms();
        let endings = self.inner.state.lock().inbox.endings(trusted_ms);
        self.write_endings(endings)
    }

    fn write_endings(&self, endings: Vec<WindowEnding>) -> Result<()> {
        if endings.is_empty() {
            return Ok(());
        }
        let mut dropped_total = self.inner.state.lock().inbox.dropped().total();
        let mut closings = Vec::with_capacity(endings.len());
        for WindowEnding { number, id, dropped } in endings {
            let more = u64::try_from(dropped.len()).unwrap_or(u64::MAX);
            dropped_total = dropped_total.saturating_add(more);
            closings.push(WindowClosed { number, id, dropped, dropped_total });
        }
        let frame = |closed: &WindowClosed| {
            let body = codec::encode(&WindowFrame::Closed(closed.clone()));
            FrameBody::new(FrameKind::Window, body)
        };
        let frames: Vec<FrameBody> = closings.iter().map(frame).collect();
        // What ends gives room back: it may use the reserve.
        let written = self.inner.write(&frames, Share::Decisions)?;
        let mut state = self.inner.state.lock();
        let StoreState { kernel, inbox, .. } = &mut *state;
        for (closed, at) in closings.iter().zip(written.placed) {
            inbox.apply_closed(kernel, closed, (at, written.moment));
        }
        Ok(())
    }
}
