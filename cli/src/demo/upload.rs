//! The uploads of the demo: run after run through the bad line, with kills when the line calls for them.

use std::{
    io,
    net::SocketAddr,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use indicatif::ProgressBar;

use super::{
    child::{Launch, Process},
    dialect::DemoDialect,
    hub::HubProcess,
    line::{Call, Line, plan},
    site::{Run, Site},
    watch::{GLANCE, Watch},
};
use crate::exit::{Exit, Failure};

/// Everything between the terminal's store and the hub's.
#[derive(Debug)]
pub(super) struct Upload<'a> {
    /// Where the stores are.
    site: &'a Site,
    /// The dialect that is spoken.
    dialect: &'a DemoDialect,
    /// The hub's bearer key.
    key: &'a str,
    /// The demo's clock.
    watch: &'a Watch,
    /// The hub, running or killed.
    hub: HubProcess,
    /// The bad line.
    line: Line,
    /// What the line calls for.
    calls: Receiver<Call>,
    /// How often the uploader and the hub were killed.
    kills: u64,
}

/// How one run of the uploader ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    /// Nothing is pending any more.
    Drained,
    /// The line failed; there is more to send.
    Pending,
    /// The uploader was killed.
    Killed,
}

impl<'a> Upload<'a> {
    /// Starts the hub and the line to it, which is as bad as the seed has it, for an upload of so many purchases.
    ///
    /// # Errors
    ///
    /// Either does not start.
    pub(super) fn start(
        (site, dialect): (&'a Site, &'a DemoDialect),
        key: &'a str,
        (seed, rows): (u64, u64),
        watch: &'a Watch,
    ) -> Result<Self, Failure> {
        let plan = plan(seed, rows.div_ceil(dialect.items_max().max(1)))?;
        let hub = HubProcess::start(site, key, watch)?;
        let (sender, calls) = mpsc::channel();
        let line = Line::start(hub.address(), plan, sender).map_err(|error: io::Error| {
            Failure::failed(format!("cannot start the line: {error}"))
        })?;
        Ok(Self { site, dialect, key, watch, hub, line, calls, kills: 0 })
    }

    /// Runs the uploader again and again until nothing is pending.
    ///
    /// # Errors
    ///
    /// It failed in any other way than by the line or by being killed, or not in time.
    pub(super) fn drain(&mut self, bar: &ProgressBar) -> Result<(), Failure> {
        loop {
            self.watch.check("uploading")?;
            if self.hub.is_dead() {
                self.hub = HubProcess::start(self.site, self.key, self.watch)?;
                let led = self.line.lead_to(self.hub.address());
                led.map_err(|error| Failure::failed(format!("no way to the hub: {error}")))?;
            }
            let mut uploader = self.launch(self.line.address())?;
            match self.attend(&mut uploader, bar)? {
                Ended::Drained => return Ok(()),
                Ended::Pending => thread::sleep(PAUSE),
                Ended::Killed => {}
            }
        }
    }

    /// Starts one run.
    fn launch(&self, to: SocketAddr) -> Result<Process, Failure> {
        Launch::new(self.site, "sync")?
            .option("--store", self.site.terminal())
            .option("--to", format!("http://{to}"))
            .option("--dialect", self.dialect.argument())
            .flag("--once")
            .key(self.key)
            .start()
    }

    /// Follows one run to its end, and kills what the line calls for.
    fn attend(&mut self, uploader: &mut Process, bar: &ProgressBar) -> Result<Ended, Failure> {
        loop {
            self.watch.check("uploading")?;
            // As far as anybody sees from outside.
            let delivered = self.line.delivered().saturating_mul(self.dialect.items_max());
            bar.set_position(delivered.min(bar.length().unwrap_or(delivered)));
            match self.calls.recv_timeout(GLANCE) {
                Ok(Call::KillHub) => {
                    self.hub.kill()?;
                    self.kills += 1;
                }
                Ok(Call::KillUploader) => {
                    uploader.kill()?;
                    self.kills += 1;
                    return Ok(Ended::Killed);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::failed("the line ended by itself"));
                }
            }
            let Some(status) = uploader.ended()? else { continue };
            let code = status.code();
            // What the hub refuses waits for a person: the demo's own purchases do that on purpose.
            if status.success() || code == Some(i32::from(Exit::Review as u8)) {
                return Ok(Ended::Drained);
            }
            if code == Some(i32::from(Exit::Pending as u8)) {
                return Ok(Ended::Pending);
            }
            return Err(uploader.failed(status, self.site));
        }
    }

    /// Kills the hub for the last time; returns what the line saw and how often something was killed on the way.
    ///
    /// # Errors
    ///
    /// The operating system refused.
    pub(super) fn end(mut self) -> Result<Run, Failure> {
        self.hub.kill()?;
        Ok(Run {
            upload_requests: self.line.requests(),
            replies_lost: self.line.lost(),
            kills: self.kills,
            ..Run::default()
        })
    }
}

/// Between two runs: a line that refuses does so for longer than this.
const PAUSE: Duration = Duration::from_millis(30);
