//! Appends that ask for replicas, with real ones.

use super::{PATIENCE, RedisServer, STORED, UNHURRIED, Writer, reached, until};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::timeout;
use tower_resume::{
    EndStatus,
    store::{Append, Appended, Onto, RedisConfig, RedisStore, Store, StoreError, StoreErrorKind},
};

/// A primary, and a replica of it that is in step.
async fn pair() -> Option<(RedisServer, RedisServer)> {
    let primary = RedisServer::start().await?;
    let replica = primary.replica().await?;
    Some((primary, replica))
}

/// A store that gives replicas half of this.
async fn patient(primary: &RedisServer, time: Duration) -> RedisStore {
    reached(RedisConfig::new(&primary.url()).command_timeout(time)).await
}

/// Where replicas hang and are waited for in vain.
const IN_VAIN: Duration = Duration::from_secs(6);

/// The next events of a stream, for so many replicas.
fn asking(writer: &Writer<'_>, replicas: u32, end: Option<EndStatus>) -> Append {
    let onto = if writer.log.is_empty() { Onto::Nothing(writer.head()) } else { Onto::Seq(writer.last()) };
    Append { replicas, ..writer.append(onto, vec![writer.chunk(2, end)]) }
}

async fn send(store: &RedisStore, append: &Append) -> Result<Appended, StoreError> {
    store.append(append.clone()).await
}

fn is_unconfirmed(result: &Result<Appended, StoreError>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == StoreErrorKind::Unavailable)
}

#[tokio::test]
async fn an_append_is_stored_once_as_many_replicas_hold_it_as_it_asks_for() {
    let Some((primary, replica)) = pair().await else { return };
    let store = patient(&primary, UNHURRIED).await;
    let mut writer = Writer::begun(&store).await;
    for (replicas, good) in [(1, true), (1, true), (2, false)] {
        let append = asking(&writer, replicas, None);
        let appended = send(&store, &append).await;
        assert_eq!(matches!(&appended, Ok(Appended::Stored { .. })), good, "{replicas}: {appended:?}");
        assert!(good || is_unconfirmed(&appended), "{appended:?}");
        let tail = store.tail(writer.id).await.unwrap();
        assert_eq!(tail.unwrap().last, append.chunks[0].last(), "the primary has it");
        writer.log.extend(append.chunks);
    }
    assert!(store.health().borrow().up, "Redis is there, whatever its replicas do");
    let append = asking(&writer, 1, Some(EndStatus::Complete));
    assert_eq!(send(&store, &append).await.unwrap(), STORED, "an end asks for them as well");
    let held = replica.cli(&["XLEN", &format!("tower-resume:{{{}}}:log", writer.id)]).await.int();
    assert_eq!(held, 5);
}

#[tokio::test]
async fn what_the_log_has_already_is_confirmed_when_its_replicas_have_it_and_not_before() {
    let Some((primary, replica)) = pair().await else { return };
    let store = patient(&primary, IN_VAIN).await;
    let writer = Writer::begun(&store).await;
    replica.pause().await;
    let append = asking(&writer, 1, None);
    assert!(is_unconfirmed(&timeout(PATIENCE, send(&store, &append)).await.expect("it fails while they hang")));
    for _ in 0..2 {
        assert!(is_unconfirmed(&send(&store, &append).await), "sent again");
    }
    // A connection that has written nothing is told at once that its replicas hold all of it.
    primary.cli(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    until("it is connected again", async || store.tail(writer.id).await.is_ok()).await;
    for _ in 0..2 {
        assert!(is_unconfirmed(&send(&store, &append).await), "sent again over another connection");
    }
    replica.resume().await;
    until("it is confirmed", async || matches!(send(&store, &append).await, Ok(Appended::Stored { .. }))).await;
    assert_eq!(writer.read(&store).await, append.chunks, "and is there once");
}

#[tokio::test]
async fn replicas_that_hang_do_not_hold_up_appends_that_do_not_ask_for_them() {
    let Some((primary, replica)) = pair().await else { return };
    let store = patient(&primary, IN_VAIN).await;
    let (one, mut other) = (Writer::begun(&store).await, Writer::begun(&store).await);
    replica.pause().await;
    let append = asking(&one, 1, None);
    for _ in 0..3 {
        let (asked, written) = tokio::join!(send(&store, &append), other.write(3));
        assert!(is_unconfirmed(&asked));
        assert_eq!(written.unwrap(), STORED);
    }
    assert!(store.health().borrow().up);
}

#[tokio::test]
async fn many_appends_at_a_time_ask_together() {
    let Some((primary, _replica)) = pair().await else { return };
    let store = patient(&primary, UNHURRIED).await;
    let mut writers = Vec::new();
    for _ in 0..100 {
        writers.push(Writer::begun(&store).await);
    }
    primary.reset_calls().await;
    for _ in 0..10 {
        let appends: Vec<_> = writers.iter().map(|writer| asking(writer, 1, None)).collect();
        for appended in join_all(appends.iter().map(|append| send(&store, append))).await {
            assert_eq!(appended.unwrap(), STORED);
        }
        for (writer, append) in writers.iter_mut().zip(appends) {
            writer.log.extend(append.chunks);
        }
    }
    let calls = primary.calls().await;
    let count = |name: &str| calls.iter().find(|(called, _)| called == name).map_or(0, |(_, calls)| *calls);
    println!("{} appends, {} WAITs", count("xadd"), count("wait"));
    assert_eq!(count("xadd"), 1000);
    assert!(count("wait") <= 100, "{calls:?}");
}
