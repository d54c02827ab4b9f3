//! Thousands of resumes with tokens that are not good: each gets its answer, and nothing is left behind.

use crate::{
    KIB,
    common::{Handler, Peek, call, get_stream, keys, layer},
    measured, runtime,
};
use axum::body::Body;
use http::{HeaderValue, Request};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tower_resume::{Clock, Keys, Principal, ResumeLayer, store::MemoryStore};

const TRIES: usize = 5000;
/// What one refusal may take while it is made: the request, a copy of its token, and a small body.
const A_REFUSAL: u64 = 64 * KIB;

/// What is wrong, the status and the code; and the values that each request has of it.
type Kind = (&'static str, u16, &'static str, Vec<Vec<Vec<u8>>>);

/// A request with these values for `X-Resume-Token`, or as `Last-Event-ID`.
fn with(name: &'static str, values: &[Vec<u8>]) -> Request<Body> {
    let mut request = Request::get("/stream").body(Body::empty()).unwrap();
    for value in values {
        request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
    }
    request
}

#[test]
fn five_thousand_bad_tokens_get_400_or_401_and_leave_nothing_behind() {
    let runtime = runtime();
    let now = Arc::new(AtomicU64::new(1_790_000_000_000));
    let clock = {
        let now = Arc::clone(&now);
        Clock::new(move || now.load(Ordering::Relaxed))
    };
    let by_user = |head: &http::request::Parts| {
        let user = head.headers.get("x-user").and_then(|user| user.to_str().ok());
        Some(Principal::new(user.unwrap_or("ann")))
    };
    let of = |keys: Keys, scope: &str| {
        ResumeLayer::new(MemoryStore::new(), keys).scope(scope).principal_with(by_user).clock(clock.clone())
    };
    let handler = Handler::new();
    let ours = handler.router().layer(of(keys(), "drafts"));
    let first_token = |layer: ResumeLayer<MemoryStore>, user: &'static str| {
        let handler = Handler::new();
        let mut request = get_stream();
        request.headers_mut().insert("x-user", HeaderValue::from_static(user));
        runtime.block_on(async {
            call(handler.router().layer(layer), request).await.header("x-resume-token").unwrap().to_owned()
        })
    };
    let good =
        runtime.block_on(async { call(ours.clone(), get_stream()).await.header("x-resume-token").unwrap().to_owned() });
    let secret = Keys::new("another secret of the tests, of forty bytes").unwrap();
    let others: Vec<(&'static str, String)> = vec![
        ("another secret", first_token(of(secret, "drafts"), "ann")),
        ("another scope", first_token(of(keys(), "chats"), "ann")),
        ("another principal", first_token(of(keys(), "drafts"), "eve")),
        ("nobody in particular", first_token(layer().scope("drafts").clock(clock.clone()), "ann")),
    ];

    let flips = Peek::flips(&good);
    let mut kinds: Vec<Kind> = Vec::new();
    // A flip in the version's six bits makes it something else than a token.
    let (of_version, of_rest) = flips.split_at(8);
    let one = |tokens: &[String]| tokens.iter().map(|token| vec![token.clone().into_bytes()]).collect();
    kinds.push(("a bit flipped", 401, "invalid_signature", one(of_rest)));
    kinds.push(("another version", 400, "malformed_token", one(&of_version[1..])));
    for (what, token) in others {
        kinds.push((what, 401, "invalid_signature", one(&[token])));
    }
    let bytes = good.as_bytes();
    kinds.push(("cut short", 400, "malformed_token", (0..74).map(|len| vec![bytes[..len].to_vec()]).collect()));
    let longer = |len: usize| vec![bytes.iter().copied().cycle().take(len).collect::<Vec<_>>()];
    kinds.push(("too long", 400, "malformed_token", [139, 1000, 8192].map(longer).to_vec()));
    kinds.push(("not ASCII", 400, "malformed_token", vec![vec!["jeton-évité".into()], vec![vec![0xff; 100]]]));
    kinds.push(("twice", 400, "malformed_token", vec![vec![bytes.to_vec(), bytes.to_vec()]]));
    let all: Vec<_> = kinds
        .iter()
        .flat_map(|(what, status, code, values)| values.iter().map(move |values| (*what, *status, *code, values)))
        .collect();

    let (counts, memory) = measured(&runtime, async {
        let mut counts = BTreeMap::new();
        for at in 0..TRIES {
            let (what, status, code, values) = all[at % all.len()];
            let reply = call(ours.clone(), with("x-resume-token", values)).await;
            assert_eq!(reply.status.as_u16(), status, "{what}");
            assert_eq!(reply.header("www-authenticate").is_some(), status == 401, "{what}");
            let text = reply.text().await;
            assert!(text.contains(&format!("\"code\":\"{code}\"")), "{what}: {text}");
            assert!(
                !values
                    .iter()
                    .any(|value| value.len() > 20 && text.as_bytes().windows(value.len()).any(|at| at == value))
            );
            *counts.entry(what).or_insert(0) += 1;
        }
        counts
    });
    println!("{TRIES} bad tokens: {} KiB at most, {} bytes left; {counts:?}", memory.most / KIB, memory.left);
    assert!(memory.most <= A_REFUSAL, "{} KiB", memory.most / KIB);
    assert!(memory.left <= 8 * KIB as i64, "{} bytes are left", memory.left);

    runtime.block_on(async {
        let reply = call(ours.clone(), with("x-resume-token", &[good.clone().into_bytes()])).await;
        assert_eq!(reply.status, 200, "and the good one is still good");
        now.fetch_add(1_000_000_000, Ordering::Relaxed);
        let late = call(ours.clone(), with("x-resume-token", &[good.into_bytes()])).await;
        assert_eq!((late.status.as_u16(), late.json().await["code"].as_str()), (401, Some("token_expired")));
    });
}
