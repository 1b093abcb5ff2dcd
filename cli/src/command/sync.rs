//! `sync`: sends what is pending upstream, and sums up what came of it.

use indicatif::{ProgressBar, ProgressStyle};
use onceward::{Scope, Store, sync};
use onceward_uplink::{Control, Dialect, ErrorKind, Forloy, Line, Secret, Uploader, Wede};
use serde::Serialize;

use crate::{
    args::{DialectName, SyncArgs, WireKeys},
    command::{api_key, line, shape, stop::Stop},
    exit::{self, Exit, Failure, Outcome},
    output::{Output, Style, chatter, complain},
};

/// Runs the command: until nothing can be sent with `--once`, otherwise until SIGHUP, SIGINT or SIGTERM.
///
/// # Errors
///
/// The arguments are wrong, the store cannot be opened or written, or stdout refused.
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
    let closed = shape::close(store);
    let told = summed.and_then(|(run, summary)| tell(args, style, &run, &summary));
    exit::after_closing(told, closed)
}

/// Tells what came of a run.
fn tell(args: &SyncArgs, style: Style, run: &Run, summary: &Summary) -> Outcome {
    // Before what may fail: a reader of stdout that has had enough must not hide it.
    if summary.pending_elsewhere > 0 {
        let (count, scope) = (summary.pending_elsewhere, &args.scope);
        chatter(&format!("{count} events wait in other scopes: this run sends scope {scope} only"));
    }
    let exit = conclude(run, summary, args.once);
    show(summary, style)?;
    Ok(exit)
}

/// How a run ended.
struct Run {
    /// What came of it.
    report: sync::Report,
    /// The last failure that was not brought about by the end.
    why: Option<String>,
    /// Whether a signal ended it.
    by_signal: bool,
}

/// Sends, and says how far it came.
fn drain(args: &SyncArgs, store: &Store, line: Line) -> Result<Run, Failure> {
    let dialect = dialect(args, store);
    let seed = getrandom::u64()
        .map_err(|error| Failure::failed(format!("no random number for the backoff: {error}")))?;
    let mut options =
        sync::Options::new(args.scope.clone()).items_max(dialect.items_max()).seed(seed);
    if let Some(rule) = args.wire_keys {
        options = options.keys(match rule {
            WireKeys::Bare => sync::KeyRule::Bare,
            WireKeys::ScopePrefix => sync::KeyRule::ScopePrefix,
        });
    }
    if args.now {
        options = options.now();
    }
    if let Some(name) = &args.upstream_name {
        let upstream = line.upstream(dialect.name()).map_err(|error| refused("--to", &error))?;
        let named = upstream.named(name);
        let named = named.map_err(|error| Failure::usage(format!("--upstream-name: {error}")))?;
        options = options.upstream(named);
    }

    let control = Control::new();
    let stop = {
        let (control, line) = (control.clone(), line.clone());
        Stop::listen(move || {
            control.stop();
            line.shut_down();
        })?
    };
    let bar = progress(pending(store, &args.scope)?);
    let source = args.key.clone();
    let mut uploader = Uploader::new(store.clone(), line, dialect, options)
        .map_err(|error| refused("cannot sync", &error))?
        // The key's file may have been renewed meanwhile; if it cannot be read now, the old key stays.
        .fresh_key(move || api_key::given(&source).ok().flatten().map(Secret::new));
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

/// Why nothing is delivered, for a person who watches: told when it changes, not for each attempt.
#[derive(Default)]
struct News {
    /// The last failure.
    why: Option<String>,
    /// Whole-batch failures so far.
    failures: u64,
    /// What had been delivered when something was told last.
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

/// A bar on stderr if that is a terminal.
fn progress(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("sending {bar:40} {pos}/{len}") {
        bar.set_style(style);
    }
    bar
}

/// A failure of the uplink as the program's.
fn refused(what: &str, error: &onceward_uplink::Error) -> Failure {
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

/// Events of `scope` that wait to be sent; what is in review does not.
fn pending(store: &Store, scope: &Scope) -> Result<u64, Failure> {
    let status = store.status();
    if status.pending == 0 && status.in_flight == 0 {
        // Nothing in any scope: no need to look at each event.
        return Ok(0);
    }
    let mut count = 0_u64;
    let mut after = None;
    loop {
        let page = store
            .pending(scope, after, PAGE_EVENTS)
            .map_err(|error| Failure::engine("cannot count what is pending", &error))?;
        let Some(last) = page.last() else { return Ok(count) };
        after = Some(last.lsn);
        count = count.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
    }
}

/// What came of a run. The fields are public: their names never change.
#[derive(Debug, Serialize)]
struct Summary {
    /// Items sent, resends counted.
    attempted: u64,
    /// Items that took effect now.
    accepted: u64,
    /// Items that the upstream already had.
    duplicate: u64,
    /// Items that went to review.
    rejected: u64,
    /// Events that still wait, in the scope that was sent.
    pending: u64,
    /// Those of them that wait in their lane behind one that waits for a person, as far as the run came.
    behind: u64,
    /// Events that still wait in other scopes, which this run does not send.
    pending_elsewhere: u64,
    /// Events that wait for a person, in that scope.
    in_review: u64,
    /// Requests.
    batches: u64,
    /// Bytes of items sent.
    bytes: u64,
}

impl Summary {
    /// Sums up a run and what is left.
    fn new(report: &sync::Report, store: &Store, scope: &Scope) -> Result<Self, Failure> {
        let here = pending(store, scope)?;
        let status = store.status();
        let everywhere = status.pending.saturating_add(status.in_flight);
        Ok(Self {
            attempted: report.attempted,
            accepted: report.accepted,
            duplicate: report.duplicate,
            rejected: report.rejected,
            pending: here,
            behind: report.behind,
            pending_elsewhere: everywhere.saturating_sub(here),
            in_review: store.review_count(Some(scope)),
            batches: report.batches,
            bytes: report.bytes,
        })
    }
}

/// Writes the summary.
fn show(summary: &Summary, style: Style) -> Result<(), Failure> {
    let mut out = Output::stdout();
    if style == Style::Json {
        out.json(summary)?;
    } else {
        let Summary { attempted, accepted, duplicate, rejected, in_review, .. } = summary;
        out.line(&format!(
            "sent {attempted}: {accepted} accepted, {duplicate} known before, {rejected} rejected"
        ))?;
        out.line(&format!(
            "left: {} pending{}, {in_review} in review",
            summary.pending,
            behind(summary)
        ))?;
    }
    out.flush()
}

/// How many of the pending events no run will send before a person decided.
fn behind(summary: &Summary) -> String {
    match summary.behind {
        0 => String::new(),
        count => format!(" ({count} of them in their lane behind one that waits for a person)"),
    }
}

/// Says on stderr how many events a run put in review.
fn tell_of_reviews(report: &sync::Report) {
    if report.rejected > 0 {
        complain(&format!(
            "{} events went to review; 'onceward review list' shows what waits there",
            report.rejected
        ));
    }
}

/// The exit code, with the reason on stderr when it is not 0.
fn conclude(run: &Run, summary: &Summary, once: bool) -> Exit {
    let Run { report, by_signal, .. } = run;
    let why = run.why.as_deref().unwrap_or("not every event was answered");
    if report.strangers > 0 || report.missing > 0 {
        chatter(&format!(
            "replies named {} unknown items and left out {}",
            report.strangers, report.missing
        ));
    }
    tell_of_reviews(report);
    if report.blocked {
        complain(&format!("the upstream refused the credentials or this version: {why}"));
        return Exit::Credentials;
    }
    if let Some(why) = &report.misconfigured {
        complain(&format!("{why} {} events are still pending", summary.pending));
        return Exit::Upstream;
    }
    let settled = report.accepted + report.duplicate + report.rejected;
    if once && report.suspects > 0 && settled == 0 {
        complain(&format!(
            "none of the events that were sent was taken: is the address right, and the dialect? {} events are \
             still pending: {why}",
            summary.pending
        ));
        return Exit::Upstream;
    }
    if *by_signal && summary.pending > 0 {
        let before = run.why.as_ref().map(|why| format!("; what failed last: {why}"));
        complain(&format!(
            "stopped by a signal, {} events are still pending{}",
            summary.pending,
            before.unwrap_or_default()
        ));
        if once {
            return Exit::Pending;
        }
    } else if once && (summary.pending > 0 || report.unreachable) {
        let pending = summary.pending;
        let why = match summary.behind {
            // What failed besides is not why they wait.
            count if count == pending && count > 0 => {
                "; 'onceward review list' shows it".to_owned()
            }
            _ => format!(": {why}"),
        };
        complain(&format!("{pending} events are still pending{}{why}", behind(summary)));
        return Exit::Pending;
    }
    if report.rejected > 0 {
        return Exit::Review;
    }
    Exit::Ok
}

/// Events that are looked at together when they are counted.
const PAGE_EVENTS: usize = 1_000;
