//! A proxy as a process in the foreground, on free ports, with the very file that people copy: the addresses in it are
//! replaced, and what a test wants otherwise.

use crate::redis_server::Port;
use std::{
    fs::File,
    io::ErrorKind,
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Haproxy,
}

pub struct Proxy {
    pub addr: SocketAddr,
    /// The same over HTTP/2, in clear.
    pub http2: SocketAddr,
    kind: Kind,
    config: String,
    dir: PathBuf,
    child: Option<Child>,
    _ports: [Port; 2],
}

impl Kind {
    const fn program(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }

    const fn template(self) -> &'static str {
        match self {
            Self::Nginx => include_str!("../../../proxies/nginx.conf"),
            Self::Haproxy => include_str!("../../../proxies/haproxy.cfg"),
        }
    }

    /// The lines for a listener, and for a second one that speaks HTTP/2.
    fn listeners(self, addr: SocketAddr, http2: SocketAddr) -> [String; 2] {
        match self {
            Self::Nginx => ["listen 127.0.0.1:8080;".into(), format!("listen {addr}; listen {http2} http2;")],
            Self::Haproxy => ["bind 127.0.0.1:8080".into(), format!("bind {addr}\n    bind {http2} proto h2")],
        }
    }

    fn nodes(self, nodes: &[SocketAddr]) -> Vec<[String; 2]> {
        let [first, second] = ["127.0.0.1:3000", "127.0.0.1:3001"];
        match (self, nodes) {
            (_, [a, b]) => vec![[first.into(), a.to_string()], [second.into(), b.to_string()]],
            (Self::Nginx, [a]) => {
                vec![[first.into(), a.to_string()], [format!("        server {second};\n"), String::new()]]
            }
            (Self::Haproxy, [a]) => {
                vec![[first.into(), a.to_string()], [format!("    server b {second} check\n"), String::new()]]
            }
            _ => panic!("one node or two"),
        }
    }
}

/// In a text, what is to be replaced has to be there.
fn replace(text: &mut String, from: &str, to: &str) {
    assert!(text.contains(from), "{from:?} is not in {text}");
    *text = text.replace(from, to);
}

impl Proxy {
    /// `None`, with a printed line, where the program is not installed; in CI that is a failure.
    pub async fn before(kind: Kind, nodes: &[SocketAddr], changes: &[[&str; 2]]) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("tower-resume-proxy-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let ports = [Port::free(), Port::free()];
        let [addr, http2] = [0, 1].map(|at: usize| SocketAddr::from(([127, 0, 0, 1], ports[at].number)));
        let mut proxy = Self { addr, http2, kind, config: String::new(), dir, child: None, _ports: ports };
        // Where ports cannot be kept, another process may take one in between: then other ones.
        for _ in 0..5 {
            let mut config = kind.template().to_owned();
            let [from, to] = kind.listeners(proxy.addr, proxy.http2);
            replace(&mut config, &from, &to);
            for [from, to] in kind.nodes(nodes) {
                replace(&mut config, &from, &to);
            }
            for [from, to] in changes {
                replace(&mut config, from, to);
            }
            proxy.config = config;
            if !proxy.launch() {
                return None;
            }
            if proxy.answers().await {
                return Some(proxy);
            }
            proxy.kill().await;
            proxy._ports = [Port::free(), Port::free()];
            proxy.addr.set_port(proxy._ports[0].number);
            proxy.http2.set_port(proxy._ports[1].number);
        }
        panic!("{} does not answer: {}", kind.program(), proxy.said());
    }

    /// Whether it is installed.
    fn launch(&mut self) -> bool {
        let config = self.dir.join("config");
        std::fs::write(&config, &self.config).unwrap();
        let mut command = Command::new(self.kind.program());
        match self.kind {
            Kind::Nginx => command.arg("-p").arg(&self.dir).args(["-e", "stderr", "-c"]).arg(config),
            Kind::Haproxy => command.args(["-W", "-db", "-f"]).arg(config),
        };
        // With a group of its own, so that its workers die with it.
        command.current_dir(&self.dir).process_group(0).kill_on_drop(true);
        let log = File::options().create(true).append(true).open(self.dir.join("log")).unwrap();
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn() {
            Ok(child) => self.child = Some(child),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let program = self.kind.program();
                assert!(std::env::var_os("CI").is_none(), "{program} is not installed, and CI has to run these tests");
                println!("skipped: {program} is not installed");
                return false;
            }
            Err(error) => panic!("{:?} cannot be started: {error}", self.kind),
        }
        true
    }

    async fn answers(&mut self) -> bool {
        let answers = async {
            loop {
                if self.child.as_mut().unwrap().try_wait().unwrap().is_some() {
                    return false;
                }
                if TcpStream::connect(self.addr).await.is_ok() && TcpStream::connect(self.http2).await.is_ok() {
                    return true;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), answers).await.unwrap_or(false)
    }

    /// What it has written to its log.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Has it read its file again, with this changed. Ready once the new one serves.
    pub async fn reload(&mut self, from: &str, to: &str) {
        replace(&mut self.config, from, to);
        std::fs::write(self.dir.join("config"), &self.config).unwrap();
        let id = self.child.as_ref().unwrap().id().unwrap();
        let signal = if self.kind == Kind::Nginx { "-HUP" } else { "-USR2" };
        kill(&[signal, &id.to_string()]).await;
    }

    /// Kills it with all its workers, as a power cut would.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            if let Some(id) = child.id() {
                kill(&["-KILL", "--", &format!("-{id}")]).await;
            }
            child.wait().await.unwrap();
        }
    }

    /// Starts it again on its ports.
    pub async fn restart(&mut self) {
        self.kill().await;
        assert!(self.launch() && self.answers().await, "it does not come back: {}", self.said());
    }
}

async fn kill(args: &[&str]) {
    // A process of the group may be gone already.
    let _ = Command::new("kill").args(args).status().await.unwrap();
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(id) = self.child.as_ref().and_then(Child::id) {
            let _ = std::process::Command::new("kill").args(["-KILL", "--", &format!("-{id}")]).status();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
