//! One connection, from its making to its end.
//!
//! It is never made anew: what is sent over it reaches the very server that it was made to, or nobody. (`fred` would
//! bring connections back by itself and send over the new one what was meant for the old one. The new one may lead to
//! another server, with less in its logs, and an `XADD` cannot see that.)

use super::replicas::Waits;
use fred::{
    clients::{Client, WithOptions},
    error::{Error, ErrorKind},
    interfaces::{ClientLike as _, EventInterface as _, PubsubInterface as _},
    types::{ClusterHash, ConnectHandle, CustomCommand, Message, Value, config::Options},
};
use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::Poll,
};
use tokio::{sync::broadcast, time::Instant};

/// A command by its name, and what comes behind it.
pub(super) type Command = (&'static str, Vec<Value>);

/// Commands fail at once when it is lost, and are sent once only.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) client: Client,
    quick: WithOptions<Client>,
    options: Options,
    /// No other connection of this process has it.
    pub(super) number: u64,
    pub(super) since: Instant,
    /// What its replicas hold of it.
    pub(super) waits: Waits,
    lost: AtomicBool,
}

/// A connection's task, which ends with its owner, and the connection with it.
#[derive(Debug)]
pub(super) struct Connecting(ConnectHandle);

impl Connecting {
    /// Waits until the connection is lost.
    pub(super) async fn lost(&mut self) {
        let _ = (&mut self.0).await;
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Conn {
    /// Makes one attempt to connect.
    pub(super) async fn make(client: Client) -> Option<(Self, Connecting)> {
        let conn = Self::new(client);
        let client = conn.client.clone();
        let mut made = pin!(client.wait_for_connect());
        // It listens from its first poll on, and the answer must not come before.
        poll_fn(|cx| Poll::Ready(made.as_mut().poll(cx).is_ready())).await;
        let mut task = Connecting(conn.client.connect());
        let is_made = tokio::select! {
            biased;
            made = made => made.is_ok(),
            () = task.lost() => false,
        };
        is_made.then_some((conn, task))
    }

    fn new(client: Client) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let options = Options { fail_fast: true, max_attempts: Some(1), ..Options::default() };
        Self {
            quick: client.with_options(&options),
            client,
            options,
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            since: Instant::now(),
            waits: Waits::default(),
            lost: AtomicBool::new(false),
        }
    }

    /// From now on commands fail by themselves. (`fred` would let them wait for a connection that nobody makes.)
    pub(super) fn close(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), Error> {
        if self.lost.load(Ordering::Relaxed) { Err(no_connection()) } else { Ok(()) }
    }

    pub(super) async fn call(&self, name: &'static str, args: Vec<Value>) -> Result<Value, Error> {
        self.check()?;
        self.quick.custom(custom(name), args).await
    }

    /// Commands that go out together; a result for each.
    pub(super) async fn all(&self, commands: Vec<Command>) -> Result<Vec<Result<Value, Error>>, Error> {
        self.check()?;
        let pipeline = self.client.pipeline().with_options(&self.options);
        for (name, args) in commands {
            pipeline.custom::<Value, Value>(custom(name), args).await?;
        }
        Ok(pipeline.try_all().await)
    }

    /// The same as [`Self::call`], to a node of a cluster that is just taking over the key.
    pub(super) async fn asking(&self, name: &'static str, args: Vec<Value>) -> Result<Value, Error> {
        let replies = self.all(vec![("ASKING", Vec::new()), (name, args)]).await?;
        replies.into_iter().next_back().unwrap_or_else(|| Err(no_connection()))
    }

    pub(super) async fn ping(&self) -> Result<(), Error> {
        self.call("PING", Vec::new()).await.map(drop)
    }

    /// What comes in by subscriptions from now on.
    pub(super) fn messages(&self) -> broadcast::Receiver<Message> {
        self.client.message_rx()
    }

    /// Asks for a subscription; `fred` may say yes before the server has.
    pub(super) async fn subscribe(&self, channel: String, sharded: bool) -> Result<(), Error> {
        self.check()?;
        if sharded { self.client.ssubscribe(channel).await } else { self.client.subscribe(channel).await }
    }
}

/// The error where there is no connection to send a command over.
pub(super) fn no_connection() -> Error {
    Error::new(ErrorKind::IO, "no connection")
}

/// Each connection leads to one server, so nobody looks for a key.
fn custom(name: &'static str) -> CustomCommand {
    CustomCommand::new_static(name, ClusterHash::FirstKey, false)
}
