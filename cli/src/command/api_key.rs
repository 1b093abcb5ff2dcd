//! Where the bearer key comes from: file, argument, or environment, in this order. Never printed from here.

use std::{env, path::Path};

use crate::{args::KeyArgs, exit::Failure, outside};

/// The key that the caller gave, if any.
///
/// # Errors
///
/// The file cannot be read or has no key, or the environment's value is not text.
pub fn given(args: &KeyArgs) -> Result<Option<String>, Failure> {
    if let Some(file) = &args.api_key_file {
        return from_file(file).map(Some);
    }
    if let Some(key) = &args.api_key {
        return checked("--api-key", key).map(Some);
    }
    match env::var(VARIABLE) {
        Ok(key) => checked(VARIABLE, &key).map(Some),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => {
            Err(Failure::usage(format!("no key: {VARIABLE}: is not text")))
        }
    }
}

/// The first line of a file.
fn from_file(file: &Path) -> Result<String, Failure> {
    let refused = |error: &dyn std::fmt::Display| {
        Failure::failed(format!("no key: {FILE}: cannot read {}: {error}", file.display()))
    };
    let bytes = outside::read(file, FILE_BYTES_MAX).map_err(|error| refused(&error))?;
    let text = str::from_utf8(&bytes).map_err(|_not_text| refused(&"it is not text"))?;
    checked(FILE, text.lines().next().unwrap_or_default())
}

/// Checks that a header can hold the key.
fn checked(source: &str, key: &str) -> Result<String, Failure> {
    let key = key.trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::usage(format!(
            "no key: {source}: a key has printable ASCII characters only, and at least one"
        )));
    }
    Ok(key.to_owned())
}

/// The option that names a file that holds the key.
const FILE: &str = "--api-key-file";

/// The environment variable that holds the key.
const VARIABLE: &str = "ONCEWARD_API_KEY";

/// Largest key file, bytes: its first line is the key, and there may be a word about it.
const FILE_BYTES_MAX: u64 = 64 * 1024;
