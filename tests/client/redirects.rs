//! A token goes to the origin that it is of, and to no other.

use crate::common::{Handler, Server, layer};
use axum::{Router, response::Redirect, routing::any};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tower_resume::client::{Client, ErrorKind, Item};

#[tokio::test]
async fn redirects_are_followed_within_one_origin_only() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let elsewhere = Server::start(Router::new().fallback(any(async move || {
        count.fetch_add(1, Ordering::SeqCst);
    })))
    .await;
    let to = format!("http://{}/resume", elsewhere.addr);
    let handler = Handler::new();
    let layer = layer();
    let app = Router::new()
        .route("/moved", any(async || Redirect::temporary("/stream")))
        .route("/away", any(async move || Redirect::temporary(&to)))
        .merge(handler.router().layer(layer));
    let server = Server::start(app).await;
    let mut stream = Client::new().get(format!("http://{}/moved", server.addr)).resume_url("/away").send();
    let (item, told) = tokio::join!(stream.next(), async {
        let told = handler.told().await;
        told.count([1]);
        told
    });
    assert!(matches!(item, Some(Ok(Item::Event(_)))), "{item:?}");
    drop(told);
    stream.disconnect();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.status().map(|status| status.as_u16())), (ErrorKind::Refused, Some(307)));
    assert!(error.to_string().contains("elsewhere"), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}
