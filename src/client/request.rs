//! A stream that is about to be started.

use super::{
    error::{Error, ErrorKind},
    events::Events,
    options::{self, Key, Options, ResumeFrom},
    state::State,
    storage::Storage,
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::CONTENT_TYPE};
use reqwest::Url;
use serde::Serialize;
use std::{fmt, sync::Arc, time::Duration};

/// A stream that is about to be started: what is asked for, and how the client is to come back.
///
/// Made by [`Client::get`](super::Client::get), [`Client::post`](super::Client::post) and
/// [`Client::request`](super::Client::request). What is wrong with it, the stream says: it is the first thing that it
/// yields.
///
/// ```no_run
/// use std::time::Duration;
/// use tower_resume::client::{Client, FileStorage};
///
/// // A program that is killed and started again goes on where it was. Without a server it gives up after ten attempts.
/// let stream = Client::new()
///     .get("http://127.0.0.1:3000/count")
///     .storage(FileStorage::new("places"))
///     .retry_max(Duration::from_secs(5))
///     .max_attempts(10)
///     .send();
/// # let _ = stream;
/// ```
#[must_use = "nothing is asked for before the stream is made by `send` and read"]
pub struct Request {
    options: Result<Options, Error>,
    on_state: Option<Box<dyn FnMut(State) + Send>>,
}

impl Request {
    pub(super) fn new(options: Result<Options, Error>) -> Self {
        Self { options, on_state: None }
    }

    fn with(mut self, change: impl FnOnce(&mut Options) -> Result<(), Error>) -> Self {
        self.options = self.options.and_then(|mut options| change(&mut options).map(|()| options));
        self
    }

    fn set(self, change: impl FnOnce(&mut Options)) -> Self {
        self.with(|options| {
            change(options);
            Ok(())
        })
    }

    /// Sends this value as JSON.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        self.with(|options| {
            let json = serde_json::to_vec(value).map_err(|error| {
                Error::new(ErrorKind::BadRequest, "the body cannot be written as JSON").with_source(error)
            })?;
            options.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            options.body = Some(json.into());
            Ok(())
        })
    }

    /// Sends these bytes. They are kept, since a start may have to be sent again.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        self.set(|options| options.body = Some(body.into()))
    }

    /// Sends this header, in place of any other of the name: with the first request, and when coming back.
    pub fn header<N, V>(self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.with(|options| {
            let bad = |what| Error::new(ErrorKind::BadRequest, what);
            let name = name.try_into().map_err(|_| bad("the name of a header is none"))?;
            let value = value.try_into().map_err(|_| bad("the value of a header holds what a header cannot"))?;
            options.headers.insert(name, value);
            Ok(())
        })
    }

    /// Sends these headers, as [`Request::header`] does.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.set(|options| options::merge(&mut options.headers, headers))
    }

    /// Asks for headers before each request, when coming back and to cancel, too: for what does not last as long as a
    /// stream, such as a bearer token. An error counts as a request that did not get through.
    ///
    /// ```no_run
    /// # use tower_resume::client::Client;
    /// # async fn access_token() -> Result<String, std::io::Error> { Ok(String::new()) }
    /// let stream = Client::new()
    ///     .get("http://127.0.0.1:3000/count")
    ///     .headers_with(|| async {
    ///         let value = format!("Bearer {}", access_token().await?).parse()?;
    ///         Ok([(http::header::AUTHORIZATION, value)].into_iter().collect())
    ///     })
    ///     .send();
    /// ```
    pub fn headers_with<F, R>(self, headers: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<HeaderMap, Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        self.set(|options| options.more_headers = Some(Arc::new(move || headers().boxed())))
    }

    /// Where the stream is resumed and cancelled, absolute or relative to the first request's URL. The same URL by
    /// default.
    pub fn resume_url(self, url: impl AsRef<str>) -> Self {
        self.with(|options| {
            let bad = |error| Error::new(ErrorKind::BadUrl, "the URL to resume at is none").with_source(error);
            let url: Url = options.url.join(url.as_ref()).map_err(bad)?;
            options.resume_url = Some(options::checked(url)?);
            Ok(())
        })
    }

    /// The method that the stream is resumed with: `GET` by default.
    pub fn resume_method(self, method: Method) -> Self {
        self.set(|options| options.resume_method = method)
    }

    /// How long a connection may be silent before it counts as lost; heartbeats are no silence.
    /// [`DEFAULT_IDLE_TIMEOUT`](super::DEFAULT_IDLE_TIMEOUT) by default. Zero is for ever.
    ///
    /// It counts for answers, too, but for that to a start that is not sent again: it may take as long as it takes.
    pub fn idle_timeout(self, time: Duration) -> Self {
        self.set(|options| options.idle_timeout = (!time.is_zero()).then_some(time))
    }

    /// The first wait is random, up to this; each further one up to twice as much. It counts until the server says
    /// otherwise by `retry:`. [`DEFAULT_RETRY_BASE`](super::DEFAULT_RETRY_BASE) by default.
    pub fn retry_base(self, time: Duration) -> Self {
        self.set(|options| options.retry_base = time)
    }

    /// Longest wait, but for what the server asks for by `Retry-After`. [`DEFAULT_RETRY_MAX`](super::DEFAULT_RETRY_MAX)
    /// by default.
    pub fn retry_max(self, time: Duration) -> Self {
        self.set(|options| options.retry_max = time)
    }

    /// After how many attempts in a row that brought nothing the stream fails. No number by default: it tries until
    /// its token is past its time.
    pub fn max_attempts(self, attempts: u32) -> Self {
        self.set(|options| options.max_attempts = Some(attempts.max(1)))
    }

    /// The largest event that is taken in, in bytes, with its field names. A larger one is an error.
    /// [`DEFAULT_MAX_EVENT_BYTES`](super::DEFAULT_MAX_EVENT_BYTES) by default.
    pub fn max_event_bytes(self, bytes: usize) -> Self {
        self.set(|options| options.max_event_bytes = bytes)
    }

    /// Sends this `Idempotency-Key` with the first request. A start that is lost on its way is sent again then, also
    /// with a method that is not safe: the server sees to it that it runs once.
    pub fn idempotency_key(self, key: impl AsRef<str>) -> Self {
        self.with(|options| {
            let bad = |_| Error::new(ErrorKind::BadRequest, "the idempotency key holds what a header cannot");
            options.key = Key::Given(HeaderValue::from_str(key.as_ref()).map_err(bad)?);
            Ok(())
        })
    }

    /// As [`Request::idempotency_key`], with a random key.
    pub fn idempotent(self) -> Self {
        self.set(|options| options.key = Key::Random)
    }

    /// Where the stream cannot be resumed any more, starts a new one and yields [`Item::Restart`](super::Item::Restart)
    /// before its first event. Off by default: it fails with an error that [needs a new
    /// start](Error::needs_new_start).
    pub fn restart(self, restart: bool) -> Self {
        self.set(|options| options.restart = restart)
    }

    /// Yields [`Item::Control`](super::Item::Control), too. Off by default.
    pub fn control(self, control: bool) -> Self {
        self.set(|options| options.control = control)
    }

    /// What the server calls the layer's own events: `resume` by default.
    pub fn control_event(self, name: impl Into<String>) -> Self {
        self.set(|options| options.control_event = name.into())
    }

    /// Keeps the place in the stream here, and takes up what is there from an earlier run of the program: the stream is
    /// resumed then instead of started.
    pub fn storage(self, storage: impl Storage) -> Self {
        self.set(|options| options.storage = Some(Arc::new(storage)))
    }

    /// What the place is kept under: method and URL by default. Streams that differ by their bodies need keys of
    /// their own.
    pub fn storage_key(self, key: impl Into<String>) -> Self {
        self.set(|options| options.storage_key = Some(key.into()))
    }

    /// Where a stream that was kept is taken up: [`ResumeFrom::Missed`] by default.
    pub fn resume_from(self, from: ResumeFrom) -> Self {
        self.set(|options| options.resume_from = from)
    }

    /// Calls this with each new state. It is called while the stream is read, so it should not take long.
    pub fn on_state(mut self, on_state: impl FnMut(State) + Send + 'static) -> Self {
        self.on_state = Some(Box::new(on_state));
        self
    }

    /// The stream. Nothing is sent before it is read.
    #[must_use = "a stream does nothing unless it is read"]
    pub fn send(self) -> Events {
        Events::new(self.options, self.on_state)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("options", &self.options).finish_non_exhaustive()
    }
}
