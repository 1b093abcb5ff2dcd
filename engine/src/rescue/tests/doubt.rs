//! A sync that failed leaves whatever was asked for in doubt, and every operation says so.

use onceward_vfs::{Fault, FaultKind, FaultOp};

use crate::capture::Effect;
use crate::rescue::BundleId;
use crate::rescue::tests::calls::{export, import, rejected, secret, settle};
use crate::review::Decision;
use crate::testing::{Rig, event, key, receipt, sales};
use crate::{Answer, Settlement};
use crate::{ErrorKind, Result, Store};

/// An operation that needs a frame, on a store in which 1 is in review and 2 is pending.
type Operation = fn(&Store, &[u8]) -> Result<()>;

fn bundle_of(store: &Store) -> BundleId {
    store.status().fence.unwrap().bundle
}

fn fails_in_doubt(name: &str, prepare: fn(&Store), operation: Operation) {
    let (other, rig) = (Rig::new().open(), Rig::new());
    other.capture(&event(9)).unwrap();
    let (bundle, _) = export(&other, false);
    let store = rig.open();
    store.capture_batch(&[event(1), event(2)]).unwrap();
    settle(&store, 1, rejected());
    prepare(&store);
    let (op, kind) = (FaultOp::SyncData, FaultKind::Eio);
    rig.disk.plan(Fault { op, name_contains: ".seg".into(), nth: 0, kind, forever: false });
    let error = operation(&store, &bundle).unwrap_err();
    assert_eq!((error.kind(), error.in_doubt()), (ErrorKind::Poisoned, true), "{name}: {error}");
}

#[test]
fn every_operation_says_that_it_is_in_doubt_after_a_failed_sync() {
    let control = Rig::new().open();
    control.capture_batch(&[event(1), event(2)]).unwrap();
    settle(&control, 1, rejected());
    control.reviews().decide(&Decision::retry(sales(), key(1))).unwrap();
    let operations: [(&str, Operation); 8] = [
        ("retry", |store, _| store.reviews().decide(&Decision::retry(sales(), key(1)))),
        ("resolve", |store, _| store.reviews().resolve(&sales(), &key(1), "cash")),
        ("capture", |store, _| store.capture(&event(3)).map(drop)),
        ("cancel", |store, _| store.cancel(&sales(), &key(2)).map(drop)),
        ("apply", |store, _| {
            let effect = Effect { event: event(3), receipt: receipt(3) };
            store.apply_batch(&[effect]).map(drop)
        }),
        ("settle", |store, _| {
            let answer = Answer::Accepted { receipt: None };
            store.settle(&[Settlement { scope: sales(), key: key(2), answer }]).map(drop)
        }),
        ("import", |store, bundle| store.rescue().import(&mut &*bundle, &secret()).map(drop)),
        ("export", |store, _| store.rescue().export(&mut Vec::new(), &secret(), true).map(drop)),
    ];
    for (name, operation) in operations {
        fails_in_doubt(name, |_| (), operation);
    }
    let leave = |store: &Store| drop(export(store, true));
    fails_in_doubt("unfence", leave, |store, _| store.rescue().unfence(bundle_of(store)));
    import(&control, &export(&Rig::new().open(), false).0);
}
