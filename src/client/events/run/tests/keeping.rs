//! A place that outlives its stream.

use super::*;
use crate::client::Storage;
use std::io;

const KEY: &str = "GET http://test/stream?key=QUERYSECRET";

#[tokio::test(start_paused = true)]
async fn a_new_client_goes_on_where_the_old_one_was_seen_to_be() {
    let storage = MemoryStorage::new();
    for seen in 0..=3 {
        let script = Script::default();
        script.then(script.stream([say(whole(3))]));
        let mut stream = script.get().storage(storage.clone()).send();
        for _ in 0..=seen {
            // The last item that is taken is not seen: nobody has asked for the one behind it.
            stream.next().await.unwrap().unwrap();
        }
        drop(stream);
        if seen == 3 {
            assert_eq!(storage.get(KEY).unwrap(), None, "it is over");
            continue;
        }
        let script = Script::default();
        script.then(script.stream([say(rest(seen, 3))]));
        let mut stream = script.get().storage(storage.clone()).send();
        assert_eq!(all(&mut stream).await, course(3)[seen as usize..]);
        let asked = script.asked();
        assert_eq!((asked.len(), asked[0].header("x-resume-token")), (1, Some(&*token(seen))));
        assert_eq!(asked[0].header("x-resume-from"), None);
        assert_eq!(storage.get(KEY).unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_kept_before_its_first_event() {
    let storage = MemoryStorage::new();
    let script = Script::default();
    script.then(script.stream([say(open()), Say::Hang]));
    let mut stream = script.get().storage(storage.clone()).storage_key("mine").send();
    assert!(tokio::time::timeout(SECOND, stream.next()).await.is_err());
    let kept = storage.get("mine").unwrap().unwrap();
    assert!(kept.contains(&token(0)) && kept.contains("stream-1"), "{kept}");
}

#[tokio::test(start_paused = true)]
async fn everything_can_be_had_again() {
    let storage = MemoryStorage::new();
    let script = Script::default();
    script.then(script.stream([say(open() + &event(1) + &event(2)), Say::Hang]));
    let mut stream = script.get().storage(storage.clone()).send();
    for _ in 0..2 {
        stream.next().await.unwrap().unwrap();
    }
    drop(stream);
    let script = Script::new([Reply::Fail]);
    script.then(script.stream([say(rest(0, 3))]));
    let mut stream = script.get().storage(storage.clone()).resume_from(ResumeFrom::Start).send();
    assert_eq!(all(&mut stream).await, course(3));
    for asked in script.asked() {
        assert_eq!((asked.header("x-resume-token"), asked.header("x-resume-from")), (Some(&*token(1)), Some("0")));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_of_no_use_is_not_used() {
    let expired = format!(r#"{{"token":"{}","seq":1,"at":1,"expires_at":1000}}"#, token(1));
    for kept in ["", "{}", "x", r#"{"token":"a\nb","seq":1,"at":1}"#, &expired] {
        let storage = MemoryStorage::new();
        storage.set(KEY, kept).unwrap();
        let script = Script::default();
        script.then(script.stream([say(whole(1))]));
        assert_eq!(all(&mut script.get().storage(storage.clone()).send()).await, course(1), "{kept}");
        assert_eq!(script.asked()[0].header("x-resume-token"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_server_does_not_know_any_more_is_forgotten() {
    for status in [401, 426, 204] {
        let storage = MemoryStorage::new();
        storage.set(KEY, &format!(r#"{{"token":"{}","seq":1,"at":1}}"#, token(1))).unwrap();
        let script = Script::default();
        script.then(script.answer(status, &[], []));
        let _ = all(&mut script.get().storage(storage.clone()).send()).await;
        assert_eq!(storage.get(KEY).unwrap(), None, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_fails_costs_the_place_and_not_the_stream() {
    struct Broken;
    impl Storage for Broken {
        fn get(&self, _: &str) -> io::Result<Option<String>> {
            Err(io::Error::other("broken"))
        }
        fn set(&self, _: &str, _: &str) -> io::Result<()> {
            Err(io::Error::other("broken"))
        }
        fn remove(&self, _: &str) -> io::Result<()> {
            Err(io::Error::other("broken"))
        }
    }
    let script = Script::default();
    script.then(script.stream([say(whole(2))]));
    assert_eq!(all(&mut script.get().storage(Broken).send()).await, course(2));
}
