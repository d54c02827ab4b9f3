//! What a request says in its query: how a draft is asked for where there can be no body, and how fast it is told.

use std::time::Duration;

use axum::http::Uri;
use serde_json::json;

use crate::error::{ErrorV1, bad_input};

/// Slowest pace that a client can ask for: each event in ten seconds.
pub(crate) const MAX_PACE: Duration = Duration::from_secs(10);

/// The value of a parameter of the query, the last one where there are several.
pub(crate) fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let pairs = form_urlencoded::parse(uri.query()?.as_bytes());
    pairs.filter(|(key, _)| key == name).last().map(|(_, value)| value.into_owned())
}

/// A parameter that is a time in whole milliseconds, from 0 to `max`; `None` where it is not there.
///
/// # Errors
///
/// `BAD_INPUT` that names the parameter, where it is anything else.
pub(crate) fn whole_number(uri: &Uri, name: &str, max: Duration) -> Result<Option<Duration>, ErrorV1> {
    let Some(text) = parameter(uri, name) else { return Ok(None) };
    let time = text.parse().ok().map(Duration::from_millis).filter(|time| *time <= max);
    let expected = || {
        let max = max.as_millis();
        bad_input("invalid input", json!({ "parameter": name, "expected": format!("milliseconds, 0 to {max}") }))
    };
    time.map(Some).ok_or_else(expected)
}

/// The body that a `GET` stands for: `{"brief": …}`, and without one `{}`, which is refused like an empty body by `POST`.
pub(crate) fn as_body(uri: &Uri) -> Vec<u8> {
    let brief = parameter(uri, "brief");
    let body = brief.map_or_else(|| json!({}), |brief| json!({ "brief": brief }));
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(query: &str) -> Uri {
        format!("/x?{query}").parse().unwrap()
    }

    #[test]
    fn parameters_are_decoded_and_the_last_one_counts() {
        assert_eq!(parameter(&uri("a=1&brief=%C2%A349+or+%26&a=2"), "brief").as_deref(), Some("£49 or &"));
        assert_eq!(parameter(&uri("a=1&a=2"), "a").as_deref(), Some("2"));
        assert_eq!(parameter(&uri("a=1"), "b"), None);
        assert_eq!(parameter(&Uri::from_static("/x"), "b"), None);
    }

    #[test]
    fn a_get_stands_for_the_body_of_a_post() {
        assert_eq!(as_body(&uri("brief=%22quoted%22&x=1")), br#"{"brief":"\"quoted\""}"#);
        assert_eq!(as_body(&uri("x=1")), b"{}");
    }

    #[test]
    fn a_pace_is_whole_milliseconds_within_bounds() {
        let pace = |query: &str| whole_number(&uri(query), "pace_ms", MAX_PACE);
        assert_eq!(pace("pace_ms=0"), Ok(Some(Duration::ZERO)));
        assert_eq!(pace("pace_ms=10000"), Ok(Some(MAX_PACE)));
        assert_eq!(pace("x=1"), Ok(None));
        for bad in ["10001", "-1", "1.5", "", "abc", "99999999999999999999"] {
            let error = pace(&format!("pace_ms={bad}")).unwrap_err();
            assert_eq!(error.details.unwrap()["parameter"], "pace_ms", "{bad}");
        }
    }
}
