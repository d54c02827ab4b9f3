//! Protocol section 3: many clients of one stream, each with a cursor of its own.

use crate::common::{Ended, Nodes, Reply, layer, until};
use futures_util::future::join_all;
use std::num::NonZeroUsize;

/// The numbers that a response brings, and how it ended.
async fn numbers(mut reply: Reply) -> (Vec<u64>, Ended) {
    let (events, ended) = reply.events().await;
    let numbers = events.iter().filter(|event| event.event == "message").map(|event| event.data.parse().unwrap());
    (numbers.collect(), ended)
}

#[tokio::test]
async fn fifty_readers_at_once_each_get_their_exact_rest_though_some_are_cut() {
    let nodes = Nodes::start([layer()]).await;
    let mut run = nodes.counted(100).await;
    let asks = (0..50).map(|reader| {
        let token = run.id(reader * 2);
        if reader % 2 == 0 { nodes.resume(0, token) } else { nodes.reconnect(0, token) }.send()
    });
    let mut replies: Vec<_> = join_all(asks).await.into_iter().enumerate().collect();
    run.count(20).await;
    let mut cut = Vec::new();
    for at in (0..50).rev().step_by(3) {
        let (reader, mut reply) = replies.swap_remove(at);
        reply.phase("replay").await;
        let next = reader as u64 * 2 + 1;
        cut.push((reader, reply.counts([next]).await));
    }
    run.count(20).await;
    for (reader, id) in cut {
        replies.push((reader, nodes.reconnect(0, &id).send().await));
    }
    run.count(10).await;
    run.end().await;
    let all = join_all(replies.into_iter().map(async |(reader, reply)| (reader, numbers(reply).await))).await;
    assert_eq!(all.len(), 50);
    for (reader, (numbers, ended)) in all {
        let after = 150 - numbers.len() as u64;
        assert!([reader as u64 * 2, reader as u64 * 2 + 1].contains(&after), "reader {reader} got {numbers:?}");
        assert_eq!((numbers, ended), ((after + 1..=150).collect(), Ended::Clean), "reader {reader}");
    }
}

#[tokio::test]
async fn readers_go_on_when_the_first_client_leaves_and_so_does_the_stream_when_all_do() {
    let nodes = Nodes::start([layer()]).await;
    let mut run = nodes.counted(2).await;
    let mut reader = nodes.resume(0, run.id(0)).send().await;
    reader.phase("replay").await;
    run.leave();
    run.told().count(3..=4);
    reader.counts(1..=2).await;
    reader.phase("live").await;
    reader.counts(3..=4).await;
    drop(reader);
    run.told().count(5..=6);
    run.over();
    let (numbers, ended) = numbers(nodes.resume(0, run.id(1)).send().await).await;
    assert_eq!((numbers, ended), (vec![2, 3, 4, 5, 6], Ended::Clean));
}

#[tokio::test]
async fn the_first_client_counts_as_a_reader_for_as_long_as_it_is_there() {
    let nodes = Nodes::start([layer().max_stream_readers(1)]).await;
    let mut run = nodes.counted(1).await;
    assert_eq!(nodes.resume(0, run.id(1)).send().await.status, 429);
    run.leave();
    until("its place is free", async || nodes.resume(0, run.id(1)).send().await.status == 200).await;
}

#[tokio::test]
async fn a_reader_that_leaves_gives_its_place_up() {
    let nodes = Nodes::start([layer().max_stream_readers(3)]).await;
    let run = nodes.counted(1).await;
    for _ in 0..5 {
        let mut two = Vec::new();
        for _ in 0..2 {
            until("there is a place", async || {
                let reply = nodes.resume(0, run.id(1)).send().await;
                let taken = reply.status == 200;
                if taken {
                    two.push(reply);
                }
                taken
            })
            .await;
        }
        assert_eq!(nodes.resume(0, run.id(1)).send().await.status, 429);
    }
}

#[tokio::test]
async fn the_limit_of_readers_is_a_streams_own() {
    let nodes = Nodes::start([layer().max_stream_readers(1)]).await;
    let one = nodes.counted(1).await;
    let mut two = nodes.counted(1).await;
    two.end().await;
    until("the first client has gone", async || nodes.resume(0, two.id(1)).send().await.status == 200).await;
    assert_eq!(nodes.resume(0, one.id(1)).send().await.status, 429);
}

#[tokio::test]
async fn a_slow_reader_does_not_hold_a_quick_one_back_and_is_told_what_it_missed() {
    let nodes = Nodes::start([layer().max_events(NonZeroUsize::new(32).unwrap())]).await;
    let mut run = nodes.begin().await;
    let slow = nodes.resume(0, run.id(0)).send().await;
    let padding = "x".repeat(1000);
    // More than the sockets hold.
    for number in 1..=8000_u64 {
        run.told().send(format!("data: {number} {padding}\n\n"));
    }
    run.over();
    let (quick, ended) = run.first().events().await;
    assert_eq!((quick.len(), ended), (8001, Ended::Clean), "the quick one gets all, and the end");
    let mut slow = slow;
    let (events, ended) = slow.events().await;
    let mut cursor = 0;
    for event in &events {
        if event.event == "message" {
            let number: u64 = event.data.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(number, cursor + 1);
            cursor = number;
        } else if event.phase().as_deref() == Some("gap") {
            let gap = event.json();
            assert_eq!(gap["from"], cursor + 1);
            cursor = gap["to"].as_u64().unwrap();
        }
    }
    assert_eq!((cursor, ended), (8000, Ended::Clean));
}
