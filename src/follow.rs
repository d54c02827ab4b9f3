//! The follower: one task for each stream that runs elsewhere and is read here. It feeds a live log from the store,
//! by what the writer pushes and, behind that, by a slow look at the log.

use crate::{
    EndStatus, Step,
    death::{Verdict, Vigil},
    live::{LiveLog, Stretch},
    node::Node,
    store::{Ask, Chunk, Opened, Page, Pushed, StoreErrorKind},
};
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// How often the log is looked at when nobody pushes.
const LOOK: Duration = Duration::from_secs(1);
/// How long its writer may have said nothing before it is asked about whether it lives.
const QUIET: Duration = Duration::from_secs(2);
/// How long a stream that nobody reads any more is still followed: a client that was cut comes back.
const LINGER: Duration = Duration::from_secs(2);

/// What has become of the writer.
enum Fate {
    Lives,
    /// It is dead, and its stream has an end.
    Ended,
    /// It is dead, and its log is gone.
    Gone,
}

/// A live log for what the store holds behind a cursor, still empty; [`feed`] brings it to life.
pub(crate) fn log_of(node: &Arc<Node>, id: crate::RequestId, opened: &Opened) -> LiveLog {
    let (first, bytes_before, step_before) = match opened.page.chunks.first() {
        Some(chunk) => (chunk.first, chunk.totals.bytes - size(chunk), chunk.step_before.clone()),
        None => (opened.tail.last + 1, opened.tail.totals.bytes, opened.tail.step.clone()),
    };
    let begin = Stretch { first, step_before, bytes_before, events: Vec::new() };
    let limits = node.settings.limits();
    LiveLog::follow(id, opened.head.clone(), begin, &opened.tail, limits, Arc::clone(&node.usage))
}

/// The step at `seq`, where the page behind it tells.
pub(crate) fn step_at(opened: &Opened, seq: u64) -> Option<Step> {
    let Some(chunk) = opened.page.chunks.first() else {
        return (seq == opened.tail.last).then(|| opened.tail.step.clone());
    };
    match seq.checked_sub(chunk.first) {
        Some(at) => chunk.events.get(usize::try_from(at).ok()?).map(|event| event.step.clone()),
        None => (seq + 1 == chunk.first).then(|| chunk.step_before.clone()),
    }
}

/// Whether an event behind this cursor is not in the log any more, as far as the page behind it tells.
pub(crate) fn misses_after(opened: &Opened, cursor: u64) -> bool {
    let mut next = cursor + 1;
    for chunk in opened.page.chunks.iter().filter(|chunk| chunk.last() > cursor) {
        if chunk.first > next {
            return true;
        }
        next = chunk.last() + 1;
    }
    if opened.page.more { opened.tail.totals.holes.is_some_and(|holes| holes > 0) } else { next <= opened.tail.last }
}

fn size(chunk: &Chunk) -> u64 {
    let size: u64 = chunk.events.iter().map(|event| event.size() as u64).sum();
    size.min(chunk.totals.bytes)
}

/// Puts the first page into its log. Where that is not all, follows the stream from there on.
pub(crate) fn feed(node: &Arc<Node>, log: &Arc<LiveLog>, opened: Opened) {
    let mut follower = Follower { node: Arc::clone(node), log: Arc::clone(log), last: log.last() };
    let more = opened.page.more;
    let over = follower.page(opened.page);
    if over && !more {
        node.unfollow(log, true);
    } else {
        let writer = opened.head.node;
        drop(tokio::spawn(follower.run(writer, more)));
    }
}

struct Follower {
    node: Arc<Node>,
    log: Arc<LiveLog>,
    /// The last event in the live log.
    last: u64,
}

impl Drop for Follower {
    /// Whatever ends a follower, nobody waits for it any longer.
    fn drop(&mut self) {
        self.node.unfollow(&self.log, true);
        self.log.abandon();
    }
}

impl Follower {
    /// Adds a page. Whether the stream's end was in it.
    fn page(&mut self, page: Page) -> bool {
        let mut over = false;
        for chunk in page.chunks {
            over |= self.chunk(&chunk);
        }
        over
    }

    /// Adds a chunk, as far as it is new. Whether the stream's end was in it.
    fn chunk(&mut self, chunk: &Chunk) -> bool {
        if chunk.first > self.last + 1 {
            self.log.skip_to(chunk.first, chunk.step_before.clone(), chunk.totals.bytes - size(chunk));
            self.last = chunk.first - 1;
        }
        if chunk.last() > self.last {
            let known = usize::try_from(self.last + 1 - chunk.first).unwrap_or(usize::MAX);
            self.log.push(chunk.events.iter().skip(known).cloned(), chunk.at, self.node.is_full());
            self.last = chunk.last();
        }
        self.log.set_trimmed(chunk.totals);
        if let Some(status) = chunk.end {
            self.log.finish(status, chunk.at);
        }
        chunk.end.is_some()
    }

    async fn run(mut self, writer: crate::NodeId, mut look: bool) {
        let log = Arc::clone(&self.log);
        let mut watch = self.node.store.watch(log.id, writer, self.last);
        let mut vigil = Vigil::new(Arc::clone(&self.node), log.id, writer);
        let mut looked = Instant::now();
        let mut heard = looked;
        let mut held_since = None;
        let mut alone_since = None;
        let mut kicks = 0;
        let mut told = true;
        loop {
            let unread = alone_since.map_or(looked + LOOK, |since: Instant| since + LINGER);
            let suspect = vigil.due().map_or(looked + LOOK, |due| due.max(looked));
            tokio::select! {
                // A reader that is slow holds the follower back as it would a recorder.
                _ = poll_fn(|cx| log.poll_room(cx)), if look => {
                    looked = Instant::now();
                    held_since = None;
                    let page = Arc::clone(&self.node.store).page(log.id, self.last).await;
                    look = page.as_ref().is_ok_and(|page| page.as_ref().is_some_and(|page| page.more));
                    match page {
                        Ok(Some(page)) if !page.chunks.is_empty() => {
                            heard = looked;
                            vigil.heard();
                            if self.page(page) && !look {
                                return;
                            }
                        }
                        Ok(Some(_)) if heard.elapsed() < QUIET => {}
                        Ok(there) => {
                            if there.is_none() {
                                self.complain(&mut vigil, writer).await;
                            }
                            match self.look_for_writer(&mut vigil).await {
                                Fate::Lives => {}
                                // Behind whatever came before it.
                                Fate::Ended => look = true,
                                Fate::Gone => return,
                            }
                        }
                        // It will not get better by being looked at: clients come again, to another node perhaps.
                        Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                            self.node.telemetry.store_failed(log.id, &error);
                            return;
                        }
                        // The store is away: what this node has is served, and the rest when it is back.
                        Err(_) => vigil.blind(),
                    }
                }
                news = watch.news.recv(), if told => match news {
                    Some(Pushed::Chunk(chunk)) if chunk.first <= self.last + 1 && !look && self.has_room() => {
                        heard = Instant::now();
                        vigil.heard();
                        if self.chunk(&chunk) {
                            return;
                        }
                    }
                    Some(Pushed::Writer { knows }) => vigil.answered(knows),
                    Some(_) => look = true,
                    // The store tells no more: the slow look asks it again.
                    None => told = false,
                },
                seen = poll_fn(|cx| log.poll_kick(kicks, cx)) => {
                    kicks = seen;
                    alone_since = if log.readers() == 0 { alone_since.or_else(|| Some(Instant::now())) } else { None };
                }
                () = sleep_until(unread.min(suspect).min(looked + LOOK)) => {
                    looked = Instant::now();
                    if std::mem::replace(&mut look, true) {
                        self.wait_for_readers(held_since.get_or_insert(looked));
                    }
                    if !std::mem::replace(&mut told, true) {
                        watch = self.node.store.watch(log.id, writer, self.last);
                    }
                    let unread = alone_since.is_some_and(|since| since.elapsed() >= LINGER);
                    // Once it looks as if the writer were dead, it is found out, also where nobody waits for it here.
                    if unread && vigil.due().is_none() && self.node.unfollow(&log, false) {
                        return;
                    }
                }
            }
        }
    }

    /// Readers have had no room for more since then: those that stall are let go, as they are by a recorder, lest nobody
    /// learns of the stream's end.
    fn wait_for_readers(&self, since: &mut Instant) {
        if since.elapsed() >= self.node.settings.stall_time {
            *since = Instant::now();
            let stalled = self.log.let_stalled_go();
            if stalled > 0 {
                self.node.telemetry.reader_stalled(self.log.id, stalled);
            }
        }
    }

    /// The log is gone: its writer, if it lives, does not know it yet.
    async fn complain(&self, vigil: &mut Vigil, writer: crate::NodeId) {
        if let Ok(knows) = Arc::clone(&self.node.store).ask(writer, self.log.id, Ask::Amiss).await {
            vigil.answered(knows);
        }
    }

    /// Whether the writer lives; where it does not, the stream is ended in its place.
    async fn look_for_writer(&self, vigil: &mut Vigil) -> Fate {
        if !self.node.store.is_shared() || vigil.look().await != Verdict::Dead {
            return Fate::Lives;
        }
        match vigil.end().await {
            Ok(Some(_)) => {
                vigil.heard();
                Fate::Ended
            }
            Ok(None) => {
                self.log.finish(EndStatus::Interrupted, self.node.now());
                Fate::Gone
            }
            Err(_) => {
                vigil.blind();
                Fate::Lives
            }
        }
    }

    /// Whether the furthest reader has room for more, now.
    fn has_room(&self) -> bool {
        self.log.poll_room(&Context::from_waker(Waker::noop())).is_ready()
    }
}
