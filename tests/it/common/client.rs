//! A client that sees heads, bytes and how a body ends; one connection a request, dropped with it.
#![allow(dead_code, reason = "each test binary uses a part")]

use super::{Item, Parser, SseEvent};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{collections::VecDeque, error::Error, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tower::ServiceExt as _;

/// Nothing that a test waits for takes this long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Request {
    addr: SocketAddr,
    request: http::request::Builder,
    body: Bytes,
    http2: bool,
    patience: Duration,
}

impl Request {
    pub fn new(addr: SocketAddr, method: Method, path: &str) -> Self {
        let request = http::Request::builder().method(method).uri(format!("http://{addr}{path}"));
        Self { addr, request, body: Bytes::new(), http2: false, patience: PATIENCE }
    }

    pub fn get(addr: SocketAddr, path: &str) -> Self {
        Self::new(addr, Method::GET, path)
    }

    pub fn post(addr: SocketAddr, path: &str) -> Self {
        Self::new(addr, Method::POST, path)
    }

    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.request = self.request.header(name, value.as_ref());
        self
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// How long the head, and each piece of the body, may take.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub async fn send(self) -> Reply {
        self.ask().await.expect("a response")
    }

    /// Sends it over a connection of the test's own making.
    pub async fn send_over(self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Reply {
        self.ask_over(io).await.expect("a response")
    }

    /// Sends it to a server that may not be there, or may go before it has answered.
    pub async fn ask(self) -> Result<Reply, Box<dyn Error + Send + Sync>> {
        let io = TcpStream::connect(self.addr).await?;
        self.ask_over(io).await
    }

    async fn ask_over(
        self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Reply, Box<dyn Error + Send + Sync>> {
        let (io, patience) = (TokioIo::new(io), self.patience);
        // Over HTTP/2 the address says it, and some servers refuse what says it twice.
        let request = if self.http2 { self.request } else { self.request.header("host", self.addr.to_string()) };
        let request = request.body(Full::new(self.body)).unwrap();
        let (response, connection) = if self.http2 {
            let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
            let connection = tokio::spawn(async move { drop(connection.await) });
            (timeout(patience, sender.send_request(request)).await, connection)
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
            let connection = tokio::spawn(async move { drop(connection.await) });
            (timeout(patience, sender.send_request(request)).await, connection)
        };
        let mut reply = Reply::of(response.expect("a response in time")?);
        reply.connection = Some(connection);
        reply.patience = patience;
        Ok(reply)
    }
}

/// Calls a service without a socket: for paused time, and to take a body at the test's own pace.
pub async fn call<S, B>(service: S, request: http::Request<axum::body::Body>) -> Reply
where
    S: tower::Service<http::Request<axum::body::Body>, Response = http::Response<B>>,
    S::Error: std::fmt::Debug,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    Reply::of(service.oneshot(request).await.unwrap())
}

/// A plain request for the handler's stream, for [`call`].
pub fn get_stream() -> http::Request<axum::body::Body> {
    http::Request::get("/stream").body(axum::body::Body::empty()).unwrap()
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Clean,
    Abrupt,
}

/// A response. Dropping it cuts its connection.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub version: http::Version,
    body: UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>,
    connection: Option<JoinHandle<()>>,
    patience: Duration,
    parser: Parser,
    items: VecDeque<Item>,
    /// All bytes so far.
    pub bytes: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.abort();
        }
    }
}

impl Reply {
    pub fn of<B>(response: http::Response<B>) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (head, body) = response.into_parts();
        Self {
            status: head.status,
            headers: head.headers,
            version: head.version,
            body: body.map_err(Into::into).boxed_unsync(),
            connection: None,
            patience: PATIENCE,
            parser: Parser::default(),
            items: VecDeque::new(),
            bytes: Vec::new(),
            trailers: None,
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn size_hint(&self) -> http_body::SizeHint {
        http_body::Body::size_hint(&self.body)
    }

    /// The next piece of the body.
    pub async fn frame(&mut self) -> Result<Bytes, Ended> {
        loop {
            return match timeout(self.patience, self.body.frame()).await.expect("a frame in time") {
                None => Err(Ended::Clean),
                Some(Err(_)) => Err(Ended::Abrupt),
                Some(Ok(frame)) => match frame.into_data() {
                    Err(frame) => {
                        self.trailers = frame.into_trailers().ok();
                        continue;
                    }
                    Ok(bytes) => {
                        self.bytes.extend_from_slice(&bytes);
                        Ok(bytes)
                    }
                },
            };
        }
    }

    /// Whether nothing comes for this long; for paused time.
    pub async fn is_silent(&mut self, time: Duration) -> bool {
        timeout(time, self.body.frame()).await.is_err()
    }

    /// The next event or comment.
    pub async fn item(&mut self) -> Result<Item, Ended> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Ok(item);
            }
            let bytes = self.frame().await?;
            self.items.extend(self.parser.push(&bytes));
        }
    }

    /// The next event; comments are passed over.
    pub async fn event(&mut self) -> SseEvent {
        loop {
            match self.item().await {
                Ok(Item::Event(event)) => return event,
                Ok(Item::Comment(_)) => {}
                Err(ended) => panic!("the body ended ({ended:?}) after {:?}", String::from_utf8_lossy(&self.bytes)),
            }
        }
    }

    /// The next event, which is a control event of this phase.
    pub async fn phase(&mut self, phase: &str) -> serde_json::Value {
        let event = self.event().await;
        assert_eq!(event.phase().as_deref(), Some(phase), "{event:?}");
        event.json()
    }

    /// The next events, which are the handler's and hold these numbers; the id of the last.
    pub async fn counts(&mut self, numbers: impl IntoIterator<Item = u64>) -> String {
        let mut id = None;
        for number in numbers {
            let event = self.event().await;
            assert_eq!((event.event.as_str(), event.data.as_str()), ("message", number.to_string().as_str()));
            id = event.id;
        }
        id.expect("an id")
    }

    /// All that is left, and how it ended.
    pub async fn rest(&mut self) -> (Vec<Item>, Ended) {
        let mut items = Vec::new();
        loop {
            match self.item().await {
                Ok(item) => items.push(item),
                Err(ended) => return (items, ended),
            }
        }
    }

    /// All events that are left, comments aside, and how it ended.
    pub async fn events(&mut self) -> (Vec<SseEvent>, Ended) {
        let (items, ended) = self.rest().await;
        let event = |item| match item {
            Item::Event(event) => Some(event),
            Item::Comment(_) => None,
        };
        (items.into_iter().filter_map(event).collect(), ended)
    }

    /// The whole body as text.
    pub async fn text(mut self) -> String {
        while self.frame().await.is_ok() {}
        String::from_utf8(std::mem::take(&mut self.bytes)).unwrap()
    }

    pub async fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.text().await).unwrap()
    }
}
