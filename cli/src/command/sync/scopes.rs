//! Which scopes a run sends, and which it leaves and why.

use onceward::inspect::Inspection;
use onceward::{Scope, Store, sync};

use super::refused;
use crate::{
    args::SyncArgs,
    exit::Failure,
    output::{chatter, complain, counted},
};

/// A scope with events that this run does not send.
struct Left {
    scope: Scope,
    events: u64,
    /// What would send them.
    why: String,
}

/// The scopes that a run sends, and those that it leaves.
pub(super) struct Scopes {
    /// How each is sent.
    pub(super) sent: Vec<sync::Options>,
    left: Vec<Left>,
    /// Whether the arguments say which.
    are_named: bool,
}

impl Scopes {
    /// Those that the arguments name. Where they name none: `default`, and each with events to send whose keys have a
    /// rule. `options` are those of a scope; a dialect that `takes_acks` sends the scope of the inbox and no other.
    ///
    /// # Errors
    ///
    /// A scope that is named cannot be sent as the arguments have it.
    pub(super) fn of(
        args: &SyncArgs,
        store: &Store,
        takes_acks: bool,
        options: impl Fn(&Scope) -> Result<sync::Options, Failure>,
    ) -> Result<Self, Failure> {
        let are_named = !args.scopes.is_empty();
        let mut all = Self { sent: Vec::new(), left: Vec::new(), are_named };
        let acks = store.inbox().scope().map_err(|error| refused("cannot sync", &error.into()))?;
        if are_named {
            for (at, scope) in args.scopes.iter().enumerate() {
                if args.scopes.iter().take(at).any(|other| other == scope) {
                    return Err(Failure::usage(format!(
                        "--scope: the scope `{scope}` is given twice"
                    )));
                }
                if *scope != Scope::default() && *scope != acks && !is_known(store, args, scope) {
                    let what = format!("--scope: the store has no event of the scope `{scope}`");
                    return Err(Failure::usage(what));
                }
                all.sent.push(options(scope)?);
            }
            return Ok(all);
        }
        let first = if takes_acks { acks.clone() } else { Scope::default() };
        all.sent.push(options(&first)?);
        for (scope, events) in store.status().to_send {
            if scope == first {
                continue;
            }
            let why = match (takes_acks, scope == acks) {
                (true, _) => Some("this dialect sends acks of deliveries only".to_owned()),
                (false, true) => Some(
                    "they are acks of deliveries, which --dialect deliveries or transyt sends"
                        .to_owned(),
                ),
                (false, false) => None,
            };
            let why = match why {
                Some(why) => Some(why),
                None => all.add(store, options(&scope)?)?,
            };
            all.left.extend(why.map(|why| Left { scope, events, why }));
        }
        Ok(all)
    }

    /// Sends a scope too, or reports what is missing for that.
    fn add(&mut self, store: &Store, options: sync::Options) -> Result<Option<String>, Failure> {
        match options.key_rule(store) {
            Ok(_) => {
                self.sent.push(options);
                Ok(None)
            }
            Err(error) if error.code() == "WIRE_KEYS_MISSING" => Ok(Some(
                "give --wire-keys scope-prefix, so that their keys differ from those of other scopes"
                    .to_owned(),
            )),
            Err(error) => Err(refused("cannot sync", &error.into())),
        }
    }

    /// The names of those that are sent.
    pub(super) fn names(&self) -> impl Iterator<Item = &Scope> {
        self.sent.iter().map(sync::Options::scope)
    }

    /// Events of those that are sent that wait; what is in review does not.
    pub(super) fn pending(&self, store: &Store) -> u64 {
        let pending = |scope| {
            let status = store.status_of(scope);
            status.pending.saturating_add(status.in_flight)
        };
        self.names().map(pending).fold(0, u64::saturating_add)
    }

    /// Reports on stderr what waits in other scopes. Returns whether that is why a run with `once` is not all that was
    /// asked for.
    pub(super) fn tell_of_others(&self, elsewhere: u64, once: bool) -> bool {
        for Left { scope, events, why } in &self.left {
            let are = if *events == 1 { "is" } else { "are" };
            let events = counted(*events, "event", "events");
            let told = format!("{events} of scope {scope} {are} not sent: {why}");
            if once { complain(&told) } else { chatter(&told) }
        }
        if self.are_named && elsewhere > 0 {
            let events = counted(elsewhere, "event waits", "events wait");
            chatter(&format!("{events} in scopes that --scope does not name"));
        }
        once && !self.left.is_empty()
    }
}

/// Whether the store has, or sent, any event of a scope. One of which nothing waits may have been delivered whole.
fn is_known(store: &Store, args: &SyncArgs, scope: &Scope) -> bool {
    let counts = store.status_of(scope);
    let waiting = [counts.pending, counts.in_flight, counts.in_review, counts.uncertain];
    let was_sent = || store.status().sync.iter().any(|result| result.scope == *scope);
    // What the log still has of it; where it cannot be read, that is reported elsewhere.
    let is_in_log = || {
        let log = Inspection::open(&args.store);
        log.is_ok_and(|log| log.events().flatten().any(|stored| stored.event.scope == *scope))
    };
    waiting.iter().any(|count| *count > 0) || was_sent() || is_in_log()
}
