//! What an export or import did.

use std::fmt;

use super::BundleId;
use crate::Lsn;
use crate::base::StoreId;
use crate::base::bounds::LEFT_OUT_LISTED_MAX;
use crate::base::shown::Hex;
use crate::event::{Key, Scope};

/// What a bundle holds; see [`Rescue::export`](crate::rescue::Rescue::export).
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
/// use onceward::rescue::BundleKey;
///
/// # let dir = tempfile::tempdir()?;
/// # let store = Store::open(dir.path().join("store"), Config::new())?;
/// store.capture(&Event::new(Scope::default(), Key::new("sale-1")?, Payload::json("{}")?))?;
/// let mut stick = Vec::new();
/// let exported = store.rescue().export(&mut stick, &BundleKey::from_bytes([7; 32]), true)?;
/// assert_eq!((exported.unsettled, exported.unreadable_count), (1, 0));
/// assert_eq!(usize::try_from(exported.bytes)?, stick.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Exported {
    /// The bundle's number.
    pub bundle: BundleId,
    /// Events without a final answer.
    pub unsettled: u64,
    /// Events with a final answer, of which the importer remembers key, outcome and receipt.
    pub settled: u64,
    /// Numbers of events that could not be read and are not in the bundle: damaged. The first 1,000.
    pub unreadable: Vec<Lsn>,
    /// How many there are.
    pub unreadable_count: u64,
    /// Bytes of the bundle.
    pub bytes: u64,
    /// SHA-256 over what is in the bundle: the importer reports the same.
    pub digest: [u8; 32],
}

impl fmt::Debug for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bundle, unsettled, settled, unreadable, unreadable_count, bytes, digest } = self;
        f.debug_struct("Exported")
            .field("bundle", bundle)
            .field("unsettled", unsettled)
            .field("settled", settled)
            .field("unreadable", unreadable)
            .field("unreadable_count", unreadable_count)
            .field("bytes", bytes)
            .field("digest", &Hex(digest))
            .finish()
    }
}

/// What an import found; see [`Rescue::import`](crate::rescue::Rescue::import).
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
/// use onceward::rescue::BundleKey;
///
/// # let dir = tempfile::tempdir()?;
/// # let open = |name: &str| Store::open(dir.path().join(name), Config::new());
/// # let (old, new) = (open("old")?, open("new")?);
/// # let sale = |text| -> onceward::Result<_> {
/// #     Ok(Event::new(Scope::default(), Key::new("sale-1")?, Payload::json(text)?))
/// # };
/// old.capture(&sale("1")?)?;
/// let (key, mut stick) = (BundleKey::from_bytes([7; 32]), Vec::new());
/// let exported = old.rescue().export(&mut stick, &key, true)?;
/// let imported = new.rescue().import(&mut stick.as_slice(), &key)?;
/// assert_eq!((imported.fresh, imported.conflicts, imported.refused), (1, 0, 0));
/// assert_eq!(imported.digest, exported.digest, "now the old one may be wiped");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Imported {
    /// The bundle's number.
    pub bundle: BundleId,
    /// The store that it is from.
    pub source: StoreId,
    /// Whether this bundle had been imported to its end before.
    pub is_again: bool,
    /// Events that were new here and are durable now, those included that are remembered only.
    pub fresh: u64,
    /// The fresh events that have a final answer: nothing is sent of them.
    pub fresh_settled: u64,
    /// Events that were here: nothing changed.
    pub duplicates: u64,
    /// Events whose keys are here with other content: left out.
    pub conflicts: u64,
    /// Events that this store cannot take: left out.
    pub refused: u64,
    /// The events that were left out, the first 1,000.
    pub left_out: Vec<LeftOut>,
    /// Events that the source could not read, so that the bundle does not have them.
    pub unreadable_at_source: u64,
    /// SHA-256 over what is in the bundle, as the exporter reported it.
    pub digest: [u8; 32],
}

impl fmt::Debug for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bundle,
            source,
            is_again,
            fresh,
            fresh_settled,
            duplicates,
            conflicts,
            refused,
            left_out,
            unreadable_at_source,
            digest,
        } = self;
        f.debug_struct("Imported")
            .field("bundle", bundle)
            .field("source", source)
            .field("is_again", is_again)
            .field("fresh", fresh)
            .field("fresh_settled", fresh_settled)
            .field("duplicates", duplicates)
            .field("conflicts", conflicts)
            .field("refused", refused)
            .field("left_out", left_out)
            .field("unreadable_at_source", unreadable_at_source)
            .field("digest", &Hex(digest))
            .finish()
    }
}

/// An event of a bundle that was not imported. The bundle is its only copy beside the source.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
/// use onceward::rescue::BundleKey;
///
/// # let dir = tempfile::tempdir()?;
/// # let open = |name: &str| Store::open(dir.path().join(name), Config::new());
/// # let (old, new) = (open("old")?, open("new")?);
/// # let sale = |text| -> onceward::Result<_> {
/// #     Ok(Event::new(Scope::default(), Key::new("sale-1")?, Payload::json(text)?))
/// # };
/// old.capture(&sale("1")?)?;
/// new.capture(&sale("2")?)?;
/// let (key, mut stick) = (BundleKey::from_bytes([7; 32]), Vec::new());
/// let exported = old.rescue().export(&mut stick, &key, true)?;
/// let imported = new.rescue().import(&mut stick.as_slice(), &key)?;
/// assert_eq!(imported.left_out[0].key.as_str(), "sale-1");
/// # let _ = exported;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The event's scope.
    pub scope: Scope,
    /// The event's key.
    pub key: Key,
    /// The event's number in the source.
    pub source_lsn: u64,
    /// Why the event was left out.
    pub why: SkipReason,
}

/// Why an event of a bundle was not imported.
///
/// ```
/// use onceward::{Config, Event, Key, Payload, Scope, Store};
/// use onceward::rescue::{BundleKey, SkipReason};
///
/// # let dir = tempfile::tempdir()?;
/// # let open = |name: &str| Store::open(dir.path().join(name), Config::new());
/// # let (old, new) = (open("old")?, open("new")?);
/// # let sale = |text| -> onceward::Result<_> {
/// #     Ok(Event::new(Scope::default(), Key::new("sale-1")?, Payload::json(text)?))
/// # };
/// old.capture(&sale("1")?)?;
/// new.capture(&sale("2")?)?;
/// let (key, mut stick) = (BundleKey::from_bytes([7; 32]), Vec::new());
/// let exported = old.rescue().export(&mut stick, &key, true)?;
/// let imported = new.rescue().import(&mut stick.as_slice(), &key)?;
/// match &imported.left_out[0].why {
///     SkipReason::Conflict { lsn } => println!("look at event {lsn} here"),
///     SkipReason::Refused { why } => println!("{why}"),
///     _ => {}
/// }
/// # let _ = exported;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SkipReason {
    /// The key is here with another kind, amount or payload.
    Conflict {
        /// The number of the event that has it here.
        lsn: Lsn,
    },
    /// The event breaks a limit of this store's configuration.
    Refused {
        /// Which, and by how much.
        why: String,
    },
}

impl Imported {
    /// Lists an event that is left out, and counts it.
    pub(crate) fn leave_out(&mut self, one: LeftOut) {
        match one.why {
            SkipReason::Conflict { .. } => self.conflicts += 1,
            SkipReason::Refused { .. } => self.refused += 1,
        }
        if self.left_out.len() < LEFT_OUT_LISTED_MAX {
            self.left_out.push(one);
        }
    }
}
