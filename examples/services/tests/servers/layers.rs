//! `layers`: tower-http's layers, each in its place.

use crate::{
    common::{Reply, Request},
    process::Process,
};
use http::Method;

const PROGRAM: &str = env!("CARGO_BIN_EXE_layers");

#[tokio::test]
async fn a_stream_resumes_through_all_of_them_also_for_pages_of_other_origins() {
    let server = Process::start(PROGRAM, &[]).await;
    let ask = |method: Method, path: &str| {
        let request = Request::new(server.addr, method, path).header("origin", "https://app.example");
        request.header("accept-encoding", "gzip").header("x-request-id", "seven")
    };
    let readable = |reply: &Reply| {
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert!(reply.header("access-control-expose-headers").unwrap().contains("x-resume-token"));
        assert_eq!(reply.header("x-request-id"), Some("seven"));
    };
    let mut first = ask(Method::GET, "/count").send().await;
    readable(&first);
    assert_eq!(first.header("content-encoding"), None);
    first.phase("open").await;
    let id = first.counts(1..=2).await;
    drop(first);

    let mut resumed = ask(Method::GET, "/resume").header("last-event-id", &id).send().await;
    readable(&resumed);
    resumed.phase("replay").await;
    let mut next = resumed.event().await;
    while next.phase().is_some() {
        next = resumed.event().await;
    }
    assert_eq!(next.data, "3");

    let cancelled = ask(Method::DELETE, "/resume").header("x-resume-token", &id).send().await;
    assert_eq!(cancelled.status, 204);
    readable(&cancelled);
    let (events, _) = resumed.events().await;
    let end = events.last().unwrap().json();
    assert_eq!((&end["status"], &end["diagnostics"]["correlation_id"]), (&"cancelled".into(), &"seven".into()));

    let preflight = ask(Method::OPTIONS, "/resume").header("access-control-request-method", "DELETE").send().await;
    assert_eq!(preflight.status, 200);
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("x-resume-token"));
    let text = ask(Method::GET, "/text").send().await;
    assert_eq!(text.header("content-encoding"), Some("gzip"));
}
