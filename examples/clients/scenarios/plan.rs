//! What a scenario comes to for one seed: servers, a proxy's fates, what the client is told, and what is expected of it.

use crate::{
    expect::Expect,
    fate::{Asked, Fate, Fates},
    node::{self, Configure},
    script::Script,
};
use serde::Serialize;
use serde_json::{Map, Value};
use tower_resume::store::{AnyStore, MemoryStore};

/// A scenario of the catalogue.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) seeds: &'static [u64],
    pub(crate) plan: fn(&mut fastrand::Rng, u64) -> Plan,
}

/// What the client's driver does once it has taken `after` events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Action {
    pub(crate) after: u64,
    #[serde(rename = "do")]
    pub(crate) what: Deed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Deed {
    Reload,
    Disconnect,
    Cancel,
    Slow,
    Close,
}

/// The servers behind the proxy.
pub(crate) enum Servers {
    /// A node for each of these stores.
    Nodes(Vec<AnyStore>),
    /// So many nodes on the Redis of this process.
    Redis(usize),
    /// No layer at all.
    Bare,
}

pub(crate) struct Plan {
    pub(crate) script: Script,
    pub(crate) servers: Servers,
    pub(crate) configure: Configure,
    pub(crate) fates: Fates,
    pub(crate) method: &'static str,
    /// Whether nobody listens.
    pub(crate) nobody: bool,
    /// The name of control events.
    pub(crate) control: &'static str,
    /// The path of the resume endpoint, where the client is told one.
    pub(crate) resume: Option<&'static str>,
    pub(crate) options: Map<String, Value>,
    pub(crate) actions: Vec<Action>,
    pub(crate) expect: Expect,
}

impl Plan {
    /// A `POST` that runs to its end, with nothing in its way.
    pub(crate) fn new(script: Script) -> Self {
        let expect = Expect::whole(script.events());
        Self {
            script,
            servers: Servers::Nodes(vec![AnyStore::new(MemoryStore::new())]),
            configure: Box::new(|layer| layer),
            fates: Box::new(|_| Fate::pass()),
            method: "POST",
            nobody: false,
            control: "resume",
            resume: Some(node::RESUME),
            options: Map::new(),
            actions: Vec::new(),
            expect,
        }
    }

    /// The three ways to begin and come back, by the seed: a `POST` with a resume endpoint, a `GET`, and a `POST` whose own
    /// address is asked again.
    pub(crate) fn begun_as(mut self, seed: u64) -> Self {
        match seed % 3 {
            1 => {}
            2 => (self.method, self.resume, self.expect.posts) = ("GET", None, 0),
            _ => self.resume = None,
        }
        self
    }

    pub(crate) fn fates(mut self, fates: impl FnMut(&Asked<'_>) -> Fate + Send + 'static) -> Self {
        self.fates = Box::new(fates);
        self
    }

    pub(crate) fn layer(
        mut self,
        configure: impl Fn(tower_resume::ResumeLayer<AnyStore>) -> tower_resume::ResumeLayer<AnyStore>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.configure = Box::new(configure);
        self
    }

    pub(crate) fn option(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.options.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn action(mut self, after: u64, what: Deed) -> Self {
        self.actions.push(Action { after, what });
        self
    }

    pub(crate) fn expect(mut self, change: impl FnOnce(&mut Expect)) -> Self {
        change(&mut self.expect);
        self
    }
}
