//! The only door to the disk: [`OsVfs`] for real files, [`SimVfs`] for a disk that loses power.
//!
//! Everything that Onceward keeps goes through the two traits [`Vfs`] and [`File`]. They are small,
//! so that one suite ([`conformance`]) can hold both implementations to the same behaviour, and
//! every method says what a crash leaves behind. Nothing here knows what the bytes mean.
//!
//! Errors do not name the file: the caller knows it, and knows what it means.
//!
//! Serves Linux and Android, of 32 and 64 bits, and compiles on nothing else. What a file is, and whether a tree is
//! still where it was opened, is asked with calls that other systems have in another form or not at all, and whether
//! their syncs reach the disk was not shown.
//!
//! ```
//! use onceward_vfs::{Mode, SimVfs, Survival, Vfs, replace};
//!
//! let disk = SimVfs::new();
//! replace(&disk, "meta", b"one")?;
//! disk.open("meta", Mode::Write)?.write_all_at(0, b"two")?;
//!
//! let found = disk.after_power_cut(&Survival::Nothing);
//! assert_eq!(found.bytes("meta").as_deref(), Some(b"one".as_slice()));
//! # Ok::<(), std::io::Error>(())
//! ```

// Not `forbid`: the maps of real files need it, in one function of `os/map.rs`.
#![deny(unsafe_code)]

#[cfg(not(any(target_os = "linux", target_os = "android")))]
compile_error!("onceward-vfs serves Linux and Android only: see its documentation for why");

pub mod conformance;
mod file;
mod map;
mod moved;
mod name;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod os;
mod outside;
#[doc(hidden)]
pub mod planted;
mod replace;
mod sim;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod small_files;
#[cfg(feature = "testing")]
pub mod testing;
mod usurper;
mod vfs;

pub use file::{File, Mode, Pace, ZERO_STEP_BYTES, is_full};
pub use map::Map;
pub use moved::GroundMoved;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use os::{OpenedBy, OsVfs, remark_on};
pub use outside::{Outside, read_at_most};
pub use replace::{read_all, replace};
pub use sim::{Fault, FaultKind, FaultOp, LostWrite, Medium, Overwrite, SimVfs, Survival};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use small_files::SmallFiles;
pub use usurper::{Expected, Usurper};
pub use vfs::{LockError, LockGuard, Vfs};
