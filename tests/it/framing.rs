//! Protocol sections 1 and 2.2: what becomes of the handler's bytes on their way to its client.

use crate::common::{Ended, Handler, Item, Logs, Parser, Server, call, get_stream, layer, masked};
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use proptest::prelude::*;
use std::convert::Infallible;
use tower::{Layer as _, service_fn};
use tower_resume::{EventIds, ResumeLayer, store::MemoryStore};

/// What a handler that writes these frames makes the client see between `open` and `end`; `#` stands for tokens.
async fn seen<F: AsRef<[u8]>>(layer: ResumeLayer<MemoryStore>, frames: &[F]) -> String {
    let frames: Vec<_> =
        frames.iter().map(|frame| Ok::<_, Infallible>(Bytes::copy_from_slice(frame.as_ref()))).collect();
    let handler = service_fn(move |_: Request<Body>| {
        let body = Body::from_stream(stream::iter(frames.clone()));
        async { Response::builder().header("content-type", "text/event-stream").body(body) }
    });
    let mut reply = call(layer.layer(handler), get_stream()).await;
    while reply.frame().await.is_ok() {}
    let text = masked(&reply.bytes);
    let (open, rest) = text.split_once("\n\n").unwrap();
    assert!(open.starts_with("event: resume\ndata: {\"phase\":\"open\""), "{open}");
    let (events, end) = rest.rsplit_once("event: resume\n").unwrap();
    assert!(end.starts_with("data: {\"phase\":\"end\",\"status\":\"complete\""), "{end}");
    events.to_owned()
}

/// All that is written in one style of line ends, so that a split can be guessed right: see the framer's own words.
const UNIFORM: [(&str, &str); 4] = [
    ("event: a\ndata: 1\n\ndata: 2\nid: 7\n\n", "event: a\ndata: 1\nid: #\n\ndata: 2\nid: #\n\n"),
    (
        "event: a\r\ndata: 1\r\n\r\ndata: 2\r\nid: 7\r\n\r\n",
        "event: a\r\ndata: 1\r\nid: #\r\n\r\ndata: 2\r\nid: #\r\n\r\n",
    ),
    ("event: a\rdata: 1\r\rdata: 2\rid: 7\r\r", "event: a\rdata: 1\rid: #\r\rdata: 2\rid: #\r\r"),
    ("\u{feff}data: é\n: c\n\n: between\n\nid\nidx: 1\n\n", "data: é\n: c\nid: #\n\n: between\n\nidx: 1\nid: #\n\n"),
];

#[tokio::test]
async fn the_id_is_the_last_line_and_ends_as_the_blank_one_does() {
    let mixed = [
        ("data: a\r\n\n", "data: a\r\nid: #\n\n"),
        ("data: a\n\r\n", "data: a\nid: #\r\n\r\n"),
        ("data: a\n\rdata: b\n\n", "data: a\nid: #\r\rdata: b\nid: #\n\n"),
        ("event: x\r\ndata: a\ndata: b\r\rdata: c\n\n", "event: x\r\ndata: a\ndata: b\rid: #\r\rdata: c\nid: #\n\n"),
    ];
    for (written, expected) in UNIFORM.into_iter().chain(mixed) {
        assert_eq!(seen(layer(), &[written]).await, expected, "{written:?}");
    }
}

#[tokio::test]
async fn nothing_but_the_id_lines_is_changed() {
    for (written, expected) in [
        ("id: 1\ndata: a\n\n", "data: a\nid: #\n\n"),
        ("data: a\nid: 1\ndata: b\n\n", "data: a\ndata: b\nid: #\n\n"),
        ("id\nid:\nid:9\nid: a:b\ndata: a\n\n", "data: a\nid: #\n\n"),
        ("ID: 1\nidx: 2\n id: 3\nid : 4\ndata: a\n\n", "ID: 1\nidx: 2\n id: 3\nid : 4\ndata: a\nid: #\n\n"),
        (": c1\ndata: a\n: c2\n\n", ": c1\ndata: a\n: c2\nid: #\n\n"),
        ("data\ndata:\ndata: \ndata:x\n\n", "data\ndata:\ndata: \ndata:x\nid: #\n\n"),
        ("retry: 5\n\n", "retry: 5\nid: #\n\n"),
        ("id: 1\n\n", "id: #\n\n"),
        ("nonsense\n\n", "nonsense\nid: #\n\n"),
        ("data: \0\u{7f}\u{85}\u{2028}\n\n", "data: \0\u{7f}\u{85}\u{2028}\nid: #\n\n"),
    ] {
        assert_eq!(seen(layer(), &[written]).await, expected, "{written:?}");
    }
}

#[tokio::test]
async fn blank_lines_without_a_block_are_dropped_and_one_bom_at_the_very_start_is() {
    for (written, expected) in [
        ("\n\r\n\r\r\ndata: a\n\n\n\r\n\rdata: b\n\n\n", "data: a\nid: #\n\ndata: b\nid: #\n\n"),
        ("\u{feff}\u{feff}data: a\n\n", "\u{feff}data: a\nid: #\n\n"),
        ("data: a\n\n\u{feff}data: b\n\n", "data: a\nid: #\n\n\u{feff}data: b\nid: #\n\n"),
        ("\u{feff}\n", ""),
        ("\u{feff}", ""),
        ("", ""),
        ("\n\n\n", ""),
    ] {
        assert_eq!(seen(layer(), &[written]).await, expected, "{written:?}");
    }
}

#[tokio::test]
async fn the_same_bytes_arrive_however_they_are_split_over_frames() {
    for (written, expected) in UNIFORM {
        let bytes = written.as_bytes();
        for cut in 0..=bytes.len() {
            let (head, rest) = bytes.split_at(cut);
            assert_eq!(seen(layer(), &[head, b"", rest]).await, expected, "{written:?} cut at {cut}");
        }
        let single: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(seen(layer(), &single).await, expected, "{written:?} byte by byte");
    }
}

#[tokio::test]
async fn preserve_keeps_the_handlers_ids_and_gives_tokens_to_events_without_one() {
    let layer = layer().event_ids(EventIds::Preserve);
    let written = "id: 7\ndata: a\n\ndata: b\n\ndata: c\r\nid\r\n\r\n: idle\n\nidx: 1\rdata: d\r\r";
    let expected = "id: 7\ndata: a\n\ndata: b\nid: #\n\ndata: c\r\nid\r\n\r\n: idle\n\nidx: 1\rdata: d\rid: #\r\r";
    assert_eq!(seen(layer, &[written]).await, expected);
}

#[tokio::test]
async fn off_leaves_every_byte_of_the_events_as_it_was() {
    let layer = layer().event_ids(EventIds::Off);
    let written = "id: 7\ndata: a\n\ndata: b\n\n: idle\n\ndata: c\r\n\r\ndata: d\r\r";
    assert_eq!(seen(layer, &[written]).await, written);
}

#[tokio::test]
async fn an_event_that_a_lone_cr_closes_goes_out_at_once_and_the_late_lf_is_dropped() {
    for (ends, lines) in [("\r", "data: 1\r"), ("\r\n", "data: 1\r\n")] {
        let handler = Handler::new();
        let server = Server::start(handler.router().layer(layer())).await;
        let mut reply = crate::common::Request::get(server.addr, "/stream").send().await;
        reply.phase("open").await;
        let told = handler.told().await;
        told.send(format!("{lines}\r"));
        assert_eq!(reply.event().await.data, "1", "the blank line's CR is the last byte so far");
        told.send(format!("\ndata: 2{ends}{ends}"));
        assert_eq!(reply.event().await.data, "2");
        told.end();
        reply.phase("end").await;
        let text = masked(&reply.bytes);
        let events = format!("data: 1{ends}id: #{ends}{ends}data: 2{ends}id: #{ends}{ends}event: resume\n");
        assert!(text.contains(&format!("\n\n{events}")), "{text:?}");
    }
}

#[tokio::test]
async fn comments_between_events_pass_in_their_place_and_are_not_kept() {
    let handler = Handler::new();
    let server = Server::start(handler.router().layer(layer())).await;
    let mut reply = crate::common::Request::get(server.addr, "/stream").send().await;
    let token = reply.header("x-resume-token").unwrap().to_owned();
    let told = handler.told().await;
    told.send(": one\n\ndata: 1\n\n: two\n: three\r\n\r\n");
    told.send("data: 2\n: inside\n\n:\n\n");
    told.end();
    let (items, ended) = reply.rest().await;
    assert_eq!(ended, Ended::Clean);
    let shape: Vec<_> = items
        .iter()
        .map(|item| match item {
            Item::Comment(text) => format!(":{text}"),
            Item::Event(event) => event.phase().unwrap_or_else(|| event.data.clone()),
        })
        .collect();
    assert_eq!(shape, ["open", ":one", "1", ":two", ":three", ":inside", "2", ":", "end"]);
    let again = crate::common::Request::get(server.addr, "/stream").header("x-resume-token", token).send().await;
    let text = masked(again.text().await.as_bytes());
    assert!(text.contains("\n\ndata: 1\nid: #\n\ndata: 2\n: inside\nid: #\n\nevent: resume\n"), "{text:?}");
    assert!(!text.contains(": one") && !text.contains(": two") && !text.contains("\n:\n"), "{text:?}");
}

#[tokio::test]
async fn a_block_that_the_body_leaves_unfinished_is_dropped_with_a_warning() {
    for rest in ["data: 2", "data: 2\n", "data: 2\r\n", ": comment\n", "id: 2\n", "\r"] {
        let logs = Logs::new();
        assert_eq!(seen(layer(), &["data: 1\n\n", rest]).await, "data: 1\nid: #\n\n", "{rest:?}");
        let warnings = logs.of(tracing::Level::WARN);
        if rest == "\r" {
            assert_eq!(warnings, [""; 0], "a stray blank line is nothing unfinished");
            continue;
        }
        assert_eq!(warnings.len(), 1, "{rest:?}: {warnings:?}");
        let (head, tail) = warnings[0].split_at(warnings[0].find("request_id=").unwrap());
        assert_eq!(
            head,
            "WARN message=the handler's body ended within an event, which was dropped event=unfinished_block "
        );
        assert_eq!(tail.len(), "request_id=".len() + 36, "{tail:?}");
    }
}

#[tokio::test]
async fn a_connected_client_gets_every_one_of_many_thousand_events_in_one_frame() {
    let handler = Handler::new();
    let server = Server::start(handler.router().layer(layer())).await;
    let mut reply = crate::common::Request::get(server.addr, "/stream").send().await;
    reply.phase("open").await;
    let told = handler.told().await;
    let filler = "x".repeat(90);
    let frame: String = (1..=10_000).map(|number| format!("data: {number} {filler}\n\n")).collect();
    assert!(frame.len() > 1_000_000);
    told.send(frame);
    told.end();
    for number in 1..=10_000 {
        assert_eq!(reply.event().await.data, format!("{number} {filler}"));
    }
    let end = reply.phase("end").await;
    assert_eq!((end["seq"].as_u64(), end["status"].as_str()), (Some(10_000), Some("complete")));
    assert_eq!(reply.rest().await, (vec![], Ended::Clean));
}

/// Blocks with all sorts of lines and ends, and where to cut them.
fn blocks() -> impl Strategy<Value = (String, Vec<prop::sample::Index>)> {
    let line = prop::sample::select(vec![
        "data: x",
        "data",
        "event: e",
        ": c",
        "id: 1",
        "id",
        "ix",
        "retry: 3",
        "data:é",
        "\ndata: b",
        "\r\rdata",
    ]);
    let end = || prop::sample::select(vec!["\n", "\r", "\r\n"]);
    let block = (prop::collection::vec((line, end()), 0..5), end(), end()).prop_map(|(lines, first, last)| {
        let lines: String = lines.into_iter().flat_map(|(line, end)| [line, end]).collect();
        format!("data: begin{first}{lines}data: last{first}{last}")
    });
    (
        prop::collection::vec(block, 0..6).prop_map(|blocks| blocks.concat()),
        prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_client_is_given_what_the_bare_handler_would_have_given_it((text, cuts) in blocks()) {
        let events = |bytes: &[u8]| -> Vec<_> {
            let items = Parser::default().push(bytes).into_iter();
            items.filter_map(|item| match item {
                Item::Event(event) => Some((event.event, event.data)),
                Item::Comment(_) => None,
            }).collect()
        };
        let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let frames: Vec<_> = at.windows(2).map(|ends| &text.as_bytes()[ends[0]..ends[1]]).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let seen = runtime.block_on(seen(layer(), &frames));
        prop_assert_eq!(events(seen.as_bytes()), events(text.as_bytes()), "{:?}", frames);
    }
}
