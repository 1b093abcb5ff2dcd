//! Reads review items and decisions from the log, at the places that memory has for them.

use onceward_wal::Frame;

use super::Cataloguing;
use crate::base::{Error, ErrorKind, Located, Result, codec};
use crate::outbox::frames::{Rejection, SettleFrame};
use crate::review::catalog::{ReviewRow, RowId};
use crate::review::frames::DecisionFrame;

impl Cataloguing<'_> {
    /// The row of an item that waits; `None`: it does not, any more. One whose frame cannot be read has
    /// its error as the reason.
    pub(crate) fn review_row(&self, id: RowId) -> Option<ReviewRow> {
        let look = || {
            let state = self.inner.state.lock();
            let review = state.outbox.waiting(id.event).filter(|it| it.version == id.version)?;
            let scope = state.outbox.scope_of(id.event)?.as_str().to_owned();
            Some((review.at, review.stage.state(), scope))
        };
        let mut seen = None;
        let read = self.inner.read_where_it_is(look, |found| {
            seen = Some(found.clone());
            self.inner.read(found.0, |frame| rejection_in(frame, id.event))
        });
        let (_, state, scope) = seen?;
        let reason = match read {
            Ok(reason) => Rejection { version: id.version, ..reason? },
            Err(error) => Rejection {
                event: id.event,
                version: id.version,
                code: "UNREADABLE".to_owned(),
                message: error.to_string().chars().take(128).collect(),
                reply: Vec::new(),
                since_ms: 0,
                state: state.code(),
            },
        };
        Some(ReviewRow { scope, reason })
    }

    /// A decision that is remembered; `None`: it is not, or cannot be read.
    pub(super) fn decision_at(&self, number: u64) -> Option<DecisionFrame> {
        let look = || self.inner.state.lock().decisions.get(number).map(|made| made.at);
        let read = |at: &Located| {
            self.inner.read(*at, |frame| Ok(codec::decode::<DecisionFrame>(frame.body)))
        };
        let decision = self.inner.read_where_it_is(look, read).ok()??;
        decision.map(|decision| DecisionFrame { number, ..decision })
    }
}

/// The reason of an event in a settle frame.
pub(crate) fn rejection_in(frame: &Frame<'_>, event: u64) -> Result<Rejection> {
    let settle = SettleFrame::decode(frame.lsn.get(), frame.body);
    let rejections = settle.map(|settle| settle.rejections).unwrap_or_default();
    let found = rejections.into_iter().find(|rejection| rejection.event == event);
    let lost = || format!("LSN {event}: the frame does not say why it waits for a person");
    found.ok_or_else(|| Error::new(ErrorKind::Corrupt, "CORRUPT", lost()))
}
