//! A server that does as its test says, with no network and no time lost: for tests.

use super::{
    error::BoxError,
    options::Options,
    request::Request,
    transport::{Body, Outgoing, Transport},
};
use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use http::{Method, Response};
use http_body::Frame;
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep};

/// What a request comes to.
pub(super) enum Reply {
    /// It does not get through.
    Fail,
    /// Nobody answers.
    Silence,
    Answer(Response<Body>),
    /// A stream of so many events, from where the request says; the first bytes of it, and then this.
    Serve {
        last: u64,
        bytes: usize,
        chunk: usize,
        then: Option<Say>,
    },
}

/// What becomes of a body.
#[derive(Clone, Debug)]
pub(super) enum Say {
    Bytes(Bytes),
    Pause(Duration),
    /// Not ready once, and at once again.
    Falter,
    Cut,
    /// Says nothing more, and does not end.
    Hang,
}

/// What was asked for, and when.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) request: Outgoing,
    pub(super) at: Instant,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.request.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// The server. Its clones are one.
#[derive(Clone, Default)]
pub(super) struct Script(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    replies: VecDeque<Reply>,
    asked: Vec<Asked>,
    /// How many pieces of bodies were taken.
    taken: usize,
}

impl Script {
    pub(super) fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let script = Self::default();
        script.0.lock().unwrap().replies.extend(replies);
        script
    }

    pub(super) fn then(&self, reply: Reply) {
        self.0.lock().unwrap().replies.push_back(reply);
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.0.lock().unwrap().asked.clone()
    }

    pub(super) fn taken(&self) -> usize {
        self.0.lock().unwrap().taken
    }

    pub(super) fn request(&self, method: Method) -> Request {
        let url = "http://test/stream?key=QUERYSECRET".parse().unwrap();
        Request::new(Ok(Options::new(Arc::new(self.clone()), method, url)))
    }

    pub(super) fn get(&self) -> Request {
        self.request(Method::GET)
    }

    pub(super) fn post(&self) -> Request {
        self.request(Method::POST).body("{}")
    }

    /// An event stream of the layer's, with a head that says so.
    pub(super) fn stream(&self, says: impl IntoIterator<Item = Say>) -> Reply {
        self.answer(200, &[("x-resume-token", &token(0)), ("x-resume-stream", "stream-1")], says)
    }

    /// An event stream with no layer.
    pub(super) fn plain(&self, says: impl IntoIterator<Item = Say>) -> Reply {
        self.answer(200, &[], says)
    }

    pub(super) fn answer(&self, status: u16, headers: &[(&str, &str)], says: impl IntoIterator<Item = Say>) -> Reply {
        let mut response = Response::builder().status(status);
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            response = response.header("content-type", "text/event-stream");
        }
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let body = Said { says: says.into_iter().collect(), pause: None, script: self.clone() };
        Reply::Answer(response.body(Box::pin(body) as Body).unwrap())
    }
}

impl Transport for Script {
    fn send(&self, request: Outgoing) -> BoxFuture<'static, Result<Response<Body>, BoxError>> {
        let script = self.clone();
        let header = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap());
        let from = header("x-resume-from").or(header("x-resume-token").map(|token| &token[6..]));
        let from = from.map(|digits| digits.parse().unwrap());
        let reply = {
            let mut inner = self.0.lock().unwrap();
            inner.asked.push(Asked { request, at: Instant::now() });
            inner.replies.pop_front().expect("a request that the test did not foresee")
        };
        async move {
            // A request takes more than one look.
            tokio::task::yield_now().await;
            match reply {
                Reply::Fail => Err("it did not get through".into()),
                Reply::Silence => std::future::pending().await,
                Reply::Answer(response) => Ok(response),
                Reply::Serve { last, bytes, chunk, then } => {
                    let text = from.map_or_else(|| whole(last), |from| rest(from, last));
                    let sent = text.as_bytes().get(..bytes).unwrap_or(text.as_bytes());
                    let says = sent.chunks(chunk).map(|chunk| Say::Bytes(chunk.to_vec().into())).chain(then);
                    let Reply::Answer(response) = script.stream(says) else { unreachable!() };
                    Ok(response)
                }
            }
        }
        .boxed()
    }
}

struct Said {
    says: VecDeque<Say>,
    pause: Option<Pin<Box<Sleep>>>,
    script: Script,
}

impl http_body::Body for Said {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.poll_unpin(cx));
                self.pause = None;
            }
            match self.says.front() {
                Some(Say::Hang) => return Poll::Pending,
                Some(Say::Pause(time)) => self.pause = Some(Box::pin(sleep(*time))),
                _ => {}
            }
            match self.says.pop_front() {
                None => return Poll::Ready(None),
                Some(Say::Bytes(bytes)) => {
                    self.script.0.lock().unwrap().taken += 1;
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Say::Cut) => return Poll::Ready(Some(Err("connection reset".into()))),
                Some(Say::Falter) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Say::Pause(_) | Say::Hang) => {}
            }
        }
    }
}

/// The token at a cursor.
pub(super) fn token(seq: u64) -> String {
    format!("rTOKEN{seq:0>74}")
}

pub(super) fn say(text: impl Into<String>) -> Say {
    Say::Bytes(text.into().into())
}

pub(super) fn control(json: &str, seq: u64) -> String {
    format!("event: resume\ndata: {json}\nid: {}\n\n", token(seq))
}

pub(super) fn open() -> String {
    control(&format!(r#"{{"phase":"open","token":"{}","request_id":"stream-1"}}"#, token(0)), 0)
}

pub(super) fn replay(from: u64) -> String {
    let token = token(from);
    control(&format!(r#"{{"phase":"replay","token":"{token}","request_id":"stream-1","from":{from}}}"#), from)
}

pub(super) fn event(seq: u64) -> String {
    format!("data: e{seq}\nid: {}\n\n", token(seq))
}

pub(super) fn gap(from: u64, to: u64) -> String {
    control(&format!(r#"{{"phase":"gap","from":{from},"to":{to},"reason":"trimmed"}}"#), to)
}

pub(super) fn end(seq: u64) -> String {
    control(&format!(r#"{{"phase":"end","status":"complete","seq":{seq}}}"#), seq)
}

/// `open`, events from 1 to `last`, and `end`.
pub(super) fn whole(last: u64) -> String {
    open() + &(1..=last).map(event).collect::<String>() + &end(last)
}

/// What is left of a stream behind a cursor.
pub(super) fn rest(from: u64, last: u64) -> String {
    replay(from) + &(from + 1..=last).map(event).collect::<String>() + &end(last)
}
