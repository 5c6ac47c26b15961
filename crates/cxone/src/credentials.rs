//! Where client id and secret come from.

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

/// What the token route asks for. `Debug` shows `[REDACTED]` in place of the secret.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The OAuth client id.
    pub client_id: String,
    /// The OAuth client secret.
    pub client_secret: SecretString,
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        self.client_id == other.client_id
            && self.client_secret.expose_secret() == other.client_secret.expose_secret()
    }
}

/// There are no credentials to be had. The text is short, fixed, and says what is missing, never what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("credentials are missing: {0}")]
pub struct CredentialsMissing(pub &'static str);

/// Hands out credentials; asked at each token fetch, so that a rotated secret is picked up. Where it has none, or the
/// platform refuses them, a close goes on with those that were honoured before.
///
/// A close may have to wait for this answer when no token is left: a source that depends on another service should
/// fall back to what it last knew when that service is away. The client waits no longer than its own timeout.
#[async_trait]
pub trait CredentialSource: Send + Sync {
    /// The credentials as they are now.
    ///
    /// # Errors
    /// [`CredentialsMissing`] with a short fixed text.
    async fn credentials(&self) -> Result<Credentials, CredentialsMissing>;
}
