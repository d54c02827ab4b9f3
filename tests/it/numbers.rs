//! A recorder of this thread's, which a test can look at. Tests run on a thread each, and so do their tasks.

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, LocalRecorderGuard, Metadata, Recorder, SharedString, Unit,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

/// What was counted, by `name` or `name{label=value}`.
#[derive(Debug, Default)]
pub struct Numbers {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    histograms: Mutex<BTreeMap<String, Arc<Values>>>,
    helps: Mutex<BTreeMap<String, (Option<Unit>, String)>>,
    looked_up: AtomicUsize,
}

/// With room for all that a test will note, so that the noting of it takes no memory.
#[derive(Debug)]
struct Values(Mutex<Vec<f64>>);

impl Default for Values {
    fn default() -> Self {
        Self(Mutex::new(Vec::with_capacity(8 * 1024)))
    }
}

impl HistogramFn for Values {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

impl Numbers {
    /// Layers that are made by this thread from now on count here.
    #[must_use]
    pub fn install(&self) -> LocalRecorderGuard<'_> {
        metrics::set_default_local_recorder(self)
    }

    pub fn count(&self, name: &str) -> u64 {
        let counters = self.counters.lock().unwrap();
        counters.get(name).unwrap_or_else(|| panic!("no counter {name}")).load(Ordering::SeqCst)
    }

    pub fn gauge(&self, name: &str) -> f64 {
        let gauges = self.gauges.lock().unwrap();
        f64::from_bits(gauges.get(name).unwrap_or_else(|| panic!("no gauge {name}")).load(Ordering::SeqCst))
    }

    pub fn values(&self, name: &str) -> Vec<f64> {
        let histograms = self.histograms.lock().unwrap();
        histograms.get(name).unwrap_or_else(|| panic!("no histogram {name}")).0.lock().unwrap().clone()
    }

    /// All counters that are not 0.
    pub fn counted(&self) -> BTreeMap<String, u64> {
        let counters = self.counters.lock().unwrap();
        let counts = counters.iter().map(|(name, count)| (name.clone(), count.load(Ordering::SeqCst)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// All gauges that are not 0.
    pub fn raised(&self) -> BTreeMap<String, f64> {
        let gauges = self.gauges.lock().unwrap();
        let values = gauges.iter().map(|(name, bits)| (name.clone(), f64::from_bits(bits.load(Ordering::SeqCst))));
        values.filter(|(_, value)| *value != 0.0).collect()
    }

    /// The names of everything that there is, with the kind.
    pub fn names(&self) -> Vec<(String, &'static str)> {
        let names = |keys: Vec<String>, kind| keys.into_iter().map(move |key| (key, kind));
        let mut all: Vec<_> = names(self.counters.lock().unwrap().keys().cloned().collect(), "counter")
            .chain(names(self.gauges.lock().unwrap().keys().cloned().collect(), "gauge"))
            .chain(names(self.histograms.lock().unwrap().keys().cloned().collect(), "histogram"))
            .collect();
        all.sort();
        all
    }

    pub fn help(&self, name: &str) -> (Option<Unit>, String) {
        self.helps.lock().unwrap().get(name).cloned().unwrap_or_default()
    }

    /// How often a metric was looked up.
    pub fn looked_up(&self) -> usize {
        self.looked_up.load(Ordering::SeqCst)
    }

    fn key(&self, key: &Key) -> String {
        self.looked_up.fetch_add(1, Ordering::SeqCst);
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        if labels.is_empty() { key.name().to_owned() } else { format!("{}{{{}}}", key.name(), labels.join(",")) }
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>, help: &SharedString) {
        self.helps.lock().unwrap().insert(name.as_str().to_owned(), (unit, help.to_string()));
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, unit, &help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, unit, &help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, unit, &help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let key = self.key(key);
        Counter::from_arc(Arc::clone(self.counters.lock().unwrap().entry(key).or_default()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let key = self.key(key);
        Gauge::from_arc(Arc::clone(self.gauges.lock().unwrap().entry(key).or_default()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let key = self.key(key);
        Histogram::from_arc(Arc::clone(self.histograms.lock().unwrap().entry(key).or_default()))
    }
}
