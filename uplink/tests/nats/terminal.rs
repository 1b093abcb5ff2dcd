//! Stores with events, and what is to be true of them and the stream in the end.
//!
//! Method: capture numbered events, and compare the ids in the stream with them.

use std::collections::BTreeMap;

use onceward::{Config, Event, Key, Payload, Scope, Store, sync};
use tempfile::TempDir;

use super::reader::Reader;

/// A store with some events in each of its scopes.
pub(crate) struct Terminal {
    pub(crate) store: Store,
    pub(crate) count: usize,
    scopes: Vec<Scope>,
    _folder: TempDir,
}

impl Terminal {
    /// So many events, `k-0` and so on, in each of these scopes.
    pub(crate) fn with(count: usize, scopes: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store"), Config::new()).unwrap();
        let scopes: Vec<Scope> = scopes.iter().map(|scope| Scope::new(scope).unwrap()).collect();
        for scope in &scopes {
            let events: Vec<Event> = (0..count).map(|at| event(scope, at)).collect();
            for together in events.chunks(500) {
                store.capture_batch(together).unwrap();
            }
        }
        Self { store, count, scopes, _folder: folder }
    }

    /// How many events have no answer.
    pub(crate) fn pending(&self) -> u64 {
        let status = self.store.status();
        status.pending + status.in_flight
    }

    /// Each event is in the stream, once, and nothing else is.
    pub(crate) fn assert_each_once(&self, reader: &Reader, stream: &str) {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for message in reader.messages(stream) {
            *counts.entry(message.id().to_owned()).or_default() += 1;
        }
        let of_scope = |scope: &Scope| {
            (0..self.count).map(|at| (format!("{scope}/k-{at}"), 1)).collect::<Vec<_>>()
        };
        let expected: BTreeMap<String, u32> = self.scopes.iter().flat_map(of_scope).collect();
        assert!(counts == expected, "{} messages of {} events", counts.len(), expected.len());
    }
}

/// An event of a scope.
pub(crate) fn event(scope: &Scope, at: usize) -> Event {
    let key = Key::new(&format!("k-{at}")).unwrap();
    let payload = Payload::json(&format!(r#"{{"at":{at},"of":"{scope}"}}"#)).unwrap();
    Event::new(scope.clone(), key, payload)
}

/// The options for a scope, with a short backoff.
pub(crate) fn options(scope: &str) -> sync::Options {
    let (base, cap) = (std::time::Duration::from_millis(50), std::time::Duration::from_millis(500));
    sync::Options::new(Scope::new(scope).unwrap())
        .with_items_max(200)
        .with_window(4)
        .with_backoff(base, cap)
}
