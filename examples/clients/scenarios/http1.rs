//! As much of HTTP/1.1 as a proxy needs that wants to break it.

use crate::wire::Exchange;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::{fmt::Write as _, io};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What a client of a scenario never needs more of.
const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 1024 * 1024;

/// A connection of a client.
pub(crate) struct Connection {
    pub(crate) io: TcpStream,
    /// What was read and not used yet.
    ahead: Vec<u8>,
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Connection {
    pub(crate) const fn new(io: TcpStream) -> Self {
        Self { io, ahead: Vec::new() }
    }

    /// Reads more. `false`: the client has closed.
    pub(crate) async fn read(&mut self) -> io::Result<bool> {
        Ok(self.io.read_buf(&mut self.ahead).await? > 0)
    }

    /// Ready once the client has left; what it says meanwhile waits.
    pub(crate) async fn left(&mut self) {
        while self.ahead.len() < MAX_HEAD && self.read().await.is_ok_and(|more| more) {}
    }

    /// The next request; `None` where the client is done.
    pub(crate) async fn request(&mut self) -> io::Result<Option<Exchange>> {
        let end = loop {
            if let Some(end) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if self.ahead.len() > MAX_HEAD {
                return Err(bad("the head is too long"));
            }
            if !self.read().await? {
                return Ok(None);
            }
        };
        let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
        let head = String::from_utf8(head).map_err(|_| bad("the head is no text"))?;
        let mut lines = head.trim_end().split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let method = words.next().and_then(|word| word.parse::<Method>().ok()).ok_or(bad("no method"))?;
        let path = words.next().ok_or(bad("no path"))?.to_owned();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(bad("a line that is no header"))?;
            let name: HeaderName = name.parse().map_err(|_| bad("a header's name"))?;
            headers.append(name, HeaderValue::from_str(value.trim()).map_err(|_| bad("a header's value"))?);
        }
        let body = self.body(&headers).await?;
        Ok(Some(Exchange::new(method, path, headers, body)))
    }

    async fn body(&mut self, headers: &HeaderMap) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if headers.contains_key("transfer-encoding") {
            loop {
                let line = self.line().await?;
                let len = usize::from_str_radix(line.trim(), 16).map_err(|_| bad("a chunk's length"))?;
                if body.len() + len > MAX_BODY {
                    return Err(bad("the body is too long"));
                }
                body.extend(self.exactly(len).await?);
                self.line().await?;
                if len == 0 {
                    return Ok(body);
                }
            }
        }
        let len = headers.get("content-length").and_then(|len| len.to_str().ok()).unwrap_or("0");
        let len: usize = len.parse().map_err(|_| bad("the body's length"))?;
        if len > MAX_BODY {
            return Err(bad("the body is too long"));
        }
        self.exactly(len).await
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|window| window == b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..end + 2).collect();
                return String::from_utf8(line).map_err(|_| bad("a line that is no text"));
            }
            if self.ahead.len() > MAX_HEAD || !self.read().await? {
                return Err(bad("an unfinished line"));
            }
        }
    }

    async fn exactly(&mut self, len: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < len {
            if !self.read().await? {
                return Err(bad("an unfinished body"));
            }
        }
        Ok(self.ahead.drain(..len).collect())
    }

    /// Closes it so that the other side gets a reset.
    pub(crate) fn reset(self) {
        let _ = self.io.set_zero_linger();
    }

    /// Closes the sending half, and waits for the client to do the same.
    pub(crate) async fn close(mut self) {
        let _ = self.io.shutdown().await;
        self.ahead.clear();
        self.left().await;
    }
}

/// The head of an answer. Scripts of any page may read it all, so that clients in browsers can be judged, too.
pub(crate) fn head(status: StatusCode, headers: &HeaderMap, length: Option<usize>) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or("Unknown"));
    for (name, value) in headers {
        let ours = ["transfer-encoding", "content-length", "connection", "keep-alive"].contains(&name.as_str())
            || name.as_str().starts_with("access-control-");
        if let (false, Ok(value)) = (ours, value.to_str()) {
            let _ = write!(head, "{name}: {value}\r\n");
        }
    }
    head.push_str("access-control-allow-origin: *\r\naccess-control-expose-headers: *\r\n");
    let _ = match length {
        // 204 has no body, and says nothing of its length.
        Some(0) if status == StatusCode::NO_CONTENT => write!(head, "\r\n"),
        Some(length) => write!(head, "content-length: {length}\r\n\r\n"),
        None => write!(head, "transfer-encoding: chunked\r\n\r\n"),
    };
    head.into_bytes()
}

/// What a browser asks before it sends a request with headers of ours. The connection ends with it: a browser sends a
/// request again by itself, a `POST` too, where a connection that it has used before breaks without an answer.
pub(crate) fn preflight(asked: &Exchange) -> Vec<u8> {
    let headers = asked.header("access-control-request-headers").unwrap_or("*");
    format!(
        "HTTP/1.1 204 No Content\r\naccess-control-allow-origin: *\r\naccess-control-allow-methods: GET, POST, DELETE\r\n\
         access-control-allow-headers: {headers}\r\naccess-control-max-age: 600\r\nconnection: close\r\n\r\n"
    )
    .into_bytes()
}
