//! The arguments of `review`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{key, key_json, scope};

/// The commands of `review`.
#[derive(Debug, Subcommand)]
pub enum ReviewCommand {
    /// Print all items, of all scopes unless one is given, without a lock
    List(ReviewListArgs),
    /// Print one item with its event and the upstream's reply, without a lock
    Show(ReviewItemArgs),
    /// Send again, under the same key
    Retry(ReviewRetryArgs),
    /// Close for ever: the event stays rejected
    Resolve(ReviewResolveArgs),
}

/// Arguments of `review list`.
#[derive(Args, Debug)]
pub struct ReviewListArgs {
    /// The store's directory
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
    /// List only items of this scope
    #[arg(long, value_name = "S", value_parser = scope)]
    pub scope: Option<onceward::Scope>,
}

/// The arguments that name one review item.
#[derive(Args, Debug)]
pub struct ReviewItemArgs {
    /// The store's directory
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
    /// The key's scope, `default` unless given
    #[arg(long, value_name = "S", value_parser = scope)]
    pub scope: Option<onceward::Scope>,
    /// The item's key or number.
    #[command(flatten)]
    pub name: ItemNameArgs,
}

/// How an item is named: in one of three ways.
#[derive(Args, Debug)]
#[group(id = "item", multiple = false)]
pub struct ItemNameArgs {
    /// The event's key; put one that begins with a dash after `--`
    #[arg(value_parser = key)]
    pub key: Option<onceward::Key>,
    /// The event's key as a JSON text, for keys that cannot be typed: '"a\u0000b"'
    #[arg(long, value_name = "JSON", value_parser = key_json, allow_hyphen_values = true)]
    pub key_json: Option<onceward::Key>,
    /// The event's number, as `list` prints it, in any scope
    #[arg(long, value_name = "N", conflicts_with = "scope")]
    pub lsn: Option<u64>,
}

/// Arguments of `review retry`.
#[derive(Args, Debug)]
pub struct ReviewRetryArgs {
    /// The store's directory
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
    /// The key's scope, `default` unless given; with `--all` only this scope
    #[arg(long, value_name = "S", value_parser = scope)]
    pub scope: Option<onceward::Scope>,
    /// The item's key or number.
    #[command(flatten)]
    pub name: ItemNameArgs,
    /// Retry every item
    #[arg(long, conflicts_with_all = ["key", "key_json", "lsn", "of_version"])]
    pub all: bool,
    /// Why it is sent again; kept with the decision, at most 1,024 bytes
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
    /// The person who decides, and the version of the item.
    #[command(flatten)]
    pub by: DecidedByArgs,
}

/// Arguments of `review resolve`.
#[derive(Args, Debug)]
pub struct ReviewResolveArgs {
    /// The item to resolve.
    #[command(flatten)]
    pub item: ReviewItemArgs,
    /// Why it is closed; kept with the event, at most 1,024 bytes
    #[arg(long, value_name = "TEXT")]
    pub note: String,
    /// The person who decides, and the version of the item.
    #[command(flatten)]
    pub by: DecidedByArgs,
}

/// The person who decides, and the version of the item that this person saw.
#[derive(Args, Debug)]
pub struct DecidedByArgs {
    /// Name of the person who decides; kept with the decision, at most 64 bytes
    #[arg(long, value_name = "NAME", default_value = "")]
    pub who: String,
    /// The item's version as `show` printed it: refused if somebody decided since
    #[arg(long, value_name = "N")]
    pub of_version: Option<u64>,
}
