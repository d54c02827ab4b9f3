//! However requests with keys, their handlers' answers and the going of clients are interleaved, over two nodes: no
//! handler runs for a key while another one does, or while the stream that it has made is there; and nobody waits for
//! ever.

use crate::common::{Call, Reply, Stage, StreamBody, ask};
use axum::body::Body;
use axum::response::Response;
use http::Request;
use proptest::{collection::vec, prelude::*};
use std::{collections::HashMap, time::Duration};
use tokio::{runtime::Builder, task::JoinHandle, time::sleep};
use tower_resume::Idempotency;

const TTL: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
enum Op {
    /// A request with this key on this node; several may come at the same instant.
    Ask {
        key: u8,
        node: usize,
        together: u8,
    },
    /// The oldest client that still waits leaves.
    Leave,
    Stream {
        key: u8,
    },
    Refuse {
        key: u8,
    },
    Panic {
        key: u8,
    },
    End {
        key: u8,
    },
    Pass {
        millis: u64,
    },
    /// The store is out for one of the nodes, for less than its claims hold, or back.
    Switch {
        node: usize,
        down: bool,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..3_u8;
    prop_oneof![
        6 => (key(), 0..2_usize, 1..4_u8).prop_map(|(key, node, together)| Op::Ask { key, node, together }),
        1 => Just(Op::Leave),
        3 => key().prop_map(|key| Op::Stream { key }),
        2 => key().prop_map(|key| Op::Refuse { key }),
        1 => key().prop_map(|key| Op::Panic { key }),
        2 => key().prop_map(|key| Op::End { key }),
        4 => prop_oneof![0..300_u64, 300..12_000_u64, 60_000..200_000_u64].prop_map(|millis| Op::Pass { millis }),
    ]
}

/// With stores that fail, too: then handlers may run twice, but nobody may hang.
fn rough_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => op(),
        1 => (0..2_usize, any::<bool>()).prop_map(|(node, down)| Op::Switch { node, down }),
    ]
}

/// What is known of a key.
#[derive(Default)]
struct Key {
    running: Vec<Call>,
    streams: Vec<StreamBody>,
    /// Since when its stream is over.
    over: Option<tokio::time::Instant>,
}

impl Key {
    fn may_run(&self) -> bool {
        // A stream that is over counts for its time, give or take the moment in which it is let go.
        let kept = self.over.is_some_and(|at| at.elapsed() < TTL - Duration::from_secs(1));
        self.running.is_empty() && self.streams.is_empty() && !kept
    }
}

async fn plays(ops: &[Op], strict: bool) {
    let stage = Stage::new();
    let nodes = stage.pair(|layer| layer.state_ttl(TTL).idempotency(Idempotency::new().shared_keys()));
    let mut keys: HashMap<u8, Key> = HashMap::new();
    let mut asked: Vec<JoinHandle<Reply>> = Vec::new();
    let arrive = |keys: &mut HashMap<u8, Key>| {
        while let Some(call) = stage.arrived() {
            let key = call.head.headers["idempotency-key"].as_bytes()[0];
            let known = keys.entry(key).or_default();
            assert!(!strict || known.may_run(), "key {key} ran twice");
            known.over = None;
            known.running.push(call);
        }
    };
    for op in ops {
        match *op {
            Op::Ask { key, node, together } => {
                for more in 0..usize::from(together) {
                    let request = Request::post("/").header("idempotency-key", &[key + b'a'][..]);
                    asked.push(ask(&nodes[(node + more) % 2].0, request.body(Body::empty()).unwrap()));
                }
            }
            Op::Leave => {
                asked.retain(|asked| !asked.is_finished());
                if !asked.is_empty() {
                    asked.remove(0).abort();
                }
            }
            Op::Stream { key } | Op::Refuse { key } | Op::Panic { key } => {
                let known = keys.entry(key + b'a').or_default();
                if let Some(call) = known.running.pop() {
                    match op {
                        Op::Stream { .. } => known.streams.push(call.stream()),
                        Op::Refuse { .. } => call.answer(Response::new(Body::empty())),
                        _ => call.panic(),
                    }
                }
            }
            Op::End { key } => {
                let known = keys.entry(key + b'a').or_default();
                if known.streams.pop().is_some() {
                    known.over = Some(tokio::time::Instant::now());
                }
            }
            Op::Pass { millis } => sleep(Duration::from_millis(millis)).await,
            Op::Switch { node, down } => nodes[node].1.set_down(down),
        }
        sleep(Duration::from_millis(1)).await;
        arrive(&mut keys);
    }
    // Whoever runs answers now; then nobody is left waiting, and each key can be used.
    for (_, switch) in &nodes {
        switch.set_down(false);
    }
    for _ in 0..4 {
        for known in keys.values_mut() {
            known.streams.extend(known.running.drain(..).map(Call::stream));
        }
        sleep(Duration::from_secs(5)).await;
        arrive(&mut keys);
    }
    for asked in asked {
        match asked.await {
            Ok(reply) => assert!([200, 409, 503].contains(&reply.status.as_u16()), "{}", reply.status),
            Err(error) => assert!(error.is_panic() || error.is_cancelled()),
        }
    }
}

fn check(cases: u32, ops: impl Strategy<Value = Vec<Op>>, strict: bool) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(ops in ops)| {
        Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(plays(&ops, strict));
    });
}

#[test]
fn a_key_never_runs_while_it_runs_or_its_stream_is_there() {
    check(256, vec(op(), 1..40), true);
}

#[test]
fn nobody_hangs_whatever_the_store_does() {
    check(256, vec(rough_op(), 1..40), false);
}
