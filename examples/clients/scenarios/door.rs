//! The proxy's port: it can refuse connections for a while, and nobody else gets it meanwhile.

use std::{io, net::SocketAddr, sync::Arc};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
};

/// The bytes that wait in the kernel for a client that does not read, so that a slow one is noticed soon.
const SEND_BUFFER: u32 = 64 * 1024;

pub(crate) struct Door {
    pub(crate) addr: SocketAddr,
    /// Holds the port while nobody listens.
    _guard: TcpSocket,
    /// Whether it is shut, as it should be and as it is.
    wanted: watch::Sender<bool>,
    shut: watch::Sender<bool>,
}

fn socket(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Two sockets of one port, of which one at most listens.
    #[cfg(unix)]
    socket.set_reuseport(true)?;
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(addr)?;
    Ok(socket)
}

impl Door {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        let guard = socket(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let addr = guard.local_addr()?;
        let (wanted, shut) = (watch::Sender::new(false), watch::Sender::new(true));
        Ok(Arc::new(Self { addr, _guard: guard, wanted, shut }))
    }

    /// Gives connections away, for ever.
    pub(crate) async fn serve(&self, mut take: impl FnMut(TcpStream)) -> io::Result<()> {
        let mut wanted = self.wanted.subscribe();
        loop {
            let listener: TcpListener = socket(self.addr)?.listen(128)?;
            self.shut.send_replace(false);
            loop {
                tokio::select! {
                    biased;
                    _ = wanted.wait_for(|shut| *shut) => break,
                    taken = listener.accept() => {
                        if let Ok((io, _)) = taken {
                            take(io);
                        }
                    }
                }
            }
            drop(listener);
            self.shut.send_replace(true);
            let _ = wanted.wait_for(|shut| !*shut).await;
        }
    }

    /// Refuses connections from now on.
    pub(crate) async fn shut(&self) {
        self.wanted.send_replace(true);
        let _ = self.shut.subscribe().wait_for(|shut| *shut).await;
    }

    pub(crate) fn open(&self) {
        self.wanted.send_replace(false);
    }

    pub(crate) fn is_shut(&self) -> bool {
        *self.shut.borrow()
    }

    /// Waits until it takes connections.
    pub(crate) async fn opened(&self) {
        let _ = self.shut.subscribe().wait_for(|shut| !*shut).await;
    }
}
