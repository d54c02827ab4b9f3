//! This test binary, started again as a node: an axum server whose handler counts, under the layer, on Redis.

// The fault suite takes this file in, too.
#[path = "keyed_routes.rs"]
pub mod keyed_routes;

use crate::redis_server::signal as send;
use axum::{Router, extract::Query, response::Sse, response::sse::Event, routing::any};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use std::{future::IntoFuture as _, io::Error, net::SocketAddr, process::Stdio, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    sync::Notify,
    task::JoinHandle,
};
use tower_resume::{Durability, ResumeLayer, store::AnyStore};

/// How long a node that is terminated lets its streams run.
const DRAIN: Duration = Duration::from_secs(150);

const TOLD: &str = "TOWER_RESUME_TEST_NODE";
const DURABILITY: &str = "TOWER_RESUME_TEST_DURABILITY";
const REPLICAS: &str = "TOWER_RESUME_TEST_REPLICAS";

/// `?n=` events, one each `?pace=` milliseconds, each with its number. Event `hush_at` comes `hush` milliseconds late;
/// in the place of `fail_at` the body fails, and in that of `panic_at` it panics.
#[derive(Clone, Copy, Default, serde::Deserialize)]
#[serde(default)]
struct Count {
    n: u64,
    pace: u64,
    pad: usize,
    hush_at: u64,
    hush: u64,
    fail_at: u64,
    panic_at: u64,
}

/// The data of an event: its number, and with a `pad` a second line of so many bytes.
pub fn said(number: u64, pad: usize) -> String {
    if pad == 0 { number.to_string() } else { format!("{number}\n{}", "x".repeat(pad)) }
}

async fn count(Query(count): Query<Count>) -> Sse<impl stream::Stream<Item = Result<Event, Error>>> {
    Sse::new(stream::iter(1..=count.n).then(move |number| async move {
        let hush = if number == count.hush_at { count.hush } else { 0 };
        if count.pace + hush > 0 {
            tokio::time::sleep(Duration::from_millis(count.pace + hush)).await;
        }
        assert_ne!(number, count.panic_at, "a handler that panics");
        if number == count.fail_at {
            return Err(Error::other("a body that fails"));
        }
        Ok(Event::default().event("count").data(said(number, count.pad)))
    }))
}

/// Does nothing unless it is told to be a node; then it serves until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_told_to_is_a_node() {
    if std::env::var_os(TOLD).is_none() {
        return;
    }
    let mut layer: ResumeLayer<AnyStore> = ResumeLayer::from_env().unwrap().tokens_are_enough();
    if std::env::var_os(DURABILITY).is_some_and(|durability| durability == "stored") {
        layer = layer.durability(Durability::Stored);
    }
    if let Some(replicas) = std::env::var(REPLICAS).ok().and_then(|replicas| replicas.parse().ok()) {
        layer = layer.min_replicas(replicas);
    }
    let endpoint = layer.endpoint();
    let app = Router::new().route("/count", any(count)).layer(layer.clone()).route_service("/resume", endpoint);
    let app = app.merge(keyed_routes::routes());
    let stopped = Arc::new(Notify::new());
    let stop = Arc::clone(&stopped);
    let app = app.route("/stop", any(async move || stop.notify_one()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\nserving {}", listener.local_addr().unwrap());
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let terminated = async move { terminate.recv().await.unwrap_or_default() }.shared();
    let server = axum::serve(listener, app).with_graceful_shutdown(terminated.clone());
    let mut server = tokio::spawn(server.into_future());
    tokio::select! {
        served = &mut server => served.unwrap().unwrap(),
        // Told to stop, it drops its runtime, and with it all streams.
        () = stopped.notified() => {}
        // Terminated, it lets its streams come to their end.
        () = terminated => {
            println!("\n{:?}", layer.drain(DRAIN).await);
            server.await.unwrap().unwrap();
        }
    }
}

/// A node, killed when dropped.
pub struct Node {
    pub addr: SocketAddr,
    child: Child,
    lines: JoinHandle<Option<String>>,
}

impl Node {
    /// One that keeps so much of a stream that no test has to hurry.
    pub async fn start(redis_url: &str) -> Self {
        Self::start_with(redis_url, &[("SSE_BUFFER_MAX_EVENTS", "8192")]).await
    }

    /// Two on one Redis.
    pub async fn pair(redis_url: &str) -> (Self, Self) {
        tokio::join!(Self::start(redis_url), Self::start(redis_url))
    }

    pub async fn start_with(redis_url: &str, env: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "node::a_process_that_is_told_to_is_a_node", "--nocapture"])
            .env(TOLD, "1")
            .env("SSE_RESUME_SECRET", "the secret of all nodes of this test")
            .env("REDIS_URL", redis_url)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let addr = loop {
            let line = lines.next_line().await.unwrap().expect("the node says where it serves");
            if let Some(addr) = line.strip_prefix("serving ") {
                break addr.parse().unwrap();
            }
        };
        let lines = tokio::spawn(async move {
            let mut drained = None;
            while let Ok(Some(line)) = lines.next_line().await {
                drained = Some(line).filter(|line| line.starts_with("Drained")).or(drained);
            }
            drained
        });
        Self { addr, child, lines }
    }

    /// Tells it to stop as an orchestrator does.
    pub async fn terminate(&self) {
        send("-TERM", &self.child).await;
    }

    /// Ready once the process is gone by itself. Whether it found nothing wrong.
    pub async fn gone(&mut self) -> bool {
        self.child.wait().await.unwrap().success()
    }

    /// What the process has said as it went.
    pub async fn last_words(&mut self) -> Option<String> {
        let lines = std::mem::replace(&mut self.lines, tokio::spawn(async { None }));
        lines.await.unwrap()
    }

    /// Kills the process at once.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Stops it in its tracks: connections stay, nobody answers.
    pub async fn pause(&self) {
        send("-STOP", &self.child).await;
    }

    pub async fn go_on(&self) {
        send("-CONT", &self.child).await;
    }
}
