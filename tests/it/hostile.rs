//! Requests that are meant to hurt: each gets its answer, and holds nothing for longer than it has to.

use crate::common::{Handler, Logs, Peek, call, get_stream, layer};
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, Request};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tracing::Level;

const SECOND: Duration = Duration::from_secs(1);

/// A body that brings one byte a second, or 64 KiB at once, for ever; how much was taken; and whoever holds the `Arc`
/// knows whether it is still there.
fn body(slow: bool) -> (Body, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&taken);
    let pieces = stream::repeat(()).then(move |()| {
        let count = Arc::clone(&count);
        async move {
            let piece = if slow { Bytes::from_static(b"x") } else { Bytes::from(vec![b'x'; 64 * 1024]) };
            if slow {
                sleep(SECOND).await;
            }
            count.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Ok::<_, Infallible>(piece)
        }
    });
    (Body::from_stream(pieces.boxed()), taken)
}

#[tokio::test(start_paused = true)]
async fn a_body_without_end_delays_no_answer_and_is_let_go() {
    let layer = layer();
    let app = Handler::new().router().layer(layer.clone()).route_service("/resume", layer.endpoint());
    for (token, path, status) in
        [(Some("rubbish"), "/stream", 400), (Some("rubbish"), "/resume", 400), (None, "/resume", 400)]
    {
        for slow in [true, false] {
            let (body, taken) = body(slow);
            let mut request = Request::post(path).body(body).unwrap();
            if let Some(token) = token {
                request.headers_mut().insert("x-resume-token", HeaderValue::from_static(token));
            }
            let asked = Instant::now();
            assert_eq!(call(app.clone(), request).await.status, status);
            assert_eq!(asked.elapsed(), Duration::ZERO);
            sleep(10 * SECOND).await;
            assert_eq!(Arc::strong_count(&taken), 1, "nobody holds it any longer");
            let taken = taken.load(Ordering::Relaxed);
            assert!(taken <= if slow { 5 } else { 1024 * 1024 + 64 * 1024 }, "{taken} bytes were read of it");
        }
    }
}

#[tokio::test]
async fn no_bad_token_is_in_any_line_of_the_log() {
    let logs = Logs::new();
    let app = Handler::new().router().layer(layer());
    let good = call(app.clone(), get_stream()).await.header("x-resume-token").unwrap().to_owned();
    let mut tokens = Peek::flips(&good);
    tokens.extend((1..good.len()).map(|len| good[..len].to_owned()));
    tokens.push(good.repeat(100));
    for token in &tokens {
        for name in ["x-resume-token", "last-event-id"] {
            let mut request = get_stream();
            request.headers_mut().insert(name, HeaderValue::from_str(token).unwrap());
            call(app.clone(), request).await;
        }
    }
    let lines: Vec<_> = logs.all().into_iter().filter(|line| !line.starts_with(Level::TRACE.as_str())).collect();
    assert!(lines.len() > tokens.len(), "each is told of");
    for token in tokens.iter().filter(|token| token.len() > 8) {
        assert!(!lines.iter().any(|line| line.contains(token)), "{token}");
    }
}
