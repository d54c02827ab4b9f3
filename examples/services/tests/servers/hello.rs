//! `hello`, the first thing that a newcomer runs: what it prints works when it is pasted, and what is wrong is said.

use crate::process::{Process, interrupt, last_words};
use std::{path::PathBuf, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdout, Command},
    sync::OnceCell,
};

/// The program, built with the features that the crate's own tests are built with, so that it mostly is already.
async fn hello() -> &'static PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--all-features", "--example", "hello", "--message-format=json"]);
        cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().await.unwrap();
        assert!(output.status.success());
        let messages = String::from_utf8(output.stdout).unwrap();
        let messages = messages.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut made = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
        made.next_back().expect("a program")
    };
    BUILT.get_or_init(build).await
}

/// A command, pasted into a shell.
struct Pasted {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Pasted {
    fn new(command: &str, dir: &PathBuf) -> Self {
        let mut shell = Command::new("env");
        // Whoever runs the tests in the background has their children ignore Ctrl-C.
        shell.args(["--default-signal=INT", "sh", "-c", command]).current_dir(dir).process_group(0).kill_on_drop(true);
        let mut child = shell.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next number that it prints.
    async fn number(&mut self) -> u64 {
        loop {
            let line = self.lines.next_line().await.unwrap().expect("more");
            if let Some(number) = number(&line) {
                return number;
            }
        }
    }

    async fn ctrl_c(mut self) {
        interrupt(&format!("-{}", self.child.id().unwrap())).await;
        while self.lines.next_line().await.unwrap().is_some() {}
        self.child.wait().await.unwrap();
    }
}

fn number(line: &str) -> Option<u64> {
    line.strip_prefix("data: ")?.parse().ok()
}

#[tokio::test]
async fn what_hello_prints_works_when_it_is_pasted() {
    let mut server = Process::start(hello().await, &[]).await;
    let (first, second) = (server.line("   curl").await, server.line("   curl").await);
    assert!(server.said.iter().any(|line| line.starts_with("No SSE_RESUME_SECRET is set: made one")));
    let dir = std::env::temp_dir().join(format!("tower-resume-hello-{}", server.addr.port()));
    std::fs::create_dir_all(&dir).unwrap();

    let mut counting = Pasted::new(&first, &dir);
    for expected in 1..=3 {
        assert_eq!(counting.number().await, expected);
    }
    counting.ctrl_c().await;
    let kept = std::fs::read_to_string(dir.join("count.sse")).unwrap();
    // An event is there once its last line is.
    let last =
        kept.split("\n\n").filter(|event| event.contains("\nid: ")).filter_map(|event| event.lines().find_map(number));
    let last = last.last().unwrap();

    let mut resumed = Pasted::new(&second, &dir);
    for expected in last + 1..last + 4 {
        assert_eq!(resumed.number().await, expected);
    }
    resumed.ctrl_c().await;
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn hello_uses_the_secret_that_is_set_and_names_what_is_wrong() {
    let secret = ("SSE_RESUME_SECRET", "a secret of at least 32 bytes, of course");
    let mut server = Process::start(hello().await, &[secret]).await;
    server.line("   curl").await;
    assert!(!server.said.iter().any(|line| line.contains("SECRET")), "{:?}", server.said);

    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = holder.local_addr().unwrap().port().to_string();
    for (env, expected) in [
        (("PORT", &*taken), format!("hello: cannot listen on 127.0.0.1:{taken}: Address already in use")),
        (("PORT", "http"), "hello: PORT: `http` given, a port number expected".into()),
        (("SSE_RESUME_SECRET", "short"), "hello: SSE_RESUME_SECRET: secret too short".into()),
    ] {
        let said = last_words(hello().await, &[env]).await;
        assert!(said.starts_with(&expected), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn hello_is_at_most_sixty_lines() {
    let lines = include_str!("../../../hello.rs").lines().count();
    assert!(lines <= 60, "{lines} lines");
}
