//! Writes down what the upstream said.

use super::frames::{ReceiptFor, Rejection, SettleFrame};
use super::table::EventSet;
use super::{Answer, Events};
use crate::base::bounds::{CODE_BYTES_KEPT, MESSAGE_BYTES_KEPT, REPLY_BYTES_KEPT};
use crate::base::{FrameKind, Result, State, codec, observe};
use crate::kernel::{FrameBody, Share};
use crate::store::StoreState;

/// Rejections in one settle frame: with [`SETTLED_MAX`] answers it must fit into the smallest segment.
const REJECTIONS_MAX: usize = 64;
/// Other answers in one settle frame.
const SETTLED_MAX: usize = 1_024;

impl Events<'_> {
    /// Writes the answers for events, ascending, and closes `batch` (0 for none). The caller holds
    /// `control`.
    pub(crate) fn settle_events(&self, batch: u64, answers: &[(u64, &Answer)]) -> Result<()> {
        self.settle_open((batch, None), answers)
    }

    /// The same, for events of this scope only, if one is named.
    pub(in crate::outbox) fn settle_open(
        &self,
        (batch, scope): (u64, Option<usize>),
        answers: &[(u64, &Answer)],
    ) -> Result<()> {
        let synced = self.inner.log.synced();
        let mut open: Vec<(u64, &Answer)> = Vec::with_capacity(answers.len());
        {
            let state = self.inner.state.lock();
            let events = state.outbox.events().packed();
            let is_open = |lsn: u64| lsn <= synced && events.is_open(lsn, scope);
            open.extend(answers.iter().filter(|(lsn, _)| is_open(*lsn)));
        }
        let (mut frames, mut reasons) = settles_of(&open, self.inner.time.wall_ms());
        let share = if reasons.is_empty() { Share::Answers } else { Share::Reasons };
        frames.append(&mut reasons);
        match frames.last_mut() {
            // The last one closes the batch.
            Some(last) => last.batch = batch,
            None if batch != 0 => frames.push(SettleFrame { batch, ..SettleFrame::default() }),
            None => {}
        }
        self.append_settles(&frames, (share, batch))?;
        observe::answered(batch, u64::try_from(open.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Writes the same answer for events, ascending, that are synced and wait for the upstream. The caller holds
    /// `control`.
    pub(in crate::outbox) fn settle_alike(
        &self,
        events: &[EventSet],
        answer: &Answer,
    ) -> Result<()> {
        let state = match answer {
            Answer::Accepted { receipt: None } => State::Accepted,
            Answer::Duplicate { receipt: None } => State::Duplicate,
            // What is written for each is more than its number.
            Answer::Accepted { .. }
            | Answer::Duplicate { .. }
            | Answer::Rejected { .. }
            | Answer::Uncertain { .. } => {
                let lsns = events.iter().flat_map(|some| some.lsns());
                let answers: Vec<(u64, &Answer)> = lsns.map(|lsn| (lsn, answer)).collect();
                return self.settle_events(0, &answers);
            }
        };
        let settle = |some: &[EventSet]| {
            let mut settle = SettleFrame::default();
            for (first, last) in some.iter().flat_map(|some| some.runs()) {
                settle.add_run((first, last), state.code());
            }
            settle
        };
        let mut frames = Vec::new();
        let mut rest = events;
        while !rest.is_empty() {
            let mut count = 0;
            let fits = rest.iter().take_while(|some| {
                count += some.count();
                count <= SETTLED_MAX
            });
            // Each has fewer than that.
            let (some, others) = rest.split_at(fits.count().max(1));
            frames.push(settle(some));
            rest = others;
        }
        self.append_settles(&frames, (Share::Answers, 0))?;
        let count: usize = events.iter().map(|some| some.count()).sum();
        observe::answered(0, u64::try_from(count).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Appends answers, as one commit if a segment can hold them: else a crash between commits
    /// leaves some answers and the batch open.
    fn append_settles(&self, settles: &[SettleFrame], share: (Share, u64)) -> Result<()> {
        let segment_bytes = self.inner.log.reserved_segment_bytes();
        let most = usize::try_from(segment_bytes).unwrap_or(usize::MAX) / 8 * 7;
        let frame = |settle| FrameBody::new(FrameKind::Settle, codec::encode(settle));
        let mut encoded = settles.iter().map(frame).peekable();
        let mut rest = settles.iter();
        while let Some(first) = encoded.next() {
            let mut bytes = first.body.len();
            let mut commit = vec![first];
            while let Some(next) = encoded.next_if(|next| bytes + next.body.len() <= most) {
                bytes += next.body.len();
                commit.push(next);
            }
            let written = self.inner.write_retiring(&commit, share)?;
            let last = written.placed.last().map_or(0, |at| at.lsn);
            let mut arrived = Vec::new();
            let mut state = self.inner.state.lock();
            let StoreState { kernel, outbox, .. } = &mut *state;
            for (at, settle) in written.placed.into_iter().zip(rest.by_ref()) {
                outbox.apply_settle(kernel, settle, (at, written.moment));
                for rejection in &settle.rejections {
                    let scope = outbox.scope_of(rejection.event).cloned();
                    let reason = Rejection { version: at.lsn, ..rejection.clone() };
                    arrived.extend(scope.map(|scope| (scope, reason)));
                }
            }
            drop(state);
            self.inner.reviews().arrived(arrived, last);
        }
        Ok(())
    }
}

/// The frames with the answers that settle events, and those with why others are refused.
fn settles_of(open: &[(u64, &Answer)], since_ms: i64) -> (Vec<SettleFrame>, Vec<SettleFrame>) {
    let mut frames = Vec::new();
    let mut settle = SettleFrame::default();
    let mut settled = 0;
    let mut refused = SettleFrame::default();
    let mut reasons = Vec::new();
    for (lsn, answer) in open {
        let lsn = *lsn;
        match answer {
            Answer::Accepted { receipt } | Answer::Duplicate { receipt } => {
                let state = match answer {
                    Answer::Duplicate { .. } => State::Duplicate,
                    _ => State::Accepted,
                };
                settled += 1;
                settle.add(lsn, state.code());
                if let Some(receipt) = receipt {
                    settle.receipts.push(ReceiptFor { event: lsn, receipt: receipt.clone() });
                }
            }
            Answer::Rejected { code, message, reply } => refused.rejections.push(Rejection {
                event: lsn,
                version: 0,
                code: cut(code, CODE_BYTES_KEPT).to_owned(),
                message: cut(message, MESSAGE_BYTES_KEPT).to_owned(),
                reply: reply.get(..REPLY_BYTES_KEPT).unwrap_or(reply).to_vec(),
                since_ms,
                state: State::InReview.code(),
            }),
            Answer::Uncertain { code, message } => refused.rejections.push(Rejection {
                event: lsn,
                version: 0,
                code: cut(code, CODE_BYTES_KEPT).to_owned(),
                message: cut(message, MESSAGE_BYTES_KEPT).to_owned(),
                reply: Vec::new(),
                since_ms,
                state: State::Uncertain.code(),
            }),
        }
        if settled >= SETTLED_MAX {
            frames.push(std::mem::take(&mut settle));
            settled = 0;
        }
        if refused.rejections.len() >= REJECTIONS_MAX {
            reasons.push(std::mem::take(&mut refused));
        }
    }
    frames.push(settle);
    reasons.push(refused);
    frames.retain(|settle| !settle.is_empty());
    reasons.retain(|settle| !settle.is_empty());
    (frames, reasons)
}

/// The beginning of a text, at most `bytes_max` bytes, cut between characters.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
