//! What a command that failed says about the store.

use super::super::{DecodeError, StoreError, StoreErrorKind};
use fred::error::{Error, ErrorKind};
use std::fmt;

/// What Redis answers when an entry's id is not above the log's last one.
const BEHIND: &str = "ERR The ID specified in XADD is equal or smaller";

/// The first word of an error reply, or the kind of trouble with the connection. Nothing else of an error is passed on:
/// its text may hold an address.
#[derive(Debug)]
struct Cause(Box<str>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}

/// Whether an entry was refused because the log has one of this id, or a later one.
pub(super) fn is_behind(error: &Error) -> bool {
    error.details().starts_with(BEHIND)
}

/// Where a node of a cluster says that a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// There, from now on.
    Moved(String),
    /// There, this once: the slot is on its way.
    Ask(String),
}

/// The node that is named in the answer of one that does not have the key.
pub(super) fn redirect(error: &Error) -> Option<Redirect> {
    let mut words = error.details().split(' ');
    let to = match words.next() {
        Some("MOVED") => Redirect::Moved,
        Some("ASK") => Redirect::Ask,
        _ => return None,
    };
    words.nth(1).map(|address| to(address.to_owned()))
}

/// Whether nobody has answered, or only to say that it cannot just now.
pub(super) fn is_no_answer(error: &Error) -> bool {
    matches!(reply_code(error), None | Some("LOADING" | "MASTERDOWN" | "BUSY"))
}

/// Whether the server takes no writes any longer: another one does now.
pub(super) fn is_no_writer(error: &Error) -> bool {
    reply_code(error) == Some("READONLY")
}

/// The store's error for one of `fred`'s.
pub(super) fn fault(error: &Error) -> StoreError {
    let code = reply_code(error);
    let kind = match code {
        Some("LOADING" | "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" | "BUSY") | None => StoreErrorKind::Unavailable,
        Some("WRONGTYPE") => StoreErrorKind::Corrupt,
        Some(_) => StoreErrorKind::Refused,
    };
    let what = match kind {
        // On a cluster they are followed.
        _ if matches!(code, Some("MOVED" | "ASK")) => "redis is a cluster: the url has to begin with redis-cluster://",
        StoreErrorKind::Unavailable => "redis did not answer",
        StoreErrorKind::Refused => "redis refused the command",
        StoreErrorKind::Corrupt => "redis holds something else under this key",
    };
    StoreError::new(kind, what).with_source(Cause(code.unwrap_or_else(|| error.kind().to_str()).into()))
}

/// The code with which an error reply begins; `None` where the error is `fred`'s own.
fn reply_code(error: &Error) -> Option<&str> {
    if matches!(error.kind(), ErrorKind::IO | ErrorKind::Timeout | ErrorKind::Canceled | ErrorKind::Routing) {
        return None;
    }
    let code = error.details().split([' ', ':']).next()?;
    (code.len() > 1 && code.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(code)
}

/// The error for bytes that are not what this crate writes.
pub(super) fn corrupt(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, what)
}

impl From<DecodeError> for StoreError {
    fn from(error: DecodeError) -> Self {
        corrupt("an entry of the log cannot be read").with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_of_the_kind_that_its_code_says_and_keeps_its_text_to_itself() {
        for (kind, text, expected) in [
            (ErrorKind::Unknown, "OOM command not allowed", StoreErrorKind::Refused),
            (ErrorKind::Unknown, "READONLY You can't write", StoreErrorKind::Refused),
            (ErrorKind::Unknown, "NOPERM this user", StoreErrorKind::Refused),
            (ErrorKind::Unknown, "MISCONF errors writing", StoreErrorKind::Refused),
            (ErrorKind::Auth, "NOAUTH Authentication required.", StoreErrorKind::Refused),
            (ErrorKind::Unknown, "LOADING dataset", StoreErrorKind::Unavailable),
            (ErrorKind::Cluster, "CLUSTERDOWN down", StoreErrorKind::Unavailable),
            (ErrorKind::Unknown, "TRYAGAIN Multiple keys", StoreErrorKind::Unavailable),
            (ErrorKind::Cluster, "MOVED 1 10.0.0.1:7001", StoreErrorKind::Refused),
            (ErrorKind::InvalidArgument, "WRONGTYPE Operation", StoreErrorKind::Corrupt),
            (ErrorKind::IO, "Connection refused 10.0.0.1", StoreErrorKind::Unavailable),
            (ErrorKind::Timeout, "Request timed out.", StoreErrorKind::Unavailable),
            (ErrorKind::Unknown, "Too many failed write attempts.", StoreErrorKind::Unavailable),
        ] {
            let error = fault(&Error::new(kind, text));
            assert_eq!(error.kind(), expected, "{text}");
            assert!(!format!("{error:?}").contains("10.0.0.1"), "{error:?}");
        }
    }

    #[test]
    fn a_redirection_names_a_node() {
        let of = |text: &'static str| redirect(&Error::new(ErrorKind::Cluster, text));
        assert_eq!(of("MOVED 3999 127.0.0.1:6381"), Some(Redirect::Moved("127.0.0.1:6381".into())));
        assert_eq!(of("ASK 3999 :6381"), Some(Redirect::Ask(":6381".into())));
        assert_eq!(of("MOVED 3999"), None);
        assert_eq!(of("ERR MOVED 3999 127.0.0.1:6381"), None);
    }
}
