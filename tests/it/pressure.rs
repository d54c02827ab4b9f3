//! A node that holds as many bytes as it may: running streams make do with what they hold, and what they let go of for it
//! comes from the store.

use crate::{
    common::{Ended, Handler, Nodes, Switch, call, get_stream, keys, until},
    limits::{SECOND, resume},
};
use axum::body::Body;
use bytes::Bytes;
use http::Request;
use std::num::NonZeroUsize;
use tower_resume::{EventView, ResumeLayer, SnapshotFold, store::MemoryStore};

/// A layer that is full with its first stream.
fn full(store: &Switch) -> ResumeLayer<Switch> {
    ResumeLayer::new(store.clone(), keys()).tokens_are_enough().max_node_bytes(1)
}

#[tokio::test]
async fn what_a_full_node_has_let_go_of_comes_from_the_store() {
    let memory = MemoryStore::new();
    let nodes = Nodes::start([full(&Switch::new(&memory).shared()), full(&Switch::new(&memory).shared())]).await;
    let mut run = nodes.counted(200).await;
    nodes.knows(1, run.id(0), 200).await;
    for seq in [0, 1, 100, 199, 200] {
        let mut reply = nodes.resume(0, run.id(seq)).send().await;
        assert_eq!((&reply.phase("replay").await["first"], reply.status.as_u16()), (&1.into(), 200));
        for number in seq + 1..=200 {
            assert_eq!(reply.event().await.data, number.to_string(), "from {seq}");
        }
        reply.phase("live").await;
    }
    // 256 are kept, the layer's limit; a chunk's worth less at worst, and the bounds are exact.
    run.count(200).await;
    nodes.knows(1, run.id(0), 400).await;
    run.end().await;
    let mut first = Vec::new();
    for node in [0, 1] {
        let mut reply = nodes.resume(node, run.id(100)).send().await;
        reply.phase("replay").await;
        let gap = reply.phase("gap").await;
        let to = gap["to"].as_u64().unwrap();
        assert_eq!((gap["from"].as_u64(), gap["reason"].as_str()), (Some(101), Some("trimmed")));
        assert!((400 - 256..400 - 256 + 16).contains(&to), "{to}");
        reply.counts(to + 1..=400).await;
        reply.phase("end").await;
        assert_eq!(reply.rest().await, (vec![], Ended::Clean));
        first.push(to);
    }
    assert_eq!(first[0], first[1], "every node gives the same");
}

#[tokio::test(start_paused = true)]
async fn what_is_in_a_store_that_is_out_is_waited_for_and_never_called_lost() {
    let store = Switch::new(&MemoryStore::new()).shared();
    let handler = Handler::new();
    let app = handler.router().layer(full(&store));
    let mut first = call(app.clone(), get_stream()).await;
    let told = handler.told().await;
    first.phase("open").await;
    told.count(1..=10);
    let at_10 = first.counts(1..=10).await;
    told.count(11..=50);
    first.counts(11..=50).await;
    tokio::time::sleep(SECOND).await;
    told.count(51..=100);
    let at_100 = first.counts(51..=100).await;
    tokio::time::sleep(SECOND).await;
    store.set_down(true);
    assert_eq!(call(app.clone(), resume(&at_10)).await.status, 503);
    let again = Request::get("/stream").header("last-event-id", &at_10).body(Body::empty()).unwrap();
    assert_eq!(call(app.clone(), again).await.event().await.json()["phase"], "wait");
    // What is here is served, and a client that is connected notices nothing.
    let mut here = call(app.clone(), resume(&at_100)).await;
    here.phase("replay").await;
    here.phase("live").await;
    told.count(101..=110);
    here.counts(101..=110).await;
    first.counts(101..=110).await;
    store.set_down(false);
    tokio::time::sleep(5 * SECOND).await;
    let mut back = call(app.clone(), resume(&at_10)).await;
    back.phase("replay").await;
    back.counts(11..=110).await;
    back.phase("live").await;
}

/// Adds up the numbers.
#[derive(Default)]
struct Sum(u64);

impl SnapshotFold for Sum {
    fn event(&mut self, event: &EventView<'_>) {
        self.0 += std::str::from_utf8(&event.data()).unwrap().parse::<u64>().unwrap();
    }

    fn snapshot(&self) -> Option<Bytes> {
        Some(self.0.to_string().into())
    }
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_a_full_node_lets_go_only_of_what_a_fold_stands_in_for() {
    let store = Switch::new(&MemoryStore::new()).shared();
    store.set_down(true);
    let handler = Handler::new();
    let app = handler.router().layer(full(&store).snapshot_with(|_| Sum::default()));
    let mut first = call(app.clone(), get_stream()).await;
    let token = first.header("x-resume-token").unwrap().to_owned();
    let told = handler.told().await;
    first.phase("open").await;
    for number in 1..=100 {
        told.count([number]);
        first.counts([number]).await;
        let mut late = call(app.clone(), resume(&token)).await;
        late.phase("replay").await;
        let (mut sum, mut last, mut stands_for) = (0, 0, 0);
        while last < number {
            let event = late.event().await;
            match (event.event.as_str(), event.phase().as_deref()) {
                (_, Some("gap")) => assert_eq!(event.json()["from"], 1),
                (_, Some("snapshot")) => stands_for = event.json()["seq"].as_u64().unwrap(),
                ("state", _) => (sum, last) = (event.data.parse().unwrap(), stands_for),
                (_, Some(phase)) => panic!("{phase}"),
                _ => {
                    last += 1;
                    assert_eq!(event.data, last.to_string());
                    sum += last;
                }
            }
        }
        assert_eq!(sum, number * (number + 1) / 2, "behind {number}");
    }
}

#[tokio::test]
async fn a_stream_on_a_full_node_is_slowed_to_its_client_and_goes_on() {
    let nodes =
        Nodes::start([full(&Switch::new(&MemoryStore::new()).shared()).max_events(NonZeroUsize::new(8192).unwrap())])
            .await;
    let mut run = nodes.begin().await;
    run.told().count(1..=5000);
    run.first().counts(1..=5000).await;
    run.end().await;
    let token = run.id(0).to_owned();
    until("all is stored", async || nodes.status(0, &token).await["status"] == "complete").await;
    let mut whole = nodes.resume(0, &token).send().await;
    whole.phase("replay").await;
    whole.counts(1..=5000).await;
    whole.phase("end").await;
}
