//! Does what a scenario asks for with this client, and tells what it has yielded.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{collections::HashMap, time::Duration};
use tower_resume::client::{Client, Error, Events, Item, MemoryStorage, Request, ResumeFrom};

/// What the scenarios' server tells a client to do.
#[derive(Debug, Deserialize)]
pub struct Run {
    pub run: String,
    request: Asked,
    #[serde(default)]
    options: Map<String, Value>,
    #[serde(default)]
    actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
struct Asked {
    url: String,
    method: String,
    headers: HashMap<String, String>,
    body: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Action {
    after: u64,
    #[serde(rename = "do")]
    what: Deed,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Deed {
    Reload,
    Disconnect,
    Cancel,
    Slow,
    Close,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub seen: Vec<Value>,
    pub stats: Value,
    pub state: String,
}

impl Run {
    fn stream(&self, client: &Client, storage: &MemoryStorage) -> Events {
        let asked = &self.request;
        let mut request = client.request(asked.method.parse().unwrap(), &asked.url);
        for (name, value) in &asked.headers {
            request = request.header(name.as_str(), value.as_str());
        }
        if let Some(body) = &asked.body {
            request = request.body(body.clone());
        }
        if self.actions.iter().any(|action| matches!(action.what, Deed::Reload)) {
            request = request.storage(storage.clone());
        }
        self.options.iter().fold(request, |request, (name, value)| option(request, name, value)).send()
    }

    /// Goes through with it. `slow` is ready when a slow client may go on.
    pub async fn go<F: Future<Output = ()>>(&self, client: &Client, slow: impl Fn() -> F) -> Report {
        let storage = MemoryStorage::new();
        let mut stream = self.stream(client, &storage);
        let mut report = Report::default();
        let (mut taken, mut actions) = (0, self.actions.iter().peekable());
        let mut closed = false;
        loop {
            while let Some(action) = actions.next_if(|action| action.after <= taken) {
                match action.what {
                    Deed::Reload => stream = self.stream(client, &storage),
                    Deed::Disconnect => stream.disconnect(),
                    Deed::Cancel => {
                        if let Err(error) = stream.cancel().await {
                            report.seen.push(failed(&error));
                            closed = true;
                        }
                    }
                    Deed::Slow => slow().await,
                    Deed::Close => closed = true,
                }
            }
            if closed {
                report.state = "closed".to_owned();
                break;
            }
            let Some(item) = stream.next().await else { break };
            taken += u64::from(matches!(item, Ok(Item::Event(_))));
            report.seen.push(seen(&item, stream.token().is_some()));
        }
        let stats = stream.stats();
        report.stats = json!({
            "received": stats.received,
            "duplicates": stats.duplicates,
            "reconnects": stats.reconnects,
            "missed": stats.missed,
        });
        if !closed {
            report.state = stream.state().as_str().to_owned();
        }
        report
    }
}

fn option(request: Request, name: &str, value: &Value) -> Request {
    let number = || value.as_u64().unwrap_or_else(|| panic!("{name}: {value}"));
    let millis = || Duration::from_millis(number());
    match name {
        "resume_url" => request.resume_url(value.as_str().unwrap()),
        "idle_timeout_ms" => request.idle_timeout(millis()),
        "retry_base_ms" => request.retry_base(millis()),
        "retry_max_ms" => request.retry_max(millis()),
        "max_attempts" => request.max_attempts(number().try_into().unwrap()),
        "max_event_bytes" => request.max_event_bytes(number().try_into().unwrap()),
        "idempotency_key" if value.as_bool() == Some(true) => request.idempotent(),
        "idempotency_key" => request.idempotency_key(value.as_str().unwrap()),
        "restart" => request.restart(value.as_bool().unwrap()),
        "from" if value == "start" => request.resume_from(ResumeFrom::Start),
        "from" => request.resume_from(ResumeFrom::Missed),
        "control_event" => request.control_event(value.as_str().unwrap()),
        _ => panic!("an option that this driver does not know: {name}"),
    }
}

/// An item as all clients tell of it. Without the layer no event has a seq.
fn seen(item: &Result<Item, Error>, layered: bool) -> Value {
    match item {
        Ok(Item::Event(event)) => {
            json!({ "type": "event", "seq": layered.then_some(event.seq), "event": event.name, "data": event.data })
        }
        Ok(Item::Gap(gap)) => json!({ "type": "gap", "from": gap.from, "to": gap.to, "reason": gap.reason.as_str() }),
        Ok(Item::Snapshot(snapshot)) => json!({
            "type": "snapshot",
            "seq": snapshot.seq,
            "status": snapshot.status.map_or("running", |status| status.as_str()),
            "event": snapshot.name,
            "data": snapshot.data,
        }),
        Ok(Item::End(end)) => json!({ "type": "end", "status": end.status.as_str(), "seq": end.seq }),
        Ok(Item::Restart) => json!({ "type": "restart" }),
        Ok(other) => panic!("{other:?}"),
        Err(error) => failed(error),
    }
}

fn failed(error: &Error) -> Value {
    println!("an error: {error}");
    json!({ "type": "error", "code": error.code(), "status": error.status().map(|status| status.as_u16()) })
}
