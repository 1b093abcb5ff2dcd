//! `sync`: sends what is pending upstream, and sums up what came of it.

mod ending;
mod online;
mod summary;

use indicatif::{ProgressBar, ProgressStyle};
use onceward::{Store, sync};
use onceward_uplink::{Control, Dialect, Error, ErrorKind, Forloy, Line, Secret, Uploader, Wede};

use self::{
    ending::{Run, tell_of_reviews},
    online::Online,
    summary::{Summary, pending},
};
use crate::{
    args::{DialectName, SyncArgs, WireKeys},
    command::{api_key, line, shape, stop::Stop},
    exit::{self, Failure, Outcome},
    output::{Style, chatter},
};

/// Runs the command: until nothing can be sent with `--once`, otherwise until SIGHUP, SIGINT or SIGTERM.
///
/// # Errors
///
/// The arguments are wrong, the store cannot be opened or written, or all went well and stdout refused.
pub fn run(args: &SyncArgs, style: Style) -> Outcome {
    let key = api_key::given(&args.key)?.map(Secret::new);
    let line = line::to(&args.to, key, &args.line)?;
    let store = shape::open_existing(&args.store)?;
    let is_damaged = !store.recovery().damage.is_empty();
    exit::ranked(send(args, style, store, line), is_damaged)
}

/// Sends what is in the store, and sums up.
fn send(args: &SyncArgs, style: Style, store: Store, line: Line) -> Outcome {
    let summed = drain(args, &store, line).and_then(|run| {
        let summary = Summary::new(&run.report, &store, &args.scope)
            .inspect_err(|_failure| tell_of_reviews(&run.report))?;
        Ok((run, summary))
    });
    let (run, summary) = match summed {
        Ok(summed) => summed,
        Err(failure) => return shape::closing(store, Err(failure)),
    };
    // Reported first: neither a disk that fails nor a reader of stdout that has had enough must hide it.
    if summary.pending_elsewhere > 0 {
        let (count, scope) = (summary.pending_elsewhere, &args.scope);
        chatter(&format!("{count} events wait in other scopes: this run sends scope {scope} only"));
    }
    let exit = run.conclude(&summary, args.once);
    let closed = shape::close(store);
    let shown = summary.show(style);
    exit::first_of(exit, [closed, shown])
}

/// Sends, and says how far it came.
fn drain(args: &SyncArgs, store: &Store, line: Line) -> Result<Run, Failure> {
    let dialect = dialect(args, store);
    let options = options(args, &line, &*dialect)?;
    let total = pending(store, &args.scope)?;
    let source = args.key.clone();
    let mut uploader = Uploader::new(store.clone(), line.clone(), dialect, options)
        .map_err(|error| refused("cannot sync", &error))?
        // The key's file may have been renewed meanwhile; if it cannot be read now, the old key stays.
        .fresh_key(move || api_key::given(&source).ok().flatten().map(Secret::new));

    let control = Control::new();
    let stop = {
        let control = control.clone();
        Stop::listen(move || {
            control.stop();
            line.shut_down();
        })?
    };
    let online = (!args.once).then(|| Online::listen(&control));
    let bar = progress(total);
    let mut last = sync::Report::default();
    let mut news = News::default();
    let mut advance = |report: &sync::Report| {
        last.clone_from(report);
        bar.set_position(report.accepted + report.duplicate + report.rejected);
        if !stop.is_asked()
            && let Some(why) = news.of(report)
            && !args.once
        {
            bar.suspend(|| chatter(why));
        }
    };
    let report = if args.once {
        uploader.run_once_until(&control, &mut |report| advance(report))
    } else {
        uploader.run_until(&control, &mut |report| {
            advance(report);
            if report.blocked || report.misconfigured.is_some() {
                // The arguments of this process will not change by themselves.
                control.stop();
            }
        })
    };
    drop(online);
    // What follows is the end in order, if one came.
    let by_signal = stop.is_asked();
    bar.finish_and_clear();
    match report {
        Ok(report) => {
            // A request that the end cut off has failed for that.
            let why = if by_signal { news.why } else { report.last_failure.clone() };
            Ok(Run { report, why, by_signal })
        }
        Err(error) => {
            tell_of_reviews(&last);
            Err(refused("cannot sync", &error))
        }
    }
}

/// A bar on stderr if that is a terminal.
fn progress(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("sending {bar:40} {pos}/{len}") {
        bar.set_style(style);
    }
    bar
}

/// How the session is to behave.
fn options(args: &SyncArgs, line: &Line, dialect: &dyn Dialect) -> Result<sync::Options, Failure> {
    let seed = getrandom::u64()
        .map_err(|error| Failure::failed(format!("no random number for the backoff: {error}")))?;
    let mut options =
        sync::Options::new(args.scope.clone()).with_items_max(dialect.items_max()).with_seed(seed);
    if let Some(rule) = args.wire_keys {
        options = options.with_keys(match rule {
            WireKeys::Bare => sync::KeyRule::Bare,
            WireKeys::ScopePrefix => sync::KeyRule::ScopePrefix,
        });
    }
    if args.now {
        options = options.with_hold_ignored();
    }
    if let Some(name) = &args.upstream_name {
        let upstream = line.upstream(dialect.name()).map_err(|error| refused("--to", &error))?;
        let named = upstream.named(name);
        let named = named.map_err(|error| Failure::usage(format!("--upstream-name: {error}")))?;
        options = options.with_upstream(named);
    }
    Ok(options)
}

/// Why nothing is delivered, for a person who watches: printed when it changes, not for each attempt.
#[derive(Default)]
struct News {
    /// The last failure.
    why: Option<String>,
    /// Whole-batch failures so far.
    failures: u64,
    /// Events that had been delivered when something was printed last.
    delivered: u64,
}

impl News {
    /// What is new in `report`.
    fn of(&mut self, report: &sync::Report) -> Option<&str> {
        let why = report.last_failure.clone();
        let delivered = report.accepted + report.duplicate + report.rejected;
        let fails_again = report.failures > self.failures && delivered > self.delivered;
        let is_news = why != self.why || fails_again;
        (self.why, self.failures) = (why, report.failures);
        if !is_news {
            return None;
        }
        self.delivered = delivered;
        self.why.as_deref()
    }
}

/// The dialect that was asked for.
fn dialect(args: &SyncArgs, store: &Store) -> Box<dyn Dialect> {
    match args.dialect {
        DialectName::Forloy => Box::new(Forloy::new()),
        DialectName::Wede => {
            let device_id = args.device_id.clone().unwrap_or_else(|| store.id().to_string());
            Box::new(Wede::new(device_id))
        }
    }
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
