//! Names of the log's files. No I/O here.

use crate::checksum::crc_from;

/// Held by the one process that writes.
pub(crate) const LOCK: &str = "lock";
/// Identity, runs and the segments that exist.
pub(crate) const META: &str = "meta";
/// Directory of the segments.
pub(crate) const LOG_DIR: &str = "log";
/// Directory of what was cut or is damaged.
pub(crate) const QUARANTINE_DIR: &str = "quarantine";

/// The name under which bytes of a segment are kept in quarantine: the same bytes always get the same one.
pub(crate) fn kept(number: u64, offset: usize, bytes: &[u8], extension: &str) -> String {
    let crc = crc_from(0, bytes);
    format!("{QUARANTINE_DIR}/{number:016x}-{offset:08x}-{crc:08x}.{extension}")
}

/// The checksum in the name of bytes that are kept; `None` of other names.
pub(crate) fn kept_crc(entry: &str) -> Option<u32> {
    let (stem, _extension) = entry.split_once('.')?;
    let mut parts = stem.split('-');
    let (number, offset, crc) = (parts.next()?, parts.next()?, parts.next()?);
    let is_kept = number.len() == 16 && offset.len() == 8 && crc.len() == 8;
    u32::from_str_radix(crc, 16).ok().filter(|_| is_kept && parts.next().is_none())
}

/// The name of a segment's file.
pub(crate) fn segment(store: &[u8; 16], number: u64) -> String {
    format!("{LOG_DIR}/{}", segment_file(store, number))
}

/// The name of a segment's file within its directory.
pub(crate) fn segment_file(store: &[u8; 16], number: u64) -> String {
    format!("{number:016x}-{:032x}.seg", u128::from_be_bytes(*store))
}

/// Number and store of a segment's file within its directory; `None` for foreign files.
pub(crate) fn parse_segment(file: &str) -> Option<(u64, [u8; 16])> {
    let (number, store) = file.strip_suffix(".seg")?.split_once('-')?;
    let number = hex(number, 16).and_then(|number| u64::try_from(number).ok())?;
    let store = hex(store, 32)?.to_be_bytes();
    // The highest number has no successor to be given out next.
    (number != 0 && number != u64::MAX).then_some((number, store))
}

/// A number written in exactly `digits` lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let well = text.len() == digits
        && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    well.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_foreign_ones_are_not() {
        let store = [0xab; 16];
        let file = segment_file(&store, 0x1f);
        assert_eq!(file, format!("000000000000001f-{}.seg", "ab".repeat(16)));
        assert_eq!(parse_segment(&file), Some((0x1f, store)));
        for foreign in [
            file.to_uppercase(),
            file.replace(".seg", ".seg.tmp"),
            file.replace("1f-", "zz-"),
            segment_file(&store, 0),
            segment_file(&store, u64::MAX),
            "x.seg".to_owned(),
            format!("+{file}"),
        ] {
            assert_eq!(parse_segment(&foreign), None, "{foreign}");
        }
    }
}
