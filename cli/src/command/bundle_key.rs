//! The key of a bundle: a key or a passphrase from a file, or a passphrase from a person. Never
//! from the command line or the environment, and never printed.

use std::{
    io::{BufReader, Read},
    path::Path,
};

use onceward::rescue::BundleKey;
use zeroize::Zeroizing;

use crate::{
    args::BundleKeyArgs,
    exit::Failure,
    outside::Waiting,
    prompt::{Prompt, read_line},
};

/// The purpose for which a passphrase is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// A person who mistypes it at the terminal is asked again before anything is sealed with it.
    Seal,
    /// A wrong one is noticed.
    Open,
}

/// The key that the caller gave.
///
/// # Errors
///
/// A file cannot be read or does not hold what it should, or a person gave nothing, or two passphrases
/// that differ.
pub(super) fn given(
    args: &BundleKeyArgs,
    purpose: Purpose,
    prompt: &Prompt,
) -> Result<BundleKey, Failure> {
    if let Some(file) = &args.key_file {
        return from_key_file(file);
    }
    let refused = |error: onceward::Error| Failure::usage(error.to_string());
    if let Some(file) = &args.passphrase_file {
        let line = open(file).and_then(|opened| {
            read_line(&mut BufReader::new(opened)).map_err(|error| unreadable(file, &error))
        })?;
        return BundleKey::from_passphrase(&line).map_err(refused);
    }
    let passphrase = prompt.secret("Passphrase of the bundle")?;
    let key = BundleKey::from_passphrase(&passphrase).map_err(refused)?;
    let is_asked_again =
        purpose == Purpose::Seal && std::io::IsTerminal::is_terminal(&std::io::stdin());
    if is_asked_again && *prompt.secret("The same again")? != *passphrase {
        return Err(Failure::usage("the two passphrases differ"));
    }
    Ok(key)
}

/// A key of 32 bytes, raw or as 64 hexadecimal digits.
fn from_key_file(path: &Path) -> Result<BundleKey, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES_MAX));
    let most = u64::try_from(KEY_FILE_BYTES_MAX).unwrap_or(u64::MAX);
    open(path)?.take(most).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    let key = raw(&bytes).or_else(|| from_hex(bytes.trim_ascii()));
    key.map(|key| BundleKey::from_bytes(*key)).ok_or_else(|| {
        Failure::usage(format!(
            "{}: a key file has 32 random bytes, or 64 hexadecimal digits",
            path.display()
        ))
    })
}

/// Bytes that are a key as they are. 32 bytes of text are none: they are far from random.
fn raw(bytes: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let key: [u8; KEY_BYTES] = bytes.try_into().ok()?;
    (!key.is_ascii()).then(|| Zeroizing::new(key))
}

/// The bytes of 64 hexadecimal digits.
fn from_hex(digits: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    if digits.len() != 2 * KEY_BYTES {
        return None;
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        if !pair.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(key)
}

/// Opens a file to read.
fn open(path: &Path) -> Result<Waiting, Failure> {
    Waiting::open(path).map_err(|error| unreadable(path, &error))
}

/// A failure to read a file.
fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot read the key file {}: {error}", path.display()))
}

/// Size of a key.
const KEY_BYTES: usize = 32;

/// Most that is read of a key file: digits, spaces around them, and one byte more.
const KEY_FILE_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_a_key_and_other_text_is_none() {
        let digits = "00ff".repeat(16);
        let key = from_hex(digits.as_bytes()).unwrap();
        assert_eq!(key.get(..4), Some(&[0, 255, 0, 255][..]));
        for wrong in ["00ff".repeat(15), format!("+{}", &digits[1..]), format!("{digits}0")] {
            assert_eq!(from_hex(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(raw("0123456789abcdef0123456789abcdef".as_bytes()), None);
        assert!(raw(&[200; 32]).is_some());
        assert!(raw(&[200; 31]).is_none());
    }
}
