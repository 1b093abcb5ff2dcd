//! Sends by requests.

use std::sync::Arc;

use onceward::{Scope, Store, sync};
use onceward_uplink::{Control, Dialect, Line, Route, Secret, Uploader};

use super::{ending::Run, named, refused, scopes::Scopes, watch::watch};
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
) -> Result<(Run, Scopes), Failure> {
    let device_id = args.device_id.clone().unwrap_or_else(|| store.id().to_string());
    let dialect: Arc<dyn Dialect> = Arc::from(chosen.of(device_id));
    let scopes = Scopes::of(args, store, dialect.takes_acks(), |scope| {
        options(args, &line, &*dialect, scope)
    })?;
    let total = scopes.pending(store);
    let source = args.key.clone();
    let routes =
        scopes.sent.iter().map(|options| Route::shared(Arc::clone(&dialect), options.clone()));
    let mut uploader = Uploader::draining(store.clone(), line.clone(), routes)
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
    let run = watch((total, args), &control, stop, |observe| match args.once {
        true => uploader.run_once_until(&control, &mut |report| observe(report)),
        false => uploader.run_until(&control, &mut |report| observe(report)),
    })?;
    Ok((run, scopes))
}

/// How the session of a scope is to behave.
fn options(
    args: &SyncArgs,
    line: &Line,
    dialect: &dyn Dialect,
    scope: &Scope,
) -> Result<sync::Options, Failure> {
    let mut options = super::options(args, scope)?.with_items_max(dialect.items_max());
    if let Some(bytes) = dialect.bytes_max() {
        options = options.with_bytes_max(bytes);
    }
    let is_default = *scope == Scope::default();
    let is_alone = args.scopes.len() == 1;
    match args.wire_keys {
        // With several scopes it is for those that need one.
        Some(rule) if !is_default || is_alone => {
            options = options.with_keys(match rule {
                WireKeys::Bare => sync::KeyRule::Bare,
                WireKeys::ScopePrefix => sync::KeyRule::ScopePrefix,
            });
        }
        None if !is_default && dialect.conveys_scope() => {
            options = options.with_keys(sync::KeyRule::Conveyed);
        }
        _ => {}
    }
    // Named here, so that the rule for keys is known before anything starts.
    let upstream = || line.upstream(dialect.name());
    match &args.upstream_name {
        Some(_) => named(args, options, upstream),
        None => Ok(options.with_upstream(upstream().map_err(|error| refused("--to", &error))?)),
    }
}
