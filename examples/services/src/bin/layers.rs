//! The layers of tower-http around the layer, each in its place. In axum the layer that is added last is the outermost.

use std::{convert::Infallible, time::Duration};

use axum::{
    BoxError, Router,
    error_handling::HandleErrorLayer,
    response::sse::{Event, Sse},
    routing::get,
};
use http::{HeaderName, Method, StatusCode, header::CONTENT_TYPE};
use tokio_stream::{Stream, StreamExt as _};
use tower::{ServiceBuilder, limit::GlobalConcurrencyLimitLayer};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    cors::CorsLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    timeout::{ResponseBodyTimeoutLayer, TimeoutLayer},
    trace::TraceLayer,
};
use tower_resume::header;
use tower_resume_services::{Failure, layer, listen};

/// An ordinary handler. It knows nothing of resuming.
async fn count() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let numbers = tokio_stream::iter(1..=60).throttle(Duration::from_millis(500));
    Sse::new(numbers.map(|number| Ok(Event::default().data(number.to_string()))))
}

/// Something to compress.
async fn text() -> String {
    "All work and no play. ".repeat(100)
}

async fn too_busy(_: BoxError) -> (StatusCode, &'static str) {
    (StatusCode::SERVICE_UNAVAILABLE, "too busy")
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (listener, addr) = listen("layers", 3004).await?;
    let layer = layer()?;
    let endpoint = layer.endpoint();
    let app = Router::new()
        .route("/count", get(count))
        .route("/text", get(text))
        // Inside: what spares the handlers. A resume does not reach them, and is neither counted nor turned away.
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(30)))
        .layer(
            ServiceBuilder::new()
                .layer(HandleErrorLayer::new(too_busy))
                .load_shed()
                .layer(GlobalConcurrencyLimitLayer::new(1_000)),
        )
        .layer(layer)
        .route_service("/resume", endpoint)
        // Outside, and of the endpoint as well: what has to see every response. Authentication would come first here.
        // Longer than the layer's heartbeat, so that it cuts only clients that are gone.
        .layer(ResponseBodyTimeoutLayer::new(Duration::from_secs(30)))
        .layer(CompressionLayer::new())
        .layer(cors())
        .layer(CatchPanicLayer::new())
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(TraceLayer::new_for_http())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid));
    println!("\n   curl -sSN http://{addr}/count -H 'Origin: https://app.example'\n");
    axum::serve(listener, app).await?;
    Ok(())
}

/// For pages of any origin. Those that send cookies have to be named.
fn cors() -> CorsLayer {
    let request: Vec<HeaderName> = header::REQUEST.into_iter().chain([CONTENT_TYPE]).collect();
    CorsLayer::new()
        .allow_origin(tower_http::cors::Any)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(request)
        .expose_headers(header::RESPONSE)
}
