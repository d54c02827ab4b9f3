//! Whose a key is: strangers with the same key never meet in one stream.

use super::{joined, with};
use crate::common::{Logs, Stage, ask, call, keys};
use axum::body::Body;
use http::{Request, request::Parts};
use tower::Layer as _;
use tower_resume::{Authorization, Idempotency, Principal, ResumeLayer, store::MemoryStore};
use tracing::Level;

fn as_user(mut request: Request<Body>, user: &str) -> Request<Body> {
    request.headers_mut().insert("x-user", user.parse().unwrap());
    request
}

fn user(head: &Parts) -> Option<Principal> {
    head.headers.get("x-user").map(|user| Principal::new(user.to_str().unwrap()))
}

#[tokio::test(start_paused = true)]
async fn nobody_joins_across_principals() {
    let stage = Stage::new();
    let by_hook = |head: &Parts| user(head).map_or(Authorization::Allow, Authorization::AllowAs);
    let set = Idempotency::new;
    for nodes in [
        stage.pair(|layer| layer.principal_with(user).idempotency(set())),
        stage.pair(|layer| layer.authorize_with(by_hook).idempotency(set())),
        stage.pair(|layer| layer.principal_with(user).idempotency(set().shared_keys())),
    ] {
        let [one, other] = nodes.map(|(node, _)| node);
        let mut streams = Vec::new();
        for name in ["ada", "bob", "Ada"] {
            let first = ask(&one, as_user(with("k"), name));
            stage.call().await.counted(1);
            streams.push(first.await.unwrap().header("x-resume-stream").unwrap().to_owned());
        }
        for (name, stream) in ["ada", "bob", "Ada"].into_iter().zip(streams) {
            let reply = call(other.clone(), as_user(with("k"), name)).await;
            assert_eq!(reply.header("x-resume-stream"), Some(&*stream));
            let token = reply.header("x-resume-token").unwrap().to_owned();
            joined(reply, 1).await;
            // Its tokens are the principal's, too.
            let resume = Request::get("/stream").header("x-resume-token", &token).body(Body::empty()).unwrap();
            assert_eq!(call(one.clone(), as_user(resume, name)).await.status, 200);
            let resume = Request::get("/stream").header("x-resume-token", &token).body(Body::empty()).unwrap();
            assert_eq!(call(one.clone(), as_user(resume, "eve")).await.status, 401);
        }
        assert!(stage.arrived().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn the_keys_of_nobody_count_only_where_they_are_shared() {
    let stage = Stage::new();
    for (shared, runs) in [(false, 2), (true, 1)] {
        let keys = Idempotency::new();
        let keys = if shared { keys.shared_keys() } else { keys };
        let nodes = stage.pair(|layer| layer.principal_with(user).idempotency(keys.clone()));
        let replies = [ask(&nodes[0].0, with("k")), ask(&nodes[1].0, with("k"))];
        for _ in 0..runs {
            stage.call().await.counted(1);
        }
        for reply in replies {
            assert_eq!(reply.await.unwrap().status, 200);
        }
        assert!(stage.arrived().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_authorisation_hook_refuses_starts_as_without_a_key_and_never_joins() {
    let stage = Stage::new();
    let hook = |head: &Parts| match user(head) {
        Some(user) => Authorization::AllowAs(user),
        None => Authorization::Refuse(Box::default()),
    };
    let [(one, _), _] = stage.pair(|layer| layer.authorize_with(hook).idempotency(Idempotency::new().shared_keys()));
    for _ in 0..2 {
        let reply = ask(&one, with("k"));
        stage.call().await.counted(1);
        assert_eq!(reply.await.unwrap().status, 200);
    }
}

#[test]
fn with_nothing_that_says_whose_a_key_is_a_warning_says_so_once() {
    let of = |layer: ResumeLayer<MemoryStore>, keys: Idempotency| {
        let logs = Logs::new();
        let _service = layer.tokens_are_enough().idempotency(keys).layer(());
        logs.of(Level::WARN)
    };
    let layer = || ResumeLayer::new(MemoryStore::new(), keys());
    let warned = of(layer(), Idempotency::new());
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("Idempotency::shared_keys"), "{warned:?}");
    assert_eq!(of(layer(), Idempotency::new().shared_keys()), [""; 0]);
    assert_eq!(of(layer().principal_with(user), Idempotency::new()), [""; 0]);
    assert_eq!(of(layer().authorize_with(|_| Authorization::Allow), Idempotency::new()), [""; 0]);
}
