//! A small TCP proxy that does to connections what networks do: it cuts them, also in the middle of a reply, swallows
//! what is said, delays it, narrows it, and refuses.

use crate::redis_server::Port;
use std::{
    io::{Error, ErrorKind},
    net::SocketAddr,
    ops::Range,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Pass,
    /// Connections are made and stay, and nothing goes through. What was said meanwhile comes through afterwards.
    Swallow,
    Refuse,
}

#[derive(Clone, Debug)]
struct Weather {
    mode: Mode,
    latency: Duration,
    bytes_a_second: Option<u64>,
    /// So many bytes of replies, chosen anew for each connection, and then it is cut.
    replies: Option<Range<u64>>,
    /// Counts up to cut what there is.
    cuts: u64,
}

/// Stands before one server, until it is dropped.
pub struct Proxy {
    pub addr: SocketAddr,
    weather: watch::Sender<Weather>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn before(upstream: SocketAddr) -> Self {
        let fair = Weather { mode: Mode::Pass, latency: Duration::ZERO, bytes_a_second: None, replies: None, cuts: 0 };
        let (weather, seen) = watch::channel(fair);
        let port = Port::free();
        let addr = SocketAddr::from(([127, 0, 0, 1], port.number));
        let listener = TcpListener::bind(addr).await.unwrap();
        let task = tokio::spawn(listen(listener, port, upstream, seen));
        Self { addr, weather, task }
    }

    /// Cuts all connections, now.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| weather.cuts += 1);
    }

    /// Cuts all connections, and from now on each one after so many bytes of replies.
    pub fn cut_replies_after(&self, bytes: Range<u64>) {
        self.weather.send_modify(|weather| (weather.replies, weather.cuts) = (Some(bytes), weather.cuts + 1));
    }

    pub fn swallow(&self) {
        self.weather.send_modify(|weather| weather.mode = Mode::Swallow);
    }

    /// Cuts all connections and refuses new ones.
    pub fn refuse(&self) {
        self.weather.send_modify(|weather| (weather.mode, weather.cuts) = (Mode::Refuse, weather.cuts + 1));
    }

    /// How long each byte takes, each way.
    pub fn delay(&self, latency: Duration) {
        self.weather.send_modify(|weather| weather.latency = latency);
    }

    /// How much goes through, each way.
    pub fn narrow(&self, bytes_a_second: u64) {
        self.weather.send_modify(|weather| weather.bytes_a_second = Some(bytes_a_second));
    }

    /// Fair weather again, for the connections that are left and for new ones.
    pub fn clear(&self) {
        self.weather.send_modify(|weather| {
            let cuts = weather.cuts;
            *weather = Weather { mode: Mode::Pass, latency: Duration::ZERO, bytes_a_second: None, replies: None, cuts };
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.task.abort();
    }
}

async fn listen(mut listener: TcpListener, _kept: Port, upstream: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let addr = listener.local_addr().unwrap();
    loop {
        let accept = async {
            while let Ok((io, _)) = listener.accept().await {
                tokio::spawn(connect(io, upstream, weather.clone()));
            }
        };
        let mut refusal = weather.clone();
        tokio::select! {
            () = accept => return,
            _ = refusal.wait_for(|weather| weather.mode == Mode::Refuse) => {}
        }
        drop(listener);
        if weather.wait_for(|weather| weather.mode != Mode::Refuse).await.is_err() {
            return;
        }
        listener = TcpListener::bind(addr).await.expect("the proxy's own port");
    }
}

/// One connection, until either side ends it or it is cut; dropping it cuts both.
async fn connect(client: TcpStream, upstream: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (cuts, budget) = {
        let weather = weather.borrow_and_update();
        (weather.cuts, weather.replies.clone().map(fastrand::u64))
    };
    let ask = carry(from_client, to_server, weather.clone(), None);
    let answer = carry(from_server, to_client, weather.clone(), budget);
    tokio::select! {
        _ = futures_util::future::try_join(ask, answer) => {}
        _ = weather.wait_for(|weather| weather.cuts != cuts) => {}
    }
}

/// One direction of a connection. An error ends both.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    mut budget: Option<u64>,
) -> std::io::Result<()> {
    let (late, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(64);
    let seen = weather.clone();
    let read = async move {
        loop {
            let mut bytes = vec![0; 16 * 1024];
            let len = from.read(&mut bytes).await?;
            bytes.truncate(len);
            let at = Instant::now() + seen.borrow().latency;
            if len == 0 || late.send((at, bytes)).await.is_err() {
                return Ok(());
            }
        }
    };
    let write = async move {
        let cut = || Error::from(ErrorKind::ConnectionReset);
        while let Some((at, bytes)) = due.recv().await {
            sleep_until(at).await;
            let bytes_a_second =
                weather.wait_for(|weather| weather.mode != Mode::Swallow).await.map_err(|_| cut())?.bytes_a_second;
            if let Some(bytes_a_second) = bytes_a_second {
                sleep(Duration::from_secs_f64(bytes.len() as f64 / bytes_a_second as f64)).await;
            }
            let left = budget.map_or(bytes.len(), |left| usize::try_from(left).unwrap().min(bytes.len()));
            to.write_all(&bytes[..left]).await?;
            if let Some(budget) = &mut budget {
                *budget -= left as u64;
                if left < bytes.len() {
                    return Err(cut());
                }
            }
        }
        to.shutdown().await
    };
    futures_util::future::try_join(read, write).await.map(|_| ())
}

/// What the suite rests on is tested too.
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut io, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = io.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        addr
    }

    #[tokio::test]
    async fn a_proxy_passes_cuts_in_the_middle_swallows_and_refuses() {
        let proxy = Proxy::before(echo().await).await;
        let mut io = TcpStream::connect(proxy.addr).await.unwrap();
        let mut bytes = [0; 5];
        io.write_all(b"hello").await.unwrap();
        io.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hello");
        proxy.cut();
        assert!(!matches!(io.read(&mut bytes).await, Ok(1..)));

        proxy.cut_replies_after(3..4);
        let mut io = TcpStream::connect(proxy.addr).await.unwrap();
        io.write_all(b"hello").await.unwrap();
        let mut all = Vec::new();
        let _ = io.read_to_end(&mut all).await;
        assert_eq!(all, b"hel");

        proxy.clear();
        proxy.swallow();
        let mut io = TcpStream::connect(proxy.addr).await.unwrap();
        io.write_all(b"hello").await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(100), io.read(&mut bytes)).await.is_err());
        proxy.clear();
        io.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hello", "late, and whole");

        proxy.refuse();
        while TcpStream::connect(proxy.addr).await.is_ok() {}
        proxy.clear();
        while TcpStream::connect(proxy.addr).await.is_err() {}
    }
}
