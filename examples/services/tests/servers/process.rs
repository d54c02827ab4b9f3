//! An example as a process, killed when dropped.

use std::{net::SocketAddr, path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

pub struct Process {
    pub addr: SocketAddr,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// What it has said up to and with the line that says where it serves.
    pub said: Vec<String>,
}

/// With nothing of this test's environment that it could read.
pub fn command(program: impl AsRef<Path>, env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program.as_ref());
    for name in ["SSE_RESUME_SECRET", "SSE_RESUME_SECRET_PREVIOUS", "HMAC_SECRET", "REDIS_URL"] {
        command.env_remove(name);
    }
    command.env("PORT", "0").envs(env.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

impl Process {
    pub async fn start(program: impl AsRef<Path>, env: &[(&str, &str)]) -> Self {
        let mut child = command(program, env).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let addr = loop {
            let line = lines.next_line().await.unwrap().expect("it says where it serves");
            said.push(line);
            if let Some((_, addr)) = said.last().unwrap().split_once(" serves http://") {
                break addr.parse().unwrap();
            }
        };
        Self { addr, child, lines, said }
    }

    /// The next line that it prints and that begins so.
    pub async fn line(&mut self, start: &str) -> String {
        loop {
            let line = self.lines.next_line().await.unwrap().unwrap_or_else(|| panic!("it never said {start:?}"));
            self.said.push(line);
            let line = self.said.last().unwrap();
            if line.starts_with(start) {
                return line.clone();
            }
        }
    }

    /// What Ctrl-C does.
    pub async fn interrupt(&self) {
        interrupt(&self.child.id().expect("it runs").to_string()).await;
    }

    /// Ready once it is gone by itself. Whether it found nothing wrong.
    pub async fn gone(&mut self) -> bool {
        self.child.wait().await.unwrap().success()
    }
}

/// Sends this process, or with a `-` in front this group of them, what Ctrl-C does.
pub async fn interrupt(id: &str) {
    let status = Command::new("kill").args(["-INT", "--", id]).status().await.unwrap();
    assert!(status.success(), "kill: {status}");
}

/// What a process that does not get to serve says on its way out. It has to fail.
pub async fn last_words(program: impl AsRef<Path>, env: &[(&str, &str)]) -> String {
    let output = command(program, env).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}
