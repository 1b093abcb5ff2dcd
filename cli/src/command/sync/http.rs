//! Sends by requests.

use onceward::{Store, sync};
use onceward_uplink::{Control, Dialect, Line, Secret, Uploader};

use super::{ending::Run, named, refused, summary::pending, watch::watch};
use crate::{
    args::{SyncArgs, WireKeys},
    command::{api_key, dialect::Chosen, stop::Stop},
    exit::Failure,
};

/// Sends, and says how far it came.
///
/// # Errors
///
/// The arguments are wrong, or the store refused.
pub(super) fn drain(
    args: &SyncArgs,
    store: &Store,
    (line, chosen): (Line, Chosen),
) -> Result<Run, Failure> {
    let dialect = chosen.of(args.device_id.clone().unwrap_or_else(|| store.id().to_string()));
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
    watch((total, args.once), &control, stop, |observe| match args.once {
        true => uploader.run_once_until(&control, &mut |report| observe(report)),
        false => uploader.run_until(&control, &mut |report| observe(report)),
    })
}

/// How the session is to behave.
fn options(args: &SyncArgs, line: &Line, dialect: &dyn Dialect) -> Result<sync::Options, Failure> {
    let mut options = super::options(args)?.with_items_max(dialect.items_max());
    if let Some(bytes) = dialect.bytes_max() {
        options = options.with_bytes_max(bytes);
    }
    if let Some(rule) = args.wire_keys {
        options = options.with_keys(match rule {
            WireKeys::Bare => sync::KeyRule::Bare,
            WireKeys::ScopePrefix => sync::KeyRule::ScopePrefix,
        });
    }
    named(args, options, || line.upstream(dialect.name()))
}
