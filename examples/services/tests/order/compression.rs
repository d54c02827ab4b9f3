//! Compression belongs outside.

use crate::common::{Ended, Handler, Logs, Reply, call, get_stream, layer};
use axum::{Router, routing::get};
use http::{Request, header::ACCEPT_ENCODING};
use std::io::Write as _;
use tower_http::compression::{CompressionLayer, predicate::SizeAbove};
use tracing::Level;

fn ask() -> Request<axum::body::Body> {
    let mut request = get_stream();
    request.headers_mut().insert(ACCEPT_ENCODING, "gzip".parse().unwrap());
    request
}

/// tower-http leaves event streams alone unless it is told otherwise. This one it is told to compress.
fn of_everything() -> CompressionLayer<SizeAbove> {
    CompressionLayer::new().compress_when(SizeAbove::new(0))
}

#[tokio::test]
async fn by_default_event_streams_are_left_alone_in_either_order() {
    for outside in [true, false] {
        let (handler, logs) = (Handler::new(), Logs::new());
        let app = handler.router().route("/text", get(|| async { "text ".repeat(100) }));
        let app = if outside {
            app.layer(layer()).layer(CompressionLayer::new())
        } else {
            app.layer(CompressionLayer::new()).layer(layer())
        };
        let mut reply = call(app.clone(), ask()).await;
        assert_eq!(reply.header("content-encoding"), None);
        reply.phase("open").await;
        let told = handler.told().await;
        told.count(1..=1);
        reply.counts(1..=1).await;
        let mut text = ask();
        *text.uri_mut() = "/text".parse().unwrap();
        assert_eq!(call(app, text).await.header("content-encoding"), Some("gzip"));
        assert_eq!(logs.of(Level::WARN), Vec::<String>::new());
    }
}

/// What comes of a compressed body, as soon as it comes.
struct Unzipped {
    reply: Reply,
    decoder: flate2::write::GzDecoder<Vec<u8>>,
}

impl Unzipped {
    fn new(reply: Reply) -> Self {
        Self { reply, decoder: flate2::write::GzDecoder::new(Vec::new()) }
    }

    /// Everything so far, once it holds this; or how it ended before.
    async fn holds(&mut self, text: &str) -> Result<(), Ended> {
        loop {
            self.decoder.flush().unwrap();
            if String::from_utf8_lossy(self.decoder.get_ref()).contains(text) {
                return Ok(());
            }
            self.decoder.write_all(&self.reply.frame().await?).unwrap();
        }
    }
}

#[tokio::test]
async fn outside_and_told_to_it_compresses_a_stream_that_still_comes_event_by_event() {
    let handler = Handler::new();
    let app = handler.router().layer(layer()).layer(of_everything());
    let reply = call(app.clone(), ask()).await;
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    assert!(reply.header("x-resume-token").is_some());
    let mut reply = Unzipped::new(reply);
    reply.holds("\"phase\":\"open\"").await.unwrap();
    let told = handler.told().await;
    for number in 1..=3 {
        told.count([number]);
        reply.holds(&format!("data: {number}\n")).await.unwrap();
    }
    told.end();
    reply.holds("\"phase\":\"end\"").await.unwrap();
    assert_eq!(reply.holds("more").await, Err(Ended::Clean));
}

#[tokio::test]
async fn inside_and_told_to_it_makes_streams_pass_unrecorded_with_a_single_warning() {
    let (handler, logs) = (Handler::new(), Logs::new());
    let app: Router = handler.router().layer(of_everything()).layer(layer());
    for _ in 0..2 {
        let reply = call(app.clone(), ask()).await;
        assert_eq!(reply.header("x-resume-token"), None);
        let told = handler.told().await;
        told.count(1..=1);
        told.end();
        let mut reply = Unzipped::new(reply);
        reply.holds("data: 1\n").await.unwrap();
        assert_eq!(reply.holds("more").await, Err(Ended::Clean));
    }
    let warnings = logs.of(Level::WARN);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("put the compression layer outside of ResumeLayer (in axum, add it after)"));
}
