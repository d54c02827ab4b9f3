//! Connections that are cut, anywhere.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_stream_is_read_from_its_start_to_its_end() {
    let script = Script::default();
    script.then(script.stream([say(whole(3))]));
    let states = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&states);
    let mut stream = script.post().on_state(move |state| seen.lock().unwrap().push(state)).send();
    assert_eq!((stream.state(), stream.token(), stream.seq()), (State::Idle, None, 0));
    assert!(script.asked().is_empty(), "nothing is asked for before it is read");
    assert_eq!(all(&mut stream).await, course(3));
    assert_eq!(*states.lock().unwrap(), [State::Connecting, State::Open, State::Ended]);
    assert_eq!((stream.seq(), stream.request_id(), stream.stats().received), (3, Some("stream-1"), 3));
    let asked = script.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("accept"), Some("text/event-stream"));
    assert_eq!(asked[0].request.body.as_deref(), Some(&b"{}"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cut_after_any_byte_loses_and_repeats_nothing() {
    let text = whole(4);
    for bytes in 0..text.len() {
        for then in [None, Some(Say::Cut), Some(Say::Hang)] {
            let script = Script::new([
                Reply::Serve { last: 4, bytes, chunk: 4096, then },
                Reply::Serve { last: 4, bytes: usize::MAX, chunk: 7, then: None },
            ]);
            let had = (1..=4).filter(|seq| text[..bytes].contains(&event(*seq))).max().unwrap_or(0);
            let mut stream = script.post().send();
            assert_eq!(all(&mut stream).await, course(4), "cut at {bytes}");
            let asked = script.asked();
            assert_eq!(asked[1].request.method, http::Method::GET);
            assert_eq!(asked[1].header("x-resume-token"), Some(&*token(had)), "cut at {bytes}");
            assert_eq!((asked[1].header("x-resume-from"), &asked[1].request.body), (None, &None));
            assert_eq!((stream.stats().reconnects, stream.stats().duplicates), (1, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn next_can_be_dropped_at_every_point() {
    let falter =
        |text: String| text.into_bytes().into_iter().flat_map(|byte| [Say::Falter, Say::Bytes(vec![byte].into())]);
    let script = Script::default();
    let cut = (open() + &event(1) + &event(2)).len() + 20;
    script.then(script.stream(falter(whole(5)).take(2 * cut).chain([Say::Cut])));
    script.then(Reply::Fail);
    script.then(script.stream(falter(rest(2, 5))));
    let mut stream = script.get().send();
    let (mut seen, mut dropped) = (Vec::new(), 0);
    while !stream.is_terminated() {
        match stream.next().now_or_never() {
            Some(item) => seen.push(short(&item.expect("it is not over"))),
            None => dropped += 1,
        }
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    assert_eq!(seen, course(5));
    assert!(dropped > cut, "{dropped}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_on_the_way_each_event_comes_once(
        last in 0_u64..12,
        trouble in prop::collection::vec((0_usize..1500, 1_usize..300, 0_u8..5), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let script = Script::default();
            let whole = (usize::MAX, 4096, 9);
            for (bytes, chunk, how) in trouble.into_iter().chain([whole]) {
                script.then(match how {
                    0 => Reply::Fail,
                    1 => script.answer(503, &[("retry-after", "1")], []),
                    2 => Reply::Serve { last, bytes, chunk, then: Some(Say::Hang) },
                    3 => Reply::Serve { last, bytes, chunk, then: Some(Say::Cut) },
                    _ => Reply::Serve { last, bytes, chunk, then: None },
                });
            }
            let mut stream = script.get().send();
            assert_eq!(all(&mut stream).await, course(last));
            assert_eq!(stream.stats().duplicates, 0);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_can_be_cut_on_purpose() {
    let script = Script::default();
    script.then(script.stream([say(open() + &event(1)), say(event(2)), Say::Hang]));
    script.then(script.stream([say(rest(1, 3))]));
    let mut stream = script.get().send();
    stream.disconnect();
    assert_eq!(short(&stream.next().await.unwrap()), "1:e1");
    stream.disconnect();
    assert_eq!(all(&mut stream).await, course(3)[1..]);
    assert_eq!(script.asked()[1].header("x-resume-token"), Some(&*token(1)));
}
