//! All that is reported is collected, and each event has a message.
//!
//! Method: a subscriber and a recorder note down a line for each span, event and value of a metric.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tracing::field::{Field, Visit};
use tracing::span;

/// Everything that was reported, as text, and the names.
#[derive(Clone, Default)]
pub(crate) struct Collected(Arc<Mutex<(String, BTreeSet<String>)>>);

impl Collected {
    /// What was reported, a line each, and the names in it.
    pub(crate) fn all(&self) -> (String, BTreeSet<String>) {
        self.0.lock().unwrap().clone()
    }

    fn add(&self, name: &str, text: &str) {
        let mut all = self.0.lock().unwrap();
        writeln!(all.0, "{name} {text}").unwrap();
        all.1.insert(name.to_owned());
    }
}

/// The fields of a span or an event, and the message of an event.
#[derive(Default)]
struct Fields(String, Option<String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.1 = Some(format!("{value:?}"));
        } else {
            write!(self.0, "{}={value:?} ", field.name()).unwrap();
        }
    }
}

/// A subscriber that wants everything of the crate, of each level down to TRACE. It requires that each event says its
/// name in words: many a subscriber prints the message, and no name.
pub(crate) struct Everything(Collected, AtomicU64);

impl Everything {
    pub(crate) fn new(collected: Collected) -> Self {
        Self(collected, AtomicU64::new(0))
    }
}

impl tracing::Subscriber for Everything {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "onceward"
    }
    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        self.0.add(span.metadata().name(), &fields.0);
        span::Id::from_u64(self.1.fetch_add(1, Ordering::Relaxed) + 1)
    }
    fn record(&self, _span: &span::Id, values: &span::Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        self.0.add("record", &fields.0);
    }
    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let name = event.metadata().name();
        assert_eq!(fields.1, Some(name.replace('_', " ")), "the message of {name}");
        self.0.add(name, &fields.0);
    }
    fn enter(&self, _span: &span::Id) {}
    fn exit(&self, _span: &span::Id) {}
}

/// One metric, which reports each of its values.
struct Reported(Collected, String, String);

impl Reported {
    fn of(collected: &Collected, key: &metrics::Key) -> Arc<Self> {
        let labels: Vec<String> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(Self(collected.clone(), key.name().to_owned(), labels.join(" ")))
    }
    fn add(&self, value: f64) {
        self.0.add(&self.1, &format!("{} {value}", self.2));
    }
}

impl CounterFn for Reported {
    fn increment(&self, value: u64) {
        self.0.add(&self.1, &format!("{} {value}", self.2));
    }
    fn absolute(&self, value: u64) {
        CounterFn::increment(self, value);
    }
}
impl GaugeFn for Reported {
    fn increment(&self, value: f64) {
        self.add(value);
    }
    fn decrement(&self, value: f64) {
        self.add(value);
    }
    fn set(&self, value: f64) {
        self.add(value);
    }
}
impl HistogramFn for Reported {
    fn record(&self, value: f64) {
        self.add(value);
    }
}

impl Recorder for Collected {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &metrics::Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Reported::of(self, key))
    }
    fn register_gauge(&self, key: &metrics::Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Reported::of(self, key))
    }
    fn register_histogram(&self, key: &metrics::Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Reported::of(self, key))
    }
}
