//! The arguments of the program. Parses and checks form only; what they name is the commands' business.

mod dialect;
mod fault_proxy;
mod line;
#[cfg(feature = "nats")]
mod nats;
mod rescue;
mod review;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::{
    dialect::{DialectCheckArgs, DialectCommand, DialectName, DialectShowArgs},
    fault_proxy::{FaultProxyArgs, hinted},
    line::LineArgs,
    rescue::{BundleKeyArgs, ExportArgs, ImportArgs, UnfenceArgs},
    review::{
        DecidedByArgs, ItemNameArgs, ReviewCommand, ReviewItemArgs, ReviewListArgs,
        ReviewResolveArgs, ReviewRetryArgs,
    },
};

#[cfg(feature = "nats")]
pub use self::nats::NatsArgs;

/// Keeps every event that a terminal captures until the other side confirms it, once.
#[derive(Debug, Parser)]
#[command(name = "onceward", version, about, after_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    /// Print data as JSON. Listings are JSON anyway unless stdout is a terminal; verify, repair, demo, dialect, serve
    /// and fault-proxy print JSON only with this
    #[arg(long, global = true)]
    pub json: bool,
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prove it: real purchases, captured offline, through a bad line, each applied exactly once
    Demo(DemoArgs),
    /// Capture JSON lines from stdin; one answer for each, after it is durable
    Capture(CaptureArgs),
    /// Print every event that the log still has, without a lock
    Dump(StoreArgs),
    /// Print what a store holds, without a lock
    Status(StoreArgs),
    /// Read every byte of a store and name each damage, without changing anything
    ///
    /// The log, the index and the quarantine are held against their checksums. The catalog of review items is read,
    /// and no more: nothing but opening the store compares it with the log, from which it is made anew.
    Verify(StoreArgs),
    /// Quarantine damage and mend the store around it; only prints what it would do unless --apply is given
    Repair(RepairArgs),
    /// Follow a store: one JSON line for each event once it is durable, without a lock
    Tail(TailArgs),
    /// Send what is pending upstream
    Sync(SyncArgs),
    /// Look at, and decide about, what the upstream refused for good
    #[command(subcommand)]
    Review(ReviewCommand),
    /// Print what is still in a store, in counts and amounts, and whether it may be wiped
    #[command(after_help = SUMMARY_NOTES)]
    Summary(StoreArgs),
    /// Leave a terminal: what was not delivered goes into a sealed file, and the store sends no more
    Export(ExportArgs),
    /// Import what another store exported; the same file again changes nothing
    Import(ImportArgs),
    /// Open a store again that was left, because its file was imported nowhere
    Unfence(UnfenceArgs),
    /// Check files that describe dialects, and print those that come with the program
    #[command(subcommand)]
    Dialect(DialectCommand),
    /// Run the hub: the upstream that accepts, dedupes and confirms
    Serve(ServeArgs),
    /// Run a bad line for tests: it delays, cuts, loses, repeats and spoils what passes it
    FaultProxy(FaultProxyArgs),
}

/// A store and nothing else.
#[derive(Args, Debug)]
pub struct StoreArgs {
    /// The store's directory
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
}

/// Arguments of `repair`.
#[derive(Args, Debug)]
#[command(after_help = REPAIR_NOTES)]
pub struct RepairArgs {
    /// The store's directory
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
    /// Change nothing and take no lock, only say what is damaged and lost; this is what happens unless --apply is given
    #[arg(long, conflicts_with = "apply")]
    pub dry_run: bool,
    /// Copy the damaged bytes to DIR/quarantine and mend the store
    #[arg(long)]
    pub apply: bool,
}

/// Arguments of `tail`.
#[derive(Args, Debug)]
#[command(after_help = TAIL_NOTES)]
pub struct TailArgs {
    /// The store's directory
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
    /// Show the last N events that are there first; 0 for only new ones
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub last: usize,
    /// Show every event that the log still has first
    #[arg(long, conflicts_with = "last")]
    pub all: bool,
}

/// Arguments of `capture`.
#[derive(Args, Debug)]
#[command(after_help = CAPTURE_NOTES)]
pub struct CaptureArgs {
    /// The store's directory; created when it is missing
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
    /// Fail where there is no store, such as before its disk is mounted, instead of making one
    #[arg(long)]
    pub must_exist: bool,
    /// The scope of all keys of this run
    #[arg(long, value_name = "S", default_value = "default", value_parser = scope)]
    pub scope: onceward::Scope,
    /// A header of every event of this run, before those of its line; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// Size of a log segment, 262144 to 1073741824
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX))]
    pub segment_bytes: Option<u64>,
    /// Refuse what an upstream that speaks this can never take; keys of another scope than `default` are judged as
    /// `sync --wire-keys scope-prefix` sends them
    #[arg(long, value_name = "forloy|wede|onceward|nats|http:FILE", value_parser = dialect::dialect_of_events)]
    pub dialect: Option<DialectName>,
}

/// Arguments of `sync`.
#[derive(Args, Debug)]
#[command(after_help = SYNC_NOTES)]
pub struct SyncArgs {
    /// The store's directory
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
    /// Base URL of the upstream; with --dialect nats the servers of a cluster, with commas between:
    /// nats://HOST:PORT or tls://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// The dialect that the upstream speaks: forloy is `POST /api/v1/transactions/sync`, wede `POST /v1/sync/batch`,
    /// onceward `POST /v1/segments`, nats a stream of JetStream, http:FILE what the file describes, see `dialect`; for
    /// acks of deliveries transyt `POST /admin/events/{event_id}/ack` and deliveries the same and those of windows
    #[arg(long, value_name = dialect::NAMES_SHOWN, value_parser = dialect::dialect)]
    pub dialect: DialectName,
    /// A scope to send; may be given several times. Unless given, all that have something to send, but for those whose
    /// keys have no rule yet, see --wire-keys, and for acks of deliveries, which go by a dialect of their own
    #[arg(long = "scope", value_name = "S", value_parser = scope)]
    pub scopes: Vec<onceward::Scope>,
    /// How keys of scopes are spelled for the upstream, so that they differ from those of others: needed for every
    /// scope but `default`, at its first sync to that upstream, and the same from then on; onceward and nats need none,
    /// because they give the upstream the scope
    #[arg(long, value_enum, value_name = "RULE")]
    pub wire_keys: Option<WireKeys>,
    /// With --dialect onceward --once, after HISTORY_FORKED: send what is pending although the upstream has another
    /// history than this store, each event under its own key. The syncs after it go on with that history, and any other
    /// copy of the store is refused from then on: first find out which one is the terminal's. What an upstream that
    /// was put back has lost of settled events is not sent again
    #[arg(long, requires = "once")]
    pub accept_fork: bool,
    /// Make one attempt for each pending event, then end. What got no answer is left for another run; but a request
    /// that is refused as a whole or is too large, or that got no answer while others did, is sent again in halves in
    /// the same run, and "attempted" counts its events each time. A Retry-After of at most 10 s is waited for; a longer
    /// one, or three requests in a row that bring nothing, ends the run before that
    #[arg(long)]
    pub once: bool,
    /// Ask now, also where the upstream asked to be left alone for a while
    #[arg(long)]
    pub now: bool,
    /// The device id that is sent to a Wede upstream, or where a file has {device_id}; the store's id unless given
    #[arg(long, value_name = "ID", value_parser = device_id)]
    pub device_id: Option<String>,
    /// A name for this upstream, the same from then on, where one address serves several that know nothing of each
    /// other and differ by bearer key: which of them got what, and under which keys, is kept for each
    #[arg(long, value_name = "NAME", value_parser = upstream_name)]
    pub upstream_name: Option<String>,
    /// How the upstream is reached.
    #[command(flatten)]
    pub line: LineArgs,
    /// How the bearer key is given.
    #[command(flatten)]
    pub key: KeyArgs,
    /// The stream that takes the events.
    #[cfg(feature = "nats")]
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// Where the bearer key comes from: file, argument or `ONCEWARD_API_KEY`, in this order.
#[derive(Args, Clone)]
pub struct KeyArgs {
    /// File whose first line is the bearer key
    #[arg(long, value_name = "F", conflicts_with = "api_key")]
    pub api_key_file: Option<PathBuf>,
    /// The bearer key itself, for trials: others on this machine can see it. Better ONCEWARD_API_KEY or a file
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,
}

impl std::fmt::Debug for KeyArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyArgs").field("api_key_file", &self.api_key_file).finish_non_exhaustive()
    }
}

/// How keys of a scope are spelled for an upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum WireKeys {
    /// Keys as they are: only of scope `default`
    Bare,
    /// `~scope/key`, at most 255 bytes
    ScopePrefix,
}

/// Arguments of `serve`.
#[derive(Args, Debug)]
#[command(after_help = SERVE_NOTES)]
pub struct ServeArgs {
    /// The hub's data directory; created when it is missing
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Fail where there is no data, such as before its disk is mounted, instead of making some
    #[arg(long)]
    pub must_exist: bool,
    /// Address to listen on, such as 127.0.0.1:8080 or localhost:8080; port 0 picks one
    #[arg(long, value_name = "ADDR", value_parser = listen)]
    pub listen: String,
    /// JSON lines `{"code","status":"active"|"inactive","card_type":"cashback"|"punch"}`; without it every card exists
    #[arg(long, value_name = "FILE")]
    pub cards: Option<PathBuf>,
    /// Size of a log segment, 262144 to 1073741824
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX))]
    pub segment_bytes: Option<u64>,
    /// End when stdin ends, so that a hub never outlives the program that started it
    #[arg(long, hide = true)]
    pub until_stdin_ends: bool,
    /// How the bearer key of the tenant `default` is given.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// The dialect that the purchases are sent in; a file must lead to the hub's Wede route, as `wede-single` does
    #[arg(long, value_name = "forloy|wede|onceward|http:FILE", default_value = "forloy", value_parser = dialect::dialect_of_events)]
    pub dialect: DialectName,
    /// Seed of the line's faults; the same seed, the same faults in the same order
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Keep both stores in this new directory
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    pub keep: Option<PathBuf>,
    /// Only compare the stores that `--keep` kept
    #[arg(long, value_name = "DIR")]
    pub check: Option<PathBuf>,
    /// Take only the first N purchases
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u64).range(200..))]
    pub rows: Option<u64>,
}

/// Parses a scope.
fn scope(text: &str) -> Result<onceward::Scope, onceward::Error> {
    onceward::Scope::new(text)
}

/// Parses the name of a device. Batches keep it.
fn device_id(text: &str) -> Result<String, String> {
    match text.len() {
        0..=DEVICE_ID_BYTES_MAX => Ok(text.to_owned()),
        count => Err(format!("has {count} bytes, more than {DEVICE_ID_BYTES_MAX}")),
    }
}

/// Parses the name of an upstream, whichever it is.
fn upstream_name(text: &str) -> Result<String, onceward::Error> {
    onceward::sync::Upstream::new("any", "any")?.named(text).map(|_named| text.to_owned())
}

/// Parses a host and a port; which address a name has is for later.
fn listen(text: &str) -> Result<String, String> {
    match text.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
        Some((host, Ok(_port))) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err("needs a host, ':' and a port".to_owned()),
    }
}

/// Parses a key.
fn key(text: &str) -> Result<onceward::Key, onceward::Error> {
    onceward::Key::new(text)
}

/// Parses a key that is given as a JSON text.
fn key_json(text: &str) -> Result<onceward::Key, String> {
    let text: String =
        serde_json::from_str(text).map_err(|error| format!("not a JSON text: {error}"))?;
    onceward::Key::new(&text).map_err(|error| error.to_string())
}

/// Parses `NAME=VALUE`; what a name may be is the engine's business.
fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("needs a name, '=' and a value")?;
    onceward::Headers::new().with(name, value).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The smallest segment that the engine takes.
const SEGMENT_BYTES_MIN: u64 = 256 * 1024;

/// The largest segment that the engine takes.
const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Longest name of a device.
const DEVICE_ID_BYTES_MAX: usize = 1_024;

/// The last part of `capture --help`.
const CAPTURE_NOTES: &str = "Each line of standard input is an object with \"key\" and \"payload\", and \
optionally \"kind\", \"amount\", \"captured_at\", \"lane\", \"class\" and \"headers\" (an object of texts, or a \
list of pairs).

Exit codes: 0 all lines are stored now or were before, 1 a line was refused or its key has other content, \
3 the store was found damaged, whatever became of the lines, or a line is the duplicate of an event that is lost to \
damage, 4 another process has the store, 7 no room.";

/// The last part of `sync --help`.
const SYNC_NOTES: &str = "Prints, when it ends, what was \"attempted\", \"accepted\", \"duplicate\" and \"rejected\", in \
how many \"batches\" and \"bytes\", and what is left: \"pending\", \"behind\" those of them that wait in their lane \
behind one that waits for a person, \"pending_elsewhere\" in other scopes, \"in_review\".

It has the store's lock for its whole run: nothing else captures, decides or sends meanwhile. A program that captures \
all the time embeds the Uploader of onceward-uplink instead, or closes its store now and then for a run with --once.

Without --once it goes on until SIGHUP, SIGINT or SIGTERM; SIGUSR1 says that the line is back, and so does a link of \
this machine that comes up: then no wait goes on. The bearer key is that of --api-key-file, --api-key or ONCEWARD_API_KEY.

Exit codes: 0 nothing is pending, of the scopes that --scope names if it is given, or a signal ended a run without --once, 1 failed, such as a file that \
cannot be read, 2 usage, 3 the store was found damaged, 4 another process has the store, 5 events are still pending \
(--once), 6 the credentials are refused, 7 no room, 8 the upstream refused whatever it was sent, 9 events went to \
review in this run. The first that holds of 3, 7, 6, 8, 5, 9 counts.";

/// The last part of `serve --help`.
const SERVE_NOTES: &str = "Prints `listening on URL` when it is ready, and serves until SIGHUP, SIGINT or SIGTERM. The \
bearer key is that of --api-key-file, --api-key or ONCEWARD_API_KEY; where none is given one is made, and printed once \
on stderr.

Its store is DIR/tenants/default: what `verify`, `repair`, `status` and `dump` want as --store.

Exit codes: 0 it was asked to end, 1 failed, 2 usage, 3 the data is damaged beyond opening, 4 another process has the \
data, 7 no room.";

/// The last part of `summary --help`.
const SUMMARY_NOTES: &str = "Takes the store's lock, so that nothing comes in meanwhile.

Exit codes: 0 the store may be wiped, 3 it may not, because of damage, 5 it may not, for another reason; \
stderr says which; 4 another process has the store.";

/// The last part of `repair --help`.
const REPAIR_NOTES: &str = "What was lost stays lost; what can still be read is not touched. \
Events in the damaged bytes are named by key as far as these bytes still show them.

Exit codes: 0 nothing is damaged (any more), 3 damage was found and nothing was changed, or something is \
left, 4 another process has the store.";

/// The last part of `tail --help`.
const TAIL_NOTES: &str = "Lines are those of `dump`. An event is shown once, when it is sure to \
survive a power cut, in the state that it has then, mostly \"pending\"; what becomes of it later shows \
in `dump`. Damage is reported on stderr.

Ends with 0 on SIGHUP, SIGINT, SIGTERM, or when nobody reads any more, and with 1 if the store is replaced by an \
older state or another store.";

/// The last part of `--help`.
const EXIT_CODES: &str =
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 damage found, 4 store locked by another process,
5 events still pending (sync --once), or needed (summary), 6 credentials refused (sync), 7 full,
8 the upstream refused whatever it was sent: a wrong address or dialect (sync),
9 events went to review in this run (sync). The first that holds of 3, 7, 6, 8, 5, 9 counts.
2 is for what was given, also in a file of a key, of certificates or of a dialect; 1 for a file that cannot be
read.";
