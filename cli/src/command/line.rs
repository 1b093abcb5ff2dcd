//! The line to an upstream, as the arguments and the environment have it.

use onceward_uplink::{Error, ErrorKind, Line, Secret, Timeouts};

use crate::{args::LineArgs, exit::Failure};

/// A line to the upstream at `to`.
///
/// # Errors
///
/// The address, the proxy or the certificates cannot be used; nothing was sent.
pub(super) fn to(to: &str, key: Option<Secret>, args: &LineArgs) -> Result<Line, Failure> {
    let line =
        Line::direct(to, key, Timeouts::default()).map_err(|error| refused("--to", &error))?;
    let line = match args.proxy.as_deref() {
        Some(proxy) if proxy.eq_ignore_ascii_case("none") => Ok(line),
        Some(proxy) => line.through("--proxy", proxy),
        None => line.through_environment(),
    };
    let line = line.map_err(|error| refused("no way to the upstream", &error))?;
    match &args.ca_file {
        Some(file) => line.trusting_file("--ca-file", file),
        None => line.trusting_environment(),
    }
    .map_err(|error| refused("no certificates to trust", &error))
}

/// The failure for an argument that is wrong, or that names a file that is.
fn refused(what: &str, error: &Error) -> Failure {
    let message = format!("{what}: {error}");
    match error.kind() {
        ErrorKind::Invalid => Failure::usage(message),
        _ => Failure::failed(message),
    }
}
