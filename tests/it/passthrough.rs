//! Protocol section 2: every response that is no event stream, and every method that never is a resume, passes untouched.

use crate::common::{Ended, Handler, Logs, Request, Server, call, get_stream, keys, layer, masked};
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use proptest::prelude::*;
use std::io;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_resume::{ResumeLayer, store::MemoryStore};

/// What a handler answers.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    version: Version,
    headers: Vec<(&'static str, String)>,
    body: Vec<Piece>,
    /// As one body of known size, rather than in frames.
    whole: bool,
}

#[derive(Clone, Debug)]
enum Piece {
    Data(Vec<u8>),
    Trailers,
    Error,
}

/// What a handler leaves in a response's extensions.
#[derive(Clone, Debug, PartialEq)]
struct Mark(u8);

impl Answer {
    fn new(status: u16, headers: &[(&'static str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let body = vec![Piece::Data(b"data: a\n\nid: 7\n".to_vec()), Piece::Data(vec![]), Piece::Trailers];
        Self { status, version: Version::HTTP_11, headers, body, whole: false }
    }

    fn response(&self) -> Response<Body> {
        let body = if self.whole {
            let data: Vec<u8> = self
                .body
                .iter()
                .flat_map(|piece| match piece {
                    Piece::Data(data) => data.clone(),
                    _ => vec![],
                })
                .collect();
            Body::new(Full::new(Bytes::from(data)))
        } else {
            Body::new(StreamBody::new(stream::iter(self.body.clone().into_iter().map(|piece| match piece {
                Piece::Data(data) => Ok(Frame::data(Bytes::from(data))),
                Piece::Trailers => Ok(Frame::trailers(HeaderMap::from_iter([(
                    HeaderName::from_static("x-sum"),
                    HeaderValue::from_static("9"),
                )]))),
                Piece::Error => Err(io::Error::other("told to")),
            }))))
        };
        let mut response = Response::builder().status(self.status).version(self.version).extension(Mark(7));
        for (name, value) in &self.headers {
            response = response.header(*name, value);
        }
        response.body(body).unwrap()
    }
}

/// All that can be seen of a response; frames one by one.
async fn seen<B>(response: Response<B>) -> (String, Vec<String>)
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let (head, mut body) = response.into_parts();
    let mark = head.extensions.get::<Mark>();
    let head = format!("{:?} {:?} {:?} {mark:?}", head.status, head.version, head.headers);
    let mut frames = Vec::new();
    loop {
        let size = body.size_hint();
        frames.push(format!("{} {}..{:?}", body.is_end_stream(), size.lower(), size.upper()));
        match body.frame().await {
            None => return (head, frames),
            Some(Ok(frame)) => frames.push(format!("{frame:?}")),
            Some(Err(error)) => {
                frames.push(format!("{error}"));
                return (head, frames);
            }
        }
    }
}

/// Whether the layer leaves this answer to this request alone.
async fn passes(layer: ResumeLayer<MemoryStore>, method: Method, answer: &Answer) -> bool {
    let bare = seen(answer.response()).await;
    let handler = service_fn(|_: http::Request<Body>| async { Ok::<_, io::Error>(answer.response()) });
    let mut request = get_stream();
    *request.method_mut() = method;
    seen(layer.layer(handler).oneshot(request).await.unwrap()).await == bare
}

const SSE: (&str, &str) = ("content-type", "text/event-stream");

#[tokio::test]
async fn what_is_no_plain_event_stream_of_status_200_passes_untouched() {
    let cases: [(u16, &[_]); 13] = [
        (200, &[]),
        (200, &[("content-type", "application/json"), ("etag", "x"), ("content-length", "15")]),
        (200, &[("content-type", "text/event-streams")]),
        (200, &[("content-type", "text/plain; a=text/event-stream")]),
        (201, &[SSE]),
        (202, &[SSE]),
        (204, &[SSE]),
        (206, &[SSE, ("accept-ranges", "bytes")]),
        (304, &[SSE]),
        (401, &[SSE, ("cache-control", "private")]),
        (404, &[SSE]),
        (500, &[SSE, ("etag", "\"x\""), ("trailer", "x-sum")]),
        (101, &[SSE]),
    ];
    for (status, headers) in cases {
        for whole in [false, true] {
            let answer = Answer { whole, ..Answer::new(status, headers) };
            assert!(passes(layer(), Method::GET, &answer).await, "{answer:?}");
        }
    }
    let failing = Answer { body: vec![Piece::Data(b"x".to_vec()), Piece::Error], ..Answer::new(200, &[]) };
    assert!(passes(layer(), Method::GET, &failing).await);
    assert!(!passes(layer(), Method::GET, &Answer::new(200, &[SSE])).await, "this one is recorded");
}

#[tokio::test]
async fn head_options_and_connect_pass_even_with_a_token() {
    for method in [Method::HEAD, Method::OPTIONS, Method::CONNECT] {
        let answer = Answer::new(200, &[SSE]);
        assert!(passes(layer(), method.clone(), &answer).await, "{method}");
        let handler = Handler::new();
        let mut request = get_stream();
        *request.method_mut() = method.clone();
        for (name, value) in [("x-resume-token", "r"), ("last-event-id", "r"), ("x-resume-mode", "status")] {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let reply = call(handler.router().layer(layer()), request).await;
        assert_eq!((reply.status.as_u16(), reply.header("x-resume-stream")), (200, None), "{method}");
        let told = handler.told().await;
        assert_eq!(
            (&told.head.method, &told.head.headers["x-resume-token"]),
            (&method, &HeaderValue::from_static("r"))
        );
    }
}

#[tokio::test]
async fn other_methods_streams_are_recorded() {
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "QUERY", "TRACE"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let handler = Handler::new();
        let server = Server::start(handler.router().layer(layer())).await;
        let mut reply = Request::new(server.addr, method.clone(), "/stream").send().await;
        assert!(reply.phase("open").await["token"].is_string(), "{method}");
    }
}

#[tokio::test]
async fn an_encoded_stream_passes_with_a_single_warning_that_names_the_order_of_layers() {
    let logs = Logs::new();
    let layer = layer();
    for encodings in [&[SSE, ("content-encoding", "gzip")][..], &[SSE, ("content-encoding", "identity, br")]] {
        assert!(passes(layer.clone(), Method::GET, &Answer::new(200, encodings)).await, "{encodings:?}");
    }
    let json = Answer::new(200, &[("content-type", "application/json"), ("content-encoding", "gzip")]);
    assert!(passes(layer, Method::GET, &json).await);
    assert_eq!(
        logs.of(tracing::Level::WARN),
        [
            "WARN message=an event stream with a Content-Encoding passes unrecorded: put the compression layer outside of \
          ResumeLayer (in axum, add it after)"
        ]
    );
}

#[tokio::test]
async fn a_stream_that_another_layer_has_recorded_passes() {
    let handler = Handler::new();
    let outer = ResumeLayer::new(MemoryStore::new(), keys()).tokens_are_enough().scope("outer");
    let server = Server::start(handler.router().layer(layer()).layer(outer)).await;
    let mut reply = Request::get(server.addr, "/stream").send().await;
    let open = reply.phase("open").await;
    for (name, member) in [("x-resume-stream", "request_id"), ("x-resume-token", "token")] {
        let values: Vec<_> = reply.headers.get_all(name).iter().collect();
        assert_eq!(values, [open[member].as_str().unwrap()]);
    }
    let told = handler.told().await;
    told.count(1..=2);
    told.end();
    reply.counts(1..=2).await;
    reply.phase("end").await;
    assert_eq!(reply.rest().await, (vec![], Ended::Clean));
    assert_eq!(masked(&reply.bytes).matches("id: #\n").count(), 4);
}

#[tokio::test]
async fn a_response_that_passes_looks_the_same_on_the_wire() {
    let head = |mut response: Response<Body>| {
        response.headers_mut().insert("content-type", HeaderValue::from_static("text/plain"));
        response.headers_mut().insert("trailer", HeaderValue::from_static("x-sum"));
        response
    };
    let handler = Handler::with_head(head);
    let bare = Server::start(handler.router()).await;
    let wrapped = Server::start(handler.router().layer(layer())).await;
    let mut seen = Vec::new();
    for server in [&bare, &wrapped] {
        for http2 in [false, true] {
            let request = Request::get(server.addr, "/stream").header("te", "trailers");
            let mut reply = if http2 { request.http2() } else { request }.send().await;
            let told = handler.told().await;
            told.send("data: a\n\nhalf");
            told.send_trailers(HeaderMap::from_iter([(
                HeaderName::from_static("x-sum"),
                HeaderValue::from_static("9"),
            )]));
            told.end();
            let mut frames = Vec::new();
            let ended = loop {
                match reply.frame().await {
                    Ok(frame) => frames.push(frame),
                    Err(ended) => break ended,
                }
            };
            reply.headers.remove("date");
            seen.push((reply.status, reply.headers.clone(), frames, reply.trailers.take(), ended));
        }
    }
    assert!(seen[0].3.is_some() && seen[1].3.is_some(), "the trailers do arrive: {seen:?}");
    assert_eq!(seen[..2], seen[2..]);
}

#[tokio::test]
async fn a_request_goes_to_the_handler_as_it_came() {
    let app = axum::Router::new().route(
        "/echo",
        axum::routing::post(|request: axum::extract::Request| async {
            let (head, body) = request.into_parts();
            assert_eq!(head.headers["last-event-id"], "42");
            assert_eq!(head.headers["x-resume-from"], "7");
            assert_eq!(head.uri.query(), Some("from=1&mode=status&token=x"));
            Response::new(body)
        }),
    );
    let server = Server::start(app.layer(layer())).await;
    let request = Request::post(server.addr, "/echo?from=1&mode=status&token=x").body("a body");
    let reply = request.header("last-event-id", "42").header("x-resume-from", "7").send().await;
    assert_eq!(reply.text().await, "a body");
}

fn answers() -> impl Strategy<Value = Answer> {
    let status = prop_oneof![3 => Just(200_u16), 2 => 100_u16..600];
    let kind = prop_oneof![
        4 => "[a-z]{1,9}/[a-z-]{1,12}(; charset=utf-8)?",
        1 => Just("text/event-streamx".to_owned()),
        1 => Just("xtext/event-stream".to_owned()),
        1 => Just(" ".to_owned()),
    ];
    let names =
        ["etag", "content-length", "trailer", "x-resume-token", "cache-control", "set-cookie", "content-encoding"];
    let header = (prop::sample::select(names.to_vec()), "[ -~]{0,12}");
    let piece = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Piece::Data),
        1 => Just(Piece::Trailers),
        1 => Just(Piece::Error),
    ];
    let version = prop::sample::select(vec![Version::HTTP_10, Version::HTTP_11, Version::HTTP_2, Version::HTTP_3]);
    let headers = prop::collection::vec(header, 0..6);
    (status, kind, headers, prop::collection::vec(piece, 0..6), version, any::<bool>()).prop_map(
        |(status, kind, mut headers, body, version, whole)| {
            headers.push(("content-type", kind));
            Answer { status, version, headers, body, whole }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_response_that_is_no_event_stream_passes_untouched(answer in answers()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        prop_assert!(runtime.block_on(passes(layer(), Method::GET, &answer)), "{:?}", answer);
    }
}
