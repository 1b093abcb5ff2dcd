//! The bytes of one file, cheap to copy: a simulation copies whole disks thousands of times.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, OnceLock},
};

/// Bytes that are shared, and copied, as one.
const PAGE_BYTES: usize = 4096;

/// [`PAGE_BYTES`], as an offset.
const PAGE_STEP: u64 = PAGE_BYTES as u64;

/// Nothing but zeros.
const ZERO_PAGE: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

/// One shared piece of a file.
#[derive(Clone, Debug)]
struct Page {
    /// The page's content.
    bytes: [u8; PAGE_BYTES],
    /// Hash of the content, once somebody asked for it: most pages of two crash states are shared.
    hash: OnceLock<u64>,
}

/// A file's content. Clones share their pages until one of them writes.
///
/// Invariant: bytes at and beyond `len` are zeros in every page, and pages wholly beyond it absent.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    /// Length in bytes.
    len: u64,
    /// Pages by number; an absent one is zeros.
    pages: Arc<BTreeMap<u64, Arc<Page>>>,
}

impl Image {
    /// The length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Reads into `buf` until it is full or the content ends; returns the count.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = left.min(buf.len());
        let mut at = offset;
        let mut rest = buf.get_mut(..count).unwrap_or_default();
        while !rest.is_empty() {
            let (number, start) = place(at);
            let (piece, after) = rest.split_at_mut(rest.len().min(PAGE_BYTES - start));
            match self.pages.get(&number).and_then(|p| p.bytes.get(start..start + piece.len())) {
                Some(bytes) => piece.copy_from_slice(bytes),
                None => piece.fill(0),
            }
            at += bytes_of(piece);
            rest = after;
        }
        count
    }

    /// Writes `bytes`, extending the content; a gap becomes zeros.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (number, start) = place(at);
            let (piece, after) = rest.split_at(rest.len().min(PAGE_BYTES - start));
            self.write_page(number, start, piece);
            at += bytes_of(piece);
            rest = after;
        }
        self.len = self.len.max(at);
    }

    /// Cuts, or extends with zeros.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let (number, start) = place(len);
            let pages = Arc::make_mut(&mut self.pages);
            drop(pages.split_off(&(number + u64::from(start > 0))));
            if let Some(page) = pages.get_mut(&number) {
                Arc::make_mut(page).change().get_mut(start..).unwrap_or_default().fill(0);
            }
        }
        self.len = len;
    }

    /// The whole content.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.len).unwrap_or(usize::MAX)];
        self.read(0, &mut bytes);
        bytes
    }

    /// Writes within one page; zeros over nothing need no page.
    fn write_page(&mut self, number: u64, start: usize, piece: &[u8]) {
        let present = self.pages.contains_key(&number);
        if !present && ZERO_PAGE.starts_with(piece) {
            return;
        }
        let page = Arc::make_mut(&mut self.pages)
            .entry(number)
            .or_insert_with(|| Arc::new(Page { bytes: ZERO_PAGE, hash: OnceLock::new() }));
        let bytes = Arc::make_mut(page).change();
        if let Some(target) = bytes.get_mut(start..start + piece.len()) {
            target.copy_from_slice(piece);
        }
    }

    /// Adds length and content to `hasher`; equal contents add the same.
    pub(super) fn hash_into(&self, hasher: &mut DefaultHasher) {
        self.len.hash(hasher);
        for (number, page) in self.pages.iter() {
            let hash = page.hash.get_or_init(|| {
                let mut hasher = DefaultHasher::new();
                hasher.write(&page.bytes);
                // An absent page is zeros, too.
                if page.bytes == ZERO_PAGE { 0 } else { hasher.finish() | 1 }
            });
            if *hash != 0 {
                (*number, *hash).hash(hasher);
            }
        }
    }
}

impl Page {
    /// The bytes, to be changed.
    fn change(&mut self) -> &mut [u8; PAGE_BYTES] {
        self.hash = OnceLock::new();
        &mut self.bytes
    }
}

/// The page of an offset, and the position in it.
fn place(offset: u64) -> (u64, usize) {
    let start = usize::try_from(offset % PAGE_STEP).unwrap_or(0);
    (offset / PAGE_STEP, start)
}

/// A slice's length as an offset.
pub(super) fn bytes_of(slice: &[u8]) -> u64 {
    u64::try_from(slice.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_image_holds_what_a_plain_vector_would(
            steps in prop::collection::vec((0..9000_usize, 0..9000_usize, any::<u8>()), 1..12)
        ) {
            let mut image = Image::default();
            let mut model = Vec::new();
            for (offset, count, byte) in steps {
                if byte % 5 == 0 {
                    image.set_len(u64::try_from(count).unwrap());
                    model.resize(count, 0);
                } else if count > 0 {
                    model.resize(model.len().max(offset + count), 0);
                    model[offset..offset + count].fill(byte);
                    image.write(u64::try_from(offset).unwrap(), &vec![byte; count]);
                }
                prop_assert_eq!(image.to_vec(), model.clone());
            }
        }
    }

    #[test]
    fn the_hash_is_that_of_the_content() {
        let hash = |image: &Image| {
            let mut hasher = DefaultHasher::new();
            image.hash_into(&mut hasher);
            hasher.finish()
        };
        let mut image = Image::default();
        image.write(5000, b"here");
        let first = hash(&image);
        let mut same = image.clone();
        same.write(5000, b"gone");
        assert_ne!(hash(&same), first);
        same.write(5000, b"here");
        same.write(100, b"x");
        same.write(100, &[0]);
        assert_eq!(hash(&same), first);
        same.set_len(6000);
        assert_ne!(hash(&same), first);
    }

    #[test]
    fn a_clone_does_not_see_later_writes() {
        let mut image = Image::default();
        image.write(0, b"old");
        let before = image.clone();
        image.write(0, b"new");
        assert_eq!((before.to_vec(), image.to_vec()), (b"old".to_vec(), b"new".to_vec()));
    }
}
