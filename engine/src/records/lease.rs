//! The right to complete a record, as the one has it who does the work.

use super::frames::Token;
use crate::Lsn;
use crate::base::{Error, Result};
use crate::event::{Key, Scope};

/// The layout of [`Lease::to_bytes`].
const VERSION: u8 = 1;

/// The time-limited right to complete a record: who holds it does the work.
///
/// A lease is a secret: whoever has its bytes can complete it. `Debug` does not show the owner token.
/// It may be carried to another process of the host, which hands it back to the one that has the store.
///
/// Dropping a lease does not release it: nobody else gets the key until the lease expires or the store is opened again.
/// A host that gives up calls [`Records::release`](crate::records::Records::release).
///
/// ```
/// use onceward::{Config, Key, Payload, Scope, Store};
/// use onceward::records::{LeaseRequest, LeaseReply, Lease};
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let begin = LeaseRequest::new(Scope::default(), Key::new("order-2001")?);
/// let LeaseReply::Acquired(lease) = store.records().begin(&begin)? else { panic!("a new store") };
/// let carried = Lease::from_bytes(&lease.to_bytes())?;
/// assert_eq!(carried, lease);
/// store.records().complete(&carried, &Payload::json("true")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lease {
    pub(in crate::records) scope: Scope,
    pub(in crate::records) key: Key,
    pub(in crate::records) token: Token,
    pub(in crate::records) fence: Lsn,
    pub(in crate::records) expires_at_ms: i64,
}

impl Lease {
    /// The scope of the key.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The fencing number: every later lease of the key has a higher one. A system that the work
    /// writes to can remember the highest that came and refuse those below.
    #[must_use]
    pub fn fence(&self) -> Lsn {
        self.fence
    }

    /// When the lease expires unless it is renewed, Unix milliseconds by the wall clock. A hint for
    /// people and schedules: the store itself measures by a clock that no one can set.
    #[must_use]
    pub fn expires_at_ms(&self) -> i64 {
        self.expires_at_ms
    }

    /// The lease as bytes, little-endian. They are as secret as the lease.
    ///
    /// | size | type | field |
    /// |-----:|------|-------|
    /// | 1 | u8 | 1, the version of this layout |
    /// | 16 | bytes | owner token |
    /// | 8 | u64 | fencing number |
    /// | 8 | i64 | when it expires, Unix milliseconds |
    /// | 1 + n | u8, text | scope |
    /// | 1 + n | u8, text | key |
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(self.token.as_bytes());
        out.extend_from_slice(&self.fence.get().to_le_bytes());
        out.extend_from_slice(&self.expires_at_ms.to_le_bytes());
        for text in [self.scope.as_str(), self.key.as_str()] {
            // Both types hold their length to one byte.
            out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(text.as_bytes());
        }
        out
    }

    /// Makes a lease of what [`Lease::to_bytes`] returned. Whether the lease still holds is checked when it is used.
    ///
    /// # Errors
    ///
    /// `Invalid`, code `LEASE_BYTES`: the bytes are not exactly one lease.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        read(bytes).ok_or_else(|| {
            let message = format!("lease: {} bytes that are no lease of version 1", bytes.len());
            Error::invalid("LEASE_BYTES", message)
        })
    }
}

/// Reads the bytes of a lease.
fn read(bytes: &[u8]) -> Option<Lease> {
    let mut rest = bytes;
    ([VERSION] == take::<1>(&mut rest)?).then_some(())?;
    let token = Token::new(take(&mut rest)?);
    let fence = Lsn::from_u64(u64::from_le_bytes(take(&mut rest)?))?;
    let expires_at_ms = i64::from_le_bytes(take(&mut rest)?);
    let scope = Scope::new(text(&mut rest)?).ok()?;
    let key = Key::new(text(&mut rest)?).ok()?;
    rest.is_empty().then_some(Lease { scope, key, token, fence, expires_at_ms })
}

/// Takes a fixed number of bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

/// Takes a text with its length before it.
fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let [count] = take::<1>(rest)?;
    let (taken, after) = rest.split_at_checked(usize::from(count))?;
    *rest = after;
    std::str::from_utf8(taken).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease() -> Lease {
        Lease {
            scope: Scope::new("orders").unwrap(),
            key: Key::new("k1").unwrap(),
            token: Token::new([0xaa; 16]),
            fence: Lsn::from_u64(258).unwrap(),
            expires_at_ms: -2,
        }
    }

    #[test]
    fn the_bytes_of_a_lease_are_as_documented() {
        let expected = [
            [1].as_slice(),
            &[0xaa; 16],
            &[2, 1, 0, 0, 0, 0, 0, 0],
            &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            b"\x06orders",
            b"\x02k1",
        ]
        .concat();
        assert_eq!(lease().to_bytes(), expected);
        assert_eq!(Lease::from_bytes(&expected).unwrap(), lease());
    }

    #[test]
    fn what_is_not_exactly_one_lease_is_refused() {
        let bytes = lease().to_bytes();
        assert!(Lease::from_bytes(&bytes).is_ok(), "control");
        for cut in 0..bytes.len() {
            let error = Lease::from_bytes(&bytes[..cut]).unwrap_err();
            assert_eq!(error.code(), "LEASE_BYTES", "cut at {cut}");
        }
        assert!(Lease::from_bytes(&[bytes.as_slice(), &[0]].concat()).is_err());
        let mut newer = bytes.clone();
        newer[0] = 2;
        assert!(Lease::from_bytes(&newer).is_err());
        let mut fence_0 = bytes;
        fence_0[17..25].fill(0);
        assert!(Lease::from_bytes(&fence_0).is_err());
    }

    #[test]
    fn the_owner_token_is_never_shown() {
        let shown = format!("{:?}", lease());
        assert!(shown.contains("orders") && shown.contains("Token(..)"), "{shown}");
        assert!(!shown.contains("170") && !shown.contains("aa"), "{shown}");
    }
}
