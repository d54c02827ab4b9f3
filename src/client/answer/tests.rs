use super::*;
use http::HeaderValue;
use std::time::UNIX_EPOCH;

fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
    all.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
}

const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn now() -> SystemTime {
    httpdate::parse_http_date(NOW).unwrap()
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let after = |value: &str| retry_after(&headers(&[("retry-after", value)]), now()).map(|after| after.as_secs());
    assert_eq!(after("7"), Some(7));
    assert_eq!(after(" 0 "), Some(0));
    assert_eq!(after("Sun, 06 Nov 1994 08:50:07 GMT"), Some(30));
    assert_eq!(after("Sunday, 06-Nov-94 08:50:07 GMT"), Some(30));
    assert_eq!(after("Sun Nov  6 08:50:07 1994"), Some(30));
    assert_eq!(after(NOW), Some(0));
    assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0), "the past is now");
    assert_eq!(after(&"9".repeat(40)), Some(u64::MAX));
    for value in ["", "-1", "1.5", "soon", "+3"] {
        assert_eq!(after(value), None, "{value:?}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), now()), None);
}

#[test]
fn a_date_is_by_the_servers_clock() {
    let headers =
        headers(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), ("date", "Sun, 06 Nov 1994 08:50:00 GMT")]);
    assert_eq!(retry_after(&headers, UNIX_EPOCH), Some(Duration::from_secs(7)));
}

#[test]
fn clocks_that_differ_are_told_apart_from_rounding() {
    let skew = |seconds: u64, date| skew(&headers(&[("date", date)]), now() + Duration::from_millis(seconds));
    assert_eq!(skew(0, NOW), 0);
    assert_eq!(skew(999, NOW), 0);
    assert_eq!(skew(60_000, NOW), -60_000);
    assert_eq!(skew(0, "Sun, 06 Nov 1994 09:49:37 GMT"), 3_600_000);
    assert_eq!(skew(60_000, "no date"), 0);
}

#[test]
fn each_status_means_what_the_contract_says() {
    use Kind::{Reconnect, Resume, Start};
    use Verdict::{Again, Gone, Lost, Over, Refused, Unauthorized};
    for (status, start, start_again, resume, reconnect) in [
        (204, Over, Over, Over, Over),
        (401, Refused, Refused, Unauthorized, Refused),
        (410, Refused, Refused, Gone, Refused),
        (426, Refused, Refused, Gone, Refused),
        (429, Again, Again, Again, Again),
        (503, Again, Again, Again, Again),
        (500, Refused, Refused, Again, Again),
        (502, Lost, Again, Again, Again),
        (504, Lost, Again, Again, Again),
        (408, Lost, Again, Again, Again),
        (425, Lost, Again, Again, Again),
        (400, Refused, Refused, Refused, Refused),
        (403, Refused, Refused, Refused, Refused),
        (404, Refused, Refused, Refused, Refused),
        (405, Refused, Refused, Refused, Refused),
        (409, Refused, Refused, Refused, Refused),
        (422, Refused, Refused, Refused, Refused),
        (302, Refused, Refused, Refused, Refused),
        (202, Refused, Refused, Refused, Refused),
        (501, Refused, Refused, Refused, Refused),
    ] {
        let refusal = Refusal { status: StatusCode::from_u16(status).unwrap(), after: None, code: None };
        assert_eq!(refusal.verdict(Start, false), start, "{status} on a start");
        assert_eq!(refusal.verdict(Start, true), start_again, "{status} on a start that can be repeated");
        assert_eq!(refusal.verdict(Resume, false), resume, "{status} on a resume");
        assert_eq!(refusal.verdict(Reconnect, true), reconnect, "{status} on a plain one");
    }
    let in_progress = Refusal { status: StatusCode::CONFLICT, after: None, code: Some("in_progress".into()) };
    assert_eq!(in_progress.verdict(Start, false), Again);
    assert_eq!(in_progress.verdict(Resume, false), Refused);
}

fn body(text: impl Into<Bytes>) -> Body {
    Box::pin(http_body_util::BodyExt::map_err(http_body_util::Full::new(text.into()), BoxError::from))
}

async fn answered(status: u16, content_type: &str, text: impl Into<Bytes>) -> Answer {
    let response = Response::builder().status(status).header("content-type", content_type);
    read(response.header("x-resume-token", "T").header("x-resume-stream", "S").body(body(text)).unwrap()).await
}

async fn code(text: impl Into<Bytes>) -> Option<String> {
    match answered(400, "application/problem+json", text).await {
        Answer::Status(refusal) => refusal.code,
        _ => panic!("a status"),
    }
}

#[tokio::test]
async fn only_an_event_stream_is_one() {
    for content_type in ["text/event-stream", "Text/Event-Stream; charset=utf-8", "text/event-stream ;x"] {
        let Answer::Stream { head, .. } = answered(200, content_type, "").await else { panic!("{content_type}") };
        assert_eq!(head, Head { token: Some("T".into()), stream: Some("S".into()), skew: 0 });
    }
    for content_type in ["text/html", "text/event-streams", "", "application/json; x=text/event-stream"] {
        assert!(matches!(answered(200, content_type, "").await, Answer::NotEvents { .. }), "{content_type}");
    }
}

#[tokio::test]
async fn a_problems_code_is_shown_if_it_is_a_word() {
    assert_eq!(code(r#"{"code":"stream_expired","x":1}"#).await.as_deref(), Some("stream_expired"));
    for text in ["", "<html>", "{}", r#"{"code":7}"#, r#"{"code":"a b"}"#, r#"{"code":"\u001b[31m"}"#] {
        assert_eq!(code(text).await, None, "{text}");
    }
    assert_eq!(code(format!(r#"{{"code":"{}"}}"#, "a".repeat(65))).await, None);
}

#[tokio::test]
async fn no_more_of_a_refusal_is_read_than_a_problem_takes() {
    /// Gives bytes for as long as anybody asks.
    struct Endless(usize);
    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
            self.0 += 1;
            assert!(self.0 <= 17, "it reads on");
            std::task::Poll::Ready(Some(Ok(http_body::Frame::data(vec![b' '; 1024].into()))))
        }
    }
    let response = Response::builder().status(500).body(Box::pin(Endless(0)) as Body).unwrap();
    assert!(matches!(read(response).await, Answer::Status(_)));
}
