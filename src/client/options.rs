//! What a stream is to do: everything that a request was given, in one place that does not change any more.

use super::{
    error::{BoxError, Error, ErrorKind},
    storage::Storage,
    transport::{Outgoing, Transport},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE},
};
use reqwest::Url;
use std::{fmt, sync::Arc, time::Duration};

/// Longest silence of a connection. The server's heartbeat comes every 10 s.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// What the waits between attempts begin with, where the server does not say.
pub const DEFAULT_RETRY_BASE: Duration = Duration::from_secs(1);
/// Longest wait between attempts, but for what the server asks for.
pub const DEFAULT_RETRY_MAX: Duration = Duration::from_secs(30);
/// Largest event that is taken in, in bytes.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

pub(super) const TOKEN: HeaderName = HeaderName::from_static("x-resume-token");
const FROM: HeaderName = HeaderName::from_static("x-resume-from");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Gives the headers of the next request.
pub(super) type Headers = Arc<dyn Fn() -> BoxFuture<'static, Result<HeaderMap, BoxError>> + Send + Sync>;

/// Where a stream that was kept is taken up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResumeFrom {
    /// Behind the last event that was seen.
    #[default]
    Missed,
    /// At the start: everything again, for a client that has lost what it made of the events.
    Start,
}

/// Whether, and how, the first request says that it is always the same one.
#[derive(Clone, Debug)]
pub(super) enum Key {
    None,
    Given(HeaderValue),
    /// A new one for each start.
    Random,
}

pub(super) struct Options {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) more_headers: Option<Headers>,
    pub(super) body: Option<Bytes>,
    pub(super) resume_url: Option<Url>,
    pub(super) resume_method: Method,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) retry_base: Duration,
    pub(super) retry_max: Duration,
    pub(super) max_attempts: Option<u32>,
    pub(super) max_event_bytes: usize,
    pub(super) key: Key,
    pub(super) restart: bool,
    pub(super) control: bool,
    pub(super) control_event: String,
    pub(super) storage: Option<Arc<dyn Storage>>,
    pub(super) storage_key: Option<String>,
    pub(super) resume_from: ResumeFrom,
}

impl Options {
    pub(super) fn new(transport: Arc<dyn Transport>, method: Method, url: Url) -> Self {
        Self {
            transport,
            method,
            url,
            headers: HeaderMap::new(),
            more_headers: None,
            body: None,
            resume_url: None,
            resume_method: Method::GET,
            idle_timeout: Some(DEFAULT_IDLE_TIMEOUT),
            retry_base: DEFAULT_RETRY_BASE,
            retry_max: DEFAULT_RETRY_MAX,
            max_attempts: None,
            max_event_bytes: DEFAULT_MAX_EVENT_BYTES,
            key: Key::None,
            restart: false,
            control: false,
            control_event: "resume".to_owned(),
            storage: None,
            storage_key: None,
            resume_from: ResumeFrom::Missed,
        }
    }

    /// Whether the first request does no harm when it is sent again.
    pub(super) fn is_repeatable(&self) -> bool {
        self.method.is_safe() || !matches!(self.key, Key::None) || self.headers.contains_key(IDEMPOTENCY_KEY)
    }

    /// Where a stream is resumed, and cancelled.
    pub(super) fn resume_url(&self) -> &Url {
        self.resume_url.as_ref().unwrap_or(&self.url)
    }

    /// What the stream is kept under.
    pub(super) fn storage_key(&self) -> String {
        self.storage_key.clone().unwrap_or_else(|| format!("{} {}", self.method, self.url))
    }

    /// The first request.
    pub(super) fn start(&self, key: Option<HeaderValue>) -> Outgoing {
        let mut headers = self.headers.clone();
        set(&mut headers, IDEMPOTENCY_KEY, key);
        let body = self.body.clone();
        self.stream(Outgoing { method: self.method.clone(), url: self.url.clone(), headers, body })
    }

    /// The request for the rest of a stream.
    pub(super) fn resume(&self, token: HeaderValue, from: Option<u64>) -> Outgoing {
        let mut request = self.bodiless(self.resume_method.clone(), self.resume_url());
        set(&mut request.headers, TOKEN, Some(token));
        set(&mut request.headers, FROM, from.map(HeaderValue::from));
        self.stream(request)
    }

    /// The request for the rest of a plain stream.
    pub(super) fn reconnect(&self, last_id: Option<HeaderValue>) -> Outgoing {
        let mut request = self.bodiless(self.method.clone(), &self.url);
        set(&mut request.headers, LAST_EVENT_ID, last_id);
        self.stream(request)
    }

    /// The request that cancels a stream.
    pub(super) fn cancel(&self, token: HeaderValue) -> Outgoing {
        let mut request = self.bodiless(Method::DELETE, self.resume_url());
        set(&mut request.headers, TOKEN, Some(token));
        request
    }

    /// The headers of the caller's own go along, but for those that speak of a body, or of a start.
    fn bodiless(&self, method: Method, url: &Url) -> Outgoing {
        let mut headers = self.headers.clone();
        for name in [CONTENT_TYPE, CONTENT_LENGTH, IDEMPOTENCY_KEY] {
            headers.remove(name);
        }
        Outgoing { method, url: url.clone(), headers, body: None }
    }

    fn stream(&self, mut request: Outgoing) -> Outgoing {
        request.headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        request.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        request
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}

/// The request with what is asked for each time. What the client says by itself is not to be said by others.
pub(super) async fn complete(mut request: Outgoing, more: Option<Headers>) -> Result<Outgoing, BoxError> {
    if let Some(more) = more {
        let mut more = more().await?;
        for name in [TOKEN, FROM, LAST_EVENT_ID, IDEMPOTENCY_KEY, ACCEPT, CACHE_CONTROL, CONTENT_TYPE, CONTENT_LENGTH] {
            more.remove(name);
        }
        merge(&mut request.headers, more);
    }
    Ok(request)
}

/// Adds headers, in place of others of their names.
pub(super) fn merge(headers: &mut HeaderMap, more: HeaderMap) {
    for name in more.keys() {
        headers.remove(name);
    }
    headers.extend(more);
}

/// A token as a header that nobody prints.
pub(super) fn secret(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(token).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Says what is wrong with a URL, if anything is.
pub(super) fn checked(url: Url) -> Result<Url, Error> {
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(Error::new(ErrorKind::BadUrl, format!("a URL of http or https expected, `{other}:` given"))),
    }
}

/// A URL as it can be shown: without user and query, which may hold secrets.
pub(super) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("method", &self.method)
            .field("url", &shown(&self.url))
            .field("resume_url", &self.resume_url.as_ref().map(shown))
            .finish_non_exhaustive()
    }
}
