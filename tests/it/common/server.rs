//! Real servers on loopback, ended with their test.

use axum::Router;
use std::net::SocketAddr;
use tokio::{net::TcpListener, task::JoinHandle};
use tower_resume::{Keys, ResumeLayer, store::MemoryStore};

/// A server that ends when it is dropped.
pub struct Server {
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves over HTTP/1.1 and HTTP/2.
    pub async fn start(app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { addr, task }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn keys() -> Keys {
    Keys::new("the secret of the tests, thirty-two bytes").unwrap()
}

/// A layer over a new memory store.
pub fn layer() -> ResumeLayer<MemoryStore> {
    ResumeLayer::new(MemoryStore::new(), keys()).tokens_are_enough()
}
