//! The URL of a Redis, read with care: what is wrong with it is named, and it is never shown.

use super::{super::StoreError, config::wrong};
use fred::types::config::Config;

/// What a URL says.
pub(super) struct Parsed {
    /// Without TLS: that is told beside it.
    pub(super) config: Config,
    pub(super) tls: bool,
}

/// What a URL may lead to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    One,
    Cluster,
    Sentinel,
}

/// What may stand in the query of a URL.
const NODE: &str = "node";
const SERVICE: &str = "sentinelServiceName";
const SENTINEL: [&str; 4] = [NODE, SERVICE, "sentinelUsername", "sentinelPassword"];

pub(super) fn parse(url: &str) -> Result<Parsed, StoreError> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(wrong("the redis url has no scheme: it begins with redis://"));
    };
    let (base, kind) = match scheme.split_once('-') {
        None => (scheme, Kind::One),
        Some((base, "cluster")) => (base, Kind::Cluster),
        Some((base, "sentinel")) => (base, Kind::Sentinel),
        Some(_) => ("", Kind::One),
    };
    let tls = match base {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        _ => {
            return Err(wrong(
                "the scheme of the redis url is none of redis://, redis-cluster:// and redis-sentinel://, with rediss in \
                 place of redis for tls",
            ));
        }
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = place.split_once('/').unwrap_or((place, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.is_empty() || host.starts_with(':') {
        return Err(wrong("the redis url names no host"));
    }
    let database = path.split('#').next().unwrap_or_default();
    if kind == Kind::Cluster && !matches!(database, "" | "0") {
        return Err(wrong("the redis url names a database, and a cluster has none"));
    }
    if !database.is_empty() && database.parse::<u8>().is_err() {
        return Err(wrong("the path of the redis url is not the number of a database"));
    }
    check_query(kind, query)?;
    // The scheme without TLS, lest certificates are read that are not wanted.
    let suffix = match kind {
        Kind::One => "",
        Kind::Cluster => "-cluster",
        Kind::Sentinel => "-sentinel",
    };
    // The cause is left out: it may quote the URL.
    let config = Config::from_url(&format!("redis{suffix}://{rest}")).map_err(|_| {
        wrong("the redis url cannot be read: is its port a number, are its user and password percent-encoded?")
    })?;
    Ok(Parsed { config, tls })
}

fn check_query(kind: Kind, query: &str) -> Result<(), StoreError> {
    let query = query.split('#').next().unwrap_or_default();
    let mut service = false;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let known = match kind {
            Kind::One => true,
            Kind::Cluster => name == NODE,
            Kind::Sentinel => SENTINEL.contains(&&*name),
        };
        if !known {
            return Err(wrong("the query of the redis url holds a name that is not known"));
        }
        let is_node = kind != Kind::One && name == NODE;
        if is_node
            && !value.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        {
            return Err(wrong("a node in the redis url is not a host and a port"));
        }
        service |= name == SERVICE && !value.is_empty();
    }
    if kind == Kind::Sentinel && !service {
        return Err(wrong("the redis url names no sentinelServiceName: that by which the sentinels know the primary"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::config::RedisConfig;

    #[test]
    fn a_bad_url_is_named_for_what_is_wrong_and_never_shown() {
        for (url, says) in [
            ("127.0.0.1:6379", "scheme"),
            ("http://u:hunter2@host", "scheme"),
            ("redis-ring://u:hunter2@host", "scheme"),
            ("redis://u:hunter2@", "host"),
            ("redis://u:hunter2@:6379", "host"),
            ("redis-cluster://u:hunter2@?node=a:1", "host"),
            ("redis://u:hunter2@host/zero", "database"),
            ("redis-cluster://u:hunter2@host/1", "cluster has none"),
            ("redis://u:hunter2@host:port", "port"),
            ("redis://u:hunter2%zz%ff@host", "percent"),
            ("redis-cluster://u:hunter2@host?node=hunter2", "node"),
            ("redis-cluster://u:hunter2@host?node=:7000", "node"),
            ("redis-cluster://u:hunter2@host?sentinelServiceName=a", "not known"),
            ("redis-sentinel://u:hunter2@host", "sentinelServiceName"),
            ("redis-sentinel://u:hunter2@host?sentinelServiceName=", "sentinelServiceName"),
            ("redis-sentinel://u:hunter2@host?sentinelservicename=hunter2", "not known"),
        ] {
            let error = RedisConfig::new(url).parse().err().unwrap_or_else(|| panic!("{url} is taken"));
            let text = format!("{error} {error:?}");
            assert!(text.contains(says), "{url}: {text}");
            assert!(!text.contains("hunter2"), "{url}: {text}");
        }
        for url in [
            "redis://host",
            "redis://:p%40ss@host:1/3",
            "redis://u:p@[::1]:7",
            "valkey://host/",
            "redis-cluster://host",
            "redis-cluster://u:p@host:7000/0?node=other:7001&node=third:7002",
            "valkey-cluster://host?node=10.0.0.1:7001",
            "redis-sentinel://u:p@host/3?sentinelServiceName=main&node=other:26379&sentinelPassword=p%40",
        ] {
            assert!(RedisConfig::new(url).parse().is_ok(), "{url}: {:?}", RedisConfig::new(url).parse());
        }
        assert!(RedisConfig::new("redis://host").prefix("a{b").parse().is_err());
        assert!(!format!("{:?}", RedisConfig::new("redis://u:hunter2@host")).contains("hunter2"));
    }
}
