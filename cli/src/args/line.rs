//! The arguments that say how an upstream is reached.

use std::{fmt, path::PathBuf};

use clap::Args;

/// How the upstream is reached.
#[derive(Args)]
pub struct LineArgs {
    /// The proxy to go through, http://HOST:PORT, or `none`; unless given, HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and
    /// NO_PROXY say it
    #[arg(long, value_name = "URL")]
    pub proxy: Option<String>,
    /// File with the certificates to trust (PEM), and no others; unless given, SSL_CERT_FILE and SSL_CERT_DIR name
    /// them, or those built in are trusted
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

// The proxy's address may hold a password.
impl fmt::Debug for LineArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineArgs").field("ca_file", &self.ca_file).finish_non_exhaustive()
    }
}
