//! One service behind hyper's own servers: HTTP/1.1 and HTTP/2, bare and over TLS, with sockets between.

use super::{Reply, Request};
use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    },
};

/// What lies between a client and the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Http1,
    Http2,
    Tls1,
    Tls2,
}

/// A service behind a wire, until it is dropped.
pub struct Line {
    pub addr: SocketAddr,
    wire: Wire,
    connector: Option<TlsConnector>,
    task: JoinHandle<()>,
}

impl Wire {
    pub const ALL: [Self; 4] = [Self::Http1, Self::Http2, Self::Tls1, Self::Tls2];

    const fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Tls2)
    }

    pub async fn serve(self, app: Router) -> Line {
        let (acceptor, connector) = if matches!(self, Self::Tls1 | Self::Tls2) {
            let (acceptor, connector) = tls();
            (Some(acceptor), Some(connector))
        } else {
            (None, None)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let io = listener.accept().await.unwrap().0;
                let (app, acceptor) = (app.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => self.talk(io, app).await,
                        Some(acceptor) => self.talk(acceptor.accept(io).await.unwrap(), app).await,
                    }
                });
            }
        });
        Line { addr, wire: self, connector, task }
    }

    async fn talk(self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, app: Router) {
        let (io, service) = (TokioIo::new(io), TowerToHyperService::new(app));
        // That a connection ends abruptly is what some tests are about.
        if self.is_http2() {
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            drop(server.serve_connection(io, service).await);
        } else {
            let mut server = hyper::server::conn::http1::Builder::new();
            drop(server.timer(TokioTimer::new()).serve_connection(io, service).await);
        }
    }
}

impl Line {
    pub async fn send(&self, request: Request) -> Reply {
        let request = if self.wire.is_http2() { request.http2() } else { request };
        let io = TcpStream::connect(self.addr).await.unwrap();
        match &self.connector {
            None => request.send_over(io).await,
            Some(connector) => {
                let name = ServerName::try_from("localhost").unwrap();
                request.send_over(connector.connect(name, io).await.unwrap()).await
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn tls() -> (TlsAcceptor, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let server = ServerConfig::builder().with_no_client_auth();
    let server = server.with_single_cert(vec![certificate.clone()], key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)))
}
