//! The short loop around a session: takes what it wants sent, carries it, brings back the answer.
//!
//! It decides nothing: when, what and how often is the session's, and what an answer means is the
//! dialect's.

mod handle;

use std::fmt;
use std::sync::Arc;
use std::thread;

use onceward::Store;
use onceward::sync::{Batch, Effort, Failure, Fit, Options, Reply, Report, Session, Step};

use crate::clock::Monotonic;
use crate::control::Control;
use crate::dialect::Dialect;
use crate::error::{Cause, Error};
use crate::line::Line;

pub use handle::UploaderHandle;

/// How long an idle uploader trusts that it is told of captures: a host may have several programs.
const IDLE_MS_MAX: u64 = 1_000;
/// Shortest wait, so that a time limit in the past cannot make the loop spin.
const WAIT_MS_MIN: u64 = 1;
/// Longest single wait; the loop just asks again.
const WAIT_MS_MAX: u64 = 60 * 60 * 1_000;

/// Drains a store to one upstream, on the calling thread or on one of its own.
pub struct Uploader {
    /// What is drained.
    store: Store,
    /// The way.
    line: Line,
    /// The language.
    dialect: Arc<dyn Dialect>,
    /// How the session is to behave.
    options: Options,
    /// What the session is asked with.
    clock: Monotonic,
}

/// Why there is nothing to send, and for how many milliseconds to believe it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pause {
    /// The session wants to be asked again then.
    Until(u64),
    /// The session has no wish: something has to happen first.
    UntilTold(u64),
}

impl Uploader {
    /// Puts the parts together; sends nothing yet.
    ///
    /// Of `options`, the effort is set by the way it is run. A batch with more items than the
    /// dialect allows is halved before it is sent, so `items_max` should be at most
    /// [`Dialect::items_max`].
    ///
    /// # Errors
    ///
    /// None at present; a dialect and options that do not go together will be refused here.
    pub fn new(
        store: Store,
        line: Line,
        dialect: Box<dyn Dialect>,
        options: Options,
    ) -> Result<Self, Error> {
        Ok(Self { store, line, dialect: Arc::from(dialect), options, clock: Monotonic::start() })
    }

    /// Attempts every pending event once, and returns when that is done or the line failed.
    ///
    /// `observe` sees the progress after every exchange.
    ///
    /// # Errors
    ///
    /// The store's: another session drains it, or it cannot write. What was sent is then sent again
    /// by a later session.
    pub fn run_once(&mut self, observe: &mut dyn FnMut(&Report)) -> Result<Report, Error> {
        self.run(Effort::Once, &Control::new(), observe)
    }

    /// Sends whatever is captured until `control` is stopped.
    ///
    /// `observe` sees the progress after every exchange.
    ///
    /// # Errors
    ///
    /// As [`Uploader::run_once`].
    pub fn run_until(
        &mut self,
        control: &Control,
        observe: &mut dyn FnMut(&Report),
    ) -> Result<Report, Error> {
        self.run(Effort::Forever, control, observe)
    }

    /// Does the same on a thread of its own.
    ///
    /// # Errors
    ///
    /// `Io`: the operating system gives no thread.
    pub fn spawn(mut self) -> Result<UploaderHandle, Error> {
        let (control, line) = (Control::new(), self.line.clone());
        let (sender, progress) = handle::progress();
        let theirs = control.clone();
        let thread = thread::Builder::new()
            .name("onceward-uplink".to_owned())
            .spawn(move || self.run_until(&theirs, &mut |report| sender.publish(report)))
            .map_err(|found| Error::from(Cause::Thread(found)))?;
        Ok(UploaderHandle::new(control, line, progress, thread))
    }

    /// The loop.
    fn run(
        &mut self,
        effort: Effort,
        control: &Control,
        observe: &mut dyn FnMut(&Report),
    ) -> Result<Report, Error> {
        let dialect = Arc::clone(&self.dialect);
        let fit: Fit = Box::new(move |event| dialect.fit(event));
        let mut session = Session::start(&self.store, self.options.clone().effort(effort), fit)?;
        loop {
            let signals = control.take();
            if signals.stopped {
                return Ok(session.report());
            }
            if signals.online {
                session.on_online();
            }
            let step = session.next(self.clock.now_ms())?;
            if let Step::Send(batch) = &step {
                self.exchange(&mut session, batch)?;
                observe(&session.report());
                continue;
            }
            match (effort, self.pause(&step)) {
                (_, Pause::Until(wait_ms)) | (Effort::Forever, Pause::UntilTold(wait_ms)) => {
                    control.wait(wait_ms.clamp(WAIT_MS_MIN, WAIT_MS_MAX));
                }
                (_, Pause::UntilTold(_)) => return Ok(session.report()),
            }
        }
    }

    /// How long to pause when there is nothing to send.
    fn pause(&self, step: &Step) -> Pause {
        match step {
            Step::Wait { until_ms } => Pause::Until(until_ms.saturating_sub(self.clock.now_ms())),
            // Only the host can change that, and then it says so.
            Step::Blocked => Pause::UntilTold(WAIT_MS_MAX),
            // A step that this version does not know asks for nothing that it could do.
            _ => Pause::UntilTold(IDLE_MS_MAX),
        }
    }

    /// Carries one batch and tells the session what came of it.
    fn exchange(&self, session: &mut Session, batch: &Batch) -> Result<(), Error> {
        match self.carry(batch) {
            Ok(reply) => session.on_reply(batch.id, &reply, self.clock.now_ms())?,
            Err(failure) => session.on_failure(batch.id, &failure, self.clock.now_ms())?,
        }
        Ok(())
    }

    /// Carries one batch.
    fn carry(&self, batch: &Batch) -> Result<Reply, Failure> {
        if batch.items.len() > self.dialect.items_max() {
            return Err(Failure::TooLarge);
        }
        let response = self.line.post(&self.dialect.request(batch))?;
        self.dialect.decode(batch, &response)
    }
}

impl fmt::Debug for Uploader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uploader")
            .field("line", &self.line)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
