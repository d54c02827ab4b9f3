//! No framework: a function under the layer, behind hyper's own server, over HTTP/1.1 and HTTP/2 on one port.
//!
//! It also shows what a server of one's own has to do when it is told to stop: await `ResumeLayer::drain` beside its own
//! graceful shutdown, or every open stream holds that up.

use std::{convert::Infallible, pin::pin, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Empty, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio_stream::StreamExt as _;
use tower::{Layer as _, service_fn};
use tower_resume_services::{Failure, layer, listen};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// An ordinary handler. It knows nothing of resuming.
async fn handle(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let mut response = Response::new(Empty::new().boxed_unsync());
    if request.uri().path() != "/count" {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    }
    let numbers = tokio_stream::iter(1..=60).throttle(Duration::from_millis(500));
    let events = numbers.map(|number| Ok(Frame::data(Bytes::from(format!("data: {number}\n\n")))));
    *response.body_mut() = StreamBody::new(events).boxed_unsync();
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (listener, addr) = listen("bare-hyper", 3002).await?;
    let layer = layer()?;
    // With no router there is no path for a resume endpoint: the layer resumes on any path that it wraps.
    let service = TowerToHyperService::new(layer.layer(service_fn(handle)));
    println!("\n   curl -N http://{addr}/count\n   curl -N --http2-prior-knowledge http://{addr}/count\n");

    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new());
    let connections = GracefulShutdown::new();
    let mut told_to_stop = pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (io, _) = accepted?;
                let connection = server.serve_connection(TokioIo::new(io), service.clone()).into_owned();
                let connection = connections.watch(connection);
                // That a client has gone is nothing to report.
                tokio::spawn(async move { drop(connection.await) });
            }
            told = &mut told_to_stop => break told?,
        }
    }
    drop(listener);
    let drained = async { layer.drain(Duration::from_secs(5)).await };
    // A client that takes nothing would hold its connection for ever.
    let closed = tokio::time::timeout(Duration::from_secs(10), connections.shutdown());
    let (drained, _) = tokio::join!(drained, closed);
    println!("stopped: {drained:?}");
    Ok(())
}
