//! One node or several, over stores that a test chooses, and a stream that a test runs through them.

use super::{Handler, Reply, Request, Server, SseEvent, Told, keys};
use serde_json::Value;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::timeout;
use tower_resume::{
    ResumeLayer,
    store::{MemoryStore, Store},
};

/// Nodes that serve one handler on `/stream`, wrapped, and the resume endpoint on `/resume`.
///
/// What is tested through it says nothing of stores: streams begin on node 0, and come back on any.
pub struct Nodes {
    pub handler: Handler,
    servers: Vec<Server>,
}

impl Nodes {
    /// A node for each layer.
    pub async fn start<S: Store>(layers: impl IntoIterator<Item = ResumeLayer<S>>) -> Self {
        Self::of(Handler::new(), layers).await
    }

    pub async fn of<S: Store>(handler: Handler, layers: impl IntoIterator<Item = ResumeLayer<S>>) -> Self {
        let mut servers = Vec::new();
        for layer in layers {
            let app = handler.router().layer(layer.clone()).route_service("/resume", layer.endpoint());
            servers.push(Server::start(app).await);
        }
        Self { handler, servers }
    }

    pub fn len(&self) -> usize {
        self.servers.len()
    }

    pub fn addr(&self, node: usize) -> SocketAddr {
        self.servers[node].addr
    }

    /// A resume on the endpoint, by `X-Resume-Token`.
    pub fn resume(&self, node: usize, token: &str) -> Request {
        Request::get(self.addr(node), "/resume").header("x-resume-token", token)
    }

    /// What an `EventSource` does by itself.
    pub fn reconnect(&self, node: usize, id: &str) -> Request {
        Request::get(self.addr(node), "/stream").header("last-event-id", id)
    }

    pub async fn status(&self, node: usize, token: &str) -> Value {
        let reply = self.resume(node, token).header("x-resume-mode", "status").send().await;
        assert_eq!(reply.status, 200);
        reply.json().await
    }

    /// Begins a stream; its client has seen `open`.
    pub async fn begin(&self) -> Run {
        Run::of(&self.handler, Request::post(self.addr(0), "/stream")).await
    }

    /// Begins a stream of `data: 1` to `data: <events>`, which its client has seen.
    pub async fn counted(&self, events: u64) -> Run {
        let mut run = self.begin().await;
        run.count(events).await;
        run
    }

    /// Waits until this node, too, knows of a stream's event `last`.
    pub async fn knows(&self, node: usize, token: &str, last: u64) {
        until("the node knows of it", async || {
            let reply = self.resume(node, token).header("x-resume-mode", "status").send().await;
            reply.status == 200 && reply.json().await["last"] == last
        })
        .await;
    }
}

/// A layer for each of so many nodes that share one memory store.
pub fn sharing(nodes: usize) -> Vec<ResumeLayer<Arc<MemoryStore>>> {
    let store = Arc::new(MemoryStore::new());
    (0..nodes).map(|_| ResumeLayer::new(Arc::clone(&store), keys()).tokens_are_enough()).collect()
}

/// A stream as it runs: its handler's side, and its first client.
pub struct Run {
    told: Option<Told>,
    first: Option<Reply>,
    /// The id of `open`, then that of each event: the token at each cursor.
    pub ids: Vec<String>,
    pub request_id: String,
}

impl Run {
    pub async fn of(handler: &Handler, request: Request) -> Self {
        let mut first = request.send().await;
        assert_eq!(first.status, 200);
        let open = first.event().await;
        assert_eq!(open.phase().as_deref(), Some("open"), "{open:?}");
        let request_id = open.json()["request_id"].as_str().unwrap().to_owned();
        let told = handler.told().await;
        Self { told: Some(told), first: Some(first), ids: vec![open.id.unwrap()], request_id }
    }

    pub fn told(&self) -> &Told {
        self.told.as_ref().expect("the handler has not ended")
    }

    pub fn first(&mut self) -> &mut Reply {
        self.first.as_mut().expect("the first client has not left")
    }

    /// The token at this cursor.
    pub fn id(&self, seq: u64) -> &str {
        &self.ids[usize::try_from(seq).unwrap()]
    }

    /// The last event's seq.
    pub fn last(&self) -> u64 {
        self.ids.len() as u64 - 1
    }

    /// The next numbers, which the first client sees.
    pub async fn count(&mut self, events: u64) {
        for _ in 0..events {
            let next = (self.last() + 1).to_string();
            let event = self.say(&format!("data: {next}\n\n")).await;
            assert_eq!(event.data, next);
        }
    }

    /// One event, which the first client sees.
    pub async fn say(&mut self, event: &str) -> SseEvent {
        self.told().send(event.to_owned());
        let event = self.first().event().await;
        self.ids.push(event.id.clone().expect("an id"));
        event
    }

    /// The first client goes.
    pub fn leave(&mut self) {
        self.first = None;
    }

    /// The handler ends; nobody is waited for.
    pub fn over(&mut self) {
        self.told = None;
    }

    /// The handler's body fails; nobody is waited for.
    pub fn fail(&mut self) {
        self.told.take().expect("the handler has not ended").fail();
    }

    /// The handler ends, which the first client sees: the id of `end`.
    pub async fn end(&mut self) -> String {
        self.over();
        self.ended().await
    }

    /// The id of `end`, which is the next that the first client sees.
    pub async fn ended(&mut self) -> String {
        let end = self.first().event().await;
        assert_eq!(end.phase().as_deref(), Some("end"), "{end:?}");
        end.id.expect("an id")
    }
}

/// Waits by condition. Nothing that a test waits for takes this long unless it never comes.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(60), wait).await.unwrap_or_else(|_| panic!("it never came: {what}"));
}

/// Lets this much time pass at once, for all that waits for it.
pub async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
