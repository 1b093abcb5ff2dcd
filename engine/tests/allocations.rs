//! How often a capture asks for memory: never for one event, and as often for ten events as for a thousand.
//!
//! Method: an allocator counts what the thread asks for that captures. What grows while a store does (its tables,
//! blocks of the index, buffers of the log) is not a capture's: it comes now and then, so medians over many captures
//! are held.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test of its own")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use onceward::{
    Class, Config, Event, EventRef, Headers, Key, Kind, Lane, Payload, PayloadRef, Scope, Store,
    Verdict,
};

/// The system's allocator, which counts what the thread that counts asks for.
struct Counting;

thread_local! {
    static COUNTED: Cell<Option<u64>> = const { Cell::new(None) };
}

fn count() {
    // While a thread ends it has no counter any more.
    let _ended = COUNTED.try_with(|counted| counted.set(counted.get().map(|count| count + 1)));
}

#[expect(unsafe_code, reason = "an allocator is unsafe; this one only counts")]
// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller says.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller says.
        unsafe { System.realloc(at, layout, bytes) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread asked for memory during some work.
fn allocations<T>(work: impl FnOnce() -> T) -> (u64, T) {
    COUNTED.set(Some(0));
    let done = work();
    (COUNTED.take().unwrap(), done)
}

fn median(mut counts: Vec<u64>) -> u64 {
    counts.sort_unstable();
    counts[counts.len() / 2]
}

/// A store whose tables grew already: those of a new one grow with almost every key.
fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("store"), Config::new()).unwrap();
    let scope = Scope::new("old").unwrap();
    for first in (0..KEYS_BEFORE).step_by(1_000) {
        let keys: Vec<_> = (first..first + 1_000).map(|n| n.to_string()).collect();
        let event = |key| EventRef::new(&scope, key, PayloadRef::bytes(b"x")).unwrap();
        store.capture_batch(&keys.iter().map(|key| event(key)).collect::<Vec<_>>()).unwrap();
    }
    (dir, store)
}

fn plain(n: usize) -> Event {
    let payload = Payload::json(&format!(r#"{{"n":{n},"filling":"{}"}}"#, "x".repeat(150)));
    Event::new(Scope::default(), Key::new(&format!("key-{n}")).unwrap(), payload.unwrap())
}

/// An event with all that an event can have; what stands before its key is longer than that of most.
fn full(n: usize) -> Event {
    let headers = Headers::new().with("trace", &"t".repeat(200)).unwrap();
    Event { scope: Scope::new("sales").unwrap(), ..plain(n) }
        .with_kind(Kind::new("PAYMENT").unwrap())
        .with_amount("24.50".parse().unwrap())
        .with_captured_at_ms(5)
        .with_lane(Lane::new("card-7").unwrap())
        .with_class(Class::Evictable)
        .with_headers(headers)
}

const CAPTURES: usize = 301;
const KEYS_BEFORE: usize = 40_000;

#[test]
fn the_counter_counts() {
    let (count, made) = allocations(|| (Box::new(1), vec![1, 2]));
    assert_eq!(count, 2, "{made:?}");
}

#[test]
fn capturing_one_event_asks_for_no_memory() {
    let (_dir, store) = store();
    let events: Vec<_> = (0..CAPTURES).map(plain).collect();
    let counts = events.iter().map(|event| {
        let (count, verdict) = allocations(|| store.capture(event).unwrap());
        assert!(matches!(verdict, Verdict::Fresh { .. }));
        count
    });
    assert_eq!(median(counts.collect()), 0, "fresh");
    let again = |event| allocations(|| store.capture(event).unwrap());
    assert!(events.iter().map(again).all(|(count, _)| count == 0), "repeated");
}

#[test]
fn capturing_one_borrowed_event_asks_for_no_memory() {
    let (_dir, store) = store();
    let scope = Scope::default();
    let texts: Vec<_> =
        (0..CAPTURES).map(|n| (format!("key-{n}"), format!(r#"{{"n":{n}}}"#))).collect();
    let counts = texts.iter().map(|(key, json)| {
        let capture = || {
            let event = EventRef::new(&scope, key, PayloadRef::json(json)?)?;
            store.capture(&event.with_kind("READING")?)
        };
        allocations(|| capture().unwrap()).0
    });
    assert_eq!(median(counts.collect()), 0);
}

#[test]
fn a_deferred_capture_of_one_event_and_its_ticket_ask_for_no_memory() {
    let (_dir, store) = store();
    let events: Vec<_> = (0..CAPTURES).map(plain).collect();
    let waited = |event| allocations(|| store.capture_deferred(event).unwrap().wait().unwrap()).0;
    assert_eq!(median(events.iter().map(waited).collect()), 0, "waited for");
    let events: Vec<_> = (CAPTURES..2 * CAPTURES).map(plain).collect();
    let dropped = |event| allocations(|| drop(store.capture_deferred(event).unwrap())).0;
    assert_eq!(median(events.iter().map(dropped).collect()), 0, "dropped");
}

#[test]
fn asking_whether_an_event_would_be_accepted_asks_for_no_memory() {
    let (_dir, store) = store();
    let event = plain(1);
    store.would_accept(&event).unwrap();
    assert_eq!(allocations(|| store.would_accept(&event).unwrap()).0, 0);
}

/// A call on some events, which are new to the store: how often it asked for memory.
type Call = (&'static str, fn(&Store, &[Event]) -> u64);

/// Every call that captures many events.
const CALLS: [Call; 3] = [
    ("batch", |store, events| allocations(|| store.capture_batch(events).unwrap()).0),
    ("borrowed batch", |store, events| {
        let events: Vec<_> = events.iter().map(EventRef::from).collect();
        allocations(|| store.capture_batch(&events).unwrap()).0
    }),
    ("deferred batch", |store, events| {
        allocations(|| store.capture_batch_deferred(events).unwrap().wait().unwrap()).0
    }),
];

/// What one call of so many new events asked for that calls of one event did not, each of which may let the store's
/// tables grow: the median of some.
fn beyond_growth(
    call: impl Fn(&[Event]) -> u64,
    mut new: impl FnMut(usize) -> Vec<Event>,
    count: usize,
) -> i64 {
    let differences = (0..5).map(|_| {
        let ones: Vec<u64> = new(count).chunks(1).map(&call).collect();
        let each = median(ones.clone());
        let growth = ones.iter().map(|count| count - each.min(*count)).sum::<u64>();
        call(&new(count)) + 1_000_000 - growth
    });
    i64::try_from(median(differences.collect())).unwrap() - 1_000_000
}

#[test]
fn a_call_of_many_events_asks_for_memory_as_often_however_many_they_are() {
    let ((_dir, store), mut next) = (store(), 0);
    for (name, call) in CALLS {
        for made in [plain, full] {
            for count in [10, 100, 1_000] {
                let new = |count: usize| {
                    next += count;
                    (next - count..next).map(made).collect()
                };
                let beyond = beyond_growth(|events| call(&store, events), new, count);
                // How much tables grow is chance; one allocation for each event would be ten times as many.
                let most = 10 + i64::try_from(count / 10).unwrap();
                assert!(beyond <= most, "{name} of {count}: {beyond}");
            }
        }
    }
}
