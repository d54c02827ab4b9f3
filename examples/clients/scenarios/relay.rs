//! One request on its way to a node, and the answer on its way back, as far as it may go.

use crate::{
    fate::{At, Cut, How, Pass},
    http1::{self, Connection},
    proxy::Proxy,
    wire::{Exchange, Witness},
};
use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header},
};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::{
    future, io,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

/// A client that takes nothing for so long has stopped reading.
const STALL: Duration = Duration::from_millis(300);

/// What goes out at a time, and the pause behind it, of an answer that is paced.
const PIECE: usize = 32 * 1024;
const PAUSE: Duration = Duration::from_millis(4);

/// How an answer went.
pub(crate) enum Flow {
    Whole,
    /// The client has left.
    Left,
    /// The node broke it off.
    Broken,
    Cut(Cut),
}

/// A node's answer; its connection ends where this is dropped.
struct Reply {
    response: Response<Incoming>,
    _connection: JoinSet<()>,
}

async fn ask(node: SocketAddr, exchange: &Exchange, headers: HeaderMap) -> io::Result<Reply> {
    let io = TcpStream::connect(node).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(io)).await.map_err(io::Error::other)?;
    let mut task = JoinSet::new();
    task.spawn(async move {
        let _ = connection.await;
    });
    let mut request = Request::new(Full::new(Bytes::from(exchange.body.clone())));
    *request.method_mut() = exchange.method.clone();
    *request.uri_mut() = exchange.path.parse().map_err(io::Error::other)?;
    *request.headers_mut() = headers;
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    Ok(Reply { response, _connection: task })
}

fn onward(exchange: &Exchange, as_browser: bool) -> HeaderMap {
    let mut headers = exchange.headers.clone();
    for ours in [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        headers.remove(ours);
    }
    if let (true, Some(token)) = (as_browser, headers.get("x-resume-token").cloned()) {
        headers.insert("last-event-id", token);
    }
    headers
}

/// Reads the stream of this request as somebody else.
async fn crowd(node: SocketAddr, exchange: &Exchange) -> io::Result<Reply> {
    loop {
        let reply = ask(node, exchange, onward(exchange, false)).await?;
        // The reader that was broken off may not have left yet.
        if reply.response.status() != StatusCode::TOO_MANY_REQUESTS {
            return Ok(reply);
        }
        sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn relay(
    proxy: &Proxy,
    connection: &mut Connection,
    index: usize,
    exchange: Exchange,
    pass: Pass,
) -> io::Result<Flow> {
    let Some(node) = proxy.nodes.get(pass.to).copied() else { return Err(io::Error::other("no such node")) };
    let _crowd = if pass.crowd { Some(crowd(node, &exchange).await?) } else { None };
    let reply = tokio::select! {
        reply = ask(node, &exchange, onward(&exchange, pass.as_browser)) => reply?,
        () = connection.left() => return Ok(Flow::Left),
    };
    let mut out = Out {
        proxy,
        connection,
        index,
        cut: pass.cut,
        paced: pass.paced,
        raw: 0,
        body: 0,
        last: None,
        is_stream: false,
        wrote_at: Instant::now(),
        witness: Witness::new(&proxy.control),
    };
    let end = out.answer(reply).await;
    let (bytes, silence) = (out.raw, out.wrote_at.elapsed());
    proxy.with(index, |exchange| (exchange.bytes, exchange.silence) = (bytes, silence));
    Ok(match end {
        Ok(End::Whole) => Flow::Whole,
        Ok(End::Broken) => Flow::Broken,
        Ok(End::Cut) => out.cut.map_or(Flow::Broken, Flow::Cut),
        // An error: nobody reads any more.
        Ok(End::Left) | Err(_) => Flow::Left,
    })
}

/// An answer as it is written.
struct Out<'a> {
    proxy: &'a Proxy,
    connection: &'a mut Connection,
    index: usize,
    cut: Option<Cut>,
    paced: bool,
    /// Bytes written, and those of them that are the body's own.
    raw: u64,
    body: u64,
    last: Option<u8>,
    is_stream: bool,
    wrote_at: Instant,
    witness: Witness,
}

enum Next {
    Data(Bytes),
    End,
    Broken,
    Left,
    Cut,
}

enum End {
    Whole,
    Left,
    Broken,
    Cut,
}

/// Whether a write was the last one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrote {
    All,
    Part,
}

impl Out<'_> {
    async fn answer(&mut self, mut reply: Reply) -> io::Result<End> {
        if self.at(|at| matches!(at, At::Nothing)) {
            return Ok(End::Cut);
        }
        let (parts, mut body) = (reply.response.headers().clone(), Vec::new());
        let status = reply.response.status();
        let is_stream = |value: &HeaderValue| value.as_bytes().starts_with(b"text/event-stream");
        self.is_stream = parts.get(header::CONTENT_TYPE).is_some_and(is_stream);
        let length = if self.is_stream {
            None
        } else {
            body = reply.response.body_mut().collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
            Some(body.len())
        };
        let mut head = http1::head(status, &parts, length);
        head.extend_from_slice(&body);
        let then = Instant::now();
        if self.put(&head).await? == Wrote::Part {
            return Ok(End::Cut);
        }
        self.told(&parts, status, then);
        if !self.is_stream {
            return Ok(End::Whole);
        }
        loop {
            match self.next(&mut reply.response).await {
                Next::Data(data) => {
                    if self.chunks(&data).await? == Wrote::Part {
                        return Ok(End::Cut);
                    }
                }
                Next::End => {
                    self.put(b"0\r\n\r\n").await?;
                    return Ok(End::Whole);
                }
                Next::Broken => return Ok(End::Broken),
                Next::Left => return Ok(End::Left),
                Next::Cut => {
                    if self.how() == Some(How::Clean) {
                        self.put(b"0\r\n\r\n").await?;
                    }
                    return Ok(End::Cut);
                }
            }
        }
    }

    /// The head has gone out whole, from `then` on.
    fn told(&self, headers: &HeaderMap, status: StatusCode, then: Instant) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(token) = text("x-resume-token") {
            self.proxy.world.tokens().insert(token.to_owned());
        }
        let wait = text("retry-after").and_then(|seconds| seconds.parse().ok());
        self.proxy.with(self.index, |exchange| {
            exchange.status = Some(status);
            exchange.is_stream = self.is_stream;
            if let Some(seconds) = wait {
                exchange.asked_to_wait(then, Duration::from_secs(seconds));
            }
        });
        let exchanges = self.proxy.world.exchanges();
        let is_resume = exchanges.get(self.index).is_some_and(|exchange| exchange.header("x-resume-token").is_some());
        drop(exchanges);
        if self.is_stream && is_resume {
            self.proxy.world.note(|facts| facts.resumed += 1);
        }
    }

    async fn next(&mut self, response: &mut Response<Incoming>) -> Next {
        let cut = async {
            match &self.cut {
                Some(Cut { at: At::When(is_so), .. }) => self.proxy.world.until(is_so).await,
                _ => future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cut => Next::Cut,
            frame = response.body_mut().frame() => match frame {
                Some(Ok(frame)) => frame.into_data().map_or(Next::End, Next::Data),
                Some(Err(_)) => Next::Broken,
                None => Next::End,
            },
            () = self.connection.left() => Next::Left,
        }
    }

    fn at(&self, is_so: impl FnOnce(&At) -> bool) -> bool {
        self.cut.as_ref().is_some_and(|cut| is_so(&cut.at))
    }

    fn how(&self) -> Option<How> {
        self.cut.as_ref().map(|cut| cut.how)
    }

    /// Body bytes; by single events where these are counted.
    async fn chunks(&mut self, data: &[u8]) -> io::Result<Wrote> {
        if !self.at(|at| matches!(at, At::Event(_))) {
            return self.chunk(data).await;
        }
        let mut rest = data;
        while !rest.is_empty() {
            let end = rest.windows(2).position(|window| window == b"\n\n").map_or(rest.len(), |at| at + 2);
            let (piece, behind) = rest.split_at(end);
            rest = behind;
            self.chunk(piece).await?;
            if self.at(|at| matches!(at, At::Event(events) if self.witness.sent().events >= *events)) {
                if self.how() == Some(How::Clean) {
                    self.put(b"0\r\n\r\n").await?;
                }
                return Ok(Wrote::Part);
            }
        }
        Ok(Wrote::All)
    }

    /// How many of these body bytes may go out, where that is not all.
    fn stop(&self, data: &[u8]) -> Option<usize> {
        let room = |bytes: u64| usize::try_from(bytes.saturating_sub(self.body)).unwrap_or(usize::MAX);
        match &self.cut.as_ref()?.at {
            At::Body(bytes) => Some(room(*bytes)).filter(|room| *room <= data.len()),
            At::Inside(spot, from) => {
                let skip = room(*from);
                let behind = data.get(skip..)?;
                let before = skip.checked_sub(1).and_then(|at| data.get(at).copied()).or(self.last);
                spot.find(behind, before).map(|found| skip + found)
            }
            _ => None,
        }
    }

    async fn chunk(&mut self, data: &[u8]) -> io::Result<Wrote> {
        let stop = self.stop(data);
        let going = data.get(..stop.unwrap_or(data.len())).unwrap_or(data);
        let clean = stop.is_some() && self.how() == Some(How::Clean);
        let announced = if clean { going.len() } else { data.len() };
        let mut bytes = Vec::with_capacity(going.len() + 32);
        if announced > 0 {
            bytes.extend_from_slice(format!("{announced:x}\r\n").as_bytes());
        }
        let before = self.raw + bytes.len() as u64;
        bytes.extend_from_slice(going);
        if announced == going.len() && announced > 0 {
            bytes.extend_from_slice(b"\r\n");
        }
        if clean {
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
        let wrote = self.put(&bytes).await?;
        // What has gone out of the body itself.
        let out = usize::try_from(self.raw.saturating_sub(before)).unwrap_or(usize::MAX).min(going.len());
        let out = going.get(..out).unwrap_or(going);
        self.body += out.len() as u64;
        self.last = out.last().copied().or(self.last);
        self.witness.sees(out, &self.proxy.world);
        let sent = self.witness.sent();
        self.proxy.with(self.index, |exchange| exchange.sent = sent);
        Ok(if stop.is_some() { Wrote::Part } else { wrote })
    }

    /// Writes, and notes where the client takes nothing.
    async fn put(&mut self, bytes: &[u8]) -> io::Result<Wrote> {
        let room = match &self.cut {
            Some(Cut { at: At::Bytes(bytes), .. }) => bytes.saturating_sub(self.raw),
            _ => u64::MAX,
        };
        let len = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        let mut rest = bytes.get(..len).unwrap_or(bytes);
        while !rest.is_empty() {
            let piece = if self.paced { rest.get(..PIECE).unwrap_or(rest) } else { rest };
            match timeout(STALL, self.connection.io.write(piece)).await {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(Ok(written)) => {
                    rest = rest.get(written..).unwrap_or_default();
                    self.raw += written as u64;
                    self.wrote_at = Instant::now();
                    self.proxy.world.note(|facts| facts.bytes += written as u64);
                    if self.paced {
                        sleep(PAUSE).await;
                    }
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => self.proxy.world.note(|facts| facts.stalls += 1),
            }
        }
        Ok(if len < bytes.len() { Wrote::Part } else { Wrote::All })
    }
}
