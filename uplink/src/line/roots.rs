//! Whose certificates are trusted.

#![expect(
    clippy::disallowed_methods,
    reason = "a directory of the operator's: only looked at, nothing durable in it"
)]

use std::path::Path;

use onceward::host::{Outside, read_at_most};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use ureq::tls::{Certificate, PemItem, parse_pem};

use crate::error::{Cause, Error};

/// The variable that names a file with the certificates to trust, as for OpenSSL.
const FILE: &str = "SSL_CERT_FILE";
/// The variable that names directories with such files.
const DIRECTORIES: &str = "SSL_CERT_DIR";
/// Largest such file: far over the certificates of all authorities of the world.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most files of such a directory: a few hundred authorities, each under two names.
const FILES_MAX: usize = 4_096;

/// The certificates in `pem`. `named_by` says where they come from.
///
/// # Errors
///
/// `Invalid`: there is none, or something that is damaged.
pub(super) fn read(
    named_by: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = certificates(pem).map_err(|why| Error::invalid(named_by, why))?;
    if found.is_empty() {
        return Err(Error::invalid(named_by, "has no certificate in it"));
    }
    // Bundles of systems have some that mean nothing to TLS; what has no other is a mistake.
    if RootCertStore::empty().add_parsable_certificates(found.iter().cloned()).0 == 0 {
        return Err(Error::invalid(named_by, "has no certificate in it that TLS can use"));
    }
    Ok(found)
}

/// The certificates that the environment names; none if it names none. `variable` looks a variable up.
///
/// # Errors
///
/// `Io`: what it names cannot be read. `Invalid`: as [`read`].
pub(super) fn of_environment(
    variable: impl Fn(&'static str) -> Result<Option<String>, Error>,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let (file, directories) = (variable(FILE)?, variable(DIRECTORIES)?);
    let mut all = Vec::new();
    if let Some(path) = &file {
        all.extend(read(FILE, &read_file(FILE, Path::new(path))?)?);
    }
    if let Some(paths) = &directories {
        for path in std::env::split_paths(paths).filter(|path| !path.as_os_str().is_empty()) {
            // Beside a file, what is no directory says that there shall be none, as /dev/null does.
            let is_one = std::fs::metadata(&path).is_ok_and(|found| found.is_dir());
            if is_one || file.is_none() {
                all.extend(of_directory(&path)?);
            }
        }
        if all.is_empty() {
            return Err(Error::invalid(DIRECTORIES, "has no certificate in it"));
        }
    }
    Ok(all)
}

/// The certificates in the files of a directory. Others lie there too (lists of what was revoked, a word about it):
/// what has no certificate in it is passed by, and what has one that is damaged is refused.
fn of_directory(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreadable = |found: std::io::Error| unreadable(DIRECTORIES, path, &found.to_string());
    let mut all = Vec::new();
    for (count, entry) in std::fs::read_dir(path).map_err(unreadable)?.enumerate() {
        if count >= FILES_MAX {
            let why = format!("{}: has more than {FILES_MAX} files", path.display());
            return Err(Error::invalid(DIRECTORIES, why));
        }
        let file = entry.map_err(unreadable)?.path();
        // Also where a link leads; one that leads nowhere is what such directories often have.
        if !std::fs::metadata(&file).is_ok_and(|found| found.is_file()) {
            continue;
        }
        let pem = read_file(DIRECTORIES, &file)?;
        let found = certificates(&pem);
        let named = |why| Error::invalid(DIRECTORIES, format!("{}: {why}", file.display()));
        all.extend(found.map_err(named)?);
    }
    Ok(all)
}

/// The certificates in a text; why it cannot be used where one is damaged.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut all = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(found)) if is_whole(&found) => {
                all.push(CertificateDer::from(found.der().to_vec()));
            }
            Ok(PemItem::Certificate(_)) => {
                return Err("has a certificate that is damaged".to_owned());
            }
            Ok(_) => {}
            Err(found) => return Err(found.to_string()),
        }
    }
    Ok(all)
}

/// All bytes of a file.
///
/// # Errors
///
/// `Io`: it cannot be read.
pub(super) fn read_file(named_by: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = Outside::open_file(path).and_then(|file| read_at_most(file, FILE_BYTES_MAX));
    bytes.map_err(|found| unreadable(named_by, path, &found.to_string()))
}

/// The failure that a file, or a directory, cannot be read.
fn unreadable(named_by: &'static str, path: &Path, why: &str) -> Error {
    let why = format!("cannot read {}: {why}", path.display());
    Cause::File { argument: named_by, why }.into()
}

/// Whether the bytes are one DER value to their end, as a certificate is. What is not would be left out without a
/// word when the certificates are used.
fn is_whole(certificate: &Certificate<'_>) -> bool {
    let der = certificate.der();
    let Some((&[0x30, first], rest)) = der.split_first_chunk::<2>() else { return false };
    if first < 0x80 {
        return rest.len() == usize::from(first);
    }
    let count = usize::from(first & 0x7f);
    let Some((length, content)) = rest.split_at_checked(count).filter(|_| count <= 4) else {
        return false;
    };
    let length = length.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
    content.len() == length
}
