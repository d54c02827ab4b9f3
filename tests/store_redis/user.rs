//! A user with no more rights than the documentation says are needed; and services that share a Redis and are apart.

use super::{
    RedisServer, Reply, STORED, UNHURRIED, Writer, cluster, pushed, reached, redis_cluster::RedisCluster,
    sentinels::Sentinels, until,
};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::timeout;
use tower_resume::store::{Append, Expect, Name, Onto, RedisConfig, RedisStore, Store, StoreErrorKind, conformance};

/// What the documentation shows.
const LINE: &str = include_str!("../../docs/redis-user.acl");

/// The URL with the user's name and password.
fn as_user(url: &str) -> String {
    url.replace("://", "://tower-resume:PASSWORD@")
}

async fn store(url: &str) -> RedisStore {
    reached(RedisConfig::new(&as_user(url)).command_timeout(UNHURRIED)).await
}

/// The same for a cluster, all of it.
async fn spread(cluster: &RedisCluster) -> RedisStore {
    let store = store(&cluster.url()).await;
    cluster::all_reached(cluster, &store).await;
    store
}

/// What was refused; nothing should have been.
async fn refused(server: &RedisServer) -> Vec<Reply> {
    server.cli(&["ACL", "LOG"]).await.list().to_vec()
}

/// The commands that were called, by their names in an ACL.
async fn called(servers: &[RedisServer]) -> BTreeSet<String> {
    let mut called = BTreeSet::new();
    for server in servers {
        let stats = server.cli(&["INFO", "commandstats"]).await;
        let lines = stats.text().lines().filter_map(|line| line.strip_prefix("cmdstat_"));
        called.extend(lines.filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned()));
    }
    called
}

#[tokio::test]
async fn the_documented_user_may_do_all_that_is_needed_and_nothing_else() {
    let Some(server) = RedisServer::start().await else { return };
    server.add_user(LINE).await;
    let url = format!("{}/0", server.url());
    conformance::run(async || store(&url).await).await;
    conformance::run_shared(async || (store(&url).await, store(&url).await)).await;
    let (one, other) = (store(&url).await, store(&url).await);
    let mut writer = Writer::begun(&one).await;
    let mut watch = other.watch(writer.id, one.node(), 0);
    pushed(&mut writer, &mut watch).await;
    assert_eq!(refused(&server).await, []);
    let mut called = called(std::slice::from_ref(&server)).await;

    let Some(cluster) = RedisCluster::start().await else { return };
    for node in &cluster.nodes {
        node.add_user(LINE).await;
    }
    conformance::run_shared(async || (spread(&cluster).await, spread(&cluster).await)).await;
    let (one, other) = (spread(&cluster).await, spread(&cluster).await);
    let mut writer = cluster::writer_on(&cluster, &one, 0).await;
    let slot = cluster.slot_of(&writer.id.to_string()).await;
    cluster.open_slot(slot, 0, 1).await;
    for key in cluster.keys(slot, 0).await {
        cluster.move_key(&key, 0, 1).await;
    }
    assert_eq!(writer.write(1).await.unwrap(), STORED);
    cluster.close_slot(slot, 0, 1).await;
    let mut watch = other.watch(writer.id, one.node(), 0);
    pushed(&mut writer, &mut watch).await;
    for node in &cluster.nodes {
        assert_eq!(refused(node).await, []);
    }
    called.extend(self::called(&cluster.nodes).await);
    drop(cluster);

    let Some(sentinels) = Sentinels::start().await else { return };
    for server in &sentinels.servers {
        server.add_user(LINE).await;
    }
    let one = store(&sentinels.url()).await;
    let writer = Writer::begun(&one).await;
    let append = writer.append(Onto::Seq(0), vec![writer.chunk(1, None)]);
    assert_eq!(one.append(Append { replicas: 1, ..append }).await.unwrap(), STORED);
    assert_eq!(refused(&sentinels.servers[0]).await, []);
    called.extend(self::called(&sentinels.servers).await);

    let granted = LINE.split_whitespace().filter_map(|rule| rule.strip_prefix('+'));
    let unused: Vec<&str> = granted.filter(|command| !called.contains(*command)).collect();
    assert_eq!(unused, Vec::<&str>::new(), "granted and not needed");
}

#[tokio::test]
async fn the_documented_user_is_kept_from_everything_else() {
    let Some(server) = RedisServer::start().await else { return };
    server.add_user(LINE).await;
    for (command, key) in [("GET", "other:key"), ("PUBLISH", "other"), ("PUBLISH", "tower-resume:other"), ("KEYS", "*")]
    {
        let mut words = vec!["ACL", "DRYRUN", "tower-resume", command, key];
        words.extend((command == "PUBLISH").then_some("news"));
        let answer = server.cli(&words).await;
        assert!(answer.text().contains("permission"), "{command} {key}: {answer:?}");
    }
    let elsewhere = RedisConfig::new(&as_user(&server.url())).command_timeout(UNHURRIED).prefix("other");
    let store = reached(elsewhere).await;
    assert_eq!(Writer::new(&store).begin().await.unwrap_err().kind(), StoreErrorKind::Refused);
}

#[tokio::test]
async fn services_with_different_prefixes_do_not_see_each_other() {
    let Some(server) = RedisServer::start().await else { return };
    let named = async |prefix| reached(RedisConfig::new(&server.url()).command_timeout(UNHURRIED).prefix(prefix)).await;
    // One begins as the other does.
    let (one, other, same) = (named("shop").await, named("shop-eu").await, named("shop").await);
    let mut writer = Writer::begun(&one).await;
    assert_eq!(writer.write(2).await.unwrap(), STORED);
    assert_eq!(writer.read(&same).await, writer.log[1..]);
    assert!(other.open(writer.id, 0).await.unwrap().is_none());
    assert!(other.tail(writer.id).await.unwrap().is_none());
    // Even a stream of the same name is another one.
    let mut twin = Writer { id: writer.id, ..Writer::new(&other) };
    twin.begin().await.unwrap();
    assert_eq!(twin.write(1).await.unwrap(), STORED);
    assert_eq!(writer.write(1).await.unwrap(), STORED);
    assert_eq!(writer.read(&one).await, writer.log[1..]);
    assert_eq!(twin.read(&other).await, twin.log[1..]);
    // Nor are there news, leases or names.
    let mut near = same.watch(writer.id, one.node(), 0);
    let mut far = other.watch(writer.id, one.node(), 0);
    pushed(&mut writer, &mut near).await;
    let news = timeout(Duration::from_millis(300), far.news.recv()).await;
    assert!(!matches!(news, Ok(Some(tower_resume::store::Pushed::Chunk(_)))), "{news:?}");
    until("its lease is there", async || same.lives(one.node()).await.unwrap()).await;
    assert!(!other.lives(one.node()).await.unwrap());
    let name = Name::from_bytes([7; 32]);
    let value = || Some(bytes::Bytes::from_static(b"stream"));
    one.exchange(name, Expect::Nothing, value(), Duration::from_secs(60)).await.unwrap();
    assert_eq!(same.lookup(name).await.unwrap(), value());
    assert_eq!(other.lookup(name).await.unwrap(), None);
}
