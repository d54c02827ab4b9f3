//! The routes that `useChat` asks for: start, attach, stop; and the history, for a page that is opened again.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use tokio::time::sleep;
use tower_resume::{Attach, CancelStream, ControlEvents, RequestId, StreamName};

use crate::answer;
use crate::history::{Answer, History, Message};
use crate::parts;

/// The longest id of a chat, in bytes. Ids are the client's own.
const MAX_ID: usize = 128;

#[derive(Clone)]
struct App {
    history: History,
    pace: Duration,
}

pub(crate) fn router(pace: Duration) -> Router {
    Router::new()
        .route("/api/chat", post(start))
        .route("/api/chat/{id}", get(messages))
        .route("/api/chat/{id}/stream", get(attach))
        .route("/api/chat/{id}/stop", post(stop))
        .with_state(App { history: History::default(), pace })
}

/// What `DefaultChatTransport` sends, as far as this example looks at it.
#[derive(Deserialize)]
struct Ask {
    id: String,
    messages: Vec<Message>,
}

/// Starts an answer. It is an ordinary stream; two extensions tell the layer how to treat it.
async fn start(State(app): State<App>, ask: Result<Json<Ask>, JsonRejection>) -> Response {
    let Json(Ask { id, messages }) = match ask {
        Ok(ask) => ask,
        Err(error) => return (error.status(), error.body_text()).into_response(),
    };
    if let Err(reason) = check_id(&id) {
        return (StatusCode::BAD_REQUEST, reason).into_response();
    }
    let Some(question) = messages.last().filter(|last| last.role == "user").map(Message::text) else {
        return (StatusCode::BAD_REQUEST, "the last message has to be the user's").into_response();
    };
    if question.trim().is_empty() {
        return (StatusCode::BAD_REQUEST, "the question is empty").into_response();
    }
    let message_id = format!("answer-{}", messages.len());
    app.history.set(&id, messages);
    let answer = Answer::new(app.history, id.clone(), message_id.clone());

    let begin = stream::iter([parts::begin(&message_id)]);
    let words = answer::words(&question).into_iter();
    // Dropped after the last word, or in the midst when the answer is stopped: what was said is history then.
    let words = stream::unfold((answer, words), move |(mut answer, mut words)| async move {
        let word = words.next()?;
        sleep(app.pace).await;
        answer.say(&word);
        Some((parts::word(&word), (answer, words)))
    });
    let finish = stream::iter([parts::finish()]);
    let body = Body::from_stream(begin.chain(words).chain(finish).map(Ok::<_, Infallible>));

    let extensions = (
        // By this name the stream is found again.
        Extension(name(&id)),
        // The SDK's transport fails on events that it does not know.
        Extension(ControlEvents::Comments),
    );
    (extensions, [(header::CONTENT_TYPE, "text/event-stream"), UI_MESSAGES], body).into_response()
}

/// `resume: true` asks here when a page is opened. The answer that is under way, from its start; 204 where there is none.
async fn attach(Path(id): Path<String>) -> Response {
    (Extension(Attach::to(chat(&id)).may_cancel(true)), [UI_MESSAGES]).into_response()
}

/// Names the stream that a click is meant for: the `X-Resume-Stream` of its response.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Stop {
    stream_id: Option<String>,
}

/// The SDK's `stop()` only leaves. This stops the answer itself, on whichever node is giving it.
async fn stop(Path(id): Path<String>, stop: Option<Json<Stop>>) -> Response {
    let cancel = CancelStream::named(chat(&id));
    match stop.and_then(|Json(stop)| stop.stream_id) {
        None => Extension(cancel).into_response(),
        Some(stream) => match RequestId::parse(&stream) {
            Some(stream) => Extension(cancel.only(stream)).into_response(),
            None => (StatusCode::BAD_REQUEST, "streamId: not an id of a stream").into_response(),
        },
    }
}

async fn messages(State(app): State<App>, Path(id): Path<String>) -> Json<Vec<Message>> {
    Json(app.history.of(&id))
}

/// The SDK asks a backend that is not its own to say so.
const UI_MESSAGES: (HeaderName, &str) = (HeaderName::from_static("x-vercel-ai-ui-message-stream"), "v1");

fn chat(id: &str) -> String {
    format!("chat:{id}")
}

fn name(id: &str) -> StreamName {
    StreamName::new(chat(id))
}

fn check_id(id: &str) -> Result<(), String> {
    match id.len() {
        0 => Err("id: a chat needs an id".to_owned()),
        1..=MAX_ID => Ok(()),
        bytes => Err(format!("id: {bytes} bytes given, at most {MAX_ID} allowed")),
    }
}
