//! What bytes are that are not the frame that should be there: the table in `FORMAT.md`.

use super::{Context, KeptPrefix, Piece, SegmentEnd, SegmentWalk, Shown, UnusableRange};
use crate::frame::{self, FrameHeader};
use crate::report::LostLsns;
use crate::resync::{self, Resync};
use crate::run::{REPAIRED, SealBody};

impl SegmentWalk<'_> {
    /// Judges the bytes that are where the next frame should be. Returns whether to go on.
    pub(super) fn judge<'a>(
        &mut self,
        piece: Piece<'a>,
        resync: &mut Resync<'a>,
        shown: &mut Shown<'a, '_>,
    ) -> bool {
        let at = self.kept.offset;
        let missing = self.kept.last_lsn + 1;
        let found = resync.after(at, self.kept.run, missing);
        let synced = self.synced.max(found.synced);
        let proven = if onceward_vfs::planted!("cut-at-any-bad-frame") {
            false
        } else if onceward_vfs::planted!("multi-block-commit-taken-for-damage")
            && found.next.is_some()
        {
            true
        } else {
            self.context.later_in_use || synced >= missing
        };
        self.saw(found.highest_lsn, found.highest_run);
        match (proven, found.next) {
            (true, Some(next)) => {
                let before = next.lsn.saturating_sub(1);
                // One that stands in for lost frames is none of them: it says where they begin.
                let told = next.stands_in.and_then(|numbers| next.lsn.checked_sub(numbers.into()));
                let last = told.filter(|told| *told >= self.kept.last_lsn).unwrap_or(before);
                self.lose(at, next.offset, missing, Some(last));
                self.release_batch(shown);
                self.kept.offset = next.offset;
                self.kept.last_lsn = last;
                // What was there was synced, and cannot be written again.
                self.out.proven = self.out.proven.max(next.offset);
                true
            }
            (true, None) => {
                self.lose(at, piece.end(), missing, None);
                self.out.end = SegmentEnd::Lost;
                false
            }
            (false, _) => {
                self.tear(piece, resync.whole(at, self.kept.run, missing), shown);
                false
            }
        }
    }

    /// Rows `lost`, `lost-tail` and `lost-end`.
    fn lose(&mut self, from: usize, to: usize, first: u64, last: Option<u64>) {
        let what = match last {
            Some(last) if last < first => format!("bytes that are no frame before LSN {first}"),
            Some(last) => format!("LSN {first} to {last} lost"),
            None => format!("LSN {first} and those after it in this segment lost"),
        };
        let bytes = to.saturating_sub(from);
        let lsns = last.is_none_or(|last| last >= first).then_some(LostLsns { first, last });
        let before = self.kept;
        self.out.lost.push(UnusableRange {
            offset: from,
            bytes,
            last_lsn: last,
            lsns,
            before,
            what,
        });
    }

    /// Rows `unwritten`, `torn`, `torn-frames` and `batch-cut`: the log ends here, or where an
    /// unfinished batch began.
    fn tear(&mut self, piece: Piece<'_>, whole: Vec<(usize, usize)>, shown: &mut Shown<'_, '_>) {
        if let Some(before) = self.before_batch.take() {
            let sizes = shown.batch.drain(..).map(|f| (f.place.offset, f.bytes()));
            self.out.in_doubt.extend(
                sizes.filter_map(|(offset, bytes)| Some((usize::try_from(offset).ok()?, bytes))),
            );
            self.kept = before;
            self.out.waypoints.forget_from(before.last_lsn + 1);
        }
        let end = self.kept.offset;
        // A header that is right may be of a commit that was being written: then the rest of it will come.
        self.out.behind = Some(piece.from(end))
            .filter(|rest| !frame::has_header(rest, self.context.salt))
            .and_then(|rest| rest.first_chunk().copied());
        self.out.in_doubt.extend(whole);
        self.out.torn_bytes = self.torn_bytes(end, piece.from(end));
        self.out.proven = self.out.proven.min(end);
    }

    /// How many bytes of `tail`, which begins at `end`, the last append left torn.
    fn torn_bytes(&self, end: usize, tail: &[u8]) -> usize {
        if !self.context.recycled {
            // Up to the last byte that is not zero: also what earlier crashes left behind it.
            return resync::without_zeros(tail);
        }
        // What is there may be an earlier segment's: only what proves to be this one's counts.
        let whole = self.out.in_doubt.iter().map(|(offset, bytes)| offset + bytes).max();
        let begun = frame::decode_header(tail, self.context.salt).map_or(0, |h| h.frame_bytes());
        whole.map_or(0, |last| last.saturating_sub(end)).max(begun)
    }

    /// Rows of the seal: count and digest must be those of the frames before it.
    pub(super) fn judge_seal(&mut self, before: KeptPrefix, header: &FrameHeader, body: &[u8]) {
        self.out.repaired |= header.flags & REPAIRED != 0;
        let Context { store, number, first_lsn, digest, .. } = *self.context;
        let what = match SealBody::decode(body) {
            None => format!("the seal with LSN {} says nothing", self.kept.last_lsn),
            Some(seal) => {
                let same = (seal.store, seal.number, seal.first_lsn) == (store, number, first_lsn);
                let whole = seal.count == before.count
                    && (digest.is_none() || seal.digest == before.digest);
                let comparable = self.out.lost.is_empty() && !self.out.repaired;
                if same && (whole || !comparable) {
                    return;
                }
                format!(
                    "the seal is of segment {} with {} frames and digest {:016x}, found {} and {:016x}",
                    seal.number,
                    seal.count,
                    seal.digest.get(),
                    before.count,
                    before.digest.get()
                )
            }
        };
        let (offset, bytes) = (before.offset, self.kept.offset - before.offset);
        self.out.lost.push(UnusableRange {
            offset,
            bytes,
            last_lsn: None,
            lsns: None,
            before,
            what,
        });
    }
}
