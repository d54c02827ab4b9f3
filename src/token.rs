//! Tokens: a position in a stream, signed, in few characters.
//!
//! A token is these bytes in base64url without padding:
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version |
//! | 1 | key id: tells which secret of the ring signed it |
//! | 1 | flags: 1 = the client has seen the end, 2 = may cancel |
//! | 16 | request id |
//! | 8 | the writing node's tag |
//! | 6 | seq, big-endian |
//! | 6 | past its time at, in milliseconds since the epoch, big-endian |
//! | 0 to 48 | step, UTF-8 |
//! | 16 | the first half of the HMAC-SHA256 of all before it |
//!
//! Scope and principal are in the key (see [`keys`]). The module is pure: it is told the time.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod keys;
#[cfg(test)]
mod tests;

pub(crate) use keys::Namer;
pub use keys::{KeyError, Keys};

use crate::{
    event::Step,
    id::{NodeId, RequestId},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use constant_time_eq::constant_time_eq_n;
use hmac::{Hmac, Mac};
use keys::TokenKey;
use sha2::Sha256;
use std::{fmt, sync::Arc};

/// Its top six bits are the first character: a token begins with `r`.
const VERSION: u8 = 0xae;

const SEEN_END: u8 = 1;
const MAY_CANCEL: u8 = 1 << 1;

const HEAD_BYTES: usize = 3 + 16 + 8 + 6 + 6;
/// Half an HMAC-SHA256, the least that RFC 2104 (section 5) advises.
const MAC_BYTES: usize = 16;
const MIN_BYTES: usize = HEAD_BYTES + MAC_BYTES;
const MAX_BYTES: usize = MIN_BYTES + Step::MAX_BYTES;
const MIN_CHARS: usize = chars(MIN_BYTES);
/// Longest token that is looked at. Anything longer would cost time before its signature is checked.
const MAX_CHARS: usize = chars(MAX_BYTES);

/// What 48 bits hold: enough for any seq and, in milliseconds, for the next 8,900 years.
const MAX_48: u64 = (1 << 48) - 1;

/// How far the clocks of nodes may lie apart: a token is good for this much longer.
pub(crate) const CLOCK_SKEW_MS: u64 = 30_000;

const fn chars(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// A position in a stream, with what its holder may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) request_id: RequestId,
    /// The node that records the stream.
    pub(crate) node: NodeId,
    /// The last event that the client has received; 0 before the first. At most 2⁴⁸ − 1 goes into a token.
    pub(crate) seq: u64,
    /// When the token is past its time, in milliseconds since the epoch.
    pub(crate) expires_at: u64,
    pub(crate) step: Step,
    /// Whether the client has seen the stream's end.
    pub(crate) ended: bool,
    pub(crate) may_cancel: bool,
}

/// A cursor that came in a token of our own, in its time. Only [`Verifier::open`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified(Cursor);

impl Verified {
    /// The cursor, to go on from. What comes of it is no longer proven.
    pub(crate) fn into_cursor(self) -> Cursor {
        self.0
    }
}

impl std::ops::Deref for Verified {
    type Target = Cursor;

    fn deref(&self) -> &Cursor {
        &self.0
    }
}

/// A signed cursor as text, kept in place: making one allocates nothing.
#[derive(Clone, Copy)]
pub(crate) struct Token {
    chars: [u8; MAX_CHARS],
    len: usize,
}

impl Token {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.chars.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says nothing of the token: whoever holds it can read the stream.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// Signs the tokens of one scope and principal. A clone is cheap.
#[derive(Clone)]
pub(crate) struct Signer(Arc<TokenKey>);

impl Signer {
    fn new(key: TokenKey) -> Self {
        Self(Arc::new(key))
    }

    pub(crate) fn sign(&self, cursor: &Cursor) -> Token {
        let mut raw = [0; MAX_BYTES];
        let step = cursor.step.as_str().as_bytes();
        raw[0] = VERSION;
        raw[1] = self.0.id;
        raw[2] = if cursor.ended { SEEN_END } else { 0 } | if cursor.may_cancel { MAY_CANCEL } else { 0 };
        raw[3..19].copy_from_slice(cursor.request_id.as_bytes());
        raw[19..27].copy_from_slice(cursor.node.as_bytes());
        raw[27..33].copy_from_slice(&to_48(cursor.seq));
        raw[33..39].copy_from_slice(&to_48(cursor.expires_at));
        let len = HEAD_BYTES + step.len();
        if let Some(room) = raw.get_mut(HEAD_BYTES..len) {
            room.copy_from_slice(step);
        }
        let mac = mac(&self.0.mac, raw.get(..len).unwrap_or_default());
        if let Some(room) = raw.get_mut(len..len + MAC_BYTES) {
            room.copy_from_slice(&mac);
        }
        let mut token = Token { chars: [0; MAX_CHARS], len: 0 };
        let signed = raw.get(..len + MAC_BYTES).unwrap_or_default();
        token.len = BASE64_URL_SAFE_NO_PAD.encode_slice(signed, &mut token.chars).unwrap_or_default();
        token
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

/// Opens the tokens of one scope and principal, whichever secret of the ring signed them. A clone is cheap.
#[derive(Clone)]
pub(crate) struct Verifier(Arc<[TokenKey]>);

impl Verifier {
    fn new(keys: Arc<[TokenKey]>) -> Self {
        Self(keys)
    }

    /// The cursor in a token, which only a holder of the secret can have made.
    ///
    /// # Errors
    ///
    /// If it is not the text of a token, not signed for this scope and principal, or past its time.
    pub(crate) fn open(&self, text: &[u8], now_ms: u64) -> Result<Verified, TokenError> {
        if !has_form(text) {
            return Err(TokenError::Malformed);
        }
        // Decoding is strict: no other character, no padding, no spare bit that is set.
        let mut raw = [0; MAX_BYTES];
        let len = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut raw).map_err(|_| TokenError::Malformed)?;
        let (signed, mac) = raw.get(..len).and_then(<[u8]>::split_last_chunk).ok_or(TokenError::Malformed)?;
        self.check(signed, mac)?;
        // From here on the bytes are our own, though of a later release perhaps.
        let cursor = read(signed).ok_or(TokenError::Malformed)?;
        if now_ms > cursor.expires_at.saturating_add(CLOCK_SKEW_MS) {
            return Err(TokenError::Expired);
        }
        Ok(Verified(cursor))
    }

    /// An id that no key has, and an id whose keys say no, are one and the same answer.
    fn check(&self, signed: &[u8], given: &[u8; MAC_BYTES]) -> Result<(), TokenError> {
        let id = signed.get(1);
        // Ids are one byte, so two secrets may share one: all that have it are tried.
        let mut keys = self.0.iter().filter(|key| Some(&key.id) == id);
        let fits = keys.any(|key| constant_time_eq_n(&mac(&key.mac, signed), given));
        fits.then_some(()).ok_or(TokenError::InvalidSignature)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("keys", &self.0.len()).finish_non_exhaustive()
    }
}

/// Why a token is refused. It says nothing of what the token holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// Not the text of a token, or of a version or with flags that this release does not know.
    Malformed,
    /// Signed by no secret of the ring, or for another scope or principal.
    InvalidSignature,
    /// Past its time.
    Expired,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the token cannot be read",
            Self::InvalidSignature => "the token's signature is not valid here",
            Self::Expired => "the token is past its time",
        })
    }
}

impl std::error::Error for TokenError {}

/// Whether a text has the form of a token: its alphabet, its length and its version.
/// A `Last-Event-ID` that has not is the application's own.
pub(crate) fn looks_like_token(text: &[u8]) -> bool {
    has_form(text) && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Whether length and version are a token's; the alphabet is not looked at.
fn has_form(text: &[u8]) -> bool {
    // 0xae is `r`, then 10 in the top bits of the second character: 32 (`g`) to 47 (`v`).
    matches!(text, [b'r', b'g'..=b'v', ..]) && (MIN_CHARS..=MAX_CHARS).contains(&text.len()) && text.len() % 4 != 1
}

/// Reads what a MAC has proven to be ours: version, key id, flags and so on.
fn read(signed: &[u8]) -> Option<Cursor> {
    let (&[version, _, flags], rest) = signed.split_first_chunk()?;
    let (request_id, rest) = rest.split_first_chunk()?;
    let (node, rest) = rest.split_first_chunk()?;
    let (seq, rest) = rest.split_first_chunk()?;
    let (expires_at, step) = rest.split_first_chunk()?;
    (version == VERSION && flags & !(SEEN_END | MAY_CANCEL) == 0).then_some(Cursor {
        request_id: RequestId::from_bytes(*request_id),
        node: NodeId::from_bytes(*node),
        seq: from_48(seq),
        expires_at: from_48(expires_at),
        step: Step::new(std::str::from_utf8(step).ok()?),
        ended: flags & SEEN_END != 0,
        may_cancel: flags & MAY_CANCEL != 0,
    })
}

fn mac(key: &Hmac<Sha256>, signed: &[u8]) -> [u8; MAC_BYTES] {
    let mut mac = key.clone();
    mac.update(signed);
    let whole: [u8; 32] = mac.finalize().into_bytes().into();
    let mut half = [0; MAC_BYTES];
    half.copy_from_slice(&whole[..MAC_BYTES]);
    half
}

fn to_48(number: u64) -> [u8; 6] {
    let [_, _, low @ ..] = number.min(MAX_48).to_be_bytes();
    low
}

fn from_48(&[a, b, c, d, e, f]: &[u8; 6]) -> u64 {
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}
