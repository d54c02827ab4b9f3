//! `docs/observability/metrics.md` is made of the table that the metrics themselves are made of.

use std::{fmt::Write as _, fs, path::Path};
use tower_resume::telemetry::{METRICS, Metric, MetricKind};

const HEAD: &str = "\
# Every metric

All that the feature `metrics` keeps, as `telemetry::METRICS` has it. This page is made of that table; after a change to it,
`WRITE_METRICS_PAGE=1 cargo test --test it metrics_page` makes the page again. What is worth an alert, and when to worry:
[README.md](README.md).

No label holds an id, a path or anything else that a client chooses. All values of a label are there from the start, at 0; the
value of `store` is the kind of the layer's store: `memory`, `redis`, or what a store of your own calls itself. An event is what
the field `event` says in the log.
";

fn row(page: &mut String, metric: &Metric) {
    let Metric { name, label, event, help, .. } = *metric;
    let label = match label {
        None => String::new(),
        Some(label) if label.values.is_empty() => format!("`{}`", label.name),
        Some(label) => {
            let values: Vec<_> = label.values.iter().map(|value| format!("`{value}`")).collect();
            format!("`{}`: {}", label.name, values.join(", "))
        }
    };
    let event = event.map_or(String::new(), |event| format!("`{}`", event.as_str()));
    writeln!(page, "| `{name}` | {label} | {event} | {help} |").unwrap();
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (title, kind) in
        [("Counters", MetricKind::Counter), ("Gauges", MetricKind::Gauge), ("Histograms", MetricKind::Histogram)]
    {
        write!(page, "\n## {title}\n\n| name | label and its values | event | what |\n| --- | --- | --- | --- |\n")
            .unwrap();
        METRICS.iter().filter(|metric| metric.kind == kind).for_each(|metric| row(&mut page, metric));
    }
    page
}

#[test]
fn it_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/observability/metrics.md");
    let page = page();
    if std::env::var_os("WRITE_METRICS_PAGE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap();
    assert!(there == page, "it is not: WRITE_METRICS_PAGE=1 cargo test --test it metrics_page makes it again");
}
