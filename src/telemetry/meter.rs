//! What counts: the handles of every metric, looked up once a layer.

use super::{Id, Label, METRICS, Metric, MetricKind};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Level as Verbosity, Metadata, Recorder, SharedString, Unit};
use std::fmt;
use tokio::time::Instant;

/// A metric's handles, one for each value of its label.
enum Handles {
    Counters(Box<[(&'static str, Counter)]>),
    Gauges(Box<[(&'static str, Gauge)]>),
    Histograms(Box<[(&'static str, Histogram)]>),
}

/// The metrics of one layer, in the table's order.
pub(crate) struct Meter(Box<[Handles]>);

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}

/// What a metric without a label is found by.
const NONE: &str = "";

impl Meter {
    /// Tells the recorder of every metric, with every label value, so that each is there before it first counts.
    pub(crate) fn new(store: &'static str) -> Self {
        metrics::with_recorder(|recorder| Self(METRICS.iter().map(|metric| handles(recorder, metric, store)).collect()))
    }

    pub(crate) fn count(&self, id: Id, more: u64) {
        self.count_by(id, NONE, more);
    }

    pub(crate) fn count_by(&self, id: Id, value: &str, more: u64) {
        if let Some(Handles::Counters(counters)) = self.0.get(id as usize)
            && let Some(counter) = find(counters, value)
        {
            counter.increment(more);
        }
    }

    pub(crate) fn size(&self, id: Id, size: u64) {
        self.note(id, NONE, as_f64(size));
    }

    pub(crate) fn time(&self, id: Id, since: Stopwatch) {
        self.time_by(id, NONE, since);
    }

    pub(crate) fn time_by(&self, id: Id, value: &str, since: Stopwatch) {
        self.note(id, value, since.0.elapsed().as_secs_f64());
    }

    fn note(&self, id: Id, value: &str, amount: f64) {
        if let Some(Handles::Histograms(histograms)) = self.0.get(id as usize)
            && let Some(histogram) = find(histograms, value)
        {
            histogram.record(amount);
        }
    }

    /// A share of a gauge, 0 for now.
    pub(crate) fn level(&self, id: Id) -> Level {
        Level { dial: self.dial(id), value: 0 }
    }

    pub(crate) fn dial(&self, id: Id) -> Dial {
        match self.0.get(id as usize) {
            Some(Handles::Gauges(gauges)) => gauges.first().map(|(_, gauge)| Dial(gauge.clone())).unwrap_or_default(),
            _ => Dial::default(),
        }
    }
}

fn find<'h, H>(handles: &'h [(&'static str, H)], value: &str) -> Option<&'h H> {
    // The only handle of a metric that is told apart by the store.
    if let [(_, only)] = handles {
        return Some(only);
    }
    let found = handles.iter().find(|(known, _)| *known == value).map(|(_, handle)| handle);
    debug_assert!(found.is_some(), "`{value}` is not in the table");
    found
}

fn handles(recorder: &dyn Recorder, metric: &Metric, store: &'static str) -> Handles {
    let metadata = Metadata::new(super::TARGET, Verbosity::INFO, Some(module_path!()));
    let store = [store];
    let values: &[&'static str] = match metric.label {
        None => &[NONE],
        Some(Label { values: [], .. }) => &store,
        Some(Label { values, .. }) => values,
    };
    let key = |value: &'static str| match metric.label {
        None => Key::from_static_name(metric.name),
        Some(label) => Key::from_parts(metric.name, vec![metrics::Label::from_static_parts(label.name, value)]),
    };
    let (name, unit) = (KeyName::from_const_str(metric.name), Some(unit_of(metric.name)));
    let help = SharedString::const_str(metric.help);
    match metric.kind {
        MetricKind::Counter => {
            recorder.describe_counter(name, unit, help);
            Handles::Counters(
                values.iter().map(|value| (*value, recorder.register_counter(&key(value), &metadata))).collect(),
            )
        }
        MetricKind::Gauge => {
            recorder.describe_gauge(name, unit, help);
            let gauge = |value| {
                let gauge = recorder.register_gauge(&key(value), &metadata);
                // Some recorders know of a gauge only once it is set; other layers of this process may have set it.
                gauge.increment(0.0);
                gauge
            };
            Handles::Gauges(values.iter().map(|value| (*value, gauge(value))).collect())
        }
        MetricKind::Histogram => {
            recorder.describe_histogram(name, unit, help);
            let histogram = |value| recorder.register_histogram(&key(value), &metadata);
            Handles::Histograms(values.iter().map(|value| (*value, histogram(value))).collect())
        }
    }
}

fn unit_of(name: &str) -> Unit {
    if name.ends_with("_seconds") {
        Unit::Seconds
    } else if name.contains("_bytes") {
        Unit::Bytes
    } else {
        Unit::Count
    }
}

#[expect(clippy::cast_precision_loss, reason = "what is counted stays far below 2^53")]
const fn as_f64(value: u64) -> f64 {
    value as f64
}

/// A gauge that many share: each adds what it has, and takes it away again.
#[derive(Clone)]
pub(crate) struct Dial(Gauge);

impl Default for Dial {
    fn default() -> Self {
        Self(Gauge::noop())
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dial")
    }
}

impl Dial {
    pub(crate) fn raise(&self, by: usize) {
        self.0.increment(as_f64(by as u64));
    }

    pub(crate) fn lower(&self, by: usize) {
        self.0.decrement(as_f64(by as u64));
    }
}

/// What one holder adds to a gauge. It is taken away with its holder, however that one ends.
#[derive(Debug, Default)]
pub(crate) struct Level {
    dial: Dial,
    value: u64,
}

impl Level {
    pub(crate) fn set(&mut self, value: u64) {
        let before = std::mem::replace(&mut self.value, value);
        if value > before {
            self.dial.0.increment(as_f64(value - before));
        } else if value < before {
            self.dial.0.decrement(as_f64(before - value));
        }
    }

    /// The same with this to begin with.
    pub(crate) fn at(mut self, value: u64) -> Self {
        self.set(value);
        self
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Since when something is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

impl From<Instant> for Stopwatch {
    fn from(since: Instant) -> Self {
        Self(since)
    }
}
