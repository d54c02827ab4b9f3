//! Protocol section 4: the events that the layer adds, to the letter, and when it adds them.

use crate::common::{Ended, Handler, Item, Reply, Request, Server, call, get_stream, layer, masked};
use std::time::Duration;
use tokio::time::Instant;
use tower_resume::{Clock, ControlEvents, EventIds};

const SECOND: Duration = Duration::from_secs(1);

/// A clock that goes with tokio's, for tests that pause it.
fn clock() -> Clock {
    let start = Instant::now();
    Clock::new(move || 1_000_000 + u64::try_from(start.elapsed().as_millis()).unwrap())
}

/// The first item after `skip` of them, and when it came.
async fn next(reply: &mut Reply) -> (Item, Duration) {
    let start = Instant::now();
    let item = reply.item().await.unwrap();
    (item, start.elapsed())
}

fn heartbeat() -> Item {
    Item::Comment("heartbeat".to_owned())
}

#[tokio::test(start_paused = true)]
async fn open_and_end_are_written_to_the_letter() {
    let handler = Handler::new();
    let mut reply = call(handler.router().layer(layer().clock(clock())), get_stream()).await;
    let token = reply.header("x-resume-token").unwrap().to_owned();
    let stream = reply.header("x-resume-stream").unwrap().to_owned();
    assert!(token.len() <= 150 && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    let open = reply.event().await;
    let (expires_at, retry) = (1_000_000 + 900_000, open.retry.unwrap());
    assert_eq!(
        String::from_utf8(reply.bytes.clone()).unwrap(),
        format!(
            "event: resume\ndata: {{\"phase\":\"open\",\"token\":\"{token}\",\"request_id\":\"{stream}\",\
             \"expires_at\":{expires_at}}}\nretry: {retry}\nid: {token}\n\n"
        )
    );
    let told = handler.told().await;
    told.count(1..=2);
    told.end();
    let last = reply.counts(1..=2).await;
    let end = reply.event().await;
    assert_ne!(end.id.as_deref(), Some(last.as_str()), "its id says that the end was seen");
    assert_eq!((end.retry, end.id_is_last), (None, true));
    assert!(masked(&reply.bytes).ends_with(&format!(
        "event: resume\ndata: {{\"phase\":\"end\",\"status\":\"complete\",\"seq\":2,\"diagnostics\":{{\"resumes\":0,\
         \"trims\":0,\"recovered_events\":0,\"correlation_id\":\"{stream}\"}}}}\nid: #\n\n"
    )));
    assert_eq!(reply.rest().await, (vec![], Ended::Clean));
}

#[tokio::test]
async fn retry_is_a_second_with_a_jitter_or_as_set() {
    for (set, low, high) in
        [(None, 750, 1250), (Some(Duration::from_secs(4)), 3000, 5000), (Some(Duration::ZERO), 0, 0)]
    {
        let handler = Handler::new();
        let layer = set.into_iter().fold(layer(), |layer, retry| layer.retry(retry));
        let app = handler.router().layer(layer);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..50 {
            let retry = call(app.clone(), get_stream()).await.event().await.retry.unwrap();
            assert!((low..=high).contains(&retry), "{retry}");
            seen.insert(retry);
        }
        assert!(seen.len() > 1 || high == 0, "no jitter at all: {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn ten_seconds_of_silence_bring_a_heartbeat() {
    let handler = Handler::new();
    let mut reply = call(handler.router().layer(layer()), get_stream()).await;
    reply.phase("open").await;
    assert_eq!(next(&mut reply).await, (heartbeat(), 10 * SECOND));
    assert_eq!(next(&mut reply).await, (heartbeat(), 10 * SECOND));
    let told = handler.told().await;
    tokio::time::advance(7 * SECOND).await;
    told.count(1..=1);
    reply.counts(1..=1).await;
    assert_eq!(next(&mut reply).await, (heartbeat(), 10 * SECOND), "after an event");
    tokio::time::advance(4 * SECOND).await;
    told.send(": the handler's own\n\n");
    assert_eq!(next(&mut reply).await, (Item::Comment("the handler's own".to_owned()), Duration::ZERO));
    assert_eq!(next(&mut reply).await, (heartbeat(), 10 * SECOND), "after the handler's own comment");
    assert!(reply.bytes.ends_with(b"\n\n: heartbeat\n\n"));
}

#[tokio::test(start_paused = true)]
async fn the_heartbeat_can_be_set() {
    let handler = Handler::new();
    let mut reply = call(handler.router().layer(layer().heartbeat(3 * SECOND)), get_stream()).await;
    reply.phase("open").await;
    assert_eq!(next(&mut reply).await, (heartbeat(), 3 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn half_a_tokens_life_without_an_id_brings_a_fresh_token() {
    let handler = Handler::new();
    let app = handler.router().layer(layer().clock(clock()).token_ttl(60 * SECOND));
    let mut reply = call(app.clone(), get_stream()).await;
    let opened = reply.phase("open").await;
    let start = Instant::now();
    let event = reply.event().await;
    assert_eq!(start.elapsed(), 30 * SECOND);
    assert_eq!(event.phase().as_deref(), Some("token"));
    let json = event.json();
    assert_eq!(json["token"].as_str(), event.id.as_deref());
    assert!(event.id_is_last && event.retry.is_none() && json["token"] != opened["token"]);
    assert_eq!(json["expires_at"], 1_000_000 + 30_000 + 60_000);
    assert_eq!(json.as_object().unwrap().len(), 3, "{json}");
    // An event carries a token of its own, so the silence begins anew.
    let told = handler.told().await;
    tokio::time::advance(20 * SECOND).await;
    told.count(1..=1);
    let last = reply.counts(1..=1).await;
    let start = Instant::now();
    let token = reply.phase("token").await;
    assert_eq!(start.elapsed(), 30 * SECOND);
    // At 80 s: the event's is of 50 s, good until 110 s and the skew of 30 s; the new one is good for 30 s more.
    tokio::time::advance(Duration::from_millis(60_001)).await;
    let resume =
        |token: &str| http::Request::get("/stream").header("x-resume-token", token).body(axum::body::Body::empty());
    assert_eq!(call(app.clone(), resume(&last).unwrap()).await.status, 401);
    let mut again = call(app, resume(token["token"].as_str().unwrap()).unwrap()).await;
    assert_eq!(again.phase("replay").await["from"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_event_also_comes_where_events_carry_no_token() {
    for (ids, own) in [(EventIds::Off, ""), (EventIds::Preserve, "id: own\n")] {
        let handler = Handler::new();
        let layer = layer().clock(clock()).token_ttl(60 * SECOND).event_ids(ids);
        let mut reply = call(handler.router().layer(layer), get_stream()).await;
        reply.phase("open").await;
        let told = handler.told().await;
        let start = Instant::now();
        for number in 1..=5 {
            tokio::time::advance(5 * SECOND).await;
            told.send(format!("{own}data: {number}\n\n"));
            let event = reply.event().await;
            assert_eq!((event.data, event.id.is_some()), (number.to_string(), ids == EventIds::Preserve));
        }
        let event = reply.event().await;
        assert_eq!(event.phase().as_deref(), Some("token"), "{ids:?}");
        assert_eq!(event.id.is_some(), ids == EventIds::Preserve);
        assert_eq!(start.elapsed(), 30 * SECOND);
    }
}

/// A stream of two events with a silence between, whole.
async fn whole(layer: tower_resume::ResumeLayer<tower_resume::store::MemoryStore>) -> (Reply, Vec<Item>) {
    let handler = Handler::new();
    let mut reply = call(handler.router().layer(layer.clock(clock()).token_ttl(16 * SECOND)), get_stream()).await;
    let told = handler.told().await;
    told.count(1..=1);
    let mut items = Vec::new();
    while items.len() < 3 {
        items.push(reply.item().await.unwrap());
    }
    told.count(2..=2);
    told.end();
    let (rest, ended) = reply.rest().await;
    assert_eq!(ended, Ended::Clean);
    items.extend(rest);
    (reply, items)
}

#[tokio::test(start_paused = true)]
async fn as_comments_they_carry_neither_id_nor_retry_and_are_shown_to_no_client() {
    let (reply, items) = whole(layer().control_events(ControlEvents::Comments)).await;
    let token = reply.header("x-resume-token").unwrap();
    let mut phases = Vec::new();
    for item in &items {
        match item {
            Item::Event(event) => {
                assert!(event.event == "message" && event.id.is_some() && event.retry.is_none(), "{event:?}");
                phases.push(event.data.clone());
            }
            Item::Comment(text) => {
                let json: serde_json::Value = serde_json::from_str(text.strip_prefix("resume ").unwrap()).unwrap();
                if json["phase"] == "open" {
                    assert_eq!(json["token"], token);
                }
                phases.push(json["phase"].as_str().unwrap().to_owned());
            }
        }
    }
    assert_eq!(phases, ["open", "1", "token", "2", "end"]);
    let text = masked(&reply.bytes);
    assert!(text.starts_with(": resume {\"phase\":\"open\",") && text.ends_with("}\n\n"), "{text}");
    assert_eq!(text.matches("id: #").count(), 2, "one for each event: {text}");
    assert!(!text.contains("retry:"), "{text}");
}

#[tokio::test]
async fn a_handler_can_ask_for_comments_for_its_one_stream_and_resumes_keep_to_it() {
    let handler = Handler::with_head(|mut response| {
        response.extensions_mut().insert(ControlEvents::Comments);
        response
    });
    let server = Server::start(handler.router().layer(layer())).await;
    let mut reply = Request::get(server.addr, "/stream").send().await;
    let told = handler.told().await;
    told.count(1..=1);
    let id = reply.counts(1..=1).await;
    drop(reply);
    told.count(2..=2);
    told.end();
    let reply = Request::get(server.addr, "/stream").header("last-event-id", id).send().await;
    let text = masked(reply.text().await.as_bytes());
    assert!(text.starts_with(": resume {\"phase\":\"replay\","), "{text}");
    assert!(text.contains("}\n\ndata: 2\nid: #\n\n: resume {\"phase\":\"end\","), "{text}");
    assert!(!text.contains("event: resume") && !text.contains("retry:"), "{text}");
}

#[tokio::test]
async fn a_handler_can_ask_for_events_where_the_layer_is_set_to_comments() {
    let handler = Handler::with_head(|mut response| {
        response.extensions_mut().insert(ControlEvents::Events);
        response
    });
    let app = handler.router().layer(layer().control_events(ControlEvents::Comments));
    assert!(call(app, get_stream()).await.phase("open").await["token"].is_string());
}

#[tokio::test]
async fn the_name_can_be_set_and_cannot_break_out_of_its_line() {
    for (set, name) in [("sys", "sys"), ("a\nid: x\r\ndata: y", "aid: xdata: y")] {
        for (style, begin) in [(ControlEvents::Events, "event: "), (ControlEvents::Comments, ": ")] {
            let handler = Handler::new();
            let layer = layer().control_name(set).control_events(style);
            let mut reply = call(handler.router().layer(layer), get_stream()).await;
            handler.told().await.end();
            while reply.frame().await.is_ok() {}
            let text = String::from_utf8(reply.bytes.clone()).unwrap();
            assert_eq!(text.matches(&format!("{begin}{name}")).count(), 2, "open and end: {text}");
            assert!(!text.contains(": resume"), "{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_ids_off_no_id_is_anywhere_and_the_rest_is_there() {
    let (reply, items) = whole(layer().event_ids(EventIds::Off)).await;
    let text = String::from_utf8(reply.bytes.clone()).unwrap();
    assert!(!text.contains("\nid"), "{text}");
    let phases: Vec<_> = items
        .iter()
        .map(|item| match item {
            Item::Event(event) => event.phase().unwrap_or_else(|| event.data.clone()),
            Item::Comment(text) => format!(":{text}"),
        })
        .collect();
    assert_eq!(phases, ["open", "1", "token", "2", "end"]);
    assert!(reply.header("x-resume-token").is_some() && text.contains("\nretry: "));
}

#[tokio::test]
async fn a_control_events_id_is_the_token_at_the_clients_cursor() {
    let handler = Handler::new();
    let server = Server::start(handler.router().layer(layer())).await;
    let mut reply = Request::get(server.addr, "/stream").send().await;
    let open = reply.event().await.id.unwrap();
    let told = handler.told().await;
    told.count(1..=3);
    reply.counts(1..=3).await;
    told.end();
    let end = reply.event().await.id.unwrap();
    let from = async |token: &str| {
        let request = Request::get(server.addr, "/stream").header("x-resume-token", token);
        request.header("x-resume-mode", "status").send().await.json().await["from"].as_u64()
    };
    assert_eq!(from(&open).await, Some(0));
    assert_eq!(from(&end).await, Some(3));
    let late = Request::get(server.addr, "/stream").header("last-event-id", &end).send().await;
    assert_eq!(late.status, 204, "the end's id says that the client has seen the end");
}
