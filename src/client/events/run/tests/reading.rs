//! What blocks come to.

use super::*;

async fn read(text: impl Into<String>) -> String {
    let script = Script::default();
    script.then(script.stream([say(text)]));
    line(&mut script.get().max_attempts(1).send()).await
}

#[tokio::test(start_paused = true)]
async fn a_block_that_nobody_is_told_of_has_its_seq() {
    let silent = format!("event: x\nid: {}\n\n", token(2));
    assert_eq!(read(open() + &event(1) + &silent + &event(3) + &end(3)).await, "1:e1, 3:e3, end 3 complete");
}

#[tokio::test(start_paused = true)]
async fn control_events_are_told_apart_from_the_applications() {
    let own = "event: resume\ndata: {\"phase\":\"own\"}\n\n";
    assert_eq!(read(open() + own + &end(1)).await, "1:{\"phase\":\"own\"}, end 1 complete");
    let as_comment = |text: String| {
        let json = text.split("data: ").nth(1).unwrap().split('\n').next().unwrap();
        format!(": resume {json}\n\n")
    };
    let text =
        as_comment(open()) + &event(1) + &as_comment(gap(2, 3)) + ": heartbeat\n\n" + &event(4) + &as_comment(end(4));
    assert_eq!(read(text).await, "1:e1, gap 2-3 trimmed, 4:e4, end 4 complete");
    let script = Script::default();
    script.then(script.stream([say(whole(1).replace("event: resume", "event: ctl"))]));
    assert_eq!(all(&mut script.get().control_event("ctl").send()).await, course(1));
}

#[tokio::test(start_paused = true)]
async fn control_events_are_yielded_where_they_are_wanted() {
    let script = Script::default();
    script.then(script.stream([say(open() + &event(1)), Say::Cut]));
    let live = control(r#"{"phase":"live","seq":1,"replayed":0}"#, 1);
    let refreshed = control(&format!(r#"{{"phase":"token","token":"{}"}}"#, token(9)), 9);
    script.then(script.stream([say(replay(1) + &live + &refreshed + &end(1))]));
    let mut stream = script.get().control(true).send();
    assert_eq!(line(&mut stream).await, "(open), 1:e1, (replay), (live), (token), end 1 complete");
    assert_eq!(stream.token(), Some(&*token(9)));
}

#[tokio::test(start_paused = true)]
async fn gaps_are_told_once_and_counted() {
    let script = Script::default();
    script.then(script.stream([say(open() + &event(1) + &gap(2, 4)), Say::Cut]));
    script.then(script.stream([say(replay(3) + &gap(4, 6) + &event(7) + &end(7))]));
    let mut stream = script.get().send();
    assert_eq!(line(&mut stream).await, "1:e1, gap 2-4 trimmed, gap 5-6 trimmed, 7:e7, end 7 complete");
    assert_eq!((stream.stats().missed, stream.stats().received), (5, 2));
}

#[tokio::test(start_paused = true)]
async fn a_hole_that_the_server_leaves_is_told_too() {
    let script = Script::default();
    script.then(script.stream([say(open() + &event(1)), Say::Cut]));
    script.then(script.stream([say(rest(3, 4))]));
    let mut stream = script.get().send();
    let reason = Some(GapReason::Lost.as_str());
    let seen = all(&mut stream).await;
    assert_eq!(seen.join(", "), "1:e1, gap 2-3 lost, 4:e4, end 4 complete");
    assert_eq!(seen[1].split(' ').next_back(), reason);
}

#[tokio::test(start_paused = true)]
async fn what_comes_again_is_dropped_and_counted() {
    let script = Script::default();
    script.then(script.stream([say(open() + &event(1) + &event(2)), Say::Cut]));
    script.then(script.stream([say(replay(0) + &event(1)), Say::Cut]));
    script.then(script.stream([say(rest(0, 3))]));
    let mut stream = script.get().send();
    assert_eq!(all(&mut stream).await, course(3));
    assert_eq!(stream.stats().duplicates, 3);
    assert_eq!(script.asked()[2].header("x-resume-from"), Some("2"), "the newest token is of an earlier place");
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_stands_in_for_what_is_gone() {
    let snapshot = control(r#"{"phase":"snapshot","seq":5,"status":"complete"}"#, 1);
    let whole = format!("event: complete\ndata: all\nid: {}\n\n", token(5));
    let text = replay(1) + &gap(2, 5) + &snapshot + &whole + &end(5);
    let expected = "1:e1, gap 2-5 trimmed, snapshot 5 complete complete all, end 5 complete";
    // Wherever it is cut, the snapshot comes.
    for cut in 0..text.len() {
        let script = Script::default();
        script.then(script.stream([say(open() + &event(1)), Say::Cut]));
        // The server's gap says the cursor before it, where a snapshot follows.
        let text = text.replace(&gap(2, 5), &gap(2, 5).replace(&token(5), &token(1)));
        script.then(script.stream([say(&text[..cut]), Say::Cut]));
        let had = text[..cut].contains(&whole);
        script.then(script.stream([say(if had { rest(5, 5) } else { text.clone() })]));
        assert_eq!(line(&mut script.get().send()).await, expected, "cut at {cut}");
        let asked = script.asked();
        assert_eq!(asked[2].header("x-resume-token"), Some(&*token(if had { 5 } else { 1 })), "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_a_stream_that_runs_is_followed_by_its_events() {
    let snapshot = control(r#"{"phase":"snapshot","seq":5,"status":"running"}"#, 0);
    let text = open() + &gap(1, 3) + &snapshot + "event: state\ndata: s\n\n" + &event(6) + &end(6);
    assert_eq!(read(text).await, "gap 1-3 trimmed, snapshot 5 running state s, 6:e6, end 6 complete");
}

#[tokio::test(start_paused = true)]
async fn without_ids_it_counts() {
    let bare = |text: String| {
        text.lines().filter(|line| !line.starts_with("id:")).map(|line| format!("{line}\n")).collect::<String>()
    };
    let script = Script::default();
    script.then(script.stream([say(bare(open() + &event(1) + &event(2))), Say::Cut]));
    script.then(script.stream([say(bare(replay(2) + &gap(3, 4))), Say::Cut]));
    script.then(script.stream([say(bare(replay(2) + &gap(3, 4) + &event(5))), Say::Cut]));
    script.then(script.stream([say(bare(rest(5, 6)))]));
    let mut stream = script.get().send();
    assert_eq!(line(&mut stream).await, "1:e1, 2:e2, gap 3-4 trimmed, 5:e5, 6:e6, end 6 complete");
    let asked = script.asked();
    let from: Vec<_> =
        asked.iter().map(|asked| (asked.header("x-resume-token"), asked.header("x-resume-from"))).collect();
    let (start, second) = (token(0), token(2));
    assert_eq!(from, [(None, None), (Some(&*start), Some("2")), (Some(&*second), None), (Some(&*second), Some("5"))]);
}

#[tokio::test(start_paused = true)]
async fn ids_of_the_applications_own_are_no_tokens() {
    let script = Script::default();
    script.then(script.stream([say(open() + &event(1) + "id: 7\ndata: e2\n\n"), Say::Cut]));
    script.then(script.stream([say(rest(2, 2))]));
    assert_eq!(all(&mut script.get().send()).await, course(2));
    let asked = script.asked();
    assert_eq!((asked[1].header("x-resume-token"), asked[1].header("x-resume-from")), (Some(&*token(1)), Some("2")));
}

#[tokio::test(start_paused = true)]
async fn one_who_joins_later_begins_where_the_server_lets_it() {
    let script = Script::default();
    script.then(script.stream([say(replay(3) + &event(4)), Say::Cut]));
    script.then(script.stream([say(rest(4, 5))]));
    let mut stream = script.get().send();
    assert_eq!(line(&mut stream).await, "4:e4, 5:e5, end 5 complete");
    assert_eq!(stream.stats().missed, 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_too_large_is_an_error() {
    let script = Script::default();
    script.then(script.stream([say(open()), say(format!("data: {}", "x".repeat(4000))), Say::Hang]));
    let mut stream = script.get().max_event_bytes(1000).send();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("1000"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn no_more_is_read_than_is_asked_for() {
    let script = Script::default();
    script.then(
        script.stream([say(open())].into_iter().chain((1..=1000).map(|seq| say(event(seq)))).chain([say(end(1000))])),
    );
    let mut stream = script.get().send();
    for taken in 2..=100 {
        stream.next().await.unwrap().unwrap();
        assert_eq!(script.taken(), taken);
    }
    assert_eq!(all(&mut stream).await, course(1000)[99..]);
}

#[tokio::test(start_paused = true)]
async fn a_seq_that_cannot_be_breaks_nothing() {
    let snapshot = |seq: u64| control(&format!(r#"{{"phase":"snapshot","seq":{seq},"status":"complete"}}"#), 1);
    for seq in [1 << 53, u64::MAX] {
        for senseless in [gap(2, seq), gap(seq, seq), replay(seq), snapshot(seq), end(seq)] {
            let seen = read(open() + &event(1) + &senseless + &event(2) + &event(3) + &end(3)).await;
            // It is left to the application.
            assert!(seen.starts_with("1:e1, 2:{\"phase\":"), "{seen}");
            assert!(seen.ends_with(", 3:e2, 4:e3, end 3 complete"), "{seen}");
        }
    }
    let most = (1 << 53) - 1;
    let seen = read(open() + &gap(1, most) + &event(1) + &event(2) + &end(2)).await;
    assert_eq!(seen, "gap 1-9007199254740991 trimmed, 9007199254740992:e1, 9007199254740993:e2, end 2 complete");
}

#[tokio::test(start_paused = true)]
async fn a_place_that_cannot_be_is_not_taken_up() {
    let storage = MemoryStorage::new();
    let kept = format!(r#"{{"token":"{}","seq":{max},"at":{max}}}"#, token(1), max = u64::MAX);
    crate::client::Storage::set(&storage, "mine", &kept).unwrap();
    let script = Script::default();
    script.then(script.stream([say(whole(2))]));
    let mut stream = script.get().storage(storage).storage_key("mine").send();
    assert_eq!(all(&mut stream).await, course(2), "it begins anew");
}
