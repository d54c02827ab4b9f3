//! A layer as the environment says.

#[cfg(feature = "redis")]
use crate::store::{RedisConfig, RedisStore};
use crate::{
    KeyError, Keys, ResumeLayer,
    settings::{DEFAULT_MAX_BYTES, DEFAULT_MAX_EVENTS, DEFAULT_SNAPSHOT_TTL, DEFAULT_STATE_TTL, DEFAULT_TOKEN_TTL},
    store::{AnyStore, MemoryStore, StoreError},
};
use std::{error::Error, ffi::OsString, fmt, num::NonZeroUsize, time::Duration};

const REDIS_URL: &str = "REDIS_URL";
const MAX_EVENTS: &str = "SSE_BUFFER_MAX_EVENTS";
const MAX_SIZE_MB: &str = "SSE_BUFFER_MAX_SIZE_MB";
const STATE_TTL: &str = "SSE_STATE_TTL_SEC";
const SNAPSHOT_TTL: &str = "SSE_SNAPSHOT_TTL_SEC";
const TOKEN_TTL: &str = "SSE_RESUME_TTL_MS";
#[cfg(feature = "redis")]
const COMPRESS: &str = "SSE_BUFFER_COMPRESS";
#[cfg(feature = "redis")]
const ENCRYPT: &str = "SSE_BUFFER_ENCRYPT";

/// The most that a time can be set to: a hundred years.
const MAX_SECONDS: u64 = 100 * 366 * 24 * 3600;

impl ResumeLayer<AnyStore> {
    /// A layer as the environment says; everything else stays settable. An empty variable counts as unset.
    ///
    /// | variable | what | default |
    /// | --- | --- | --- |
    /// | `SSE_RESUME_SECRET`, else `HMAC_SECRET` | signs the tokens; without one, streams pass as they are | none |
    /// | `SSE_RESUME_SECRET_PREVIOUS` | still verifies, for the time of a rotation | none |
    /// | `REDIS_URL` | the Redis that keeps the streams; without it they are kept in memory | none |
    /// | `SSE_BUFFER_MAX_EVENTS` | events of a stream that are kept | 256 |
    /// | `SSE_BUFFER_MAX_SIZE_MB` | MiB of a stream that are kept, with a fraction if you like | 1.5 |
    /// | `SSE_STATE_TTL_SEC` | seconds that a stream is kept | 900 |
    /// | `SSE_SNAPSHOT_TTL_SEC` | seconds that a snapshot is kept | 60 |
    /// | `SSE_RESUME_TTL_MS` | milliseconds that a token can be used | 900000 |
    /// | `SSE_BUFFER_COMPRESS` | whether Redis keeps streams compressed (`true`, `false`); needs the feature `compression` | `false` |
    /// | `SSE_BUFFER_ENCRYPT` | whether Redis keeps streams encrypted, by the secrets above (`true`, `false`; `decrypt`, `require`: see `RedisConfig`); needs the feature `encryption` | `false` |
    ///
    /// ```no_run
    /// use tower_resume::ResumeLayer;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = ResumeLayer::from_env()?;
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If a variable's value is of no use. The error names the variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let env = Env(&lookup);
        let keys = Keys::from_lookup(&lookup).map_err(|error| ConfigError(Problem::Key(error)))?;
        let events = env.number(MAX_EVENTS, 1.0, 1e9, true)?.map_or(DEFAULT_MAX_EVENTS, as_usize);
        let bytes = env.number(MAX_SIZE_MB, 0.001, 1e6, false)?;
        let bytes = bytes.map_or(DEFAULT_MAX_BYTES, |mib| as_usize(mib * 1024.0 * 1024.0));
        let layer = Self::new(env.store(keys.as_ref())?, keys)
            .max_events(NonZeroUsize::new(events).unwrap_or(NonZeroUsize::MIN))
            .max_bytes(NonZeroUsize::new(bytes).unwrap_or(NonZeroUsize::MIN))
            .state_ttl(env.time(STATE_TTL, Duration::from_secs, MAX_SECONDS)?.unwrap_or(DEFAULT_STATE_TTL))
            .snapshot_ttl(env.time(SNAPSHOT_TTL, Duration::from_secs, MAX_SECONDS)?.unwrap_or(DEFAULT_SNAPSHOT_TTL))
            .token_ttl(env.time(TOKEN_TTL, Duration::from_millis, MAX_SECONDS * 1000)?.unwrap_or(DEFAULT_TOKEN_TTL));
        Ok(layer)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounds were checked")]
const fn as_usize(number: f64) -> usize {
    number as usize
}

struct Env<'a, F>(&'a F);

impl<F: Fn(&str) -> Option<OsString>> Env<'_, F> {
    fn text(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        let Some(value) = (self.0)(name) else { return Ok(None) };
        let value = value.into_string().map_err(|_| bad(name, "(not UTF-8)", "text"))?;
        let value = value.trim();
        Ok((!value.is_empty()).then(|| value.to_owned()))
    }

    fn number(&self, name: &'static str, min: f64, max: f64, whole: bool) -> Result<Option<f64>, ConfigError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let expected = if whole { "a whole number, at least 1" } else { "a number of MiB above 0, such as 1.5" };
        let number: f64 = text.parse().map_err(|_| bad(name, &text, expected))?;
        let good = (min..=max).contains(&number) && (!whole || number.fract() == 0.0);
        good.then_some(Some(number)).ok_or_else(|| bad(name, &text, expected))
    }

    fn time(&self, name: &'static str, unit: fn(u64) -> Duration, max: u64) -> Result<Option<Duration>, ConfigError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (1..=max).contains(number));
        number.map(|number| Some(unit(number))).ok_or_else(|| bad(name, &text, "a whole number, at least 1"))
    }

    #[cfg(feature = "redis")]
    fn store(&self, keys: Option<&Keys>) -> Result<AnyStore, ConfigError> {
        let url = self.text(REDIS_URL)?;
        // What is said of Redis is checked without one, too.
        let config = self.packed(RedisConfig::new(url.as_deref().unwrap_or_default()), keys)?;
        if url.is_none() {
            return Ok(AnyStore::new(MemoryStore::new()));
        }
        RedisStore::with_config(config).map(AnyStore::new).map_err(|error| ConfigError(Problem::Store(error)))
    }

    #[cfg(not(feature = "redis"))]
    fn store(&self, _: Option<&Keys>) -> Result<AnyStore, ConfigError> {
        match self.text(REDIS_URL)? {
            None => Ok(AnyStore::new(MemoryStore::new())),
            Some(_) => Err(bad(REDIS_URL, "(set)", "nothing: tower-resume was built without the feature `redis`")),
        }
    }

    /// How Redis is to keep what it keeps.
    #[cfg(feature = "redis")]
    fn packed(&self, config: RedisConfig, keys: Option<&Keys>) -> Result<RedisConfig, ConfigError> {
        let config = match self.text(COMPRESS)?.as_deref() {
            None | Some("false") => config,
            #[cfg(feature = "compression")]
            Some("true") => config.compress(true),
            #[cfg(not(feature = "compression"))]
            Some("true") => {
                return Err(bad(COMPRESS, "true", "`false`, as tower-resume was built without `compression`,"));
            }
            Some(other) => return Err(bad(COMPRESS, other, "`true` or `false`")),
        };
        match (self.text(ENCRYPT)?.as_deref(), keys) {
            (None | Some("false"), _) => Ok(config),
            (Some(duty @ ("decrypt" | "true" | "require")), None) => {
                Err(bad(ENCRYPT, duty, "`false`, as no secret is set,"))
            }
            #[cfg(feature = "encryption")]
            (Some("decrypt"), Some(keys)) => Ok(config.decrypt(keys)),
            #[cfg(feature = "encryption")]
            (Some("true"), Some(keys)) => Ok(config.encrypt(keys)),
            #[cfg(feature = "encryption")]
            (Some("require"), Some(keys)) => Ok(config.require_encryption(keys)),
            #[cfg(not(feature = "encryption"))]
            (Some(duty @ ("decrypt" | "true" | "require")), Some(_)) => {
                Err(bad(ENCRYPT, duty, "`false`, as tower-resume was built without `encryption`,"))
            }
            (Some(other), _) => Err(bad(ENCRYPT, other, "`false`, `decrypt`, `true` or `require`")),
        }
    }
}

fn bad(variable: &'static str, value: &str, expected: &'static str) -> ConfigError {
    ConfigError(Problem::Value { variable, value: value.chars().take(40).collect(), expected })
}

/// An environment that no layer can be made of. Its text names the variable, and what to put there.
///
/// It prints the same as `Debug`, so that a `main` that returns it says what to do.
pub struct ConfigError(Problem);

enum Problem {
    Key(KeyError),
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "only Redis can refuse a URL"))]
    Store(StoreError),
    Value {
        variable: &'static str,
        value: String,
        expected: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Problem::Key(error) => error.fmt(f),
            Problem::Store(error) => write!(f, "{REDIS_URL}: {error}"),
            Problem::Value { variable, value, expected } => {
                write!(f, "{variable}: `{value}` given, {expected} expected")
            }
        }
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Problem::Store(error) => error.source(),
            Problem::Key(_) | Problem::Value { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(pairs: &[(&str, &str)]) -> Result<ResumeLayer<AnyStore>, ConfigError> {
        ResumeLayer::from_lookup(|name| {
            pairs.iter().find(|(variable, _)| *variable == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn an_empty_environment_gives_the_defaults() {
        for pairs in [&[][..], &[(MAX_EVENTS, ""), (REDIS_URL, " "), (TOKEN_TTL, "")]] {
            let layer = layer(pairs).unwrap();
            let settings = layer.settings();
            assert_eq!((settings.max_events, settings.max_bytes), (256, 1_572_864));
            assert_eq!(settings.token_ttl, Duration::from_secs(900));
            assert_eq!(settings.state_ttl, Duration::from_secs(900));
            assert_eq!(settings.snapshot_ttl, Duration::from_secs(60));
        }
    }

    #[test]
    fn every_variable_counts() {
        let layer = layer(&[
            (MAX_EVENTS, "8192"),
            (MAX_SIZE_MB, "0.5"),
            (STATE_TTL, "60"),
            (SNAPSHOT_TTL, "30"),
            (TOKEN_TTL, "1500"),
        ])
        .unwrap();
        let settings = layer.settings();
        assert_eq!((settings.max_events, settings.max_bytes), (8192, 524_288));
        assert_eq!(settings.token_ttl, Duration::from_millis(1500));
        assert_eq!(settings.state_ttl, Duration::from_secs(60));
        assert_eq!(settings.snapshot_ttl, Duration::from_secs(30));
    }

    #[test]
    fn a_bad_value_names_its_variable_and_says_what_is_expected() {
        for (name, value, text) in [
            (MAX_EVENTS, "many", "SSE_BUFFER_MAX_EVENTS: `many` given, a whole number, at least 1 expected"),
            (MAX_EVENTS, "0", "SSE_BUFFER_MAX_EVENTS: `0` given, a whole number, at least 1 expected"),
            (MAX_EVENTS, "1.5", "SSE_BUFFER_MAX_EVENTS: `1.5` given, a whole number, at least 1 expected"),
            (MAX_SIZE_MB, "-1", "SSE_BUFFER_MAX_SIZE_MB: `-1` given, a number of MiB above 0, such as 1.5 expected"),
            (MAX_SIZE_MB, "NaN", "SSE_BUFFER_MAX_SIZE_MB: `NaN` given, a number of MiB above 0, such as 1.5 expected"),
            (STATE_TTL, "15m", "SSE_STATE_TTL_SEC: `15m` given, a whole number, at least 1 expected"),
            (TOKEN_TTL, "0", "SSE_RESUME_TTL_MS: `0` given, a whole number, at least 1 expected"),
            #[cfg(feature = "redis")]
            (ENCRYPT, "on", "SSE_BUFFER_ENCRYPT: `on` given, `false`, `decrypt`, `true` or `require` expected"),
            #[cfg(feature = "redis")]
            (ENCRYPT, "true", "SSE_BUFFER_ENCRYPT: `true` given, `false`, as no secret is set, expected"),
            #[cfg(feature = "redis")]
            (COMPRESS, "yes", "SSE_BUFFER_COMPRESS: `yes` given, `true` or `false` expected"),
        ] {
            assert_eq!(layer(&[(name, value)]).unwrap_err().to_string(), text);
        }
        let error = layer(&[("SSE_RESUME_SECRET", "short")]).unwrap_err();
        assert!(error.to_string().starts_with("SSE_RESUME_SECRET: secret too short"), "{error}");
    }

    #[cfg(feature = "redis")]
    #[tokio::test]
    async fn a_bad_url_is_named_but_not_shown() {
        let error = layer(&[(REDIS_URL, "nonsense://user:hunter2@host")]).unwrap_err();
        assert!(error.to_string().starts_with("REDIS_URL: "), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
