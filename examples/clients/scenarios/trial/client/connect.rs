//! How the client comes, and comes back: its requests, and what each answer means for it.

use super::{Client, Flaw, Open, PATIENCE, Stop};
use crate::sse::Parser;
use axum::body::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tokio::{net::TcpStream, task::JoinSet};

impl Client {
    pub(super) async fn connect(&mut self) -> Result<(), Stop> {
        if self.attempts > 0 {
            let most = self.retry.min(PATIENCE).as_millis() as u64 * (1 << self.attempts.min(5));
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=most))).await;
        }
        self.attempts += 1;
        if self.option("max_attempts").and_then(Value::as_u64).is_some_and(|most| self.attempts > most) {
            return Err(Stop::Error("gave_up", None));
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
        if self.attempts > 1 && self.expires_at.is_some_and(|at| at <= now) {
            return self.anew("unauthorized", None);
        }
        let request = self.told["request"].clone();
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        let method: Method = text("method").parse().unwrap();
        let safe = method == Method::GET;
        if self.began && !self.layered && !safe {
            return Err(Stop::Error("not_resumable", None));
        }
        let token = self.token.clone().filter(|_| self.flaw != Flaw::NoToken);
        let key = self.option("idempotency_key").map(|_| "a-key-of-its-own".to_owned());
        let resuming = token.is_some();
        let asked = if let Some(token) = token {
            let mut headers = vec![("x-resume-token", token)];
            if self.from_start || self.flaw == Flaw::Repeats {
                headers.push(("x-resume-from", "0".to_owned()));
            } else if !self.ids {
                headers.push(("x-resume-from", self.seq.to_string()));
            }
            let url = self.resume_url();
            self.ask(Method::GET, &url, headers, "").await
        } else {
            let mut headers: Vec<_> = key.iter().map(|key| ("idempotency-key", key.clone())).collect();
            headers.extend(self.id.iter().map(|id| ("last-event-id", id.clone())));
            self.ask(method, &text("url"), headers, &text("body")).await
        };
        let Ok(open) = asked else {
            return if resuming || safe || key.is_some() { Ok(()) } else { Err(Stop::Error("start_failed", None)) };
        };
        self.answered(open, resuming).await
    }

    pub(super) async fn ask(
        &mut self,
        method: Method,
        url: &str,
        headers: Vec<(&str, String)>,
        body: &str,
    ) -> Result<Open, Box<dyn std::error::Error + Send + Sync>> {
        let uri: hyper::Uri = url.parse()?;
        let io = TcpStream::connect(uri.authority().unwrap().as_str()).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _ = connection.await;
        });
        let path = uri.path_and_query().unwrap().as_str().to_owned();
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1");
        for (name, value) in self.told["request"]["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        request = request.header("accept", "text/event-stream");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = sender.send_request(request.body(Full::new(Bytes::from(body.to_owned())))?).await?;
        Ok(Open { response, parser: Parser::default(), _connection: task })
    }

    async fn answered(&mut self, open: Open, resuming: bool) -> Result<(), Stop> {
        let headers = open.response.headers();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_stream = text("content-type").starts_with("text/event-stream");
        let status = open.response.status().as_u16();
        if let Some(token) = headers.get("x-resume-token") {
            self.token = Some(token.to_str().unwrap().to_owned());
            self.layered = true;
        }
        let after = text("retry-after").to_owned();
        match open.response.status() {
            StatusCode::OK if is_stream => {
                self.from_start = false;
                self.began = true;
                self.open = Some(open);
            }
            StatusCode::OK if resuming && self.attempts < 5 => {}
            StatusCode::OK => return Err(Stop::Error("not_event_stream", Some(200))),
            StatusCode::NO_CONTENT => return Err(Stop::Ended),
            StatusCode::UNAUTHORIZED => return self.anew("unauthorized", Some(status)),
            StatusCode::UPGRADE_REQUIRED | StatusCode::GONE => return self.anew("gone", Some(status)),
            _ if [429, 503, 502, 504, 500, 408, 425].contains(&status) => {
                let wait = after.parse().map_or_else(
                    |_| {
                        let at = httpdate::parse_http_date(&after).ok();
                        at.and_then(|at| at.duration_since(SystemTime::now()).ok()).unwrap_or_default()
                    },
                    Duration::from_secs,
                );
                if self.flaw != Flaw::Impatient {
                    tokio::time::sleep(wait).await;
                }
            }
            _ => return Err(Stop::Error("refused", Some(status))),
        }
        Ok(())
    }

    /// What cannot go on: a new stream, where that is wanted.
    fn anew(&mut self, code: &'static str, status: Option<u16>) -> Result<(), Stop> {
        if self.option("restart") != Some(&Value::Bool(true)) && self.flaw != Flaw::BeginsAnew {
            return Err(Stop::Error(code, status));
        }
        (self.token, self.id, self.seq, self.attempts, self.expires_at) = (None, None, 0, 0, None);
        self.began = false;
        self.push(json!({"type": "restart"}));
        Ok(())
    }
}
