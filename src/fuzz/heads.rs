//! What holds of any request, through a whole service over the memory store.

use crate::{Keys, Resume, ResumeLayer, store::MemoryStore};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame};
use std::{
    cell::RefCell,
    convert::Infallible,
    future::{Ready, poll_fn, ready},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};
use tower_service::Service;

/// What the layer may answer by itself: the wire contract, section 3.
const ANSWERS: [u16; 12] = [200, 202, 204, 400, 401, 403, 405, 409, 422, 426, 429, 503];
const CODES: [&str; 14] = [
    "missing_token",
    "malformed_token",
    "bad_cursor",
    "bad_mode",
    "invalid_signature",
    "token_expired",
    "not_allowed",
    "in_progress",
    "key_reused",
    "resume_disabled",
    "stream_expired",
    "step_incompatible",
    "too_many_readers",
    "store_unavailable",
];
/// The handler's own answer to whatever is no resume.
const PASSED: StatusCode = StatusCode::IM_A_TEAPOT;
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

/// A request as text: `METHOD uri`, then `name: value` a line. `{live}`, `{ended}`, `{seen}`, `{gone}` and `{alien}`
/// stand for tokens: of a stream that runs, of one that is over, of one whose end the client has seen, of one that
/// nobody knows, and of another secret.
pub fn heads(data: &[u8]) {
    WORLD.with_borrow_mut(|world| world.ask(data));
}

/// Streams that the layer wraps, and tokens of them.
struct World {
    runtime: Runtime,
    service: Resume<Handler, MemoryStore>,
    endpoint: crate::ResumeEndpoint,
    tokens: [(&'static str, String); 5],
}

impl World {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let entered = runtime.enter();
        let secret = |byte: u8| Keys::new([byte; 32]).unwrap();
        let layer = |keys| {
            let layer = ResumeLayer::new(MemoryStore::new(), keys).tokens_are_enough().query_param("resume");
            layer.token_ttl(YEAR).state_ttl(YEAR).detach_time(YEAR)
        };
        let ours = layer(secret(b'k'));
        let mut service = tower_layer::Layer::layer(&ours, Handler { streams: true });
        let token_of = |service: &mut Resume<Handler, MemoryStore>, path: &'static str| {
            runtime.block_on(async {
                let response = service.call(Request::get(path).body(Whole::default()).unwrap()).await.unwrap();
                let first = response.headers()["x-resume-token"].to_str().unwrap().to_owned();
                let mut last = Vec::new();
                let mut body = pin!(response.into_body());
                let mut left = if path == "/live" { 1 } else { usize::MAX };
                while left > 0
                    && let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await
                {
                    last.extend_from_slice(&frame.unwrap().into_data().unwrap());
                    left -= 1;
                }
                let last = String::from_utf8(last).unwrap();
                let last = last.lines().rfind(|line| line.starts_with("id: ")).unwrap()[4..].to_owned();
                (first, last)
            })
        };
        let (live, _) = token_of(&mut service, "/live");
        let (ended, seen) = token_of(&mut service, "/ended");
        let (gone, _) =
            token_of(&mut tower_layer::Layer::layer(&layer(secret(b'k')), Handler { streams: true }), "/ended");
        let (alien, _) =
            token_of(&mut tower_layer::Layer::layer(&layer(secret(b'a')), Handler { streams: true }), "/ended");
        let tokens = [("{live}", live), ("{ended}", ended), ("{seen}", seen), ("{gone}", gone), ("{alien}", alien)];
        drop(entered);
        service.get_mut().streams = false;
        Self { runtime, endpoint: ours.endpoint(), service, tokens }
    }

    fn ask(&mut self, data: &[u8]) {
        let mut text = String::from_utf8_lossy(data).into_owned();
        for (name, token) in &self.tokens {
            if text.contains(name) {
                text = text.replace(name, token);
            }
        }
        let (Some(passed), Some(asked)) = (request(&text), request(&text)) else { return };
        let resumes = asked.headers().contains_key("x-resume-token") || asked.headers().contains_key("last-event-id");
        self.runtime.block_on(async {
            let response = self.service.call(passed).await.unwrap();
            if response.status() == PASSED {
                return;
            }
            let mentioned = resumes || text.contains("resume=") || text.contains('%') || text.contains('+');
            assert!(mentioned, "answered in the handler's place: {text:?}");
            check(response).await;
        });
        self.runtime.block_on(async {
            let response = self.endpoint.call(asked).await.unwrap();
            assert_ne!(response.status(), PASSED);
            check(response).await;
        });
    }
}

/// The request that a text spells, where it spells one.
fn request(text: &str) -> Option<Request<Whole>> {
    let mut lines = text.lines();
    let (method, uri) = lines.next()?.split_once(' ')?;
    let mut request = Request::new(Whole::default());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = uri.parse::<Uri>().ok()?;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request.headers_mut().append(name, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?);
    }
    Some(request)
}

/// The status, the head and the first of the body are what the contract allows.
async fn check<B>(response: Response<crate::ResumeBody<B>>)
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = response.into_parts();
    let status = head.status.as_u16();
    assert!(ANSWERS.contains(&status), "{status}");
    let header = |name| head.headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap());
    let mut body = pin!(body);
    let frame = poll_fn(|cx| match body.as_mut().poll_frame(cx) {
        Poll::Pending => Poll::Ready(None),
        ready => ready,
    });
    let first = frame.await.map(|frame| frame.unwrap().into_data().unwrap()).unwrap_or_default();
    match (status, header("content-type")) {
        (200, Some("text/event-stream")) => {
            assert!(first.starts_with(b"event: resume\ndata: {\"phase\":\"replay\""), "{first:?}");
            assert!(header("x-resume-token").is_some() && header("x-resume-stream").is_some());
        }
        (200, Some("application/json")) => {
            let status: serde_json::Value = serde_json::from_slice(&first).expect("JSON");
            assert!(status["last"].as_u64().is_some_and(|last| last <= 3), "{status}");
        }
        (202 | 204 | 405, None) => assert!(first.is_empty()),
        (_, Some("application/problem+json")) => {
            let problem: serde_json::Value = serde_json::from_slice(&first).expect("JSON");
            let code = problem["code"].as_str().expect("a code");
            assert!(CODES.contains(&code), "{code}");
            assert_eq!(header("retry-after").is_some(), matches!(status, 409 | 429 | 503), "{code}");
        }
        (status, kind) => panic!("{status} with {kind:?}"),
    }
}

/// Streams of three events: one that goes on for ever, and one that ends. Then nothing more is a stream.
#[derive(Clone)]
struct Handler {
    streams: bool,
}

impl Service<Request<Whole>> for Handler {
    type Response = Response<Whole>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Whole>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Whole>) -> Self::Future {
        let goes_on = request.uri().path() == "/live";
        let mut response = Response::new(Whole::default());
        if self.streams {
            response.headers_mut().insert("content-type", HeaderValue::from_static("text/event-stream"));
            let data = Some(Bytes::from_static(b"data: 1\n\ndata: 2\n\ndata: 3\n\n"));
            *response.body_mut() = Whole { data, goes_on };
        } else {
            *response.status_mut() = PASSED;
        }
        ready(Ok(response))
    }
}

/// A body that is there at once, and over then or never.
#[derive(Default)]
struct Whole {
    data: Option<Bytes>,
    goes_on: bool,
}

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.data.take() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None if self.goes_on => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}
