//! Certificate authorities that live as long as a test, and servers with certificates of theirs.

use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection};

pub use rcgen::date_time_ymd as date;

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// One with a key of its own.
    ///
    /// # Panics
    /// The key cannot be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Python's VERIFY_X509_STRICT wants it, the default since 3.13.
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Its certificate, as a file for those who trust it.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server with a certificate for this name or address.
    ///
    /// # Panics
    /// There can be no such certificate.
    #[must_use]
    pub fn server(&self, name: &str) -> Arc<ServerConfig> {
        self.server_with(name, |_| {})
    }

    /// The same, with something changed.
    ///
    /// # Panics
    /// As for [`Authority::server`].
    #[must_use]
    pub fn server_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Arc<ServerConfig> {
        let (certificate, key) = self.issue(name, change);
        server(&certificate, &key)
    }

    /// A client that trusts it, and nobody else.
    ///
    /// # Panics
    /// Its certificate is no authority's.
    #[must_use]
    pub fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }

    /// A certificate for this name or address, with something changed, for servers and clients.
    ///
    /// # Panics
    /// As for [`Authority::server`].
    #[must_use]
    pub fn identity(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let (certificate, key) = self.issue(name, change);
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    fn issue(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (Certificate, KeyPair) {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        // As for the authority.
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate, key)
    }
}

/// A certificate and its key, both PEM.
#[derive(Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// The server's side of a connection.
///
/// # Errors
/// As rustls finds fault with the configuration.
pub fn accepted(config: &Arc<ServerConfig>) -> io::Result<ServerConnection> {
    ServerConnection::new(config.clone()).map_err(io::Error::other)
}

/// A server whose certificate is of its own making.
///
/// # Panics
/// There can be no such certificate.
#[must_use]
pub fn self_signed_server(name: &str) -> Arc<ServerConfig> {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new([name.to_owned()]).expect("a name");
    server(&params.self_signed(&key).expect("a certificate"), &key)
}

fn server(certificate: &Certificate, key: &KeyPair) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for them")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .expect("the key is the certificate's");
    Arc::new(config)
}
