//! Finds the keys of a sealed log: that of the secret, and those of the segments.

use std::sync::Arc;

use onceward_vfs::Vfs;

use super::found_meta::found_meta;
use super::head::{Files, SegmentHead};
use super::judge::Examination;
use super::segment_file::SegmentFile;
use crate::error::{Error, ErrorKind};
use crate::identity::Identity;
use crate::meta::Meta;
use crate::name;
use crate::sealing::{KeyEnvelope, META_NUMBER, Sealing, SegmentBodies, SegmentKey, key_needed};

/// The identity of the store, with its secret.
pub(super) fn identity(
    vfs: &dyn Vfs,
    meta: &Meta,
    files: &Files,
    sealing: Option<&Arc<dyn Sealing>>,
) -> Result<Identity, Error> {
    let (envelope, sealing) = match (meta.envelope, sealing) {
        (None, None) => return Ok(meta.identity),
        (None, Some(_)) => {
            let message = "a key was given, and the store is not encrypted";
            return Err(Error::new(ErrorKind::Key, message).with_code("NOT_ENCRYPTED"));
        }
        (Some(_), None) => return Err(key_needed()),
        (Some(envelope), Some(sealing)) => (envelope, &**sealing),
    };
    let store = meta.identity.store;
    let secret = if envelope.is_known() {
        let key = SegmentKey::open(sealing, &store, META_NUMBER, envelope)
            .map_err(|refusal| refusal.of(name::META))?;
        key.secret()
    } else {
        secret_in_segments(vfs, &store, files, sealing)?
    };
    let lost = || Error::corrupt("the store's secret is not what was sealed").at(name::META, 0);
    Ok(Identity { store, secret: secret.ok_or_else(lost)? })
}

/// The secret as a segment's header has it.
fn secret_in_segments(
    vfs: &dyn Vfs,
    store: &[u8; 16],
    files: &Files,
    sealing: &dyn Sealing,
) -> Result<Option<[u8; 64]>, Error> {
    for (number, _) in files.iter().filter(|(_, of)| of == store) {
        let Some(file) = SegmentFile::open(vfs, *number, *store)? else { continue };
        let Some(envelope) = file.head()?.envelope().filter(KeyEnvelope::is_known) else {
            continue;
        };
        match SegmentKey::open(sealing, store, *number, envelope) {
            Ok(key) => {
                if let Some(secret) = key.secret() {
                    return Ok(Some(secret));
                }
            }
            Err(refusal) if refusal.is_foreign => {}
            Err(refusal) => return Err(refusal.of(&name::segment(store, *number))),
        }
    }
    Ok(None)
}

/// Whether there are keys for all segments of the log in `vfs`, if it is sealed. Reads their heads, and changes
/// nothing.
///
/// # Errors
///
/// As [`examine_with`](crate::examine_with), before anything else is read.
pub fn check_keys(vfs: &dyn Vfs, sealing: Option<&Arc<dyn Sealing>>) -> Result<(), Error> {
    let Some((meta, _, files)) = found_meta(vfs)? else { return Ok(()) };
    identity(vfs, &meta, &files, sealing)?;
    let Some(sealing) = sealing else { return Ok(()) };
    let store = meta.identity.store;
    let ours = files.iter().filter(|(number, of)| *of == store && !meta.has_trimmed(*number));
    for (number, _) in ours {
        let Some(file) = SegmentFile::open(vfs, *number, store)? else { continue };
        let Some(envelope) = file.head()?.envelope().filter(KeyEnvelope::is_known) else {
            continue;
        };
        if let Err(refusal) = sealing.open_key(&store, *number, &envelope.key)
            && !refusal.is_foreign
        {
            return Err(refusal.of(&name::segment(&store, *number)));
        }
    }
    Ok(())
}

impl Examination<'_> {
    /// How the bodies of a segment are stored. Its key is opened once.
    pub(super) fn bodies(&self, number: u64, head: &SegmentHead) -> Result<SegmentBodies, Error> {
        let told = head.envelope();
        let Some(_) = self.meta.envelope else {
            let why = "it is sealed, and the store is not";
            return Ok(if told.is_none() {
                SegmentBodies::Clear
            } else {
                SegmentBodies::Unreadable(why.into())
            });
        };
        let Some(sealing) = &self.sealing else { return Ok(SegmentBodies::Hidden) };
        let Some(envelope) = told.filter(KeyEnvelope::is_known) else {
            return Ok(SegmentBodies::Unreadable("the segment's key is lost".into()));
        };
        let mut keys = self.keys.borrow_mut();
        if let Some((known, bodies)) = keys.get(&number)
            && *known == envelope
        {
            return Ok(bodies.clone());
        }
        let store = &self.meta.identity.store;
        let bodies = match SegmentKey::open(&**sealing, store, number, envelope) {
            Ok(key) => SegmentBodies::Sealed(Arc::new(key)),
            Err(refusal) if refusal.is_foreign => SegmentBodies::Unreadable(refusal.message.into()),
            Err(refusal) => return Err(refusal.of(&name::segment(store, number))),
        };
        keys.insert(number, (envelope, bodies.clone()));
        Ok(bodies)
    }
}
