//! What a request of the stream says besides its events.

use axum::http::HeaderMap;
use onceward::Scope;
use onceward::wire::slice_outline;
use sha2::{Digest, Sha256};

use crate::{
    fields::KEY_BYTES_MAX,
    idempotency_key,
    problem::{Code, Problem},
};

/// Most bytes of a slice before it is compressed.
const SLICE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most batches that a terminal may name as its own.
const OWN_MAX: usize = 256;
/// Longest mark, bytes.
const MARK_BYTES_MAX: usize = 1_024;

/// The head of a request.
#[derive(Debug)]
pub(super) struct Head {
    /// The id of the terminal's store.
    pub(super) store: String,
    /// The scope of the events there.
    pub(super) scope: Scope,
    /// The batch's key.
    pub(super) batch: String,
    /// The batch before it that is on its way.
    pub(super) after: Option<String>,
    /// What the hub wants to be reminded of.
    pub(super) mark: String,
    /// The other batches that are the terminal's own.
    pub(super) own: Vec<String>,
    /// A person accepted that the history is another one than this store's.
    pub(super) is_fork_accepted: bool,
    /// SHA-256 of the slice before it was compressed, in hex digits.
    digest: String,
}

impl Head {
    /// Reads the headers.
    ///
    /// # Errors
    ///
    /// One is missing, twice there, or breaks its rule.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let needed = |name| one(headers, name)?.ok_or_else(|| wrong(name, "is missing"));
        let store = needed("onceward-store")?;
        let is_id = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
        if store.is_empty() || store.len() > 64 || !store.bytes().all(is_id) {
            return Err(wrong("onceward-store", "must be the id of a store"));
        }
        let scope = needed("onceward-scope")?;
        let scope =
            Scope::new(&scope).map_err(|error| wrong("onceward-scope", &error.to_string()))?;
        let batch = idempotency_key::read(headers)?;
        let batch = batch.ok_or_else(|| wrong("idempotency-key", "is missing"))?;
        let own = one(headers, "onceward-own")?.unwrap_or_default();
        let own: Vec<String> = own
            .split(',')
            .map(str::trim)
            .filter(|key| !key.is_empty())
            .map(ToOwned::to_owned)
            .collect();
        if own.len() > OWN_MAX || own.iter().any(|key| key.len() > KEY_BYTES_MAX) {
            return Err(wrong(
                "onceward-own",
                "names more than 256 batches, or one with a long key",
            ));
        }
        let mark = one(headers, "onceward-mark")?.unwrap_or_default();
        if mark.len() > MARK_BYTES_MAX {
            return Err(wrong("onceward-mark", "is longer than any that was given"));
        }
        Ok(Self {
            store,
            scope,
            batch,
            after: one(headers, "onceward-after")?.filter(|after| !after.is_empty()),
            mark,
            own,
            is_fork_accepted: one(headers, "onceward-fork")?.as_deref() == Some("accepted"),
            digest: needed("onceward-digest")?,
        })
    }

    /// The slice in a body, and its digest.
    ///
    /// # Errors
    ///
    /// It is not compressed as it should be, larger than is taken, no slice, or other than was sent.
    pub(super) fn slice(&self, body: &[u8]) -> Result<(Vec<u8>, [u8; 32]), Problem> {
        let mut whole = Vec::new();
        // Bounded by what is made room for, whatever the frame says of itself.
        whole.try_reserve_exact(SLICE_BYTES_MAX.min(expected(body))).map_err(|_no_memory| {
            Problem::new(Code::Overloaded, "no memory for the slice").retry_after(1)
        })?;
        zstd::bulk::Decompressor::new()
            .and_then(|mut zstd| zstd.decompress_to_buffer(body, &mut whole))
            .map_err(|error| {
                let detail = format!("the body is no slice compressed with zstd: {error}");
                Problem::new(Code::InvalidSlice, detail)
            })?;
        let outline = slice_outline(&whole)
            .map_err(|fault| Problem::new(Code::InvalidSlice, format!("the body {fault}")))?;
        let digest: [u8; 32] = Sha256::digest(outline).into();
        let shown: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if shown != self.digest {
            let detail = "the slice is other than was sent: its digest differs";
            return Err(Problem::new(Code::InvalidSlice, detail));
        }
        Ok((whole, digest))
    }
}

/// How many bytes a compressed body has before it was compressed, as it says itself; the most that is taken if it does
/// not.
fn expected(body: &[u8]) -> usize {
    zstd::zstd_safe::get_frame_content_size(body)
        .ok()
        .flatten()
        .and_then(|bytes| usize::try_from(bytes).ok())
        .unwrap_or(SLICE_BYTES_MAX)
}

/// The value of a header that may be there once.
fn one(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Problem> {
    let mut all = headers.get_all(name).iter();
    let Some(first) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(wrong(name, "is there twice"));
    }
    let text = first.to_str().map_err(|_not_ascii| wrong(name, "must be visible ASCII"))?;
    Ok(Some(text.trim().to_owned()))
}

/// The problem of a header.
fn wrong(name: &str, why: &str) -> Problem {
    Problem::new(Code::InvalidSlice, format!("the header {name} {why}"))
}
