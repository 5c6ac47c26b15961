//! How a token is had: which credentials the platform is asked with, and which it honoured before.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout};

use super::Client;
use crate::answer::{Attempt, Route};
use crate::token::{Fetched, Token, Tokens};
use crate::{Credentials, CredentialsMissing, Lane, Trouble, wire};

/// Credentials that the platform has honoured, and what it gave for them since.
pub(super) struct Account {
    credentials: Arc<Credentials>,
    pub tokens: Tokens,
}

/// The accounts that may still get a close through when the tenant's own credentials can't.
#[derive(Clone, Default)]
struct Honoured {
    /// Whose change was accepted last: it has every right that a close needs.
    change: Option<Arc<Account>>,
    /// Who was answered last.
    call: Option<Arc<Account>>,
}

#[derive(Default)]
pub(super) struct Logins {
    honoured: Mutex<Honoured>,
    /// What the last own login went with, if there was anything to go with.
    tried: Mutex<Option<Arc<Credentials>>>,
}

impl Logins {
    /// Notes that a call was answered as its caller wished.
    pub fn honour(&self, route: Route, credentials: &Arc<Credentials>) {
        let mut honoured = self.honoured.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = honoured.call.iter().chain(&honoured.change);
        let account = known.find(|account| account.credentials == *credentials).cloned();
        let account = account.unwrap_or_else(|| {
            Arc::new(Account { credentials: credentials.clone(), tokens: Tokens::default() })
        });
        if route == Route::Change {
            honoured.change = Some(account.clone());
        }
        honoured.call = Some(account);
    }

    /// Who was honoured, but for what was tried just now; the best first.
    pub fn others(&self) -> impl Iterator<Item = Arc<Account>> + use<> {
        let Honoured { change, call } = self.honoured();
        let tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let call =
            call.filter(|call| change.as_ref().is_none_or(|change| change.credentials != call.credentials));
        change.into_iter().chain(call).filter(move |account| Some(&account.credentials) != tried.as_ref())
    }

    fn honoured(&self) -> Honoured {
        self.honoured.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tries(&self, credentials: Option<Arc<Credentials>>) {
        *self.tried.lock().unwrap_or_else(PoisonError::into_inner) = credentials;
    }
}

impl Client {
    /// Takes over from a client that this one replaces which credentials were honoured, so that a change of the tenant
    /// can't keep a close from going through. Nothing is taken from a client of another endpoint.
    pub fn succeed(&self, former: &Self) {
        if self.endpoint == former.endpoint {
            *self.logins.honoured.lock().unwrap_or_else(PoisonError::into_inner) = former.logins.honoured();
        }
    }

    /// A token of the tenant's own credentials.
    pub(super) async fn own_token(&self, lane: Lane) -> Result<Arc<Token>, Trouble> {
        let fetch = async {
            // Asked twice: no use in reading credentials for nothing, and reading them takes its time.
            self.heed_hold(lane)?;
            let credentials = self.credentials().await.map(Arc::new);
            self.logins.tries(credentials.as_ref().ok().cloned());
            self.log_in(credentials?, lane).await
        };
        self.tokens.get(lane, fetch).await
    }

    /// A token of an account that was honoured before.
    pub(super) async fn token_of(&self, account: &Account, lane: Lane) -> Result<Arc<Token>, Trouble> {
        account.tokens.get(lane, self.log_in(account.credentials.clone(), lane)).await
    }

    async fn log_in(&self, credentials: Arc<Credentials>, lane: Lane) -> Result<Fetched, Trouble> {
        self.heed_hold(lane)?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &credentials.client_id),
            ("client_secret", credentials.client_secret.expose_secret()),
        ];
        let request = self.http.post(self.endpoint.at(&["api", "v2", "oauth", "token"])).form(&form);
        let asked = Instant::now();
        self.budget.pay(asked);
        let answer = self.send(Route::Token, Attempt::First, request).await?;
        let (bearer, lifetime) = answer
            .and_then(|answer| bearer(&answer.body))
            .ok_or(Trouble::Unreachable("the token route answered nonsense"))?;
        Ok(Fetched { bearer, asked, lifetime, by: credentials })
    }

    async fn credentials(&self) -> Result<Credentials, CredentialsMissing> {
        timeout(self.timeout, self.source.credentials())
            .await
            .unwrap_or(Err(CredentialsMissing("they could not be read in time")))
    }
}

/// The header that every other request carries, and how long it lives.
pub(crate) fn bearer(body: &[u8]) -> Option<(HeaderValue, std::time::Duration)> {
    let (token, lifetime) = wire::decode_token(body)?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).ok().filter(|_| !token.is_empty())?;
    bearer.set_sensitive(true);
    Some((bearer, lifetime))
}
