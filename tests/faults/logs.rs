//! What a Redis holds of a stream, read past all nodes.

use crate::node::said;
use tower_resume::{
    EndStatus, RequestId,
    store::{RedisStore, Store},
};

/// A stream's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub first: u64,
    pub last: u64,
    pub end: Option<EndStatus>,
}

/// What the log holds, which has to be without a hole and as the handler said it; `None` where there is no log, or
/// Redis does not say.
pub async fn kept(store: &RedisStore, id: RequestId, pad: usize) -> Option<Kept> {
    let opened = store.open(id, 0).await.ok()??;
    let mut page = opened.page;
    // A log that goes on may have been trimmed since its bounds were read.
    let first = page.chunks.first().map_or(opened.first, |chunk| chunk.first);
    let mut next = first;
    let mut end = None;
    loop {
        for chunk in &page.chunks {
            assert_eq!(chunk.first, next, "a hole in the log of {id}");
            for event in chunk.events.iter() {
                let data: String = said(next, pad).split('\n').map(|line| format!("data: {line}\n")).collect();
                assert_eq!(event.lines, format!("event: count\n{data}"), "event {next} of {id}");
                next += 1;
            }
            end = end.or(chunk.end);
        }
        if !page.more {
            return Some(Kept { first, last: next - 1, end });
        }
        page = store.page(id, next - 1).await.ok()??;
    }
}
