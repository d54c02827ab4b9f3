//! What a loss comes to: waiting, trying again, giving up.

use super::*;

fn gaps(asked: &[Asked]) -> Vec<Duration> {
    asked.windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_silent_for_too_long_is_lost() {
    let script = Script::default();
    script.then(script.stream([say(open() + &event(1)), Say::Pause(29 * SECOND), say(": heartbeat\n\n"), Say::Hang]));
    script.then(script.stream([say(rest(1, 2))]));
    let started = Instant::now();
    assert_eq!(all(&mut script.get().send()).await, course(2));
    let took = started.elapsed();
    assert!(took >= 59 * SECOND && took <= 61 * SECOND, "a comment is life, too: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_slow_consumer_is_not_silence() {
    let script = Script::default();
    script.then(script.stream([say(open() + &event(1)), Say::Pause(SECOND), say(event(2)), say(event(3) + &end(3))]));
    let mut stream = script.get().send();
    let mut seen = Vec::new();
    while let Some(item) = stream.next().await {
        seen.push(short(&item));
        sleep(100 * SECOND).await;
    }
    assert_eq!(seen, course(3));
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_a_loss_where_the_request_can_be_repeated() {
    let script = Script::new([Reply::Silence]);
    script.then(script.stream([say(open() + &event(1)), Say::Cut]));
    script.then(Reply::Silence);
    script.then(script.stream([say(rest(1, 1))]));
    assert_eq!(all(&mut script.get().send()).await, course(1));
    assert_eq!(script.asked().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn without_an_idle_time_out_silence_lasts() {
    let script = Script::default();
    script.then(script.stream([say(open()), Say::Pause(3600 * SECOND), say(event(1) + &end(1))]));
    assert_eq!(all(&mut script.get().idle_timeout(Duration::ZERO).send()).await, course(1));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_lost_is_not_repeated_where_it_could_run_twice() {
    for reply in [Reply::Fail, Script::default().answer(502, &[], [])] {
        let script = Script::new([reply]);
        let mut stream = script.post().send();
        let error = stream.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StartFailed);
        assert!(error.to_string().contains("idempotency key"), "{error}");
        assert_eq!((stream.state(), script.asked().len()), (State::Failed, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_with_a_key_is_repeated_with_the_same_key() {
    for given in [None, Some("mine")] {
        let script = Script::new([Reply::Fail]);
        script.then(script.answer(502, &[], []));
        script.then(script.stream([say(replay(0) + &event(1)), Say::Cut]));
        script.then(script.stream([say(rest(1, 1))]));
        let request = script.post();
        let mut stream = match given {
            Some(key) => request.idempotency_key(key),
            None => request.idempotent(),
        }
        .send();
        assert_eq!(all(&mut stream).await, course(1));
        let asked = script.asked();
        let keys: Vec<_> = asked.iter().map(|asked| asked.header("idempotency-key")).collect();
        assert!(keys[0].is_some() && keys[0] == keys[1] && keys[1] == keys[2], "{keys:?}");
        assert_eq!(keys[3], None, "a resume is no start");
        assert!(given.is_none_or(|key| keys[0] == Some(key)));
        let bodies: Vec<_> = asked.iter().map(|asked| asked.request.body.is_some()).collect();
        assert_eq!(bodies, [true, true, true, false]);
    }
}

#[tokio::test(start_paused = true)]
async fn waits_grow_and_start_anew_once_something_has_come() {
    let script = Script::default();
    script.then(script.stream([say(open() + &event(1)), Say::Cut]));
    for _ in 0..40 {
        script.then(Reply::Fail);
    }
    script.then(script.stream([say(replay(1) + &event(2)), Say::Cut]));
    script.then(script.stream([say(rest(2, 2))]));
    assert_eq!(all(&mut script.get().send()).await, course(2));
    let gaps = gaps(&script.asked());
    for (n, gap) in gaps[..41].iter().enumerate() {
        let most = Duration::from_secs(1 << n.min(5)).min(30 * SECOND);
        assert!(*gap <= most + SECOND / 100, "attempt {n} after {gap:?}");
    }
    assert!(gaps[..41].iter().sum::<Duration>() > 120 * SECOND, "{gaps:?}");
    assert!(gaps[41] <= SECOND + SECOND / 100, "{:?}", gaps[41]);
}

#[tokio::test(start_paused = true)]
async fn the_server_says_how_long_to_wait() {
    let dates = [("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")];
    let script = Script::default();
    script.then(script.stream([say(open().replace("\nid:", "\nretry: 10\nid:") + &event(1)), Say::Cut]));
    script.then(script.answer(503, &[("retry-after", "7")], []));
    script.then(script.answer(429, &dates, []));
    script.then(script.stream([say(rest(1, 1))]));
    assert_eq!(all(&mut script.get().send()).await, course(1));
    let gaps = gaps(&script.asked());
    assert!(gaps[0] <= SECOND / 50, "by `retry:`: {gaps:?}");
    assert!(gaps[1] >= 7 * SECOND && gaps[1] < 8 * SECOND, "{gaps:?}");
    assert!(gaps[2] >= 30 * SECOND && gaps[2] < 31 * SECOND, "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn wait_is_obeyed() {
    let script = Script::default();
    script.then(script.stream([say(open() + &event(1)), Say::Cut]));
    let wait = control(&format!(r#"{{"phase":"wait","token":"{}","reason":"x"}}"#, token(1)), 1);
    let wait = wait.replace("\nid:", "\nretry: 60000\nid:");
    for _ in 0..20 {
        script.then(script.stream([say(wait.clone()), Say::Cut]));
    }
    script.then(script.stream([say(rest(1, 2))]));
    let mut stream = script.get().retry_max(600 * SECOND).send();
    assert_eq!(all(&mut stream).await, course(2));
    let gaps = gaps(&script.asked());
    assert!(gaps[1..].iter().sum::<Duration>() > 600 * SECOND, "by its `retry:`: {gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_after_as_many_attempts_as_it_may() {
    let script = Script::new([Reply::Fail, Reply::Fail, Reply::Fail]);
    let mut stream = script.get().max_attempts(3).send();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.needs_new_start()), (ErrorKind::GaveUp, false));
    assert!(std::error::Error::source(&error).is_some());

    let script = Script::default();
    script.then(script.stream([say(open() + &event(1)), Say::Cut]));
    script.then(Reply::Fail);
    script.then(script.stream([say(replay(1)), Say::Cut]));
    assert_eq!(line(&mut script.get().max_attempts(2).send()).await, "1:e1, error gave_up");
    assert_eq!(script.asked().len(), 3, "an answer that brings nothing counts, too");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_that_is_cut_now_and_then_is_not_given_up() {
    let script = Script::default();
    let quiet = |text| [say(text), Say::Pause(25 * SECOND), say(": heartbeat\n\n"), Say::Pause(25 * SECOND), Say::Cut];
    script.then(script.stream(quiet(open())));
    for _ in 0..5 {
        script.then(script.stream(quiet(replay(0))));
    }
    script.then(script.stream([say(rest(0, 1))]));
    assert_eq!(all(&mut script.get().max_attempts(2).send()).await, course(1));
}

#[tokio::test(start_paused = true)]
async fn it_stops_once_the_token_is_past_its_time() {
    let script = Script::default();
    let soon = crate::Clock::system().now() + 60_000;
    let short_lived = open().replace("\"request_id\"", &format!("\"expires_at\":{soon},\"request_id\""));
    script.then(script.stream([say(short_lived + &event(1)), Say::Cut]));
    for _ in 0..200 {
        script.then(Reply::Fail);
    }
    let started = Instant::now();
    assert_eq!(line(&mut script.get().send()).await, "1:e1, error unauthorized");
    let took = started.elapsed();
    // The token's time is by the wall clock, which goes on also before the first answer is read.
    assert!(took >= 20 * SECOND && took <= 62 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn without_the_layer_it_comes_back_as_a_browser_does() {
    let script = Script::default();
    script.then(script.plain([say("id: 7\ndata: a\n\nretry: 5\n\ndata: b\n\n"), Say::Cut]));
    script.then(script.plain([say("id: 8\ndata: c\n\n")]));
    script.then(script.answer(204, &[], []));
    let mut stream = script.get().resume_url("/resume").send();
    let (mut ids, mut seen) = (Vec::new(), Vec::new());
    while let Some(item) = stream.next().await {
        if let Ok(Item::Event(event)) = &item {
            ids.push(event.id.clone());
        }
        seen.push(short(&item));
    }
    assert_eq!(seen.join(", "), "1:a, 3:b, 4:c");
    assert_eq!(ids, ["7", "7", "8"]);
    assert_eq!((stream.state(), stream.token()), (State::Ended, None));
    let asked = script.asked();
    assert_eq!(asked[1].header("last-event-id"), Some("7"));
    assert_eq!(asked[2].header("last-event-id"), Some("8"));
    assert_eq!((asked[2].header("x-resume-token"), asked[2].request.url.path()), (None, "/stream"));

    let script = Script::default();
    script.then(script.plain([say("data: a\n\n")]));
    let mut stream = script.post().idempotent().send();
    assert_eq!(line(&mut stream).await, "1:a, error not_resumable");
}

#[tokio::test(start_paused = true)]
async fn another_stream_is_not_taken_for_the_rest_of_this_one() {
    let other = |text: String| text.replace("stream-1", "stream-2");
    for answer in [open(), other(open()), other(replay(1)), "data: x\n\n".to_owned()] {
        let script = Script::default();
        script.then(script.stream([say(open() + &event(1)), Say::Cut]));
        script.then(script.plain([say(answer + &event(2) + &end(2))]));
        assert_eq!(line(&mut script.get().send()).await, "1:e1, error not_resumable");
    }
}
