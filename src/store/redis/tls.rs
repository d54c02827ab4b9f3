//! TLS to Redis, by rustls.

use super::{super::StoreError, config::wrong};
use fred::{
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
    rustls_native_certs::load_native_certs,
    types::config::TlsConnector,
};
use std::sync::Arc;

type Pem = Arc<[u8]>;

/// Who is trusted, and what is shown.
#[derive(Clone, Default)]
pub(super) struct Tls {
    /// In PEM; `None`: those of the platform.
    pub(super) roots: Option<Pem>,
    /// A chain and its key, in PEM.
    pub(super) client: Option<(Pem, Pem)>,
}

impl Tls {
    pub(super) fn connector(&self) -> Result<TlsConnector, StoreError> {
        let mut roots = RootCertStore::empty();
        match &self.roots {
            Some(pem) => {
                for certificate in certificates(pem, "the root certificates for redis are not certificates in pem")? {
                    roots.add(certificate).map_err(|_| wrong("a root certificate for redis cannot be used"))?;
                }
            }
            None => {
                // One that cannot be read is no reason to trust none.
                roots.add_parsable_certificates(load_native_certs().certs);
                if roots.is_empty() {
                    return Err(wrong(
                        "the platform has no root certificates for tls to redis: give some by `root_certificates`",
                    ));
                }
            }
        }
        // Named, since an application may have brought several.
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| wrong("tls to redis cannot be set up"))?
            .with_root_certificates(roots);
        let Some((chain, key)) = &self.client else { return Ok(builder.with_no_client_auth().into()) };
        let chain = certificates(chain, "the client certificate for redis is not in pem")?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| wrong("the key of the client certificate for redis is not a private key in pem"))?;
        let config = builder
            .with_client_auth_cert(chain, key)
            .map_err(|_| wrong("the client certificate for redis and its key do not go together"))?;
        Ok(config.into())
    }
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    certificates.ok().filter(|certificates| !certificates.is_empty()).ok_or_else(|| wrong(what))
}

#[cfg(test)]
mod tests {
    use super::super::config::RedisConfig;

    #[test]
    fn bad_certificates_are_named_for_what_they_are() {
        let config = || RedisConfig::new("rediss://host");
        let own = rcgen::generate_simple_self_signed(["host".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["host".to_owned()]).unwrap();
        let (pem, key) = (own.cert.pem(), own.signing_key.serialize_pem());
        let with = || config().root_certificates(pem.as_bytes());
        assert!(with().parse().is_ok());
        assert!(with().client_certificate(pem.as_bytes(), key.as_bytes()).parse().is_ok());
        let other = other.signing_key.serialize_pem();
        for (config, says) in [
            (config().root_certificates(b"nonsense"), "root certificates"),
            (config().root_certificates(key.as_bytes()), "root certificates"),
            (with().client_certificate(b"nonsense", key.as_bytes()), "client certificate"),
            (with().client_certificate(pem.as_bytes(), pem.as_bytes()), "private key"),
            (with().client_certificate(pem.as_bytes(), other.as_bytes()), "go together"),
        ] {
            let error = config.parse().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(RedisConfig::new("redis://host").root_certificates(b"nonsense").parse().is_ok(), "not asked for");
    }
}
