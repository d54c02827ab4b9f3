//! A client that does it right, in the fewest words, and the flaws that it can be given.

mod connect;

use crate::sse::{Item, Parser};
use http_body_util::BodyExt as _;
use hyper::{Method, Response, body::Incoming};
use serde_json::{Value, json};
use std::{collections::VecDeque, time::Duration};
use tokio::{task::JoinSet, time::timeout};

/// What a wrong client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// Comes back without its token.
    NoToken,
    /// Takes a clean end of a response for the end of the stream.
    TrustsEof,
    /// Says nothing of gaps.
    HidesGaps,
    /// Asks for everything again after a break, and yields it.
    Repeats,
    /// Comes back at once, whatever it is told.
    Impatient,
    /// Begins anew where it should say that it cannot go on.
    BeginsAnew,
    /// Never notices that nothing comes any more.
    WaitsForEver,
    /// Forgets what it has stored.
    Forgets,
    /// Reads ahead without bounds.
    Greedy,
}

/// What outlives a client.
#[derive(Clone, Debug, Default)]
struct Stored {
    token: String,
    seq: u64,
}

pub(super) struct Client {
    flaw: Flaw,
    told: Value,
    token: Option<String>,
    id: Option<String>,
    seq: u64,
    from_start: bool,
    retry: Duration,
    expires_at: Option<u64>,
    layered: bool,
    ids: bool,
    open: Option<Open>,
    /// What was read, each with the token and the seq that count once it was taken.
    ready: VecDeque<(Value, Stored)>,
    yielded: Stored,
    stored: Stored,
    attempts: u64,
    over: bool,
    began: bool,
    in_snapshot: Option<Value>,
    pub(super) seen: Vec<Value>,
}

/// A response under way.
struct Open {
    response: Response<Incoming>,
    parser: Parser,
    _connection: JoinSet<()>,
}

enum Stop {
    Ended,
    Error(&'static str, Option<u16>),
}

const PATIENCE: Duration = Duration::from_secs(30);

impl Client {
    pub(super) fn new(told: Value, flaw: Flaw) -> Self {
        Self {
            flaw,
            told,
            token: None,
            id: None,
            seq: 0,
            from_start: false,
            retry: Duration::from_millis(200),
            expires_at: None,
            layered: false,
            ids: false,
            open: None,
            ready: VecDeque::new(),
            yielded: Stored::default(),
            stored: Stored::default(),
            attempts: 0,
            over: false,
            began: false,
            in_snapshot: None,
            seen: Vec::new(),
        }
    }

    fn option(&self, name: &str) -> Option<&Value> {
        self.told["options"].get(name)
    }

    /// Goes through it all, and does what the driver is told to.
    pub(super) async fn run(mut self, slow: impl AsyncFn()) -> Value {
        let actions: Vec<(u64, String)> = self.told["actions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|action| (action["after"].as_u64().unwrap(), action["do"].as_str().unwrap().to_owned()))
            .collect();
        let (mut taken, mut state) = (0, "ended");
        'all: loop {
            match self.next().await {
                Ok(item) => {
                    taken += u64::from(item["type"] == "event");
                    let is_event = item["type"] == "event";
                    self.seen.push(item);
                    for (after, deed) in &actions {
                        if !is_event || *after != taken {
                            continue;
                        }
                        match &**deed {
                            "reload" => self.reload(),
                            "disconnect" => self.open = None,
                            "cancel" => self.cancel().await,
                            "slow" if self.flaw == Flaw::Greedy => {
                                // All of it, before it says that it is slow: else a busy machine may look like one that
                                // takes nothing.
                                while self.more().await.is_ok_and(|more| more) {}
                                slow().await;
                            }
                            "slow" => slow().await,
                            "close" => {
                                state = "closed";
                                break 'all;
                            }
                            other => panic!("{other}"),
                        }
                    }
                }
                Err(Stop::Ended) => break,
                Err(Stop::Error(code, status)) => {
                    self.seen.push(json!({"type": "error", "code": code, "status": status}));
                    state = "failed";
                    break;
                }
            }
        }
        json!({"seen": self.seen, "stats": {}, "state": state})
    }

    /// A client made anew, that has nothing but what was stored.
    fn reload(&mut self) {
        let stored = self.stored.clone();
        let seen = std::mem::take(&mut self.seen);
        let from_start = self.option("from").is_some_and(|from| from == "start");
        *self = Self::new(self.told.clone(), self.flaw);
        (self.seen, self.stored) = (seen, stored.clone());
        if self.flaw != Flaw::Forgets {
            (self.token, self.seq, self.layered) = (Some(stored.token), stored.seq, true);
            if from_start {
                (self.seq, self.from_start) = (0, true);
            }
        }
    }

    async fn cancel(&mut self) {
        let token = self.token.clone().unwrap();
        let url = self.resume_url();
        let reply = self.ask(Method::DELETE, &url, vec![("x-resume-token", token)], "").await.unwrap();
        assert!([204, 202].contains(&reply.response.status().as_u16()));
    }

    fn resume_url(&self) -> String {
        self.option("resume_url").unwrap_or(&self.told["request"]["url"]).as_str().unwrap().to_owned()
    }

    /// What comes next; what was yielded before counts as seen.
    async fn next(&mut self) -> Result<Value, Stop> {
        self.stored = self.yielded.clone();
        loop {
            if let Some((item, behind)) = self.ready.pop_front() {
                self.yielded = behind;
                return Ok(item);
            }
            if self.over {
                return Err(Stop::Ended);
            }
            if self.open.is_none() {
                self.connect().await?;
                continue;
            }
            if !self.more().await? {
                self.open = None;
            }
        }
    }

    /// Reads on. `false`: the connection is lost, or ended.
    async fn more(&mut self) -> Result<bool, Stop> {
        let idle = self.option("idle_timeout_ms").and_then(Value::as_u64).map_or(PATIENCE, Duration::from_millis);
        let idle = if self.flaw == Flaw::WaitsForEver { 3 * idle } else { idle };
        let Some(open) = &mut self.open else { return Ok(false) };
        let frame = timeout(idle, open.response.body_mut().frame()).await;
        let Ok(Some(Ok(frame))) = frame else {
            if self.flaw == Flaw::WaitsForEver && frame.is_err() {
                return Err(Stop::Error("aborted", None));
            }
            if self.flaw == Flaw::TrustsEof && matches!(frame, Ok(None)) {
                return Err(Stop::Ended);
            }
            return Ok(false);
        };
        let mut items = Vec::new();
        let open = self.open.as_mut().unwrap();
        open.parser.push(frame.data_ref().unwrap(), &mut items);
        for item in items {
            self.take(item)?;
        }
        Ok(true)
    }

    fn take(&mut self, item: Item) -> Result<(), Stop> {
        match item {
            Item::Retry(millis) => self.retry = Duration::from_millis(millis),
            Item::Comment(text) => {
                if let Some(json) = text.strip_prefix("resume ") {
                    self.control(&serde_json::from_str(json).unwrap());
                }
            }
            Item::Event { event, data, id } => {
                self.attempts = 0;
                if let Some(id) = id {
                    self.ids = true;
                    if self.layered {
                        self.token = Some(id);
                    } else {
                        self.id = Some(id);
                    }
                }
                if event == self.option("control_event").and_then(Value::as_str).unwrap_or("resume") {
                    self.control(&serde_json::from_str(&data).unwrap());
                    return Ok(());
                }
                if let Some(mut snapshot) = self.in_snapshot.take() {
                    (snapshot["event"], snapshot["data"]) = (event.into(), data.into());
                    self.seq = snapshot["seq"].as_u64().unwrap();
                    self.push(snapshot);
                    return Ok(());
                }
                let most = self.option("max_event_bytes").and_then(Value::as_u64).unwrap_or(16 << 20);
                if data.len() as u64 > most {
                    return Err(Stop::Error("too_large", None));
                }
                self.seq += 1;
                let seq = if self.layered { json!(self.seq) } else { Value::Null };
                self.push(json!({"type": "event", "seq": seq, "event": event, "data": data}));
            }
        }
        Ok(())
    }

    fn control(&mut self, told: &Value) {
        if let Some(token) = told["token"].as_str() {
            self.token = Some(token.to_owned());
        }
        if let Some(at) = told["expires_at"].as_u64() {
            self.expires_at = Some(at);
        }
        match told["phase"].as_str().unwrap() {
            "open" => (self.layered, self.seq) = (true, 0),
            "replay" => {
                self.layered = true;
                self.seq = told["from"].as_u64().unwrap();
            }
            "gap" => {
                self.seq = told["to"].as_u64().unwrap();
                if self.flaw != Flaw::HidesGaps {
                    let gap = json!({"type": "gap", "from": told["from"], "to": told["to"], "reason": told["reason"]});
                    self.push(gap);
                }
            }
            "snapshot" => {
                self.in_snapshot = Some(json!({"type": "snapshot", "seq": told["seq"], "status": told["status"]}));
            }
            "end" => {
                self.push(json!({"type": "end", "status": told["status"], "seq": told["seq"]}));
                self.over = true;
            }
            _ => {}
        }
    }

    fn push(&mut self, item: Value) {
        let behind = Stored { token: self.token.clone().unwrap_or_default(), seq: self.seq };
        self.ready.push_back((item, behind));
    }
}
