//! A server of a test's own.
//!
//! Method: run `nats-server` on a free port with a new folder, and wait until it says who it is.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

/// How often it is looked whether a server is there, and how long between two looks.
const LOOKS: u32 = 400;
const LOOK: Duration = Duration::from_millis(25);

/// The ports that are tried.
const FIRST_PORT: u32 = 20_000;
const PORTS: u32 = 12_000;
/// More than a test takes.
const PORTS_OF_A_PROCESS: u32 = 64;

/// A server; killed when it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    folder: TempDir,
    more: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// A server with JetStream.
    pub(crate) fn start() -> Self {
        Self::with_config("")
    }

    /// The same, with these lines in its configuration.
    pub(crate) fn with_config(config: &str) -> Self {
        Self::with_files(config, &[])
    }

    /// The same, with more files beside it.
    pub(crate) fn with_files(config: &str, files: &[(&str, String)]) -> Self {
        let mut server = Self::new(free_port(), &[]);
        let folder = server.folder.path().to_owned();
        let config = [("server.conf", config.to_owned())];
        for (name, text) in files.iter().chain(&config) {
            #[expect(clippy::disallowed_methods, reason = "the configuration of another program")]
            std::fs::write(folder.join(name), text).unwrap();
        }
        server.more = vec!["-c".to_owned(), folder.join("server.conf").display().to_string()];
        server.run();
        server
    }

    /// One that does not run yet, with more arguments.
    pub(crate) fn new(port: u16, more: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { port, folder, more: more.to_vec(), child: None }
    }

    /// Starts it, or starts it again with what it had on disk, and waits until it answers.
    pub(crate) fn run(&mut self) {
        self.run_unasked();
        self.wait();
    }

    /// Starts it.
    pub(crate) fn run_unasked(&mut self) {
        let port = self.port.to_string();
        let spawn = |program: &str| {
            Command::new(program)
                .args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd"])
                .arg(self.folder())
                .args(&self.more)
                .current_dir(self.folder())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        };
        // Where Debian has it, and where users do not look by themselves.
        let spawned = spawn("nats-server").or_else(|_| spawn("/usr/sbin/nats-server"));
        self.child = Some(spawned.unwrap_or_else(|error| {
            panic!(
                "nats-server cannot be started: {error}. These tests need it: on Debian, apt-get install nats-server"
            )
        }));
    }

    /// Waits until it says who it is.
    pub(crate) fn wait(&mut self) {
        for _ in 0..LOOKS {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "nats-server on port {} ended: {ended:?}", self.port);
            if says_who_it_is(self.port) {
                return;
            }
            pause(LOOK);
        }
        panic!("nats-server on port {} does not answer", self.port);
    }

    /// Kills it: what it had to say is not said any more.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn says_who_it_is(port: u16) -> bool {
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).is_ok() && line.starts_with("INFO ")
}

/// A port on which nobody listens, below those that the system gives to connections.
pub(crate) fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Each process begins elsewhere: a test may be one.
    let own = std::process::id().wrapping_mul(PORTS_OF_A_PROCESS);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = (0..PORTS).map(|_| {
        let at = own.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % PORTS;
        u16::try_from(FIRST_PORT + at).unwrap()
    });
    ports.find(is_free).unwrap()
}

/// Waits.
pub(crate) fn pause(time: Duration) {
    #[expect(clippy::disallowed_methods, reason = "another process is waited for")]
    std::thread::sleep(time);
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if is_so() {
            return;
        }
        pause(LOOK);
    }
    panic!("it is not so after {:?}: {what}", LOOK * LOOKS);
}
