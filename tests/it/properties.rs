//! The properties that define the crate, over whatever nodes they are given: a store's own tests can run them too.

use crate::common::{
    Nodes, Peek, Reply, Run,
    blocks::{at_each_byte, blocks, events, has_end, last_id},
    sharing, until,
};
use proptest::{prelude::*, test_runner::TestRunner};
use std::collections::BTreeMap;
use tokio::runtime::{Builder, Runtime};

/// A handler's blocks with what a client is to get of each; no more for comments, which are the first client's alone.
pub const SCRIPT: [(&str, Option<&str>); 19] = [
    ("data: plain\n\n", Some("data: plain\n\n")),
    ("event: named\ndata: one\ndata: two\n\n", Some("event: named\ndata: one\ndata: two\n\n")),
    (": a comment\n\n", None),
    ("data: crlf\r\ndata: more\r\n\r\n", Some("data: crlf\r\ndata: more\r\n\r\n")),
    ("data: cr\r\r", Some("data: cr\r\r")),
    ("event: cr\rdata: a\rdata: b\r\r", Some("event: cr\rdata: a\rdata: b\r\r")),
    ("id: own\ndata: with an id\n\n", Some("data: with an id\n\n")),
    ("data: a\r\nid: own\r\ndata: b\r\n\r\n", Some("data: a\r\ndata: b\r\n\r\n")),
    ("id\rdata: no id\r\r", Some("data: no id\r\r")),
    (": inside\ndata: x\n: behind\n\n", Some(": inside\ndata: x\n: behind\n\n")),
    (": crlf comment\r\n\r\n", None),
    ("data\n\n", Some("data\n\n")),
    ("data:\ndata:\n\n", Some("data:\ndata:\n\n")),
    ("retry: 50\ndata: z\n\n", Some("retry: 50\ndata: z\n\n")),
    ("event: no data\n\n", Some("event: no data\n\n")),
    ("idle: odd\nidentity: field\ndata: ü\u{2028}é\n\n", Some("idle: odd\nidentity: field\ndata: ü\u{2028}é\n\n")),
    ("\r\n\n\rdata: behind stray lines\n\n", Some("data: behind stray lines\n\n")),
    ("data: id: not an id\n\n", Some("data: id: not an id\n\n")),
    ("id: 7\n\n", Some("\n")),
];

fn expected(script: &[(&str, Option<&str>)]) -> Vec<Vec<u8>> {
    script.iter().filter_map(|(_, event)| event.map(|event| event.as_bytes().to_vec())).collect()
}

/// Reads until this many of the handler's events have come.
async fn read_events(reply: &mut Reply, count: usize) {
    while events(&blocks(&reply.bytes)).len() < count {
        reply.frame().await.unwrap_or_else(|_| panic!("{:?}", String::from_utf8_lossy(&reply.bytes)));
    }
}

async fn read_all(mut reply: Reply) -> Vec<u8> {
    while reply.frame().await.is_ok() {}
    std::mem::take(&mut reply.bytes)
}

/// What clients hold that are cut at some byte of this: the newest id, by whether they have seen the end and how many
/// events they have. (Tokens that differ in nothing but their time are one.)
type Cuts = BTreeMap<(bool, usize), String>;

fn cuts(before: usize, id: &str, bytes: &[u8]) -> Cuts {
    let mut cuts = Cuts::new();
    at_each_byte(before, id, bytes, |seen, id| {
        if id.is_empty() {
            assert_eq!(seen, 0, "nothing comes before the first id");
            return;
        }
        let peek = Peek::into(id);
        assert_eq!(peek.seq, seen as u64, "the cursor is what the client has, wherever it is cut");
        cuts.entry((peek.seen_end, seen)).or_insert_with(|| id.to_owned());
    });
    cuts
}

/// Waits until every node knows of the stream.
async fn known(nodes: &Nodes, run: &Run) {
    for node in 0..nodes.len() {
        until("the node knows of the stream", async || nodes.resume(node, run.id(0)).send().await.status == 200).await;
    }
}

/// Comes back with an id, by either carrier in turn.
async fn come_back(nodes: &Nodes, node: usize, turn: usize, id: &str) -> Reply {
    let request = if turn.is_multiple_of(2) { nodes.reconnect(node, id) } else { nodes.resume(node, id) };
    let reply = request.send().await;
    assert_eq!(reply.status, 200, "node {node}");
    reply
}

/// The first: wherever a client is cut, and wherever it comes back, it has the identical stream in the end.
///
/// The handler pauses behind each of its blocks, once; there a client is cut at each byte of what it has, comes back on
/// each node, and the stream goes on to its end. Then all cuts of the whole, and of what the resumed ones had, once more.
pub async fn resumes_at_every_cut(nodes: &Nodes, script: &[(&str, Option<&str>)]) {
    let all = expected(script);
    for pause in 0..=script.len() {
        let (before, after) = script.split_at(pause);
        let mut run = nodes.begin().await;
        for (sent, _) in before {
            run.told().send(sent.to_string());
        }
        let count = expected(before).len();
        read_events(run.first(), count).await;
        known(nodes, &run).await;
        let mut resumed = Vec::new();
        for ((_, seen), id) in cuts(0, "", &run.first().bytes) {
            for node in 0..nodes.len() {
                resumed.push((node, id.clone(), seen, come_back(nodes, node, resumed.len(), &id).await));
            }
        }
        for (sent, _) in after {
            run.told().send(sent.to_string());
        }
        run.over();
        while run.first().frame().await.is_ok() {}
        let whole = run.first().bytes.clone();
        assert_eq!(events(&blocks(&whole)), all, "uncut, paused behind {pause}");
        let mut late = cuts(0, "", &whole);
        for (node, id, seen, reply) in resumed {
            let rest = read_all(reply).await;
            let parts = blocks(&rest);
            assert_eq!(events(&parts), all[seen..], "paused behind {pause}, cut behind {seen}, on node {node}");
            assert!(has_end(&parts));
            late.extend(cuts(seen, &id, &rest));
        }
        for ((seen_end, seen), id) in late {
            for node in 0..nodes.len() {
                if seen_end {
                    assert_eq!(nodes.reconnect(node, &id).send().await.status, 204);
                    continue;
                }
                let parts = blocks(&read_all(come_back(nodes, node, seen + node, &id).await).await);
                assert_eq!(events(&parts), all[seen..], "after the end, cut behind {seen}, on node {node}");
                assert!(has_end(&parts));
            }
        }
    }
}

/// The first, once more: a client that is really cut, again and again at any byte and on any node, while the handler
/// speaks, has it all once in the end.
pub async fn survives_cuts(nodes: &Nodes, script: &[usize], pieces: &[usize], bytes: &[usize]) {
    let script: Vec<_> = script.iter().map(|at| SCRIPT[*at]).collect();
    let all = expected(&script);
    let text: String = script.iter().map(|(sent, _)| *sent).collect();
    let mut run: Run = nodes.begin().await;
    let mut rest = text.as_bytes();
    for piece in pieces {
        let (now, later) = rest.split_at((*piece).min(rest.len()));
        if !now.is_empty() {
            run.told().send(now.to_vec());
        }
        rest = later;
    }
    known(nodes, &run).await;
    let mut got = Vec::new();
    let mut id = run.id(0).to_owned();
    let mut ended = false;
    for (turn, most) in bytes.iter().enumerate() {
        let node = turn % nodes.len();
        let mut reply = come_back(nodes, node, turn, &id).await;
        // Up to where there is no more for now, at most.
        while reply.bytes.len() < *most && !String::from_utf8_lossy(&reply.bytes).contains("\"phase\":\"live\"") {
            if reply.frame().await.is_err() {
                break;
            }
        }
        let (mut kept, lost) = reply.bytes.split_at(reply.bytes.len().min(*most));
        if kept.ends_with(b"\r") && lost.starts_with(b"\n") {
            // The event is whole either way; only its bytes are not.
            kept = &reply.bytes[..kept.len() + 1];
        }
        let parts = blocks(kept);
        got.extend(events(&parts));
        if let Some(newest) = last_id(&parts) {
            newest.clone_into(&mut id);
        }
        assert_eq!(Peek::into(&id).seq, got.len() as u64);
        if turn == bytes.len() / 2 {
            run.told().send(rest.to_vec());
            run.over();
        }
        if Peek::into(&id).seen_end {
            ended = true;
            break;
        }
    }
    if !ended {
        let parts = blocks(&read_all(come_back(nodes, nodes.len() - 1, 1, &id).await).await);
        assert!(has_end(&parts));
        got.extend(events(&parts));
    }
    assert_eq!(got, all);
}

/// The second: however the handler's bytes are split, the first client and every later one get the same events.
pub async fn is_the_same_however_split(nodes: &Nodes, script: &[usize], pieces: &[usize]) {
    let script: Vec<_> = script.iter().map(|at| SCRIPT[*at]).collect();
    let all = expected(&script);
    let text: String = script.iter().map(|(sent, _)| *sent).collect();
    let mut run = nodes.begin().await;
    let mut rest = text.as_bytes();
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at((*piece).min(rest.len()));
        run.told().send(now.to_vec());
        // Each piece is a read of its own.
        tokio::task::yield_now().await;
        rest = later;
    }
    run.over();
    while run.first().frame().await.is_ok() {}
    assert_eq!(events(&blocks(&run.first().bytes)), all, "the first client");
    known(nodes, &run).await;
    for node in 0..nodes.len() {
        let parts = blocks(&read_all(come_back(nodes, node, node, run.id(0)).await).await);
        assert_eq!(events(&parts), all, "node {node}");
    }
}

/// Runs cases of a property on this runtime, all over the same nodes.
pub fn check<T: std::fmt::Debug>(
    runtime: &Runtime,
    nodes: &Nodes,
    cases: u32,
    strategy: impl Strategy<Value = T>,
    property: impl AsyncFn(&Nodes, T),
) {
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let run = |case| {
        runtime.block_on(property(nodes, case));
        Ok(())
    };
    runner.run(&strategy, run).unwrap_or_else(|failure| panic!("{failure}"));
}

/// A script, how the handler splits it, and how much a client reads each time.
pub fn cut_script() -> impl Strategy<Value = (Vec<usize>, Vec<usize>, Vec<usize>)> {
    (script(), prop::collection::vec(1..60_usize, 0..12), prop::collection::vec(0..1200_usize, 1..8))
}

/// A script, and how the handler splits it.
pub fn split_script() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    (script(), prop::collection::vec(1..40_usize, 1..6))
}

fn script() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..SCRIPT.len(), 0..12)
}

#[tokio::test]
async fn a_client_that_is_cut_at_any_byte_and_comes_back_on_any_node_has_the_identical_stream() {
    resumes_at_every_cut(&Nodes::start(sharing(2)).await, &SCRIPT).await;
}

#[test]
fn a_client_that_is_cut_again_and_again_has_everything_once() {
    for mut runtime in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = runtime.enable_all().build().unwrap();
        let nodes = runtime.block_on(async { Nodes::start(sharing(2)).await });
        check(&runtime, &nodes, 48, cut_script(), async |nodes, (script, pieces, bytes)| {
            survives_cuts(nodes, &script, &pieces, &bytes).await;
        });
    }
}

#[test]
fn a_stream_is_the_same_however_its_bytes_are_split() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let nodes = runtime.block_on(async { Nodes::start(sharing(2)).await });
    check(&runtime, &nodes, 64, split_script(), async |nodes, (script, pieces)| {
        is_the_same_however_split(nodes, &script, &pieces).await;
    });
}

#[tokio::test]
async fn a_stream_is_the_same_split_at_every_single_byte_and_into_single_bytes() {
    let nodes = Nodes::start(sharing(1)).await;
    let script: Vec<_> = (0..SCRIPT.len()).collect();
    is_the_same_however_split(&nodes, &script, &[1]).await;
    let length: usize = SCRIPT.iter().map(|(sent, _)| sent.len()).sum();
    for at in 1..length {
        is_the_same_however_split(&nodes, &script, &[at, length]).await;
    }
}
