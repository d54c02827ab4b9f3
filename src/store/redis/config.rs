//! How to reach Redis.

use super::super::{StoreError, StoreErrorKind, pack::Packing};
use fred::{
    clients::Client,
    types::{
        Builder,
        config::{Config, ReconnectPolicy, UnresponsiveConfig},
    },
};
use std::{fmt, time::Duration};

/// A connection that has not answered for as long is taken down and made anew.
const UNRESPONSIVE: Duration = Duration::from_secs(2);
/// The messages that may wait for the inbox's task. Those that do not fit are lost, and looked up.
const MESSAGES: usize = 512;
const RECONNECT_MIN_MS: u32 = 20;
const RECONNECT_MAX_MS: u32 = 2_000;

/// How a [`RedisStore`](super::RedisStore) reaches Redis.
///
/// ```
/// use std::time::Duration;
/// use tower_resume::store::RedisConfig;
///
/// let config = RedisConfig::new("redis://127.0.0.1:6379/0").prefix("my-app").command_timeout(Duration::from_millis(300));
/// # let _ = config;
/// ```
#[derive(Clone)]
#[must_use]
pub struct RedisConfig {
    url: Box<str>,
    pub(super) prefix: Box<str>,
    pub(super) command_timeout: Duration,
    pub(super) packing: Packing,
}

impl RedisConfig {
    /// Redis at this URL: `redis://[[user:]password@]host[:port][/database]`; `rediss://` for TLS, with the feature
    /// `redis-tls`. User and password are percent-encoded.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.into(),
            prefix: "tower-resume".into(),
            command_timeout: Duration::from_millis(500),
            packing: Packing::default(),
        }
    }

    /// What all keys and channels begin with. Services that share a Redis, and are to stay apart, need one each.
    /// Defaults to `tower-resume`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a command may take before it counts as failed, at least 1 ms. Defaults to 500 ms.
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Whether chunks and snapshots are compressed, by LZ4: those of 256 bytes or more that become smaller by an eighth at
    /// least. Defaults to `false`.
    ///
    /// It is worth it where events are large and alike, JSON say, and Redis' memory or network is what is scarce. What is
    /// stored says itself how it was packed: nodes may differ in this, and it can be changed at any time. But every node
    /// has to be built with the feature `compression` before the first one compresses.
    #[cfg(feature = "compression")]
    pub const fn compress(mut self, compress: bool) -> Self {
        self.packing.compress = compress;
        self
    }

    /// Checks what can be checked without a connection. The answer names what is wrong, never the URL.
    pub(super) fn parse(&self) -> Result<Config, StoreError> {
        if self.prefix.is_empty() || self.prefix.contains(|c: char| c.is_control() || matches!(c, '{' | '}' | ' ')) {
            return Err(wrong(
                "the prefix of the redis keys is empty or holds a brace, a space or a control character",
            ));
        }
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return Err(wrong("the redis url has no scheme: it begins with redis://"));
        };
        match scheme {
            "redis" | "valkey" => {}
            "rediss" | "valkeys" if cfg!(feature = "redis-tls") => {}
            "rediss" | "valkeys" => {
                return Err(wrong("the redis url asks for tls: enable the feature `redis-tls` of tower-resume"));
            }
            _ => return Err(wrong("the scheme of the redis url is none of redis:// and rediss://")),
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if host.is_empty() || host.starts_with(':') {
            return Err(wrong("the redis url names no host"));
        }
        let database = path.split(['?', '#']).next().unwrap_or_default();
        if !database.is_empty() && database.parse::<u8>().is_err() {
            return Err(wrong("the path of the redis url is not the number of a database"));
        }
        // The cause is left out: it may quote the URL.
        Config::from_url(&self.url).map_err(|_| {
            wrong("the redis url cannot be read: is its port a number, are its user and password percent-encoded?")
        })
    }

    /// A client of its own connection, not yet connected.
    pub(super) fn client(&self, config: &Config) -> Result<Client, StoreError> {
        let timeout = self.command_timeout;
        let mut policy = ReconnectPolicy::new_exponential(0, RECONNECT_MIN_MS, RECONNECT_MAX_MS, 2);
        policy.set_jitter(RECONNECT_MIN_MS * 2);
        Builder::from_config(config.clone())
            .with_connection_config(|connection| {
                // Resent by nobody but the recorder, which looks at the log first.
                connection.max_command_attempts = 1;
                connection.connection_timeout = UNRESPONSIVE;
                connection.internal_command_timeout = UNRESPONSIVE;
                connection.unresponsive =
                    UnresponsiveConfig { max_timeout: Some(UNRESPONSIVE), interval: UNRESPONSIVE / 4 };
                connection.tcp.nodelay = Some(true);
            })
            .with_performance_config(|performance| {
                performance.default_command_timeout = timeout;
                performance.broadcast_channel_capacity = MESSAGES;
            })
            .set_policy(policy)
            .build()
            .map_err(|_| wrong("the redis url cannot be used"))
    }
}

const fn wrong(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Refused, what)
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("prefix", &self.prefix)
            .field("command_timeout", &self.command_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_url_is_named_for_what_is_wrong_and_never_shown() {
        for (url, says) in [
            ("127.0.0.1:6379", "scheme"),
            ("http://u:hunter2@host", "scheme"),
            ("redis://u:hunter2@", "host"),
            ("redis://u:hunter2@:6379", "host"),
            ("redis://u:hunter2@host/zero", "database"),
            ("redis://u:hunter2@host:port", "port"),
            ("redis://u:hunter2%zz%ff@host", "percent"),
        ] {
            let error = RedisConfig::new(url).parse().err().unwrap_or_else(|| panic!("{url} is taken"));
            let text = format!("{error} {error:?}");
            assert!(text.contains(says), "{url}: {text}");
            assert!(!text.contains("hunter2"), "{url}: {text}");
        }
        for url in ["redis://host", "redis://:p%40ss@host:1/3", "redis://u:p@[::1]:7", "valkey://host/"] {
            assert!(RedisConfig::new(url).parse().is_ok(), "{url}");
        }
        assert!(RedisConfig::new("redis://host").prefix("a{b").parse().is_err());
        assert!(!format!("{:?}", RedisConfig::new("redis://u:hunter2@host")).contains("hunter2"));
    }
}
