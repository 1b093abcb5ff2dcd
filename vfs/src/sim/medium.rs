//! What sort of disk is simulated: what it does with bytes that a power cut caught on their way, and
//! whether its syncs are true.

use super::{
    disk::{DataChange, Inode},
    image::{Image, bytes_of},
    random::Random,
    survival::sectors,
};

/// The block that cheap flash writes and damages as one.
const BLOCK_BYTES: usize = 4096;

/// [`BLOCK_BYTES`], as an offset.
const BLOCK_STEP: u64 = BLOCK_BYTES as u64;

/// The sort of disk that is simulated. The default is a sound one, on which every promise of
/// [`File`](crate::File) and [`Vfs`](crate::Vfs) holds, and which damages nothing outside the
/// unsynced writes.
///
/// It acts on top of every [`Survival`](crate::Survival), which says what has landed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Medium {
    /// The bytes where an unsynced write did not land.
    pub lost: LostWrite,
    /// The damage that a cut does around an unsynced write.
    pub overwrite: Overwrite,
    /// Syncs of files and directories say `Ok`, and nothing becomes durable: whoever promises
    /// durability on such a disk breaks the promise, and a check must notice.
    pub lying_syncs: bool,
    /// Decides what looks random here, together with the seed of the survival, if that has one.
    pub seed: u64,
}

/// The bytes that an unsynced write would have changed, and did not, after a power cut.
///
/// With anything but the old bytes, a file that was growing keeps its new length, and no sector is
/// atomic. Bytes that the unsynced writes would not have changed stay in any case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LostWrite {
    /// The bytes that were durable there, as far as the file had them.
    #[default]
    OldBytes,
    /// Zeros: the space was allocated, and its content came too late.
    Zeros,
    /// Bytes that look random.
    Garbage,
    /// The bytes that another file of the disk durably has at the same offset, as in a block that was that
    /// file's before; zeros where there is none. So bytes come that another file would accept.
    Stale,
}

/// The damage that a power cut does to the synced bytes around unsynced writes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Overwrite {
    /// Nothing ("powersafe overwrite").
    #[default]
    Safe,
    /// Every block of 4 KiB that an unsynced write touches looks random as a whole, whatever of it
    /// had been synced, and landed or not.
    DamagesEveryBlock,
    /// Each such block does so or not, at the toss of a coin.
    DamagesSomeBlocks,
}

impl Medium {
    /// Whether a cut leaves just what the survival says.
    pub(super) fn is_faithful(&self) -> bool {
        self.lost == LostWrite::OldBytes && self.overwrite == Overwrite::Safe
    }

    /// Does to `image`, in which some of the unsynced changes of `inode` have landed, what this sort
    /// of disk does. `stale` is what another file has.
    pub(super) fn spoil(
        &self,
        random: &mut Random,
        inode: &Inode,
        stale: Option<&Image>,
        image: &mut Image,
    ) {
        match self.lost {
            LostWrite::OldBytes => {}
            LostWrite::Zeros => fill_lost(inode, image, |_, _| {}),
            LostWrite::Garbage => fill_lost(inode, image, |_, filler| random.fill(filler)),
            LostWrite::Stale => fill_lost(inode, image, |offset, filler| {
                if let Some(other) = stale {
                    other.read(offset, filler);
                }
            }),
        }
        if self.overwrite == Overwrite::Safe {
            return;
        }
        for block in sectors(inode, BLOCK_STEP) {
            if self.overwrite == Overwrite::DamagesEveryBlock || random.chance(4) {
                let mut bytes = [0; BLOCK_BYTES];
                let count = image.read(block * BLOCK_STEP, &mut bytes);
                random.fill(&mut bytes);
                image.write(block * BLOCK_STEP, bytes.get(..count).unwrap_or_default());
            }
        }
    }
}

/// Puts what `fill` makes, from zeros, in place of every byte that did not land in `image`.
fn fill_lost(inode: &Inode, image: &mut Image, mut fill: impl FnMut(u64, &mut [u8])) {
    let mut newest = inode.durable.clone();
    for pending in &inode.pending {
        pending.change.apply(&mut newest);
    }
    for pending in &inode.pending {
        let DataChange::Write { offset, bytes } = &pending.change else { continue };
        // A later cut of the file may have taken the end, or all, of it away.
        let left = newest.len().saturating_sub(*offset).min(bytes_of(bytes));
        let zeros = vec![0; usize::try_from(left).unwrap_or(0)];
        let [mut new, mut old, mut filler, mut found] = [(); 4].map(|()| zeros.clone());
        newest.read(*offset, &mut new);
        inode.durable.read(*offset, &mut old);
        let found_bytes = image.read(*offset, &mut found);
        fill(*offset, &mut filler);
        let wanted = new.iter().zip(&old).zip(&filler);
        for (place, (byte, ((new, old), filler))) in found.iter_mut().zip(wanted).enumerate() {
            // What looks as before did not land, unless it was to look so.
            if place >= found_bytes || (byte == old && byte != new) {
                *byte = *filler;
            }
        }
        image.write(*offset, &found);
    }
}
