//! The arguments that say how an upstream is reached.

use std::{fmt, path::PathBuf};

use clap::Args;
use onceward_uplink::Pin;

/// How the upstream is reached.
#[derive(Args)]
pub struct LineArgs {
    /// The proxy to go through, http://HOST:PORT, or `none`; unless given, HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and
    /// NO_PROXY say it
    #[arg(long, value_name = "URL")]
    pub proxy: Option<String>,
    /// File with certificates of authorities to trust (PEM) besides those built in, such as --ca shop-ca.pem; may be
    /// given several times. Unless given, SSL_CERT_FILE and SSL_CERT_DIR name some
    #[arg(long, value_name = "FILE", alias = "ca-file")]
    pub ca: Vec<PathBuf>,
    /// Trust no authority that is built in, only those of --ca, or of SSL_CERT_FILE and SSL_CERT_DIR
    #[arg(long)]
    pub ca_only: bool,
    /// File with the certificate of this terminal (PEM) for an upstream that asks for one, and with those between it
    /// and its authority behind it, such as --client-cert till-7.pem --client-key till-7.key
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub client_cert: Option<PathBuf>,
    /// File with the private key of that certificate (PEM, without a pass phrase)
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub client_key: Option<PathBuf>,
    /// Refuse the upstream unless its certificate, or one of those that vouch for it, has this public key, besides all
    /// else that is checked; may be given several times, for a spare key, such as
    /// --pin sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
    #[arg(long = "pin", value_name = "sha256/BASE64", value_parser = Pin::parse)]
    pub pins: Vec<Pin>,
    /// Send to another machine at an http:// address, or without TLS at a nats:// address: whoever is on the way
    /// reads the bearer key and all events, and can answer in the upstream's place
    #[arg(long)]
    pub allow_plain_http: bool,
}

// The proxy's address may hold a password.
impl fmt::Debug for LineArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineArgs")
            .field("ca", &self.ca)
            .field("ca_only", &self.ca_only)
            .field("client_cert", &self.client_cert)
            .field("client_key", &self.client_key)
            .field("pins", &self.pins)
            .field("allow_plain_http", &self.allow_plain_http)
            .finish_non_exhaustive()
    }
}
