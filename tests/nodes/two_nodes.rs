//! Start on one node, resume on the other: mid-stream, and after the end.

use crate::{
    common::{Ended, Reply, Request, until},
    node::Node,
    redis_server::RedisServer,
};

/// The handler's next events are these numbers.
pub async fn expect(reply: &mut Reply, numbers: impl IntoIterator<Item = u64>) -> String {
    let mut id = String::new();
    for number in numbers {
        let mut event = reply.event().await;
        if event.phase().is_some_and(|phase| phase == "live") {
            event = reply.event().await;
        }
        assert_eq!((event.event.as_str(), event.data.as_str()), ("count", number.to_string().as_str()));
        id = event.id.expect("an id");
    }
    id
}

/// The answer of a node whose Redis is there. On a busy machine a command may take longer than a node waits for it, which
/// then says that it is for the moment.
pub async fn answer(ask: impl Fn() -> Request) -> Reply {
    let mut answer = None;
    until("the node answers", async || {
        let reply = ask().send().await;
        let known = reply.status != 503;
        answer = known.then_some(reply);
        known
    })
    .await;
    answer.unwrap()
}

/// Waits until another node than the stream's own finds so many events of it in the store, and does not follow it.
pub async fn stored(node: &Node, token: &str, events: u64) {
    until("the store has it", async || {
        let request = Request::get(node.addr, "/resume").header("x-resume-token", token);
        let reply = request.header("x-resume-mode", "status").send().await;
        reply.status == 200 && reply.json().await["last"].as_u64().is_some_and(|last| last >= events)
    })
    .await;
}

/// Comes back to another node than the stream's own, as soon as that can serve it: delivery does not wait for the store.
/// The response behind its `replay`, and that one.
pub async fn resumed(node: &Node, carrier: &str, token: &str) -> (Reply, serde_json::Value) {
    let mut resumed = None;
    until("the node knows of the stream", async || {
        let mut reply = Request::get(node.addr, "/resume").header(carrier, token).send().await;
        if reply.status != 503 {
            assert_eq!(reply.status, 200);
            let event = reply.event().await;
            match event.phase().as_deref() {
                Some("replay") => resumed = Some((reply, event.json())),
                phase => assert_eq!(phase, Some("wait")),
            }
        }
        resumed.is_some()
    })
    .await;
    resumed.unwrap()
}

#[tokio::test]
async fn a_stream_of_one_node_is_resumed_on_the_other_while_it_runs() {
    let Some(redis) = RedisServer::start().await else { return };
    let (one, other) = Node::pair(&redis.url()).await;
    let mut first = Request::post(one.addr, "/count?n=60&pace=100").send().await;
    first.phase("open").await;
    let id = expect(&mut first, 1..=10).await;
    drop(first);
    let (mut second, replay) = resumed(&other, "last-event-id", &id).await;
    assert_eq!((replay["from"].as_u64(), replay["status"].as_str()), (Some(10), Some("running")));
    expect(&mut second, 11..=60).await;
    let end = second.phase("end").await;
    assert_eq!((end["status"].as_str(), end["seq"].as_u64()), (Some("complete"), Some(60)));
    assert_eq!(second.rest().await, (vec![], Ended::Clean));
}

#[tokio::test]
async fn a_stream_of_one_node_is_resumed_on_the_other_before_its_first_event() {
    let Some(redis) = RedisServer::start().await else { return };
    let (one, other) = Node::pair(&redis.url()).await;
    let mut first = Request::post(one.addr, "/count?n=3&pace=4000").send().await;
    let token = first.phase("open").await["token"].as_str().unwrap().to_owned();
    drop(first);
    let (mut second, _) = resumed(&other, "last-event-id", &token).await;
    second.phase("live").await;
    expect(&mut second, 1..=3).await;
    second.phase("end").await;
}

#[tokio::test]
async fn a_stream_that_is_over_is_resumed_on_the_other_node_also_when_its_own_is_gone() {
    let Some(redis) = RedisServer::start().await else { return };
    let (mut one, other) = Node::pair(&redis.url()).await;
    let mut first = Request::post(one.addr, "/count?n=100").send().await;
    first.phase("open").await;
    let id = expect(&mut first, 1..=50).await;
    expect(&mut first, 51..=100).await;
    first.phase("end").await;
    drop(first);
    // The end is in the store once the other node says so.
    loop {
        let status = Request::get(other.addr, "/resume?mode=status").header("x-resume-token", &id).send().await;
        if status.json().await["status"] == "complete" {
            break;
        }
    }
    one.kill().await;
    for carrier in ["last-event-id", "x-resume-token"] {
        let mut second = Request::get(other.addr, "/resume").header(carrier, &id).send().await;
        assert_eq!(second.phase("replay").await["status"], "complete");
        let seen = expect(&mut second, 51..=100).await;
        let end = second.event().await;
        assert_eq!(end.phase().as_deref(), Some("end"));
        assert_eq!(second.rest().await.1, Ended::Clean);
        let again = Request::get(other.addr, "/resume").header("last-event-id", end.id.unwrap()).send().await;
        assert_eq!(again.status, 204);
        let mut again = Request::get(other.addr, "/resume").header("last-event-id", &seen).send().await;
        again.phase("replay").await;
        again.phase("end").await;
    }
}

#[tokio::test]
async fn many_readers_on_the_other_node_all_get_everything() {
    let Some(redis) = RedisServer::start().await else { return };
    let (one, other) = Node::pair(&redis.url()).await;
    let mut first = Request::post(one.addr, "/count?n=100&pace=10").send().await;
    let token = first.phase("open").await["token"].as_str().unwrap().to_owned();
    expect(&mut first, 1..=20).await;
    drop(resumed(&other, "x-resume-token", &token).await);
    let readers = (0..40).map(|reader| {
        let (addr, token) = (other.addr, token.clone());
        tokio::spawn(async move {
            let request = Request::get(addr, "/resume").header("x-resume-token", &token);
            let from: u64 = reader % 4 * 5;
            let mut reply = request.header("x-resume-from", from.to_string()).send().await;
            assert_eq!(reply.phase("replay").await["from"], from);
            expect(&mut reply, from + 1..=100).await;
            assert_eq!(reply.phase("end").await["status"], "complete");
            assert_eq!(reply.rest().await.1, Ended::Clean);
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
    expect(&mut first, 21..=100).await;
    first.phase("end").await;
}

#[tokio::test]
async fn the_first_client_is_told_at_the_end_what_came_back_on_all_nodes() {
    let Some(redis) = RedisServer::start().await else { return };
    let (one, other) = Node::pair(&redis.url()).await;
    let mut first = Request::post(one.addr, "/count?n=60&pace=100").send().await;
    first.phase("open").await;
    let id = expect(&mut first, 1..=10).await;
    // Two come back, on either node, and bring back all that there is by then.
    let mut replayed = 0;
    for node in [&one, &other] {
        let (mut again, _) = resumed(node, "last-event-id", &id).await;
        let live = loop {
            let event = again.event().await;
            if event.phase().is_some() {
                break event.json();
            }
        };
        replayed += live["replayed"].as_u64().unwrap();
    }
    let mut end = first.event().await;
    while end.phase().is_none() {
        end = first.event().await;
    }
    let diagnostics = &end.json()["diagnostics"];
    let counts = ["resumes", "recovered_events"].map(|count| diagnostics[count].as_u64());
    assert_eq!(counts, [Some(2), Some(replayed)]);
}

/// Each comes while the store is still being told of it, to a node that knows no counts of its own.
#[tokio::test]
async fn the_end_of_a_resumed_response_counts_that_one_too() {
    let Some(redis) = RedisServer::start().await else { return };
    let (one, other) = Node::pair(&redis.url()).await;
    let mut first = Request::post(one.addr, "/count?n=5").send().await;
    let id = first.phase("open").await["token"].as_str().unwrap().to_owned();
    assert_eq!(first.rest().await.1, Ended::Clean);
    // Delivery does not wait for the store: the other node may not know of the stream yet.
    until("the other node knows its end", async || {
        let status =
            Request::get(other.addr, "/resume").header("x-resume-token", &id).header("x-resume-mode", "status");
        let reply = status.send().await;
        reply.status == 200 && reply.json().await["status"] == "complete"
    })
    .await;
    for resumes in 1..=20 {
        let node = if resumes % 4 == 0 { &one } else { &other };
        let mut again = answer(|| Request::get(node.addr, "/resume").header("x-resume-token", &id)).await;
        let (events, _) = again.events().await;
        let diagnostics = &events.last().unwrap().json()["diagnostics"];
        let counts = ["resumes", "recovered_events"].map(|count| diagnostics[count].as_u64());
        assert_eq!(counts, [Some(resumes), Some(5 * resumes)]);
    }
}
