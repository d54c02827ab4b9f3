//! What only this store promises: its bounds, giving memory back, watchers. The rest is in the suite.

use super::*;
use crate::store::{Chunk, Onto, Pushed, StreamHead, Totals};
use crate::{EndStatus, Event, Step};
use std::time::Duration;
use tokio::time::{advance, sleep};

const TTL: Ttl = Ttl { log: Duration::from_secs(900), snapshot: Duration::from_secs(60) };

const LIVES: Touched = Touched::Lives { cancelled: false };

fn head(store: &MemoryStore) -> StreamHead {
    StreamHead { node: store.node(), started_at: 1, correlation_id: None, comments: false }
}

/// Events from `first` on, each of `size` bytes.
fn chunk(store: &MemoryStore, first: u64, events: usize, size: usize) -> Chunk {
    let event = Event { lines: vec![b'x'; size - 1].into(), ..Event::default() };
    Chunk {
        first,
        writer: store.node(),
        at: 1,
        step_before: Step::NONE,
        totals: Totals::default(),
        events: vec![event; events].into(),
        end: None,
    }
}

fn end(store: &MemoryStore, first: u64) -> Chunk {
    Chunk { end: Some(EndStatus::Complete), ..chunk(store, first, 0, 1) }
}

fn append(id: RequestId, onto: Onto, chunk: Chunk) -> Append {
    Append { id, onto, chunks: vec![chunk], trim_below: 0, let_go: Vec::new(), snapshot: None, ttl: TTL, replicas: 0 }
}

fn snapshot(seq: u64, status: Option<EndStatus>) -> Snapshot {
    Snapshot { seq, status, step: Step::NONE, data: vec![b's'; 100].into() }
}

async fn stored(store: &MemoryStore, append: Append) -> bool {
    match store.append(append).await.expect("the store has room") {
        Appended::Stored { watched } => watched,
        other => panic!("{other:?}"),
    }
}

async fn begin(store: &MemoryStore) -> RequestId {
    let id = RequestId::random();
    stored(store, append(id, Onto::Nothing(head(store)), chunk(store, 1, 0, 1))).await;
    id
}

async fn is_there(store: &MemoryStore, id: RequestId) -> bool {
    store.tail(id).await.unwrap().is_some()
}

#[cfg(feature = "conformance")]
mod suite {
    use super::*;
    use crate::store::{AnyStore, conformance};

    #[tokio::test]
    async fn the_memory_store_keeps_the_contract() {
        conformance::run(async || MemoryStore::new()).await;
    }

    #[tokio::test]
    async fn any_store_and_an_arc_keep_the_contract() {
        let any = conformance::run(async || AnyStore::new(MemoryStore::new()));
        let arc = conformance::run(async || Arc::new(MemoryStore::new()));
        tokio::join!(any, arc);
    }

    #[tokio::test]
    async fn a_clone_is_the_same_store() {
        let make = async || {
            let store = MemoryStore::new();
            (store.clone(), AnyStore::new(store))
        };
        conformance::run_shared(make).await;
    }
}

#[tokio::test(start_paused = true)]
async fn memory_is_given_back_with_no_request_coming() {
    let store = MemoryStore::new();
    let mut ids = Vec::new();
    for _ in 0..1_000 {
        let id = begin(&store).await;
        stored(&store, append(id, Onto::Seq(0), chunk(&store, 1, 16, 100))).await;
        ids.push(id);
    }
    assert!(store.0.lock().bytes() > 1_600_000);
    sleep(TTL.log - Duration::from_secs(1)).await;
    assert!(is_there(&store, ids[0]).await);
    assert_eq!(store.touch(ids[0], TTL).await.unwrap(), LIVES);
    sleep(Duration::from_secs(2)).await;
    assert!(store.0.lock().bytes() < 10_000, "what was not touched is gone");
    assert!(is_there(&store, ids[0]).await);
    sleep(TTL.log).await;
    assert!(store.0.lock().is_empty());
    assert!(!store.0.lock().sweeping, "the task ends with nothing left to do");
    begin(&store).await;
    assert!(store.0.lock().sweeping, "and begins again with the next log");
}

#[tokio::test(start_paused = true)]
async fn an_earlier_time_to_live_wakes_the_expiry() {
    let store = MemoryStore::new();
    begin(&store).await;
    sleep(Duration::from_secs(1)).await;
    let ttl = Ttl { log: Duration::from_secs(5), ..TTL };
    let brief = RequestId::random();
    stored(&store, Append { ttl, ..append(brief, Onto::Nothing(head(&store)), chunk(&store, 1, 16, 100)) }).await;
    assert!(store.0.lock().bytes() > 1_600);
    sleep(Duration::from_secs(6)).await;
    assert!(store.0.lock().bytes() < 1_600);
    assert!(!is_there(&store, brief).await);
}

#[tokio::test(start_paused = true)]
async fn an_expired_log_is_gone_at_the_moment_though_nobody_has_given_it_back() {
    let store = MemoryStore::new();
    let id = begin(&store).await;
    // No await between the two that would let the task run.
    advance(TTL.log).await;
    assert_eq!(store.0.append(append(id, Onto::Seq(0), chunk(&store, 1, 1, 9))).unwrap(), Appended::Diverged);
    assert!(!is_there(&store, id).await);
    assert!(store.open(id, 0).await.unwrap().is_none());
    assert!(store.page(id, 0).await.unwrap().is_none());
    assert_eq!(store.touch(id, TTL).await.unwrap(), Touched::Gone);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_dropped_takes_its_task_along() {
    let store = MemoryStore::new();
    begin(&store).await;
    sleep(Duration::from_secs(1)).await;
    let tasks = tokio::runtime::Handle::current().metrics();
    assert_eq!(tasks.num_alive_tasks(), 1);
    drop(store);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(tasks.num_alive_tasks(), 0);
}

#[test]
fn a_store_outlives_the_runtime_that_it_began_in_and_works_without_one() {
    let store = MemoryStore::new();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime().block_on(begin(&store));
    assert!(!store.0.lock().sweeping);
    let id = futures_util::FutureExt::now_or_never(begin(&store)).unwrap();
    runtime().block_on(async {
        assert!(is_there(&store, id).await);
        begin(&store).await;
        assert!(store.0.lock().sweeping);
    });
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_and_its_log_live_for_their_own_times() {
    for (log, snapshot_lives) in [(900, 60), (60, 900)] {
        let store = MemoryStore::new();
        let id = begin(&store).await;
        let ttl = Ttl { log: Duration::from_secs(log), snapshot: Duration::from_secs(snapshot_lives) };
        let over = Some(snapshot(0, Some(EndStatus::Complete)));
        stored(&store, Append { ttl, snapshot: over, ..append(id, Onto::Seq(0), end(&store, 1)) }).await;
        sleep(Duration::from_secs(61)).await;
        assert_eq!(is_there(&store, id).await, log == 900, "log {log} s");
        assert_eq!(store.snapshot(id).await.unwrap().is_some(), snapshot_lives == 900, "snapshot {snapshot_lives} s");
        sleep(Duration::from_secs(840)).await;
        assert!(store.0.lock().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_touch_renews_the_snapshot_of_a_running_stream_only() {
    let store = MemoryStore::new();
    let id = begin(&store).await;
    stored(&store, Append { snapshot: Some(snapshot(1, None)), ..append(id, Onto::Seq(0), chunk(&store, 1, 1, 9)) })
        .await;
    for _ in 0..3 {
        sleep(TTL.log * 2 / 3).await;
        assert_eq!(store.touch(id, TTL).await.unwrap(), LIVES);
    }
    assert!(store.snapshot(id).await.unwrap().is_some());
    stored(&store, append(id, Onto::Seq(1), end(&store, 2))).await;
    sleep(TTL.snapshot / 2).await;
    assert_eq!(store.touch(id, TTL).await.unwrap(), LIVES);
    assert!(store.snapshot(id).await.unwrap().is_some());
    sleep(TTL.snapshot / 2).await;
    assert!(store.snapshot(id).await.unwrap().is_none(), "it lives from the stream's end on");
    assert!(is_there(&store, id).await);
}

#[tokio::test(start_paused = true)]
async fn a_time_to_live_without_end_is_no_error() {
    let store = MemoryStore::new();
    let ttl = Ttl { log: Duration::MAX, snapshot: Duration::MAX };
    let id = RequestId::random();
    stored(&store, Append { ttl, ..append(id, Onto::Nothing(head(&store)), chunk(&store, 1, 0, 1)) }).await;
    sleep(Duration::from_secs(1_000_000)).await;
    assert!(is_there(&store, id).await);
}

#[tokio::test]
async fn a_full_store_lets_go_of_the_oldest_ended_log_first_and_then_refuses() {
    let store = MemoryStore::new().max_bytes(100_000);
    let mut ended = Vec::new();
    for _ in 0..3 {
        let id = begin(&store).await;
        stored(&store, append(id, Onto::Seq(0), chunk(&store, 1, 16, 1_000))).await;
        ended.push(id);
    }
    let running = begin(&store).await;
    stored(&store, append(running, Onto::Seq(0), chunk(&store, 1, 16, 1_000))).await;
    // The second to begin is the first to end.
    for at in [1, 0, 2] {
        let over = Some(snapshot(16, Some(EndStatus::Complete)));
        stored(&store, Append { snapshot: over, ..append(ended[at], Onto::Seq(16), end(&store, 17)) }).await;
    }
    for (last, gone) in [(16, 0), (32, 0), (48, 1), (64, 2), (80, 3)] {
        let there =
            [ended[1], ended[0], ended[2]].map(|id| futures_util::FutureExt::now_or_never(is_there(&store, id)));
        let expected = [gone < 1, gone < 2, gone < 3].map(Some);
        assert_eq!(there, expected, "with {last} events");
        assert!(store.snapshot(ended[0]).await.unwrap().is_some(), "a snapshot stays while logs can go");
        if last < 80 {
            stored(&store, append(running, Onto::Seq(last), chunk(&store, last + 1, 16, 1_000))).await;
        }
    }
    let more = append(running, Onto::Seq(80), chunk(&store, 81, 16, 1_000));
    assert_eq!(store.append(more.clone()).await.unwrap_err().kind(), StoreErrorKind::Refused);
    assert!(store.snapshot(ended[0]).await.unwrap().is_none(), "in the end snapshots go too");
    assert_eq!(store.tail(running).await.unwrap().unwrap().last, 80, "a running stream is never cut");
    let new = append(RequestId::random(), Onto::Nothing(head(&store)), chunk(&store, 1, 16, 1_000));
    assert_eq!(store.append(new).await.unwrap_err().kind(), StoreErrorKind::Refused);
    assert!(store.0.lock().bytes() <= 100_000);
    stored(&store, Append { trim_below: 17, ..more }).await;
    stored(&store, append(running, Onto::Seq(96), end(&store, 97))).await;
    begin(&store).await;
}

#[tokio::test]
async fn an_end_has_room_in_a_full_store_and_makes_some() {
    let store = MemoryStore::new();
    let id = begin(&store).await;
    stored(&store, append(id, Onto::Seq(0), chunk(&store, 1, 16, 1_000))).await;
    let full = store.0.lock().bytes();
    let store = store.max_bytes(full);
    let again = append(id, Onto::Seq(0), chunk(&store, 1, 16, 1_000));
    stored(&store, again).await;
    let wrong = append(id, Onto::Seq(7), chunk(&store, 8, 16, 1_000));
    assert_eq!(store.append(wrong).await.unwrap(), Appended::Diverged, "what is not written needs no room");
    stored(&store, append(id, Onto::Seq(16), end(&store, 17))).await;
    begin(&store).await;
    assert!(!is_there(&store, id).await);
}

#[tokio::test]
async fn a_log_that_is_written_again_counts_once() {
    let store = MemoryStore::new();
    let id = begin(&store).await;
    stored(&store, append(id, Onto::Seq(0), chunk(&store, 1, 16, 1_000))).await;
    let once = store.0.lock().bytes();
    let whole = Append {
        chunks: vec![chunk(&store, 1, 0, 1), chunk(&store, 1, 16, 1_000)],
        ..append(id, Onto::Anything(head(&store)), end(&store, 1))
    };
    for _ in 0..3 {
        stored(&store, whole.clone()).await;
        assert_eq!(store.0.lock().bytes(), once);
    }
}

#[tokio::test]
async fn chunks_that_do_not_join_are_refused() {
    let store = MemoryStore::new();
    let id = begin(&store).await;
    let begun = || Onto::Anything(head(&store));
    let of = |chunks| Append { chunks, ..append(id, Onto::Seq(0), end(&store, 1)) };
    let event = |first| chunk(&store, first, 1, 9);
    let cases = [
        ("a repeat in front", Append { onto: Onto::Seq(7), ..of(vec![event(7)]) }),
        ("a repeat", of(vec![event(1), event(1)])),
        ("behind an end", of(vec![end(&store, 1), event(1)])),
        ("no chunk", Append { onto: begun(), ..of(vec![]) }),
        ("event 0", Append { onto: begun(), ..of(vec![event(0)]) }),
        ("beyond all numbers", Append { onto: begun(), ..of(vec![event(u64::MAX)]) }),
    ];
    for (case, append) in cases {
        assert_eq!(store.append(append).await.unwrap_err().kind(), StoreErrorKind::Refused, "{case}");
    }
    assert_eq!(store.tail(id).await.unwrap().unwrap().last, 0);
}

#[tokio::test]
async fn a_page_has_bounds_but_always_a_chunk() {
    use crate::store::page::{PAGE_MAX_BYTES, PAGE_MAX_CHUNKS};
    let store = MemoryStore::new();
    for (size, chunks) in [(10, PAGE_MAX_CHUNKS), (PAGE_MAX_BYTES / 4, 4), (PAGE_MAX_BYTES + 1, 1)] {
        let id = begin(&store).await;
        for seq in 0..100 {
            stored(&store, append(id, Onto::Seq(seq), chunk(&store, seq + 1, 1, size))).await;
        }
        let page = store.page(id, 10).await.unwrap().unwrap();
        assert_eq!((page.chunks.len(), page.chunks[0].first, page.more), (chunks, 11, true), "events of {size} bytes");
    }
}

#[tokio::test]
async fn a_watcher_gets_every_chunk_and_a_look_for_what_it_left_unread() {
    let store = MemoryStore::new();
    let id = begin(&store).await;
    let mut watch = store.watch(id, store.node(), 0);
    assert!(watch.news.try_recv().is_err(), "nothing is new yet");
    for seq in 0..200 {
        assert!(stored(&store, append(id, Onto::Seq(seq), chunk(&store, seq + 1, 1, 9))).await);
    }
    for seq in 1..WATCH_CAPACITY as u64 {
        assert!(matches!(watch.news.try_recv(), Ok(Pushed::Chunk(chunk)) if chunk.first == seq));
    }
    assert!(matches!(watch.news.try_recv(), Ok(Pushed::Look)));
    assert!(watch.news.try_recv().is_err());
    stored(&store, append(id, Onto::Seq(200), end(&store, 201))).await;
    assert!(matches!(watch.news.try_recv(), Ok(Pushed::Chunk(chunk)) if chunk.end.is_some()));
}

#[tokio::test]
async fn a_watch_that_comes_late_looks_at_once_and_one_that_is_dropped_is_forgotten() {
    let store = MemoryStore::new();
    let id = begin(&store).await;
    stored(&store, append(id, Onto::Seq(0), chunk(&store, 1, 2, 9))).await;
    let mut late = store.watch(id, store.node(), 1);
    assert!(matches!(late.news.try_recv(), Ok(Pushed::Look)));
    let mut current = store.watch(id, store.node(), 2);
    assert!(current.news.try_recv().is_err());
    drop((late, current));
    assert!(!stored(&store, append(id, Onto::Seq(2), end(&store, 3))).await, "nobody watches any more");

    let unknown = MemoryStore::new();
    let watch = unknown.watch(id, store.node(), 0);
    assert!(!is_there(&unknown, id).await);
    drop(watch);
    assert!(unknown.0.lock().is_empty(), "a watch leaves nothing behind");
}
