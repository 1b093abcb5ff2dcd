//! What a failed exchange means, in words.

use std::io;

/// What went wrong, for the person who has to find out.
pub(super) fn explain(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "the host's name cannot be resolved".to_owned(),
        ureq::Error::BodyExceedsLimit(limit) => {
            format!("the reply has more than {limit} bytes")
        }
        ureq::Error::Timeout(phase) => format!("no complete answer in time ({phase})"),
        ureq::Error::RequireHttpsOnly(_) => "the address must be https".to_owned(),
        ureq::Error::Io(found) => explain_io(found),
        other => other.to_string(),
    }
}

/// The same for what the operating system, or TLS through it, says.
fn explain_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused: nothing listens there".to_owned(),
        io::ErrorKind::UnexpectedEof => "the connection ended before the answer did".to_owned(),
        io::ErrorKind::NotConnected => "the line is shut down".to_owned(),
        _ => error.to_string(),
    }
}
