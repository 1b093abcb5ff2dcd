//! The line to an upstream, as the arguments and the environment have it.

use onceward_uplink::{Error, Line, Secret, Timeouts};

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
        Some(proxy) if proxy.eq_ignore_ascii_case("none") => line,
        Some(proxy) => line.through(proxy).map_err(|error| refused("--proxy", &error))?,
        None => line.through_environment().map_err(|error| refused("the environment", &error))?,
    };
    match &args.ca_file {
        Some(file) => line.trusting_file(file).map_err(|error| refused("--ca-file", &error)),
        None => line.trusting_environment().map_err(|error| refused("the environment", &error)),
    }
}

/// What is wrong with what the caller gave.
fn refused(what: &str, error: &Error) -> Failure {
    Failure::usage(format!("{what}: {error}"))
}
