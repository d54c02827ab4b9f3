//! Answers that are no stream.

use super::*;
use crate::client::Client;

/// A stream that is cut after its first event, and then answered so.
fn then(reply: impl FnOnce(&Script) -> Reply) -> Script {
    let script = Script::default();
    script.then(script.stream([say(open() + &event(1)), Say::Cut]));
    script.then(reply(&script));
    script
}

async fn failed(stream: &mut Events) -> crate::client::Error {
    loop {
        match stream.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => return error,
            None => panic!("it is over"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_there_is_the_end_of_the_iteration() {
    let script = Script::default();
    script.then(script.answer(204, &[], []));
    let mut stream = script.get().send();
    assert!(stream.next().await.is_none());
    assert_eq!(stream.state(), State::Ended);

    let script = then(|script| script.answer(204, &[], []));
    assert_eq!(line(&mut script.get().send()).await, "1:e1");
}

#[tokio::test(start_paused = true)]
async fn a_token_or_a_stream_that_is_gone_asks_for_a_new_start() {
    for (status, code, kind) in [
        (401, "token_expired", ErrorKind::Unauthorized),
        (426, "stream_expired", ErrorKind::Gone),
        (410, "stream_expired", ErrorKind::Gone),
    ] {
        let problem = format!(r#"{{"code":"{code}"}}"#);
        let script = then(|script| script.answer(status, &[], [say(problem)]));
        let error = failed(&mut script.get().send()).await;
        assert_eq!((error.kind(), error.needs_new_start()), (kind, true));
        assert_eq!((error.status().map(|status| status.as_u16()), error.problem()), (Some(status), Some(code)));
        assert!(error.to_string().contains("start a new"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_start_can_be_made_by_itself() {
    let script = then(|script| script.answer(426, &[], []));
    let second = |text: String| text.replace("stream-1", "stream-2");
    script.then(script.answer(
        200,
        &[("x-resume-token", &token(0)), ("x-resume-stream", "stream-2")],
        [say(second(whole(2)))],
    ));
    let mut stream = script.post().idempotent().restart(true).send();
    assert_eq!(line(&mut stream).await, "1:e1, restart, 1:e1, 2:e2, end 2 complete");
    let asked = script.asked();
    assert!(asked[2].request.body.is_some());
    assert_ne!(asked[0].header("idempotency-key"), asked[2].header("idempotency-key"), "it is another stream");
    assert_eq!(stream.request_id(), Some("stream-2"));
}

#[tokio::test(start_paused = true)]
async fn restarts_that_bring_nothing_are_counted() {
    let script = Script::default();
    for _ in 0..3 {
        script.then(script.stream([say(open()), Say::Cut]));
        script.then(script.answer(401, &[], []));
    }
    let mut stream = script.get().restart(true).max_attempts(4).send();
    assert_eq!(line(&mut stream).await, "restart, error gave_up");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_to_look_at() {
    for (status, hint) in
        [(404, "resume_url"), (405, "resume_url"), (403, "right"), (302, "elsewhere"), (400, "http://test/resume")]
    {
        let script = then(|script| script.answer(status, &[], []));
        let error = failed(&mut script.get().resume_url("/resume").send()).await;
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains(hint), "{error}");
    }
    let script = Script::default();
    script.then(script.answer(404, &[], []));
    let error = failed(&mut script.get().send()).await;
    assert_eq!(error.to_string(), "http://test/stream refused: is the path right? (status 404)");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_stream_is_refused_and_on_the_way_back_taken_for_passing() {
    let page = |script: &Script| script.answer(200, &[("content-type", "text/html")], [say("<html>")]);
    let script = Script::default();
    script.then(page(&script));
    let error = failed(&mut script.post().send()).await;
    assert_eq!(error.kind(), ErrorKind::NotEventStream);
    assert!(error.to_string().contains("text/html"), "{error}");

    let script = then(page);
    script.then(page(&script));
    script.then(script.stream([say(rest(1, 2))]));
    assert_eq!(all(&mut script.get().send()).await, course(2));

    let script = then(page);
    for _ in 0..3 {
        script.then(page(&script));
    }
    assert_eq!(line(&mut script.get().send()).await, "1:e1, error not_event_stream");
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_asked_again_whatever_the_method() {
    let script = Script::default();
    script.then(script.answer(503, &[("retry-after", "3")], []));
    script.then(script.answer(429, &[], []));
    script.then(script.answer(409, &[], [say(r#"{"code":"in_progress"}"#)]));
    script.then(script.stream([say(whole(1))]));
    assert_eq!(all(&mut script.post().send()).await, course(1));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_for_is_the_first_thing_that_is_said() {
    let client = Client::new();
    for (mut stream, code, text) in [
        (client.get("no url").send(), "bad_url", "absolute"),
        (client.get("/path").send(), "bad_url", "absolute"),
        (client.get("ftp://a/b").send(), "bad_url", "http"),
        (client.get("http://a/b").resume_url("ftp://c/").send(), "bad_url", "ftp"),
        (client.get("http://a/b").resume_url("http://").send(), "bad_url", "resume"),
        (client.get("http://a/b").header("a b", "c").send(), "bad_request", "name"),
        (client.get("http://a/b").header("a", "c\n").send(), "bad_request", "value"),
        (client.get("http://a/b").idempotency_key("é\n").send(), "bad_request", "key"),
        (client.post("http://a/b").json(&std::collections::HashMap::from([((), ())])).send(), "bad_request", "JSON"),
    ] {
        assert_eq!(stream.state(), State::Idle);
        let error = stream.next().await.unwrap().unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(stream.next().await.is_none());
        assert!(stream.is_terminated());
        stream.disconnect();
    }
}

#[tokio::test(start_paused = true)]
async fn headers_are_asked_for_each_time_and_do_not_speak_for_the_client() {
    let script = Script::default();
    script.then(script.stream([say(open() + &event(1)), Say::Cut]));
    script.then(script.stream([say(rest(1, 1))]));
    let count = std::sync::atomic::AtomicU32::new(0);
    let mut stream = script
        .post()
        .json(&[1])
        .header("x-static", "s")
        .headers_with(move || {
            let n = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            async move {
                if n == 1 {
                    return Err("the token service is away".into());
                }
                let all = [
                    ("authorization", format!("Bearer {n}")),
                    ("x-resume-token", "wrong".into()),
                    ("accept", "a".into()),
                ];
                Ok(all.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect())
            }
        })
        .send();
    assert_eq!(all(&mut stream).await, course(1));
    let asked = script.asked();
    let heads: Vec<_> =
        asked.iter().map(|asked| (asked.header("authorization").unwrap(), asked.header("x-static"))).collect();
    assert_eq!(heads, [("Bearer 0", Some("s")), ("Bearer 2", Some("s"))]);
    assert_eq!(asked[1].header("x-resume-token"), Some(&*token(1)));
    assert_eq!(asked[1].header("accept"), Some("text/event-stream"));
    assert_eq!((asked[0].header("content-type"), asked[1].header("content-type")), (Some("application/json"), None));
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_ever_shown() {
    let script = then(|script| script.answer(404, &[], []));
    let mut stream = script.get().control(true).send();
    let mut shown = format!("{:?} {stream:?}", script.get().header("authorization", "HEADERSECRET"));
    while let Some(item) = stream.next().await {
        shown += &format!("{item:?} {stream:?}");
        if let Err(error) = item {
            shown += &format!("{error}");
        }
    }
    assert!(shown.contains("e1") && shown.contains("Refused"), "{shown}");
    for secret in ["TOKEN", "QUERYSECRET", "HEADERSECRET"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
