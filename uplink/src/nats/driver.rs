//! Drains over one connection: takes what the drain wants sent, publishes it, brings back the answers.

use std::sync::Arc;
use std::time::Duration;

use onceward::sync::{Batch, Drain, Effort, Failure, Reply, Report, Step};
use tokio::task::JoinSet;

use super::link::Link;
use super::publish::publish;
use crate::clock::Monotonic;
use crate::control::Control;
use crate::error::Error;

/// How long an idle uploader relies on signals about captures: a host may have several programs.
const IDLE_MS_MAX: u64 = 1_000;
/// Longest single wait; the loop just asks again.
const WAIT_MS_MAX: u64 = 60 * 60 * 1_000;
/// How long answers to what is on its way are waited for after a stop.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Why a connection is not used any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// It was lost, or answers nothing.
    Lost,
    /// The host has other credentials.
    Renewed,
    /// There is nothing more to do.
    Done,
    /// The host stopped it.
    Stopped,
}

/// Who sees the progress.
pub(super) type Observe<'a> = &'a mut (dyn FnMut(&Report) + Send);

/// What drains over one connection.
pub(super) struct Driver<'a> {
    pub(super) drain: &'a mut Drain,
    pub(super) effort: Effort,
    pub(super) control: &'a Control,
    pub(super) clock: Monotonic,
    pub(super) observe: Observe<'a>,
}

/// Batches on their way.
type OnWay = JoinSet<(Batch, Result<Reply, Failure>)>;

impl Driver<'_> {
    /// Drains until the connection is lost or there is nothing more to do.
    pub(super) async fn run(&mut self, link: Link) -> Result<Ended, Error> {
        self.tell_of(&link)?;
        let link = Arc::new(link);
        let mut on_way = OnWay::new();
        loop {
            while let Some(done) = on_way.try_join_next() {
                self.apply(&link, done)?;
            }
            let signals = self.control.take();
            if signals.stopped {
                self.take_last(&link, on_way).await?;
                return Ok(Ended::Stopped);
            }
            if signals.online {
                self.drain.on_online();
            }
            if link.news.is_lost() {
                // Each of them says now what it knows.
                while let Some(done) = on_way.join_next().await {
                    self.apply(&link, done)?;
                }
                return Ok(Ended::Lost);
            }
            if signals.has_new_key {
                self.take_last(&link, on_way).await?;
                self.drain.on_abandoned();
                self.drain.on_new_key();
                return Ok(Ended::Renewed);
            }
            let Some(wait_ms) = self.go_on(&link, &mut on_way)? else { continue };
            let is_idle = on_way.is_empty() && wait_ms.is_none();
            if is_idle && self.effort == Effort::Once {
                return Ok(Ended::Done);
            }
            let wait_ms = wait_ms.unwrap_or(IDLE_MS_MAX).clamp(1, WAIT_MS_MAX);
            (self.observe)(&self.drain.report());
            tokio::select! {
                Some(done) = on_way.join_next() => self.apply(&link, done)?,
                () = self.control.changed() => {}
                () = link.news.lost() => {}
                () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
            }
        }
    }

    /// Does what the drain wants next. Returns how long to wait if that is nothing; of that `None`: until something
    /// happens.
    fn go_on(
        &mut self,
        link: &Arc<Link>,
        on_way: &mut OnWay,
    ) -> Result<Option<Option<u64>>, Error> {
        let now_ms = self.clock.now_ms();
        match self.drain.next(now_ms)? {
            Step::Send(batch) => drop(on_way.spawn(publish(Arc::clone(link), batch))),
            // The connection is there.
            Step::Probe => drop(self.drain.on_probe(true, now_ms)),
            // What the server's clock shows was said when it was connected.
            Step::AskTime(scope) => self.drain.on_time_answer(&scope, None, now_ms)?,
            Step::Wait { until_ms } => return Ok(Some(Some(until_ms.saturating_sub(now_ms)))),
            // What is on its way ends this wait, or the end of the connection.
            Step::Await => return Ok(Some(Some(WAIT_MS_MAX))),
            _ => return Ok(Some(None)),
        }
        Ok(None)
    }

    /// Gives the sessions what the stream said of itself, before anything is sent.
    fn tell_of(&mut self, link: &Link) -> Result<(), Error> {
        let scopes: Vec<_> = self.drain.reports().into_iter().map(|(scope, _)| scope).collect();
        for scope in scopes {
            let Some(session) = self.drain.session_of(&scope) else { continue };
            session.on_horizon(link.duplicate_window);
            if let Some(time) = link.time {
                session.on_time(time.unix_ms, time.uncertainty)?;
            }
        }
        Ok(())
    }

    /// Applies what came of a batch.
    fn apply(
        &mut self,
        link: &Link,
        done: Result<(Batch, Result<Reply, Failure>), tokio::task::JoinError>,
    ) -> Result<(), Error> {
        let Ok((batch, came)) = done else {
            return Err(Error::panicked());
        };
        let now_ms = self.clock.now_ms();
        match came {
            Ok(reply) => self.drain.on_reply(&batch, &reply, now_ms)?,
            Err(failure) => {
                // A line that is dead without saying so, or a stream that is gone: over the next connection it is
                // asked for again.
                if matches!(failure, Failure::Unavailable { .. }) {
                    link.news.lose();
                }
                self.drain.on_failure(&batch, &failure, now_ms)?;
            }
        }
        (self.observe)(&self.drain.report());
        Ok(())
    }

    /// Takes the answers that come within a moment. What has none then is sent again by the next session.
    async fn take_last(&mut self, link: &Link, mut on_way: OnWay) -> Result<(), Error> {
        let clock = Monotonic::start();
        loop {
            let left = LAST_ANSWERS.saturating_sub(Duration::from_millis(clock.now_ms()));
            match tokio::time::timeout(left, on_way.join_next()).await {
                Ok(Some(done)) => self.apply(link, done)?,
                Ok(None) | Err(_) => return Ok(()),
            }
        }
    }
}
