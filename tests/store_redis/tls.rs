//! TLS to a `redis-server` of its own, with certificates of a private authority.

use super::{PATIENCE, STORED, UNHURRIED, Writer, ca::TestCa};
use std::time::Duration;
use tower_resume::store::{RedisConfig, RedisStore, conformance};

async fn is_reached(config: RedisConfig, within: Duration) -> Option<RedisStore> {
    let store = RedisStore::with_config(config).unwrap();
    store.ready(within).await.then_some(store)
}

#[tokio::test]
async fn it_keeps_every_promise_of_the_contract_over_tls() {
    let ca = TestCa::new();
    let Some((_server, url)) = ca.serve("no").await else { return };
    let config = || RedisConfig::new(&url).root_certificates(ca.pem.as_bytes()).command_timeout(UNHURRIED);
    conformance::run(async || is_reached(config(), PATIENCE).await.expect("redis is reached")).await;
    let connect = async || is_reached(config(), PATIENCE).await.expect("redis is reached");
    conformance::run_shared(async || (connect().await, connect().await)).await;
}

#[tokio::test]
async fn a_server_whose_authority_is_not_trusted_is_not_talked_to() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    let Some((server, url)) = ca.serve("no").await else { return };
    let briefly = Duration::from_millis(500);
    assert!(is_reached(RedisConfig::new(&url).root_certificates(other.pem.as_bytes()), briefly).await.is_none());
    let plain = server.url().replace("redis://", "rediss://");
    assert!(is_reached(RedisConfig::new(&plain).root_certificates(ca.pem.as_bytes()), briefly).await.is_none());
    // By a name that is not in its certificate.
    let named = url.replace("127.0.0.1", "localhost");
    assert!(is_reached(RedisConfig::new(&named).root_certificates(ca.pem.as_bytes()), briefly).await.is_none());
    assert!(is_reached(RedisConfig::new(&url).root_certificates(ca.pem.as_bytes()), PATIENCE).await.is_some());
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_one() {
    let ca = TestCa::new();
    let Some((_server, url)) = ca.serve("yes").await else { return };
    let config = || RedisConfig::new(&url).root_certificates(ca.pem.as_bytes());
    assert!(is_reached(config(), Duration::from_millis(500)).await.is_none());
    let (cert, key) = ca.issue();
    let shown = config().client_certificate(cert.as_bytes(), key.as_bytes());
    let store = is_reached(shown, PATIENCE).await.expect("redis is reached");
    assert_eq!(Writer::begun(&store).await.write(1).await.unwrap(), STORED);
}
