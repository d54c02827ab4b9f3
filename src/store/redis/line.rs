//! A connection of its own to Redis, and what keeps it up.

use fred::{
    clients::{Client, Pipeline, WithOptions},
    error::Error,
    interfaces::ClientLike as _,
    types::{ClusterHash, ConnectHandle, CustomCommand, Value, config::Options},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// The longest pause between two attempts to bring a connection back.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// One connection. Commands fail at once while it is down, and are sent once only.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) client: Client,
    quick: WithOptions<Client>,
    options: Options,
    again: Arc<Notify>,
}

impl Line {
    pub(super) fn new(client: Client) -> Self {
        let options = Options { fail_fast: true, max_attempts: Some(1), ..Options::default() };
        Self { quick: client.with_options(&options), client, options, again: Arc::default() }
    }

    /// Sends one command, whose first argument is its key.
    pub(super) async fn call(&self, command: &'static str, args: Vec<Value>) -> Result<Value, Error> {
        self.quick.custom(CustomCommand::new_static(command, ClusterHash::FirstKey, false), args).await
    }

    /// Runs a script on the keys of one stream: `args` are the keys, of which there are `keys`, and what comes behind.
    pub(super) async fn eval(&self, script: &'static str, keys: u32, args: Vec<Value>) -> Result<Value, Error> {
        let mut all = Vec::with_capacity(args.len() + 2);
        all.extend([Value::from_static_str(script), Value::from(keys)]);
        all.extend(args);
        self.quick.custom(CustomCommand::new_static("EVAL", ClusterHash::Offset(2), false), all).await
    }

    /// Commands that go out together: queue with [`queue`], then `all`.
    pub(super) fn pipeline(&self) -> WithOptions<Pipeline<Client>> {
        self.client.pipeline().with_options(&self.options)
    }

    pub(super) async fn ping(&self) -> Result<Value, Error> {
        self.quick.ping(None).await
    }

    /// Takes the connection down and makes a new one. `fred` cannot do it by itself while it waits for a peer that
    /// takes nothing more, and takes a connection for alive as long as we keep writing to it.
    pub(super) fn remake(&self) {
        self.again.notify_one();
    }

    /// Connects at once, and again whenever `fred` gives up, until the task is aborted.
    pub(super) async fn keep(self) {
        let mut pause = Duration::ZERO;
        loop {
            let began = Instant::now();
            let mut task = Connecting(self.client.connect());
            tokio::select! {
                _ = &mut task.0 => {}
                () = self.again.notified() => pause = Duration::ZERO,
            }
            drop(task);
            if began.elapsed() > PAUSE_MAX * 2 {
                pause = Duration::ZERO;
            }
            // Waited for here as well, lest it takes down the next connection.
            tokio::select! {
                () = sleep(pause + Duration::from_millis(fastrand::u64(0..50))) => {}
                () = self.again.notified() => {}
            }
            pause = (pause * 2).clamp(Duration::from_millis(50), PAUSE_MAX);
        }
    }
}

/// Adds a command to a pipeline, its key first.
pub(super) async fn queue(
    pipeline: &WithOptions<Pipeline<Client>>,
    command: &'static str,
    args: Vec<Value>,
) -> Result<(), Error> {
    pipeline.custom::<Value, Value>(CustomCommand::new_static(command, ClusterHash::FirstKey, false), args).await?;
    Ok(())
}

/// A connection's task, which ends with its owner.
struct Connecting(ConnectHandle);

impl Drop for Connecting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A text argument.
pub(super) fn text(text: &'static str) -> Value {
    Value::from_static_str(text)
}
