//! The secrets that tokens are signed with, and how a key for each use is made of them.

use super::{Signer, Verifier};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use std::{ffi::OsString, fmt, sync::Arc};

/// One label for each use of a secret, so that no two uses ever share a key.
const TOKEN_LABEL: &[u8] = b"tower-resume/token/v1";
const KEY_ID_LABEL: &[u8] = b"tower-resume/key-id/v1";
#[cfg(feature = "encryption")]
const STORE_LABEL: &[u8] = b"tower-resume/store/v1";
const NAME_LABEL: &[u8] = b"tower-resume/name/v1";

const SECRET: &str = "SSE_RESUME_SECRET";
const SECRET_OF_OLD: &str = "HMAC_SECRET";
const PREVIOUS_SECRET: &str = "SSE_RESUME_SECRET_PREVIOUS";

/// The secrets behind the tokens: the first signs, all of them verify.
///
/// Every node of a service needs the same ones. To rotate, put the new secret first
/// and leave the old one behind it until the tokens that it signed are past their time.
/// On a service of several nodes do it in two deploys, the new secret going second in the
/// first of them, so that no node meets a token that it cannot verify; `docs/security.md` has it step by step.
///
/// A clone is cheap and shares the secrets. They never show in its [`Debug`](fmt::Debug) form.
///
/// ```
/// # fn main() -> Result<(), tower_resume::KeyError> {
/// use tower_resume::Keys;
///
/// let new = "kZ0b3FzZ0mC5cW1gXq8r1h3o4yVtq2JxU7d9sPlA6eE=";
/// let old = "fN7yq2l0QmPzX5bR8cT1vW4dK6hJ9sGxA3eLuOiYtZo=";
/// let keys = Keys::ring([new, old])?;
/// # let _ = keys; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Keys(Arc<[Secret]>);

impl Keys {
    /// The fewest bytes of a secret. HMAC-SHA256 is as strong as its 32 bytes of output, and no stronger
    /// than its key; a shorter one could be found by trying, from a single token.
    pub const MIN_SECRET_BYTES: usize = 32;

    /// One secret, of [`Keys::MIN_SECRET_BYTES`] or more: `openssl rand -base64 32` makes one.
    ///
    /// # Errors
    ///
    /// If the secret is too short.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::ring([secret])
    }

    /// Several secrets: the first signs, all of them verify.
    ///
    /// # Errors
    ///
    /// If there is none, or one of them is too short.
    pub fn ring(secrets: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Self, KeyError> {
        let ring = secrets.into_iter().enumerate().map(|(at, secret)| Secret::new(secret.as_ref(), at + 1));
        let ring = ring.collect::<Result<Arc<[_]>, _>>()?;
        if ring.is_empty() {
            return Err(KeyError { variable: None, problem: Problem::Empty });
        }
        Ok(Self(ring))
    }

    /// The secrets that the environment names; `None` where it names none to sign with.
    ///
    /// | variable | |
    /// | --- | --- |
    /// | `SSE_RESUME_SECRET` | signs and verifies |
    /// | `HMAC_SECRET` | takes its place where that is unset or empty |
    /// | `SSE_RESUME_SECRET_PREVIOUS` | only verifies; for the time of a rotation, be it the old one or the new one |
    ///
    /// White space around a secret is not part of it, since files and secret managers like to add a line end.
    ///
    /// # Errors
    ///
    /// If one of the secrets is too short. The error names the variable.
    pub fn from_env() -> Result<Option<Self>, KeyError> {
        Self::from_lookup(|variable| std::env::var_os(variable))
    }

    pub(crate) fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Option<Self>, KeyError> {
        let secret = |variable: &'static str| {
            let value = lookup(variable)?.into_encoded_bytes();
            let value = value.trim_ascii();
            let secret = || Secret::new(value, 1).map_err(|err| KeyError { variable: Some(variable), ..err });
            (!value.is_empty()).then(secret)
        };
        let Some(newest) = secret(SECRET).or_else(|| secret(SECRET_OF_OLD)).transpose()? else {
            return Ok(None);
        };
        let previous = secret(PREVIOUS_SECRET).transpose()?;
        Ok(Some(Self(std::iter::once(newest).chain(previous).collect())))
    }

    /// What signs the tokens of this scope and principal.
    pub(crate) fn signer(&self, scope: &str, principal: Option<&str>) -> Signer {
        #[expect(clippy::expect_used, reason = "every constructor refuses an empty ring")]
        let newest = self.0.first().expect("a ring holds a secret");
        Signer::new(newest.token_key(scope, principal))
    }

    /// What opens the tokens of this scope and principal. It costs a derivation for each secret
    /// (about a microsecond), so one that is needed often is worth keeping.
    pub(crate) fn verifier(&self, scope: &str, principal: Option<&str>) -> Verifier {
        Verifier::new(self.0.iter().map(|secret| secret.token_key(scope, principal)).collect())
    }

    /// What makes the names of this scope: one for each secret, so that those are found that another node has given in
    /// the course of a rotation.
    pub(crate) fn namers(&self, scope: &str) -> Arc<[Namer]> {
        self.0.iter().map(|secret| secret.namer(scope)).collect()
    }

    /// The keys for what a store keeps, each with the id of its secret: the first seals, all of them open.
    #[cfg(feature = "encryption")]
    pub(crate) fn store_keys(&self) -> impl Iterator<Item = (u8, [u8; 32])> {
        self.0.iter().map(|secret| (secret.id, expand(&secret.root, &[STORE_LABEL])))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("count", &self.0.len()).finish_non_exhaustive()
    }
}

/// A key for one scope and principal, in the form that costs least to use: its two blocks are hashed already.
#[derive(Clone)]
pub(super) struct TokenKey {
    pub(super) id: u8,
    pub(super) mac: Hmac<Sha256>,
}

/// Makes digests that tell nothing of what they are made of, to anybody without the secret.
#[derive(Clone)]
pub(crate) struct Namer(Hmac<Sha256>);

impl Namer {
    /// The digest of these fields. Each is preceded by its length: no two lists of as many fields spell the same bytes.
    pub(crate) fn digest(&self, fields: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for field in fields {
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Namer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namer").finish_non_exhaustive()
    }
}

/// One secret of the ring, as the pseudorandom key that HKDF extracts from it.
struct Secret {
    id: u8,
    root: Hkdf<Sha256>,
}

impl Secret {
    /// `place` counts from 1 and is for the error only.
    fn new(secret: &[u8], place: usize) -> Result<Self, KeyError> {
        if secret.len() < Keys::MIN_SECRET_BYTES {
            return Err(KeyError { variable: None, problem: Problem::Short { place, given: secret.len() } });
        }
        let root = Hkdf::new(None, secret);
        let [id] = expand(&root, &[KEY_ID_LABEL]);
        Ok(Self { id, root })
    }

    /// Scope and principal go into the key and so into every token's MAC, yet take no room in the token.
    ///
    /// Each is preceded by its length, and a principal by a mark that there is one: no two pairs
    /// spell the same bytes.
    fn token_key(&self, scope: &str, principal: Option<&str>) -> TokenKey {
        let length = |text: &str| (text.len() as u64).to_be_bytes();
        let (mark, name) = (u8::from(principal.is_some()), principal.unwrap_or(""));
        let key: [u8; 32] = expand(
            &self.root,
            &[TOKEN_LABEL, &[0], &length(scope), scope.as_bytes(), &[mark], &length(name), name.as_bytes()],
        );
        TokenKey { id: self.id, mac: hmac(&key) }
    }

    fn namer(&self, scope: &str) -> Namer {
        let key: [u8; 32] = expand(&self.root, &[NAME_LABEL, &[0], scope.as_bytes()]);
        Namer(hmac(&key))
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn hmac(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8,160 bytes; one or 32 are asked for")]
fn expand<const N: usize>(root: &Hkdf<Sha256>, info: &[&[u8]]) -> [u8; N] {
    let mut key = [0; N];
    root.expand_multi_info(info, &mut key).expect("HKDF gives as many bytes as this");
    key
}

/// A secret that cannot be used. The text says what to do; no secret is in it.
///
/// It prints the same as `Debug`, so that a `main` that returns it says what to do.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyError {
    variable: Option<&'static str>,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    Empty,
    Short { place: usize, given: usize },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(variable) = self.variable {
            write!(f, "{variable}: ")?;
        }
        let least = Keys::MIN_SECRET_BYTES;
        match self.problem {
            Problem::Empty => f.write_str("no secret given, at least one needed")?,
            Problem::Short { place: 1, given } => {
                write!(f, "secret too short: {given} bytes given, at least {least} needed")?;
            }
            Problem::Short { place, given } => {
                write!(f, "secret {place} of the ring too short: {given} bytes given, at least {least} needed")?;
            }
        }
        f.write_str("; make one with `openssl rand -base64 32`")
    }
}

impl fmt::Debug for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET_A: &str = "a secret of thirty-two bytes: 32";

    fn env(pairs: &[(&str, &str)]) -> Result<Option<Keys>, KeyError> {
        Keys::from_lookup(|name| {
            pairs.iter().find(|(variable, _)| *variable == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn a_short_secret_is_refused_with_the_way_out() {
        assert_eq!(
            Keys::new("sixteen bytes ..").unwrap_err().to_string(),
            "secret too short: 16 bytes given, at least 32 needed; make one with `openssl rand -base64 32`"
        );
        assert_eq!(SECRET_A.len(), 32);
        assert!(Keys::new(SECRET_A).is_ok());
        assert!(Keys::new(&SECRET_A[1..]).is_err());
        assert!(Keys::new([7_u8; 32]).is_ok(), "a secret need not be text");
    }

    #[test]
    fn a_ring_needs_a_secret_and_says_which_one_is_bad() {
        let none: [&str; 0] = [];
        assert!(Keys::ring(none).unwrap_err().to_string().starts_with("no secret given, at least one needed"));
        let err = Keys::ring([SECRET_A, "short"]).unwrap_err();
        assert!(err.to_string().starts_with("secret 2 of the ring too short: 5 bytes given"), "{err}");
        assert!(!format!("{err} {err:?}").contains("short\""), "no secret in an error: {err:?}");
    }

    #[test]
    fn a_secret_never_shows() {
        let keys = Keys::ring([SECRET_A, &"b".repeat(40)]).unwrap();
        assert_eq!(format!("{keys:?}"), "Keys { count: 2, .. }");
        let (signer, verifier) = (keys.signer("scope", Some("ann")), keys.verifier("scope", Some("ann")));
        assert_eq!(format!("{signer:?} {verifier:?}"), "Signer { .. } Verifier { keys: 2, .. }");
    }

    #[test]
    fn names_differ_by_secret_scope_and_every_field_and_are_not_tokens_keys() {
        let (a, b) = (SECRET_A, &*"b".repeat(32));
        let digest = |secret: &str, scope: &str, fields: &[&[u8]]| {
            Keys::new(secret).unwrap().namers(scope).first().unwrap().digest(fields)
        };
        let all = [
            digest(a, "", &[b"x", b"y"]),
            digest(b, "", &[b"x", b"y"]),
            digest(a, "s", &[b"x", b"y"]),
            digest(a, "", &[b"xy", b""]),
            digest(a, "", &[b"", b"xy"]),
            digest(a, "", &[b"x", b"y", b""]),
        ];
        let mut distinct = all.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(digest(a, "s", &[b"x"]), digest(a, "s", &[b"x"]));
        let ring = Keys::ring([b, a]).unwrap().namers("");
        assert_eq!(ring.iter().map(|namer| namer.digest(&[b"x", b"y"])).collect::<Vec<_>>(), [all[1], all[0]]);
        assert_eq!(format!("{:?}", ring.first().unwrap()), "Namer { .. }");
    }

    #[test]
    fn the_environment_names_the_secrets() {
        let (a, b, c) = (SECRET_A, &*"b".repeat(32), &*"c".repeat(32));
        let same = |keys: Option<Keys>, secrets: &[&str]| {
            let ring: Vec<u8> = keys.unwrap().0.iter().map(|secret| secret.id).collect();
            assert_eq!(ring, Keys::ring(secrets).unwrap().0.iter().map(|secret| secret.id).collect::<Vec<_>>());
        };
        assert!(env(&[]).unwrap().is_none());
        assert!(env(&[(SECRET, " \n"), (SECRET_OF_OLD, "")]).unwrap().is_none());
        assert!(env(&[(PREVIOUS_SECRET, a)]).unwrap().is_none(), "it only verifies");
        same(env(&[(SECRET, a), (SECRET_OF_OLD, b)]).unwrap(), &[a]);
        same(env(&[(SECRET, ""), (SECRET_OF_OLD, b)]).unwrap(), &[b]);
        same(env(&[(SECRET, a), (PREVIOUS_SECRET, c)]).unwrap(), &[a, c]);
        same(env(&[(SECRET, &format!("{a}\n")), (PREVIOUS_SECRET, "")]).unwrap(), &[a]);
    }

    #[test]
    fn an_error_names_its_variable() {
        for (set, named) in [
            (&[(SECRET, "x"), (SECRET_OF_OLD, SECRET_A)][..], "SSE_RESUME_SECRET: secret too short: 1 bytes"),
            (&[(SECRET_OF_OLD, "xy")], "HMAC_SECRET: secret too short: 2 bytes"),
            (&[(SECRET, SECRET_A), (PREVIOUS_SECRET, "xyz")], "SSE_RESUME_SECRET_PREVIOUS: secret too short: 3 bytes"),
        ] {
            let text = env(set).unwrap_err().to_string();
            assert!(text.starts_with(named), "{text}");
        }
    }
}
