//! The hub of the demo: a child that is killed, and started again on the same data.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{ChildStdin, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
};

use super::{
    child::{Launch, Process},
    site::Site,
    watch::{GLANCE, Watch},
};
use crate::exit::Failure;

/// A hub that runs, or did.
#[derive(Debug)]
pub(super) struct HubProcess {
    /// The child.
    process: Process,
    /// The hub ends when this does, so that it cannot outlive the demo.
    _lifeline: Option<ChildStdin>,
    /// Where it listens.
    address: SocketAddr,
    /// Whether it was killed.
    dead: bool,
}

impl HubProcess {
    /// Starts a hub on a free port and waits until it is ready.
    ///
    /// # Errors
    ///
    /// It does not start, or not in time.
    pub(super) fn start(site: &Site, key: &str, watch: &Watch) -> Result<Self, Failure> {
        let mut process = Launch::new(site, "serve")?
            .option("--data", site.hub())
            .option("--listen", "127.0.0.1:0")
            .option("--cards", site.cards())
            .option("--segment-bytes", SEGMENT_BYTES)
            .flag("--until-stdin-ends")
            .key(key)
            .stdin()
            .stdout(Stdio::piped())
            .start()?;
        let lifeline = process.take_stdin();
        let address = Self::ready(&mut process, site, watch)?;
        Ok(Self { process, _lifeline: lifeline, address, dead: false })
    }

    /// Waits for the line that says where it listens.
    fn ready(process: &mut Process, site: &Site, watch: &Watch) -> Result<SocketAddr, Failure> {
        let stdout = process.take_stdout().ok_or_else(|| Failure::failed("the hub has no pipe"))?;
        let (sender, first_line) = mpsc::channel();
        thread::Builder::new()
            .name("hub-output".to_owned())
            .spawn(move || {
                let mut line = String::new();
                if BufReader::new(stdout).read_line(&mut line).is_ok() && sender.send(line).is_err()
                {
                    // The demo has given up on this hub.
                }
            })
            .map_err(|error| Failure::failed(format!("cannot start a thread: {error}")))?;
        loop {
            watch.check("waiting for the hub")?;
            match first_line.recv_timeout(GLANCE) {
                Ok(line) => {
                    let address = line.trim().strip_prefix("listening on http://");
                    if let Some(address) = address.and_then(|address| address.parse().ok()) {
                        return Ok(address);
                    }
                    let status = process.wait(watch)?;
                    return Err(process.failed(status, site));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::failed("the hub closed its output"));
                }
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it was killed.
    #[must_use]
    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    ///
    /// The operating system refused.
    pub(super) fn kill(&mut self) -> Result<(), Failure> {
        self.dead = true;
        self.process.kill()
    }
}

/// Segments of the demo's hub: room for all its effects without the default's 64 MiB a file.
const SEGMENT_BYTES: &str = "4194304";
