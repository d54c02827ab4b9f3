//! A certificate authority of a test's own, its files gone when dropped.

use crate::redis_server::{Port, RedisServer};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, SanType};
use std::{net::Ipv4Addr, path::PathBuf};

pub(crate) struct TestCa {
    /// What trusts it.
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
    dir: PathBuf,
}

impl TestCa {
    /// With `ca.pem`, and `server.pem` and `server.key` for 127.0.0.1, in its directory.
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let dir = std::env::temp_dir().join(format!("tower-resume-ca-{:016x}", fastrand::u64(..)));
        std::fs::create_dir_all(&dir).expect("a directory for certificates");
        let ca = Self { pem, issuer: Issuer::new(params, key), dir };
        let (cert, key) = ca.issue();
        for (name, text) in [("ca.pem", &ca.pem), ("server.pem", &cert), ("server.key", &key)] {
            std::fs::write(ca.dir.join(name), text).expect("a file");
        }
        ca
    }

    /// A certificate for 127.0.0.1 and its key, in PEM.
    pub(crate) fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        // Not that of the authority, or it would seem to be its own.
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "127.0.0.1");
        params.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into())];
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        (cert.pem(), key.serialize_pem())
    }

    /// A server with TLS on a port of its own, and the URL to it. `clients`: whether it asks for a certificate. `None` where
    /// there is none, or with a printed line one that is built without TLS.
    pub(crate) async fn serve(&self, clients: &str) -> Option<(RedisServer, String)> {
        let kept = Port::free();
        let port = kept.number.to_string();
        let (cert, key, roots) = (self.path("server.pem"), self.path("server.key"), self.path("ca.pem"));
        let mut args = vec!["--tls-port", &port, "--tls-cert-file", &cert, "--tls-key-file", &key];
        args.extend(["--tls-ca-cert-file", &roots, "--tls-auth-clients", clients]);
        if !RedisServer::can_start_with(&args).await {
            return None;
        }
        let mut server = RedisServer::start_with(&args).await?;
        server.keep(kept);
        Some((server, format!("rediss://127.0.0.1:{port}")))
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().expect("a path").to_owned()
    }
}

impl Drop for TestCa {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
