//! Reading around what the disk cannot read: each block of the disk may fail by itself.

use onceward_vfs::File;

use crate::limits::BLOCK_BYTES;

/// Offset and size of the parts of a range that lie in one block each.
pub(crate) fn blocks(offset: usize, bytes: usize) -> impl Iterator<Item = (u64, usize)> {
    let end = offset.saturating_add(bytes);
    let mut at = offset;
    std::iter::from_fn(move || {
        let from = at;
        at = end.min((from / BLOCK_BYTES + 1) * BLOCK_BYTES);
        (from < end).then(|| (u64::try_from(from).unwrap_or(u64::MAX), at - from))
    })
}

/// The bytes of a range, up to the end of the file; zeros for those that cannot be read.
pub(crate) fn read_around(file: &dyn File, offset: usize, bytes: usize) -> Vec<u8> {
    let mut read = Vec::new();
    for (offset, bytes) in blocks(offset, bytes) {
        let mut block = vec![0; bytes];
        match file.read_at(offset, &mut block) {
            Ok(count) => {
                block.truncate(count);
                read.extend_from_slice(&block);
                if count < bytes {
                    break;
                }
            }
            // A failed read may have left anything in it.
            Err(_unreadable) => read.resize(read.len() + bytes, 0),
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_where_blocks_of_the_disk_begin() {
        let cut: Vec<_> = blocks(4000, 4400).collect();
        assert_eq!(cut, [(4000, 96), (4096, 4096), (8192, 208)]);
        assert_eq!(blocks(4096, 4096).collect::<Vec<_>>(), [(4096, 4096)]);
        assert_eq!(blocks(5, 0).count(), 0);
    }
}
