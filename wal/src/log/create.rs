//! Takes the lock of a log, and makes an empty one.

use std::process;

use onceward_vfs::{LockError, LockGuard, Vfs};

use crate::error::{Error, ErrorKind};
use crate::identity::Identity;
use crate::limits::{SEALED_SECRET_BYTES, SECRET_BYTES, TAG_BYTES};
use crate::meta::{Meta, MetaFile};
use crate::name;
use crate::sealing::{META_NUMBER, Sealing, SegmentKey};

/// The right to write a log: held by one process at a time, through one handle.
#[derive(Debug)]
pub struct Lock {
    _guard: Box<dyn LockGuard>,
}

/// Takes the lock of the log in `vfs`.
///
/// # Errors
///
/// `Locked`: somebody holds it; the message names the process if it is known. `Io`.
pub fn lock(vfs: &dyn Vfs) -> Result<Lock, Error> {
    match vfs.lock(name::LOCK) {
        Ok(guard) => Ok(Lock { _guard: guard }),
        Err(LockError::Held { pid }) => {
            let message = match pid {
                Some(pid) if pid == process::id() => {
                    "the store is open already, by this process".to_owned()
                }
                Some(pid) => format!("the store is open elsewhere by process {pid}"),
                None => "the store is open elsewhere".to_owned(),
            };
            Err(Error::new(ErrorKind::Locked, message))
        }
        Err(LockError::Io(source)) => Err(Error::io(source, "lock", name::LOCK)),
    }
}

/// Makes an empty log.
///
/// # Durability
///
/// When this returns `Ok` the log survives a crash; after an error there is a log or none.
///
/// # Errors
///
/// `Full`, `Io`: the disk refused.
pub fn create(vfs: &dyn Vfs, _lock: &Lock, identity: Identity) -> Result<(), Error> {
    MetaFile::create(vfs, &Meta::new(identity))
}

/// Makes an empty log in which the bodies of the host's frames are sealed.
///
/// # Durability
///
/// As that of [`create`].
///
/// # Errors
///
/// `Invalid`: the secret is longer than 16 bytes. `Key`: there is no key now. `Full`, `Io`: the disk refused.
pub fn create_sealed(
    vfs: &dyn Vfs,
    _lock: &Lock,
    identity: Identity,
    sealing: &dyn Sealing,
) -> Result<(), Error> {
    if identity.secret.iter().skip(SEALED_SECRET_BYTES - TAG_BYTES).any(|byte| *byte != 0) {
        return Err(Error::invalid("the secret of a sealed log has at most 16 bytes"));
    }
    let key = SegmentKey::new(sealing, &identity, META_NUMBER)
        .map_err(|refusal| refusal.of(name::META))?;
    let meta = Meta::new(Identity { secret: [0; SECRET_BYTES], ..identity });
    MetaFile::create(vfs, &Meta { envelope: Some(key.envelope()), ..meta })
}
