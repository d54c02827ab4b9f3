//! A store that was set back (a restart from an old dump, a stale replica that was promoted) holds less than nodes have
//! seen of it. Its writer writes it again, so nobody is told of a gap, save where nobody can heal it.

use crate::common::{Ended, Item, Nodes, Reply, Request, Run, call, keys};
use std::{num::NonZeroUsize, sync::Arc, time::Duration};
use tower_resume::{
    EndStatus, RequestId, ResumeLayer, Step,
    store::{Append, Chunk, MemoryStore, Onto, Store as _, Ttl},
};

/// A stream of 100 events that runs on node 0. Node 1 follows it, holds the newest ten, and has a reader of them.
struct Scene {
    nodes: Nodes,
    run: Run,
    newest: Reply,
    there: ResumeLayer<Arc<MemoryStore>>,
    store: Arc<MemoryStore>,
}

impl Scene {
    async fn start() -> Self {
        let store = Arc::new(MemoryStore::new());
        let [here, there] = [256, 4].map(|events| {
            let layer = ResumeLayer::new(Arc::clone(&store), keys()).tokens_are_enough();
            layer.max_events(NonZeroUsize::new(events).unwrap())
        });
        let nodes = Nodes::start([here, there.clone()]).await;
        let run = nodes.counted(100).await;
        nodes.knows(1, run.id(0), 100).await;
        let mut newest = nodes.resume(1, run.id(90)).send().await;
        newest.phase("replay").await;
        newest.counts(91..=100).await;
        newest.phase("live").await;
        Self { nodes, run, newest, there, store }
    }

    /// Sets the log back to about its first forty events, and ends it there where `end` says so.
    async fn set_back(&self, end: Option<EndStatus>) {
        let hex = self.run.request_id.replace('-', "");
        let id = RequestId::from_bytes(u128::from_str_radix(&hex, 16).unwrap().to_be_bytes());
        let opened = self.store.open(id, 0).await.unwrap().unwrap();
        let mut chunks = opened.page.chunks;
        chunks.retain(|chunk| chunk.last() <= 40);
        let kept = chunks.last().unwrap().clone();
        let empty =
            |first, end| Chunk { first, events: Vec::new().into(), step_before: Step::NONE, end, ..kept.clone() };
        chunks.insert(0, empty(1, None));
        if end.is_some() {
            chunks.push(empty(kept.last() + 1, end));
        }
        let ttl = Ttl { log: Duration::from_secs(900), snapshot: Duration::from_secs(60) };
        let append = Append {
            id,
            onto: Onto::Anything(opened.head),
            chunks,
            trim_below: 1,
            let_go: Vec::new(),
            snapshot: None,
            ttl,
            replicas: 0,
        };
        self.store.append(append).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_asks_for_what_the_store_has_lost_is_asked_to_come_again_and_the_writer_is_told() {
    for carrier in ["x-resume-token", "last-event-id"] {
        let mut scene = Scene::start().await;
        scene.set_back(None).await;
        let request = || Request::get(scene.nodes.addr(1), "/resume").header(carrier, scene.run.id(50));
        let mut reply = request().send().await;
        assert_eq!(reply.phase("replay").await["from"], 50);
        assert_eq!(reply.item().await, Err(Ended::Abrupt), "neither a gap nor an end");
        // The handler says nothing meanwhile.
        loop {
            let mut again = request().send().await;
            again.phase("replay").await;
            match again.item().await {
                Err(ended) => assert_eq!(ended, Ended::Abrupt),
                Ok(item) => {
                    assert!(matches!(item, Item::Event(event) if event.data == "51"));
                    again.counts(52..=100).await;
                    break;
                }
            }
        }
        scene.run.count(1).await;
        scene.newest.counts([101]).await;
    }
}

#[tokio::test]
async fn what_nobody_can_write_again_is_a_gap_with_exact_bounds() {
    let mut scene = Scene::start().await;
    let request = http::Request::get("/resume").header("x-resume-token", scene.run.id(50));
    // It has its place, and reads on only once the log has been set back and, its writer taken for dead, ended.
    let mut late = call(scene.there.endpoint(), request.body(axum::body::Body::empty()).unwrap()).await;
    scene.set_back(Some(EndStatus::Interrupted)).await;
    assert_eq!(scene.newest.phase("end").await["status"], "interrupted");
    late.phase("replay").await;
    let gap = late.phase("gap").await;
    assert_eq!((&gap["from"], &gap["to"], &gap["reason"]), (&51.into(), &90.into(), &"lost".into()));
    late.counts(91..=100).await;
    assert_eq!(late.phase("end").await["status"], "interrupted");
    assert_eq!(late.rest().await, (vec![], Ended::Clean));
}
