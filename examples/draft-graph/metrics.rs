//! What the layer counts, for those who operate the server: on `/metrics` for Prometheus, and by DogStatsD where
//! `DD_AGENT_HOST` says where an agent is.

use std::time::Duration;

use ::metrics::Label;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;
use metrics_exporter_dogstatsd::{DogStatsDBuilder, DogStatsDRecorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::layers::FanoutBuilder;
use tower_resume::telemetry::{METRICS, MetricKind};

/// Where Prometheus looks.
pub(crate) const METRICS_PATH: &str = "/metrics";

/// How often what was noted of times and sizes is summed up, should nobody look.
const SUM_UP_EVERY: Duration = Duration::from_secs(5);

/// Text as Prometheus takes it.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Has this process' metrics taken down, by whom the environment says.
pub(crate) fn install() -> Result<Metrics, String> {
    let prometheus = METRICS
        .iter()
        .filter(|metric| metric.kind == MetricKind::Histogram)
        .try_fold(PrometheusBuilder::new(), |builder, metric| {
            builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), metric.buckets)
        })
        .map_err(|error| format!("the buckets of the histograms: {error}"))?
        .build_recorder();
    let handle = prometheus.handle();
    let recorders = FanoutBuilder::default().add_recorder(prometheus);
    let recorders = match Agent::from_env(|name| std::env::var(name).ok())? {
        None => recorders,
        Some(agent) => recorders.add_recorder(agent.recorder()?),
    };
    ::metrics::set_global_recorder(recorders.build()).map_err(|_| "metrics are installed already")?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(SUM_UP_EVERY);
        loop {
            interval.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(Metrics(handle))
}

/// What has been counted so far.
pub(crate) struct Metrics(PrometheusHandle);

impl Metrics {
    /// A route of its own, beside the application and not under the layer.
    pub(crate) fn router(self) -> Router {
        let show = move || {
            let text = self.0.render();
            async { ([(CONTENT_TYPE, TEXT), (CACHE_CONTROL, "no-store")], text) }
        };
        Router::new().route(METRICS_PATH, get(show))
    }
}

/// A Datadog agent, and how this process calls itself there.
#[derive(Debug, PartialEq, Eq)]
struct Agent {
    host: String,
    port: u16,
    tags: Vec<(&'static str, String)>,
}

/// The port at which agents listen.
const AGENT_PORT: u16 = 8125;
/// The longest value of a tag, as Datadog has it, less its name.
const TAG_MAX_CHARS: usize = 190;

impl Agent {
    /// None where the environment names none. What is set has to be good all the same.
    fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let set = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let port = match set("DD_AGENT_PORT") {
            None => AGENT_PORT,
            Some(text) => match text.parse() {
                Ok(port @ 1..) => port,
                _ => return Err(format!("DD_AGENT_PORT: `{text}` given, a port number from 1 to 65535 expected")),
            },
        };
        let mut tags = Vec::new();
        for (name, tag) in [("DD_SERVICE", "service"), ("DD_ENV", "env")] {
            if let Some(value) = set(name) {
                let fits = value.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '/'));
                if !fits || value.chars().count() > TAG_MAX_CHARS {
                    return Err(format!(
                        "{name}: `{value}` given, up to {TAG_MAX_CHARS} letters, digits and `_-:./` expected"
                    ));
                }
                tags.push((tag, value));
            }
        }
        Ok(set("DD_AGENT_HOST").map(|host| Self { host, port, tags }))
    }

    fn recorder(&self) -> Result<DogStatsDRecorder, String> {
        let Self { host, port, tags } = self;
        let refuse = |error: &dyn std::fmt::Display| {
            format!("DD_AGENT_HOST: `{host}` given, the name or address of a Datadog agent expected: {error}")
        };
        // An address of IPv6 stands in brackets before a port.
        let address = if host.contains(':') && !host.starts_with('[') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        DogStatsDBuilder::default()
            .with_remote_address(format!("udp://{address}"))
            .map_err(|error| refuse(&error))?
            .with_global_labels(tags.iter().map(|(name, value)| Label::new(*name, value.clone())).collect())
            .build()
            .map_err(|error| refuse(&error))
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
