//! The servers of a run: a handler, under this crate's layer or bare.

use crate::{
    facts::World,
    script::{self, Script},
};
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Response, StatusCode},
    routing::get,
};
use std::{io, net::SocketAddr, num::NonZeroUsize, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinSet};
use tower_resume::{Clock, Idempotency, Keys, ResumeLayer, store::AnyStore};

/// Where streams begin, and where the resume endpoint is.
pub(crate) const EVENTS: &str = "/events";
pub(crate) const RESUME: &str = "/resume";

/// What clients are told to wait, so that a run is over soon.
const RETRY: Duration = Duration::from_millis(60);
/// More than any scenario sends, unless it says otherwise.
const KEPT: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// A run's handler never waits longer for a client that does not come back.
const DETACH: Duration = Duration::from_secs(60);

/// What a scenario sets.
pub(crate) type Configure = Box<dyn Fn(ResumeLayer<AnyStore>) -> ResumeLayer<AnyStore> + Send + Sync>;

/// One server on a port of its own, until the tasks end.
pub(crate) async fn start(tasks: &mut JoinSet<()>, app: Router) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let addr = listener.local_addr()?;
    tasks.spawn(async move {
        let _ = axum::serve(listener, app).await;
    });
    Ok(addr)
}

/// The handler under the layer, with the resume endpoint beside it.
pub(crate) fn layered(
    script: Arc<Script>,
    world: &Arc<World>,
    store: AnyStore,
    configure: &Configure,
) -> Result<Router, tower_resume::KeyError> {
    let clock = Arc::clone(world);
    let layer = ResumeLayer::new(store, Keys::new("the same on all nodes of all runs of scenarios")?)
        .tokens_are_enough()
        .retry(RETRY)
        .max_events(KEPT)
        .detach_time(DETACH)
        .clock(Clock::new(move || clock.now()));
    let layer = configure(layer).idempotency(Idempotency::new().shared_keys());
    let world = Arc::clone(world);
    let handler = move || {
        let response = script::perform(Arc::clone(&script), Arc::clone(&world), false, 0);
        async move { response }
    };
    let endpoint = layer.endpoint();
    Ok(Router::new()
        .route(EVENTS, get(handler.clone()).post(handler))
        .route_layer(layer)
        .route_service(RESUME, endpoint))
}

/// The handler with nothing around it. It numbers its events, goes on behind a `Last-Event-ID`, and says 204 behind
/// the last.
pub(crate) fn bare(script: Arc<Script>, world: &Arc<World>) -> Router {
    let (world, events) = (Arc::clone(world), script.events().len());
    let handler = move |request: Request| {
        let skip = script::has_events(request.headers());
        let mut response = Response::new(Body::empty());
        if skip < events {
            response = script::perform(Arc::clone(&script), Arc::clone(&world), true, skip);
        } else {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        async move { response }
    };
    Router::new().route(EVENTS, get(handler.clone()).post(handler))
}
