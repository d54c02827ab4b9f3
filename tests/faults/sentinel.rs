//! A primary with two replicas that three sentinels watch over: it is killed, or another one is chosen. Connected clients
//! notice nothing, and in the end the new primary holds every stream, whole.

use crate::{fleet::Fleet, sentinels::Sentinels};

const STREAMS: usize = 12;

#[tokio::test]
async fn the_primary_is_killed() {
    let Some(mut sentinels) = Sentinels::start().await else { return };
    let fleet = Fleet::start(&sentinels.url()).await;
    let load = fleet.under_way(STREAMS).await;
    sentinels.lose_patience().await;
    sentinels.servers[0].kill().await;
    fleet.through(load, "Sentinel: the primary killed").await;
}

#[tokio::test]
async fn another_primary_is_chosen() {
    let Some(sentinels) = Sentinels::start().await else { return };
    let fleet = Fleet::start(&sentinels.url()).await;
    let load = fleet.under_way(STREAMS).await;
    sentinels.ask_for_failover().await;
    sentinels.failed_over(0).await;
    fleet.through(load, "Sentinel: `SENTINEL FAILOVER`").await;
}
