//! What operators count by: every metric of the table is there from the start, events count, and gauges are true whatever
//! becomes of streams, readers and nodes.

use crate::common::{Handler, Nodes, Reply, Switch, call, get_stream, keys, layer, pass, until};
use crate::numbers::Numbers;
use axum::{Router, body::Body};
use std::{collections::BTreeMap, num::NonZeroUsize, time::Duration};
use tower_resume::{Class, EventView, ResumeLayer, store::MemoryStore, telemetry::METRICS};

fn map<const N: usize, T>(entries: [(&str, T); N]) -> BTreeMap<String, T> {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn resume(token: &str) -> http::Request<Body> {
    http::Request::get("/stream").header("x-resume-token", token).body(Body::empty()).unwrap()
}

/// A stream that has begun: its client has seen `open`.
async fn begun(app: &Router) -> (Reply, String) {
    let mut first = call(app.clone(), get_stream()).await;
    let token = first.phase("open").await["token"].as_str().unwrap().to_owned();
    (first, token)
}

/// Waits until all that these gauges show has gone back to nothing.
async fn until_nothing(numbers: &Numbers) {
    until("all gauges are 0 again", async || numbers.raised().is_empty()).await;
}

#[test]
fn every_metric_is_there_from_the_start_with_every_value_of_its_label_and_its_help() {
    let numbers = Numbers::default();
    let _here = numbers.install();
    let _app = Handler::new().router().layer(layer());
    let mut expected = Vec::new();
    for metric in METRICS {
        match metric.label {
            None => expected.push((metric.name.to_owned(), metric.kind.as_str())),
            Some(label) if label.values.is_empty() => {
                expected.push((format!("{}{{{}=memory}}", metric.name, label.name), metric.kind.as_str()));
            }
            Some(label) => expected.extend(
                label
                    .values
                    .iter()
                    .map(|value| (format!("{}{{{}={value}}}", metric.name, label.name), metric.kind.as_str())),
            ),
        }
        let (unit, help) = numbers.help(metric.name);
        assert_eq!(help, metric.help);
        let unit = unit.expect("a unit").as_str();
        let by_name = ["seconds", "bytes"].into_iter().find(|unit| metric.name.contains(&format!("_{unit}")));
        assert_eq!(unit, by_name.unwrap_or("count"), "{}", metric.name);
    }
    expected.sort();
    assert_eq!(numbers.names(), expected);
    assert_eq!(numbers.counted(), BTreeMap::new());
}

#[tokio::test]
async fn a_stream_and_its_resume_are_counted_from_its_token_to_its_end() {
    let numbers = Numbers::default();
    let _here = numbers.install();
    let nodes = Nodes::start([layer()]).await;
    let mut run = nodes.counted(3).await;
    let mut reply = nodes.resume(0, run.id(1)).send().await;
    reply.phase("replay").await;
    reply.counts([2, 3]).await;
    reply.phase("live").await;
    run.end().await;
    reply.phase("end").await;
    drop(reply);
    run.leave();
    until_nothing_but_the_ceilings(&numbers).await;
    assert_eq!(
        numbers.counted(),
        map([
            ("tower_resume_attempt_total{mode=live}", 1),
            ("tower_resume_event_bytes_total", 3 * "data: 1\n\n".len() as u64),
            ("tower_resume_events_total", 3),
            ("tower_resume_issued_total", 1),
            ("tower_resume_live_start_total", 1),
            ("tower_resume_stream_ended_total{status=complete}", 1),
            ("tower_resume_success_total", 1),
        ])
    );
    assert_eq!(numbers.values("tower_resume_replay_events"), [2.0]);
    for (histogram, count) in [
        ("tower_resume_replay_seconds", 1),
        ("tower_resume_first_event_seconds", 1),
        ("tower_resume_stream_seconds", 1),
        ("tower_resume_response_seconds{state=ended}", 2),
        ("tower_resume_response_seconds{state=gone}", 0),
    ] {
        let values = numbers.values(histogram);
        assert_eq!(values.len(), count, "{histogram}");
        assert!(values.iter().all(|value| (0.0..60.0).contains(value)), "{histogram}: {values:?}");
    }
    let appends = numbers.values("tower_resume_append_seconds{store=memory}");
    assert!(!appends.is_empty() && appends.iter().all(|value| (0.0..60.0).contains(value)), "{appends:?}");
}

/// Streams and readers have gone, and what they held; the node is still there.
async fn until_nothing_but_the_ceilings(numbers: &Numbers) {
    until("all has gone", async || numbers.raised().keys().all(|name| name.starts_with("tower_resume_max_"))).await;
}

#[tokio::test(start_paused = true)]
async fn times_are_measured_from_the_request_on() {
    let numbers = Numbers::default();
    let _here = numbers.install();
    let handler = Handler::new();
    let app = handler.router().layer(layer());
    let (mut first, token) = begun(&app).await;
    let told = handler.told().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    told.count([1]);
    first.counts([1]).await;
    assert_eq!(numbers.values("tower_resume_first_event_seconds"), [0.7]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    told.count([2]);
    told.end();
    first.counts([2]).await;
    first.phase("end").await;
    assert_eq!(numbers.values("tower_resume_first_event_seconds").len(), 1, "the first event only");
    assert_eq!(numbers.values("tower_resume_stream_seconds"), [2.7]);
    drop(first);
    assert_eq!(numbers.values("tower_resume_response_seconds{state=ended}"), [2.7]);
    call(app, resume(&token)).await.rest().await;
    assert_eq!(numbers.values("tower_resume_replay_seconds"), [0.0]);
    assert_eq!(numbers.values("tower_resume_replay_events"), [2.0]);
}

#[tokio::test]
async fn what_goes_wrong_is_counted_with_its_reason() {
    let numbers = Numbers::default();
    let _here = numbers.install();
    let classify = |event: &EventView<'_>| match event.name() {
        "result" => Class::new().result(),
        _ => Class::new(),
    };
    let layer = layer().max_events(NonZeroUsize::new(2).unwrap()).classify_with(classify);
    let nodes = Nodes::start([layer]).await;
    let mut run = nodes.counted(5).await;
    nodes.resume(0, run.id(0)).header("x-resume-mode", "replay").send().await.rest().await;
    run.say("event: result\ndata: {}\n\n").await;
    let end = run.end().await;
    nodes.resume(0, run.id(0)).send().await.rest().await;
    assert_eq!(nodes.resume(0, "rubbish").send().await.status, 400);
    assert_eq!(nodes.reconnect(0, &end).send().await.status, 204);
    pass(Duration::from_secs(1000)).await;
    assert_eq!(nodes.resume(0, run.id(1)).send().await.status, 426);
    let mut failing = nodes.begin().await;
    failing.fail();
    failing.ended().await;
    drop(failing);
    until("all is counted", async || {
        numbers.count("tower_resume_stream_ended_total{status=error}") == 1
            && numbers.values("tower_resume_response_seconds{state=ended}").len() == 3
    })
    .await;
    assert_eq!(
        numbers.counted(),
        map([
            ("tower_resume_attempt_total{mode=live}", 3),
            ("tower_resume_attempt_total{mode=replay}", 1),
            ("tower_resume_buffer_trimmed_total", 4),
            ("tower_resume_event_bytes_total", 5 * 9 + 24),
            ("tower_resume_events_total", 6),
            ("tower_resume_expired_total{reason=stream}", 1),
            ("tower_resume_gap_events_total{reason=trimmed}", 3 + 6),
            ("tower_resume_gap_total{reason=trimmed}", 2),
            ("tower_resume_handler_failed_total", 1),
            ("tower_resume_issued_total", 2),
            ("tower_resume_partial_recovery_total{kind=snapshot}", 1),
            ("tower_resume_refused_total{code=malformed_token}", 1),
            ("tower_resume_refused_total{code=stream_expired}", 1),
            ("tower_resume_snapshot_created_total", 1),
            ("tower_resume_stream_ended_total{status=complete}", 1),
            ("tower_resume_stream_ended_total{status=error}", 1),
            ("tower_resume_success_total", 2),
        ])
    );
}

#[tokio::test]
async fn gauges_of_several_layers_add_up_and_go_back_to_nothing_with_them() {
    let numbers = Numbers::default();
    let here = numbers.install();
    let handler = Handler::new();
    let apps = [layer(), layer().max_streams(7)].map(|layer| handler.router().layer(layer));
    drop(here);
    let mut open = Vec::new();
    for app in &apps {
        for _ in 0..2 {
            let (mut first, token) = begun(app).await;
            let told = handler.told().await;
            told.count([1]);
            first.counts([1]).await;
            let mut second = call(app.clone(), resume(&token)).await;
            second.phase("replay").await;
            open.push((told, first, second));
        }
    }
    assert_eq!(numbers.gauge("tower_resume_open_streams"), 4.0);
    assert_eq!(numbers.gauge("tower_resume_readers"), 8.0);
    assert_eq!(numbers.gauge("tower_resume_max_streams"), 10_007.0);
    assert_eq!(numbers.gauge("tower_resume_max_readers"), 2.0 * 20_000.0);
    assert_eq!(numbers.gauge("tower_resume_store_down{store=memory}"), 0.0);
    assert!(numbers.gauge("tower_resume_buffered_bytes") >= 4.0 * 8.0);
    until("all is acknowledged", async || numbers.gauge("tower_resume_unacknowledged_events{store=memory}") == 0.0)
        .await;

    // Readers that leave, and streams that end in every way.
    let mut open = open.into_iter();
    let (told, first, second) = open.next().unwrap();
    drop((first, second));
    until("two readers have left", async || numbers.gauge("tower_resume_readers") == 6.0).await;
    assert_eq!(numbers.gauge("tower_resume_open_streams"), 4.0, "it goes on without them");
    told.end();
    until("it has ended", async || numbers.gauge("tower_resume_open_streams") == 3.0).await;
    let (told, mut first, _second) = open.next().unwrap();
    told.fail();
    first.phase("end").await;
    assert_eq!(numbers.gauge("tower_resume_open_streams"), 2.0);
    drop((first, open));
    drop(apps);
    until("its readers have left", async || numbers.gauge("tower_resume_readers") == 1.0).await;
    drop(_second);
    until_nothing(&numbers).await;
}

#[tokio::test]
async fn a_runtime_that_shuts_down_leaves_no_gauge_behind() {
    let numbers = Numbers::default();
    let numbers = &numbers;
    let run = std::thread::scope(|scope| {
        scope
            .spawn(move || {
                let _here = numbers.install();
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let store = Switch::new(&MemoryStore::new()).shared();
                    let handler = Handler::new();
                    let app = handler.router().layer(ResumeLayer::new(store.clone(), keys()).tokens_are_enough());
                    let (mut first, _) = begun(&app).await;
                    let told = handler.told().await;
                    store.set_down(true);
                    told.count(1..=3);
                    first.counts(1..=3).await;
                    until("it is seen to be down", async || {
                        numbers.gauge("tower_resume_store_down{store=switch}") == 1.0
                    })
                    .await;
                    assert_eq!(numbers.gauge("tower_resume_open_streams"), 1.0);
                    assert_eq!(numbers.gauge("tower_resume_unacknowledged_events{store=switch}"), 3.0);
                });
            })
            .join()
    });
    run.unwrap();
    assert_eq!(numbers.raised(), BTreeMap::new());
    assert_eq!(numbers.count("tower_resume_stream_ended_total{status=interrupted}"), 1);
}

#[tokio::test]
async fn a_handler_that_panics_leaves_no_gauge_behind() {
    let numbers = Numbers::default();
    let here = numbers.install();
    let handler = Handler::new();
    let app = handler.router().layer(layer().classify_with(|event: &EventView<'_>| {
        assert_ne!(&*event.data(), b"2", "told to panic");
        Class::new()
    }));
    drop(here);
    let (mut first, _) = begun(&app).await;
    let told = handler.told().await;
    told.count(1..=2);
    first.counts([1]).await;
    assert_eq!(first.phase("end").await["status"], "error");
    drop((first, app));
    until_nothing(&numbers).await;
    assert_eq!(numbers.count("tower_resume_handler_failed_total"), 1);
}

#[tokio::test]
async fn what_the_store_has_not_acknowledged_is_shown_until_it_has() {
    let numbers = Numbers::default();
    let here = numbers.install();
    let store = Switch::new(&MemoryStore::new()).shared();
    let handler = Handler::new();
    let app = handler.router().layer(ResumeLayer::new(store.clone(), keys()).tokens_are_enough());
    drop(here);
    let (mut first, _) = begun(&app).await;
    let told = handler.told().await;
    let unacknowledged = || numbers.gauge("tower_resume_unacknowledged_events{store=switch}");
    let down = || numbers.gauge("tower_resume_store_down{store=switch}");
    store.set_down(true);
    told.count(1..=400);
    first.counts(1..=400).await;
    until("the store is seen to be down", async || down() == 1.0).await;
    assert_eq!(unacknowledged(), 400.0);
    store.set_down(false);
    until("all is stored", async || unacknowledged() == 0.0).await;
    assert_eq!(down(), 0.0);
    assert_eq!(numbers.count("tower_resume_store_health_total{state=down}"), 1);
    assert_eq!(numbers.count("tower_resume_store_health_total{state=up}"), 1);
    assert!(numbers.count("tower_resume_store_failed_total{kind=unavailable}") >= 1);

    // One that is there, and refuses.
    store.set_full(true);
    told.count(401..=410);
    first.counts(401..=410).await;
    until("it refuses", async || numbers.count("tower_resume_store_failed_total{kind=refused}") >= 1).await;
    assert_eq!((unacknowledged(), down()), (10.0, 0.0));
    told.end();
    first.phase("end").await;
    store.set_full(false);
    until("all is stored", async || unacknowledged() == 0.0).await;
    drop((first, app));
}

#[tokio::test]
async fn a_drained_node_has_no_streams_and_no_readers() {
    let numbers = Numbers::default();
    let here = numbers.install();
    let store = MemoryStore::new();
    let (one, other) = (Switch::new(&store).shared(), Switch::new(&store).shared());
    let of = |store: &Switch| ResumeLayer::new(store.clone(), keys()).tokens_are_enough();
    let handler = Handler::new();
    let (leaving, staying) = (of(&one), of(&other));
    let app = handler.router().layer(leaving.clone());
    drop(here);
    let (mut first, token) = begun(&app).await;
    let told = handler.told().await;
    told.count([1]);
    first.counts([1]).await;
    let drained = tokio::spawn(leaving.drain(Duration::from_secs(30)));
    first.rest().await;
    drop(first);
    until("the reader has left", async || numbers.gauge("tower_resume_readers") == 0.0).await;
    assert_eq!(numbers.count("tower_resume_reader_sent_away_total"), 1);
    let elsewhere = Handler::new().router().layer(staying);
    let mut second = call(elsewhere, resume(&token)).await;
    second.phase("replay").await;
    told.end();
    drained.await.unwrap();
    assert_eq!(numbers.gauge("tower_resume_open_streams"), 0.0);
    assert_eq!(numbers.count("tower_resume_drain_began_total"), 1);
    assert_eq!(numbers.count("tower_resume_drain_done_total"), 1);
    second.rest().await;
}

#[tokio::test]
async fn nothing_is_looked_up_once_the_layer_is_made() {
    let numbers = Numbers::default();
    let _here = numbers.install();
    let handler = Handler::new();
    let app = handler.router().layer(layer());
    let looked_up = numbers.looked_up();
    let (mut first, token) = begun(&app).await;
    let told = handler.told().await;
    told.count(1..=300);
    first.counts(1..=300).await;
    told.end();
    first.phase("end").await;
    call(app, resume(&token)).await.rest().await;
    assert_eq!(numbers.looked_up(), looked_up);
}
