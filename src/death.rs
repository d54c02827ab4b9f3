//! Whether the writer of a stream that is read here is dead, and the stream's end in its place.
//!
//! A node is dead when its lease is missing at two looks, some time apart, with neither an entry nor an answer of its in
//! between; a stream is dead when its living node says twice that it does not know it. What was seen before the store was
//! away does not count: it may have lost the leases, and its nodes need a while to renew them.

use crate::{
    EndStatus, NodeId, RequestId,
    node::Node,
    store::{Ask, StoreError, Touched},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// How far the two looks are apart.
const BETWEEN_LOOKS: Duration = Duration::from_secs(3);
/// How long a living node may say nothing about the stream before it is asked. (Most answer by themselves, as their watches
/// are renewed.)
const UNASKED: Duration = Duration::from_secs(15);
/// How long after the store's return leases are not believed to be missing.
const SETTLE: Duration = Duration::from_secs(4);

/// What a look has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Lives,
    /// To be looked at again, at [`Vigil::due`].
    Suspect,
    Dead,
}

/// What is known of one stream's writer.
#[derive(Debug)]
pub(crate) struct Vigil {
    node: Arc<Node>,
    id: RequestId,
    writer: NodeId,
    /// Since when its lease is missing.
    missing: Option<Instant>,
    /// Since when it does not know the stream.
    unknown: Option<Instant>,
    /// When it was last heard of.
    heard: Instant,
    /// From when on looks count.
    from: Instant,
    epoch: u64,
}

impl Vigil {
    pub(crate) fn new(node: Arc<Node>, id: RequestId, writer: NodeId) -> Self {
        let epoch = node.store_epoch();
        let now = Instant::now();
        Self { node, id, writer, missing: None, unknown: None, heard: now, from: now, epoch }
    }

    /// The writer has done something.
    pub(crate) fn heard(&mut self) {
        (self.missing, self.unknown, self.heard) = (None, None, Instant::now());
    }

    /// The writer's node has answered.
    pub(crate) fn answered(&mut self, knows: bool) {
        let unknown = if knows { None } else { self.unknown.or_else(|| Some(Instant::now())) };
        self.heard();
        self.unknown = unknown;
    }

    /// The store was away.
    pub(crate) fn blind(&mut self) {
        self.heard();
        self.from = Instant::now() + SETTLE;
    }

    /// When to look again at a writer that may be dead.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.missing.or(self.unknown).map(|since| since + BETWEEN_LOOKS)
    }

    /// Looks, behind a look at the log that has shown nothing new.
    pub(crate) async fn look(&mut self) -> Verdict {
        let epoch = self.node.store_epoch();
        if std::mem::replace(&mut self.epoch, epoch) != epoch || !self.node.store_is_up() {
            self.blind();
        }
        match self.judge().await {
            Ok(verdict) => verdict,
            Err(_) => {
                self.blind();
                Verdict::Lives
            }
        }
    }

    async fn judge(&mut self) -> Result<Verdict, StoreError> {
        if self.writer == self.node.store.node() {
            return Ok(self.ask(Instant::now()).await);
        }
        let lives = Arc::clone(&self.node.store).lives(self.writer).await?;
        let now = Instant::now();
        if now < self.from {
            return Ok(Verdict::Lives);
        }
        if lives {
            self.missing = None;
            return Ok(self.ask(now).await);
        }
        match self.missing {
            Some(since) if now >= since + BETWEEN_LOOKS => Ok(Verdict::Dead),
            Some(_) => Ok(Verdict::Suspect),
            None => {
                self.missing = Some(now);
                // A node that cannot renew its lease may still answer. One that does not answer has its time, too.
                let twice = self.unknown.is_some_and(|since| now >= since + BETWEEN_LOOKS);
                if let Ok(knows) = Arc::clone(&self.node.store).ask(self.writer, self.id, Ask::Known).await {
                    self.answered(knows);
                    if twice && !knows {
                        return Ok(Verdict::Dead);
                    }
                }
                Ok(Verdict::Suspect)
            }
        }
    }

    /// Asks a living node, where it has said once that it does not know the stream, or has said nothing for long.
    async fn ask(&mut self, now: Instant) -> Verdict {
        match self.unknown {
            None if now < self.heard + UNASKED => return Verdict::Lives,
            Some(since) if now < since + BETWEEN_LOOKS => return Verdict::Suspect,
            _ => {}
        }
        let twice = self.unknown.is_some();
        // One that does not answer is asked again, or its lease lapses.
        if let Ok(knows) = Arc::clone(&self.node.store).ask(self.writer, self.id, Ask::Known).await {
            self.answered(knows);
            if twice && !knows {
                return Verdict::Dead;
            }
        }
        if self.unknown.is_some() { Verdict::Suspect } else { Verdict::Lives }
    }

    /// Ends the stream in its dead writer's place. How it has ended, by the log; `None` where that is gone.
    pub(crate) async fn end(&self) -> Result<Option<EndStatus>, StoreError> {
        let (now, ttl) = (self.node.now(), self.node.settings.ttl());
        // What its client was told may have been that it was asked to stop.
        let status = match Arc::clone(&self.node.store).touch(self.id, ttl).await? {
            Touched::Lives { cancelled: true } => EndStatus::Cancelled,
            Touched::Lives { cancelled: false } | Touched::Gone => EndStatus::Interrupted,
        };
        let ended = Arc::clone(&self.node.store).fence(self.id, status, now, ttl).await?;
        self.node.telemetry.writer_dead(self.id, self.writer, ended);
        Ok(ended)
    }
}

/// Looks into a stream that somebody has asked about without following it: it may have to be ended.
pub(crate) fn look_into(node: &Arc<Node>, id: RequestId, writer: NodeId) {
    if !node.store.is_shared() || !node.begin_inquest(id) {
        return;
    }
    let node = Arc::clone(node);
    drop(tokio::spawn(async move {
        let mut vigil = Vigil::new(Arc::clone(&node), id, writer);
        if let Ok(knows) = Arc::clone(&node.store).ask(writer, id, Ask::Known).await {
            vigil.answered(knows);
        }
        loop {
            match vigil.look().await {
                Verdict::Lives => break,
                Verdict::Suspect => {}
                Verdict::Dead => {
                    let _ = vigil.end().await;
                    break;
                }
            }
            let Some(due) = vigil.due() else { break };
            sleep_until(due).await;
            // An entry since then shows in the log, behind which an end goes only in one step: see `Store::fence`.
        }
        node.end_inquest(id);
    }));
}
