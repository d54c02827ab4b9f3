//! The whole client against a server that does as it is told, in no time.

use super::super::Events;
use crate::client::{
    ErrorKind, GapReason, Item, ResumeFrom, State,
    script::{Asked, Reply, Say, Script, control, end, event, gap, open, replay, rest, say, token, whole},
    storage::MemoryStorage,
};
use futures_util::{FutureExt as _, stream::FusedStream as _};
use proptest::prelude::*;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, sleep};

mod answers;
mod cancel;
mod cuts;
mod keeping;
mod loss;
mod reading;

const SECOND: Duration = Duration::from_secs(1);

/// An item in few characters.
fn short(item: &Result<Item, crate::client::Error>) -> String {
    match item {
        Ok(Item::Event(event)) => format!("{}:{}", event.seq, event.data),
        Ok(Item::Gap(gap)) => format!("gap {}-{} {}", gap.from, gap.to, gap.reason.as_str()),
        Ok(Item::Snapshot(snapshot)) => {
            let status = snapshot.status.map_or("running", crate::EndStatus::as_str);
            format!("snapshot {} {status} {} {}", snapshot.seq, snapshot.name, snapshot.data)
        }
        Ok(Item::End(end)) => format!("end {} {}", end.seq, end.status),
        Ok(Item::Restart) => "restart".to_owned(),
        Ok(Item::Control(control)) => format!("({})", control.phase),
        Err(error) => format!("error {}", error.code()),
    }
}

/// All that a stream yields, and that there is nothing behind it.
async fn all(stream: &mut Events) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(item) = stream.next().await {
        all.push(short(&item));
    }
    assert!(stream.is_terminated());
    assert!(stream.next().await.is_none(), "it is fused");
    all
}

/// The same, in one line.
async fn line(stream: &mut Events) -> String {
    all(stream).await.join(", ")
}

/// `1:e1`, `2:e2` …
fn events(from: u64, to: u64) -> Vec<String> {
    (from..=to).map(|seq| format!("{seq}:e{seq}")).collect()
}

fn course(last: u64) -> Vec<String> {
    [events(1, last), vec![format!("end {last} complete")]].concat()
}
