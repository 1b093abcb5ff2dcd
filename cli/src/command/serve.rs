//! `serve`: the hub, until SIGHUP, SIGINT or SIGTERM. The runtime lives here.

use std::{
    fmt::Write as _,
    io::{self, Read},
    net::{SocketAddr, ToSocketAddrs},
    num::NonZero,
    sync::mpsc,
    thread,
    time::Duration,
};

use onceward_hub::{Error, Hub, Notice, Options};
use serde::Serialize;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::oneshot,
};

use crate::{
    args::ServeArgs,
    command::{api_key, stop::Stop},
    exit::{self, Exit, Failure, Outcome},
    output::{Output, chatter},
    panics,
};

/// Runs the command.
///
/// # Errors
///
/// The data or the cards cannot be opened, the address cannot be listened on, or the hub failed.
pub fn run(args: ServeArgs, json: bool) -> Outcome {
    let key = match api_key::given(&args.key)? {
        Some(key) => key,
        None => generated_key()?,
    };
    // Its threads first: where there are none, nothing is opened.
    let runtime = runtime()?;
    let mut options = Options::new(args.data.clone(), key);
    if let Some(cards) = &args.cards {
        options = options.with_cards(cards);
    }
    if args.must_exist {
        options = options.existing();
    }
    if let Some(bytes) = args.segment_bytes {
        options = options.with_segment_bytes(bytes);
    }
    // Before anything is opened, for nobody knows how long a name takes.
    let addresses = resolved(&args.listen)?;
    let hub = Hub::open_with_notices(options, report).map_err(|error| {
        let failure = refused(&format!("cannot open the hub in {}", args.data.display()), &error);
        match failure.exit() {
            Exit::Full => failure.and(SMALLER),
            _ => failure,
        }
    })?;
    runtime.block_on(serve(hub, &args, &addresses, json))
}

/// Prints a notice on stderr, and for damage the command that shows more.
fn report(notice: &Notice) {
    match notice {
        Notice::Damaged { dir, .. } => {
            chatter(&format!("{notice}; see 'onceward verify --store {}'", dir.display()));
        }
        _ => chatter(&notice.to_string()),
    }
}

/// The addresses of a name and a port.
fn resolved(listen: &str) -> Result<Vec<SocketAddr>, Failure> {
    let unknown = |why: String| Failure::failed(format!("cannot listen on {listen}: {why}"));
    let found = listen.to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
    let found: Vec<_> = found.collect();
    if found.is_empty() { Err(unknown("the name has no address".to_owned())) } else { Ok(found) }
}

/// The runtime, with all the threads that it cannot do without. Where the machine gives it some and not all, it panics
/// and waits for those that it has: so it is asked for elsewhere, and not waited for for ever.
fn runtime() -> Result<Runtime, Failure> {
    let refused = |why: String| Failure::failed(format!("cannot start a runtime: {why}"));
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    // Its workers, the one that waits for the disk, and the one that asks for them.
    probe(workers.saturating_add(2)).map_err(refused)?;
    let (sender, built) = mpsc::sync_channel(1);
    let ask = move || {
        if sender.send(panics::caught(|| build(workers)).unwrap_or_else(Err)).is_err() {
            // It is not waited for any more.
        }
    };
    let started = thread::Builder::new().name("runtime".to_owned()).spawn(ask);
    started.map_err(|error| refused(format!("no thread can be started: {error}")))?;
    let late = |_nothing_came| Err("its threads do not all start".to_owned());
    built.recv_timeout(START_MAX).unwrap_or_else(late).map_err(refused)
}

/// Builds the runtime. The thread that waits for the disk stays, so that no request ever needs a new one.
fn build(workers: usize) -> Result<Runtime, String> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).enable_all().thread_keep_alive(Duration::MAX);
    let runtime = builder.build().map_err(|error| error.to_string())?;
    let disk = runtime.block_on(async { tokio::task::spawn_blocking(|| ()).await });
    disk.map(|()| runtime).map_err(|error| error.to_string())
}

/// Whether the machine gives so many threads at once.
fn probe(count: usize) -> Result<(), String> {
    let mut held = Vec::new();
    let mut given = Ok(());
    for _ in 0..count {
        let (release, released) = mpsc::channel::<()>();
        // Until it is released, which is when the other end is gone.
        let wait = move || released.recv().unwrap_or_default();
        match thread::Builder::new().name("probe".to_owned()).spawn(wait) {
            Ok(thread) => held.push((release, thread)),
            Err(error) => {
                given = Err(format!("no thread can be started: {error}"));
                break;
            }
        }
    }
    for (release, thread) in held {
        drop(release);
        // It does nothing, so it does not panic either.
        thread.join().unwrap_or_default();
    }
    given
}

/// Serves until the end, and closes the hub in order, also where it could not begin.
async fn serve(hub: Hub, args: &ServeArgs, addresses: &[SocketAddr], json: bool) -> Outcome {
    let (listener, shutdown) = match ready(args, addresses, json).await {
        Ok(ready) => ready,
        Err(failure) => {
            let closed = hub.close().map_err(|error| refused("cannot close the hub", &error));
            return exit::after_closing(Err(failure), closed);
        }
    };
    onceward_hub::serve_with_grace(hub, listener, shutdown, GRACE)
        .await
        .map_err(|error| refused("the hub failed", &error))?;
    Ok(Exit::Ok)
}

/// Listens, prints where, and returns what resolves when the hub is to end.
async fn ready(
    args: &ServeArgs,
    addresses: &[SocketAddr],
    json: bool,
) -> Result<(TcpListener, impl Future<Output = ()> + Send + 'static), Failure> {
    let unheard = |error| Failure::failed(format!("cannot listen on {}: {error}", args.listen));
    let listener = TcpListener::bind(addresses).await.map_err(unheard)?;
    let address = listener.local_addr().map_err(unheard)?;
    // Before the line on stdout: whoever reads that may send a signal at once.
    let signal = asked_to_end()?;
    let parent = args.until_stdin_ends.then(stdin_end).transpose()?;
    announce(&format!("http://{address}"), json)?;
    let shutdown = async move {
        match parent {
            None => signal.await,
            Some(parent) => tokio::select! {
                () = signal => {}
                _ = parent => {}
            },
        }
    };
    Ok((listener, shutdown))
}

/// Resolves when a signal comes; what follows is the end in order.
fn asked_to_end() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let (sender, asked) = oneshot::channel();
    let stop = Stop::listen(move || {
        if sender.send(()).is_err() {
            // The hub has ended by itself.
        }
    })?;
    Ok(async move {
        // The sender is not dropped without a signal.
        if asked.await.is_err() || !stop.is_asked() {
            std::future::pending::<()>().await;
        }
    })
}

/// The address at which the hub listens, as JSON.
#[derive(Debug, Serialize)]
struct Listening<'a> {
    /// Base URL.
    listening: &'a str,
}

/// Says on stdout that the hub is ready.
fn announce(url: &str, json: bool) -> Result<(), Failure> {
    let mut out = Output::stdout();
    if json {
        out.json(&Listening { listening: url })?;
    } else {
        out.line(&format!("listening on {url}"))?;
    }
    out.flush()
}

/// Resolves when stdin ends, which it does when the program that holds its other end dies.
fn stdin_end() -> Result<oneshot::Receiver<()>, Failure> {
    let (sender, receiver) = oneshot::channel();
    let thread = thread::Builder::new().name("stdin".to_owned());
    thread
        .spawn(move || {
            // Until the end or an error, which is an end too; the sender is dropped with the thread.
            let mut scrap = [0; 256];
            while io::stdin().read(&mut scrap).is_ok_and(|count| count > 0) {}
            drop(sender);
        })
        .map_err(|error| Failure::failed(format!("cannot start a thread: {error}")))?;
    Ok(receiver)
}

/// A key that nobody gave: 256 random bits, shown once.
fn generated_key() -> Result<String, Failure> {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::failed(format!("no random bytes for a key: {error}")))?;
    let mut key = String::from("onceward_");
    for byte in random {
        // Writing to a text cannot fail.
        write!(key, "{byte:02x}").map_err(|error| Failure::failed(error.to_string()))?;
    }
    chatter(&format!("no key was given; the key of this run is {key}"));
    Ok(key)
}

/// A failure of the hub as the program's.
fn refused(what: &str, error: &Error) -> Failure {
    Failure::with(exit::exit_of(error.kind()), format!("{what}: {error}"))
}

/// The advice where a disk has no room for the first segments.
const SMALLER: &str =
    "a new store needs room for a few segments, which are smaller with --segment-bytes";

/// The time that requests being worked on get once a signal came, so that the end is there within a second. Whoever
/// sent one that is cut off sends it again.
const GRACE: Duration = Duration::from_millis(500);

/// How long the runtime's threads may take to start.
const START_MAX: Duration = Duration::from_secs(5);
