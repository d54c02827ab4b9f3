//! One run: a client against one scenario.

use crate::{
    door::Door,
    expect::Expect,
    facts::{Facts, World},
    judge::{self, Evidence},
    node,
    plan::{Plan, Scenario, Servers},
    proxy::Proxy,
    redis::Redis,
    report::{Figures, Report, Verdict},
    rules, unread,
};
use serde_json::{Value, json};
use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};

/// A slow client waits for its release no longer.
const SLOW: Duration = Duration::from_secs(30);

/// How long answers that are under way may take to come to their end when the client is done.
const SETTLED: Duration = Duration::from_secs(20);

/// Written in place of "not yet".
const UNKNOWN: u64 = u64::MAX;

pub(crate) struct Run {
    pub(crate) client: String,
    pub(crate) scenario: &'static str,
    pub(crate) seed: u64,
    world: Arc<World>,
    expect: Expect,
    bytes_while_slow: AtomicU64,
    /// The servers and the proxy, until the report.
    tasks: Mutex<JoinSet<()>>,
    /// Keeps the port.
    door: Arc<Door>,
}

impl Run {
    /// Starts servers and proxy; the second value is what the client is to do.
    pub(crate) async fn start(
        scenario: &Scenario,
        seed: u64,
        client: String,
        redis: &Redis,
    ) -> Result<(Self, Value), Box<dyn Error + Send + Sync>> {
        let plan = (scenario.plan)(&mut random(scenario.name, seed), seed);
        let world = Arc::new(World::default());
        let mut tasks = JoinSet::new();
        let door = Door::new()?;
        let told = told(&plan, &door);
        let Plan { script, servers, configure, fates, nobody, control, expect, .. } = plan;
        let script = Arc::new(script);
        let stores = match servers {
            Servers::Nodes(stores) => stores,
            Servers::Redis(nodes) => redis.stores(nodes).await?,
            Servers::Bare => Vec::new(),
        };
        let mut nodes = Vec::new();
        for store in &stores {
            let app = node::layered(Arc::clone(&script), &world, store.clone(), &configure)?;
            nodes.push(node::start(&mut tasks, app).await?);
        }
        if stores.is_empty() {
            nodes.push(node::start(&mut tasks, node::bare(script, &world)).await?);
        }
        if !nobody {
            let proxy = Proxy::new(Arc::clone(&world), Arc::clone(&door), nodes, control.to_owned(), fates);
            tasks.spawn(async move {
                let log = Arc::clone(&proxy.world);
                if let Err(error) = proxy.run().await {
                    log.log(format!("the proxy failed: {error}"));
                }
            });
            door.opened().await;
        }
        let run = Self {
            client,
            scenario: scenario.name,
            seed,
            world,
            expect,
            bytes_while_slow: AtomicU64::new(UNKNOWN),
            tasks: Mutex::new(tasks),
            door,
        };
        Ok((run, told))
    }

    /// Waits until a slow client may go on.
    pub(crate) async fn slow(&self) {
        self.world.note(|facts| facts.held += 1);
        // Either the client takes no more, or it has taken all.
        let stalls = self.world.facts().stalls + 2;
        let is_so = |facts: &Facts| facts.stalls >= stalls || facts.answered == facts.requests;
        let _ = timeout(SLOW, self.world.until(is_so)).await;
        let under_way = unread::bytes(self.door.addr.port());
        let bytes = self.world.facts().bytes;
        self.bytes_while_slow.store(bytes.saturating_sub(under_way), Ordering::Relaxed);
    }

    /// The verdict. The run is over.
    pub(crate) async fn judge(&self, report: &Report) -> Verdict {
        // A client may report before the proxy has noticed that it is done.
        let _ = timeout(SETTLED, self.world.until(|facts| facts.answered == facts.requests)).await;
        let facts = self.world.facts();
        let evidence = Evidence {
            exchanges: self.world.exchanges().clone(),
            tokens: self.world.tokens().clone(),
            facts: facts.clone(),
            bytes_while_slow: Some(self.bytes_while_slow.load(Ordering::Relaxed)).filter(|bytes| *bytes != UNKNOWN),
        };
        let problems = judge::judge(&self.expect, &evidence, report);
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        let figures =
            Figures { connections: facts.connections, cuts: facts.cuts, requests: facts.requests, bytes: facts.bytes };
        Verdict { passed: problems.is_empty(), problems, facts: figures }
    }

    /// What has happened so far, for people who look for the reason.
    pub(crate) fn log(&self) -> Value {
        let facts = self.world.facts();
        json!({
            "scenario": self.scenario, "seed": self.seed, "client": self.client, "port": self.door.addr.port(),
            "log": self.world.logged(),
            "facts": {"connections": facts.connections, "requests": facts.requests, "cuts": facts.cuts,
                "bytes": facts.bytes, "given": facts.given},
        })
    }
}

/// The same for each run of a scenario with a seed.
fn random(name: &str, seed: u64) -> fastrand::Rng {
    // FNV-1a, so that scenarios with the same seed are not cut at the same places.
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    fastrand::Rng::with_seed(name.bytes().chain(seed.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325, hash))
}

fn told(plan: &Plan, door: &Door) -> Value {
    let base = format!("http://{}", door.addr);
    let mut headers = json!({ rules::CALLERS.0: rules::CALLERS.1 });
    let mut options = plan.options.clone();
    if let Some(path) = plan.resume {
        options.insert("resume_url".to_owned(), format!("{base}{path}").into());
    }
    let body = (plan.method == "POST").then_some(r#"{"question":"What is a stream?"}"#);
    if let (true, Some(headers)) = (body.is_some(), headers.as_object_mut()) {
        headers.insert("content-type".to_owned(), "application/json".into());
    }
    json!({
        "request": {"url": format!("{base}{}", node::EVENTS), "method": plan.method, "headers": headers, "body": body},
        "options": options,
        "actions": plan.actions,
    })
}
