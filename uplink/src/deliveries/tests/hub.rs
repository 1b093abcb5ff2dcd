//! A model of a hub's queue: sessions, windows, leases and acks on its own clock, in memory.

use serde_json::{Value, json};

use crate::dialect::{KeyPlace, Method, Request, Response};

/// How long a lease lasts.
pub(super) const LEASE_MS: u64 = 30_000;

/// Who has what was handed over. It is handed to the same device again when its lease is over: the answer may have been
/// lost. Another one gets it when this one was not seen for as long.
#[derive(Clone, Debug)]
struct Lease {
    device: String,
    until_ms: u64,
    seen_ms: u64,
}

impl Lease {
    fn new(device: &str, now_ms: u64) -> Self {
        Self { device: device.to_owned(), until_ms: now_ms + LEASE_MS, seen_ms: now_ms }
    }

    /// Whether `device`, which asks, may get it.
    fn is_free(lease: &mut Option<Self>, device: &str, now_ms: u64) -> bool {
        match lease {
            None => true,
            Some(it) if it.device == device => {
                it.seen_ms = now_ms;
                it.until_ms <= now_ms
            }
            Some(it) => it.seen_ms + LEASE_MS <= now_ms,
        }
    }
}

/// A delivery of a window.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) id: String,
    pub(super) engagement: String,
    pub(super) steps: Option<u32>,
    pub(super) recorded: u32,
    pub(super) is_done: bool,
    /// How often the whole was acknowledged.
    pub(super) acks: u32,
    /// How often it was handed over.
    pub(super) offers: u32,
    pub(super) window: String,
    pub(super) payload: Value,
    lease: Option<Lease>,
    is_dropped: bool,
}

/// An event that the hub hands over too.
#[derive(Clone, Debug)]
pub(super) struct QueuedEvent {
    pub(super) id: String,
    pub(super) state: &'static str,
    pub(super) acks: u32,
    lease: Option<Lease>,
}

/// The hub of one user.
#[derive(Debug)]
pub(super) struct HubModel {
    pub(super) now_ms: u64,
    pub(super) window_ms: u64,
    window: Option<(String, u64)>,
    windows: u32,
    pub(super) deliveries: Vec<Queued>,
    pub(super) events: Vec<QueuedEvent>,
    /// Every request that came.
    pub(super) seen: Vec<Request>,
    pub(super) sessions: u32,
    /// Answers that it gives instead, the next first.
    pub(super) script: Vec<Response>,
}

pub(super) fn problem(status: u16, code: &str) -> Response {
    Response::new(status, json!({ "status": status, "code": code, "title": "t" }).to_string())
        .with_content_type("application/problem+json")
}

fn ok(body: &Value) -> Response {
    Response::new(200, body.to_string()).with_content_type("application/json")
}

impl HubModel {
    pub(super) fn new() -> Self {
        Self {
            // Nothing of it has to do with the till's clocks.
            now_ms: 77_000_000,
            window_ms: 24 * 60 * 60 * 1_000,
            window: None,
            windows: 0,
            deliveries: Vec::new(),
            events: Vec::new(),
            seen: Vec::new(),
            sessions: 0,
            script: Vec::new(),
        }
    }

    /// Queues a delivery for the open window, or for the next.
    pub(super) fn queue(&mut self, engagement: &str, steps: Option<u32>) -> String {
        self.end_window();
        let id = format!("0191f2b0-0000-7000-8000-{:012}", self.deliveries.len() + 1);
        let window = self.window.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
        self.deliveries.push(Queued {
            id: id.clone(),
            engagement: engagement.to_owned(),
            steps,
            recorded: 0,
            is_done: false,
            acks: 0,
            offers: 0,
            window,
            payload: json!({ "title": engagement }),
            lease: None,
            is_dropped: false,
        });
        id
    }

    pub(super) fn queue_event(&mut self) -> String {
        let id = format!("0191f2b0-1111-7000-8000-{:012}", self.events.len() + 1);
        self.events.push(QueuedEvent { id: id.clone(), state: "delivering", acks: 0, lease: None });
        id
    }

    pub(super) fn find(&self, id: &str) -> &Queued {
        self.deliveries.iter().find(|it| it.id == id).unwrap()
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_settled(&self) -> bool {
        self.deliveries.iter().all(|it| it.is_done || it.is_dropped)
            && self.events.iter().all(|it| it.state != "delivering")
    }

    /// Ends the open window at once.
    pub(super) fn over(&mut self) {
        self.now_ms = self.window.as_ref().map_or(self.now_ms, |(_, ends_ms)| *ends_ms);
        self.end_window();
    }

    fn end_window(&mut self) {
        if self.window.as_ref().is_some_and(|(_, ends_ms)| *ends_ms <= self.now_ms) {
            let (name, _) = self.window.take().unwrap();
            for it in self.deliveries.iter_mut().filter(|it| it.window == name && !it.is_done) {
                it.is_dropped = true;
            }
        }
    }

    pub(super) fn answer(&mut self, request: &Request) -> Response {
        self.seen.push(request.clone());
        self.end_window();
        if !self.script.is_empty() {
            return self.script.remove(0);
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match (request.method, parts.as_slice()) {
            (Method::Post, ["v1", "engage", "sessions"]) => self.session(&body),
            (Method::Get, ["v1", "engage", "next"]) => self.next(query),
            (Method::Post, ["v1", "engage", "deliveries", id, "ack"]) => self.ack(id, &body),
            (Method::Post, ["admin", "events", id, what]) => {
                assert_eq!(request.key, KeyPlace::Header("X-Admin-Token".to_owned()));
                self.event(id, what)
            }
            _ => problem(404, "NOT_FOUND"),
        }
    }

    fn session(&mut self, body: &Value) -> Response {
        assert!(body["user"] == "u-17" && body["device"].is_string(), "{body}");
        self.sessions += 1;
        let resumed = self.window.is_some();
        if !resumed {
            self.windows += 1;
            self.window = Some((format!("w_{}", self.windows), self.now_ms + self.window_ms));
        }
        let (window, ends_ms) = self.window.clone().unwrap();
        for it in self.deliveries.iter_mut().filter(|it| it.window.is_empty()) {
            it.window.clone_from(&window);
        }
        let remaining_ms = ends_ms - self.now_ms;
        let (issued, expires) = ("1999-01-01T00:00:00Z", "1999-01-02T00:00:00Z");
        ok(&json!({ "window": window, "issuedAt": issued, "expiresAt": expires,
            "remainingMs": remaining_ms, "resumed": resumed }))
    }

    fn next(&mut self, query: &str) -> Response {
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).unwrap()
        };
        let (window, device) = (value("window"), value("device"));
        assert!(value("wait_ms").parse::<u32>().unwrap() <= 25_000);
        if self.window.as_ref().is_none_or(|(open, _)| *open != window) {
            return problem(410, "WINDOW_OVER");
        }
        let now_ms = self.now_ms;
        let mut found = None;
        for it in self.deliveries.iter_mut().filter(|it| it.window == window) {
            let is_free =
                Lease::is_free(&mut it.lease, &device, now_ms) && !it.is_done && !it.is_dropped;
            if is_free && found.is_none() {
                it.lease = Some(Lease::new(&device, now_ms));
                it.offers += 1;
                found = Some(json!({ "delivery_id": it.id, "engagement_id": it.engagement,
                    "window": it.window, "payload": it.payload, "steps": it.steps,
                    "resume_at": it.recorded + 1, "lease_ms": LEASE_MS }));
            }
        }
        for it in &mut self.events {
            let is_free =
                Lease::is_free(&mut it.lease, &device, now_ms) && it.state == "delivering";
            if is_free && found.is_none() {
                it.lease = Some(Lease::new(&device, now_ms));
                found = Some(json!({ "event_id": it.id, "external_id": format!("evt_{}", it.id),
                    "provider": "stripe", "type": "charge.succeeded", "attempt": 1, "replay": false,
                    "received_at": "1999-01-01T00:00:00Z", "payload": { "id": "evt" } }));
            }
        }
        found.map_or_else(|| Response::new(204, ""), |document| ok(&document))
    }

    fn ack(&mut self, id: &str, body: &Value) -> Response {
        assert!(body["device"].is_string(), "{body}");
        let open = self.window.as_ref().map(|(name, _)| name.clone());
        let now_ms = self.now_ms;
        let Some(it) = self.deliveries.iter_mut().find(|it| it.id == id) else {
            return problem(404, "DELIVERY_NOT_FOUND");
        };
        if open.as_deref() != Some(it.window.as_str()) {
            return ok(&json!({ "delivery_id": id, "status": "late" }));
        }
        let most = it.steps.unwrap_or(0);
        let step = match &body["step"] {
            Value::Null => None,
            step => match step.as_u64().and_then(|step| u32::try_from(step).ok()) {
                Some(step) if (1..=most).contains(&step) => Some(step),
                _ => return problem(422, "STEP_INVALID"),
            },
        };
        if step.is_none() {
            it.acks += 1;
        }
        it.is_done |= step.is_none() || step == Some(most);
        it.recorded = it.recorded.max(step.unwrap_or(most));
        if let Some(lease) =
            it.lease.as_mut().filter(|lease| body["device"] == lease.device.as_str())
        {
            *lease = Lease::new(&lease.device, now_ms);
        }
        match it.is_done {
            true => ok(&json!({ "delivery_id": id, "status": "done", "confirmed": true })),
            false => ok(&json!({ "delivery_id": id, "status": "partial", "step": it.recorded,
                "confirmed": true })),
        }
    }

    fn event(&mut self, id: &str, what: &str) -> Response {
        let Some(it) = self.events.iter_mut().find(|it| it.id == id) else {
            return problem(404, "EVENT_NOT_FOUND");
        };
        match what {
            "ack" => (it.state, it.acks) = ("acked", it.acks + 1),
            _ if it.state == "acked" => return problem(409, "ALREADY_ACKED"),
            _ => it.state = "failed",
        }
        ok(&json!({ "event_id": id, "status": it.state }))
    }
}
