//! Many threads receive, work and finish at once: each delivery is fresh once and ends once.
//! Method: threads race on a real directory, while others capture; afterwards the store is opened again.

use std::sync::Mutex;
use std::thread;

use onceward::inbox::{Delivery, DeliveryState, Received};
use onceward::{Config, Event, Key, Lsn, Payload, Scope, Store};

const DELIVERIES: u64 = 40;

fn delivery(n: u64) -> Delivery {
    let delivery = Delivery::new(&format!("e{n}"), Payload::bytes(vec![7; 100])).unwrap();
    delivery.with_external_id(&format!("x{n}")).unwrap().with_steps(2).unwrap()
}

/// T33 for the inbox.
#[test]
fn of_six_threads_that_receive_the_same_deliveries_one_is_fresh_for_each() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Store::open(dir.path(), Config::new().with_segment_bytes(256 * 1024)).unwrap();
    let store = open();
    let fresh: Mutex<Vec<Lsn>> = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for thread in 0..6 {
            let (store, fresh) = (store.clone(), &fresh);
            scope.spawn(move || {
                for n in 0..DELIVERIES {
                    // Odd threads go the other way.
                    let n = if thread % 2 == 0 { n } else { DELIVERIES - 1 - n };
                    let lsn = match store.inbox().receive(&delivery(n)).unwrap() {
                        Received::Fresh { lsn } => {
                            fresh.lock().unwrap().push(lsn);
                            lsn
                        }
                        Received::Duplicate { lsn, .. } => lsn,
                        other => panic!("{n}: {other:?}"),
                    };
                    // Somebody may have finished it already; nobody ends it in another way.
                    store.inbox().progress(lsn, 2).ok();
                    store.inbox().ack(lsn).unwrap();
                    assert!(store.inbox().get(lsn).unwrap().is_some());
                    let key = Key::new(&format!("{thread}-{n}")).unwrap();
                    let own = Event::new(Scope::default(), key, Payload::bytes(vec![1]));
                    store.capture(&own).unwrap();
                }
            });
        }
    });
    assert_eq!(fresh.lock().unwrap().len() as u64, DELIVERIES);
    store.close().unwrap();
    let store = open();
    let answers = store.pending(&Scope::new("inbox").unwrap(), None, 1_000).unwrap();
    assert_eq!(answers.len() as u64, DELIVERIES, "each end travels once");
    for n in 0..DELIVERIES {
        let told = store.inbox().receive(&delivery(n)).unwrap();
        let is_acked = matches!(told, Received::Duplicate { state: DeliveryState::Acked, .. });
        assert!(is_acked, "{n}: {told:?}");
    }
}
