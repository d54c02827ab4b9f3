//! TCP connections that can be cut, so that the page can show what becomes of a stream when one dies.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::future::{AbortHandle, Abortable, Pending, pending};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// A listener whose connections can be cut.
pub(crate) struct Cables(pub(crate) TcpListener);

impl Listener for Cables {
    type Io = Cable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Cable, SocketAddr) {
        let (io, addr) = Listener::accept(&mut self.0).await;
        let (cutter, registration) = AbortHandle::new_pair();
        (Cable { io, cutter: Cutter(cutter), whole: Abortable::new(pending(), registration) }, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Cuts one connection. A handler finds it as the `ConnectInfo` of its request.
#[derive(Clone, Debug)]
pub(crate) struct Cutter(AbortHandle);

impl Cutter {
    #[cfg(test)]
    pub(crate) fn of(handle: AbortHandle) -> Self {
        Self(handle)
    }

    /// The connection is reset: whatever was under way on it is lost, in both directions.
    pub(crate) fn cut(&self) {
        self.0.abort();
    }
}

impl Connected<IncomingStream<'_, Cables>> for Cutter {
    fn connect_info(stream: IncomingStream<'_, Cables>) -> Self {
        stream.io().cutter.clone()
    }
}

/// A connection that can be cut.
pub(crate) struct Cable {
    io: TcpStream,
    cutter: Cutter,
    /// Ready once it is cut.
    whole: Abortable<Pending<()>>,
}

impl Cable {
    /// An error once the connection is cut. Until then the task is woken when that happens.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if Pin::new(&mut self.whole).poll(context).is_pending() {
            return Ok(());
        }
        // Closed with a reset, as by a network that has gone away, and not with a farewell. Where the system won't have it,
        // the connection dies all the same.
        self.io.set_zero_linger().ok();
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Cable {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_read(context, to)
    }
}

impl AsyncWrite for Cable {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
