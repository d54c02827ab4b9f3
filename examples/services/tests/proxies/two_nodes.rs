//! Two nodes on one Redis behind one address: a node goes, and its clients go on at the other.

use crate::{
    common::{Reply, Request, SseEvent},
    node::Node,
    proxy::{Kind, Proxy},
    redis_server::RedisServer,
};
use std::{net::SocketAddr, time::Duration};

for_both! { a_node_that_is_killed_costs_its_handlers_and_no_client a_node_that_is_drained_loses_nothing }

struct Fleet {
    redis: RedisServer,
    nodes: [Node; 2],
    proxy: Proxy,
}

impl Fleet {
    async fn start(kind: Kind) -> Option<Self> {
        let redis = RedisServer::start().await?;
        let (a, b) = Node::pair(&redis.url()).await;
        // So that the nodes get their requests in turn.
        let change = match kind {
            Kind::Nginx => ["worker_processes auto;", "worker_processes 1;"],
            Kind::Haproxy => ["balance leastconn", "balance roundrobin"],
        };
        let proxy = Proxy::before(kind, &[a.addr, b.addr], &[change]).await?;
        Some(Self { redis, nodes: [a, b], proxy })
    }
}

/// A client's view of a stream: what it has seen, and its cursor.
struct Client {
    addr: SocketAddr,
    reply: Reply,
    seen: Vec<u64>,
    id: String,
    end: Option<String>,
}

impl Client {
    /// Begins a stream of so many numbers. By POST, which a proxy must never send twice.
    async fn begin(addr: SocketAddr, n: u64) -> Self {
        let reply = Request::post(addr, &format!("/count?n={n}&pace=20")).send().await;
        assert_eq!(reply.status, 200);
        let mut client = Self { addr, reply, seen: vec![], id: String::new(), end: None };
        client.take_until(3).await;
        client
    }

    fn note(&mut self, event: SseEvent) {
        match event.phase().as_deref() {
            None => self.seen.push(event.data.parse().unwrap()),
            Some("end") => self.end = Some(event.json()["status"].as_str().unwrap().to_owned()),
            Some("gap") => panic!("{event:?}"),
            Some(_) => {}
        }
        self.id = event.id.unwrap();
    }

    async fn take_until(&mut self, number: u64) {
        while self.seen.last() != Some(&number) {
            let event = self.reply.event().await;
            self.note(event);
        }
    }

    /// Reads on to the end, coming back as often as it is cut or sent away. How often that was.
    async fn read_on(&mut self) -> u32 {
        let mut cuts = 0;
        loop {
            let (events, _) = self.reply.events().await;
            events.into_iter().for_each(|event| self.note(event));
            if self.end.is_some() {
                return cuts;
            }
            cuts += 1;
            assert!(cuts < 1_000, "it goes round in circles");
            loop {
                let request = Request::get(self.addr, "/count").header("last-event-id", &self.id);
                match request.ask().await {
                    Ok(reply) if reply.status == 200 => {
                        self.reply = reply;
                        break;
                    }
                    // The proxy has not found out yet, or there is nobody to answer for the dead node.
                    _ => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        }
    }

    fn assert_gapless(&self) {
        assert!(self.seen.iter().copied().eq(1..=self.seen.len() as u64), "{:?}", self.seen);
    }
}

async fn a_node_that_is_killed_costs_its_handlers_and_no_client(kind: Kind) {
    let Some(mut fleet) = Fleet::start(kind).await else { return };
    let addr = fleet.proxy.addr;
    let mut clients = [Client::begin(addr, 400).await, Client::begin(addr, 400).await];
    fleet.nodes[0].kill().await;
    let [first, second] = &mut clients;
    let (first_cuts, second_cuts) = tokio::join!(first.read_on(), second.read_on());
    // Each node ran one of them.
    let mut ends = clients.each_ref().map(|client| client.end.as_deref().unwrap());
    ends.sort_unstable();
    assert_eq!(ends, ["complete", "interrupted"], "{first_cuts} {second_cuts}");
    for client in &clients {
        client.assert_gapless();
        let cuts = if client.end.as_deref() == Some("complete") { 400 } else { 3 };
        assert!(client.seen.len() >= cuts);
    }
}

async fn a_node_that_is_drained_loses_nothing(kind: Kind) {
    let Some(mut fleet) = Fleet::start(kind).await else { return };
    let addr = fleet.proxy.addr;
    let mut clients = [Client::begin(addr, 200).await, Client::begin(addr, 200).await];
    fleet.nodes[0].terminate().await;
    let [first, second] = &mut clients;
    tokio::join!(first.read_on(), second.read_on());
    for client in &clients {
        assert_eq!((client.end.as_deref(), client.seen.len()), (Some("complete"), 200));
        client.assert_gapless();
    }
    assert!(fleet.nodes[0].gone().await);
    assert_eq!(fleet.nodes[0].last_words().await.unwrap(), "Drained { interrupted: 0, unstored: 0, open: 0 }");
}
