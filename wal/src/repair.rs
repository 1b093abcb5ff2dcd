//! Mends damage: the bytes go to quarantine, and frames that say what is missing take their place.
//!
//! | found | written |
//! |---|---|
//! | frames lost between others | a frame of kind `lost`, as long as what was there |
//! | frames lost to the end, or a seal that is not of its frames | a seal behind what is kept |
//! | a header | the header, from the first frame and the segments around it |
//! | a file that is too short, bytes that cannot be read | zeros |
//! | a segment without a file | `meta` without it |
//!
//! Nothing that still proves itself is touched. Each step may be cut short: what is then found is
//! mended by the next repair, and what was copied stays.

use std::collections::BTreeSet;
use std::sync::Arc;

use onceward_vfs::{File, Mode, Vfs};

use crate::blocks::{blocks, read_around};
use crate::checksum::salt;
use crate::error::Error;
use crate::examine::{Examined, Fix, PlannedRepair, examine, examine_with};
use crate::frame::{self, FrameFields, KIND_LOST, KIND_SEAL};
use crate::identity::Identity;
use crate::limits::{FRAME_HEADER_BYTES, SEAL_BODY_BYTES, frame_bytes};
use crate::log::Lock;
use crate::meta::MetaFile;
use crate::name;
use crate::report::Damage;
use crate::run::{REPAIRED, SealBody};
use crate::sealing::Sealing;
use crate::walk::KeptPrefix;

/// The outcome of a repair.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Repaired {
    /// The damage that was found.
    pub damage: Vec<Damage>,
    /// Files in `quarantine/` that hold the damaged bytes.
    pub kept: Vec<String>,
    /// The damage that is still found.
    pub left: Vec<Damage>,
}

/// Mends what [`examine`] reports as damage; `None` if there is no log.
///
/// The damaged bytes are copied to `quarantine/` first. What was lost stays lost: the log then says so
/// itself, reads on behind it, and is no longer reported as damaged.
///
/// # Durability
///
/// When this returns `Ok`, copies and mended places are synced. After a crash on the way, the log is
/// as damaged as it was or less, and every copy that was begun is whole or absent.
///
/// # Errors
///
/// `Full`: no room for the copies. `Io`, `Poisoned`: the disk refused. `Unsupported`, `Corrupt`: as
/// [`examine`]. Repairing may be tried again.
///
/// A sealed log is mended without its key, but for frames that are whole and forged: these only
/// [`repair_with`] finds.
pub fn repair(vfs: &dyn Vfs, lock: &Lock) -> Result<Option<Repaired>, Error> {
    repair_found(vfs, lock, &|| examine(vfs, &mut |_| {}))
}

/// As [`repair`], with the key of a sealed log: a forged frame is damage like any other.
///
/// # Errors
///
/// As [`repair`] and [`examine_with`].
pub fn repair_with(
    vfs: &dyn Vfs,
    lock: &Lock,
    sealing: Option<&Arc<dyn Sealing>>,
) -> Result<Option<Repaired>, Error> {
    repair_found(vfs, lock, &|| examine_with(vfs, sealing, &mut |_| {}))
}

/// Mends what `examine` finds.
fn repair_found(
    vfs: &dyn Vfs,
    _lock: &Lock,
    examine: &dyn Fn() -> Result<Option<Examined>, Error>,
) -> Result<Option<Repaired>, Error> {
    let mut repaired: Option<Repaired> = None;
    for round in 0..=ROUNDS_MAX {
        let Some(examined) = examine()? else { return Ok(None) };
        let left = examined.report.damage.clone();
        let it = repaired
            .get_or_insert_with(|| Repaired { damage: left.clone(), ..Repaired::default() });
        it.left = left;
        if it.left.is_empty() || round == ROUNDS_MAX {
            break;
        }
        if examined.unreadable.is_some() {
            // First of all and alone: what else seems damaged may only seem so because of it.
            it.kept.extend(mend_unreadable(vfs, &examined)?);
        } else {
            it.kept.extend(mend_all(vfs, examined)?);
        }
    }
    if let Some(it) = &mut repaired {
        it.kept.sort();
        it.kept.dedup();
    }
    Ok(repaired)
}

/// Mending one place may show that another one next to it is damaged too.
const ROUNDS_MAX: usize = 4;

/// Keeps and mends every place; returns the files in quarantine.
fn mend_all(vfs: &dyn Vfs, examined: Examined) -> Result<Vec<String>, Error> {
    let identity = examined.meta.identity;
    let mut kept = Vec::new();
    for repair in &examined.repairs {
        kept.extend(keep(vfs, &identity, repair)?);
    }
    for repair in &examined.repairs {
        mend(vfs, &examined, repair)?;
    }
    mend_meta(vfs, examined)?;
    Ok(kept)
}

/// Writes zeros over whole blocks that cannot be read, and over nothing else. Where the log may have gone
/// on in such a block, it is sealed before it: zeros would pass for its end.
fn mend_unreadable(vfs: &dyn Vfs, examined: &Examined) -> Result<Vec<String>, Error> {
    let mut zeroed = BTreeSet::new();
    for repair in examined.repairs.iter().filter(|repair| matches!(repair.fix, Fix::Zeros)) {
        let path = name::segment(&examined.meta.identity.store, repair.number);
        let io = |source| Error::io(source, "mend", &path);
        let file = vfs.open(&path, Mode::Write).map_err(io)?;
        for (offset, bytes) in blocks(repair.offset, repair.bytes) {
            if file.read_at(offset, &mut vec![0; bytes]).is_err() {
                file.write_all_at(offset, &vec![0; bytes]).map_err(io)?;
                zeroed.insert(repair.number);
            }
        }
        file.sync_data().map_err(io)?;
    }
    let mut kept = Vec::new();
    for repair in &examined.repairs {
        if matches!(repair.fix, Fix::SealUnread(_)) && zeroed.contains(&repair.number) {
            kept.extend(keep(vfs, &examined.meta.identity, repair)?);
            mend(vfs, examined, repair)?;
        }
    }
    Ok(kept)
}

/// Copies what is where a repair will write; `None` if nothing does.
fn keep(
    vfs: &dyn Vfs,
    identity: &Identity,
    repair: &PlannedRepair,
) -> Result<Option<String>, Error> {
    let path = name::segment(&identity.store, repair.number);
    let io = |source| Error::io(source, "copy the damage of", &path);
    let file = vfs.open(&path, Mode::Read).map_err(io)?;
    let copy = read_around(&*file, repair.offset, repair.bytes);
    if copy.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    vfs.create_dir(name::QUARANTINE_DIR).map_err(io)?;
    let kept = name::kept(repair.number, repair.offset, &copy, "bytes");
    onceward_vfs::replace(vfs, &kept, &copy).map_err(|source| Error::io(source, "write", &kept))?;
    Ok(Some(kept))
}

/// Writes what mends one place, and syncs.
fn mend(vfs: &dyn Vfs, examined: &Examined, repair: &PlannedRepair) -> Result<(), Error> {
    let identity = &examined.meta.identity;
    let path = name::segment(&identity.store, repair.number);
    let io = |source| Error::io(source, "mend", &path);
    let bytes = match &repair.fix {
        Fix::Zeros => vec![0; repair.bytes],
        Fix::Header(header) => header.encode(),
        Fix::StandIn { run, lsn, numbers } => {
            let body = vec![0; repair.bytes.saturating_sub(FRAME_HEADER_BYTES)];
            encode(identity, repair, (KIND_LOST, 0, *numbers), (*run, *lsn), &body)
        }
        Fix::Seal(kept) | Fix::SealUnread(kept) => seal(examined, repair, kept),
    };
    let file = vfs.open(&path, Mode::Write).map_err(io)?;
    let offset = u64::try_from(repair.offset).unwrap_or(u64::MAX);
    write_synced(&*file, offset, &bytes).map_err(io)
}

fn write_synced(file: &dyn File, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
    file.write_all_at(offset, bytes)?;
    file.sync_data()
}

/// A seal behind what is kept. Its LSN is the last one before those of the next segment.
fn seal(examined: &Examined, repair: &PlannedRepair, kept: &KeptPrefix) -> Vec<u8> {
    let next = examined.segments.infos().find(|next| next.number > repair.number);
    let last = next.map_or(examined.highest_lsn + 1, |next| next.first_lsn.saturating_sub(1));
    let body = SealBody {
        store: examined.meta.identity.store,
        number: repair.number,
        first_lsn: repair.first_lsn,
        digest: kept.digest,
        count: kept.count,
        after: kept.last_lsn,
    };
    let head = (kept.run.max(1), last.max(kept.last_lsn + 1));
    encode(&examined.meta.identity, repair, (KIND_SEAL, REPAIRED, 0), head, &body.encode())
}

/// A frame for the place of a repair.
fn encode(
    identity: &Identity,
    repair: &PlannedRepair,
    (kind, flags, time): (u8, u8, u32),
    (run, lsn): (u32, u64),
    body: &[u8],
) -> Vec<u8> {
    let lsn_delta = u32::try_from(lsn.saturating_sub(repair.first_lsn)).unwrap_or(u32::MAX);
    let fields = FrameFields { lsn_delta, run, synced_lag: 0, time, kind, flags };
    let mut bytes = Vec::new();
    frame::encode(&mut bytes, salt(&identity.store, repair.number), fields, &[body]);
    bytes
}

/// Writes `meta` as it was found, without segments that are missing, and without a promise of where the
/// log ends.
fn mend_meta(vfs: &dyn Vfs, examined: Examined) -> Result<(), Error> {
    let mut meta = MetaFile::open(vfs, examined.meta.clone())?;
    let mut next = examined.meta;
    for number in examined.missing {
        next.segments.remove(number);
    }
    next.clean = None;
    next.next_lsn = examined.highest_lsn + 2;
    meta.write(next)
}

const _: () = assert!(frame_bytes(SEAL_BODY_BYTES) == 88, "a seal takes 88 bytes");
