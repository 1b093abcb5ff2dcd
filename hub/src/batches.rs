//! The answers that Wede batches were given, kept as events of their own.
//!
//! An answer is kept before it is sent, so a client that lost it can ask for it by the batch's id, and
//! the same request gets the same answer. It is forgotten like any other key, after the window.

use onceward::capture::EffectRef;
use onceward::{EventRef, Key, PayloadRef, Receipt, Scope};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::tenant::{Refused, Tenant};

/// The scope of all kept answers.
pub(crate) const SCOPE: &str = "wede-batches";

/// A kept answer. The names are in the store: never change or reuse one.
#[derive(Deserialize, Serialize)]
pub(crate) struct Kept {
    /// The hash of what was asked, as [`fingerprint`] makes it.
    pub(crate) request_hash: String,
    /// The answer's body, to the letter.
    pub(crate) response: Box<RawValue>,
}

/// The hash that distinguishes one request from another: SHA-256 of `parts`, in hex digits.
pub(crate) fn fingerprint(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        // The length goes first, so that no two lists of parts run together into the same bytes.
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The answer that batch `id` was given; `None` if there is none, or it is no longer kept.
///
/// # Errors
///
/// What the store said.
pub(crate) fn load(tenant: &Tenant, id: &str) -> Result<Option<Kept>, Refused> {
    let Some((scope, key)) = name(id) else { return Ok(None) };
    let stored = tenant.with_store(|store| store.find(&scope, &key))?;
    let text = stored.as_ref().and_then(|stored| stored.event.payload.as_json());
    Ok(text.and_then(|text| serde_json::from_str(text).ok()))
}

/// Keeps the answer of batch `id`.
///
/// If the id has an answer already whose body the store has let go, that one stays and this one is
/// not kept: both say the same of every event but whether it was there before.
///
/// # Durability
///
/// After `Ok` the answer survives a crash.
///
/// # Errors
///
/// What the store said; the answer may be kept or not.
pub(crate) fn keep(tenant: &Tenant, id: &str, kept: &Kept) -> Result<(), Refused> {
    let Some((scope, key)) = name(id) else { return Ok(()) };
    let text = serde_json::to_string(kept).unwrap_or_default();
    tenant.with_store(|store| {
        let event = EventRef::new(&scope, key.as_str(), PayloadRef::json(&text)?)?;
        let receipt = Receipt::new(b"kept")?;
        store.apply_batch(&[EffectRef { event, receipt: &receipt }]).map(drop)
    })
}

/// Scope and key of batch `id`; `None` if no batch can have this id.
fn name(id: &str) -> Option<(Scope, Key)> {
    Some((Scope::new(SCOPE).ok()?, Key::new(id).ok()?))
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn a_fingerprint_tells_lists_apart_that_join_to_the_same_bytes() {
        let one = fingerprint(&[b"ab", b"c"]);
        assert_eq!(one, fingerprint(&[b"ab", b"c"]), "control");
        assert_ne!(one, fingerprint(&[b"a", b"bc"]));
        assert_eq!(one.len(), 64);
    }
}
