//! The headers of the protocol, by name; for a CORS layer above all, which has to allow some and expose others.
//!
//! ```
//! use tower_resume::header;
//!
//! // What goes to `CorsLayer::allow_headers`, beside the application's own.
//! assert!(header::REQUEST.contains(&header::LAST_EVENT_ID));
//! // What goes to `CorsLayer::expose_headers`.
//! assert!(header::RESPONSE.contains(&header::X_RESUME_TOKEN));
//! ```

use http::HeaderName;
pub use http::header::RETRY_AFTER;

/// A token: of a resume or a cancel in a request, at the client's cursor in a response.
pub const X_RESUME_TOKEN: HeaderName = HeaderName::from_static("x-resume-token");
/// In a request: the seq to resume behind, in place of the token's own.
pub const X_RESUME_FROM: HeaderName = HeaderName::from_static("x-resume-from");
/// In a request: `live`, `replay` or `status`.
pub const X_RESUME_MODE: HeaderName = HeaderName::from_static("x-resume-mode");
/// In a response: the stream's id.
pub const X_RESUME_STREAM: HeaderName = HeaderName::from_static("x-resume-stream");
/// In a response: what a stream goes without, `no-secret`, `store` or `capacity`.
pub const X_RESUME_DEGRADED: HeaderName = HeaderName::from_static("x-resume-degraded");
/// In a request: the id of the last event that a browser's `EventSource` has seen.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// In a request: the key under which a stream starts once.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// In a response: the stream of an earlier request with the same key.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Every header of a request that the layer looks at and that a page needs leave to send to another origin.
pub const REQUEST: [HeaderName; 5] = [X_RESUME_TOKEN, X_RESUME_FROM, X_RESUME_MODE, LAST_EVENT_ID, IDEMPOTENCY_KEY];

/// Every header of the layer's responses that a page of another origin cannot read unless it is exposed.
pub const RESPONSE: [HeaderName; 5] =
    [X_RESUME_TOKEN, X_RESUME_STREAM, X_RESUME_DEGRADED, IDEMPOTENCY_REPLAYED, RETRY_AFTER];
