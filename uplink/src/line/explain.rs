//! What a failed exchange means, in words.

use std::io;

use super::proxy::Via;

/// What went wrong, for the person who has to find out. `via`: the proxy that the request went through.
pub(super) fn explain(error: &ureq::Error, via: Option<&Via>) -> String {
    let why = by_itself(error);
    let Some(Via { shown, named_by, .. }) = via else { return why };
    if is_the_proxys(error) {
        return format!("the proxy {shown} (named by {named_by}): {why}");
    }
    format!("{why} (through the proxy {shown}, named by {named_by})")
}

/// Whether it surely happened on the way to the proxy: no connection is made to anybody else.
fn is_the_proxys(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => true,
        ureq::Error::Io(found) => matches!(
            found.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
        ),
        _ => false,
    }
}

/// Explains an error without the way to the upstream.
fn by_itself(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "the host's name cannot be resolved".to_owned(),
        ureq::Error::BodyExceedsLimit(limit) => {
            format!("the reply has more than {limit} bytes")
        }
        ureq::Error::Timeout(phase) => format!("no complete answer in time ({phase})"),
        ureq::Error::RequireHttpsOnly(_) => "the address must be https".to_owned(),
        ureq::Error::ConnectProxyFailed(why) => format!("it opens no way to the upstream: {why}"),
        ureq::Error::Io(found) => explain_io(found),
        other => with_advice(other.to_string()),
    }
}

/// Explains what the operating system, or TLS through it, says.
fn explain_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused: nothing listens there".to_owned(),
        io::ErrorKind::UnexpectedEof => "the connection ended before the answer did".to_owned(),
        io::ErrorKind::NotConnected => "the line is shut down".to_owned(),
        _ => with_advice(error.to_string()),
    }
}

/// What TLS says of a certificate, with what can be done about it.
fn with_advice(why: String) -> String {
    if why.contains("UnknownIssuer") {
        return format!(
            "{why}: who signed it is not trusted here; an authority of the upstream's own is given in a file \
             of certificates (--ca-file, SSL_CERT_FILE or SSL_CERT_DIR)"
        );
    }
    if why.contains("CaUsedAsEndEntity") {
        return format!(
            "{why}: the server shows the certificate of an authority as its own; have that authority sign one for \
             the server, or make one that is none (basicConstraints CA:FALSE)"
        );
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_told_with_what_to_do() {
        for (tls, advice) in [
            ("UnknownIssuer", "--ca-file"),
            ("Other(OtherError(CaUsedAsEndEntity))", "basicConstraints CA:FALSE"),
        ] {
            let found = io::Error::other(format!("invalid peer certificate: {tls}"));
            let why = explain(&ureq::Error::Io(found), None);
            assert!(why.contains(tls) && why.contains(advice), "{why}");
        }
    }
}
