//! All scenarios, in groups.

mod answers;
mod cuts;
mod ends;
mod forms;
mod gaps;
mod starts;
mod storage;

use crate::{plan::Scenario, script::Script};
use fastrand::Rng;
use std::time::Duration;

/// Between two events, where nothing else is said.
const PACE: Duration = Duration::from_millis(4);

/// A stream of a second or so.
fn ticks(rng: &mut Rng) -> Script {
    let events = rng.u64(200..260);
    Script::ticks(rng, events, PACE)
}

/// In the order in which a new client best takes them on.
pub(crate) const SCENARIOS: &[Scenario] = &[
    cuts::PLAIN,
    cuts::CUT_ANYWHERE,
    cuts::CUT_IN_UTF8,
    cuts::CUT_IN_CRLF,
    cuts::CUT_IN_ID,
    cuts::CLEAN_EOF,
    cuts::HALF_OPEN,
    cuts::REFUSED_FOR_A_WHILE,
    answers::BUSY,
    answers::TOO_MANY_READERS,
    answers::WAIT,
    answers::BAD_GATEWAY,
    answers::CAPTIVE_PORTAL,
    answers::SEEN_END,
    answers::NOTHING_THERE,
    answers::EXPIRED,
    answers::EXPIRED_RESTART,
    starts::EXPIRED_WHILE_AWAY,
    answers::GONE,
    answers::GONE_RESTART,
    gaps::TRIMMED,
    gaps::SNAPSHOT,
    gaps::STATE_SNAPSHOT,
    gaps::OVERSIZE_EVENT,
    ends::TOKEN_REFRESH,
    forms::COMMENTS,
    forms::IDS_OFF,
    forms::CONTROL_NAME,
    ends::ENDS_ERROR,
    ends::ENDS_INTERRUPTED,
    ends::CANCELLED,
    ends::CLOSED,
    ends::DISCONNECT,
    storage::RELOAD,
    storage::RELOAD_FROM_START,
    ends::SLOW_CONSUMER,
    forms::BIG_EVENTS,
    ends::TOO_LARGE,
    starts::IDEMPOTENT_START,
    starts::START_FAILED,
    answers::NOT_EVENT_STREAM,
    answers::NOT_FOUND,
    answers::FORBIDDEN_RESUME,
    starts::WRONG_PORT,
    forms::TWO_NODES,
    forms::PLAIN_SERVER,
    forms::PLAIN_POST,
];
