//! A certificate of the name `localhost`, and configurations of rustls that use it.

// A test file uses some of them.
#![allow(dead_code)]

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// A certificate and its key.
pub struct Certificate(rcgen::CertifiedKey<rcgen::KeyPair>);

impl Certificate {
    pub fn new() -> Self {
        Self(rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap())
    }

    pub fn der(&self) -> &CertificateDer<'static> {
        self.0.cert.der()
    }

    pub fn key(&self) -> Vec<u8> {
        self.0.signing_key.serialize_der()
    }

    /// Writes both into a folder, as PEM and as DER.
    pub fn write(&self, folder: &Path) {
        std::fs::write(folder.join("certificate.pem"), self.0.cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), self.0.signing_key.serialize_pem()).unwrap();
        std::fs::write(folder.join("certificate.der"), self.der()).unwrap();
        std::fs::write(folder.join("key.der"), self.key()).unwrap();
    }

    pub fn server(&self) -> rustls::ServerConfig {
        let server =
            rustls::ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let key = PrivatePkcs8KeyDer::from(self.key()).into();
        server.with_no_client_auth().with_single_cert(vec![self.der().clone()], key).unwrap()
    }

    pub fn client(&self) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.der().clone()).unwrap();
        let client =
            rustls::ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        client.with_root_certificates(roots).with_no_client_auth()
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
