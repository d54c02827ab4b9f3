//! Back-pressure with nobody connected: a handler runs on, or pauses.

use crate::{
    common::{
        Peek,
        blocks::{blocks, last_id},
        call, get_stream, layer, sharing,
    },
    limits::{SECOND, eager, numbers, resume},
    stored::{settle, stored},
};
use axum::body::Body;
use http::{Request, Response};
use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::time::sleep;
use tower::{Layer as _, Service};
use tower_resume::{
    ResumeLayer, WhenAlone,
    store::{MemoryStore, Store},
};

/// A layer that keeps 64 events and pauses.
fn pausing<S: Store>(layer: ResumeLayer<S>) -> ResumeLayer<S> {
    layer.max_events(NonZeroUsize::new(64).unwrap()).when_alone(WhenAlone::Pause)
}

/// A stream whose client leaves with this many events, or those few more that came along; its token, and how many.
async fn left_at<S>(app: &S, seen: u64) -> (String, u64)
where
    S: Service<Request<Body>, Response = Response<tower_resume::ResumeBody<Body>>, Error: std::fmt::Debug> + Clone,
{
    let mut reply = call(app.clone(), get_stream()).await;
    reply.phase("open").await;
    for number in 1..=seen {
        assert_eq!(reply.event().await.data, number.to_string());
    }
    let token = last_id(&blocks(&reply.bytes)).unwrap().to_owned();
    let seen = Peek::into(&token).seq;
    (token, seen)
}

/// How many events a handler was asked for, once all is still.
async fn asked(taken: &Arc<AtomicUsize>) -> u64 {
    settle().await;
    taken.load(Ordering::Relaxed) as u64
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_pauses_is_asked_for_no_more_than_fits_and_goes_on_with_the_next_reader() {
    for seen in [0, 1, 100, 200] {
        let (handler, taken) = eager(numbers(1000));
        let app = pausing(layer()).layer(handler);
        let (id, seen) = left_at(&app, seen).await;
        let said = asked(&taken).await;
        assert!((seen..=seen + 64).contains(&said), "{said} asked for, {seen} seen");
        sleep(600 * SECOND).await;
        assert_eq!(asked(&taken).await, said, "not one more");
        let mut again = call(app, resume(&id)).await;
        again.phase("replay").await;
        if said > seen {
            again.counts(seen + 1..=said).await;
        }
        again.phase("live").await;
        again.counts(said + 1..=1000).await;
        assert_eq!(again.phase("end").await["status"], "complete");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_runs_on_alone_unless_it_is_told_to_pause() {
    let (handler, taken) = eager(numbers(1000));
    let app = layer().max_events(NonZeroUsize::new(64).unwrap()).layer(handler);
    left_at(&app, 0).await;
    assert_eq!(asked(&taken).await, 1000);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_store_counts_while_it_pauses_too() {
    let (handler, taken) = eager(numbers(1000));
    let app = pausing(stored(MemoryStore::new())).layer(handler);
    let (id, _) = left_at(&app, 0).await;
    assert_eq!(asked(&taken).await, 64);
    let mut again = call(app, resume(&id)).await;
    again.phase("replay").await;
    again.counts(1..=64).await;
    again.phase("live").await;
    again.counts(65..=1000).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_on_another_node_makes_it_go_on() {
    let (handler, taken) =
        eager(numbers(100_000).into_iter().map(|event| format!(": slow\n\n{event}")).collect::<Vec<_>>());
    let [here, there] = sharing(2).try_into().unwrap_or_else(|_| panic!("two"));
    let app = pausing(here).layer(handler.clone());
    let elsewhere = pausing(there).layer(handler);
    let (id, _) = left_at(&app, 0).await;
    assert_eq!(asked(&taken).await, 64);
    let mut reader = call(elsewhere, resume(&id)).await;
    reader.phase("replay").await;
    reader.counts(1..=64).await;
    reader.phase("live").await;
    let mut last = 64;
    // It runs as fast as it can now, for a reader that is slower: there may be gaps.
    while last < 1000 {
        let event = reader.event().await;
        last = match event.phase().as_deref() {
            Some("gap") => event.json()["to"].as_u64().unwrap(),
            _ => event.data.parse().unwrap(),
        };
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_pauses_is_stopped_when_its_detach_time_is_over() {
    let (handler, taken) = eager(numbers(1000));
    let app = pausing(layer()).detach_time(60 * SECOND).layer(handler);
    let (id, _) = left_at(&app, 0).await;
    sleep(61 * SECOND).await;
    let mut late = call(app, resume(&id)).await;
    assert_eq!(late.phase("replay").await["status"], "interrupted");
    assert_eq!(asked(&taken).await, 64);
    late.counts(1..=64).await;
    assert_eq!(late.phase("end").await["status"], "interrupted");
}
