//! The line to an upstream, as the arguments and the environment have it.

use onceward_uplink::{Error, ErrorKind, Line, Secret, Timeouts};

use crate::{args::LineArgs, exit::Failure};

/// A line to the upstream at `to`.
///
/// # Errors
///
/// The address, the proxy or the certificates cannot be used; nothing was sent.
pub(super) fn to(to: &str, key: Option<Secret>, args: &LineArgs) -> Result<Line, Failure> {
    let made = match args.allow_plain_http {
        true => Line::allowing_plain_http(to, key, Timeouts::default()),
        false => Line::direct(to, key, Timeouts::default()),
    };
    let line = made.map_err(|error| refused("--to", &error))?;
    let line = match args.proxy.as_deref() {
        Some(proxy) if proxy.eq_ignore_ascii_case("none") => Ok(line),
        Some(proxy) => line.through("--proxy", proxy),
        None => line.through_environment(),
    };
    let line = line.map_err(|error| refused("no way to the upstream", &error))?;
    let line = trusting(line, args)?;
    let line = match (&args.client_cert, &args.client_key) {
        (Some(certificates), Some(key)) => {
            let named_by = ("--client-cert", "--client-key");
            line.with_client_certificate_files(named_by, certificates, key)
                .map_err(|error| refused("no certificate to show", &error))?
        }
        _ => line,
    };
    if args.pins.is_empty() {
        return Ok(line);
    }
    line.pinning(&args.pins).map_err(|error| refused("--pin", &error))
}

/// The line with the authorities that were asked for.
fn trusting(line: Line, args: &LineArgs) -> Result<Line, Failure> {
    let given = match args.ca.as_slice() {
        [] => line.trusting_environment(),
        files => files.iter().try_fold(line, |line, file| line.trusting_file_also("--ca", file)),
    };
    let line = given.map_err(|error| refused("no certificates to trust", &error))?;
    match args.ca_only {
        true => line.trusting_only_given().map_err(|error| refused("--ca-only", &error)),
        false => Ok(line),
    }
}

/// The failure for an argument that is wrong, or that names a file that is.
fn refused(what: &str, error: &Error) -> Failure {
    let message = format!("{what}: {error}");
    match error.kind() {
        ErrorKind::Invalid => Failure::usage(message),
        _ => Failure::failed(message),
    }
}
