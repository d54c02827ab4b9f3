//! Stopping the server's side.

use super::*;
use crate::client::Cancelled;

async fn running() -> (Script, Events) {
    let script = Script::default();
    script.then(script.stream([say(open() + &event(1)), Say::Hang]));
    let mut stream = script.post().resume_url("/resume?a=b").send();
    stream.next().await.unwrap().unwrap();
    (script, stream)
}

#[tokio::test(start_paused = true)]
async fn a_cancel_says_what_became_of_it() {
    for (status, cancelled) in [(204, Cancelled::Ended), (202, Cancelled::Asked)] {
        let (script, stream) = running().await;
        script.then(Reply::Fail);
        script.then(script.answer(503, &[("retry-after", "2")], []));
        script.then(script.answer(status, &[], []));
        assert_eq!(stream.cancel().await.unwrap(), cancelled);
        let asked = script.asked();
        let last = asked.last().unwrap();
        assert_eq!((last.request.method.as_str(), last.request.url.as_str()), ("DELETE", "http://test/resume?a=b"));
        assert_eq!((last.header("x-resume-token"), &last.request.body), (Some(&*token(1)), &None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_is_refused_says_why() {
    for (status, hint) in
        [(403, "started"), (401, "past its time"), (404, "resume_url"), (200, "http://test/resume"), (409, "409")]
    {
        let (script, stream) = running().await;
        script.then(script.answer(status, &[], []));
        let error = stream.cancel().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains(hint), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_does_not_get_through_gives_up() {
    let (script, stream) = running().await;
    for _ in 0..3 {
        script.then(Reply::Fail);
    }
    script.then(Reply::Silence);
    assert_eq!(stream.cancel().await.unwrap_err().kind(), ErrorKind::GaveUp);
}

#[tokio::test(start_paused = true)]
async fn with_no_token_nothing_can_be_cancelled() {
    let script = Script::default();
    assert_eq!(script.get().send().cancel().await.unwrap_err().kind(), ErrorKind::NotResumable);
    let stream = crate::client::Client::new().get("no url").send();
    assert_eq!(stream.cancel().await.unwrap_err().kind(), ErrorKind::NotResumable);
}
