//! How long a drain waits, and what becomes of what is left at its deadline.

use super::{Here, MINUTE, SECOND, parts, rest, two};
use crate::common::{Ended, Stage, Switch, ask, call, get_stream, keys, layer};
use axum::body::Body;
use http::{Request, Response};
use std::{convert::Infallible, sync::Mutex, time::Duration};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};
use tower::{Layer as _, service_fn};
use tower_resume::{Durability, Idempotency, ResumeLayer, store::MemoryStore};

#[tokio::test(start_paused = true)]
async fn what_is_left_at_the_deadline_is_interrupted_and_its_clients_see_the_end() {
    for shared in [true, false] {
        for within in [Duration::ZERO, 30 * SECOND] {
            let switch = Switch::new(&MemoryStore::new());
            let switch = if shared { switch.shared() } else { switch };
            // One that cannot be written to: nobody can go on elsewhere.
            switch.set_full(true);
            let here = Here::new(ResumeLayer::new(switch.clone(), keys()).tokens_are_enough());
            let (told, first, token) = here.begin().await;
            told.count(1..=3);
            let second = here.resume(&token).await;
            let begun = Instant::now();
            let drain = here.drain(within);
            for reply in [first, second] {
                let rest = rest(reply, &token).await;
                assert_eq!((&*rest.numbers, rest.status.as_deref()), (&[1, 2, 3][..], Some("interrupted")));
                assert_eq!(rest.ended, Ended::Clean);
                assert!(rest.at - begun >= within && rest.at - begun < within + 2 * SECOND);
            }
            told.dropped().await;
            assert_eq!(parts(drain.await.unwrap()), (1, usize::from(shared), 0), "shared: {shared}");
            assert!(begun.elapsed() <= within + 2 * SECOND);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_ends_to_be_stored_but_not_beyond_the_deadline() {
    for comes_back in [true, false] {
        let ([one, other], [switch, _]) = two();
        let (told, mut first, token) = one.begin().await;
        told.send("data: 1\n\n");
        first.counts([1]).await;
        one.knows(&token, 1).await;
        switch.set_full(true);
        let drain = one.drain(MINUTE);
        told.end();
        assert_eq!(rest(first, &token).await.status.as_deref(), Some("complete"));
        sleep(MINUTE / 2).await;
        assert!(!drain.is_finished());
        if comes_back {
            switch.set_full(false);
            let begun = Instant::now();
            assert_eq!(parts(drain.await.unwrap()), (0, 0, 0));
            assert!(begun.elapsed() < 10 * SECOND);
            let rest = rest(other.resume(&token).await, &token).await;
            assert_eq!((&*rest.numbers, rest.status.as_deref()), (&[1][..], Some("complete")));
        } else {
            assert_eq!(parts(drain.await.unwrap()), (0, 1, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_stream_is_drained_as_any_other() {
    let store = MemoryStore::new();
    let switch = Switch::new(&store).shared();
    let layer = ResumeLayer::new(switch.clone(), keys()).tokens_are_enough().durability(Durability::Stored);
    let here = Here::new(layer);
    let (told, mut first, token) = here.begin().await;
    told.send("data: 1\n\n");
    first.counts([1]).await;
    // What the store does not have, nobody is shown: at the deadline the response is cut.
    switch.set_full(true);
    told.send("data: 2\n\n");
    let begun = Instant::now();
    let drain = here.drain(5 * SECOND);
    let rest = rest(first, &token).await;
    assert_eq!((rest.ended, rest.status, rest.numbers.len()), (Ended::Abrupt, None, 0));
    assert_eq!(parts(drain.await.unwrap()), (1, 1, 0));
    assert!(begun.elapsed() < 8 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_drain_can_be_asked_for_twice_and_left_and_the_earliest_deadline_counts() {
    let here = Here::new(layer());
    let (told, first, token) = here.begin().await;
    let begun = Instant::now();
    drop(here.layer.drain(Duration::ZERO));
    let far = here.drain(Duration::MAX);
    let aborted = here.drain(SECOND);
    tokio::task::yield_now().await;
    aborted.abort();
    sleep(10 * SECOND).await;
    assert!(!told.is_dropped(), "a future that is dropped ends nothing");
    let near = here.drain(10 * SECOND);
    let rest = rest(first, &token).await;
    assert_eq!((rest.status.as_deref(), rest.ended), (Some("interrupted"), Ended::Clean));
    assert_eq!(rest.at - begun, 20 * SECOND);
    assert_eq!(parts(near.await.unwrap()), (1, 0, 0));
    assert_eq!(parts(far.await.unwrap()), (0, 0, 0));
    assert_eq!(parts(here.drain(MINUTE).await.unwrap()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_handlers_that_have_not_answered_yet() {
    let (answer, answered) = oneshot::channel::<()>();
    let answered = Mutex::new(Some(answered));
    let layer = layer();
    let handler = service_fn(move |_: Request<Body>| {
        let answered = answered.lock().unwrap().take().unwrap();
        async move {
            answered.await.unwrap();
            let body = Body::from("data: 1\n\n");
            Ok::<_, Infallible>(Response::builder().header("content-type", "text/event-stream").body(body).unwrap())
        }
    });
    let first = tokio::spawn(call(layer.layer(handler), get_stream()));
    sleep(SECOND).await;
    let drain = tokio::spawn(layer.drain(MINUTE));
    sleep(MINUTE / 2).await;
    assert!(!drain.is_finished());
    answer.send(()).unwrap();
    let rest = rest(first.await.unwrap(), "").await;
    assert_eq!((&*rest.numbers, rest.status.as_deref()), (&[1][..], Some("complete")));
    assert_eq!(parts(drain.await.unwrap()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_the_handler_of_a_key_also_where_its_client_has_left_and_joins_say_close() {
    let stage = Stage::new();
    let layer = layer().idempotency(Idempotency::new().shared_keys());
    let node = stage.under(layer.clone());
    let keyed = || Request::post("/").header("idempotency-key", "a").body(Body::empty()).unwrap();
    let left = ask(&node, keyed());
    let handler = stage.call().await;
    left.abort();
    let drain = tokio::spawn(layer.drain(MINUTE));
    sleep(MINUTE / 2).await;
    assert!(!drain.is_finished());
    let body = handler.stream();
    body.count(1);
    let joined = call(node, keyed()).await;
    assert_eq!((joined.header("idempotency-replayed"), joined.header("connection")), (Some("true"), Some("close")));
    drop(body);
    assert_eq!(&*rest(joined, "").await.numbers, [1]);
    assert_eq!(parts(drain.await.unwrap()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_holds_a_drain_up_to_its_deadline_only() {
    let ([one, other], _) = two();
    let (told, mut first, token) = one.begin().await;
    told.send("data: 1\n\n");
    first.counts([1]).await;
    other.knows(&token, 1).await;
    let begun = Instant::now();
    let drain = one.drain(MINUTE);
    told.end();
    assert_eq!(parts(drain.await.unwrap()), (0, 0, 1));
    assert!(begun.elapsed() >= MINUTE && begun.elapsed() <= MINUTE + 2 * SECOND);
    assert_eq!(rest(first, &token).await.status.as_deref(), Some("complete"));
}

#[tokio::test(start_paused = true)]
async fn once_a_node_is_drained_nothing_stays_open_there() {
    let ([one, other], _) = two();
    let (elsewhere, _first, token) = other.begin().await;
    elsewhere.send("data: 1\n\n");
    one.knows(&token, 1).await;
    assert_eq!(parts(one.drain(MINUTE).await.unwrap()), (0, 0, 0));
    let begun = Instant::now();
    let late = rest(one.resume(&token).await, &token).await;
    assert_eq!((late.ended, late.status), (Ended::Abrupt, None));
    let first = call(one.app.clone(), get_stream()).await;
    let told = one.handler.told().await;
    let late = rest(first, "").await;
    assert_eq!((late.ended, late.status.as_deref()), (Ended::Clean, Some("interrupted")));
    told.dropped().await;
    assert!(begun.elapsed() < SECOND);
    // What is over is replayed as ever.
    let again = rest(one.resume(&late.token).await, &late.token).await;
    assert_eq!((again.ended, again.status.as_deref()), (Ended::Clean, Some("interrupted")));
}
