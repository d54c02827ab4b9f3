//! Protocol sections 2.6 and 5: what is too large, too much, too slow or all alone.

use crate::common::{Ended, Handler, Item, call, get_stream, layer, sharing};
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response};
use std::{
    convert::Infallible,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{advance, sleep};
use tower::{Layer as _, Service, service_fn};
use tower_resume::{Durability, EventView, SnapshotFold};

pub const SECOND: Duration = Duration::from_secs(1);

fn size(size: usize) -> NonZeroUsize {
    NonZeroUsize::new(size).unwrap()
}

/// A handler that is ready with its next piece at any time, and how many pieces were taken of it.
pub fn eager<I>(
    pieces: I,
) -> (impl Service<Request<Body>, Response = Response<Body>, Error = http::Error, Future: Send> + Clone, Arc<AtomicUsize>)
where
    I: IntoIterator<Item = String, IntoIter: Send + 'static> + Clone + Send + 'static,
{
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let handler = service_fn(move |_: Request<Body>| {
        let count = Arc::clone(&count);
        let pieces = stream::iter(pieces.clone()).map(move |piece| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from(piece))
        });
        std::future::ready(
            Response::builder().header("content-type", "text/event-stream").body(Body::from_stream(pieces)),
        )
    });
    (handler, taken)
}

pub fn numbers(last: u64) -> Vec<String> {
    (1..=last).map(|number| format!("data: {number}\n\n")).collect()
}

/// Lets everything run until nothing but time can go on; time is paused.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

pub fn resume(token: &str) -> Request<Body> {
    Request::get("/stream").header("x-resume-token", token).body(Body::empty()).unwrap()
}

// ---- back-pressure ----

#[tokio::test(start_paused = true)]
async fn a_handler_is_not_read_beyond_the_event_limit_for_a_client_that_takes_nothing() {
    let (handler, taken) = eager(numbers(1000));
    let mut reply = call(layer().max_events(size(16)).layer(handler), get_stream()).await;
    settle().await;
    assert_eq!(taken.load(Ordering::Relaxed), 16);
    reply.phase("open").await;
    settle().await;
    assert!(taken.load(Ordering::Relaxed) <= 16, "opening is not reading");
    reply.counts(1..=1000).await;
    assert_eq!(reply.phase("end").await["diagnostics"]["trims"], 1000 - 16);
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_not_read_beyond_the_byte_limit_either() {
    let event = format!("data: {}\n\n", "x".repeat(92));
    assert_eq!(event.len(), 100);
    let (handler, taken) = eager(vec![event; 1000]);
    let mut reply = call(layer().max_bytes(size(1000)).layer(handler), get_stream()).await;
    settle().await;
    assert_eq!(taken.load(Ordering::Relaxed), 10);
    let (events, ended) = reply.events().await;
    assert_eq!((events.len(), ended), (1002, Ended::Clean));
}

#[tokio::test(start_paused = true)]
async fn what_merely_passes_holds_the_handler_back_as_well() {
    let piece = "x".repeat(1000);
    let comments = vec![format!(": {piece}\n\n"); 1000];
    let oversized = std::iter::once("data: ".to_owned()).chain(vec![piece; 1000]).chain(["\n\n".to_owned()]);
    for (pieces, what) in [(comments, "comments"), (oversized.collect(), "one event")] {
        let (handler, taken) = eager(pieces);
        let layer = layer().max_event_bytes(size(2000)).max_bytes(size(10_000));
        let mut reply = call(layer.layer(handler), get_stream()).await;
        settle().await;
        let held = taken.load(Ordering::Relaxed);
        assert!((8..16).contains(&held), "{held} pieces of 1,000 bytes were read of {what}");
        let (events, ended) = reply.events().await;
        assert_eq!(ended, Ended::Clean);
        assert!(reply.bytes.len() > 1_000_000, "all of {what} has come");
        assert_eq!(events.last().unwrap().phase().as_deref(), Some("end"));
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_the_limits_a_client_that_reads_gets_everything_without_a_pause() {
    let pieces: Vec<_> = (1..=300)
        .map(|number| match number % 5 {
            0 => format!(": {number}\n\n"),
            1 => format!("data: {number}{}\n\n", " ".repeat(200)),
            2 => format!("data: {number}\n\ndata: and\n\n: {number}"),
            3 => format!("\n\ndata: {number}\n\n"),
            _ => format!("data: {number}\n\n\n"),
        })
        .collect();
    let events = crate::common::parse(pieces.concat().as_bytes());
    for max_events in [1, 2, 3, 17] {
        for max_bytes in [1, 10, 100, 10_000] {
            let (handler, _) = eager(pieces.clone());
            let layer = layer().max_events(size(max_events)).max_bytes(size(max_bytes)).max_event_bytes(size(100));
            let start = tokio::time::Instant::now();
            let mut reply = call(layer.layer(handler), get_stream()).await;
            let (mut seen, ended) = reply.rest().await;
            assert_eq!(ended, Ended::Clean);
            // Time is paused, so it goes on only where everybody waits.
            assert!(start.elapsed() < SECOND, "{max_events} events and {max_bytes} bytes: a wait for nothing");
            seen.remove(0);
            seen.pop();
            let plain = |item: &Item| match item {
                Item::Event(event) => event.data.clone(),
                Item::Comment(text) => format!(":{text}"),
            };
            let (seen, written): (Vec<_>, Vec<_>) =
                (seen.iter().map(plain).collect(), events.iter().map(plain).collect());
            assert_eq!(seen, written, "{max_events} events and {max_bytes} bytes");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_nobody_connected_a_handler_runs_at_full_speed_to_its_end() {
    let (handler, taken) = eager(numbers(5000));
    let service = layer().max_events(size(16)).layer(handler);
    let reply = call(service.clone(), get_stream()).await;
    let token = reply.header("x-resume-token").unwrap().to_owned();
    drop(reply);
    settle().await;
    assert_eq!(taken.load(Ordering::Relaxed), 5000);
    let mut late = call(service, resume(&token)).await;
    late.phase("replay").await;
    let gap = late.phase("gap").await;
    let to = gap["to"].as_u64().unwrap();
    assert_eq!((gap["from"].as_u64(), gap["reason"].as_str()), (Some(1), Some("trimmed")));
    assert!((5000 - 16..5000 - 16 + 16).contains(&to), "at most 16 events are kept, less what shares a chunk: {to}");
    late.counts(to + 1..=5000).await;
    assert_eq!(late.phase("end").await["status"], "complete");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_is_let_go_and_is_told_what_it_has_missed() {
    let (handler, taken) = eager(numbers(1000));
    let service = layer().max_events(size(16)).stall_time(30 * SECOND).layer(handler);
    let mut reply = call(service, get_stream()).await;
    reply.phase("open").await;
    settle().await;
    assert_eq!(taken.load(Ordering::Relaxed), 16);
    advance(29 * SECOND).await;
    settle().await;
    assert_eq!(taken.load(Ordering::Relaxed), 16, "held back until the stall time is over");
    advance(SECOND).await;
    settle().await;
    assert_eq!(taken.load(Ordering::Relaxed), 1000, "and not for longer");
    let gap = reply.phase("gap").await;
    assert_eq!(
        (gap["from"].as_u64(), gap["to"].as_u64(), gap["reason"].as_str()),
        (Some(1), Some(984), Some("trimmed"))
    );
    reply.counts(985..=1000).await;
    reply.phase("end").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_on_another_node_does_not_keep_that_one_from_the_streams_end() {
    let (handler, _) = eager(numbers(1000));
    let [one, other] = <[_; 2]>::try_from(sharing(2)).unwrap_or_else(|_| panic!("two layers"));
    let [one, other] = [one, other].map(|layer| layer.max_events(size(16)).stall_time(30 * SECOND));
    let mut first = call(one.layer(handler.clone()), get_stream()).await;
    let token = first.phase("open").await["token"].as_str().unwrap().to_owned();
    first.counts([1]).await;
    // The last append waits for company.
    advance(SECOND).await;
    settle().await;
    let mut stalled = call(other.layer(handler.clone()), resume(&token)).await;
    settle().await;
    first.counts(2..=1000).await;
    first.phase("end").await;
    for _ in 0..40 {
        advance(SECOND).await;
        settle().await;
    }
    let mut ask = resume(&token);
    ask.headers_mut().insert("x-resume-mode", "status".parse().unwrap());
    assert_eq!(call(other.layer(handler), ask).await.json().await["status"], "complete");
    stalled.phase("replay").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_is_not_one_that_stalls() {
    // Each read takes no more than a write's worth, so the whole takes many.
    let pieces = numbers(600).into_iter().map(|piece| format!(": {}\n{piece}", "x".repeat(20_000)));
    let (handler, _) = eager(pieces.collect::<Vec<_>>());
    let service = layer().max_events(size(16)).stall_time(30 * SECOND).layer(handler);
    let mut reply = call(service, get_stream()).await;
    reply.phase("open").await;
    for number in 1..=600 {
        reply.counts([number]).await;
        advance(9 * SECOND).await;
        settle().await;
    }
    reply.phase("end").await;
}

// ---- nobody there ----

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_stops_nothing() {
    let handler = Handler::new();
    let app = handler.router().layer(layer());
    let mut reply = call(app.clone(), get_stream()).await;
    reply.phase("open").await;
    let told = handler.told().await;
    told.count(1..=1);
    let id = reply.counts(1..=1).await;
    drop(reply);
    advance(800 * SECOND).await;
    settle().await;
    assert!(!told.is_dropped());
    told.count(2..=4);
    told.end();
    settle().await;
    let mut again = call(app, resume(&id)).await;
    assert_eq!(again.phase("replay").await["status"], "complete");
    again.counts(2..=4).await;
    again.phase("end").await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_outlives_its_detach_time_ends_as_interrupted() {
    let handler = Handler::new();
    let app = handler.router().layer(layer().detach_time(60 * SECOND).token_ttl(600 * SECOND));
    let mut reply = call(app.clone(), get_stream()).await;
    reply.phase("open").await;
    let told = handler.told().await;
    told.count(1..=1);
    let id = reply.counts(1..=1).await;
    advance(100 * SECOND).await;
    settle().await;
    assert!(!told.is_dropped(), "somebody is connected");
    drop(reply);
    settle().await;
    advance(50 * SECOND).await;
    settle().await;
    let again = call(app.clone(), resume(&id)).await;
    settle().await;
    drop(again);
    settle().await;
    advance(59 * SECOND).await;
    settle().await;
    assert!(!told.is_dropped(), "somebody was connected 59 s ago");
    told.count(2..=2);
    advance(SECOND).await;
    told.dropped().await;
    let mut late = call(app, resume(&id)).await;
    assert_eq!(late.phase("replay").await["status"], "interrupted");
    late.counts(2..=2).await;
    let end = late.phase("end").await;
    assert_eq!((end["status"].as_str(), end["seq"].as_u64()), (Some("interrupted"), Some(2)));
    assert_eq!(late.rest().await, (vec![], Ended::Clean));
}

// ---- degraded ----

/// A fold that panics when it is asked.
struct Panics;

impl SnapshotFold for Panics {
    fn event(&mut self, _event: &EventView<'_>) {}

    fn snapshot(&self) -> Option<Bytes> {
        panic!("a fold that panics")
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_outlives_its_detach_time_ends_for_good_also_where_its_fold_panics() {
    let handler = Handler::new();
    let app = handler.router().layer(layer().detach_time(60 * SECOND).snapshot_with(|_| Panics));
    let mut reply = call(app.clone(), get_stream()).await;
    let token = reply.phase("open").await["token"].as_str().unwrap().to_owned();
    drop(reply);
    sleep(61 * SECOND).await;
    let mut again = call(app, resume(&token)).await;
    again.phase("replay").await;
    assert_eq!(again.phase("end").await["status"], "interrupted");
}

#[tokio::test(start_paused = true)]
async fn a_fold_that_cannot_be_made_takes_no_room() {
    let handler = Handler::new();
    let limited = layer().max_streams(1).snapshot_with(|_| -> Panics { panic!("no fold") });
    let app = handler.router().layer(limited);
    for _ in 0..2 {
        let (app, request) = (app.clone(), get_stream());
        assert!(tokio::spawn(async move { call(app, request).await.status }).await.unwrap_err().is_panic());
    }
}

#[tokio::test(start_paused = true)]
async fn every_time_may_be_for_ever() {
    const EVER: Duration = Duration::MAX;
    let handler = Handler::new();
    let layer = layer().token_ttl(EVER).state_ttl(EVER).snapshot_ttl(EVER).retry(EVER).durability(Durability::Stored);
    let layer = layer.heartbeat(EVER).detach_time(EVER).grace(EVER).stall_time(EVER).store_patience(EVER);
    let service = layer.layer(handler.router());
    let mut first = call(service.clone(), get_stream()).await;
    let id = first.event().await.id.unwrap();
    let told = handler.told().await;
    told.count([1]);
    first.counts([1]).await;
    drop(first);
    sleep(1000 * SECOND).await;
    let mut request = get_stream();
    request.headers_mut().insert("x-resume-token", id.parse().unwrap());
    let mut again = call(service, request).await;
    again.phase("replay").await;
    again.counts([1]).await;
    told.end();
    again.phase("live").await;
    again.phase("end").await;
    assert_eq!(again.rest().await, (vec![], Ended::Clean));
}
