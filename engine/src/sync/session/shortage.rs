//! What found no room on a full disk and is left for later: nothing is written that is not needed to get room back.

use crate::base::bounds::{CODE_BYTES_KEPT, MESSAGE_BYTES_KEPT, REPLY_BYTES_KEPT};
use crate::kernel::Share;
use crate::outbox::Answer;
use crate::store::Store;

/// What a refusal takes besides its texts.
const REASON_BYTES: usize = 96;

/// How much room is missing, as far as this session asked for it.
#[derive(Debug)]
pub(super) struct Shortage {
    store: Store,
    /// Bytes that found no room when they were asked for last; 0: none.
    bytes: u64,
}

impl Shortage {
    /// Nothing is missing so far.
    pub(super) fn new(store: &Store) -> Self {
        Self { store: store.clone(), bytes: 0 }
    }

    /// Something found no room and is left for later, so that the session goes on.
    pub(super) fn note(&mut self, bytes: u64) {
        self.bytes = self.bytes.max(bytes);
    }

    /// Whether that is so, and there is still none. Reasons are refused room first.
    pub(super) fn is_lasting(&self) -> bool {
        let room = || self.store.inner.reserve().room_for_share(Share::Reasons, self.bytes);
        self.bytes > 0 && room().is_ok_and(|room| room < self.bytes)
    }

    /// Takes those refusals out of answers whose reasons find no room. They are asked for again, with
    /// [`Effort::Once`](crate::sync::Effort::Once) by another session.
    pub(super) fn leave_out_reasons(
        &mut self,
        answers: &mut Vec<(u64, Answer)>,
        is_once: bool,
    ) -> Vec<u64> {
        let wanted: usize = answers.iter().map(|(_, answer)| reason_bytes(answer)).sum();
        if wanted == 0 {
            return Vec::new();
        }
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        // Of a poisoned log the answers themselves report.
        let reserve = self.store.inner.reserve();
        let mut room = reserve.room_for_share(Share::Reasons, wanted).unwrap_or(wanted);
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
            self.note(wanted);
        } else if !is_once {
            // What was left out before comes again.
            self.bytes = 0;
        }
        left_out
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
