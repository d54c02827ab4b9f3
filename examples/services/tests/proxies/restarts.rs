//! A proxy that is reloaded leaves open streams alone; one that is killed cuts them, and they resume through the next.

use crate::{
    common::{Ended, Nodes, Request, Run, sharing, until},
    passing::{Behind, resumes},
    proxy::{Kind, Proxy},
};
use http::Method;

for_both! { a_reload_cuts_nobody a_reload_that_has_no_patience_cuts_and_nothing_is_lost a_proxy_that_is_killed_loses_nothing an_event_source_is_told_to_come_back_while_no_node_is_there }

async fn a_reload_cuts_nobody(kind: Kind) {
    let Some(mut behind) = Behind::start(kind, &[]).await else { return };
    let mut run = behind.begin().await;
    run.count(2).await;
    reload(&mut behind, kind).await;
    run.count(20).await;
    let mut second = behind.begin().await;
    second.count(2).await;
    run.end().await;
    assert_eq!(run.first().rest().await, (vec![], Ended::Clean));
}

/// Ready once requests are served as the new file says.
async fn reload(behind: &mut Behind, kind: Kind) {
    let [from, to] = match kind {
        Kind::Nginx => ["location / {", "location = /reloaded { return 418; }\n        location / {"],
        Kind::Haproxy => {
            ["    option forwardfor", "    http-request return status 418 if { path /reloaded }\n    option forwardfor"]
        }
    };
    behind.proxy.reload(from, to).await;
    until("the new one serves", async || {
        behind.ask(Method::GET, "/reloaded").ask().await.is_ok_and(|reply| reply.status == 418)
    })
    .await;
}

async fn a_reload_that_has_no_patience_cuts_and_nothing_is_lost(kind: Kind) {
    let change = match kind {
        Kind::Nginx => ["worker_processes auto;", "worker_processes auto; worker_shutdown_timeout 1s;"],
        Kind::Haproxy => ["hard-stop-after 30m", "hard-stop-after 1s"],
    };
    let Some(mut behind) = Behind::start(kind, &[change]).await else { return };
    let mut run = behind.begin().await;
    run.count(2).await;
    reload(&mut behind, kind).await;
    assert_eq!(run.first().rest().await.1, Ended::Abrupt);
    run.told().count(3..=3);
    resumes(&mut behind.reconnect(run.id(2)).send().await, 3..=3).await;
}

async fn a_proxy_that_is_killed_loses_nothing(kind: Kind) {
    let Some(mut behind) = Behind::start(kind, &[]).await else { return };
    let mut run = behind.begin().await;
    run.count(3).await;
    behind.proxy.kill().await;
    assert_eq!(run.first().rest().await, (vec![], Ended::Abrupt));
    run.told().count(4..=5);
    assert!(behind.reconnect(run.id(3)).ask().await.is_err(), "nobody listens");
    behind.proxy.restart().await;
    let mut reply = behind.reconnect(run.id(3)).send().await;
    resumes(&mut reply, 4..=5).await;
    run.told().count(6..=6);
    resumes(&mut reply, 6..=6).await;
}

/// The lines of the files that are comments, for pages with `EventSource`.
async fn an_event_source_is_told_to_come_back_while_no_node_is_there(kind: Kind) {
    let come_back: &[[&str; 2]] = match kind {
        Kind::Nginx => &[
            ["#error_page", "error_page"],
            ["#location @come-back", "location @come-back"],
            ["        #    ", "            "],
            ["        #}", "        }"],
        ],
        Kind::Haproxy => {
            &[["#http-request", "http-request"], ["127.0.0.1:3000 check", "127.0.0.1:3000 check inter 100"]]
        }
    };
    let nodes = Nodes::start(sharing(1)).await;
    let node = nodes.addr(0);
    // The test's own change comes first, so that it says what the file says.
    let changes: Vec<_> =
        come_back.iter().map(|change| change.map(|text| text.replace("127.0.0.1:3000", &node.to_string()))).collect();
    let changes: Vec<[&str; 2]> = changes.iter().map(|change| change.each_ref().map(String::as_str)).collect();
    let Some(proxy) = Proxy::before(kind, &[node], &changes).await else { return };
    let mut run = Run::of(&nodes.handler, Request::get(proxy.addr, "/stream")).await;
    run.count(1).await;
    let id = run.id(1).to_owned();
    drop(nodes);
    until("the proxy has found out", async || {
        let reply = Request::get(proxy.addr, "/stream").header("last-event-id", &id).send().await;
        reply.status == 200 && reply.text().await == "retry: 2000\n\n"
    })
    .await;
    let told = Request::get(proxy.addr, "/stream").header("last-event-id", &id).send().await;
    assert_eq!(told.header("content-type"), Some("text/event-stream"));
    // A new stream, and a client that is no EventSource, are told the truth.
    for request in
        [Request::post(proxy.addr, "/stream"), Request::get(proxy.addr, "/resume").header("x-resume-token", &id)]
    {
        let status = request.send().await.status.as_u16();
        assert!(matches!(status, 502 | 503), "{status}");
    }
}
