//! Tokens over the wire: who may use them, for how long, and that none can be made or changed.

use crate::common::{Nodes, Peek, Request, Run, keys, layer};
use futures_util::{StreamExt as _, stream};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tower_resume::{Clock, Keys, Principal, ResumeLayer, store::MemoryStore};

/// A clock that a test sets.
#[derive(Clone)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_800_000_000_000)))
    }

    fn clock(&self) -> Clock {
        let hand = Arc::clone(&self.0);
        Clock::new(move || hand.load(Ordering::SeqCst))
    }

    fn on(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn no_token_with_a_changed_bit_is_ever_good() {
    let nodes = Nodes::start([
        layer().classify_with(|_: &tower_resume::EventView<'_>| tower_resume::Class::new().step("DRAFTING"))
    ])
    .await;
    let mut run = nodes.counted(2).await;
    let seen = run.end().await;
    for token in [run.id(0), run.id(2), &seen] {
        let flips = Peek::flips(token);
        assert!(flips.len() >= 55 * 8);
        let texts = (0..token.len() * 7).map(|bit| {
            let mut text = token.as_bytes().to_vec();
            text[bit / 7] ^= 1 << (bit % 7);
            text
        });
        // What a header cannot hold never arrives.
        let texts = texts.filter(|text| text.iter().all(|byte| (0x21..0x7f).contains(byte)));
        let all: Vec<Vec<u8>> = flips.into_iter().map(String::into_bytes).chain(texts).collect();
        let addr = nodes.addr(0);
        let asks = all.iter().map(|text| async move {
            let reply = Request::get(addr, "/resume").header("x-resume-token", text).send().await;
            (text, reply.status.as_u16(), reply.json().await)
        });
        let mut replies = stream::iter(asks).buffer_unordered(16);
        while let Some((text, status, body)) = replies.next().await {
            let expected = match status {
                400 => "malformed_token",
                401 => "invalid_signature",
                status => panic!("{status} for {:?} in place of {token}", String::from_utf8_lossy(text)),
            };
            assert_eq!(body["code"], expected);
        }
    }
}

#[tokio::test]
async fn a_token_of_another_secret_scope_or_principal_is_refused_in_the_same_words() {
    let store = Arc::new(MemoryStore::new());
    let new = |keys: Keys| ResumeLayer::new(Arc::clone(&store), keys).tokens_are_enough();
    let other = || Keys::new([9; 32]).unwrap();
    let as_user = |name: &'static str| new(keys()).principal_with(move |_| Some(Principal::new(name)));
    let nodes = Nodes::start([
        as_user("ada").scope("a"),
        as_user("bob").scope("a"),
        as_user("ada").scope("b"),
        new(keys()).scope("a"),
        new(other()).scope("a").principal_with(|_| Some(Principal::new("ada"))),
        as_user("ada").scope("a"),
    ])
    .await;
    let run = nodes.counted(1).await;
    let mut bodies = Vec::new();
    for node in 1..=4 {
        for request in [nodes.resume(node, run.id(1)), nodes.reconnect(node, run.id(1))] {
            let reply = request.send().await;
            assert_eq!(
                (reply.status.as_u16(), reply.header("www-authenticate")),
                (401, Some("Resume-Token")),
                "{node}"
            );
            bodies.push(reply.text().await);
        }
    }
    assert!(bodies.iter().all(|body| *body == bodies[0] && body.contains("\"invalid_signature\"")), "{bodies:?}");
    nodes.knows(5, run.id(1), 1).await;
}

#[tokio::test]
async fn a_ring_of_secrets_takes_tokens_of_all_and_signs_with_the_first() {
    let store = Arc::new(MemoryStore::new());
    let (old, new) = ([1; 32], [2; 32]);
    let node = |keys: Result<Keys, _>| ResumeLayer::new(Arc::clone(&store), keys.unwrap()).tokens_are_enough();
    let nodes = Nodes::start([node(Keys::new(old)), node(Keys::ring([new, old])), node(Keys::new(new))]).await;
    let run = nodes.counted(1).await;
    nodes.knows(1, run.id(1), 1).await;
    assert_eq!(nodes.resume(2, run.id(1)).send().await.status, 401);
    let reply = nodes.resume(1, run.id(1)).send().await;
    let renewed = reply.header("x-resume-token").unwrap();
    assert_eq!(nodes.resume(2, renewed).send().await.status, 200);
    assert_eq!(nodes.resume(0, renewed).send().await.status, 401);
}

#[tokio::test]
async fn a_token_is_good_for_its_time_and_half_a_minute_of_skew() {
    let hand = Hand::new();
    let nodes = Nodes::start([layer().clock(hand.clock()).token_ttl(Duration::from_secs(60))]).await;
    let run = nodes.counted(1).await;
    assert_eq!(nodes.status(0, run.id(1)).await["expires_at"], 1_800_000_060_000_u64);
    hand.on(90_000);
    assert_eq!(nodes.resume(0, run.id(1)).send().await.status, 200);
    hand.on(1);
    for request in [nodes.resume(0, run.id(1)), nodes.reconnect(0, run.id(1))] {
        let reply = request.send().await;
        assert_eq!((reply.status.as_u16(), reply.header("www-authenticate")), (401, Some("Resume-Token")));
        assert_eq!(reply.json().await["code"], "token_expired");
    }
}

#[tokio::test]
async fn an_expired_token_that_has_seen_the_end_has_expired_all_the_same() {
    let hand = Hand::new();
    let nodes = Nodes::start([layer().clock(hand.clock()).token_ttl(Duration::from_secs(60))]).await;
    let mut run: Run = nodes.counted(1).await;
    let seen = run.end().await;
    hand.on(90_001);
    for request in [nodes.resume(0, &seen), nodes.reconnect(0, &seen)] {
        assert_eq!(request.send().await.json().await["code"], "token_expired");
    }
}

#[tokio::test]
async fn each_response_renews_the_token() {
    let hand = Hand::new();
    let nodes = Nodes::start([layer().clock(hand.clock()).token_ttl(Duration::from_secs(60))]).await;
    let mut run = nodes.counted(1).await;
    hand.on(50_000);
    let mut reply = nodes.resume(0, run.id(1)).send().await;
    let replay = reply.phase("replay").await;
    assert_eq!(replay["expires_at"], 1_800_000_110_000_u64);
    let status = nodes.resume(0, run.id(1)).header("x-resume-mode", "status").send().await;
    let by_status = status.header("x-resume-token").unwrap().to_owned();
    run.count(1).await;
    hand.on(50_000);
    for token in [replay["token"].as_str().unwrap(), &by_status, run.id(2)] {
        assert_eq!(nodes.resume(0, token).send().await.status, 200);
    }
    assert_eq!(nodes.resume(0, run.id(1)).send().await.status, 401);
}

#[tokio::test]
async fn the_tokens_of_resumed_responses_resume_again_with_the_rights_they_had() {
    let nodes = Nodes::start([layer()]).await;
    let mut run = nodes.counted(10).await;
    let mut token = run.id(0).to_owned();
    for link in 0..10 {
        let mut reply = if link % 2 == 0 { nodes.resume(0, &token) } else { nodes.reconnect(0, &token) }.send().await;
        assert_eq!(reply.phase("replay").await["from"], link);
        assert_eq!(Peek::into(reply.header("x-resume-token").unwrap()).seq, link);
        token = reply.counts([link + 1]).await;
        let expected = Peek { seq: link + 1, step: String::new(), seen_end: false, may_cancel: true };
        assert_eq!(Peek::into(&token), expected);
    }
    run.end().await;
    let mut reply = nodes.resume(0, &token).send().await;
    reply.phase("replay").await;
    let end = reply.event().await.id.unwrap();
    assert_eq!(Peek::into(&end), Peek { seq: 10, step: String::new(), seen_end: true, may_cancel: true });
}

#[tokio::test]
async fn every_token_is_short_and_of_the_promised_alphabet() {
    let step = "é".repeat(40);
    let classify = move |_: &tower_resume::EventView<'_>| tower_resume::Class::new().step(&*step);
    let nodes = Nodes::start([layer().classify_with(classify)]).await;
    let mut run = nodes.counted(2).await;
    let seen = run.end().await;
    for token in run.ids.iter().chain([&seen]) {
        assert!(token.len() <= 150 && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }
    assert_eq!(Peek::into(run.id(1)).step, "é".repeat(24), "cut at a character's bound");
}
