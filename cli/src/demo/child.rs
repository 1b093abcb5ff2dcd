//! Children of the demo: this same program with its ordinary commands, killed and reaped whatever happens.

use std::{
    env,
    ffi::OsStr,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    thread,
};

use super::{
    site::Site,
    watch::{GLANCE, Watch},
};
use crate::exit::{Exit, Failure};

/// A running child; dies by SIGKILL at the latest when it is dropped.
#[derive(Debug)]
pub(super) struct Process {
    /// The child.
    child: Child,
    /// Which command it runs.
    name: String,
}

/// A child to be started.
#[derive(Debug)]
pub(super) struct Launch {
    /// The command line so far.
    command: Command,
    /// Which command it runs.
    name: String,
}

impl Launch {
    /// `onceward NAME`, silent: nothing on stdin, stdout thrown away, stderr into the site's file.
    ///
    /// # Errors
    ///
    /// This program cannot be found again, or the file cannot be opened.
    pub(super) fn new(site: &Site, name: &str) -> Result<Self, Failure> {
        let program = env::current_exe()
            .map_err(|error| Failure::failed(format!("cannot find this program: {error}")))?;
        let mut command = Command::new(program);
        command.args(name.split(' '));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(site.chatter_file()?);
        Ok(Self { command, name: name.to_owned() })
    }

    /// Adds an option with a value.
    #[must_use]
    pub(super) fn option(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.arg(name).arg(value);
        self
    }

    /// Adds an option without one.
    #[must_use]
    pub(super) fn flag(mut self, name: &str) -> Self {
        self.command.arg(name);
        self
    }

    /// Gives the child the bearer key, not as an argument, since those are public on a machine.
    #[must_use]
    pub(super) fn key(mut self, key: &str) -> Self {
        self.command.env("ONCEWARD_API_KEY", key);
        self
    }

    /// Opens a pipe to the child's stdin.
    #[must_use]
    pub(super) fn stdin(mut self) -> Self {
        self.command.stdin(Stdio::piped());
        self
    }

    /// Sends the child's stdout somewhere.
    #[must_use]
    pub(super) fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stdout(to);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// The operating system refused.
    pub(super) fn start(mut self) -> Result<Process, Failure> {
        let child = self.command.spawn().map_err(|error| {
            Failure::failed(format!("cannot start `onceward {}`: {error}", self.name))
        })?;
        Ok(Process { child, name: self.name })
    }

    /// Starts it and waits for its end, which must be a success.
    ///
    /// # Errors
    ///
    /// It cannot be started, did not end in time, or failed.
    pub(super) fn run(self, site: &Site, watch: &Watch) -> Result<(), Failure> {
        let mut process = self.start()?;
        let status = process.wait(watch)?;
        if status.success() { Ok(()) } else { Err(process.failed(status, site)) }
    }
}

impl Process {
    /// The pipe to its stdin, once.
    pub(super) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// The pipe from its stdout, once.
    pub(super) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Kills it with SIGKILL and reaps it.
    ///
    /// # Errors
    ///
    /// The operating system refused.
    pub(super) fn kill(&mut self) -> Result<(), Failure> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(|_status| ()).map_err(|error| {
            Failure::failed(format!("cannot kill `onceward {}`: {error}", self.name))
        })
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    ///
    /// The operating system refused.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        let name = &self.name;
        self.child
            .try_wait()
            .map_err(|error| Failure::failed(format!("cannot wait for `onceward {name}`: {error}")))
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// It did not end in time.
    pub(super) fn wait(&mut self, watch: &Watch) -> Result<ExitStatus, Failure> {
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            watch.check(&format!("waiting for `onceward {}`", self.name))?;
            thread::sleep(GLANCE);
        }
    }

    /// A failure that shows how the child ended and what it said.
    #[must_use]
    pub(super) fn failed(&self, status: ExitStatus, site: &Site) -> Failure {
        let said = site.last_chatter();
        let message = format!("`onceward {}` ended with {status}:\n{said}", self.name);
        Failure::at_length(Exit::Failed, message)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.kill().is_err() {
            // It has ended already; and what the system refuses here, nobody could do better.
        }
    }
}
