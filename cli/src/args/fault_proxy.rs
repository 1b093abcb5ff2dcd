//! The arguments of `fault-proxy`.

use std::path::PathBuf;

use clap::Args;
use onceward_uplink::faults::{Injection, ParseError};

/// Arguments of `fault-proxy`.
#[derive(Args, Debug)]
#[command(after_help = NOTES)]
pub struct FaultProxyArgs {
    /// Print the faults with their arguments, and end
    #[arg(long, conflicts_with_all = ["listen", "upstream"])]
    pub list: bool,
    /// Address to listen on, such as 127.0.0.1:8080 or localhost:8080; port 0 picks one
    #[arg(long, value_name = "ADDR", value_parser = super::listen, required_unless_present = "list")]
    pub listen: Option<String>,
    /// Where the upstream listens, such as 127.0.0.1:9090 or hub:9090, without TLS
    #[arg(long, value_name = "ADDR", value_parser = upstream, required_unless_present = "list")]
    pub upstream: Option<String>,
    /// File that names faults by request
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// A fault, with its arguments in the same word: --fault 'status_503 retry_after=2'; may be given several times
    #[arg(long = "fault", value_name = "NAME", value_parser = fault)]
    pub faults: Vec<Injection>,
    /// Half of the requests, as this number decides, meet one of the faults of --fault, or of all
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How long each byte is on its way, each way
    #[arg(long, value_name = "N")]
    pub delay_ms: Option<u64>,
    /// How many kilobits leave in a second, each way
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=RATE_KBIT_MAX))]
    pub rate_kbit: Option<u64>,
    /// Print no line for each request
    #[arg(long)]
    pub quiet: bool,
}

/// Parses where the upstream listens, which is no URL.
fn upstream(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let place = rest.split('/').next().unwrap_or_default();
            Err(format!("wants HOST:PORT and no {scheme}:// URL, such as {place}"))
        }
        None => super::listen(text),
    }
}

/// Parses a fault with its arguments.
fn fault(text: &str) -> Result<Injection, String> {
    text.parse().map_err(|error: ParseError| hinted(&error))
}

/// What is wrong with a fault or a script, and where the names of faults are.
#[must_use]
pub fn hinted(error: &ParseError) -> String {
    let hint =
        if error.is_unknown_name() { "; `onceward fault-proxy --list` has them" } else { "" };
    format!("{error}{hint}")
}

/// The fastest line that can be asked for: a terabit.
const RATE_KBIT_MAX: u64 = 1_000_000_000;

/// The last part of `fault-proxy --help`.
const NOTES: &str = "Prints `listening on URL` when it is ready, and on stderr a line for each request: its number, \
what it asks, what it meets, and the status that the terminal sees. Ends on SIGHUP, SIGINT or SIGTERM. It is for tests: \
whoever reaches it reaches the upstream.

A line of a script is WHICH NAME [ARGUMENT=VALUE ...], where WHICH is a number, two with '-' between them, \
'every' and a number, or '*'; what follows a '#' is a comment:

  3       lost_reply
  5-9     status_503 retry_after=2
  every 7 reset
  *       delay ms=50

The first line that names a request decides its fault; delay and rate go together with any other. Where no line does, \
--fault decides: without --seed for each request one of them in turn, with it for half of the requests, as the seed \
has it. What a fault is not told, the seed decides too.

Exit codes: 0 it was asked to end, 1 failed, 2 usage, also in the script.";
