//! The page: a brief, the graph as it is drawn, the stream as it comes in. All of it is in the binary.

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

/// What the page may do: nothing but load its own files and talk to its own server. No inline script or style.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of the page.
struct Asset {
    path: &'static str,
    kind: &'static str,
    body: &'static str,
}

macro_rules! assets {
    ($($path:literal $kind:ident $file:literal)*) => {
        &[$(Asset { path: $path, kind: $kind, body: include_str!($file) }),*]
    };
}

const ASSETS: &[Asset] = assets! {
    "/" HTML "page/index.html"
    "/page/page.css" CSS "page/page.css"
    "/page/icon.svg" SVG "page/icon.svg"
    "/resumable.js" JS "../clients/js/resumable.js"
    "/page/brief.js" JS "page/brief.js"
    "/page/client.js" JS "page/client.js"
    "/page/examples.js" JS "page/examples.js"
    "/page/graph.js" JS "page/graph.js"
    "/page/kinds.js" JS "page/kinds.js"
    "/page/layout.js" JS "page/layout.js"
    "/page/ledger.js" JS "page/ledger.js"
    "/page/log.js" JS "page/log.js"
    "/page/main.js" JS "page/main.js"
    "/page/native.js" JS "page/native.js"
    "/page/ribbon.js" JS "page/ribbon.js"
    "/page/route.js" JS "page/route.js"
    "/page/saved.js" JS "page/saved.js"
    "/page/say.js" JS "page/say.js"
    "/page/server.js" JS "page/server.js"
    "/page/viewer.js" JS "page/viewer.js"
    "/page/words.js" JS "page/words.js"
    "/page/wrap.js" JS "page/wrap.js"
};

/// The application with the page at `/`.
pub(crate) fn with_page(app: Router) -> Router {
    ASSETS.iter().fold(app, |app, asset| {
        let tag = tag(asset.body);
        app.route(asset.path, get(async move |headers: HeaderMap| serve(asset, &tag, &headers)))
    })
}

fn serve(asset: &Asset, tag: &HeaderValue, headers: &HeaderMap) -> Response {
    let head = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        // Kept, but asked for each time: after an update of the binary nobody has half of the old page.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, tag.clone()),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    if headers.get(header::IF_NONE_MATCH) == Some(tag) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, asset.body).into_response()
}

/// Changes with the content.
fn tag(body: &str) -> HeaderValue {
    let digest = Sha256::digest(body);
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{hex}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
