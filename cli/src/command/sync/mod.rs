//! `sync`: sends what is pending upstream, and sums up what came of it.

mod ending;
mod http;
#[cfg(feature = "nats")]
mod nats;
mod online;
mod scopes;
mod summary;
mod watch;

use onceward::{Scope, Store, sync};
use onceward_uplink::{Error, ErrorKind, Line, Secret};

use self::{ending::Run, scopes::Scopes, summary::Summary};
use crate::{
    args::{DialectName, SyncArgs},
    command::{api_key, dialect::Chosen, line, shape},
    exit::{self, Exit, Failure, Outcome},
    output::Style,
};

/// The way to the upstream.
enum Way {
    /// Requests, in one of the dialects that have some.
    Http(Box<(Line, Chosen)>),
    /// A stream.
    #[cfg(feature = "nats")]
    Nats(Box<onceward_uplink::nats::NatsOptions>),
}

impl Way {
    /// As the arguments and the environment have it.
    fn of(args: &SyncArgs) -> Result<Self, Failure> {
        if args.accept_fork && args.dialect != DialectName::Onceward {
            let what = "--accept-fork: means something with --dialect onceward only";
            return Err(Failure::usage(what));
        }
        let key = api_key::given(&args.key)?.map(Secret::new);
        #[cfg(feature = "nats")]
        if args.dialect == DialectName::Nats {
            return nats::to(args, key).map(Box::new).map(Self::Nats);
        }
        #[cfg(feature = "nats")]
        args.nats.refuse_any().map_err(Failure::usage)?;
        let line = line::to(&args.to, key, &args.line)?;
        let chosen = Chosen::named(&args.dialect)?;
        let chosen = if args.accept_fork { chosen.accepting_fork() } else { chosen };
        Ok(Self::Http(Box::new((line, chosen))))
    }
}

/// Runs the command: until nothing can be sent with `--once`, otherwise until SIGHUP, SIGINT or SIGTERM.
///
/// # Errors
///
/// The arguments are wrong, the store cannot be opened or written, or all went well and stdout refused.
pub fn run(args: &SyncArgs, style: Style) -> Outcome {
    let way = Way::of(args)?;
    let store = shape::open_existing(&args.store)?;
    let is_damaged = !store.recovery().damage.is_empty();
    exit::ranked(send(args, style, store, way), is_damaged)
}

/// Sends what is in the store, and sums up.
fn send(args: &SyncArgs, style: Style, store: Store, way: Way) -> Outcome {
    let (run, scopes) = match drain(args, &store, way) {
        Ok(done) => done,
        Err(failure) => return shape::closing(store, Err(failure)),
    };
    let summary = Summary::new(&run.report, &store, &scopes);
    // Reported first: neither a disk that fails nor a reader of stdout that has had enough must hide it.
    let is_part = scopes.tell_of_others(summary.pending_elsewhere, args.once);
    let exit = match run.conclude(&summary, args) {
        Exit::Ok | Exit::Review if is_part => Exit::Pending,
        exit => exit,
    };
    let closed = shape::close(store);
    let shown = summary.show(style);
    exit::first_of(exit, [closed, shown])
}

/// Sends, and says how far it came.
fn drain(args: &SyncArgs, store: &Store, way: Way) -> Result<(Run, Scopes), Failure> {
    match way {
        Way::Http(way) => http::drain(args, store, *way),
        #[cfg(feature = "nats")]
        Way::Nats(to) => nats::drain(args, store, *to),
    }
}

/// How a session is to behave, whatever carries its batches.
fn options(args: &SyncArgs, scope: &Scope) -> Result<sync::Options, Failure> {
    let seed = getrandom::u64()
        .map_err(|error| Failure::failed(format!("no random number for the backoff: {error}")))?;
    let options = sync::Options::new(scope.clone()).with_seed(seed);
    Ok(if args.now { options.with_hold_ignored() } else { options })
}

/// The options with the upstream's name, if it was given one.
fn named(
    args: &SyncArgs,
    options: sync::Options,
    upstream: impl FnOnce() -> Result<sync::Upstream, Error>,
) -> Result<sync::Options, Failure> {
    let Some(name) = &args.upstream_name else { return Ok(options) };
    let upstream = upstream().map_err(|error| refused("--to", &error))?;
    let named = upstream.named(name);
    let named = named.map_err(|error| Failure::usage(format!("--upstream-name: {error}")))?;
    Ok(options.with_upstream(named))
}

/// A failure of the uplink as the program's.
fn refused(what: &str, error: &Error) -> Failure {
    match (error.store(), error.kind()) {
        (Some(store), _) if store.code() == "WIRE_KEYS_MISSING" => {
            Failure::usage(format!("{what}: {store}: give --wire-keys scope-prefix"))
        }
        (Some(store), _) if store.code().starts_with("WIRE_KEYS") => {
            Failure::usage(format!("{what}: {store}"))
        }
        (Some(store), _) => Failure::engine(what, store),
        (None, ErrorKind::Invalid) => Failure::usage(format!("{what}: {error}")),
        (None, _) => Failure::failed(format!("{what}: {error}")),
    }
}
