//! What the clones of one layer share: the store, the keys, the settings, and the streams of this node.

mod tend;

use crate::{
    RequestId,
    deploy::{Deploy, Unfinished},
    live::{LiveLog, Orders},
    names::Names,
    order::Order,
    pulse::Pulse,
    settings::{ControlEvents, Settings},
    share::Shares,
    store::{Ask, Desk, Erased, Health, Traced},
    telemetry::{self, Id, Level, Telemetry},
    token::{Keys, Namer, Signer, Verifier},
    usage::Usage,
};
use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// The keys as this layer uses them, ready for the commonest case: nobody in particular.
pub(crate) struct KeyRing {
    keys: Keys,
    scope: String,
    signer: Signer,
    verifier: Verifier,
    namers: Arc<[Namer]>,
}

impl KeyRing {
    fn new(keys: Keys, scope: &str) -> Self {
        let (signer, verifier) = (keys.signer(scope, None), keys.verifier(scope, None));
        let namers = keys.namers(scope);
        Self { keys, scope: scope.to_owned(), signer, verifier, namers }
    }

    /// What makes names, one for each secret.
    pub(crate) fn namers(&self) -> &[Namer] {
        &self.namers
    }

    pub(crate) fn signer(&self, principal: Option<&str>) -> Signer {
        match principal {
            None => self.signer.clone(),
            some => self.keys.signer(&self.scope, some),
        }
    }

    pub(crate) fn verifier(&self, principal: Option<&str>) -> Verifier {
        match principal {
            None => self.verifier.clone(),
            some => self.keys.verifier(&self.scope, some),
        }
    }
}

#[derive(Default)]
struct Streams {
    /// Streams that run here, or ended here and may still have to be written again.
    recorded: HashMap<RequestId, Arc<LiveLog>>,
    /// Streams that run elsewhere and are read here.
    followed: HashMap<RequestId, Arc<LiveLog>>,
    /// Of the recorded ones, how many still run.
    running: usize,
    open: Level,
    /// Streams of other nodes whose writers may be dead, and are looked into.
    inquests: HashSet<RequestId>,
}

impl Streams {
    fn set_running(&mut self, running: usize) {
        self.running = running;
        self.open.set(running as u64);
    }
}

/// The most streams that are looked into at a time; the others are when somebody asks again.
const INQUESTS_MAX: usize = 1_024;

pub(crate) struct Node {
    pub(crate) settings: Settings,
    pub(crate) store: Arc<dyn Erased>,
    pub(crate) keys: Option<KeyRing>,
    pub(crate) telemetry: Telemetry,
    pub(crate) usage: Arc<Usage>,
    pub(crate) shares: Arc<Shares>,
    pub(crate) names: Names,
    pub(crate) order: Order,
    pub(crate) deploy: Deploy,
    streams: Mutex<Streams>,
    readers: AtomicUsize,
    /// What the node may hold, as it is told to those who operate it.
    _ceilings: [Level; 3],
    store_down: Mutex<Level>,
    /// Requests whose handlers have not answered yet.
    calls: AtomicUsize,
    health: watch::Receiver<Health>,
    tending: AtomicBool,
    pulse: Pulse,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("store", &self.store.kind())
            .field("settings", &self.settings)
            .field("keys", &self.keys.is_some())
            .finish_non_exhaustive()
    }
}

/// How long an append of a busy node waits for company.
const LINGER: Duration = Duration::from_millis(50);

impl Node {
    pub(crate) fn new(settings: Settings, store: Arc<dyn Erased>, keys: Option<Keys>) -> Arc<Self> {
        let keys = keys.map(|keys| KeyRing::new(keys, &settings.scope));
        let knows_who = settings.principal.is_some() || settings.authorize.is_some() || settings.tokens_are_enough;
        match &keys {
            None => telemetry::warn_no_secret(),
            Some(_) if !knows_who => telemetry::warn_no_principal(),
            Some(_) => {}
        }
        let names_who = settings.principal.is_some() || settings.authorize.is_some();
        if settings.idempotency.as_ref().is_some_and(|idempotency| !idempotency.shared_keys && !names_who) {
            telemetry::warn_keys_of_nobody();
        }
        let health = store.health();
        let telemetry = Telemetry::new(store.kind());
        let usage = Arc::new(Usage::new(settings.max_node_bytes, telemetry.dial(Id::BufferedBytes)));
        let ceilings = [
            (Id::MaxStreams, settings.max_streams),
            (Id::MaxReaders, settings.max_readers),
            (Id::MaxBufferedBytes, settings.max_node_bytes),
        ];
        let streams = Streams { open: telemetry.level(Id::OpenStreams), ..Streams::default() };
        let is_down = !health.borrow().up;
        let node = Arc::new(Self {
            settings,
            store: Arc::new(Traced(store)),
            keys,
            usage,
            shares: Arc::default(),
            names: Names::default(),
            order: Order::default(),
            deploy: Deploy::default(),
            streams: Mutex::new(streams),
            readers: AtomicUsize::new(0),
            _ceilings: ceilings.map(|(id, most)| telemetry.level(id).at(most as u64)),
            store_down: Mutex::new(telemetry.level(Id::StoreDown).at(is_down.into())),
            telemetry,
            calls: AtomicUsize::new(0),
            health,
            tending: AtomicBool::new(false),
            pulse: Pulse::new(),
        });
        let desk: Weak<dyn Desk> = Arc::downgrade(&(Arc::clone(&node) as Arc<dyn Desk>));
        node.store.serve(desk);
        node.tend();
        node
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> u64 {
        self.settings.clock.now()
    }

    /// Tells when the store is lost or back.
    pub(crate) fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Whether the store could be reached when last heard of.
    pub(crate) fn store_is_up(&self) -> bool {
        self.health.borrow().up
    }

    /// Whether this stream's log can be reached, as far as is known.
    pub(crate) fn store_reaches(&self, id: RequestId) -> bool {
        self.store_is_up() && self.store.reaches(id)
    }

    /// Counts up each time the store has come back.
    pub(crate) fn store_epoch(&self) -> u64 {
        self.health.borrow().epoch
    }

    /// Takes a new stream in, if the node's limits let it.
    pub(crate) fn admit(self: &Arc<Self>, log: &Arc<LiveLog>) -> bool {
        let mut streams = self.streams();
        if self.is_full() {
            streams.recorded.values().for_each(|log| log.release());
            return false;
        }
        if streams.running >= self.settings.max_streams {
            return false;
        }
        let running = streams.running + 1;
        streams.set_running(running);
        streams.recorded.insert(log.id, Arc::clone(log));
        log.admitted();
        drop(streams);
        self.tend();
        true
    }

    /// Whether the node holds as many bytes as it may: then no further stream is taken in, recorded or followed.
    pub(crate) fn is_full(&self) -> bool {
        self.usage.is_full()
    }

    /// A recorded stream has ended; it can still be found until [`Node::forget`].
    pub(crate) fn ended(&self) {
        let mut streams = self.streams();
        let running = streams.running - 1;
        streams.set_running(running);
    }

    /// A recorded stream is safe in the store, or past its time.
    pub(crate) fn forget(&self, id: RequestId) {
        self.streams().recorded.remove(&id);
    }

    pub(crate) fn find(&self, id: RequestId) -> Option<Arc<LiveLog>> {
        let streams = self.streams();
        streams.recorded.get(&id).or_else(|| streams.followed.get(&id)).cloned()
    }

    /// Takes a followed stream in. Where there is one already, that one is to be used instead.
    pub(crate) fn followed(&self, log: &Arc<LiveLog>) -> Result<(), Arc<LiveLog>> {
        use std::collections::hash_map::Entry;
        match self.streams().followed.entry(log.id) {
            Entry::Occupied(there) => Err(Arc::clone(there.get())),
            Entry::Vacant(free) => {
                free.insert(Arc::clone(log));
                log.admitted();
                Ok(())
            }
        }
    }

    /// Gives a followed stream up if nobody reads it any more (or at once, with `at_once`).
    pub(crate) fn unfollow(&self, log: &Arc<LiveLog>, at_once: bool) -> bool {
        let mut streams = self.streams();
        // Under the lock, so that no reader comes in between: see `attach`.
        let free = at_once || log.readers() == 0;
        if free && streams.followed.get(&log.id).is_some_and(|there| Arc::ptr_eq(there, log)) {
            streams.followed.remove(&log.id);
        }
        free
    }

    /// Whether this stream's writer is to be looked into now, and by the caller.
    pub(crate) fn begin_inquest(&self, id: RequestId) -> bool {
        let mut streams = self.streams();
        streams.inquests.len() < INQUESTS_MAX && streams.inquests.insert(id)
    }

    pub(crate) fn end_inquest(&self, id: RequestId) {
        self.streams().inquests.remove(&id);
    }

    /// Counts one more reader on this node, if the limit lets it.
    pub(crate) fn admit_reader(self: &Arc<Self>) -> Option<ReaderGuard> {
        let mut guard = ReaderGuard { node: Arc::clone(self), level: self.telemetry.level(Id::Readers) };
        if self.readers.fetch_add(1, Ordering::Relaxed) >= self.settings.max_readers {
            return None;
        }
        guard.level.set(1);
        Some(guard)
    }

    /// Counts a request whose handler is about to be called.
    pub(crate) fn called(self: &Arc<Self>) -> Call {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Call(Arc::clone(self))
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn readers(&self) -> usize {
        self.readers.load(Ordering::Relaxed)
    }

    /// What has to be done before this process can go.
    pub(crate) fn unfinished(&self) -> Unfinished {
        let mut unfinished = Unfinished::default();
        for log in self.streams().recorded.values() {
            if !log.is_over() {
                unfinished.running += 1;
            } else if self.store.is_shared() && !log.is_safe() {
                unfinished.unstored += 1;
            }
        }
        unfinished
    }

    /// Makes all streams of this node, and their readers, look at how far its drain has come.
    pub(crate) fn look_up(&self) {
        let streams = self.streams();
        let logs: Vec<_> = streams.recorded.values().chain(streams.followed.values()).cloned().collect();
        drop(streams);
        logs.iter().for_each(|log| log.look_up());
    }

    /// How long an append waits for company: not at all on a quiet node or while somebody follows.
    pub(crate) fn linger(&self, watched: bool) -> Duration {
        if watched {
            return Duration::ZERO;
        }
        if !self.store.is_shared() {
            // Nobody waits for it: all who read, read the live log.
            return LINGER;
        }
        if self.pulse.is_busy() { LINGER } else { Duration::ZERO }
    }

    /// Whether trouble can be told in-band: a comment would not make any client come back.
    pub(crate) fn can_say_wait(&self) -> bool {
        self.settings.control_events == ControlEvents::Events
    }

    /// Counts what would be an append if it did not wait for company.
    pub(crate) fn count_batch(&self) {
        self.pulse.beat();
    }
}

impl Desk for Node {
    fn asked(&self, id: RequestId, ask: Ask) -> bool {
        let Some(log) = self.streams().recorded.get(&id).cloned() else {
            return ask == Ask::Known && self.names.is_claimed_by(id);
        };
        match ask {
            Ask::Known => {}
            Ask::Amiss => log.order(Orders { amiss: true, ..Orders::default() }),
            Ask::Cancel => log.order(Orders { cancel: true, ..Orders::default() }),
        }
        true
    }
}

/// One request whose handler has not answered yet, for as long as it is held.
#[derive(Debug)]
pub(crate) struct Call(Arc<Node>);

impl Call {
    pub(crate) const fn node(&self) -> &Arc<Node> {
        &self.0
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One reader of this node, for as long as it is held.
#[derive(Debug)]
pub(crate) struct ReaderGuard {
    node: Arc<Node>,
    level: Level,
}

impl Drop for ReaderGuard {
    fn drop(&mut self) {
        self.node.readers.fetch_sub(1, Ordering::Relaxed);
    }
}
