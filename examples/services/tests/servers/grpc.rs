//! `grpc`: a gRPC service under the layer is what it is without; beside it a stream resumes.

use crate::{
    common::{Reply, Request},
    process::Process,
};
use tonic::{Code, metadata::MetadataMap, transport::Channel};
use tower_resume_services::ticker::{At, UpTo, ticker_client::TickerClient};

const PROGRAM: &str = env!("CARGO_BIN_EXE_grpc");

async fn client(server: &Process) -> TickerClient<Channel> {
    TickerClient::connect(format!("http://{}", server.addr)).await.unwrap()
}

fn of_the_layer(metadata: &MetadataMap) -> Vec<String> {
    let names = metadata.clone().into_headers().keys().map(ToString::to_string).collect::<Vec<_>>();
    names.into_iter().filter(|name| name.starts_with("x-resume") || name == "x-accel-buffering").collect()
}

#[tokio::test]
async fn unary_calls_have_their_answers_and_their_errors() {
    let server = Process::start(PROGRAM, &[]).await;
    let mut client = client(&server).await;
    let answer = client.now(At { number: 7 }).await.unwrap();
    assert_eq!(answer.get_ref().number, 7);
    assert_eq!(of_the_layer(answer.metadata()), Vec::<String>::new());
    // A header that is the layer's business elsewhere, and holds nothing of the layer's.
    let mut request = tonic::Request::new(At { number: 8 });
    request.metadata_mut().insert("last-event-id", "8".parse().unwrap());
    assert_eq!(client.now(request).await.unwrap().get_ref().number, 8);
    let status = client.now(At { number: 61 }).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "there is no tick 61"));
}

#[tokio::test]
async fn streams_of_grpc_come_one_by_one_and_end_with_their_trailers() {
    let server = Process::start(PROGRAM, &[]).await;
    let mut client = client(&server).await;
    let answer = client.count(UpTo { last: 3 }).await.unwrap();
    assert_eq!(of_the_layer(answer.metadata()), Vec::<String>::new());
    let mut ticks = answer.into_inner();
    for number in 1..=3 {
        assert_eq!(ticks.message().await.unwrap().unwrap().number, number);
    }
    assert_eq!(ticks.message().await.unwrap(), None);
    assert!(ticks.trailers().await.unwrap().is_some(), "a status that came in trailers");

    let mut ticks = client.count(UpTo { last: 61 }).await.unwrap().into_inner();
    for number in 1..=60 {
        assert_eq!(ticks.message().await.unwrap().unwrap().number, number);
    }
    let status = ticks.message().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::OutOfRange, "there are only 60 ticks"));
    assert_eq!(status.metadata().get("last-tick").unwrap(), "60");
}

#[tokio::test]
async fn a_stream_beside_it_resumes_while_grpc_goes_on() {
    let server = Process::start(PROGRAM, &[]).await;
    let mut ticks = client(&server).await.count(UpTo { last: 60 }).await.unwrap().into_inner();
    assert_eq!(ticks.message().await.unwrap().unwrap().number, 1);
    for http2 in [false, true] {
        let over = |request: Request| if http2 { request.http2() } else { request };
        let mut reply: Reply = over(Request::get(server.addr, "/count")).send().await;
        reply.phase("open").await;
        let id = reply.counts(1..=1).await;
        drop(reply);
        let mut reply = over(Request::get(server.addr, "/resume").header("last-event-id", &id)).send().await;
        reply.phase("replay").await;
        let mut next = reply.event().await;
        if next.phase().as_deref() == Some("live") {
            next = reply.event().await;
        }
        assert_eq!(next.data, "2");
    }
    for number in 2..=60 {
        assert_eq!(ticks.message().await.unwrap().unwrap().number, number);
    }
    assert_eq!(ticks.message().await.unwrap(), None);
}
