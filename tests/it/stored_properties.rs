//! Durability `Stored`, whatever happens: at every moment, what clients have is a prefix of what the store has.

use crate::{
    common::{
        Ended, Gate, Handler, Nodes, Peek, Reply, Told,
        blocks::{Kind, blocks, last_id},
        call, get_stream, sharing,
    },
    limits::{SECOND, resume},
    properties::{SCRIPT, resumes_at_every_cut},
    stored::{settle, stored},
};
use axum::Router;
use proptest::{prelude::*, test_runner::TestRunner};
use std::num::NonZeroUsize;
use tokio::runtime::Builder;
use tower_resume::{Durability, RequestId, StoreOut, store::Store as _};

#[derive(Clone, Copy, Debug)]
enum Op {
    /// The handler says so many events.
    Say(u64),
    Comment,
    /// An event that is too large to keep.
    Large,
    /// So many appends are done.
    Store(usize),
    /// The next append is not done; or is, and nobody hears of it.
    Fail,
    Lose,
    /// The client takes what there is; or is cut, and comes back.
    Read,
    ComeBack,
    /// Time for the writer to try again.
    Wait,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1..20u64).prop_map(Op::Say),
        1 => Just(Op::Comment),
        1 => Just(Op::Large),
        5 => (1..3usize).prop_map(Op::Store),
        1 => Just(Op::Fail),
        1 => Just(Op::Lose),
        4 => Just(Op::Read),
        1 => Just(Op::ComeBack),
        1 => Just(Op::Wait),
    ]
}

struct Client {
    app: Router,
    reply: Reply,
    token: String,
    /// The last event that it has.
    seen: u64,
    /// How many blocks of this response were looked at.
    at: usize,
}

impl Client {
    /// Takes what there is, and holds it against the store. How the response ended, if it did.
    async fn read(&mut self, gate: &Gate, id: RequestId) -> Option<Ended> {
        let ended = tokio::time::timeout(SECOND / 1000, async {
            loop {
                if let Err(ended) = self.reply.frame().await {
                    return ended;
                }
            }
        });
        let ended = ended.await.ok();
        let tail = gate.tail(id).await.unwrap();
        let (last, end) = tail.map_or((0, None), |tail| (tail.last, tail.end));
        let blocks = blocks(&self.reply.bytes);
        for block in &blocks[self.at..] {
            let text = String::from_utf8_lossy(&block.bytes);
            match block.kind {
                Kind::Comment => {}
                Kind::Handler => {
                    self.seen += 1;
                    let number = text.trim_start_matches("data: ").split_ascii_whitespace().next().unwrap();
                    assert_eq!(number, self.seen.to_string(), "no hole, nothing twice");
                }
                Kind::Control => {
                    let json: serde_json::Value =
                        serde_json::from_str(text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap())
                            .unwrap();
                    if json["phase"] == "gap" {
                        assert_eq!(json["from"], self.seen + 1);
                        self.seen = json["to"].as_u64().unwrap();
                    }
                    assert!(json["phase"] != "end" || end.is_some(), "an end that the store does not have");
                }
            }
        }
        self.at = blocks.len();
        if let Some(id) = last_id(&blocks) {
            let peek = Peek::into(id);
            assert!(peek.seq <= last, "the client has {}, the store {last}", peek.seq);
            assert_eq!(peek.seq, self.seen);
            id.clone_into(&mut self.token);
        }
        assert!(self.seen <= last, "the client has seen {}, the store has {last}", self.seen);
        ended
    }

    async fn come_back(&mut self) {
        self.reply = call(self.app.clone(), resume(&self.token)).await;
        self.at = 0;
    }
}

async fn say(told: &Told, said: &mut u64, count: u64, padding: usize) {
    for _ in 0..count {
        *said += 1;
        told.send(format!("data: {said} {}\n\n", "L".repeat(padding)));
    }
}

async fn run(ops: &[Op], limit: usize) {
    let (gate, handler) = (Gate::new(), Handler::new());
    let layer = stored(gate.clone()).max_events(NonZeroUsize::new(limit).unwrap()).store_out(StoreOut::Cut);
    let app = handler.router().layer(layer.max_event_bytes(NonZeroUsize::new(200).unwrap()));
    let reply = call(app.clone(), get_stream()).await;
    let token = reply.header("x-resume-token").unwrap().to_owned();
    let id = RequestId::parse(reply.header("x-resume-stream").unwrap()).unwrap();
    let told = handler.told().await;
    let mut client = Client { app, reply, token, seen: 0, at: 0 };
    let mut said = 0;
    for op in ops {
        match op {
            Op::Say(count) => say(&told, &mut said, *count, 0).await,
            Op::Comment => told.send(": comment\n\n"),
            Op::Large => say(&told, &mut said, 1, 300).await,
            Op::Store(appends) => gate.let_through(*appends),
            Op::Fail => gate.fail_once(),
            Op::Lose => gate.lose_an_answer(),
            Op::Read => {}
            Op::ComeBack => client.come_back().await,
            Op::Wait => tokio::time::sleep(3 * SECOND).await,
        }
        settle().await;
        if !matches!(op, Op::Say(_) | Op::Store(_)) && client.read(&gate, id).await.is_some() {
            client.come_back().await;
        }
    }
    told.end();
    gate.let_through(10_000);
    for _ in 0..50 {
        match client.read(&gate, id).await {
            Some(Ended::Clean) => {
                assert_eq!(client.seen, said, "the client has it all in the end");
                return;
            }
            Some(Ended::Abrupt) => client.come_back().await,
            None => tokio::time::sleep(3 * SECOND).await,
        }
    }
    panic!("no end: {:?}", String::from_utf8_lossy(&client.reply.bytes));
}

#[test]
fn at_every_moment_what_clients_have_is_a_prefix_of_what_the_store_has() {
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    let strategy = (prop::collection::vec(op(), 1..60), prop_oneof![Just(8), Just(24), Just(256)]);
    TestRunner::new(config)
        .run(&strategy, |(ops, limit)| {
            let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
            runtime.block_on(run(&ops, limit));
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn a_client_that_is_cut_at_any_byte_and_comes_back_has_the_identical_stream_with_stored_durability_too() {
    let layers = sharing(2).into_iter().map(|layer| layer.durability(Durability::Stored));
    resumes_at_every_cut(&Nodes::start(layers).await, &SCRIPT).await;
}
