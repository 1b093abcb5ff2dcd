//! The arguments of `export`, `import` and `unfence`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `export`.
#[derive(Args, Debug)]
#[command(after_help = EXPORT_NOTES)]
pub struct ExportArgs {
    /// The store's directory
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
    /// The file to write; it must not exist, nor be below a store or a hub's data
    #[arg(long, value_name = "F")]
    pub file: PathBuf,
    /// Do not leave the store: it goes on capturing and sending
    #[arg(long)]
    pub stay: bool,
    /// The key or passphrase that seals the file.
    #[command(flatten)]
    pub key: BundleKeyArgs,
}

/// Arguments of `import`.
#[derive(Args, Debug)]
#[command(after_help = IMPORT_NOTES)]
pub struct ImportArgs {
    /// The store's directory
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
    /// The file that `export` wrote
    #[arg(long, value_name = "F")]
    pub file: PathBuf,
    /// The key or passphrase that the file is sealed with.
    #[command(flatten)]
    pub key: BundleKeyArgs,
}

/// Arguments of `unfence`.
#[derive(Args, Debug)]
pub struct UnfenceArgs {
    /// The store's directory
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
    /// The bundle that the store was left for, as `export` and `status` print it: imported nowhere, now or ever
    #[arg(long, value_name = "ID")]
    pub bundle: onceward::rescue::BundleId,
}

/// The key or passphrase that a bundle is sealed with. Never a value on the command line, where others could see it.
#[derive(Args, Debug)]
pub struct BundleKeyArgs {
    /// File with the key: 32 random bytes, or 64 hexadecimal digits
    #[arg(long, value_name = "F", conflicts_with = "passphrase_file")]
    pub key_file: Option<PathBuf>,
    /// File whose first line is the passphrase, at least 8 bytes
    #[arg(long, value_name = "F")]
    pub passphrase_file: Option<PathBuf>,
}

/// The notes about the key in both `--help` texts.
macro_rules! key_notes {
    () => {
        "Without --key-file and --passphrase-file the passphrase is asked for at a terminal, and is \
otherwise the first line of standard input. "
    };
}

/// The last part of `export --help`.
const EXPORT_NOTES: &str = concat!(
    key_notes!(),
    "Without the key or passphrase nobody can read the file, not even you.

Leaves the store first, durably: from then on it sends nothing and takes nothing new, whatever happens. If \
writing the file fails, everything is still there: export again, or `unfence`.

Exit codes: 0 all of it is in the file, 1 failed, 3 some events are damaged and not in the file, 4 another \
process has the store."
);

/// The last part of `import --help`.
const IMPORT_NOTES: &str = concat!(
    key_notes!(),
    "The store must exist: `onceward capture --store DIR </dev/null` makes one.

Compare the digest with the one that `export` printed. What is left out is only in the file and in the store \
that it is from.

Exit codes: 0 all of it is here now, 1 failed, or some events were left out, 3 the file is damaged, or some \
events were damaged where it was made, 4 another process has the store."
);
