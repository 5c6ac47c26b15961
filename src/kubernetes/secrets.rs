//! Credentials and signing keys from Secrets: read by `get` alone, and remembered for the time in which the API server is away.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cxone::{CredentialSource, Credentials, CredentialsMissing};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use secrecy::SecretString;
use tracing::warn;
use webhooks::SigningKey;

/// A close may wait for this answer: better the last known Secret than a long wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// The Secret of a tenant.
pub struct SecretSource {
    api: Api<Secret>,
    name: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The last that were read.
    credentials: Option<Credentials>,
    /// The Secret has been without them since: they are for comparison alone.
    lost: bool,
}

/// Nothing is known to be wrong with the Secret.
pub const AWAY: CredentialsMissing = CredentialsMissing("the API server did not give the Secret");

impl SecretSource {
    /// The Secret of this name.
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned(), known: Mutex::default() }
    }

    /// Reads the Secret and tells whether it holds something else than before.
    ///
    /// # Errors
    /// Where it is missing or incomplete.
    pub async fn refresh(&self) -> Result<bool, CredentialsMissing> {
        let before = self.lock().credentials.clone();
        let now = self.credentials().await?;
        Ok(before.is_some_and(|old| old != now))
    }

    fn remembered(&self) -> Option<Credentials> {
        let known = self.lock();
        known.credentials.clone().filter(|_| !known.lost)
    }

    fn remember(&self, read: &Result<Credentials, CredentialsMissing>) {
        let mut known = self.lock();
        known.lost = read.is_err();
        known.credentials = read.as_ref().ok().cloned().or_else(|| known.credentials.take());
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CredentialSource for SecretSource {
    async fn credentials(&self) -> Result<Credentials, CredentialsMissing> {
        match ask(&self.api, &self.name).await {
            Asked::Found(secret) => {
                let read = from_secret(&secret);
                self.remember(&read);
                read
            }
            Asked::Missing => {
                let read = Err(CredentialsMissing("the Secret does not exist"));
                self.remember(&read);
                read
            }
            Asked::Forbidden => {
                self.remembered().ok_or(CredentialsMissing("the operator may not read the Secret"))
            }
            Asked::Away => {
                warn!(
                    secret = self.name,
                    "the Secret can't be read now; the last known credentials are used"
                );
                self.remembered().ok_or(AWAY)
            }
        }
    }
}

/// What came of asking for a Secret.
enum Asked {
    Found(Box<Secret>),
    Missing,
    Forbidden,
    /// No answer, or none that tells.
    Away,
}

async fn ask(api: &Api<Secret>, name: &str) -> Asked {
    match tokio::time::timeout(PATIENCE, api.get_opt(name)).await {
        Ok(Ok(Some(secret))) => Asked::Found(Box::new(secret)),
        Ok(Ok(None)) => Asked::Missing,
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => Asked::Forbidden,
        Ok(Err(_)) | Err(_) => Asked::Away,
    }
}

/// The text under a key, without blanks around it.
fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = &secret.data.as_ref()?.get(key)?.0;
    std::str::from_utf8(bytes).ok().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn from_secret(secret: &Secret) -> Result<Credentials, CredentialsMissing> {
    let text = |key| text(secret, key);
    Ok(Credentials {
        client_id: text("clientId").ok_or(CredentialsMissing("the Secret lacks the key clientId"))?,
        client_secret: SecretString::from(
            text("clientSecret").ok_or(CredentialsMissing("the Secret lacks the key clientSecret"))?,
        ),
    })
}

/// Why there is no signing key; names the Secret, never what is in it.
#[derive(Debug, thiserror::Error)]
#[error("the signing secret {secret}: {why}")]
pub struct NoKey {
    secret: String,
    why: String,
}

/// The signing key of a sink.
pub struct SigningSource {
    api: Api<Secret>,
    name: String,
    key: String,
    known: Mutex<Option<SigningKey>>,
}

impl SigningSource {
    /// The key of this name in the Secret of this name.
    pub fn new(client: Client, namespace: &str, name: &str, key: &str) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, name: name.to_owned(), key: key.to_owned(), known: Mutex::new(None) }
    }

    /// Reads the key; the last known one where the API server does not answer.
    ///
    /// # Errors
    /// Where it is missing or no signing key.
    pub async fn key(&self) -> Result<SigningKey, NoKey> {
        let found = match ask(&self.api, &self.name).await {
            Asked::Found(secret) => self.read(&secret),
            Asked::Missing => Err("it does not exist".to_owned()),
            Asked::Forbidden => return self.remembered("the operator may not read it"),
            Asked::Away => return self.remembered("the API server did not give it"),
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = found.as_ref().ok().cloned();
        found.map_err(|why| self.none(why))
    }

    fn read(&self, secret: &Secret) -> Result<SigningKey, String> {
        let text = text(secret, &self.key).ok_or_else(|| format!("it lacks the key {}", self.key))?;
        SigningKey::parse(&text).map_err(|error| format!("the key {}: {error}", self.key))
    }

    fn remembered(&self, why: &str) -> Result<SigningKey, NoKey> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.ok_or_else(|| self.none(why.to_owned()))
    }

    fn none(&self, why: String) -> NoKey {
        NoKey { secret: self.name.clone(), why }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;
    use secrecy::ExposeSecret;

    use super::*;

    fn secret(id: &[u8], secret: &[u8]) -> Secret {
        let data = [("clientId", id), ("clientSecret", secret)];
        let data = data.map(|(key, bytes)| (key.to_owned(), ByteString(bytes.to_vec())));
        Secret { data: Some(BTreeMap::from(data)), ..Secret::default() }
    }

    #[test]
    fn credentials_of_strange_bytes_are_none_and_never_repeated() {
        for (bytes, key) in [
            (secret(b"id", b""), "clientSecret"),
            (secret(b"id", b" \n"), "clientSecret"),
            (secret(b"id", b"hunter2\xff\xfe"), "clientSecret"),
            (secret(b"hunter2\xc3", b"secret"), "clientId"),
        ] {
            let missing = from_secret(&bytes).unwrap_err();
            let told = format!("{missing} {missing:?}");
            assert!(told.contains(key) && !told.contains("hunter2"), "{told}");
        }
        let kept = from_secret(&secret(b"id\n", b" a\r\nhost: b\0 \n")).unwrap();
        assert_eq!((kept.client_id.as_str(), kept.client_secret.expose_secret()), ("id", "a\r\nhost: b\0"));
        assert!(!format!("{kept:?}").contains("host"));
    }
}
