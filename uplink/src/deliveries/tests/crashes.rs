//! Whatever is lost, repeated or killed, and wherever: every step is worked once, and the hub hears of it.

use super::hub::HubModel;
use super::till::{Fate, Till, Worked};

/// Rounds within which everything of interest happens.
const ROUNDS: usize = 16;

/// A survey of three steps, a note without steps, and an event.
fn queued() -> HubModel {
    let mut hub = HubModel::new();
    hub.queue("survey", Some(3));
    hub.queue("note", None);
    hub.queue_event();
    hub
}

fn once_each(hub: &HubModel) -> Worked {
    let event = hub.events[0].id.clone();
    let parts = [("survey", 1), ("survey", 2), ("survey", 3), ("note", 0), (event.as_str(), 0)];
    parts.map(|(name, step)| ((name.to_owned(), step), 1)).into()
}

fn check(till: &Till, hub: &HubModel, what: &str) {
    assert_eq!(till.worked, once_each(hub), "{what}");
    assert_eq!(till.store.inbox().status().open, 0, "{what}");
    for it in &hub.deliveries {
        assert!(it.is_done && it.acks >= 1, "{what}: {it:?}");
    }
    assert_eq!(hub.events[0].state, "acked", "{what}");
}

#[test]
fn everything_is_worked_once_where_nothing_goes_wrong() {
    let (mut hub, mut till) = (queued(), Till::new("phone-1"));
    till.until_settled(&mut hub);
    check(&till, &hub, "");
    assert_eq!(till.pull.report().received, 3);
    assert_eq!((till.pull.report().duplicates, till.pull.report().failures), (0, 0));
    assert!(hub.deliveries.iter().all(|it| it.acks == 1 && it.offers == 1), "{hub:?}");
    // Steps 1 and 2 were told as steps, the last one only with the whole.
    assert_eq!((till.pull.report().steps_told, till.pull.report().finished_elsewhere), (2, 0));
}

#[test]
fn what_is_lost_or_repeated_is_worked_once() {
    for fate in [Fate::LosesRequest, Fate::LosesReply, Fate::Twice] {
        for at in 0..ROUNDS {
            let (mut hub, mut till) = (queued(), Till::new("phone-1"));
            for round in 0..ROUNDS {
                till.round(&mut hub, if round == at { fate } else { Fate::Arrives });
            }
            till.until_settled(&mut hub);
            check(&till, &hub, &format!("{fate:?} in round {at}"));
        }
    }
}

#[test]
fn a_line_on_which_every_second_reply_is_lost_brings_everything() {
    let (mut hub, mut till) = (queued(), Till::new("phone-1"));
    for round in 0..200 {
        till.round(&mut hub, if round % 2 == 0 { Fate::LosesReply } else { Fate::Arrives });
    }
    till.until_settled(&mut hub);
    check(&till, &hub, "every second");
}

#[test]
fn a_till_that_is_killed_anywhere_resumes_where_it_was() {
    for at in 0..ROUNDS {
        for is_power in [false, true] {
            for fate in [Fate::Arrives, Fate::LosesReply] {
                let (mut hub, mut till) = (queued(), Till::new("phone-1"));
                for _ in 0..at {
                    till.round(&mut hub, Fate::Arrives);
                }
                till.round(&mut hub, fate);
                till = if is_power { till.cut() } else { till.killed() };
                till.until_settled(&mut hub);
                check(&till, &hub, &format!("round {at}, power {is_power}, {fate:?}"));
            }
        }
    }
}

#[test]
fn a_till_that_is_killed_between_any_two_things_resumes_where_it_was() {
    // Finer than rounds: after the pull, after the work, after the ack.
    for at in 0..3 * ROUNDS {
        let (mut hub, mut till) = (queued(), Till::new("phone-1"));
        for done in 0..=at {
            match done % 3 {
                0 => drop(till.pull_once(&mut hub, Fate::Arrives)),
                1 => drop(till.work_once()),
                _ => drop(till.ack_once(&mut hub, Fate::Arrives)),
            }
        }
        till = till.killed();
        till.until_settled(&mut hub);
        check(&till, &hub, &format!("after {at}"));
    }
}

#[test]
fn what_is_final_here_stays_so_and_its_ack_is_repeated() {
    let (mut hub, mut till) = (HubModel::new(), Till::new("phone-1"));
    let id = hub.queue("note", None);
    while !till.work_once() {
        till.pull_once(&mut hub, Fate::Arrives).unwrap();
    }
    // The hub takes the ack and forgets it: the till has its answer, and will not send it again by itself.
    assert!(till.ack_once(&mut hub, Fate::Arrives));
    hub.deliveries[0].is_done = false;
    till.passes(&mut hub, 60_000);
    for _ in 0..6 {
        till.round(&mut hub, Fate::Arrives);
    }
    assert_eq!((hub.find(&id).acks, hub.find(&id).is_done), (2, true));
    assert_eq!(till.pull.report().duplicates, 1);
    assert_eq!((till.store.inbox().status().open, till.worked.len()), (0, 1));
}

#[test]
fn nothing_of_the_tills_time_is_told() {
    let (mut hub, mut till) = (queued(), Till::new("phone-1"));
    till.until_settled(&mut hub);
    let allowed = ["user", "device", "window", "step"];
    for request in &hub.seen {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let names = body.as_object().map(|it| it.keys().cloned().collect::<Vec<_>>());
        let names = names.unwrap_or_default();
        assert!(names.iter().all(|name| allowed.contains(&name.as_str())), "{request:?}");
        assert!(request.headers.is_empty(), "{request:?}");
    }
}
