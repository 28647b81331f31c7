//! Certificate authorities that live as long as a test, and servers with certificates that they issued.

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
    /// Makes an authority with a new key.
    ///
    /// # Panics
    /// The key cannot be made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Required by VERIFY_X509_STRICT, which is on by default since Python 3.13.
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Its certificate as PEM, for those who trust it.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// The configuration of a server with a certificate for this name or address.
    ///
    /// # Panics
    /// No certificate can be issued for that name.
    #[must_use]
    pub fn server(&self, name: &str) -> Arc<ServerConfig> {
        self.server_with(name, |_| {})
    }

    /// Like [`Authority::server`], with changed certificate parameters.
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

    /// The configuration of a client that trusts this authority and no other.
    ///
    /// # Panics
    /// Its certificate is not accepted as an authority's.
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

    /// A certificate for this name or address, for servers and clients, with changed parameters.
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

    /// A certificate for this name and this key.
    ///
    /// # Panics
    /// As for [`Authority::server`].
    #[must_use]
    pub fn identity_of(&self, name: &str, key: &KeyPair) -> Identity {
        Identity {
            certificate: self.certify(name, key, |_| {}).pem(),
            key: key.serialize_pem(),
        }
    }

    fn issue(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        (self.certify(name, &key, change), key)
    }

    fn certify(
        &self,
        name: &str,
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Certificate {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        // Required by VERIFY_X509_STRICT, as for the authority.
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        params.signed_by(key, &self.0).expect("a certificate")
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
/// rustls rejects the configuration.
pub fn accepted(config: &Arc<ServerConfig>) -> io::Result<ServerConnection> {
    ServerConnection::new(config.clone()).map_err(io::Error::other)
}

/// The configuration of a server with a self-signed certificate.
///
/// # Panics
/// The certificate cannot be made.
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
