//! What operations and answers are made of, and the few rules that a history chooses.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use onceward_index::Secret;

use crate::config::WindowStart;
use crate::inbox::{Delivery, WindowId, WindowKey};
use crate::limits::{Limits, WhenFull};
use crate::testing::WINDOW_MS;
use crate::{Amount, Class, Config, Event, Headers, Key, Kind, Lane, Payload, Scope};

/// Scope and key.
pub(super) type Name = (&'static str, String);

/// The scope whose window is the default.
pub(super) const SALES: &str = "sales";
/// A scope whose window is short.
pub(super) const SHORT: &str = "short";
/// A scope whose window counts from the capture.
pub(super) const CAPTURED: &str = "captured";
/// The scope of what tells the upstream how deliveries ended.
pub(super) const INBOX: &str = "inbox";
/// The scope of one event that nobody settles: its age is how the store tells what time it is.
pub(super) const CLOCK: &str = "clock";
/// Scopes that are sent.
pub(super) const SCOPES: [&str; 4] = [SALES, SHORT, CAPTURED, INBOX];

/// The window of [`SHORT`].
pub(super) const SHORT_MS: u64 = 600_000;
/// The window of [`CAPTURED`].
pub(super) const CAPTURED_MS: u64 = 1_200_000;
/// The window of finished deliveries.
pub(super) const INBOX_MS: u64 = 900_000;
/// The life of records.
pub(super) const RECORD_MS: u64 = 1_800_000;
/// From here on, the number of a content says how a delivery ended.
const ENDS: usize = 1_000;

/// An event that is offered. Its content follows from a number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Item {
    pub(super) name: Name,
    pub(super) content: usize,
    /// What makes no conflict: class, lane, headers, the time that it has.
    pub(super) dress: u8,
}

impl Item {
    /// Money that it stands for, in ten-thousandths.
    pub(super) fn amount(&self) -> i64 {
        if self.content >= ENDS { 0 } else { [0, 10_000, 50_000, -20_000][self.content % 4] }
    }

    /// Whether its payload is so long that a few of them fill a segment.
    pub(super) fn is_heavy(&self) -> bool {
        self.content < ENDS && self.content % 16 >= 12
    }

    pub(super) fn is_evictable(&self) -> bool {
        self.dress & 1 == 1
    }

    /// The number of its lane, if it has one.
    pub(super) fn lane(&self) -> Option<u8> {
        (self.content < ENDS && self.dress & 2 == 2).then_some(self.dress)
    }

    /// The event that says how a delivery ended.
    pub(super) fn of_end(name: String, delivery: usize, is_failed: bool) -> Self {
        let content = ENDS + 2 * delivery + usize::from(is_failed);
        Self { name: (INBOX, name), content, dress: 0 }
    }

    /// The event itself; `deliveries` are those of which it may tell.
    pub(super) fn event(&self, delivery: impl Fn(usize) -> Delivered) -> Event {
        let scope = Scope::new(self.name.0).unwrap();
        let key = Key::new(&self.name.1).unwrap();
        if self.content >= ENDS {
            let (number, is_failed) = ((self.content - ENDS) / 2, self.content % 2 == 1);
            let of = delivery(number);
            let payload = Payload::json(&of.end_payload(is_failed)).unwrap();
            let kind = Kind::new(if is_failed { "FAIL" } else { "ACK" }).unwrap();
            return Event::new(scope, key, payload).with_kind(kind);
        }
        let mut event = Event::new(scope, key, payload(self.content, self.is_heavy()));
        if self.amount() != 0 {
            event = event.with_amount(Amount::from_ten_thousandths(self.amount()));
        }
        if self.content % 3 == 1 {
            event = event.with_kind(Kind::new("REFUND").unwrap());
        }
        if self.is_evictable() {
            event = event.with_class(Class::Evictable);
        }
        if let Some(lane) = self.lane() {
            let lane = Lane::new(&format!("lane-{lane}")).unwrap();
            event = event.with_lane(lane).with_captured_at_ms(i64::from(self.dress));
        }
        if self.dress & 4 == 4 {
            let headers = Headers::new().with("till", &self.dress.to_string()).unwrap();
            event = event.with_headers(headers);
        }
        event
    }
}

thread_local! {
    /// To read long JSON each time takes as long as all the rest.
    static PAYLOADS: RefCell<BTreeMap<usize, Payload>> = const { RefCell::new(BTreeMap::new()) };
}

/// The payload of a content.
fn payload(content: usize, is_heavy: bool) -> Payload {
    let made = || {
        let text = "x".repeat(if is_heavy { 56_000 } else { content });
        if content % 8 == 7 {
            return Payload::bytes(format!("{content}:{text}").into_bytes());
        }
        Payload::json(&format!(r#"{{"n":{content},"x":"{text}"}}"#)).unwrap()
    };
    PAYLOADS.with_borrow_mut(|known| known.entry(content).or_insert_with(made).clone())
}

/// What the upstream says of one event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Answered {
    Accepted(Option<u64>),
    Duplicate(Option<u64>),
    Rejected(String),
    Uncertain(String),
    /// Nothing final.
    Later,
}

/// What became of a call that was begun.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Began {
    Acquired,
    Unknown,
    InProgress(u64),
    Cached { fence: u64, body: u64 },
    Conflict(u64),
    Full,
}

/// What became of a captured event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Told {
    Fresh(usize),
    Duplicate(usize),
    Conflict(usize),
}

/// Something that the upstream delivers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Delivered {
    pub(super) event: Option<u8>,
    pub(super) external: Option<u8>,
    /// Subject, delivery and window.
    pub(super) within: Option<(u8, u8, &'static str)>,
    /// 0: not told.
    pub(super) steps: u32,
}

impl Delivered {
    /// Every name that it is known by.
    pub(super) fn names(&self) -> Vec<String> {
        let event = self.event.iter().map(|it| format!("event {it}"));
        let external = self.external.iter().map(|it| format!("external {it}"));
        let within = self.within.iter().map(|it| format!("within {it:?}"));
        event.chain(external).chain(within).collect()
    }

    pub(super) fn window(&self) -> Option<&'static str> {
        self.within.map(|(_, _, window)| window)
    }

    /// As the engine takes it.
    pub(super) fn delivery(&self) -> Delivery {
        let payload = serde_json::json!({ "for": self.names() }).to_string();
        let payload = Payload::json(&payload).unwrap();
        let within = self.within.map(|(subject, delivery, window)| {
            let window = WindowId::new(window).unwrap();
            WindowKey::new(&format!("u{subject}"), &format!("d{delivery}"), window).unwrap()
        });
        let mut delivery = match (self.event, within) {
            (Some(event), None) => Delivery::new(&format!("e{event}"), payload).unwrap(),
            (Some(event), Some(within)) => {
                Delivery::new(&format!("e{event}"), payload).unwrap().with_window(within)
            }
            (None, within) => Delivery::of_window(within.unwrap(), payload),
        };
        if let Some(external) = self.external {
            delivery = delivery.with_external_id(&format!("x{external}")).unwrap();
        }
        if self.steps > 0 { delivery.with_steps(self.steps).unwrap() } else { delivery }
    }

    /// The key of the event that says how it ended.
    pub(super) fn end_key(&self, is_failed: bool) -> String {
        let prefix = if is_failed { "fail" } else { "ack" };
        if let Some(event) = self.event {
            return format!("{prefix}:e{event}");
        }
        let (subject, delivery, window) = self.within.unwrap();
        let (subject, delivery) = (format!("u{subject}"), format!("d{delivery}"));
        let mut all = Vec::new();
        for part in [window, &subject, &delivery] {
            all.extend_from_slice(&u32::try_from(part.len()).unwrap().to_le_bytes());
            all.extend_from_slice(part.as_bytes());
        }
        // What `Inbox::ack` documents: digits that are the same in every store.
        let digits = Secret::from_bytes([0; 16]).fingerprint("inbox", &all).as_u128();
        format!("{prefix}:{delivery}~{digits:032x}")
    }

    fn end_payload(&self, is_failed: bool) -> String {
        let mut members = serde_json::json!({
            "event_id": self.event.map(|it| format!("e{it}")),
            "external_id": self.external.map(|it| format!("x{it}")),
        });
        if let Some((subject, delivery, window)) = self.within {
            members["subject"] = format!("u{subject}").into();
            members["delivery_id"] = format!("d{delivery}").into();
            members["window"] = window.into();
        }
        if is_failed {
            members["error"] = "no printer".into();
        }
        members.to_string()
    }
}

/// Limits, told by what is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    pub(super) amount: Option<i64>,
    /// Heavy events: stands for bytes.
    pub(super) heavy: Option<usize>,
    pub(super) count: Option<usize>,
    pub(super) sum: Option<i64>,
    pub(super) age: Option<u64>,
    pub(super) when_full: WhenFull,
}

/// What a history chooses.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) limits: Bounds,
    pub(super) leases_max: usize,
    pub(super) deliveries_max: usize,
}

impl Rules {
    /// The window of a scope, and whether it counts from the capture.
    pub(super) fn window(&self, scope: &str) -> (u64, bool) {
        match scope {
            SHORT => (SHORT_MS, false),
            CAPTURED => (CAPTURED_MS, true),
            _ => (WINDOW_MS, false),
        }
    }

    /// The engine's configuration.
    pub(super) fn config(&self, config: Config) -> Config {
        let Bounds { amount, heavy, count, sum, age, when_full } = self.limits;
        let ten_thousandths = Amount::from_ten_thousandths;
        let mut limits = Limits::new().with_when_full(when_full);
        limits.amount = amount.map(ten_thousandths);
        // Small events take less than what half a heavy one does.
        limits.bytes = heavy.map(|heavy| 56_000 * heavy as u64 + 30_000);
        limits.count = count.map(|count| count as u64);
        limits.sum = sum.map(ten_thousandths);
        limits.age = age.map(Duration::from_millis);
        config
            .with_limits(limits)
            .with_scope_window(
                Scope::new(SHORT).unwrap(),
                Duration::from_millis(SHORT_MS),
                WindowStart::FromSettle,
            )
            .with_scope_window(
                Scope::new(CAPTURED).unwrap(),
                Duration::from_millis(CAPTURED_MS),
                WindowStart::FromCapture,
            )
            .with_inbox_window(Duration::from_millis(INBOX_MS))
            .with_inbox_deliveries_max(self.deliveries_max)
            .with_record_life(Duration::from_millis(RECORD_MS))
            .with_leases_max(u32::try_from(self.leases_max).unwrap())
    }
}

/// How often each thing happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(pub(super) BTreeMap<String, u64>);

impl Counts {
    pub(super) fn add(&mut self, what: &str) {
        match self.0.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(self.0.insert(what.to_owned(), 1)),
        }
    }
}
