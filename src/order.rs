//! Wrong orders of layers, and a proxy that is set wrong, as far as they can be seen from here. Each is told once, with what
//! is right.

use http::{
    HeaderMap, Method, Version,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD},
    request,
};
use std::{
    error::Error,
    sync::atomic::{AtomicBool, Ordering},
};
use tracing::warn;

/// What `tower-http` says where a body is out of time. Its type is not known here.
const OUT_OF_TIME: &str = "data was not received within the designated timeout";
/// An error is looked into so deep.
const CAUSES_MAX: usize = 8;

/// What one layer has told already.
#[derive(Debug, Default)]
pub(crate) struct Order {
    encoded: AtomicBool,
    cors: AtomicBool,
    http10: AtomicBool,
    preflight: AtomicBool,
    timeout: AtomicBool,
}

macro_rules! once {
    ($said:expr, $text:literal) => {
        if !$said.swap(true, Ordering::Relaxed) {
            warn!(target: "tower_resume", $text);
        }
    };
}

impl Order {
    /// An encoded event stream passes unrecorded.
    pub(crate) fn encoded(&self) {
        once!(
            self.encoded,
            "an event stream with a Content-Encoding passes unrecorded: put the compression layer outside of \
             ResumeLayer (in axum, add it after)"
        );
    }

    /// The head of a handler's stream, as it came, and the version of HTTP that it was asked for by.
    pub(crate) fn recorded(&self, version: Version, headers: &HeaderMap) {
        if version == Version::HTTP_10 {
            once!(
                self.http10,
                "an event stream was asked for over HTTP/1.0, where a response that is cut looks like one that is over. \
                 If that was a proxy, have it speak HTTP/1.1 to this server (nginx: proxy_http_version 1.1)"
            );
        }
        if headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            once!(
                self.cors,
                "an event stream came with Access-Control-Allow-Origin from inside of ResumeLayer, and what the layer \
                 answers itself (resumes, errors) comes without, so that pages of other origins cannot read it: put the \
                 CORS layer outside of ResumeLayer (in axum, add it after)"
            );
        }
    }

    /// A request that the resume endpoint has no use for.
    pub(crate) fn at_endpoint(&self, head: &request::Parts) {
        if head.method == Method::OPTIONS && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            once!(
                self.preflight,
                "a CORS preflight reached the resume endpoint, so pages of other origins cannot resume there: put the CORS \
                 layer outside of the resume endpoint, too (in axum, add it after the endpoint's route)"
            );
        }
    }

    /// A handler's body has failed.
    pub(crate) fn body_failed(&self, error: &(dyn Error + 'static)) {
        let mut causes = std::iter::successors(Some(error), |&error| error.source()).take(CAUSES_MAX);
        if causes.any(|error| error.to_string() == OUT_OF_TIME) {
            once!(
                self.timeout,
                "a body timeout inside of ResumeLayer has ended an event stream, for all of its clients: put the body \
                 timeout outside of ResumeLayer (in axum, add it after), where heartbeats count and a client that is cut \
                 resumes"
            );
        }
    }
}
