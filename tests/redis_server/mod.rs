//! A Redis of a test's own: on a free port, empty, with nothing on disk, gone when dropped.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::{
    io::ErrorKind,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpSocket, TcpStream},
    process::{Child, Command},
    sync::Semaphore,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Names the server that is tested with, in place of `redis-server`: `valkey-server`, say.
const BINARY: &str = "TOWER_RESUME_TEST_REDIS_SERVER";

/// How long the server may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// The clusters and groups of replicas that a test binary runs at a time: with more of them on few cores, one may take
/// another for dead.
pub(crate) static ROOM: Semaphore = Semaphore::const_new(2);

/// A `redis-server` process.
pub(crate) struct RedisServer {
    child: Option<Child>,
    port: Port,
    /// Those that its arguments name.
    others: Vec<Port>,
    dir: PathBuf,
    args: Vec<String>,
    sentinel: bool,
}

/// What Redis answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Nil,
    Int(i64),
    Text(String),
    Error(String),
    List(Vec<Self>),
}

impl Reply {
    pub(crate) fn int(&self) -> i64 {
        match self {
            Self::Int(number) => *number,
            other => panic!("not a number: {other:?}"),
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            other => panic!("not a text: {other:?}"),
        }
    }

    pub(crate) fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            other => panic!("not a list: {other:?}"),
        }
    }
}

impl RedisServer {
    /// Starts one and waits until it answers. `None`, with a printed line, where Redis is not installed; in CI that is
    /// a failure.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    /// The same with further arguments for `redis-server`.
    pub(crate) async fn start_with(args: &[&str]) -> Option<Self> {
        Self::reserved(args).await.started().await
    }

    /// Whether a server with these arguments starts at all; one of another make than Redis may be built without TLS.
    pub(crate) async fn can_start_with(args: &[&str]) -> bool {
        let mut server = Self::reserved(args).await;
        let starts = server.launch().await && server.answers().await;
        server.kill().await;
        if !starts {
            assert!(
                std::env::var_os(BINARY).is_some() || std::env::var_os("CI").is_none(),
                "redis-server takes {args:?}"
            );
            println!("skipped: this server does not take {args:?}");
        }
        starts
    }

    async fn started(mut self) -> Option<Self> {
        // Where a port cannot be kept, another process may take it in between: then the next one.
        for _ in 0..5 {
            if !self.launch().await {
                return None;
            }
            if self.answers().await {
                return Some(self);
            }
            self.kill().await;
            self.port = Port::free();
        }
        panic!("redis-server does not answer");
    }

    /// Starts a replica of this one, and waits until it is in step.
    pub(crate) async fn replica(&self) -> Option<Self> {
        self.cli(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).await;
        let replica = Self::start_with(&["--replicaof", "127.0.0.1", &self.port().to_string()]).await?;
        let begun = Instant::now();
        while !self.cli(&["INFO", "replication"]).await.text().contains("state=online") {
            assert!(begun.elapsed() < PATIENCE, "the replica is not in step");
            sleep(Duration::from_millis(5)).await;
        }
        Some(replica)
    }

    /// One that is not running yet, to be started by [`Self::restart`].
    pub(crate) async fn reserved(args: &[&str]) -> Self {
        let port = Port::free();
        let dir = std::env::temp_dir().join(format!("tower-resume-redis-{}-{}", std::process::id(), port.number));
        std::fs::create_dir_all(&dir).expect("a directory for redis");
        let args = args.iter().map(ToString::to_string).collect();
        Self { child: None, port, others: Vec::new(), dir, args, sentinel: false }
    }

    /// Keeps a port that its arguments name for as long as it is there.
    pub(crate) fn keep(&mut self, port: Port) {
        self.others.push(port);
    }

    /// One that watches over others.
    pub(crate) async fn start_sentinel() -> Option<Self> {
        let mut server = Self::reserved(&[]).await;
        server.sentinel = true;
        server.started().await
    }

    /// Whether the process could be started.
    async fn launch(&mut self) -> bool {
        let port = self.port().to_string();
        let mut command = Command::new(std::env::var_os(BINARY).unwrap_or_else(|| "redis-server".into()));
        if self.sentinel {
            // It keeps what it learns in its configuration.
            let config = self.dir.join("sentinel.conf");
            std::fs::write(&config, "").expect("a configuration");
            command.arg(config).args(["--sentinel", "--port", &port, "--bind", "127.0.0.1"]);
        } else {
            command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]);
            command.arg(&self.dir);
        }
        command.args(&self.args);
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn() {
            Ok(child) => {
                self.child = Some(child);
                true
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "redis-server is not installed, and CI has to run these tests"
                );
                println!("skipped: redis-server is not installed, so what needs Redis is not tested");
                false
            }
            Err(error) => panic!("redis-server cannot be started: {error}"),
        }
    }

    async fn answers(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(child) = &mut self.child
                && child.try_wait().expect("the child's state").is_some()
            {
                return false;
            }
            match self.ask(&["PING"]).await {
                // A server with a password answers as well.
                Ok(Reply::Text(_)) => return true,
                Ok(Reply::Error(error)) if error.starts_with("NOAUTH") => return true,
                _ => sleep(Duration::from_millis(5)).await,
            }
        }
        false
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// Kills it as a power cut would, and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("redis-server is killed");
        }
    }

    /// Starts it on its port again, empty, or with what the last `SAVE` has written. Whether it is installed at all.
    pub(crate) async fn restart(&mut self) -> bool {
        self.kill().await;
        if !self.launch().await {
            return false;
        }
        assert!(self.answers().await, "redis-server does not answer on port {}", self.port());
        true
    }

    /// Stops it in its tracks: connections stay, nobody answers.
    pub(crate) async fn pause(&self) {
        signal("-STOP", self.child.as_ref().expect("a server that runs")).await;
    }

    pub(crate) async fn resume(&self) {
        signal("-CONT", self.child.as_ref().expect("a server that runs")).await;
    }

    /// Adds the user of a line of an ACL file.
    pub(crate) async fn add_user(&self, line: &str) {
        let rules = line.trim().strip_prefix("user ").expect("a user");
        let mut command = vec!["ACL", "SETUSER"];
        command.extend(rules.split(' '));
        self.cli(&command).await;
    }

    /// Cuts its replicas off: they stay behind with what they have, for as long as it lives. Clients that are connected
    /// notice nothing, and no other command can be sent to it.
    pub(crate) async fn cut_off_replicas(&self) {
        self.cli(&["CONFIG", "SET", "requirepass", "nobody-knows"]).await;
        self.ask_all(&[&["AUTH", "nobody-knows"], &["CLIENT", "KILL", "TYPE", "replica"]]).await.expect("an answer");
    }

    /// Lets them in again.
    pub(crate) async fn let_in_replicas(&self) {
        self.ask_all(&[&["AUTH", "nobody-knows"], &["CONFIG", "SET", "requirepass", ""]]).await.expect("an answer");
    }

    /// Sends one command over a connection of its own.
    pub(crate) async fn cli(&self, command: &[&str]) -> Reply {
        match self.ask(command).await {
            Ok(Reply::Error(error)) => panic!("{command:?}: {error}"),
            Ok(reply) => reply,
            Err(error) => panic!("{command:?}: {error}"),
        }
    }

    /// All that is sent to Redis from now on, as text with other bytes escaped: keys, values and messages.
    pub(crate) async fn monitor(&self) -> Overheard {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port())).await.expect("redis"));
        stream.write_all(b"*1\r\n$7\r\nMONITOR\r\n").await.expect("redis listens");
        assert_eq!(read_reply(&mut stream).await.expect("an answer").text(), "OK");
        let heard = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            let mut line = String::new();
            while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                into.lock().unwrap().push_str(&std::mem::take(&mut line));
            }
        });
        Overheard { heard, task }
    }

    /// Every key with all that it holds, as text.
    pub(crate) async fn dump(&self) -> String {
        let mut all = String::new();
        for key in self.cli(&["KEYS", "*"]).await.list() {
            let key = key.text();
            let held = match self.cli(&["TYPE", key]).await.text() {
                "stream" => self.cli(&["XRANGE", key, "-", "+"]).await,
                "hash" => self.cli(&["HGETALL", key]).await,
                _ => self.cli(&["GET", key]).await,
            };
            all.push_str(&format!("{key} {held:?}\n"));
        }
        all
    }

    /// How often each command was called since [`Self::reset_calls`], by its name.
    pub(crate) async fn calls(&self) -> Vec<(String, u64)> {
        let stats = self.cli(&["INFO", "commandstats"]).await;
        let lines = stats.text().lines().filter_map(|line| line.strip_prefix("cmdstat_"));
        lines
            .map(|line| {
                let (name, rest) = line.split_once(':').expect("a command's name");
                let calls = rest.strip_prefix("calls=").and_then(|rest| rest.split(',').next()).expect("its calls");
                (name.to_owned(), calls.parse().expect("a number"))
            })
            .filter(|(name, _)| !name.starts_with("config|") && name != "info")
            .collect()
    }

    pub(crate) async fn reset_calls(&self) {
        self.cli(&["CONFIG", "RESETSTAT"]).await;
    }

    pub(crate) async fn ask(&self, command: &[&str]) -> std::io::Result<Reply> {
        self.ask_all(&[command]).await
    }

    /// Sends commands over one connection; the last one's answer.
    async fn ask_all(&self, commands: &[&[&str]]) -> std::io::Result<Reply> {
        let asked = async {
            let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port())).await?);
            let mut last = Reply::Nil;
            for command in commands {
                let mut request = format!("*{}\r\n", command.len());
                for word in *command {
                    request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
                }
                stream.write_all(request.as_bytes()).await?;
                last = read_reply(&mut stream).await?;
            }
            Ok(last)
        };
        timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // A paused one is killed as well; the child is reaped by tokio.
        if let Some(child) = &mut self.child {
            let _ = child.start_kill();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What was sent to Redis.
pub(crate) struct Overheard {
    heard: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

impl Overheard {
    pub(crate) fn text(&self) -> String {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Overheard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sends a process a signal.
pub(crate) async fn signal(signal: &str, child: &Child) {
    let id = child.id().expect("a process that runs").to_string();
    let status = Command::new("kill").args([signal, &id]).status().await.expect("kill");
    assert!(status.success(), "kill {signal} {id}: {status}");
}

/// A port that nobody else gets for as long as this is there, whether a server listens on it or not.
pub(crate) struct Port {
    pub(crate) number: u16,
    _kept: Option<TcpSocket>,
}

impl Port {
    pub(crate) fn free() -> Self {
        let bind = || {
            let socket = TcpSocket::new_v4()?;
            // Then the server can have it as well, which says the same of its own socket. Linux takes that of one that
            // does not listen; elsewhere all that can be had is a port that was free a moment ago.
            socket.set_reuseaddr(true)?;
            socket.bind(([127, 0, 0, 1], 0).into())?;
            Ok::<_, std::io::Error>((socket.local_addr()?.port(), socket))
        };
        let (number, socket) = bind().expect("a free port");
        Self { number, _kept: Some(socket).filter(|_| cfg!(target_os = "linux")) }
    }
}

async fn read_reply(stream: &mut BufReader<TcpStream>) -> std::io::Result<Reply> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let line = line.trim_end();
    let Some(kind) = line.chars().next() else { return Err(ErrorKind::UnexpectedEof.into()) };
    let rest = &line[1..];
    let number = || rest.parse::<i64>().map_err(|_| std::io::Error::from(ErrorKind::InvalidData));
    Ok(match kind {
        '+' => Reply::Text(rest.to_owned()),
        '-' => Reply::Error(rest.to_owned()),
        ':' => Reply::Int(number()?),
        '$' => match usize::try_from(number()?) {
            Err(_) => Reply::Nil,
            Ok(len) => {
                let mut bytes = vec![0; len + 2];
                stream.read_exact(&mut bytes).await?;
                bytes.truncate(len);
                Reply::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
        },
        '*' => {
            let mut list = Vec::new();
            for _ in 0..number()? {
                list.push(Box::pin(read_reply(stream)).await?);
            }
            Reply::List(list)
        }
        _ => return Err(ErrorKind::InvalidData.into()),
    })
}
