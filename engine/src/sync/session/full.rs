//! What a session does when the disk is full: nothing is written that is not needed to get room back.

use super::{Open, Session};
use crate::base::bounds::{CODE_BYTES_KEPT, MESSAGE_BYTES_KEPT, REPLY_BYTES_KEPT};
use crate::base::{Error, ErrorKind, Result};
use crate::kernel::Share;
use crate::outbox::{Answer, Formed};
use crate::sync::Effort;

/// What a refusal takes besides its texts.
const REASON_BYTES: usize = 96;

/// A batch that failed for now, which is sent again as it is: the disk is full, and forming another one
/// would take room that is needed for answers.
#[derive(Debug)]
pub(super) struct Held {
    open: Open,
    not_before_ms: u64,
}

impl Session {
    /// The store found no room for what a call of this session had to write: nothing of it is lost, and what
    /// comes next waits for the backoff, as after a failure of the line. The report says why.
    ///
    /// For drivers that go on until they are told to stop: others take room on a disk and give it back.
    pub fn on_full(&mut self, refused: &Error, now_ms: u64) {
        self.report.last_failure = Some(refused.to_string());
        self.pause(None, now_ms);
    }

    /// Takes those refusals out of answers whose reasons find no room. They are asked for again.
    pub(super) fn leave_out_reasons(&mut self, answers: &mut Vec<(u64, Answer)>) -> Vec<u64> {
        let wanted: usize = answers.iter().map(|(_, answer)| reason_bytes(answer)).sum();
        if wanted == 0 {
            return Vec::new();
        }
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        // Of a poisoned log the answers themselves tell.
        let mut room =
            self.inner().reserve().room_for_share(Share::Reasons, wanted).unwrap_or(wanted);
        let mut left_out = Vec::new();
        answers.retain(|(lsn, answer)| {
            let bytes = u64::try_from(reason_bytes(answer)).unwrap_or(u64::MAX);
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            if !fits {
                left_out.push(*lsn);
            }
            fits
        });
        if !left_out.is_empty() {
            let count = left_out.len();
            let why = format!("the disk is full: {count} refusals are taken up when there is room");
            self.report.last_failure = Some(why);
            self.found_no_room(wanted);
        } else if !self.is_once() {
            // What was left out before comes again.
            self.short_of_bytes = 0;
        }
        left_out
    }

    /// Something found no room and is left for later, so that the session goes on.
    pub(super) fn found_no_room(&mut self, bytes: u64) {
        self.short_of_bytes = self.short_of_bytes.max(bytes);
    }

    /// Whether that is so, and there is still none. Reasons are refused room first.
    pub(super) fn is_full(&self) -> bool {
        let short_of = self.short_of_bytes;
        let room = || self.inner().reserve().room_for_share(Share::Reasons, short_of);
        short_of > 0 && room().is_ok_and(|room| room < short_of)
    }

    /// Writes answers down and closes a batch (0 for none), with room that is made if there is none.
    pub(super) fn settle(&self, batch: u64, answers: &[(u64, Answer)]) -> Result<()> {
        let answers: Vec<(u64, &Answer)> = answers.iter().map(|(lsn, a)| (*lsn, a)).collect();
        let settled = self.inner().reserve().with_room(|| {
            let _one_at_a_time = self.inner().control.lock();
            self.inner().events().settle_events(batch, &answers)
        });
        // Also of what came before something failed.
        self.inner().reviews().call_watchers();
        settled
    }

    /// Keeps a batch of which nothing is answered, to be sent again as it is.
    pub(super) fn hold(&mut self, open: Open) {
        let retries = open.formed.events.iter().filter_map(|lsn| self.retries.get(lsn));
        let not_before_ms = retries.map(|retry| retry.not_before_ms).max().unwrap_or(0);
        self.as_is.push(Held { open, not_before_ms });
    }

    /// Takes up the batches whose time has come. With [`Effort::Once`] that is another session's.
    pub(super) fn take_held(&mut self, now_ms: u64) {
        if self.options.effort == Effort::Once {
            return;
        }
        let due = self.as_is.extract_if(.., |held| held.not_before_ms <= now_ms);
        self.queue.extend(due.map(|held| held.open));
    }

    /// When the first of them is to be sent again.
    pub(super) fn held_until_ms(&self) -> Option<u64> {
        self.as_is.iter().map(|held| held.not_before_ms).min()
    }

    /// The host says that it is worth trying now.
    pub(super) fn release_held(&mut self) {
        self.as_is.iter_mut().for_each(|held| held.not_before_ms = 0);
    }

    /// Forms a batch of events; on a full disk of as many of the first as find room, with their answers.
    pub(super) fn form_some(&mut self, mut events: Vec<u64>) -> Result<Formed> {
        loop {
            let parts = [events];
            let formed = self.inner().events().form_batches(self.options.route(), 0, &parts);
            let [mut part] = parts;
            match formed {
                Ok(formed) => return formed.into_iter().next().ok_or_else(no_batch),
                Err(error) if error.kind() == ErrorKind::Full && part.len() > 1 => {
                    self.found_no_room(1);
                    part.truncate(part.len() / 2);
                    events = part;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// What the reason of a refusal takes in the log; 0: it is none.
fn reason_bytes(answer: &Answer) -> usize {
    match answer {
        Answer::Accepted { .. } | Answer::Duplicate { .. } => 0,
        Answer::Rejected { code, message, reply } => {
            let reply = reply.len().min(REPLY_BYTES_KEPT);
            REASON_BYTES + texts_bytes(code, message) + reply
        }
        Answer::Uncertain { code, message } => REASON_BYTES + texts_bytes(code, message),
    }
}

fn texts_bytes(code: &str, message: &str) -> usize {
    code.len().min(CODE_BYTES_KEPT) + message.len().min(MESSAGE_BYTES_KEPT)
}

fn no_batch() -> Error {
    Error::corrupt("a batch was formed and is none")
}
