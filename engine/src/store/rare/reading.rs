//! Reads review items and decisions from the log, where the view says that they stand.

use onceward_wal::Frame;

use crate::catalog::{ReviewRow, RowId};
use crate::error::{Error, ErrorKind, Result};
use crate::frames::codec;
use crate::frames::control::{Decision, Rejection, Settle};
use crate::store::{Inner, frame_lsn, from_log};
use crate::view::Located;

/// How often a frame is looked for again because cleaning moved it meanwhile.
const READINGS_MAX: usize = 4;

impl Inner {
    /// The item as the log has it. Where its reason cannot be read any more, the item says so: the
    /// event still waits for a person.
    pub(crate) fn review_row(&self, id: RowId) -> Option<ReviewRow> {
        let look = || {
            let view = self.view.lock();
            let review = view.waiting(id.event).filter(|it| it.version == id.version)?;
            let scope = view.scope(view.events.get(&id.event)?.scope)?.as_str().to_owned();
            Some((review.at, review.stage.state(), scope))
        };
        let mut found = look()?;
        for _ in 0..READINGS_MAX {
            match self.rejection_at(found.0, id.event) {
                Ok(reason) => {
                    let reason = Rejection { version: id.version, ..reason };
                    return Some(ReviewRow { scope: found.2, reason });
                }
                Err(error) => {
                    let now = look()?;
                    if now.0 == found.0 {
                        let (code, message) = ("UNREADABLE".to_owned(), error.to_string());
                        let message = message.chars().take(128).collect();
                        let (version, event, state) = (id.version, id.event, found.1.code());
                        let reason = Rejection {
                            event,
                            version,
                            code,
                            message,
                            reply: Vec::new(),
                            since_ms: 0,
                            state,
                        };
                        return Some(ReviewRow { scope: found.2, reason });
                    }
                    found = now;
                }
            }
        }
        None
    }

    /// The reason of an event in the frame at `at`.
    fn rejection_at(&self, at: Located, event: u64) -> Result<Rejection> {
        let read = self.log.read(at.place, at.bytes, frame_lsn(at)?).map_err(from_log)?;
        rejection_in(&read.frame().map_err(from_log)?, event)
    }

    /// A decision as the log has it; one that cannot be read is left out of the history.
    pub(super) fn decision_at(&self, number: u64) -> Option<Decision> {
        for _ in 0..READINGS_MAX {
            let at = self.view.lock().reviews.decision(number)?.at;
            let read = self.log.read(at.place, at.bytes, frame_lsn(at).ok()?);
            let read = read.map_err(from_log);
            let decision = read.and_then(|read| {
                let frame = read.frame().map_err(from_log)?;
                Ok(codec::decode::<Decision>(frame.body))
            });
            if let Ok(decision) = decision {
                return decision.map(|decision| Decision { number, ..decision });
            }
        }
        None
    }
}

/// The reason of an event in a settle frame.
pub(crate) fn rejection_in(frame: &Frame<'_>, event: u64) -> Result<Rejection> {
    let settle = Settle::decode(frame.lsn.get(), frame.body);
    let rejections = settle.map(|settle| settle.rejections).unwrap_or_default();
    let found = rejections.into_iter().find(|rejection| rejection.event == event);
    let lost = || format!("LSN {event}: the frame does not say why it waits for a person");
    found.ok_or_else(|| Error::new(ErrorKind::Corrupt, "CORRUPT", lost()))
}
