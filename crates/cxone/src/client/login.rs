//! How a token is had: which credentials the platform is asked with.

use std::sync::{Arc, PoisonError};

use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout};

use super::Client;
use crate::answer::{Attempt, Route};
use crate::token::{Fetched, Token};
use crate::{Credentials, CredentialsMissing, Lane, Trouble, wire};

impl Client {
    /// Takes over from a client that this one replaces what was accepted last, so that a change of the tenant can't
    /// keep a close from going through. Nothing is taken from a client of another endpoint.
    pub fn succeed(&self, former: &Self) {
        if self.endpoint == former.endpoint
            && let Some(credentials) = former.last_accepted()
        {
            self.accept(credentials);
        }
    }

    pub(super) async fn token(&self, lane: Lane) -> Result<Arc<Token>, Trouble> {
        self.tokens.get(lane, self.fetch_token(lane)).await
    }

    /// A close that finds no credentials, or none that are accepted, falls back to those that were accepted last.
    async fn fetch_token(&self, lane: Lane) -> Result<Fetched, Trouble> {
        // Asked twice: no use in reading credentials for nothing, and reading them takes its time.
        self.heed_hold(lane)?;
        let current = self.credentials().await;
        self.heed_hold(lane)?;
        let trouble = match &current {
            Ok(credentials) => match self.log_in(credentials).await {
                Ok(fetched) => {
                    self.accept(credentials.clone());
                    return Ok(fetched);
                }
                Err(trouble) => trouble,
            },
            Err(missing) => Trouble::from(*missing),
        };
        let former = self.last_accepted().filter(|former| current.as_ref().ok() != Some(former));
        match former {
            Some(former) if lane == Lane::Close && trouble.is_about_credentials() => {
                let endpoint = &self.endpoint;
                tracing::warn!(%endpoint, %trouble, "a close goes on with the credentials that were accepted last");
                let fetched = self.log_in(&former).await.map_err(|_| trouble)?;
                Ok(Fetched { for_closes_alone: true, ..fetched })
            }
            _ => Err(trouble),
        }
    }

    async fn log_in(&self, credentials: &Credentials) -> Result<Fetched, Trouble> {
        let Credentials { client_id, client_secret } = credentials;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", client_secret.expose_secret()),
        ];
        let request = self.http.post(self.endpoint.at(&["api", "v2", "oauth", "token"])).form(&form);
        let asked = Instant::now();
        self.budget.pay(asked);
        let answer = self.send(Route::Token, Attempt::First, request).await?;
        answer
            .and_then(|answer| fetched(&answer.body, asked))
            .ok_or(Trouble::Unreachable("the token route answered nonsense"))
    }

    fn last_accepted(&self) -> Option<Credentials> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn accept(&self, credentials: Credentials) {
        *self.accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials);
    }

    async fn credentials(&self) -> Result<Credentials, CredentialsMissing> {
        timeout(self.timeout, self.source.credentials())
            .await
            .unwrap_or(Err(CredentialsMissing("they could not be read in time")))
    }
}

pub(crate) fn fetched(body: &[u8], asked: Instant) -> Option<Fetched> {
    let (token, lifetime) = wire::decode_token(body)?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).ok().filter(|_| !token.is_empty())?;
    bearer.set_sensitive(true);
    Some(Fetched { bearer, asked, lifetime, for_closes_alone: false })
}
