//! CORS belongs outside, of the resume endpoint as well: what the layer answers itself goes through no other.

use crate::common::{Handler, Logs, Reply, call, get_stream, layer};
use axum::Router;
use axum::body::Body;
use http::{HeaderValue, Method, Request, header};
use tower_http::cors::CorsLayer;
use tracing::Level;

const ORIGIN: &str = "https://app.example";

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin([HeaderValue::from_static(ORIGIN)])
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(tower_resume::header::REQUEST)
        .expose_headers(tower_resume::header::RESPONSE)
}

fn from_elsewhere(method: Method, path: &str, header: Option<(&str, &str)>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header("origin", ORIGIN);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    request.body(Body::empty()).unwrap()
}

fn preflight(path: &str) -> Request<Body> {
    let mut request = from_elsewhere(Method::OPTIONS, path, Some(("access-control-request-method", "DELETE")));
    request.headers_mut().insert("access-control-request-headers", HeaderValue::from_static("x-resume-token"));
    request
}

fn allowed(reply: &Reply) -> Option<&str> {
    reply.header("access-control-allow-origin")
}

async fn begun(app: &Router, handler: &Handler) -> (Reply, String) {
    let mut reply = call(app.clone(), from_elsewhere(Method::GET, "/stream", None)).await;
    reply.phase("open").await;
    let told = handler.told().await;
    told.count(1..=1);
    let id = reply.counts(1..=1).await;
    told.end();
    (reply, id)
}

#[tokio::test]
async fn outside_everything_that_the_layer_answers_can_be_read_by_the_page() {
    let (handler, logs) = (Handler::new(), Logs::new());
    let layer = layer();
    let endpoint = layer.endpoint();
    let app = handler.router().layer(layer).route_service("/resume", endpoint).layer(cors());
    let (first, id) = begun(&app, &handler).await;
    let mut seen = vec![(first.status.as_u16(), first)];
    for (method, path, header) in [
        (Method::GET, "/resume", Some(("x-resume-token", &*id))),
        (Method::GET, "/stream", Some(("last-event-id", &*id))),
        (Method::GET, "/resume", None),
        (Method::GET, "/resume", Some(("x-resume-token", "no token"))),
        (Method::DELETE, "/resume", Some(("x-resume-token", &*id))),
    ] {
        let reply = call(app.clone(), from_elsewhere(method, path, header)).await;
        seen.push((reply.status.as_u16(), reply));
    }
    assert_eq!(seen.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 200, 200, 400, 400, 204]);
    for (status, reply) in &seen {
        assert_eq!(allowed(reply), Some(ORIGIN), "{status}");
        let exposed = reply.header("access-control-expose-headers").unwrap();
        for name in ["x-resume-token", "x-resume-stream", "x-resume-degraded", "retry-after"] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
    for path in ["/stream", "/resume"] {
        let reply = call(app.clone(), preflight(path)).await;
        assert_eq!((reply.status.as_u16(), allowed(&reply)), (200, Some(ORIGIN)), "{path}");
        let headers = reply.header("access-control-allow-headers").unwrap();
        for name in ["x-resume-token", "last-event-id", "x-resume-from", "x-resume-mode", "idempotency-key"] {
            assert!(headers.contains(name), "{headers}");
        }
    }
    assert_eq!(handler.untaken(), 0, "no preflight reached the handler");
    assert_eq!(logs.of(Level::WARN), Vec::<String>::new());
}

#[tokio::test]
async fn inside_a_resume_cannot_be_read_by_the_page_and_one_warning_says_why() {
    let (handler, logs) = (Handler::new(), Logs::new());
    let app: Router = handler.router().layer(cors()).layer(layer());
    for _ in 0..2 {
        let (first, id) = begun(&app, &handler).await;
        assert_eq!(allowed(&first), Some(ORIGIN));
        let resumed = call(app.clone(), from_elsewhere(Method::GET, "/stream", Some(("last-event-id", &id)))).await;
        assert_eq!((resumed.status.as_u16(), allowed(&resumed)), (200, None));
    }
    let warnings = logs.of(Level::WARN);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("put the CORS layer outside of ResumeLayer (in axum, add it after)"), "{warnings:?}");
}

#[tokio::test]
async fn an_endpoint_that_is_left_out_of_it_says_so_when_a_page_asks() {
    let (handler, logs) = (Handler::new(), Logs::new());
    let layer = layer();
    let endpoint = layer.endpoint();
    let app = handler.router().layer(layer).layer(cors()).route_service("/resume", endpoint);
    for _ in 0..2 {
        let reply = call(app.clone(), preflight("/resume")).await;
        assert_eq!((reply.status.as_u16(), allowed(&reply)), (405, None));
    }
    // An OPTIONS that is no preflight says nothing of layers.
    call(app, from_elsewhere(Method::OPTIONS, "/resume", None)).await;
    let warnings = logs.of(Level::WARN);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("put the CORS layer outside of the resume endpoint, too"), "{warnings:?}");
}
