//! What other nodes tell this one: the subscription to its own inbox, and the task that reads it.
//!
//! `fred` says that it has subscribed before Redis has answered. So the node sends messages to itself: one that comes
//! back proves the subscription, one that stays out ends it.

use super::{
    super::{Ask, desk::Desks},
    asks::Asks,
    cluster::Moves,
    conn::Conn,
    follows::Follows,
    frame::Frame,
    keys::Keys,
    line::{Line, Route},
    link::{Server, Subscriber},
    pulse::Pulse,
    writes::Writes,
};
use crate::NodeId;
use bytes::Bytes;
use fred::types::Message;
use futures_util::FutureExt as _;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{
        Notify,
        broadcast::{self, error::RecvError},
        watch,
    },
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tracing::debug;

/// How often a subscription that stands is probed.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// How long a probe may stay out.
const PROBE_WAIT: Duration = Duration::from_secs(1);
/// The first pause before a probe is sent again: it may have overtaken the subscription.
const PROBE_AGAIN: Duration = Duration::from_millis(20);
/// The subscriptions without an answer after which the connection is made anew.
const FAILED_MAX: u32 = 3;
/// How often old entries are swept out and watches renewed.
const TICK: Duration = Duration::from_secs(1);

/// Sends to inboxes, over the connection for appends.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) keys: Keys,
    pub(super) line: Line,
    /// On a cluster the channel has a slot: what is sent there would else go to every node of it, and over the bus on
    /// which they agree who is alive.
    pub(super) sharded: bool,
}

impl Post {
    /// Sends without waiting. What goes to one inbox arrives in the order of the calls, or not at all.
    pub(super) fn send(&self, inbox: NodeId, frame: Bytes) {
        let publish = if self.sharded { "SPUBLISH" } else { "PUBLISH" };
        // The first poll hands the command to the connection; its answer matters to nobody.
        let _ = self.line.call(publish, vec![self.keys.inbox(inbox), frame.into()]).now_or_never();
    }
}

/// The inbox of this node.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) node: NodeId,
    pub(super) route: Route,
    pub(super) post: Post,
    pub(super) pulse: Arc<Pulse>,
    pub(super) writes: Arc<Writes>,
    pub(super) follows: Arc<Follows>,
    pub(super) asks: Arc<Asks>,
    pub(super) desks: Arc<Desks>,
    /// Told with the first append or watch: a node that does neither needs no subscription.
    pub(super) needed: Arc<Notify>,
}

/// How sure it is that we are subscribed.
struct Probe {
    stands: bool,
    /// The message to oneself that has not come back yet.
    out: Option<u64>,
    /// When it was sent first.
    since: Instant,
    /// When to send the next one, or this one again.
    next: Instant,
    pause: Duration,
    /// The subscriptions in a row that no probe came back from.
    failed: u32,
}

/// The connection of a subscription.
struct Ear {
    server: Arc<Server>,
    subscriber: Subscriber,
    conns: watch::Receiver<Option<Arc<Conn>>>,
    conn: Option<Arc<Conn>>,
    messages: Option<broadcast::Receiver<Message>>,
}

impl Ear {
    fn at(server: Arc<Server>) -> Self {
        let subscriber = server.subscriber();
        let conns = subscriber.link.conns();
        Self { server, subscriber, conns, conn: None, messages: None }
    }

    /// Takes the connection of now.
    fn turn(&mut self) {
        self.conn = self.conns.borrow_and_update().clone();
        self.messages = self.conn.as_ref().map(|conn| conn.messages());
    }
}

/// What an ear hears.
enum Heard {
    Message(Message),
    /// So many messages were lost.
    Lagged(u64),
    /// Another connection, or none.
    Turned,
}

/// Waits for what comes in; for ever where nobody listens yet.
async fn hear(ear: Option<&mut Ear>) -> Heard {
    let Some(ear) = ear else { return std::future::pending().await };
    loop {
        let message = async {
            match &mut ear.messages {
                Some(messages) => messages.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // What has come in counts, also over a connection that is lost by now.
            biased;
            message = message => match message {
                Ok(message) => return Heard::Message(message),
                Err(RecvError::Lagged(lost)) => return Heard::Lagged(lost),
                Err(RecvError::Closed) => ear.messages = None,
            },
            changed = ear.conns.changed() => match changed {
                Ok(()) => {
                    ear.turn();
                    return Heard::Turned;
                }
                Err(_) => std::future::pending().await,
            },
        }
    }
}

async fn next(moves: &mut Option<Moves>) {
    match moves {
        Some(moves) => moves.next().await,
        None => std::future::pending().await,
    }
}

impl Inbox {
    /// Subscribes, and reads what comes in until the task is aborted.
    pub(super) async fn run(self) {
        self.needed.notified().await;
        let mut moves = self.route.moves();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        let mut probe = Probe { stands: false, out: None, since: now, next: now, pause: PROBE_AGAIN, failed: 0 };
        let mut ear = self.turn(None);
        loop {
            tokio::select! {
                heard = hear(ear.as_mut()) => match heard {
                    Heard::Message(message) => self.take(message, &mut probe),
                    Heard::Lagged(lost) => {
                        debug!(lost, "inbox overflowed");
                        self.follows.look();
                    }
                    Heard::Turned => self.subscribe(ear.as_ref(), &mut probe).await,
                },
                () = next(&mut moves) => ear = self.turn(ear),
                () = sleep_until(probe.next) => self.probe(ear.as_ref(), &mut probe).await,
                () = self.follows.work.notified(), if probe.stands => self.renew(false),
                _ = ticks.tick() => {
                    self.writes.sweep();
                    if probe.stands {
                        self.renew(false);
                    }
                }
            }
        }
    }

    /// Listens where the inbox is now.
    fn turn(&self, ear: Option<Ear>) -> Option<Ear> {
        let channel = self.post.keys.inbox(self.node);
        let server = self.route.server(channel.as_bytes().unwrap_or_default());
        match (ear, server) {
            (Some(ear), Some(server)) if Arc::ptr_eq(&ear.server, &server) => Some(ear),
            // A cluster without a map is no reason to listen nowhere.
            (ear, None) => ear,
            (_, Some(server)) => Some(Ear::at(server)),
        }
    }

    async fn subscribe(&self, ear: Option<&Ear>, probe: &mut Probe) {
        probe.stands = false;
        let channel = self.post.keys.inbox(self.node).into_string().unwrap_or_default();
        let sent = match ear.and_then(|ear| ear.conn.as_ref()) {
            Some(conn) => conn.subscribe(channel, self.post.sharded).await.is_ok(),
            None => false,
        };
        if !sent {
            self.route.look_again();
        }
        self.send_probe(probe, if sent { PROBE_AGAIN } else { PROBE_WAIT });
    }

    /// Sends a new probe, which is sent again after `pause` and then ever longer ones.
    fn send_probe(&self, probe: &mut Probe, pause: Duration) {
        probe.out = Some(fastrand::u64(..));
        (probe.since, probe.pause) = (Instant::now(), pause);
        self.resend_probe(probe);
    }

    fn resend_probe(&self, probe: &mut Probe) {
        if let Some(nonce) = probe.out {
            self.post.send(self.node, Frame::Probe(nonce).encode());
        }
        probe.next = Instant::now() + probe.pause;
        probe.pause = (probe.pause * 2).min(PROBE_WAIT);
    }

    /// The time of the next probe has come.
    async fn probe(&self, ear: Option<&Ear>, probe: &mut Probe) {
        if probe.out.is_none() {
            self.send_probe(probe, PROBE_WAIT);
        } else if probe.since.elapsed() < PROBE_WAIT {
            self.resend_probe(probe);
        } else {
            // With the connection for appends down, the probe was never sent.
            probe.failed += u32::from(self.pulse.is_up());
            debug!(failed = probe.failed, "inbox probe stayed out");
            if probe.failed >= FAILED_MAX {
                probe.failed = 0;
                if let Some(ear) = ear {
                    ear.subscriber.link.remake();
                }
            }
            self.subscribe(ear, probe).await;
        }
    }

    fn take(&self, message: Message, probe: &mut Probe) {
        let Some(frame) = message.value.into_bytes().as_ref().and_then(Frame::decode) else { return };
        match frame {
            Frame::Watch { id, inbox, .. } => {
                let answer = self.writes.watch(id, inbox, self.desks.asked(id, Ask::Known));
                self.post.send(inbox, answer.encode());
            }
            Frame::Unwatch { id, inbox } => self.writes.unwatch(id, inbox),
            Frame::State { id, last, ended, knows } => self.follows.state(id, last, ended, knows),
            Frame::Chunk { id, chunk } => self.follows.chunk(id, &chunk),
            Frame::Probe(nonce) if Some(nonce) == probe.out => {
                (probe.out, probe.failed) = (None, 0);
                probe.next = Instant::now() + PROBE_EVERY;
                if !std::mem::replace(&mut probe.stands, true) {
                    debug!("inbox subscribed");
                    // Whatever came while nobody listened is lost.
                    self.follows.look();
                    self.renew(true);
                }
            }
            Frame::Probe(_) => {}
            Frame::Ask { id, inbox, nonce, ask } => {
                let knows = self.desks.asked(id, ask);
                self.post.send(inbox, Frame::Answer { nonce, knows }.encode());
            }
            Frame::Answer { nonce, knows } => self.asks.answered(nonce, knows),
        }
    }

    fn renew(&self, all: bool) {
        for (writer, frame) in self.follows.due(all, Instant::now(), self.node) {
            self.post.send(writer, frame.encode());
        }
    }
}
