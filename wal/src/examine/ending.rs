//! How the log ends, and what was found in all.

use super::examined::{Examined, FoundTail};
use super::judge::Examination;
use crate::checksum::Digest;
use crate::meta::CleanEnd;
use crate::name;
use crate::report::LostLsns;
use crate::walk::SegmentEnd;

impl Examination<'_> {
    /// Row `clean-short`.
    fn judge_end(&mut self, end: CleanEnd) {
        let Some(clean) = self.meta.clean else { return };
        if self.highest_run > self.meta.run {
            // A state from before the last run: what said that the log was opened again is gone.
            return;
        }
        let same_place = (clean.number, clean.offset) == (end.number, end.offset);
        let whole = self.report.damage.is_empty();
        if clean == end && whole {
            self.report.clean = true;
            self.report.torn_bytes = 0;
            self.report.torn_file = None;
        } else if (!same_place || whole) && !self.has_moved_on() {
            // With other damage about, the digest differs for a reason that was already reported.
            let what = format!(
                "the log was closed in order and ended in segment {} at {}",
                clean.number, clean.offset
            );
            self.damage(end.number.max(1), end.offset, 0, &what);
        }
    }

    /// Ends what is lost to the end of a segment where the next segment begins.
    fn bound_lost(&mut self) {
        for damage in &mut self.report.damage {
            let number = damage.segment.unwrap_or(0);
            let Some(LostLsns { first, last: None }) = damage.lost else { continue };
            let next = self.segments.infos().find(|info| info.number > number);
            let last = next.map(|next| next.first_lsn.saturating_sub(1));
            let any = last.is_none_or(|last| last >= first);
            damage.lost = any.then_some(LostLsns { first, last });
        }
    }

    /// Sums up.
    pub(super) fn finish(mut self) -> Examined {
        let (mut last_lsn, mut digest, mut in_doubt) = (0, Digest::default(), Vec::new());
        let mut end = CleanEnd::default();
        let mut tail = None;
        if let Some((number, walked)) = self.previous.take() {
            last_lsn = walked.last_lsn;
            digest = walked.digest;
            let offset = u64::try_from(walked.offset).unwrap_or(u64::MAX);
            end = CleanEnd { number, offset, digest };
            if walked.end != SegmentEnd::Lost {
                tail = Some(FoundTail {
                    number,
                    offset: walked.offset,
                    count: walked.count,
                    proven: walked.proven,
                    sealed: walked.end == SegmentEnd::Sealed,
                    unread: self.segments.get(number).is_some_and(|segment| segment.unread),
                    torn_bytes: walked.torn_bytes,
                    torn_header: self.torn_header,
                    boot: walked.boot,
                    behind: walked.behind,
                });
                self.report.torn_bytes = u64::try_from(walked.torn_bytes).unwrap_or(u64::MAX);
                self.report.torn_file = Some(name::segment(&self.meta.identity.store, number));
                self.report.torn_offset = offset;
            }
            in_doubt = walked.in_doubt;
        }
        self.report.in_doubt = in_doubt.len();
        self.bound_lost();
        self.judge_end(end);
        for number in &self.absent {
            self.meta.segments.remove(*number);
        }
        Examined {
            identity: self.identity,
            sealing: self.sealing,
            tail,
            missing: self.missing,
            prepared: self.prepared,
            spoiled: self.spoiled,
            resurrected: self.resurrected,
            segments: self.segments,
            last_lsn,
            last_frame: self.last_frame,
            highest_lsn: self.highest_lsn,
            highest_run: self.highest_run,
            digest,
            in_doubt,
            read_only_for: self.read_only_for,
            unreadable: self.unreadable,
            repairs: self.repairs,
            report: self.report,
            meta: self.meta,
        }
    }
}
