//! A hub in a process of its own.

use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child as Process, Command, Stdio};

/// The key of every terminal here.
pub(super) const KEY: &str = "figures";

/// A hub that runs until it is dropped.
#[derive(Debug)]
pub(super) struct Hub {
    process: Process,
    address: SocketAddr,
}

impl Hub {
    /// Starts one with its data in `dir`.
    pub(super) fn start(dir: &Path) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(env::current_exe()?)
            .args(["sync", "--child", "sync-hub", "--dir"])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = serde_json::from_str(&line)?;
        Ok(Self { process, address })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // What it confirmed is durable, and nobody asks it any more.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Serves, prints where, and goes on until it is killed.
///
/// # Errors
///
/// It cannot.
pub(crate) fn serve(dir: &Path) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let hub = onceward_hub::Hub::open(onceward_hub::Options::new(dir, KEY))?;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("{}", serde_json::to_string(&listener.local_addr()?)?);
        let ended = async {
            let end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
            drop(end.await);
        };
        onceward_hub::serve(hub, listener, ended).await?;
        Ok(())
    })
}
