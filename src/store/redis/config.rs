//! How to reach Redis.

use super::{
    super::{StoreError, StoreErrorKind, pack::Packing},
    slots::Address,
    url,
};
#[cfg(feature = "encryption")]
use crate::{
    Keys,
    store::pack::{Duty, Vault},
};
use fred::{
    clients::Client,
    types::{
        Builder,
        config::{Config, ServerConfig, UnresponsiveConfig},
    },
};
use std::{fmt, time::Duration};

/// A connection that has not answered for as long, nor for the time that commands have, is taken down and made anew.
const UNRESPONSIVE: Duration = Duration::from_secs(2);
/// The messages that may wait for the inbox's task. Those that do not fit are lost, and looked up.
const MESSAGES: usize = 512;

/// How a [`RedisStore`](super::RedisStore) reaches Redis.
///
/// ```
/// use std::time::Duration;
/// use tower_resume::store::RedisConfig;
///
/// let config = RedisConfig::new("redis://127.0.0.1:6379/0").prefix("my-app").command_timeout(Duration::from_millis(300));
/// # let _ = config;
/// ```
///
/// # The URL
///
/// | Redis | URL |
/// | --- | --- |
/// | one server | `redis://[[user:]password@]host[:port][/database]` |
/// | a cluster | `redis-cluster://[[user:]password@]host[:port][?node=host:port&node=host:port ...]` |
/// | behind sentinels | `redis-sentinel://[[user:]password@]host[:port][/database]?sentinelServiceName=name[&node=host:port ...][&sentinelUsername=user][&sentinelPassword=password]` |
///
/// `valkey` does in place of `redis`. `rediss` and `valkeys` (`rediss-cluster` and so on) are the same over TLS, with the
/// feature `redis-tls`. User, password and the values of the query are percent-encoded. The port is 6379 where none is
/// given, and 26379 for sentinels.
///
/// - **A cluster** needs Redis 7 or Valkey. The nodes that are named are asked for the others; name several, since one of
///   them has to be there when the process starts. Set `cluster-require-full-coverage no` on the servers, or all streams
///   wait when one shard is away.
/// - **Sentinels**: host, port and `node` are those of the sentinels; name them all. User and password are those of Redis
///   itself.
/// - **A proxy** in between has to close its clients' connections when it turns to another server, as those do that
///   forward TCP. One that keeps them lets nobody notice that the new server lacks what the old one had acknowledged.
///
/// # The user
///
/// A user with no more rights than needed has this line in Redis' ACL file, or these rules behind `ACL SETUSER
/// tower-resume`; here for the prefix `tower-resume`:
///
/// ```text
#[doc = include_str!("../../../docs/redis-user.acl")]
/// ```
///
/// With another prefix the patterns behind `~` and `&` begin with that. `cluster|slots`, `asking`, `ssubscribe` and
/// `spublish` are for a cluster, `role` for sentinels, and `select` for a URL with a database. A user that sentinels ask
/// for has `+ping +sentinel` there.
#[derive(Clone)]
#[must_use]
pub struct RedisConfig {
    url: Box<str>,
    pub(super) prefix: Box<str>,
    pub(super) command_timeout: Duration,
    pub(super) packing: Packing,
    #[cfg(feature = "redis-tls")]
    pub(super) tls: super::tls::Tls,
}

/// What a store connects to.
#[derive(Debug)]
pub(super) enum Target {
    /// One server, or whichever one sentinels name.
    One(Dial),
    /// A cluster that these nodes belong to.
    Cluster(Dial, Vec<Address>),
}

/// Makes clients, each of one connection that nobody makes anew.
#[derive(Clone)]
pub(super) struct Dial {
    config: Config,
    command_timeout: Duration,
}

impl RedisConfig {
    /// Redis at this URL; see [above](Self#the-url).
    pub fn new(url: &str) -> Self {
        Self {
            url: url.into(),
            prefix: "tower-resume".into(),
            command_timeout: Duration::from_millis(500),
            packing: Packing::default(),
            #[cfg(feature = "redis-tls")]
            tls: super::tls::Tls::default(),
        }
    }

    /// What all keys and channels begin with. Services that share a Redis, and are to stay apart, need one each.
    /// Defaults to `tower-resume`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a command may take before it counts as failed, at least 1 ms. Defaults to 500 ms. A connection that has
    /// been silent for as long, and for two seconds at least, is made anew.
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

    /// The certificates, in PEM, of those whose word on the server's certificate is taken: of a private authority, say.
    /// Defaults to those of the platform, or of the file that the environment variable `SSL_CERT_FILE` names.
    #[cfg(feature = "redis-tls")]
    pub fn root_certificates(mut self, pem: &[u8]) -> Self {
        self.tls.roots = Some(pem.into());
        self
    }

    /// The certificate that is shown to the server, with its chain, and its private key, both in PEM. A `redis-server`
    /// asks for one unless it is set to `tls-auth-clients no` or `optional`. Defaults to none.
    #[cfg(feature = "redis-tls")]
    pub fn client_certificate(mut self, chain_pem: &[u8], key_pem: &[u8]) -> Self {
        self.tls.client = Some((chain_pem.into(), key_pem.into()));
        self
    }

    /// Seals chunks, snapshots and correlation ids before Redis sees them, by XChaCha20-Poly1305 and keys that are made of
    /// these secrets for this alone; those of the layer's tokens will do. Off unless set. Every node needs it.
    ///
    /// The first secret seals, all of them open, so secrets are rotated as for tokens (see [`Keys`]); but keep the old one
    /// until the streams that were begun under it are over and past their time, too. To switch encryption on (or off,
    /// backwards) on a service that runs, deploy [`decrypt`](Self::decrypt), then this, then
    /// [`require_encryption`](Self::require_encryption), each once the one before is everywhere: a node that cannot open
    /// what it finds answers that it cannot serve the stream right now.
    ///
    /// Redis, its disk and its backups still see of a stream: its id, which event each entry ends with and how many bytes
    /// it takes, when, by which node, whether the stream is over and how, and whether there is a snapshot.
    ///
    /// ```
    /// use tower_resume::{Keys, store::RedisConfig};
    ///
    /// # fn main() -> Result<(), tower_resume::KeyError> {
    /// let keys = Keys::new("kZ0b3FzZ0mC5cW1gXq8r1h3o4yVtq2JxU7d9sPlA6eE=")?;
    /// let config = RedisConfig::new("redis://127.0.0.1:6379").encrypt(&keys);
    /// # let _ = config; Ok(()) }
    /// ```
    #[cfg(feature = "encryption")]
    pub fn encrypt(mut self, keys: &Keys) -> Self {
        self.packing.vault = Some(Vault::new(keys, Duty::Seal));
        self
    }

    /// As [`encrypt`](Self::encrypt), and refuses what is stored in the clear: whoever can write to Redis can then no
    /// longer make up events. (They can still delete them, and put an older state of the same stream back.)
    #[cfg(feature = "encryption")]
    pub fn require_encryption(mut self, keys: &Keys) -> Self {
        self.packing.vault = Some(Vault::new(keys, Duty::Require));
        self
    }

    /// Opens what other nodes [`encrypt`](Self::encrypt), and seals nothing: for the deploy before encryption is switched
    /// on, and the one after it was switched off.
    #[cfg(feature = "encryption")]
    pub fn decrypt(mut self, keys: &Keys) -> Self {
        self.packing.vault = Some(Vault::new(keys, Duty::Open));
        self
    }

    /// Checks what can be checked without a connection. The answer names what is wrong, never the URL.
    pub(super) fn parse(&self) -> Result<Target, StoreError> {
        if self.prefix.is_empty() || self.prefix.contains(|c: char| c.is_control() || matches!(c, '{' | '}' | ' ')) {
            return Err(wrong(
                "the prefix of the redis keys is empty or holds a brace, a space or a control character",
            ));
        }
        let url::Parsed { mut config, tls } = url::parse(&self.url)?;
        #[cfg(feature = "redis-tls")]
        if tls {
            config.tls = Some(self.tls.connector()?.into());
        }
        #[cfg(not(feature = "redis-tls"))]
        if tls {
            return Err(wrong("the redis url asks for tls: enable the feature `redis-tls` of tower-resume"));
        }
        let hosts = match &mut config.server {
            ServerConfig::Clustered { hosts, .. } => Some(std::mem::take(hosts)),
            _ => None,
        };
        let dial = Dial { config, command_timeout: self.command_timeout };
        // What can be seen only by making a client is seen now.
        dial.client()?;
        Ok(match hosts {
            Some(hosts) => {
                let seeds = hosts.into_iter().map(|host| Address { host: host.host.to_string(), port: host.port });
                Target::Cluster(dial, seeds.collect())
            }
            None => Target::One(dial),
        })
    }
}

impl Dial {
    /// The same for a node of the cluster.
    pub(super) fn to(&self, host: &str, port: u16) -> Self {
        let mut dial = self.clone();
        dial.config.server = ServerConfig::new_centralized(host, port);
        dial
    }

    /// A client of its own connection, not yet connected. It has no policy by which to connect again.
    pub(super) fn client(&self) -> Result<Client, StoreError> {
        let timeout = self.command_timeout;
        let silent = timeout.max(UNRESPONSIVE);
        Builder::from_config(self.config.clone())
            .with_connection_config(|connection| {
                // Resent by nobody but the recorder, which looks at the log first.
                connection.max_command_attempts = 1;
                connection.connection_timeout = UNRESPONSIVE;
                connection.internal_command_timeout = UNRESPONSIVE;
                connection.unresponsive = UnresponsiveConfig { max_timeout: Some(silent), interval: UNRESPONSIVE / 4 };
                connection.tcp.nodelay = Some(true);
            })
            .with_performance_config(|performance| {
                performance.default_command_timeout = timeout;
                performance.broadcast_channel_capacity = MESSAGES;
            })
            .build()
            .map_err(|_| wrong("the redis url cannot be used"))
    }
}

pub(super) const fn wrong(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Refused, what)
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dial")
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("prefix", &self.prefix)
            .field("command_timeout", &self.command_timeout)
            .finish_non_exhaustive()
    }
}
