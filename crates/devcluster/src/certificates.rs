use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// What a cluster proves itself with, all in PEM. Made anew for each cluster, so none is worth stealing.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// The authority that clients trust.
    pub ca: String,
    /// The API server's certificate and key.
    pub serving: String,
    pub serving_key: String,
    /// What tokens of service accounts are signed and verified with.
    pub account_key: String,
    pub account_public_key: String,
}

impl Certificates {
    pub(crate) fn generate() -> Result<Self> {
        Self::try_generate().context("can't generate the cluster's keys and certificates")
    }

    fn try_generate() -> Result<Self, rcgen::Error> {
        let ca_key = KeyPair::generate()?;
        let ca_params = ca_params()?;
        let ca = ca_params.self_signed(&ca_key)?;
        let serving_key = KeyPair::generate()?;
        let serving = serving_params()?.signed_by(&serving_key, &Issuer::from_params(&ca_params, &ca_key))?;
        let account_key = KeyPair::generate()?;
        Ok(Self {
            ca: ca.pem(),
            serving: serving.pem(),
            serving_key: serving_key.serialize_pem(),
            account_key: account_key.serialize_pem(),
            account_public_key: account_key.public_key_pem(),
        })
    }
}

fn ca_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new([])?;
    params.distinguished_name.push(DnType::CommonName, "devcluster CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn serving_params() -> Result<CertificateParams, rcgen::Error> {
    let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"];
    let mut params = CertificateParams::new(names.map(String::from))?;
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
