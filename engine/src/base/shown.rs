//! How bytes look in the output of `Debug`, which is meant for logs: numbers of many digits as everybody else prints
//! them, and of what a host, an upstream or a person wrote no more than how long it is.

use std::fmt;

/// Bytes as hexadecimal digits.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Bytes as their count.
pub(crate) struct OnlyLength<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for OnlyLength<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Bytes as a text in quotation marks where that can be printed, and otherwise as hexadecimal digits.
pub(crate) struct TextOrHex<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for TextOrHex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = std::str::from_utf8(self.0).ok();
        match text.filter(|text| !text.chars().any(char::is_control)) {
            Some(text) => fmt::Debug::fmt(text, f),
            None => Hex(self.0).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_printed_is_in_hexadecimal_digits() {
        for (bytes, shown) in [
            (&b"txn_4711"[..], "\"txn_4711\""),
            ("\u{e9}\"".as_bytes(), "\"\u{e9}\\\"\""),
            (b"", "\"\""),
            (b"a\n", "610a"),
            (&[0, 255], "00ff"),
        ] {
            assert_eq!(format!("{:?}", TextOrHex(bytes)), shown);
        }
    }
}
