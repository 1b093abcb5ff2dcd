//! Fresh keys from the host.

use std::sync::atomic::AtomicUsize;

use super::*;

const REFUSAL: &str = r#"{"status":401,"code":"UNAUTHORIZED"}"#;
const PAGE: &str = "<title>Who are you?</title>";

/// An uploader whose host gives a key that was never used each time, and how often it was asked.
fn asking(hub: &Hub, store: &Store) -> (Uploader, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&asked);
    let uploader = hub.uploader(store).fresh_key(move || {
        let number = theirs.fetch_add(1, Ordering::SeqCst);
        Some(Secret::new(format!("fresh-key-{number}")))
    });
    (uploader, asked)
}

#[test]
fn a_fresh_key_of_the_host_goes_on_after_a_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 1);
    let hub = Hub::start(&[Act::Say(401, REFUSAL)]);
    let (mut uploader, asked) = asking(&hub, &store);
    let report = uploader.run_once(&mut |_| ()).unwrap();
    assert_eq!((report.accepted, report.blocked, asked.load(Ordering::SeqCst)), (1, false, 2));
}

#[test]
fn a_host_is_asked_at_the_beginning_and_once_for_each_wait_and_never_in_a_loop() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 1);
    let hub = Hub::start(&[Act::Say(401, REFUSAL); 9]);
    let (mut uploader, asked) = asking(&hub, &store);
    let report = uploader.run_once(&mut |_| ()).unwrap();
    assert!(report.blocked, "{report:?}");
    assert_eq!((hub.requests.try_iter().count(), asked.load(Ordering::SeqCst)), (2, 2));

    let hub = Hub::start(&[Act::Say(401, PAGE); 4]);
    let (uploader, asked) = asking(&hub, &store);
    let uploader = uploader.spawn().unwrap();
    until(&uploader, |report| report.accepted == 1);
    uploader.stop().unwrap();
    // Each wait is followed by two requests: with the old key, and with the fresh one.
    assert_eq!((hub.requests.try_iter().count(), asked.load(Ordering::SeqCst)), (5, 3));
}

#[test]
fn the_same_key_again_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 1);
    let hub = Hub::start(&[Act::Say(401, REFUSAL)]);
    let mut uploader = hub.uploader(&store).fresh_key(|| Some(Secret::new("some-key")));
    assert!(uploader.run_once(&mut |_| ()).unwrap().blocked);
    assert_eq!(hub.requests.try_iter().count(), 1);
}
