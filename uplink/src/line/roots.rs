//! Whose certificates are trusted.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a file of the operator's: only read, nothing durable in it"
)]

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use crate::error::Error;

/// The variable that names a file with the certificates to trust, as for OpenSSL.
pub(super) const VARIABLE: &str = "SSL_CERT_FILE";
/// Largest such file: far over the certificates of all authorities of the world.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The certificates in `pem`, and no others. `named_by` says where they come from.
///
/// # Errors
///
/// `Invalid`: there is none, or something that is damaged.
pub(super) fn read(named_by: &'static str, pem: &[u8]) -> Result<RootCerts, Error> {
    let mut roots = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(found)) if is_whole(&found) => roots.push(found),
            Ok(PemItem::Certificate(_)) => {
                return Err(Error::invalid(named_by, "has a certificate that is damaged"));
            }
            Ok(_) => {}
            Err(found) => return Err(Error::invalid(named_by, found.to_string())),
        }
    }
    if roots.is_empty() {
        return Err(Error::invalid(named_by, "has no certificate in it"));
    }
    Ok(RootCerts::new_with_certs(&roots))
}

/// The certificates in the file `path`, as [`read`].
///
/// # Errors
///
/// `Invalid`: it cannot be read, or as [`read`].
pub(super) fn read_file(named_by: &'static str, path: &Path) -> Result<RootCerts, Error> {
    let refused = |why: String| Error::invalid(named_by, format!("{}: {why}", path.display()));
    let mut pem = Vec::new();
    // A pipe may never bring anything, and a device never end.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(refused("is not a regular file".to_owned()));
    }
    let file = File::open(path).map_err(|found| refused(format!("cannot be read: {found}")))?;
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut pem)
        .map_err(|found| refused(format!("cannot be read: {found}")))?;
    if u64::try_from(pem.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(refused(format!("has more than {FILE_BYTES_MAX} bytes")));
    }
    read(named_by, &pem)
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
