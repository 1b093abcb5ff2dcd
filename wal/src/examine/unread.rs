//! What the disk could not read: damage as any other, unless the log may end in there.
//!
//! | where | the log |
//! |---|---|
//! | in a segment that a later one follows | is opened: nothing is written there |
//! | before the last frame that is proven synced | is opened, and goes on in a new segment |
//! | behind the place where the log surely ends | the same |
//! | anywhere else in the last segment | is not opened: what is written could be in the place of what is there |
//! | in a prepared segment that was surely not begun | is opened, and that segment filled anew |
//!
//! What cannot be read now may be read another time, so none of it is written over or given up; only a repair does
//! that, when a person wants it.

use super::judge::Examination;
use super::repairs::{Fix, PlannedRepair};
use super::segment_file::Unreadable;
use crate::error::Position;
use crate::limits::{HEADER_BLOCK_BYTES, SEAL_BODY_BYTES, frame_bytes};
use crate::name;
use crate::walk::{SegmentEnd, Walked};

/// Size of a seal frame.
const SEAL_FRAME_BYTES: usize = frame_bytes(SEAL_BODY_BYTES);

impl Examination<'_> {
    /// Row `unreadable`, of a segment that was begun: what was found in it, and the size of its file.
    pub(super) fn take_unreadable(
        &mut self,
        (number, first_lsn): (u64, u64),
        unreadable: &[Unreadable],
        (walked, bytes_of_file): (&mut Walked, usize),
    ) {
        for it in unreadable {
            self.tell_unreadable((number, first_lsn), it);
            if number < self.last_in_use || is_beside_the_end(it, walked) {
                continue;
            }
            self.refuse_at(number, it.offset);
            if walked.end == SegmentEnd::Open && it.end() > walked.offset {
                // The log may go on in there.
                walked.end = SegmentEnd::Lost;
                let (offset, bytes) = (walked.offset, bytes_of_file - walked.offset);
                let fix = Fix::SealUnread(walked.before_end);
                self.repairs.push(PlannedRepair { number, first_lsn, offset, bytes, fix });
            }
        }
    }

    /// Row `unreadable`, of a segment in which nothing says that it was begun. Its first commit would have a header in
    /// one block and a frame in the next.
    pub(super) fn take_spare(&mut self, number: u64, unreadable: &[Unreadable]) {
        unreadable.iter().for_each(|it| self.tell_unreadable((number, 1), it));
        let hides = |at: usize| unreadable.iter().any(|it| (it.offset..it.end()).contains(&at));
        if hides(0) && hides(HEADER_BLOCK_BYTES) {
            self.refuse_at(number, 0);
            return;
        }
        self.prepared.push(number);
        if !unreadable.is_empty() {
            self.spoiled.push(number);
        }
    }

    fn tell_unreadable(&mut self, (number, first_lsn): (u64, u64), it: &Unreadable) {
        let at = u64::try_from(it.offset).unwrap_or(u64::MAX);
        let count = u64::try_from(it.bytes).unwrap_or(u64::MAX);
        self.damage(number, at, count, &format!("cannot be read: {}", it.what));
        let (offset, bytes) = (it.offset, it.bytes);
        self.repairs.push(PlannedRepair { number, first_lsn, offset, bytes, fix: Fix::Zeros });
    }

    /// The log is not to be opened, because of this place.
    fn refuse_at(&mut self, number: u64, offset: usize) {
        let file = name::segment(&self.meta.identity.store, number);
        let offset = u64::try_from(offset).unwrap_or(u64::MAX);
        self.unreadable.get_or_insert(Position { file, offset });
    }
}

/// Whether the log surely does not end in there, and nothing will be written there: neither what is written again
/// at the next opening, nor a seal.
fn is_beside_the_end(it: &Unreadable, walked: &Walked) -> bool {
    // Without a proven frame the header may be written again.
    if walked.proven > HEADER_BLOCK_BYTES && it.end() <= walked.proven {
        return true;
    }
    // A commit begins where the one before ends: with no header of a frame there, none was confirmed behind.
    let ends_surely = walked.end == SegmentEnd::Open && walked.behind.is_some();
    ends_surely && walked.offset + walked.torn_bytes.max(SEAL_FRAME_BYTES) <= it.offset
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walk::{Context, walk};

    fn at(offset: usize) -> Unreadable {
        Unreadable { offset, bytes: 4096, what: String::new() }
    }

    /// An empty segment: nothing proven, and the log ends behind its header.
    #[test]
    fn a_seal_must_fit_before_what_cannot_be_read_and_a_header_be_read_where_nothing_is_proven() {
        let context = Context {
            number: 1,
            store: [0; 16],
            salt: 7,
            first_lsn: 1,
            run: 1,
            last_lsn: 0,
            digest: None,
            synced: 0,
            later_in_use: false,
            recycled: false,
        };
        let walked = walk(&[0; 5 * 4096], &context, &mut |_| {});
        assert_eq!((walked.end, walked.offset), (SegmentEnd::Open, 4096), "control");
        let beside: Vec<bool> =
            (0..5).map(|block| is_beside_the_end(&at(block * 4096), &walked)).collect();
        assert_eq!(beside, [false, false, true, true, true]);
        let late = Walked { offset: 2 * 4096 - SEAL_FRAME_BYTES + 8, ..walked };
        assert!(!is_beside_the_end(&at(2 * 4096), &late));
        let proven = Walked { proven: 2 * 4096, ..late };
        assert!(
            is_beside_the_end(&at(4096), &proven) && !is_beside_the_end(&at(2 * 4096), &proven)
        );
        let begun = Walked { offset: 4096, behind: None, ..proven };
        assert!(!is_beside_the_end(&at(3 * 4096), &begun), "a frame begins there");
    }
}
