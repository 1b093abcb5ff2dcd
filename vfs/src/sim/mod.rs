//! A deterministic simulated disk.
//!
//! Every file has a live image, which reads see, and a durable one, which a power cut leaves; the
//! unsynced writes in between are kept in order. Names have the same two states. `sync_data` moves
//! a file's bytes, never its name; `sync_dir` moves names, never bytes.
//!
//! ```text
//! write -> live -+- sync_data ok -> durable -> found after a power cut
//!                +- sync_data failed: stays live, dropped from what later syncs move
//! ```

use std::{fmt, sync::Arc};

use parking_lot::Mutex;

use disk::{DiskState, Inode};
pub use fault::{Fault, FaultKind, FaultOp};
pub use medium::{LostWrite, Medium, Overwrite};
pub use survival::Survival;

mod disk;
mod fault;
mod handle;
mod image;
mod map;
mod medium;
mod names;
mod operations;
mod random;
mod survival;
mod tree;

/// A deterministic simulated disk. Clones are the same disk.
///
/// Every call of [`Vfs`](crate::Vfs) or [`File`](crate::File) that reaches the disk is an operation
/// with a number, counting from 0; `fill_zeros` and `create_dir` are several. A call with a name
/// that is not allowed is none.
#[derive(Clone)]
pub struct SimVfs {
    /// The state, shared with clones and handles.
    disk: Arc<Mutex<DiskState>>,
}

impl SimVfs {
    /// An empty disk without limits.
    #[must_use]
    pub fn new() -> Self {
        Self::of(DiskState::new())
    }

    /// Number of operations so far, which is the number of the next one.
    #[must_use]
    pub fn op_count(&self) -> u64 {
        self.disk.lock().operations.op_count()
    }

    /// Cuts the power at operation number `op`: it and everything after it fails without effect.
    ///
    /// Such operations are not counted. Only the disk of [`SimVfs::after_power_cut`] works again.
    pub fn cut_power_at(&self, op: u64) {
        self.disk.lock().operations.cut_at(op);
    }

    /// Whether the next operation finds no power.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.disk.lock().operations.is_cut()
    }

    /// The disk as found after power loss now, with unsynced changes as `survival` says.
    ///
    /// A new disk: nothing is locked, open, counted or planned, and everything on it is durable.
    /// This one stays as it is, so that many survivals can be tried.
    #[must_use]
    pub fn after_power_cut(&self, survival: &Survival) -> Self {
        Self::of(survival::survive(&self.disk.lock(), survival))
    }

    /// The disk as found after kill -9 now: everything live is there, and what was not durable
    /// still is not.
    ///
    /// A new disk: nothing is locked, open, counted or planned. This one stays as it is.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        Self::of(self.disk.lock().after_kill())
    }

    /// Plans a fault.
    pub fn plan(&self, fault: Fault) {
        self.disk.lock().operations.plan(fault);
    }

    /// Takes back the faults that are planned and did not happen.
    pub fn forget_faults(&self) {
        self.disk.lock().operations.forget();
    }

    /// Says what sort of disk it is, from now on. What is found after a crash is of the same sort.
    pub fn set_medium(&self, medium: Medium) {
        self.disk.lock().medium = medium;
    }

    /// Flips bit `bit` (0 to 7, 0 the lowest) of a byte of `name`, in both images.
    ///
    /// # Panics
    ///
    /// If there is no such byte or bit: a test that damages nothing proves nothing.
    pub fn flip_bit(&self, name: &str, offset: u64, bit: u8) {
        assert!(bit < 8, "a byte has no bit {bit}");
        let mut byte = [0];
        self.damage(name, offset, 1, |inode| {
            inode.live.read(offset, &mut byte);
            inode.live.write(offset, &byte.map(|it| it ^ (1 << bit)));
            if inode.durable.read(offset, &mut byte) == 1 {
                inode.durable.write(offset, &byte.map(|it| it ^ (1 << bit)));
            }
        });
    }

    /// Overwrites bytes of `name` in both images, as damage does: no operation, nothing to sync.
    ///
    /// The durable image is not made longer. A pending write over the same bytes still wins there
    /// once it is synced.
    ///
    /// # Panics
    ///
    /// If the file has no such bytes.
    pub fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) {
        self.damage(name, offset, image::bytes_of(bytes), |inode| {
            inode.live.write(offset, bytes);
            let durable_bytes = inode.durable.len();
            inode.durable.write(offset, bytes);
            inode.durable.set_len(durable_bytes);
        });
    }

    /// From now on every read that touches block `block`, of 4 KiB, of `name` fails with EIO, as does a write of
    /// a part of it, until it is written as a whole. A crash changes nothing about that.
    ///
    /// # Panics
    ///
    /// If the file has no such block.
    pub fn spoil_block(&self, name: &str, block: u64) {
        self.damage(name, block * disk::BAD_BLOCK_BYTES, 1, |inode| _ = inode.bad.insert(block));
    }

    /// The live content of `name`; `None` if there is no such file. Not an operation.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let mut disk = self.disk.lock();
        let (_, file) = disk.find_file(name).ok()?;
        Some(disk.inode(file).ok()?.live.to_vec())
    }

    /// Limits the space that is left, in bytes; `None` is no limit.
    ///
    /// Only growth needs space, removal and cutting give it back, and a creation needs that some is
    /// left. A write that does not fit writes what fits and fails with ENOSPC.
    pub fn set_free_bytes(&self, free: Option<u64>) {
        self.disk.lock().free_bytes = free;
    }

    /// Limits how long a file may become, in bytes, as the limits of a process do; `None`: as long as
    /// with real ones. A write that crosses it writes what is before it and fails with EFBIG.
    pub fn set_file_bytes_max(&self, most: Option<u64>) {
        self.disk.lock().file_bytes_max = most.unwrap_or(disk::FILE_BYTES_MAX);
    }

    /// The operations so far as lines `number operation name detail`, to assert their order.
    ///
    /// The root directory is `.`; bytes are `offset+count`; a planned fault is in parentheses.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.disk.lock().operations.lines()
    }

    /// The numbers of the operations so far that can change what a crash leaves: the places where a
    /// power cut is worth trying. Reads and openings are not among them.
    #[must_use]
    pub fn changing_ops(&self) -> Vec<u64> {
        self.disk.lock().operations.changing()
    }

    /// Number of unsynced changes, of bytes and of names: the range of [`Survival::Prefix`].
    #[must_use]
    pub fn unsynced_count(&self) -> u64 {
        survival::unsynced_count(&self.disk.lock())
    }

    /// A hash of everything that a program, or a later power cut, could find: names and bytes, synced
    /// and not. Equal disks have equal ones.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.disk.lock().fingerprint()
    }

    /// Number of the unsynced pieces that [`Survival::Pieces`] picks from, with sectors of this size.
    #[must_use]
    pub fn piece_count(&self, sector_bytes: u32) -> usize {
        survival::piece_count(&self.disk.lock(), sector_bytes)
    }

    /// Sizes of the unsynced writes, oldest first, each with the number of unsynced changes before
    /// it: what [`Survival::Torn`] cuts.
    #[must_use]
    pub fn unsynced_writes(&self) -> Vec<(u64, u64)> {
        survival::unsynced_writes(&self.disk.lock())
    }

    /// A handle on `disk`.
    fn of(disk: DiskState) -> Self {
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// Applies damage to `count` bytes that must exist.
    fn damage(&self, name: &str, offset: u64, count: u64, damage: impl FnOnce(&mut Inode)) {
        let mut disk = self.disk.lock();
        let found = disk.find_file(name).and_then(|(_, file)| disk.inode(file));
        assert!(found.is_ok(), "no file {name} to damage");
        if let Ok(inode) = found {
            let len = inode.live.len();
            let within = offset.checked_add(count).is_some_and(|end| end <= len);
            assert!(within, "{name} has {len} bytes, none at {offset}+{count}");
            damage(inode);
        }
    }
}

impl Default for SimVfs {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimVfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disk = self.disk.lock();
        f.debug_struct("SimVfs")
            .field("file_count", &disk.files.len())
            .field("op_count", &disk.operations.op_count())
            .finish_non_exhaustive()
    }
}
