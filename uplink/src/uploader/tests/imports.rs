//! A new till whose uploader runs imports what another one left.

use onceward::rescue::BundleKey;
use onceward::sync::KeyRule;

use super::*;

#[test]
fn an_uploader_goes_on_under_the_keys_by_which_an_imported_sale_was_sent() {
    let hub = Hub::start(&[Act::LoseReply]);
    let line = || Line::new(&format!("http://{}", hub.address), None, Timeouts::default()).unwrap();
    let uploader = |store: &Store, options| {
        Uploader::new(store.clone(), line(), Box::new(Forloy::new()), options).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let old = store_with(&folder, 1);
    let prefixed = options().with_keys(KeyRule::ScopePrefix);
    let control = Control::new();
    let stop = |report: &Report| {
        if report.failures == 1 {
            control.stop();
        }
    };
    uploader(&old, prefixed).run_until(&control, &mut |report| stop(report)).unwrap();
    assert_eq!((hub.applied().len(), state(&old, "k0")), (1, State::InFlight), "control");

    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder, 0);
    let (key, mut stick) = (BundleKey::from_bytes([7; 32]), Vec::new());
    old.rescue().export(&mut stick, &key, true).unwrap();
    let control = Control::new();
    let report = uploader(&store, options()).run_until(&control, &mut |report| {
        if report.duplicate > 0 {
            control.stop();
        } else if store.status().keys == 0 {
            // It waits for something to send, by the rule that a store without one has.
            store.rescue().import(&mut stick.as_slice(), &key).unwrap();
            control.wake();
        }
    });
    assert_eq!((report.unwrap().duplicate, state(&store, "k0")), (1, State::Duplicate));
    assert_eq!(hub.applied().into_keys().collect::<Vec<_>>(), ["~default/k0"]);
}
