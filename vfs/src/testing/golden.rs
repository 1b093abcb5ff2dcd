//! The examples of a `FORMAT.md`, as bytes.

#![expect(clippy::panic, clippy::unwrap_used, reason = "for tests: a failure is a panic")]

use std::fmt::Write;

/// The bytes of the block of `document` that is tagged `golden:NAME`.
///
/// # Panics
///
/// If there is no such block, or something else than bytes of two hexadecimal digits is in it.
#[must_use]
pub fn golden(document: &str, name: &str) -> Vec<u8> {
    let Some((_, after)) = document.split_once(&format!("```hex golden:{name}\n")) else {
        panic!("the document has no block golden:{name}");
    };
    let (block, _) = after.split_once("```").unwrap();
    block.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// Holds `bytes` against the block of `document` that is tagged `golden:NAME`.
///
/// # Panics
///
/// If they differ, with the bytes as a document has them.
pub fn assert_golden(bytes: &[u8], document: &str, name: &str) {
    assert!(bytes == golden(document, name), "{name}:\n{}", lines(bytes));
}

/// `bytes` as two lower-case digits each.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    })
}

/// `bytes` as documents have them, to be put there when a format is made.
fn lines(bytes: &[u8]) -> String {
    let line = |bytes: &[u8]| bytes.iter().map(|byte| hex(&[*byte])).collect::<Vec<_>>().join(" ");
    bytes.chunks(24).map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::panic;

    use super::*;

    const DOCUMENT: &str = concat!(
        "A file:\n\n```hex golden:file\n101 02\n```\n\n",
        "Its end:\n\n```hex golden:end\nff\n0a 1b\n```\n",
    );

    #[test]
    fn a_block_is_found_by_its_name_and_another_name_is_a_panic() {
        assert_eq!(golden(DOCUMENT, "end"), [0xff, 0x0a, 0x1b]);
        assert!(panic::catch_unwind(|| golden(DOCUMENT, "begin")).is_err());
        assert!(panic::catch_unwind(|| golden(DOCUMENT, "file")).is_err(), "101 is no byte");
    }

    #[test]
    fn other_bytes_are_shown_as_the_document_would_have_them() {
        assert_golden(&[0xff, 0x0a, 0x1b], DOCUMENT, "end");
        let failed = panic::catch_unwind(|| assert_golden(&[0xff, 0x0a], DOCUMENT, "end"));
        let message = failed.unwrap_err();
        assert_eq!(message.downcast_ref::<String>().map(String::as_str), Some("end:\nff 0a"));
        assert_eq!(hex(&[0x0a, 0xff]), "0aff");
    }
}
