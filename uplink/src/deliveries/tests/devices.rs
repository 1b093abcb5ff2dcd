//! Two devices of one user, each with a store of its own.

use super::hub::{HubModel, LEASE_MS};
use super::till::{Fate, Till};

/// Has it done until nothing but time is left to pass.
fn settle(till: &mut Till, hub: &mut HubModel) {
    let times = (0..100).take_while(|_| till.pull_once(hub, Fate::Arrives).is_ok()).count();
    assert!(times < 100, "it goes on without end");
}

#[test]
fn what_one_device_has_the_other_does_not_get_as_long_as_the_first_asks() {
    let (mut hub, mut phone, mut laptop) =
        (HubModel::new(), Till::new("phone-1"), Till::new("laptop-1"));
    hub.queue("survey", Some(3));
    settle(&mut phone, &mut hub);
    for _ in 0..10 {
        phone.passes(&mut hub, LEASE_MS / 2);
        laptop.now_ms = phone.now_ms;
        settle(&mut phone, &mut hub);
        settle(&mut laptop, &mut hub);
    }
    assert_eq!((phone.pull.report().received, laptop.pull.report().received), (1, 0));
}

#[test]
fn the_second_device_resumes_behind_what_the_first_told_and_the_first_works_nothing_again() {
    let (mut hub, mut phone, mut laptop) =
        (HubModel::new(), Till::new("phone-1"), Till::new("laptop-1"));
    let id = hub.queue("survey", Some(4));
    settle(&mut phone, &mut hub);
    assert!(phone.work_once() && phone.work_once());
    settle(&mut phone, &mut hub);
    assert_eq!(hub.find(&id).recorded, 2);
    // The phone is gone; its lease ends.
    laptop.passes(&mut hub, LEASE_MS + 1);
    settle(&mut laptop, &mut hub);
    while laptop.work_once() {}
    while laptop.ack_once(&mut hub, Fate::Arrives) {}
    let steps = |till: &Till| till.worked.keys().map(|(_, step)| *step).collect::<Vec<_>>();
    assert_eq!((steps(&phone), steps(&laptop)), (vec![1, 2], vec![3, 4]));
    assert!(hub.find(&id).is_done);
    // The phone starts again, and learns it before it works on.
    phone = phone.killed();
    settle(&mut phone, &mut hub);
    assert_eq!(phone.pull.report().finished_elsewhere, 1);
    assert!(!phone.work_once());
    assert_eq!(phone.store.inbox().status().open, 0);
}

#[test]
fn what_the_hub_knows_more_is_noted_and_what_the_till_knows_more_is_told() {
    let (mut hub, mut phone) = (HubModel::new(), Till::new("phone-1"));
    let id = hub.queue("survey", Some(5));
    settle(&mut phone, &mut hub);
    // Another device told of three steps; this one has done one.
    hub.deliveries[0].recorded = 3;
    assert!(phone.work_once());
    settle(&mut phone, &mut hub);
    let next = || phone.store.inbox().list(None, 1).unwrap()[0].next_step;
    assert_eq!((next(), hub.find(&id).recorded), (Some(4), 3));
    // The hub lost what it knew, as by a restore: what is done here stays done.
    hub.deliveries[0].recorded = 0;
    phone = phone.killed();
    phone.passes(&mut hub, LEASE_MS + 1);
    settle(&mut phone, &mut hub);
    assert_eq!(phone.store.inbox().list(None, 1).unwrap()[0].next_step, Some(4));
    assert_eq!(hub.find(&id).recorded, 3);
}
