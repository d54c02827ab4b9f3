//! The promises on several threads at once, where a seam would show: clients that are cut and come back on any node
//! while the handler speaks and its log is trimmed under them.

use crate::common::{Item, Nodes, Peek, SseEvent, sharing, until};
use bytes::Bytes;
use futures_util::future::join_all;
use std::{num::NonZeroUsize, sync::Arc};
use tower_resume::{EventView, ResumeLayer, SnapshotFold, store::MemoryStore};

/// The sum of all numbers so far, and how many they are.
#[derive(Default)]
struct Sum(u64, u64);

impl SnapshotFold for Sum {
    fn event(&mut self, event: &EventView<'_>) {
        self.0 += number(&String::from_utf8_lossy(&event.data()));
        self.1 += 1;
    }

    fn snapshot(&self) -> Option<Bytes> {
        // As slow as a large one, so that readers come in between.
        (0..200).for_each(|_| std::thread::yield_now());
        Some(format!("{} {}", self.0, self.1).into())
    }
}

fn number(data: &str) -> u64 {
    data.split(' ').next().unwrap().parse().unwrap()
}

/// What a client has, as it takes one event after the other.
#[derive(Default)]
struct Client {
    id: String,
    cursor: u64,
    sum: u64,
    /// Stretches that it never got.
    gaps: usize,
    ended: bool,
}

impl Client {
    fn take(&mut self, event: &SseEvent) {
        self.id.clone_from(event.id.as_ref().expect("an id"));
        let phase = event.phase();
        match (&*event.event, phase.as_deref()) {
            ("message", _) => {
                let number = number(&event.data);
                assert_eq!(number, self.cursor + 1, "neither a hole nor a repeat");
                (self.cursor, self.sum) = (number, self.sum + number);
            }
            ("state" | "complete", _) => {
                let (sum, count) = event.data.split_once(' ').unwrap();
                let upto = Peek::into(&self.id).seq;
                assert_eq!(count.parse::<u64>().unwrap(), upto, "a snapshot is of the gap's end");
                (self.sum, self.cursor) = (sum.parse().unwrap(), upto);
            }
            (_, Some("gap")) => {
                let gap = event.json();
                assert_eq!(gap["from"], self.cursor + 1);
                // Where a snapshot follows, the cursor stays until that has come.
                let cursor = Peek::into(&self.id).seq;
                self.gaps += usize::from(cursor > self.cursor);
                self.cursor = cursor;
            }
            (_, Some("replay")) => assert_eq!(event.json()["from"], self.cursor),
            (_, Some("end")) => {
                assert_eq!(event.json()["seq"], self.cursor);
                self.ended = true;
            }
            _ => {}
        }
    }
}

/// So many clients that each take a little at a time, until each has seen the end.
async fn run(nodes: &Nodes, events: u64, clients: usize, most: usize) -> Vec<Client> {
    let mut run = nodes.begin().await;
    let id = run.id(0).to_owned();
    for node in 0..nodes.len() {
        until("the node knows of the stream", async || nodes.resume(node, &id).send().await.status == 200).await;
    }
    let clients = (0..clients).map(|at| {
        let id = id.clone();
        async move {
            let mut client = Client { id, ..Client::default() };
            let mut turn = at;
            while !client.ended {
                turn += 1;
                let mut reply = nodes.reconnect(turn % nodes.len(), &client.id).send().await;
                assert_eq!(reply.status, 200);
                let mut left = turn * 7 % most + 2;
                while left > 0 {
                    left = left.saturating_sub(1);
                    match reply.item().await {
                        Ok(Item::Event(event)) => client.take(&event),
                        Ok(Item::Comment(_)) => {}
                        Err(_) => break,
                    }
                }
            }
            client
        }
    });
    let told = async {
        for number in 1..=events {
            run.told().send(format!("data: {number} {}\n\n", "x".repeat(number as usize % 50)));
            if number % 16 == 0 {
                tokio::task::yield_now().await;
            }
        }
        run.over();
        run.first().rest().await
    };
    futures_util::future::join(join_all(clients), told).await.0
}

fn keeping(events: usize) -> impl Fn(ResumeLayer<Arc<MemoryStore>>) -> ResumeLayer<Arc<MemoryStore>> {
    move |layer| layer.max_events(NonZeroUsize::new(events).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_come_and_go_on_two_nodes_get_everything_once() {
    let nodes = Nodes::start(sharing(2).into_iter().map(keeping(8192))).await;
    for client in run(&nodes, 1000, 8, 200).await {
        assert_eq!((client.gaps, client.cursor, client.sum), (0, 1000, 1000 * 1001 / 2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_fall_behind_what_is_kept_are_told_of_each_hole() {
    let nodes = Nodes::start(sharing(2).into_iter().map(keeping(40))).await;
    for client in run(&nodes, 2000, 8, 60).await {
        assert_eq!(client.cursor, 2000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_a_fold_no_client_misses_anything_however_far_it_falls_behind() {
    let set = |layer| keeping(40)(layer).snapshot_with(|_| Sum::default());
    let nodes = Nodes::start(sharing(2).into_iter().map(set)).await;
    for client in run(&nodes, 2000, 8, 60).await {
        assert_eq!((client.gaps, client.cursor, client.sum), (0, 2000, 2000 * 2001 / 2));
    }
}
