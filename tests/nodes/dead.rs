//! A node that dies: those who follow its streams elsewhere get what was stored, and then the end.

use crate::{
    common::{Ended, Request},
    node::Node,
    redis_server::RedisServer,
    two_nodes::{answer, expect, resumed, stored},
};

#[tokio::test]
async fn followers_of_a_killed_node_get_what_was_stored_and_then_the_end_and_so_do_later_resumes() {
    let Some(redis) = RedisServer::start().await else { return };
    let (mut one, other) = Node::pair(&redis.url()).await;
    let third = Node::start(&redis.url()).await;
    let mut first = Request::post(one.addr, "/count?n=10000&pace=10").send().await;
    let token = first.phase("open").await["token"].as_str().unwrap().to_owned();
    expect(&mut first, 1..=20).await;
    let (mut follower, _) = resumed(&other, "x-resume-token", &token).await;
    expect(&mut follower, 1..=30).await;
    one.kill().await;
    let mut last = 30;
    let end = loop {
        let event = follower.event().await;
        match event.phase() {
            Some(phase) if phase == "live" => {}
            Some(phase) if phase == "end" => break event.json(),
            _ => {
                last += 1;
                assert_eq!(event.data, last.to_string());
            }
        }
    };
    assert_eq!((end["status"].as_str(), end["seq"].as_u64()), (Some("interrupted"), Some(last)));
    assert_eq!(follower.rest().await, (vec![], Ended::Clean));
    for node in [&other, &third] {
        let mut late = answer(|| Request::get(node.addr, "/resume").header("x-resume-token", &token)).await;
        assert_eq!(late.phase("replay").await["status"], "interrupted");
        expect(&mut late, 1..=last).await;
        assert_eq!(late.phase("end").await["status"], "interrupted");
    }
}

#[tokio::test]
async fn a_stream_that_nobody_followed_when_its_node_died_is_ended_by_whoever_asks_first() {
    let Some(redis) = RedisServer::start().await else { return };
    let (mut one, other) = Node::pair(&redis.url()).await;
    let mut first = Request::post(one.addr, "/count?n=10000&pace=10").send().await;
    let token = first.phase("open").await["token"].as_str().unwrap().to_owned();
    expect(&mut first, 1..=20).await;
    stored(&other, &token, 1).await;
    one.kill().await;
    // Asks for nothing but the status, so that nobody follows it.
    loop {
        let request = Request::get(other.addr, "/resume").header("x-resume-token", &token);
        let reply = request.header("x-resume-mode", "status").send().await;
        match (reply.status.as_u16(), reply.json().await["status"].as_str()) {
            (200, Some("interrupted")) => return,
            // For the moment, also where a command takes too long on a busy machine.
            (503, _) => {}
            (200, Some("running")) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            odd => panic!("{odd:?}"),
        }
    }
}
