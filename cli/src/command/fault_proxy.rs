//! `fault-proxy`: a bad line for tests, until SIGHUP, SIGINT or SIGTERM.

use std::{
    fmt::Write as _,
    net::{SocketAddr, ToSocketAddrs},
    path::Path,
    sync::mpsc,
};

use onceward_uplink::faults::{
    Argument, Fault, FaultProxy, Injection, ParseError, Plan, Row, TABLE, Weights,
};
use serde::Serialize;

use crate::{
    args::{FaultProxyArgs, hinted},
    command::stop::Stop,
    exit::{Exit, Failure, Outcome},
    output::{Output, chatter},
    outside,
};

/// Runs the command.
///
/// # Errors
///
/// The script cannot be read or means nothing, an address has no meaning or cannot be listened on, or stdout refused.
pub fn run(args: &FaultProxyArgs, json: bool) -> Outcome {
    let missing = || Failure::usage("needs --listen and --upstream, or --list");
    let listen = args.listen.as_ref().ok_or_else(missing)?;
    let upstream = args.upstream.as_ref().ok_or_else(missing)?;
    let plan = plan(args)?;
    let address = listening_address(listen)?;
    let (wake, woken) = mpsc::channel();
    let stop = Stop::listen(move || {
        if wake.send(()).is_err() {
            // The run has ended by itself.
        }
    })?;
    let is_quiet = args.quiet;
    let proxy = FaultProxy::start_with_report(address, upstream, plan, move |exchange| {
        if !is_quiet {
            chatter(&exchange.to_string());
        }
    });
    let proxy = proxy.map_err(|error| {
        Failure::failed(format!("cannot lead from {listen} to {upstream}: {error}"))
    })?;
    announce(&format!("http://{}", proxy.addr()), json)?;
    // An error is the end of the signals' thread, after which nobody could ask.
    while !stop.is_asked() && woken.recv().is_ok() {}
    drop(proxy);
    Ok(Exit::Ok)
}

/// Prints the table of faults.
///
/// # Errors
///
/// Stdout refused.
pub fn list(json: bool) -> Outcome {
    let mut out = Output::stdout();
    for row in TABLE {
        if json {
            out.json(&RowShape::new(row))?;
        } else {
            out.line(&line_of(row)?)?;
        }
    }
    out.flush()?;
    Ok(Exit::Ok)
}

/// A row of the table as JSON.
#[derive(Debug, Serialize)]
struct RowShape<'a> {
    /// How the fault is written.
    name: &'a str,
    /// What it can be told, each with what holds otherwise.
    arguments: Vec<ArgumentShape<'a>>,
    /// What it does.
    summary: &'a str,
}

/// An argument as JSON.
#[derive(Debug, Serialize)]
struct ArgumentShape<'a> {
    /// How it is written.
    name: &'a str,
    /// What holds if nothing is said.
    default: &'a str,
}

impl<'a> RowShape<'a> {
    /// The shape of a row.
    fn new(row: &Row) -> Self {
        let shape = |(argument, default): &(Argument, &'a str)| ArgumentShape {
            name: argument.name(),
            default,
        };
        Self {
            name: row.name,
            arguments: row.arguments.iter().map(shape).collect(),
            summary: row.summary,
        }
    }
}

/// A row of the table for a person.
fn line_of(row: &Row) -> Result<String, Failure> {
    let mut line = format!("{:20} {}", row.name, row.summary);
    for (index, (argument, default)) in row.arguments.iter().enumerate() {
        let before = if index == 0 { " [" } else { " " };
        // Writing to a text cannot fail.
        write!(line, "{before}{}={default}", argument.name())
            .map_err(|error| Failure::failed(error.to_string()))?;
    }
    if !row.arguments.is_empty() {
        line.push(']');
    }
    Ok(line)
}

/// The plan that the arguments ask for: the script, then the named faults or the seed, and the line's own slowness.
fn plan(args: &FaultProxyArgs) -> Result<Plan, Failure> {
    let mut plan = match &args.script {
        Some(path) => script(path)?,
        None => Plan::pass(),
    };
    let named = args.faults.iter().cloned();
    plan = match args.seed {
        Some(seed) if args.faults.is_empty() => plan.or_seeded(seed, Weights::default()),
        Some(seed) => plan.or_seeded(seed, Weights::half_of(named)),
        None => plan.or_in_turn(named),
    };
    let wrong = |error: ParseError| Failure::usage(error.to_string());
    if let Some(ms) = args.delay_ms {
        let delay = Injection::from(Fault::Delay).with(Argument::Ms, &ms.to_string());
        plan = plan.or_always(delay.map_err(wrong)?);
    }
    if let Some(kbit) = args.rate_kbit {
        let bytes_per_s = kbit.saturating_mul(1_000 / 8).to_string();
        let rate = Injection::from(Fault::Rate).with(Argument::BytesPerS, &bytes_per_s);
        plan = plan.or_always(rate.map_err(wrong)?);
    }
    Ok(plan)
}

/// Reads a script.
fn script(path: &Path) -> Result<Plan, Failure> {
    let bytes = outside::read(path, SCRIPT_BYTES_MAX).map_err(|error| {
        Failure::failed(format!("cannot read the script {}: {error}", path.display()))
    })?;
    let wrong = |why: String| Failure::usage(format!("the script {}: {why}", path.display()));
    let text = str::from_utf8(&bytes).map_err(|error| wrong(error.to_string()))?;
    Plan::script(text).map_err(|error| wrong(hinted(&error)))
}

/// The address to listen on.
fn listening_address(listen: &str) -> Result<SocketAddr, Failure> {
    let unknown = |why: String| Failure::failed(format!("cannot listen on {listen}: {why}"));
    let mut found = listen.to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
    found.next().ok_or_else(|| unknown("the name has no address".to_owned()))
}

/// The address at which the proxy listens, as JSON.
#[derive(Debug, Serialize)]
struct Listening<'a> {
    /// Base URL.
    listening: &'a str,
}

/// Says on stdout that the proxy is ready.
fn announce(url: &str, json: bool) -> Result<(), Failure> {
    let mut out = Output::stdout();
    if json {
        out.json(&Listening { listening: url })?;
    } else {
        out.line(&format!("listening on {url}"))?;
    }
    out.flush()
}

/// The longest script.
const SCRIPT_BYTES_MAX: u64 = 1024 * 1024;
