//! Leaving a terminal: what is still in its store, whether it may be wiped, and the bundle that takes
//! along what was not delivered.
//!
//! [`Store::rescue`](crate::Store::rescue) gives [`Rescue`]: [`Rescue::summary`] and [`Rescue::safe_to_wipe`] say what
//! is in a store, `Rescue::export` and `Rescue::import` move what was not delivered (feature `rescue`), and
//! [`Rescue::unfence`] lets a store capture again that was left.

// `summary`: what is in a store, and whether it may be wiped. `key`: what a bundle is sealed with. `sealed`: chunks
// that nobody can read, change, cut or reorder unnoticed. `items`: what is in them. `result`: what an export or import
// did.

mod calls;
pub(crate) mod frames;
#[cfg(feature = "rescue")]
pub(crate) mod items;
#[cfg(feature = "rescue")]
mod key;
mod relocate;
#[cfg(feature = "rescue")]
mod result;
#[cfg(feature = "rescue")]
pub(crate) mod sealed;
mod summary;
mod table;

use std::fmt;
use std::str::FromStr;

pub use calls::Rescue;
#[cfg(feature = "rescue")]
pub use key::BundleKey;
#[cfg(feature = "rescue")]
pub use result::{Exported, Imported, LeftOut, SkipReason};
pub use summary::{Reason, SafeToWipe, ScopeSummary, Summary, Tally};
pub(crate) use table::RescueTable;

use crate::base::shown::Hex;
use crate::base::{Error, Result, StoreId};

/// A bundle's number of 128 random bits. Prints as 32 hexadecimal digits, and is read from them.
///
/// ```
/// use onceward::rescue::BundleId;
///
/// let id: BundleId = "000102030405060708090a0b0c0d0e0f".parse()?;
/// assert_eq!(id.to_string(), "000102030405060708090a0b0c0d0e0f");
/// assert_eq!("0001".parse::<BundleId>().unwrap_err().code(), "BUNDLE_ID_INVALID");
/// # Ok::<(), onceward::Error>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct BundleId(pub(crate) [u8; 16]);

impl fmt::Debug for BundleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BundleId").field(&Hex(&self.0)).finish()
    }
}

impl fmt::Display for BundleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl FromStr for BundleId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        number.map(|number| Self(number.to_be_bytes())).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            Error::invalid(
                "BUNDLE_ID_INVALID",
                format!("bundle: {shown:?} must have 32 hexadecimal digits"),
            )
        })
    }
}

/// A store is left: it sends nothing and takes nothing new, because what it did not deliver is in this
/// bundle. [`Rescue::unfence`](crate::rescue::Rescue::unfence) ends it.
///
/// ```
/// # #[cfg(feature = "rescue")] {
/// use onceward::{Config, Store};
/// use onceward::rescue::BundleKey;
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// let exported = store.rescue().export(&mut Vec::new(), &BundleKey::from_bytes([7; 32]), true)?;
/// let fence = store.status().fence.ok_or("it is left")?;
/// assert_eq!(fence.bundle, exported.bundle);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Fence {
    /// The bundle.
    pub bundle: BundleId,
    /// Since when, Unix milliseconds by the wall clock.
    pub since_ms: i64,
}

impl Fence {
    /// What a frame says.
    pub(crate) fn of(fence: &frames::FenceFrame) -> Self {
        Self { bundle: BundleId(fence.bundle), since_ms: fence.since_ms }
    }
}

/// A bundle of another store that was imported to its end.
///
/// ```
/// # #[cfg(feature = "rescue")] {
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
/// use onceward::rescue::BundleKey;
///
/// # let dir = tempfile::tempdir()?;
/// # let open = |name: &str| Store::open(dir.path().join(name), Config::new());
/// # let (old, new) = (open("old")?, open("new")?);
/// # let sale = |text| -> onceward::Result<_> {
/// #     Ok(Event::new(Scope::default(), Key::new("sale-1")?, Payload::json(text)?))
/// # };
/// let (key, mut stick) = (BundleKey::from_bytes([7; 32]), Vec::new());
/// let exported = old.rescue().export(&mut stick, &key, true)?;
/// let imported = new.rescue().import(&mut stick.as_slice(), &key)?;
/// let known = &new.rescue().summary().imports[0];
/// assert_eq!((known.bundle, known.source), (imported.bundle, old.id()));
/// # let _ = exported;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Import {
    /// The bundle.
    pub bundle: BundleId,
    /// The store that it is from.
    pub source: StoreId,
    /// A random number of the opening of that store in which it was made.
    pub epoch: u64,
    /// When it was made, Unix milliseconds by the wall clock there.
    pub made_ms: i64,
    /// When it was imported here, Unix milliseconds by the wall clock.
    pub imported_ms: i64,
    /// Events that were new here.
    pub fresh: u64,
    /// Events that were here.
    pub duplicates: u64,
    /// Events that were left out, because their keys are here with other content.
    pub conflicts: u64,
    /// Events that were left out for another reason.
    pub refused: u64,
}

impl Import {
    /// What a frame says.
    pub(crate) fn of(import: &frames::ImportFrame) -> Self {
        Self {
            bundle: BundleId(import.bundle),
            source: StoreId(import.store),
            epoch: import.epoch,
            made_ms: import.made_ms,
            imported_ms: import.imported_ms,
            fresh: import.fresh,
            duplicates: import.duplicates,
            conflicts: import.conflicts,
            refused: import.refused,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
