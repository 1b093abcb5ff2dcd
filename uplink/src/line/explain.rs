//! What a failed exchange means, in words.

use std::io;

use rustls::{AlertDescription as Alert, CertificateError as Untrusted};

use super::proxy::Via;
use super::tls::NotPinned;
use super::{Line, is_closed};

impl Line {
    /// What went wrong on this line, for the person who has to find out.
    pub(super) fn explain(&self, error: &ureq::Error) -> String {
        let why = explain(error, self.via.as_ref());
        // Whether the reason arrives before the connection is closed is chance.
        let may_be_it =
            is_closed(error) || matches!(of_tls(error), Some(rustls::Error::AlertReceived(_)));
        if may_be_it && self.tls.was_asked_in_vain() {
            return format!(
                "{why}: the upstream wants a certificate of this terminal, and none is given (--client-cert and \
                 --client-key)"
            );
        }
        why
    }
}

/// What went wrong, for the person who has to find out. `via`: the proxy that the request went through.
fn explain(error: &ureq::Error, via: Option<&Via>) -> String {
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
        ureq::Error::Io(found) => {
            is_lookup(found)
                || matches!(
                    found.kind(),
                    io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::HostUnreachable
                        | io::ErrorKind::NetworkUnreachable
                )
        }
        _ => false,
    }
}

/// What TLS says, if it was that.
fn of_tls(error: &ureq::Error) -> Option<&rustls::Error> {
    let ureq::Error::Io(found) = error else { return None };
    found.get_ref()?.downcast_ref()
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
        ureq::Error::Io(found) => match of_tls(error) {
            Some(tls) => explain_tls(tls),
            None => explain_io(found),
        },
        other => with_advice(other.to_string()),
    }
}

/// Explains what the operating system, or TLS through it, says.
fn explain_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused: nothing listens there".to_owned(),
        io::ErrorKind::UnexpectedEof => "the connection ended before the answer did".to_owned(),
        io::ErrorKind::NotConnected => "the line is shut down".to_owned(),
        _ if is_lookup(error) => format!("the host's name cannot be resolved: {error}"),
        _ => error.to_string(),
    }
}

/// Whether a name could not be looked up, for which the standard library has words and no kind.
fn is_lookup(error: &io::Error) -> bool {
    error.to_string().starts_with("failed to lookup address information")
}

/// What TLS says, with what can be done about it.
fn explain_tls(error: &rustls::Error) -> String {
    match error {
        rustls::Error::AlertReceived(alert) => {
            let what = match alert {
                Alert::ProtocolVersion => {
                    "it speaks neither TLS 1.2 nor 1.3, and nothing older is safe"
                }
                Alert::HandshakeFailure => "it has no way to encrypt in common with this program",
                Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied => {
                    "it refuses the certificate of this terminal (--client-cert)"
                }
                _ => return error.to_string(),
            };
            format!("{error}: {what}")
        }
        rustls::Error::PeerIncompatible(_) => format!(
            "{error}: the upstream and this program have no TLS in common; at least 1.2 is needed, nothing older is safe"
        ),
        rustls::Error::InvalidMessage(_) => format!("{error}: what answers does not speak TLS"),
        rustls::Error::InvalidCertificate(
            Untrusted::Expired
            | Untrusted::ExpiredContext { .. }
            | Untrusted::NotValidYet
            | Untrusted::NotValidYetContext { .. },
        ) => format!("{error}; or the clock of this machine is wrong"),
        rustls::Error::InvalidCertificate(Untrusted::Other(other)) if other.0.is::<NotPinned>() => {
            other.0.to_string()
        }
        other => with_advice(other.to_string()),
    }
}

/// What TLS says of a certificate, with what can be done about it.
fn with_advice(why: String) -> String {
    if why.contains("UnknownIssuer") {
        return format!(
            "{why}: who signed it is not trusted here; an authority of the upstream's own is given in a file \
             of certificates (--ca, SSL_CERT_FILE or SSL_CERT_DIR)"
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
    use std::sync::Arc;

    use rustls::{CertificateError, OtherError};

    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_told_with_what_to_do() {
        let authority = OtherError(Arc::new(webpki::Error::CaUsedAsEndEntity));
        for (found, tls, advice) in [
            (CertificateError::UnknownIssuer, "UnknownIssuer", "--ca"),
            (CertificateError::Other(authority), "CaUsedAsEndEntity", "basicConstraints CA:FALSE"),
            (CertificateError::Expired, "Expired", "clock of this machine"),
            (CertificateError::NotValidYet, "NotValidYet", "clock of this machine"),
        ] {
            let found = io::Error::other(rustls::Error::InvalidCertificate(found));
            let why = explain(&ureq::Error::Io(found), None);
            assert!(why.contains(tls) && why.contains(advice), "{why}");
        }
    }
}
