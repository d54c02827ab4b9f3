//! Where a command goes: over the one connection there is, or on a cluster to the node that has its key.

use super::{
    cluster::{Cluster, Moves, slot_of},
    conn::{Command, Conn, no_connection},
    fault::{Redirect, is_no_answer, is_no_writer, redirect},
    link::{Link, Server},
};
use fred::{error::Error, types::Value};
use std::sync::Arc;

/// The most redirections that a command follows.
const REDIRECTIONS_MAX: u32 = 4;

/// What leads to Redis.
#[derive(Clone, Debug)]
pub(super) enum Route {
    /// One server, or whichever one sentinels name.
    One(Arc<Server>),
    Cluster(Arc<Cluster>),
}

impl Route {
    /// The server that has this key.
    pub(super) fn server(&self, key: &[u8]) -> Option<Arc<Server>> {
        match self {
            Self::One(server) => Some(Arc::clone(server)),
            Self::Cluster(cluster) => cluster.owner(slot_of(key)),
        }
    }

    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// Keys have gone elsewhere, as it seems.
    pub(super) fn look_again(&self) {
        if let Self::Cluster(cluster) = self {
            cluster.look_again();
        }
    }

    /// What tells when keys may have gone elsewhere; `None` where they never do.
    pub(super) fn moves(&self) -> Option<Moves> {
        match self {
            Self::One(_) => None,
            Self::Cluster(cluster) => Some(cluster.moves()),
        }
    }
}

/// One kind of connections. Commands fail at once while there is none, and are sent once only; on a cluster they
/// follow the node's word that their key is elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Line {
    route: Route,
    reads: bool,
}

/// A connection for the commands of one key, as of now.
#[derive(Clone, Debug)]
pub(super) struct At {
    link: Arc<Link>,
    server: Arc<Server>,
    pub(super) conn: Arc<Conn>,
}

impl Line {
    pub(super) const fn appends(route: Route) -> Self {
        Self { route, reads: false }
    }

    pub(super) const fn reads(route: Route) -> Self {
        Self { route, reads: true }
    }

    fn over(&self, server: Arc<Server>) -> Option<At> {
        let link = Arc::clone(if self.reads { &server.reads } else { &server.appends });
        let conn = link.conn()?;
        Some(At { link, server, conn })
    }

    /// The connection over which commands on this key go now. What has no key of its own (`WAIT`, say) is sent over the
    /// same one.
    pub(super) fn at(&self, key: &Value) -> Result<At, Error> {
        let key = key.as_bytes().unwrap_or_default();
        self.route.server(key).and_then(|server| self.over(server)).ok_or_else(no_connection)
    }

    /// Whether the server that has this key answers, by what was heard last.
    pub(super) fn reaches(&self, key: &Value) -> bool {
        self.route.server(key.as_bytes().unwrap_or_default()).is_some_and(|server| server.answers())
    }

    /// Sends one command, whose first argument is its key.
    pub(super) async fn call(&self, command: &'static str, args: Vec<Value>) -> Result<Value, Error> {
        let at = args.first().map_or_else(|| Err(no_connection()), |key| self.at(key))?;
        self.send(at, command, args).await.map(|(reply, _)| reply)
    }

    /// Runs a script on keys of one hash tag: `args` are the keys, of which there are `keys`, and what comes behind.
    pub(super) async fn eval(&self, script: &'static str, keys: u32, args: Vec<Value>) -> Result<Value, Error> {
        self.eval_at(script, keys, args).await.map(|(reply, _)| reply)
    }

    /// The same, and says which connection has answered.
    pub(super) async fn eval_at(
        &self,
        script: &'static str,
        keys: u32,
        args: Vec<Value>,
    ) -> Result<(Value, u64), Error> {
        let at = args.first().map_or_else(|| Err(no_connection()), |key| self.at(key))?;
        let mut all = Vec::with_capacity(args.len() + 2);
        all.extend([text(script), Value::from(keys)]);
        all.extend(args);
        self.send(at, "EVAL", all).await
    }

    /// Commands on keys of one hash tag, each with its key first, that go out together.
    pub(super) async fn all(&self, commands: Vec<Command>) -> Result<Vec<Value>, Error> {
        let key = commands.first().and_then(|(_, args)| args.first());
        let at = key.map_or_else(|| Err(no_connection()), |key| self.at(key))?;
        if !self.route.is_cluster() {
            return at.heard(at.conn.all(commands).await.and_then(|replies| replies.into_iter().collect()));
        }
        let replies = at.heard(at.conn.all(commands.clone()).await)?;
        if replies.iter().all(|reply| reply.as_ref().err().and_then(redirect).is_none()) {
            return at.heard(replies.into_iter().collect());
        }
        // The keys are on the move, perhaps not all of them yet: each is looked for by itself.
        let mut replies = Vec::with_capacity(commands.len());
        for (name, args) in commands {
            replies.push(self.send(at.clone(), name, args).await?.0);
        }
        Ok(replies)
    }

    /// Sends a command and follows redirections; says which connection has answered.
    async fn send(&self, mut at: At, name: &'static str, args: Vec<Value>) -> Result<(Value, u64), Error> {
        let Route::Cluster(cluster) = &self.route else {
            return Ok((at.call(name, args).await?, at.conn.number));
        };
        let mut ask = false;
        for _ in 0..REDIRECTIONS_MAX {
            let sent = if ask {
                at.heard(at.conn.asking(name, args.clone()).await)
            } else {
                at.call(name, args.clone()).await
            };
            let to = match sent {
                Ok(reply) => return Ok((reply, at.conn.number)),
                Err(error) => redirect(&error).ok_or(error)?,
            };
            ask = matches!(to, Redirect::Ask(_));
            let server = cluster.redirected(&at.server, to);
            at = server.and_then(|server| self.over(server)).ok_or_else(no_connection)?;
        }
        Err(no_connection())
    }
}

impl At {
    /// Sends a command over this connection, and follows nothing.
    pub(super) async fn call(&self, name: &'static str, args: Vec<Value>) -> Result<Value, Error> {
        self.heard(self.conn.call(name, args).await)
    }

    /// Notes what the answer says about the server.
    fn heard<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.inspect_err(|error| {
            if is_no_answer(error) {
                self.link.suspect(&self.conn);
            } else if is_no_writer(error) {
                self.server.distrust();
            }
        })
    }
}

/// A text argument.
pub(super) fn text(text: &'static str) -> Value {
    Value::from_static_str(text)
}
