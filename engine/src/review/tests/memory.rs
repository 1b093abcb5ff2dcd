//! Without the feature `sled` the catalog is in memory, and whatever stands in its directory stays as it is.

#![expect(
    clippy::disallowed_methods,
    reason = "files that another build left are put there as no store does"
)]

use std::fs;

use crate::review::ReviewFilter;
use crate::testing::{event, key, sales};
use crate::{Answer, Config, Settlement, Store};

#[test]
fn review_and_decisions_are_rebuilt_from_the_log_and_a_directory_of_another_build_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path(), Config::new()).unwrap().close().unwrap();
    let file = dir.path().join("catalog/db");
    fs::create_dir(dir.path().join("catalog")).unwrap();
    fs::write(&file, b"theirs").unwrap();
    let store = Store::open(dir.path(), Config::new()).unwrap();
    store.capture_batch(&(0..3).map(event).collect::<Vec<_>>()).unwrap();
    for n in 0..2 {
        let answer = Answer::Rejected {
            code: "NO_CARD".to_owned(),
            message: format!("m{n}"),
            reply: Vec::new(),
        };
        store.settle(&[Settlement { scope: sales(), key: key(n), answer }]).unwrap();
    }
    store.reviews().resolve(&sales(), &key(1), "paid in cash").unwrap();
    let asked = |store: &Store| {
        let items = store.reviews().list(&ReviewFilter::new()).unwrap();
        (items, store.reviews().decisions(None, 10).unwrap())
    };
    let before = asked(&store);
    assert_eq!((before.0.len(), before.0[0].message.as_str(), before.1.len()), (1, "m0", 1));
    store.close().unwrap();

    let store = Store::open(dir.path(), Config::new()).unwrap();
    assert_eq!(asked(&store), before);
    assert_eq!(store.status().catalog_trouble, None);
    assert_eq!(store.recovery().catalog_rebuilt, None);
    store.close().unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"theirs");
    assert_eq!(fs::read_dir(dir.path().join("catalog")).unwrap().count(), 1);
}
