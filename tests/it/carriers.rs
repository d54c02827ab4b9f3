//! Protocol section 3: how a request says that it is a resume, and which of several tokens counts.

use crate::common::{Ended, Handler, Nodes, Peek, Reply, Request, keys, layer, sharing};
use http::Method;
use tower_resume::{ResumeLayer, store::MemoryStore};

/// One node with a query parameter `resume`.
async fn with_query() -> Nodes {
    Nodes::start([layer().query_param("resume")]).await
}

/// The resumed response's cursor, and the first event behind it.
async fn resumed_at(mut reply: Reply) -> (u64, String) {
    assert_eq!(reply.status, 200);
    let replay = reply.phase("replay").await;
    (replay["from"].as_u64().unwrap(), replay["request_id"].as_str().unwrap().to_owned())
}

/// A token that was changed after it was signed.
fn spoiled(token: &str) -> String {
    Peek::flips(token).swap_remove(200)
}

#[tokio::test]
async fn each_of_the_three_carriers_resumes_on_the_handlers_own_path() {
    let nodes = with_query().await;
    let run = nodes.counted(3).await;
    let by_query = format!("/stream?resume={}", run.id(2));
    let requests = [
        Request::get(nodes.addr(0), "/stream").header("x-resume-token", run.id(2)),
        nodes.reconnect(0, run.id(2)),
        Request::get(nodes.addr(0), &by_query),
    ];
    for request in requests {
        let mut reply = request.send().await;
        assert_eq!(reply.phase("replay").await["from"], 2);
        reply.counts([3]).await;
    }
    assert_eq!(nodes.handler.untaken(), 0, "the handler is not asked again");
}

#[tokio::test]
async fn any_method_resumes_but_head_and_options_which_are_the_handlers() {
    let nodes = Nodes::start([layer()]).await;
    let run = nodes.counted(2).await;
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH] {
        for name in ["x-resume-token", "last-event-id"] {
            let request = Request::new(nodes.addr(0), method.clone(), "/stream").header(name, run.id(1));
            assert_eq!(resumed_at(request.send().await).await, (1, run.request_id.clone()), "{method} {name}");
        }
    }
    for method in [Method::HEAD, Method::OPTIONS] {
        let request = Request::new(nodes.addr(0), method.clone(), "/stream").header("x-resume-token", run.id(1));
        let reply = request.send().await;
        assert_eq!(reply.header("x-resume-stream"), None, "{method}");
        let told = nodes.handler.told().await;
        assert_eq!(told.head.headers["x-resume-token"], run.id(1), "{method}");
    }
}

#[tokio::test]
async fn http2_resumes_as_http1_does() {
    let nodes = Nodes::start([layer()]).await;
    let mut run = nodes.counted(2).await;
    let mut reply = nodes.reconnect(0, run.id(1)).http2().send().await;
    assert_eq!(reply.phase("replay").await["from"], 1);
    reply.counts([2]).await;
    reply.phase("live").await;
    run.end().await;
    reply.phase("end").await;
    assert_eq!(reply.rest().await, (vec![], Ended::Clean));
}

#[tokio::test]
async fn tokens_of_different_streams_count_in_order_of_precedence() {
    let nodes = with_query().await;
    let [a, b, c] = [nodes.counted(3).await, nodes.counted(3).await, nodes.counted(3).await];
    let by_query = format!("/stream?resume={}", c.id(3));
    let all = Request::get(nodes.addr(0), &by_query)
        .header("x-resume-token", a.id(1))
        .header("last-event-id", b.id(2))
        .header("x-resume-from", "0");
    assert_eq!(resumed_at(all.send().await).await, (0, a.request_id.clone()), "the header, with its X-Resume-From");
    let two = Request::get(nodes.addr(0), &by_query).header("last-event-id", b.id(2)).header("x-resume-from", "1");
    assert_eq!(resumed_at(two.send().await).await, (1, b.request_id.clone()), "Last-Event-ID, with its X-Resume-From");
}

#[tokio::test]
async fn beside_the_header_a_last_event_id_of_the_same_stream_gives_the_cursor() {
    let nodes = Nodes::start([layer()]).await;
    let run = nodes.counted(4).await;
    for (header, last) in [(0, 3), (3, 1), (2, 2)] {
        for from in [None, Some("0"), Some("4"), Some("99"), Some("rubbish")] {
            let mut request = nodes.resume(0, run.id(header)).header("last-event-id", run.id(last));
            if let Some(from) = from {
                request = request.header("x-resume-from", from);
            }
            let found = resumed_at(request.send().await).await;
            assert_eq!(found, (last, run.request_id.clone()), "{header} {last} {from:?}");
        }
    }
}

#[tokio::test]
async fn beside_the_header_a_last_event_id_of_another_stream_or_an_invalid_one_is_ignored() {
    let nodes = Nodes::start([layer()]).await;
    let run = nodes.counted(4).await;
    let other = nodes.counted(4).await;
    let spoiled = spoiled(run.id(3));
    for beside in [other.id(3), &spoiled, "41", "", &run.id(3)[..60]] {
        let request = nodes.resume(0, run.id(1)).header("last-event-id", beside);
        assert_eq!(resumed_at(request.send().await).await, (1, run.request_id.clone()), "{beside:?}");
        let request = nodes.resume(0, run.id(1)).header("last-event-id", beside).header("x-resume-from", "2");
        assert_eq!(resumed_at(request.send().await).await, (2, run.request_id.clone()), "{beside:?}");
    }
}

#[tokio::test]
async fn beside_the_header_a_last_event_id_that_has_seen_the_end_stops_the_client() {
    let nodes = Nodes::start([layer()]).await;
    let mut run = nodes.counted(2).await;
    let seen = run.end().await;
    let reply = nodes.resume(0, run.id(0)).header("last-event-id", &seen).header("x-resume-from", "0").send().await;
    assert_eq!(reply.status, 204);
    let mut reply = nodes.resume(0, &seen).header("last-event-id", run.id(1)).send().await;
    assert_eq!(reply.phase("replay").await["from"], 1, "a fresh one that has not seen it goes on");
    reply.counts([2]).await;
    reply.phase("end").await;
}

#[tokio::test]
async fn beside_the_query_a_last_event_id_of_the_same_stream_gives_the_cursor() {
    let nodes = with_query().await;
    let run = nodes.counted(4).await;
    // What an EventSource does that a reloaded page has opened, and that is cut then.
    let path = format!("/stream?resume={}&from=0", run.id(2));
    assert_eq!(resumed_at(Request::get(nodes.addr(0), &path).send().await).await.0, 0);
    let again = Request::get(nodes.addr(0), &path).header("last-event-id", run.id(3));
    assert_eq!(resumed_at(again.send().await).await.0, 3);
    let with_header =
        Request::get(nodes.addr(0), &path).header("last-event-id", run.id(3)).header("x-resume-from", "1");
    assert_eq!(resumed_at(with_header.send().await).await.0, 3);
}

#[tokio::test]
async fn the_header_twice_or_empty_is_malformed() {
    let nodes = Nodes::start([layer()]).await;
    let run = nodes.counted(1).await;
    for path in ["/stream", "/resume"] {
        let request = || Request::get(nodes.addr(0), path).header("x-resume-token", run.id(1));
        let twice = request().header("x-resume-token", run.id(1));
        let empty = Request::get(nodes.addr(0), path).header("x-resume-token", "");
        for request in [twice, empty] {
            let reply = request.header("last-event-id", run.id(1)).send().await;
            assert_eq!(reply.status, 400);
            assert_eq!(reply.json().await["code"], "malformed_token");
        }
    }
    assert_eq!(nodes.handler.untaken(), 0);
}

#[tokio::test]
async fn an_empty_last_event_id_is_none() {
    let nodes = Nodes::start([layer()]).await;
    let mut reply = nodes.reconnect(0, "").send().await;
    reply.phase("open").await;
    assert_eq!(nodes.handler.told().await.head.headers["last-event-id"], "");
    let reply = Request::get(nodes.addr(0), "/resume").header("last-event-id", "").send().await;
    assert_eq!(reply.json().await["code"], "missing_token");
}

#[tokio::test]
async fn of_several_last_event_ids_the_last_counts() {
    let nodes = Nodes::start([layer()]).await;
    let run = nodes.counted(3).await;
    let several = nodes.reconnect(0, run.id(1)).header("last-event-id", run.id(2));
    assert_eq!(resumed_at(several.send().await).await.0, 2);
    for list in
        [format!("{},{}", run.id(1), run.id(2)), format!("{}, {} ", run.id(1), run.id(2)), format!("7, {}", run.id(2))]
    {
        assert_eq!(resumed_at(nodes.reconnect(0, &list).send().await).await.0, 2, "{list}");
    }
    let mut reply = nodes.reconnect(0, run.id(1)).header("last-event-id", "7").send().await;
    reply.phase("open").await;
}

#[tokio::test]
async fn a_last_event_id_of_the_applications_own_reaches_the_handler_untouched() {
    let nodes = Nodes::start([layer()]).await;
    let run = nodes.counted(1).await;
    let long = "r".repeat(200);
    for id in ["41", "row-7/β", &long, &run.id(1)[1..], &format!("{}=", run.id(1))] {
        let mut reply = nodes.reconnect(0, id).send().await;
        reply.phase("open").await;
        let told = nodes.handler.told().await;
        assert_eq!(told.head.headers["last-event-id"].as_bytes(), id.as_bytes());
    }
}

#[tokio::test]
async fn a_last_event_id_of_the_layers_form_with_a_bad_signature_is_refused() {
    let nodes = Nodes::start([layer()]).await;
    let run = nodes.counted(1).await;
    let reply = nodes.reconnect(0, &spoiled(run.id(1))).send().await;
    assert_eq!(reply.status, 401);
    assert_eq!(nodes.handler.untaken(), 0);
}

#[tokio::test]
async fn with_no_secret_every_last_event_id_reaches_the_handler() {
    let signed = Nodes::start([layer()]).await;
    let run = signed.counted(1).await;
    let bare = ResumeLayer::new(MemoryStore::new(), None).query_param("resume");
    let nodes = Nodes::of(Handler::new(), [bare]).await;
    let path = format!("/stream?resume={}&from=0", run.id(1));
    let reply = Request::get(nodes.addr(0), &path).header("last-event-id", run.id(1)).send().await;
    assert_eq!((reply.status.as_u16(), reply.header("x-resume-degraded")), (200, Some("no-secret")));
    let told = nodes.handler.told().await;
    assert_eq!(told.head.headers["last-event-id"], run.id(1));
    assert_eq!(told.head.uri.path_and_query().unwrap().as_str(), path);
}

#[tokio::test]
async fn the_query_parameter_is_off_unless_named() {
    let nodes = Nodes::start(sharing(1)).await;
    let run = nodes.counted(2).await;
    let path = format!("/stream?resume={}&from=0&mode=status", run.id(1));
    let mut reply = Request::get(nodes.addr(0), &path).send().await;
    reply.phase("open").await;
    assert_eq!(nodes.handler.told().await.head.uri.path_and_query().unwrap().as_str(), path);
    let reply = Request::get(nodes.addr(0), &format!("/resume?resume={}", run.id(1))).send().await;
    assert_eq!((reply.status.as_u16(), &reply.json().await["code"]), (400, &"missing_token".into()));
}

#[tokio::test]
async fn from_and_mode_in_the_query_count_only_where_the_cursor_came_from_it() {
    let nodes = with_query().await;
    let run = nodes.counted(4).await;
    let by_query = Request::get(nodes.addr(0), &format!("/stream?resume={}&from=1", run.id(3)));
    assert_eq!(resumed_at(by_query.send().await).await.0, 1);
    let status = Request::get(nodes.addr(0), &format!("/stream?resume={}&from=1&mode=status", run.id(3)));
    assert_eq!(status.send().await.json().await["from"], 1);
    for path in ["/stream?from=1&mode=status", "/resume?from=1"] {
        for name in ["x-resume-token", "last-event-id"] {
            let request = Request::get(nodes.addr(0), path).header(name, run.id(3));
            assert_eq!(resumed_at(request.send().await).await.0, 3, "{path} {name}");
        }
    }
    for (query, code) in
        [("from=x", "bad_cursor"), ("from=", "bad_cursor"), ("from=9", "bad_cursor"), ("mode=x", "bad_mode")]
    {
        let reply = Request::get(nodes.addr(0), &format!("/stream?resume={}&{query}", run.id(3))).send().await;
        assert_eq!((reply.status.as_u16(), &reply.json().await["code"]), (400, &code.into()), "{query}");
    }
}

#[tokio::test]
async fn a_bad_token_in_the_query_is_refused() {
    let nodes = Nodes::start([ResumeLayer::new(MemoryStore::new(), keys()).query_param("resume")]).await;
    let run = nodes.counted(1).await;
    let cases = [("rubbish".to_owned(), 400, "malformed_token"), (spoiled(run.id(1)), 401, "invalid_signature")];
    for (token, status, code) in cases {
        let reply = Request::get(nodes.addr(0), &format!("/stream?resume={token}")).send().await;
        assert_eq!((reply.status.as_u16(), &reply.json().await["code"]), (status, &code.into()));
    }
}
