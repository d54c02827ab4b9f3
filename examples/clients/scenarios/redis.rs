//! A Redis of this process, for the scenarios with several nodes. It is started when the first of them is.

use std::{
    error::Error,
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    process::{Child, Command},
    sync::OnceCell,
    time::{sleep, timeout},
};
use tower_resume::store::AnyStore;

type Failed = Box<dyn Error + Send + Sync>;

/// How long the server may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the server until the pipe of its standard input is closed, so that it goes however this process goes.
const SCRIPT: &str = r#"
dir=$(mktemp -d) || exit 1
redis-server --port "$0" --bind 127.0.0.1 --save '' --appendonly no --dir "$dir" >/dev/null 2>&1 </dev/null &
cat >/dev/null
kill $!
rm -rf "$dir"
"#;

#[derive(Default)]
pub(crate) struct Redis {
    server: OnceCell<Server>,
    runs: AtomicU64,
}

struct Server {
    port: u16,
    /// Keeps the port for it.
    _guard: Option<TcpSocket>,
    _child: Child,
}

impl Redis {
    /// Whether there is a `redis-server` to run, and this build has the store for it.
    pub(crate) async fn can_start() -> bool {
        let mut command = Command::new("redis-server");
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        cfg!(feature = "redis") && command.status().await.is_ok_and(|status| status.success())
    }

    /// So many stores with the same streams, which no other run has.
    pub(crate) async fn stores(&self, nodes: usize) -> Result<Vec<AnyStore>, Failed> {
        let port = self.server.get_or_try_init(start).await?.port;
        let prefix = format!("run-{}", self.runs.fetch_add(1, Ordering::Relaxed));
        let mut stores = Vec::new();
        for _ in 0..nodes {
            stores.push(store(port, &prefix).await?);
        }
        Ok(stores)
    }
}

async fn start() -> Result<Server, Failed> {
    let guard = TcpSocket::new_v4()?;
    // Linux lets the server bind to it as well, and nobody else.
    guard.set_reuseaddr(true)?;
    guard.bind(([127, 0, 0, 1], 0).into())?;
    let port = guard.local_addr()?.port();
    let guard = Some(guard).filter(|_| cfg!(target_os = "linux"));
    let child = Command::new("sh")
        .args(["-c", SCRIPT, &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    timeout(PATIENCE, answers(port)).await.map_err(|_| "redis-server does not answer")?;
    Ok(Server { port, _guard: guard, _child: child })
}

async fn answers(port: u16) {
    loop {
        if let Ok(mut io) = TcpStream::connect(("127.0.0.1", port)).await {
            let mut pong = [0; 5];
            let asked = io.write_all(b"PING\r\n").await.is_ok() && io.read_exact(&mut pong).await.is_ok();
            if asked && &pong == b"+PONG" {
                return;
            }
        }
        sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(feature = "redis")]
async fn store(port: u16, prefix: &str) -> Result<AnyStore, Failed> {
    use tower_resume::store::{RedisConfig, RedisStore};
    // Nothing of it is lost in a scenario, and this machine may be busy.
    let config = RedisConfig::new(&format!("redis://127.0.0.1:{port}")).prefix(prefix).command_timeout(PATIENCE);
    let store = RedisStore::with_config(config)?;
    if store.ready(PATIENCE).await { Ok(AnyStore::new(store)) } else { Err("Redis does not answer".into()) }
}

#[cfg(not(feature = "redis"))]
async fn store(_: u16, _: &str) -> Result<AnyStore, Failed> {
    Err("this build has no Redis store".into())
}
