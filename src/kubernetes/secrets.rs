//! Credentials from a Secret: read by `get` alone, and remembered for the time in which the API server is away.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cxone::{CredentialSource, Credentials, CredentialsMissing};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use secrecy::{ExposeSecret, SecretString};
use tracing::warn;

/// A close may wait for this answer: better the last known Secret than a long wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// The Secret of a tenant.
pub struct SecretSource {
    api: Api<Secret>,
    name: String,
    known: Mutex<Option<Credentials>>,
}

impl SecretSource {
    /// The Secret of this name.
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned(), known: Mutex::new(None) }
    }

    /// Reads the Secret and tells whether it holds something else than before.
    ///
    /// # Errors
    /// Where it is missing or incomplete.
    pub async fn refresh(&self) -> Result<bool, CredentialsMissing> {
        let before = self.remembered();
        let now = self.credentials().await?;
        Ok(before.is_some_and(|old| !same(&old, &now)))
    }

    fn remembered(&self) -> Option<Credentials> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, credentials: Option<Credentials>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = credentials;
    }
}

#[async_trait]
impl CredentialSource for SecretSource {
    async fn credentials(&self) -> Result<Credentials, CredentialsMissing> {
        let read = tokio::time::timeout(PATIENCE, self.api.get_opt(&self.name)).await;
        match read {
            Ok(Ok(Some(secret))) => {
                let credentials = from_secret(&secret);
                self.remember(credentials.as_ref().ok().cloned());
                credentials
            }
            Ok(Ok(None)) => {
                self.remember(None);
                Err(CredentialsMissing("the Secret does not exist"))
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                self.remembered().ok_or(CredentialsMissing("the operator may not read the Secret"))
            }
            Ok(Err(_)) | Err(_) => {
                warn!(
                    secret = self.name,
                    "the Secret can't be read now; the last known credentials are used"
                );
                self.remembered().ok_or(CredentialsMissing("the API server did not give the Secret"))
            }
        }
    }
}

fn from_secret(secret: &Secret) -> Result<Credentials, CredentialsMissing> {
    let text = |key: &str| {
        let bytes = &secret.data.as_ref()?.get(key)?.0;
        std::str::from_utf8(bytes).ok().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    Ok(Credentials {
        client_id: text("clientId").ok_or(CredentialsMissing("the Secret lacks the key clientId"))?,
        client_secret: SecretString::from(
            text("clientSecret").ok_or(CredentialsMissing("the Secret lacks the key clientSecret"))?,
        ),
    })
}

fn same(a: &Credentials, b: &Credentials) -> bool {
    a.client_id == b.client_id && a.client_secret.expose_secret() == b.client_secret.expose_secret()
}
