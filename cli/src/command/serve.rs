//! `serve`: the hub, until SIGINT or SIGTERM. The runtime lives here.

use std::{
    fmt::Write as _,
    io::{self, Read},
    thread,
};

use onceward_hub::{Error, Hub, Options};
use serde::Serialize;
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot};

use crate::{
    args::ServeArgs,
    command::{api_key, stop},
    exit::{Exit, Failure, Outcome},
    output::{Output, chatter},
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
    let mut options = Options::new(args.data.clone(), key);
    if let Some(cards) = &args.cards {
        options = options.with_cards(cards);
    }
    if let Some(bytes) = args.segment_bytes {
        options = options.with_segment_bytes(bytes);
    }
    let hub = Hub::open_with_notices(options, |notice| chatter(&notice.to_string())).map_err(
        |error| refused(&format!("cannot open the hub in {}", args.data.display()), &error),
    )?;
    let runtime = Runtime::new()
        .map_err(|error| Failure::failed(format!("cannot start a runtime: {error}")))?;
    runtime.block_on(serve(hub, &args, json))
}

/// Listens, says so, and serves.
async fn serve(hub: Hub, args: &ServeArgs, json: bool) -> Outcome {
    let unheard = |error| Failure::failed(format!("cannot listen on {}: {error}", args.listen));
    let listener = TcpListener::bind(args.listen).await.map_err(unheard)?;
    let address = listener.local_addr().map_err(unheard)?;
    // Before the line on stdout: whoever reads that may send a signal at once.
    let signal = stop::asked_to_end()?;
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
    onceward_hub::serve(hub, listener, shutdown)
        .await
        .map_err(|error| refused("the hub failed", &error))?;
    Ok(Exit::Ok)
}

/// Where the hub listens, as JSON.
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
    Failure::with(crate::exit::exit_of(error.kind()), format!("{what}: {error}"))
}
