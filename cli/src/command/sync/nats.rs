//! Sends into a stream of NATS JetStream.

use onceward::{Store, sync::KeyRule};
use onceward_uplink::{
    Control, Secret,
    nats::{NatsCredentials, NatsOptions, NatsUploader, NewStream},
};

use super::{ending::Run, named, refused, scopes::Scopes, watch::watch};
use crate::{
    args::SyncArgs,
    command::{line, stop::Stop},
    exit::Failure,
};

/// Events that are published together.
const ITEMS_MAX: usize = 200;
/// Batches that are on their way at once.
const WINDOW: usize = 4;

/// Where the arguments want the events.
///
/// # Errors
///
/// The arguments are wrong, or mean nothing to such an upstream.
pub(super) fn to(args: &SyncArgs, token: Option<Secret>) -> Result<NatsOptions, Failure> {
    for (is_given, name) in [
        (args.wire_keys.is_some(), "--wire-keys"),
        (args.device_id.is_some(), "--device-id"),
        (args.line.proxy.is_some(), "--proxy"),
    ] {
        if is_given {
            return Err(Failure::usage(format!("{name}: means nothing to --dialect nats")));
        }
    }
    let nats = &args.nats;
    let Some(stream) = &nats.stream else {
        return Err(Failure::usage("--dialect nats: which stream? Give --stream NAME"));
    };
    if nats.creds.is_some() && (args.key.api_key.is_some() || args.key.api_key_file.is_some()) {
        return Err(Failure::usage(
            "--creds: says who this is, and so does a key: give one of them",
        ));
    }
    let servers: Vec<&str> = args.to.split(',').map(str::trim).collect();
    let options = NatsOptions::new(&servers, stream);
    let mut options = options.map_err(|error| refused("--to, --stream", &error))?;
    if let Some(template) = &nats.subject {
        options = options.with_subject(template).map_err(|error| refused("--subject", &error))?;
    }
    // Only what it is held to by TLS is taken from it: it is never connected.
    options = options.with_tls_of(&line::to(ANYWHERE, None, &args.line)?);
    if args.line.allow_plain_http {
        options = options.allowing_plain();
    }
    if nats.create_stream {
        options = options.creating(NewStream::default());
    }
    Ok(match (&nats.creds, token) {
        (Some(file), _) => options.with_credentials(NatsCredentials::CredsFile(file.clone())),
        (None, Some(token)) => options.with_credentials(NatsCredentials::Token(token)),
        (None, None) => options,
    })
}

/// Sends, and says how far it came.
///
/// # Errors
///
/// The arguments are wrong, or the store refused.
pub(super) fn drain(
    args: &SyncArgs,
    store: &Store,
    to: NatsOptions,
) -> Result<(Run, Scopes), Failure> {
    let scopes = Scopes::of(args, store, false, |scope| {
        let options = super::options(args, scope)?.with_items_max(ITEMS_MAX).with_window(WINDOW);
        // A message's id has the scope in it.
        named(args, options.with_keys(KeyRule::Conveyed), || to.upstream())
    })?;
    let total = scopes.pending(store);
    let mut uploader =
        NatsUploader::new(store.clone(), to).map_err(|error| refused("cannot sync", &error))?;
    for options in &scopes.sent {
        uploader = uploader.draining(options.clone(), 1);
    }
    let control = Control::new();
    let stop = {
        let control = control.clone();
        Stop::listen(move || control.stop())?
    };
    let run = watch((total, args), &control, stop, |observe| match args.once {
        true => uploader.run_once_until(&control, observe),
        false => uploader.run_until(&control, observe),
    })?;
    Ok((run, scopes))
}

/// An address that asks for TLS.
const ANYWHERE: &str = "https://localhost";
