//! Several scopes over one line, several requests at once, and what a host does with a running uploader.

use std::sync::{Condvar, mpsc};

use onceward::sync::{Answered, Failure, KeyRule, Upstream};

use super::*;
use crate::dialect::{Request, Response};
use crate::line::Unreachable;

/// A transport in memory that takes everything, as Forloy does, once its gate is open.
#[derive(Debug, Default)]
struct Gated {
    inner: Mutex<Inside>,
    opened: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    is_open: bool,
    /// Whether there is a line.
    is_dead: bool,
    waiting: usize,
    most_at_once: usize,
    requests: usize,
    probes: usize,
    applied: BTreeMap<String, u32>,
}

impl Gated {
    fn open() -> Arc<Self> {
        let gated = Arc::new(Self::default());
        gated.change(|inside| inside.is_open = true);
        gated
    }

    fn change(&self, change: impl FnOnce(&mut Inside)) {
        change(&mut self.inner.lock().unwrap());
        self.opened.notify_all();
    }

    fn see<T>(&self, see: impl FnOnce(&Inside) -> T) -> T {
        see(&self.inner.lock().unwrap())
    }

    /// Waits until it is so; the runner's limit ends a failure.
    fn until(&self, is_so: impl Fn(&Inside) -> bool) {
        let inside = self.inner.lock().unwrap();
        drop(self.opened.wait_while(inside, |inside| !is_so(inside)).unwrap());
    }
}

/// A transport that several uploaders have.
#[derive(Clone, Debug)]
struct Shared(Arc<Gated>);

impl Transport for Shared {
    fn send(&self, request: Request) -> Result<Response, Failure> {
        let mut inside = self.0.inner.lock().unwrap();
        inside.requests += 1;
        if inside.is_dead {
            let (why, answered) = ("no line".to_owned(), Answered::Nobody);
            self.0.opened.notify_all();
            return Err(Failure::Unavailable { why, retry_after_ms: None, answered });
        }
        inside.waiting += 1;
        inside.most_at_once = inside.most_at_once.max(inside.waiting);
        self.0.opened.notify_all();
        let mut inside = self.0.opened.wait_while(inside, |inside| !inside.is_open).unwrap();
        inside.waiting -= 1;
        let document: Value = serde_json::from_slice(&request.body).unwrap();
        let items = document["transactions"].as_array().unwrap();
        let answer = apply(items, &mut inside.applied);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        self.0.opened.notify_all();
        Ok(Response::new(200, body))
    }

    fn upstream(&self, dialect: &str) -> Result<Upstream, Error> {
        Ok(Upstream::new("http://gated", dialect)?)
    }

    fn can_probe(&self) -> bool {
        true
    }

    fn probe(&self) -> Result<(), Unreachable> {
        let mut inside = self.0.inner.lock().unwrap();
        inside.probes += 1;
        self.0.opened.notify_all();
        if inside.is_dead { Err(Unreachable::because("no line")) } else { Ok(()) }
    }
}

fn uploader(store: &Store, gated: &Arc<Gated>, options: Options) -> Uploader {
    let transport = Shared(Arc::clone(gated));
    Uploader::new(store.clone(), transport, Box::new(Forloy::new()), options).unwrap()
}

fn scope(name: &str) -> Scope {
    Scope::new(name).unwrap()
}

#[test]
fn scopes_are_drained_side_by_side_each_under_keys_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 2);
    store.capture(&Event::new(scope("tips"), Key::new("k0").unwrap(), purchase())).unwrap();
    let gated = Gated::open();
    let tips = Options::new(scope("tips")).with_keys(KeyRule::ScopePrefix);
    let uploader = uploader(&store, &gated, options());
    let refused = Route::new(Forloy::new(), options());
    let mut uploader = uploader.and(Route::new(Forloy::new(), tips)).unwrap();
    let report = uploader.run_once(&mut |_| ()).unwrap();
    assert_eq!(report.accepted, 3);
    let keys: Vec<String> = gated.see(|inside| inside.applied.keys().cloned().collect());
    assert_eq!(keys, ["k0", "k1", "~tips/k0"]);
    assert_eq!(uploader.and(refused).unwrap_err().kind(), ErrorKind::Invalid, "twice");
}

#[test]
fn several_requests_are_on_their_way_at_once_and_no_more_than_are_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 300);
    let gated = Gated::open();
    let options = options().with_items_max(10).with_window(4);
    let uploader = uploader(&store, &gated, options).spawn().unwrap();
    until(&uploader, |report| report.accepted >= 50);
    gated.change(|inside| inside.is_open = false);
    gated.until(|inside| inside.waiting == 4);
    gated.change(|inside| inside.is_open = true);
    until(&uploader, |report| report.accepted == 300);
    uploader.stop().unwrap();
    assert_eq!(gated.see(|inside| inside.most_at_once), 4);
    assert!(gated.see(|inside| inside.applied.values().all(|times| *times == 1)));
}

#[test]
fn a_host_flushes_pauses_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 1);
    let gated = Arc::new(Gated::default());
    let (observed, looks) = mpsc::channel();
    let uploader = uploader(&store, &gated, options());
    let uploader = uploader.spawn_observed(move |_| _ = observed.send(())).unwrap();
    assert!(!uploader.flush(Duration::from_millis(20)), "nobody answered");
    gated.change(|inside| inside.is_open = true);
    assert!(uploader.flush(Duration::from_secs(60)));
    assert_eq!(state(&store, "k0"), State::Accepted);
    uploader.pause();
    // With the second look from here on it has heard of it.
    looks.try_iter().for_each(drop);
    looks.iter().take(2).for_each(drop);
    capture(&store, "later", purchase());
    assert!(!uploader.flush(Duration::from_millis(1_200)), "it is paused, and looks every second");
    uploader.resume();
    assert!(uploader.flush(Duration::from_secs(60)));
    assert_eq!(gated.see(|inside| inside.requests), 2);
}

#[test]
fn a_line_that_is_back_is_found_by_a_probe_or_by_the_hosts_word() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 1);
    let gated = Gated::open();
    gated.change(|inside| inside.is_dead = true);
    let slow = options().with_backoff(Duration::from_mins(5), Duration::from_mins(5));
    let uploader = uploader(&store, &gated, slow).spawn().unwrap();
    gated.until(|inside| inside.probes == 1);
    assert_eq!(gated.see(|inside| inside.requests), 1);
    gated.change(|inside| inside.is_dead = false);
    uploader.online();
    assert!(uploader.flush(Duration::from_secs(60)), "at once, and not after five minutes");
    // And without a word.
    gated.change(|inside| inside.is_dead = true);
    capture(&store, "k1", purchase());
    uploader.wake();
    gated.until(|inside| inside.probes == 2);
    gated.change(|inside| inside.is_dead = false);
    assert!(uploader.flush(Duration::from_secs(60)));
    assert_eq!(gated.see(|inside| inside.requests), 4);
}
