//! Each answer of the layer, and what the client makes of it.

use crate::common::{Handler, Server, Told, keys, layer};
use axum::{Router, routing::get};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpSocket;
use tower_resume::{
    Attach, Clock, Idempotency, Idempotent, Keys, ResumeLayer, StreamName,
    client::{Cancelled, Client, Error, ErrorKind, Events, FileStorage, Item, MemoryStorage, Request, State},
    store::MemoryStore,
};

const MILLI: Duration = Duration::from_millis(1);
const DAY: u64 = 24 * 3600 * 1000;

/// A handler under a layer, and the layer's resume endpoint beside it.
struct Service {
    handler: Handler,
    server: Server,
}

impl Service {
    async fn start(layer: ResumeLayer<MemoryStore>) -> Self {
        let handler = Handler::new();
        let app = handler.router().layer(layer.clone()).route_service("/resume", layer.endpoint());
        Self { server: Server::start(app).await, handler }
    }

    /// A service whose handlers run once a key.
    async fn keyed(layer: ResumeLayer<MemoryStore, Idempotent>) -> Self {
        let handler = Handler::new();
        let app = handler.router().layer(layer);
        Self { server: Server::start(app).await, handler }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.addr)
    }

    fn post(&self) -> Request {
        Client::new().post(self.url("/stream")).retry_max(MILLI).body("{}")
    }

    /// A stream with one event, which was taken.
    async fn begun(&self, request: Request) -> (Events, Told) {
        let mut stream = request.send();
        let (item, told) = tokio::join!(stream.next(), async {
            let told = self.handler.told().await;
            told.count([1]);
            told
        });
        assert_eq!(seq(item), 1);
        (stream, told)
    }
}

fn seq(item: Option<Result<Item, Error>>) -> u64 {
    match item {
        Some(Ok(Item::Event(event))) => event.seq,
        other => panic!("{other:?}"),
    }
}

async fn failed(stream: &mut Events) -> Error {
    match stream.next().await {
        Some(Err(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// What an error says: kind, status, the problem's code.
fn told(error: &Error) -> (ErrorKind, Option<u16>, Option<&str>) {
    (error.kind(), error.status().map(|status| status.as_u16()), error.problem())
}

/// All seqs up to the end.
async fn rest(stream: &mut Events) -> Vec<u64> {
    let mut seqs = Vec::new();
    while let Some(item) = stream.next().await {
        match item {
            Ok(Item::Event(event)) => seqs.push(event.seq),
            Ok(Item::End(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stream.state(), State::Ended);
    seqs
}

#[tokio::test]
async fn a_stream_that_is_cut_goes_on_at_its_own_url_or_at_the_endpoint() {
    let service = Service::start(layer()).await;
    for at in [None, Some("/resume"), Some("resume?x=y")] {
        let request = service.post();
        let request = if let Some(at) = at { request.resume_url(at) } else { request };
        let (mut stream, told) = service.begun(request).await;
        for seq in 2..20 {
            stream.disconnect();
            told.count([seq]);
            assert_eq!(self::seq(stream.next().await), seq);
        }
        told.count(20..=30);
        told.end();
        assert_eq!(rest(&mut stream).await, (20..=30).collect::<Vec<_>>());
        assert_eq!((stream.stats().reconnects, stream.stats().duplicates), (18, 0));
    }
    assert_eq!(service.handler.untaken(), 0, "no handler ran twice");
}

#[tokio::test]
async fn a_token_that_is_past_its_time_or_not_the_servers_own_asks_for_a_new_start() {
    let ahead = Arc::new(AtomicU64::new(0));
    let late = Arc::clone(&ahead);
    let clock = Clock::new(move || Clock::system().now() + late.load(Ordering::SeqCst));
    let service = Service::start(layer().clock(clock)).await;
    let (mut stream, _told) = service.begun(service.post()).await;
    ahead.store(DAY, Ordering::SeqCst);
    stream.disconnect();
    let error = failed(&mut stream).await;
    assert_eq!(told(&error), (ErrorKind::Unauthorized, Some(401), Some("token_expired")));
    assert!(error.needs_new_start());

    let other = Keys::new("another secret of the tests, as long as the first").unwrap();
    let stranger = Service::start(ResumeLayer::new(MemoryStore::new(), other).tokens_are_enough()).await;
    let service = Service::start(layer()).await;
    let (mut stream, _told) = service.begun(service.post().resume_url(stranger.url("/resume"))).await;
    stream.disconnect();
    let error = failed(&mut stream).await;
    assert_eq!(told(&error), (ErrorKind::Unauthorized, Some(401), Some("invalid_signature")));
}

#[tokio::test]
async fn a_stream_that_is_gone_asks_for_a_new_start_or_gets_one() {
    let service = Service::start(layer()).await;
    let other = Service::start(layer()).await;
    let (mut stream, _told) = service.begun(service.post().resume_url(other.url("/resume"))).await;
    stream.disconnect();
    let error = failed(&mut stream).await;
    assert_eq!(told(&error), (ErrorKind::Gone, Some(426), Some("stream_expired")));

    let request = service.post().resume_url(other.url("/resume")).restart(true);
    let (mut stream, _told) = service.begun(request).await;
    stream.disconnect();
    assert!(matches!(stream.next().await, Some(Ok(Item::Restart))));
    let (items, ()) = tokio::join!(rest(&mut stream), async {
        let told = service.handler.told().await;
        told.count(1..=3);
        told.end();
    });
    assert_eq!(items, [1, 2, 3]);

    let service = Service::start(layer().step_rule(|_, _| false)).await;
    let (mut stream, _told) = service.begun(service.post()).await;
    stream.disconnect();
    assert_eq!(told(&failed(&mut stream).await), (ErrorKind::Gone, Some(426), Some("step_incompatible")));
}

#[tokio::test]
async fn a_wrong_url_or_method_to_resume_at_is_refused_with_a_hint() {
    let service = Service::start(layer()).await;
    let other = Server::start(Router::new().route("/only-get", get(async || "no stream"))).await;
    for (at, method, status) in [("/nowhere", http::Method::GET, 404), ("/only-get", http::Method::PUT, 405)] {
        let request = service.post().resume_url(format!("http://{}{at}", other.addr)).resume_method(method);
        let (mut stream, _told) = service.begun(request).await;
        stream.disconnect();
        let error = failed(&mut stream).await;
        assert_eq!(told(&error), (ErrorKind::Refused, Some(status), None));
        assert!(error.to_string().contains("`resume_url`"), "{error}");
    }
    let request = service.post().resume_url(format!("http://{}/only-get", other.addr));
    let (mut stream, _told) = service.begun(request).await;
    stream.disconnect();
    assert_eq!(failed(&mut stream).await.kind(), ErrorKind::NotEventStream);
}

#[tokio::test]
async fn one_reader_too_many_comes_again_when_it_is_told_to() {
    let service = Service::start(layer().max_stream_readers(1)).await;
    let storage = MemoryStorage::new();
    let (first, told_to) = service.begun(service.post().storage(storage.clone())).await;
    let mut crowd = service.post().storage(storage.clone()).max_attempts(1).send();
    let error = failed(&mut crowd).await;
    assert_eq!(error.kind(), ErrorKind::GaveUp);
    assert!(error.to_string().contains("too_many_readers"), "{error}");

    let mut second = service.post().storage(storage).send();
    let (items, ()) = tokio::join!(rest(&mut second), async {
        drop(first);
        told_to.count([2]);
        told_to.end();
    });
    assert_eq!(items, [1, 2], "the first event was taken, but nothing behind it was asked for");
}

#[tokio::test]
async fn a_key_that_is_taken_joins_waits_or_is_refused() {
    let by_header = |head: &http::request::Parts| Some(head.headers.get("x-what")?.as_bytes().to_vec());
    let idempotency = Idempotency::new().shared_keys().wait(Duration::from_millis(50)).fingerprint_with(by_header);
    let service = Service::keyed(layer().idempotency(idempotency)).await;
    let asked = || service.post().idempotency_key("one").header("x-what", "a").send();
    let (mut first, mut second) = (asked(), asked());
    let (one, two, ()) = tokio::join!(rest(&mut first), rest(&mut second), async {
        let told = service.handler.told().await;
        // The second one is told 409 while nothing comes.
        tokio::time::sleep(Duration::from_millis(200)).await;
        told.count(1..=5);
        told.end();
    });
    assert_eq!((&one, &two), (&vec![1, 2, 3, 4, 5], &vec![1, 2, 3, 4, 5]));
    assert_eq!(first.request_id(), second.request_id());
    assert_eq!(service.handler.untaken(), 0, "it ran once");

    let mut other = service.post().idempotency_key("one").header("x-what", "b").send();
    assert_eq!(told(&failed(&mut other).await), (ErrorKind::Refused, Some(422), Some("key_reused")));
}

#[tokio::test]
async fn whoever_has_started_a_stream_can_cancel_it() {
    let service = Service::start(layer()).await;
    let (mut stream, told) = service.begun(service.post()).await;
    assert_eq!(stream.cancel().await.unwrap(), Cancelled::Ended);
    told.dropped().await;
    match stream.next().await {
        Some(Ok(Item::End(end))) => assert_eq!((end.status, end.seq), (tower_resume::EndStatus::Cancelled, 1)),
        other => panic!("{other:?}"),
    }
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn whoever_was_let_in_reads_and_cannot_cancel() {
    let layer = layer();
    let handler = Handler::with_head(|mut response| {
        response.extensions_mut().insert(StreamName::new("a"));
        response
    });
    let attach = get(async || axum::Extension(Attach::to("a")));
    let app = handler.router().route("/attach", attach).layer(layer);
    let service = Service { server: Server::start(app).await, handler };
    let (stream, told_to) = service.begun(service.post()).await;
    let mut guest = Client::new().get(service.url("/attach")).retry_max(MILLI).send();
    assert_eq!(seq(guest.next().await), 1);
    assert_eq!(guest.request_id(), stream.request_id());
    let error = guest.cancel().await.unwrap_err();
    assert_eq!(told(&error), (ErrorKind::Refused, Some(403), Some("not_allowed")));
    guest.disconnect();
    told_to.count([2]);
    told_to.end();
    assert_eq!(rest(&mut guest).await, [2]);
    // Nobody has it any more: there is nothing there.
    let mut late = Client::new().get(service.url("/attach")).send();
    assert!(late.next().await.is_none());
    assert_eq!(late.state(), State::Ended);
}

#[tokio::test]
async fn a_place_in_a_file_outlives_the_program() {
    let folder = std::env::temp_dir().join(format!("tower-resume-client-{:016x}", fastrand::u64(..)));
    let service = Service::start(layer()).await;
    let asked = || service.post().storage(FileStorage::new(&folder));
    let (mut stream, told) = service.begun(asked()).await;
    told.count(2..=3);
    assert_eq!(seq(stream.next().await), 2);
    // As if the program was killed here. Its first event was seen: it has asked for the one behind it.
    drop(stream);
    let mut stream = asked().send();
    told.count([4]);
    told.end();
    assert_eq!(rest(&mut stream).await, [2, 3, 4]);
    assert_eq!(service.handler.untaken(), 0, "it was resumed and not started");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "what is over is not kept");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    // Bound, so that nobody else gets it, and nobody listens.
    let kept = TcpSocket::new_v4().unwrap();
    kept.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("http://{}/", kept.local_addr().unwrap());
    let mut stream = Client::new().get(&url).retry_max(MILLI).max_attempts(3).send();
    let error = failed(&mut stream).await;
    assert_eq!(error.kind(), ErrorKind::GaveUp);
    let mut stream = Client::new().post(&url).send();
    assert_eq!(failed(&mut stream).await.kind(), ErrorKind::StartFailed);
    // This test's `reqwest` has no TLS.
    let mut stream = Client::new().get(url.replace("http:", "https:")).send();
    let error = failed(&mut stream).await;
    assert_eq!(error.kind(), ErrorKind::BadUrl);
    assert!(error.to_string().contains("rustls"), "{error}");
}
