//! A gRPC service of tonic's and an event stream, under one layer and on one port. The layer makes the event stream resumable
//! and does not touch the gRPC service.

use std::{convert::Infallible, pin::Pin, time::Duration};

use axum::{
    response::sse::{Event, Sse},
    routing::get,
};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, service::Routes};
use tower_resume_services::{
    Failure, layer, listen,
    ticker::{
        At, Tick, UpTo,
        ticker_server::{Ticker, TickerServer},
    },
};

/// How many ticks there are.
const TICKS: u64 = 60;

struct Clock;

type Ticks = Pin<Box<dyn Stream<Item = Result<Tick, Status>> + Send>>;

#[tonic::async_trait]
impl Ticker for Clock {
    type CountStream = Ticks;

    async fn now(&self, request: Request<At>) -> Result<Response<Tick>, Status> {
        let At { number } = request.into_inner();
        if !(1..=TICKS).contains(&number) {
            return Err(Status::not_found(format!("there is no tick {number}")));
        }
        Ok(Response::new(Tick { number }))
    }

    async fn count(&self, request: Request<UpTo>) -> Result<Response<Ticks>, Status> {
        let ticks = tokio_stream::iter(1..=request.into_inner().last).throttle(Duration::from_millis(20));
        Ok(Response::new(Box::pin(ticks.map(|number| {
            if number > TICKS {
                let mut status = Status::out_of_range(format!("there are only {TICKS} ticks"));
                status.metadata_mut().insert("last-tick", TICKS.into());
                return Err(status);
            }
            Ok(Tick { number })
        }))))
    }
}

/// An ordinary handler. It knows nothing of resuming.
async fn count() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let numbers = tokio_stream::iter(1..=TICKS).throttle(Duration::from_millis(500));
    Sse::new(numbers.map(|number| Ok(Event::default().data(number.to_string()))))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (listener, addr) = listen("grpc", 3003).await?;
    let layer = layer()?;
    let app = Routes::new(TickerServer::new(Clock))
        .into_axum_router()
        .route("/count", get(count))
        .layer(layer.clone())
        .route_service("/resume", layer.endpoint());
    println!("\n   curl -N http://{addr}/count\n   the gRPC service is ticker.v1.Ticker, methods Now and Count\n");
    // HTTP/1.1 and HTTP/2, by what the client begins with.
    axum::serve(listener, app).await?;
    Ok(())
}
