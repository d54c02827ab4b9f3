//! Which requests are resumes, and of what. A table for each promise of the wire contract's section 3.

use super::*;
use proptest::prelude::*;

type Header = (&'static str, &'static [u8]);

/// A text of a token's form, told apart by its last character.
fn token(tag: char) -> String {
    format!("rg{}{tag}", "A".repeat(71))
}

fn head(method: Method, uri: &str, headers: &[(&'static str, &[u8])]) -> Parts {
    let mut request = http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn asked(uri: &str, headers: &[(&'static str, &[u8])], query_param: Option<&str>, entrance: Entrance) -> Intent {
    intent(&head(Method::POST, uri, headers), query_param, entrance, true)
}

fn ask(uri: &str, headers: &[(&'static str, &[u8])], entrance: Entrance) -> Ask {
    match asked(uri, headers, Some("resume"), entrance) {
        Intent::Resume(ask) => ask,
        other => panic!("{uri} {headers:?}: {other:?}"),
    }
}

fn refusal(intent: Intent) -> Option<ResumeError> {
    match intent {
        Intent::Refuse(error) => Some(error),
        _ => None,
    }
}

#[test]
fn head_options_and_connect_are_never_a_resume() {
    let token = token('A');
    let headers = [("x-resume-token", token.as_bytes()), ("last-event-id", token.as_bytes())];
    for method in [Method::HEAD, Method::OPTIONS, Method::CONNECT] {
        for (entrance, enabled) in [(Entrance::Layer, true), (Entrance::Layer, false), (Entrance::Endpoint, true)] {
            let uri = if method == Method::CONNECT { "host:1" } else { "/" };
            let head = head(method.clone(), uri, &headers);
            assert!(matches!(intent(&head, None, entrance, enabled), Intent::Pass), "{method} {entrance:?}");
        }
    }
}

#[test]
fn the_header_comes_before_last_event_id_and_that_before_the_query() {
    let [a, b, c] = ['A', 'B', 'C'].map(token);
    let with_query = format!("/?resume={c}");
    let (header, last) = (("x-resume-token", a.as_bytes()), ("last-event-id", b.as_bytes()));
    let some = |token: &str| Some(token.as_bytes().to_vec());
    let cases = [
        (&*with_query, &[header, last][..], Carrier::Token, &a, some(&b), None),
        (&with_query, &[header], Carrier::Token, &a, None, None),
        ("/", &[header, last], Carrier::Token, &a, some(&b), None),
        ("/", &[header], Carrier::Token, &a, None, None),
        (&with_query, &[last], Carrier::LastEventId, &b, None, some(&c)),
        ("/", &[last], Carrier::LastEventId, &b, None, None),
        (&with_query, &[], Carrier::Query, &c, None, None),
    ];
    for (uri, headers, carrier, token, beside, query) in cases {
        let ask = ask(uri, headers, Entrance::Layer);
        assert_eq!(ask.carrier, carrier, "{uri} {headers:?}");
        assert_eq!(ask.token, token.as_bytes());
        assert_eq!((ask.last_event_id, ask.query), (beside, query), "{uri} {headers:?}");
    }
}

#[test]
fn a_request_with_no_token_is_the_handlers_and_at_the_endpoint_an_error() {
    let cases: [&[Header]; 4] =
        [&[], &[("last-event-id", b"")], &[("last-event-id", b"41")], &[("x-resume-from", b"1")]];
    for headers in cases {
        assert!(matches!(asked("/?resume=", headers, Some("resume"), Entrance::Layer), Intent::Fresh), "{headers:?}");
        let at_endpoint = asked("/", headers, Some("resume"), Entrance::Endpoint);
        assert_eq!(refusal(at_endpoint), Some(ResumeError::MissingToken), "{headers:?}");
    }
}

#[test]
fn the_header_twice_is_malformed_even_where_both_say_the_same() {
    let token = token('A');
    let twice = [("x-resume-token", token.as_bytes()); 2];
    let beside = [twice[0], twice[1], ("last-event-id", token.as_bytes())];
    for headers in [&twice[..], &beside] {
        for entrance in [Entrance::Layer, Entrance::Endpoint] {
            assert_eq!(refusal(asked("/", headers, None, entrance)), Some(ResumeError::MalformedToken));
        }
    }
}

#[test]
fn an_empty_header_is_a_resume_that_will_not_parse() {
    for value in [&b""[..], b"41", b"\xff"] {
        let ask = ask("/", &[("x-resume-token", value)], Entrance::Layer);
        assert_eq!((ask.carrier, &*ask.token), (Carrier::Token, value));
    }
}

#[test]
fn of_several_last_event_ids_the_last_that_is_not_empty_counts() {
    let [a, b] = ['A', 'B'].map(token);
    let (first, last) = (a.as_bytes(), b.as_bytes());
    let list = |parts: &[&str]| parts.join(",").into_bytes();
    type Case<'a> = (&'a [&'a [u8]], Option<&'a [u8]>);
    let cases: [Case<'_>; 13] = [
        (&[last], Some(last)),
        (&[first, last], Some(last)),
        (&[&list(&[&a, &b])], Some(last)),
        (&[&list(&[&a, &format!(" {b} ")])], Some(last)),
        (&[&list(&[&b, "", " "])], Some(last)),
        (&[b"", last, b""], Some(last)),
        (&[b"41", last], Some(last)),
        (&[&list(&["41", &b])], Some(last)),
        (&[last, b"41"], None),
        (&[&list(&[&b, "41"])], None),
        (&[b""], None),
        (&[b" , ,"], None),
        (&[], None),
    ];
    for (values, expected) in cases {
        let headers: Vec<_> = values.iter().map(|value| ("last-event-id", *value)).collect();
        let found = match asked("/", &headers, None, Entrance::Layer) {
            Intent::Resume(ask) => Some(ask.token),
            Intent::Fresh => None,
            other => panic!("{values:?}: {other:?}"),
        };
        assert_eq!(found.as_deref(), expected, "{values:?}");
    }
}

#[test]
fn a_last_event_id_not_of_the_layers_form_is_the_applications() {
    let good = token('A');
    let bad = [
        "41".to_owned(),
        good[1..].to_owned(),
        good[..73].to_owned(),
        format!("{good}{}", "A".repeat(67)),
        good.replacen('g', "w", 1),
        good.replacen('g', "f", 1),
        good.replacen('r', "s", 1),
        format!("{}=", &good[..73]),
        format!("{}+", &good[..73]),
        format!("{} {}", &good[..40], &good[41..]),
    ];
    for id in &bad {
        let headers = [("last-event-id", id.as_bytes())];
        assert!(matches!(asked("/", &headers, None, Entrance::Layer), Intent::Fresh), "{id}");
    }
    let longest = format!("rv{}", "_".repeat(136));
    assert!(matches!(asked("/", &[("last-event-id", longest.as_bytes())], None, Entrance::Layer), Intent::Resume(_)));
}

#[test]
fn with_no_secret_only_the_layers_own_header_is_refused() {
    let token = token('A');
    let uri = format!("/?resume={token}");
    let header = [("x-resume-token", token.as_bytes())];
    let last = [("last-event-id", token.as_bytes())];
    let disabled =
        |uri, headers: &[_], entrance| intent(&head(Method::GET, uri, headers), Some("resume"), entrance, false);
    for entrance in [Entrance::Layer, Entrance::Endpoint] {
        assert_eq!(refusal(disabled("/", &header, entrance)), Some(ResumeError::ResumeDisabled), "{entrance:?}");
    }
    for (uri, headers) in [("/", &last[..]), (&uri, &[]), (&uri, &last)] {
        assert!(matches!(disabled(uri, headers, Entrance::Layer), Intent::Fresh));
        let at_endpoint = refusal(disabled(uri, headers, Entrance::Endpoint));
        assert_eq!(at_endpoint, Some(ResumeError::ResumeDisabled));
    }
    assert_eq!(refusal(disabled("/", &[], Entrance::Endpoint)), Some(ResumeError::MissingToken));
}

#[test]
fn a_seq_is_decimal_digits_and_nothing_else() {
    let good = [("0", 0), ("7", 7), ("007", 7), ("18446744073709551615", u64::MAX)];
    for (text, seq) in good {
        let ask = ask_from(text.as_bytes());
        assert_eq!(ask, Some(Ok(seq)), "{text}");
    }
    let bad: [&[u8]; 12] =
        [b"", b" 1", b"1 ", b"-1", b"+1", b"1.0", b"1e3", b"0x1", b"one", b"1,2", b"18446744073709551616", b"\xd9\xa1"];
    for text in bad {
        // White space around a header's value is no part of it, but hyper takes that off, not this.
        assert_eq!(ask_from(text), Some(Err(ResumeError::BadCursor)), "{text:?}");
    }
    let token = token('A');
    let twice = [("x-resume-token", token.as_bytes()), ("x-resume-from", b"1"), ("x-resume-from", b"1")];
    assert_eq!(ask("/", &twice, Entrance::Layer).from, Some(Err(ResumeError::BadCursor)));
    assert_eq!(ask("/", &twice[..1], Entrance::Layer).from, None);
}

fn ask_from(from: &[u8]) -> Option<Result<u64, ResumeError>> {
    let token = token('A');
    ask("/", &[("x-resume-token", token.as_bytes()), ("x-resume-from", from)], Entrance::Layer).from
}

#[test]
fn there_are_three_modes_and_live_is_the_default() {
    let token = token('A');
    let header = ("x-resume-token", token.as_bytes());
    assert_eq!(ask("/", &[header], Entrance::Layer).mode, Ok(Mode::Live));
    for mode in [Mode::Live, Mode::Replay, Mode::Status] {
        let headers = [header, ("x-resume-mode", mode.as_str().as_bytes())];
        assert_eq!(ask("/", &headers, Entrance::Layer).mode, Ok(mode));
    }
    for mode in [&b""[..], b"Live", b"live ", b"all", b"live,replay", b"\xff"] {
        let headers = [header, ("x-resume-mode", mode)];
        assert_eq!(ask("/", &headers, Entrance::Layer).mode, Err(ResumeError::BadMode), "{mode:?}");
    }
    let twice = [header, ("x-resume-mode", b"live"), ("x-resume-mode", b"live")];
    assert_eq!(ask("/", &twice, Entrance::Layer).mode, Err(ResumeError::BadMode));
}

#[test]
fn from_and_mode_in_the_query_count_only_where_the_cursor_came_from_it() {
    let token = token('A');
    let uri = format!("/?resume={token}&from=3&mode=replay");
    let by_query = ask(&uri, &[], Entrance::Layer);
    assert_eq!((by_query.from, by_query.mode), (Some(Ok(3)), Ok(Mode::Replay)));
    for name in ["x-resume-token", "last-event-id"] {
        let ask = ask(&uri, &[(name, token.as_bytes())], Entrance::Layer);
        assert_eq!((ask.from, ask.mode), (None, Ok(Mode::Live)), "{name}");
    }
    let Intent::Fresh = asked(&uri, &[], None, Entrance::Layer) else { panic!("off by default") };
    let Intent::Fresh = asked(&uri, &[], Some("token"), Entrance::Layer) else { panic!("another name") };
}

#[test]
fn the_endpoint_takes_the_mode_from_its_query_whatever_the_carrier() {
    let token = token('A');
    for name in ["x-resume-token", "last-event-id"] {
        let ask = ask("/resume?mode=status&from=3", &[(name, token.as_bytes())], Entrance::Endpoint);
        assert_eq!((ask.from, ask.mode), (None, Ok(Mode::Status)), "{name}");
    }
}

#[test]
fn a_query_is_decoded_and_its_last_value_counts() {
    let [a, b] = ['A', 'B'].map(token);
    let cases = [
        (format!("/?resume={a}&resume={b}"), Some(&b)),
        (format!("/?x=1&%72esume={b}&y"), Some(&b)),
        (format!("/?resume={a}&resume="), None),
        (format!("/?Resume={a}"), None),
    ];
    for (uri, expected) in cases {
        let found = match asked(&uri, &[], Some("resume"), Entrance::Layer) {
            Intent::Resume(ask) => Some(ask.token),
            _ => None,
        };
        assert_eq!(found.as_deref(), expected.map(|token| token.as_bytes()), "{uri}");
    }
}

#[test]
fn only_a_sane_correlation_id_is_taken_over() {
    let long = "a".repeat(crate::settings::MAX_CORRELATION_ID);
    let too_long = format!("{long}a");
    let good = ["7", "Root=1-5759e988-bd862e3fe1be46a994272793", "a_b.c:d/e+f", &long];
    let bad: [&[u8]; 7] = [b"", b"a b", b"a\"b", b"a,b", b"<a>", b"\xc3\xbc", too_long.as_bytes()];
    for id in good {
        let head = head(Method::GET, "/", &[("x-request-id", id.as_bytes())]);
        assert_eq!(correlation_id(&head.headers), Some(id));
    }
    for id in bad {
        assert_eq!(correlation_id(&head(Method::GET, "/", &[("x-request-id", id)]).headers), None, "{id:?}");
    }
}

proptest! {
    #[test]
    fn no_head_is_too_odd_for_an_intent(
        headers in prop::collection::vec((0..6_usize, prop::collection::vec(b' '..=b'~', 0..160)), 0..6),
        query in "[a-z&=%+,0-9]{0,40}",
        endpoint: bool,
        enabled: bool,
    ) {
        const NAMES: [&str; 6] =
            ["x-resume-token", "last-event-id", "x-resume-from", "x-resume-mode", "x-request-id", "accept"];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (NAMES[*name], &**value)).collect();
        let entrance = if endpoint { Entrance::Endpoint } else { Entrance::Layer };
        let head = head(Method::POST, &format!("/?{query}"), &headers);
        let count = headers.iter().filter(|(name, _)| *name == NAMES[0]).count();
        match intent(&head, Some("q"), entrance, enabled) {
            Intent::Pass => prop_assert!(false, "a POST is never passed by"),
            Intent::Cancel(_) => prop_assert!(false, "a POST cancels nothing"),
            Intent::Fresh => prop_assert!(count == 0 && !endpoint),
            Intent::Resume(ask) => {
                prop_assert!(enabled && count <= 1);
                prop_assert_eq!(count == 1, ask.carrier == Carrier::Token);
            }
            Intent::Refuse(_) => prop_assert!(endpoint || count > 0),
        }
    }
}
