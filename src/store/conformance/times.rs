//! How long things are kept (promise 7). By real time, since a store may have a clock of its own.

use super::{
    promise,
    scribe::{LONG, Scribe, events, snapshot},
};
use crate::EndStatus;
use crate::store::{Append, Appended, Store, Ttl};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Soon over.
const SHORT: Duration = Duration::from_millis(150);
/// Long enough to be renewed in time; on a machine that is too busy for that, some times as long.
const BRIEF: [Duration; 3] = [Duration::from_millis(1_500), Duration::from_secs(10), Duration::from_secs(60)];
/// How long we wait for what has to go, at most.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn check<S: Store>(store: &S) {
    tokio::join!(
        what_no_longer_lives_is_as_if_it_had_never_been(store),
        what_is_touched_lives_on(store),
        a_snapshot_outlives_its_log(store),
        a_log_outlives_its_snapshot(store),
    );
}

/// Waits until it is so. Fails in the name of the promise when it does not come.
pub(super) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "broken promise: {what}, within {PATIENCE:?}");
        // A look now and then.
        sleep(Duration::from_millis(20)).await;
    }
}

async fn what_no_longer_lives_is_as_if_it_had_never_been<S: Store>(store: &S) {
    let mut scribe = Scribe::new(store);
    scribe.ttl.log = SHORT;
    scribe.begin().await;
    until("7. a log goes when its time is over", async || scribe.tail().await.is_none()).await;
    assert!(scribe.open(0).await.is_none(), "broken promise 7: open finds no log when its time is over");
    assert!(scribe.page(0).await.is_none(), "broken promise 7: page finds no log when its time is over");
    promise(scribe.touch(LONG).await, false, "7. a log whose time is over cannot be renewed");
    let late = scribe.going_on(events(2));
    promise(scribe.send(&late).await, Appended::Diverged, "7. a log whose time is over does not go on");
    scribe.ttl = LONG;
    scribe.begin().await;
    scribe.write_events(2).await;
    scribe.check("7. a log whose time is over can begin again").await;
}

async fn what_is_touched_lives_on<S: Store>(store: &S) {
    let mut tries = BRIEF.into_iter();
    let (scribe, state, brief) = loop {
        let brief = tries.next().expect("a machine that renews a log within a minute");
        let begun = Instant::now();
        let mut scribe = Scribe::new(store);
        scribe.ttl.log = brief;
        scribe.begin().await;
        let state = snapshot(1, None);
        let append = Append { snapshot: Some(state.clone()), ..scribe.going_on(events(1)) };
        let appended = scribe.send(&append).await;
        let lives = scribe.touch(LONG).await;
        if lives || begun.elapsed() < brief {
            let is_stored = matches!(appended, Appended::Stored { .. });
            promise((is_stored, lives), (true, true), "an append and a touch find a log that lives");
            scribe.note(&append);
            break (scribe, state, brief);
        }
    };
    // What is tested is a length of time.
    sleep(brief + SHORT * 2).await;
    scribe.check("7. a log that was renewed lives on").await;
    promise(scribe.snapshot().await, Some(state), "7. a running stream's snapshot is renewed with its log");
    promise(scribe.touch(Ttl { log: SHORT, ..LONG }).await, true, "a touch finds a log that lives");
    until("7. a log goes when its renewed time is over", async || scribe.tail().await.is_none()).await;
}

async fn a_snapshot_outlives_its_log<S: Store>(store: &S) {
    let mut scribe = Scribe::begun(store).await;
    let over = snapshot(1, Some(EndStatus::Complete));
    let ending = Append { snapshot: Some(over.clone()), ..scribe.ending(EndStatus::Complete) };
    scribe.write(&ending).await;
    scribe.ttl.log = SHORT;
    promise(scribe.touch(scribe.ttl).await, true, "a touch finds a log that is over");
    until("7. a log goes when its time is over", async || scribe.tail().await.is_none()).await;
    promise(scribe.snapshot().await, Some(over), "a snapshot is there also when its log is gone");
}

async fn a_log_outlives_its_snapshot<S: Store>(store: &S) {
    let mut scribe = Scribe::begun(store).await;
    scribe.write_events(1).await;
    scribe.ttl.snapshot = SHORT;
    let over = Some(snapshot(1, Some(EndStatus::Complete)));
    let ending = Append { snapshot: over, ..scribe.ending(EndStatus::Complete) };
    scribe.write(&ending).await;
    until("7. a snapshot goes when its time is over", async || scribe.snapshot().await.is_none()).await;
    scribe.check("7. a log stays when its snapshot goes").await;
}
