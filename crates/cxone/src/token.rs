//! The access token: cached, renewed early, fetched once for all who wait.
//!
//! Each lane has a flight of its own: a close shares a fetch only with other closes, since the fetch of an open call
//! may be the one that hangs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, timeout};

use crate::client::MOST_QUEUED;
use crate::{Credentials, Lane, Trouble};

/// How long before its expiry a token is renewed, but at most half its lifetime.
const EARLY: Duration = Duration::from_secs(60);

/// After a failed fetch the open lane answers with that failure for this long, so that a thousand objects that find
/// no token do not each ask for one.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

const SLOW: Trouble = Trouble::Unreachable("the token route is slow");

/// A token as it came from the platform.
pub(crate) struct Fetched {
    /// `Bearer ...`, marked sensitive.
    pub bearer: HeaderValue,
    /// When it was asked for: its lifetime counts from here.
    pub asked: Instant,
    pub lifetime: Duration,
    /// What it was given for.
    pub by: Arc<Credentials>,
}

/// A token in use.
#[derive(Debug)]
pub(crate) struct Token {
    pub bearer: HeaderValue,
    pub by: Arc<Credentials>,
    serial: u64,
    renew_at: Instant,
    expires_at: Instant,
}

impl Token {
    /// A close takes any token that lives; an open call renews early.
    fn satisfies(&self, lane: Lane) -> bool {
        lane == Lane::Close || Instant::now() < self.renew_at
    }

    fn is_expired(&self) -> bool {
        Instant::now() >= self.expires_at
    }
}

/// Locked by the one caller who fetches; holds how the last fetch failed, if it did.
type Flight = AsyncMutex<Option<Failed>>;

#[derive(Default)]
pub(crate) struct Tokens {
    cache: Mutex<Cache>,
    open: Flight,
    close: Flight,
}

#[derive(Default)]
struct Cache {
    token: Option<Arc<Token>>,
    /// Tokens seen so far.
    serial: u64,
    /// Changes of the credentials seen so far: what was fetched with older ones is not kept.
    epoch: u64,
}

/// How a fetch failed.
#[derive(Clone, Copy)]
struct Failed {
    at: Instant,
    epoch: u64,
    trouble: Trouble,
}

impl Tokens {
    /// A usable token. `fetch` is run at most once, and only by the one caller of his lane who finds no other way.
    pub(crate) async fn get(
        &self,
        lane: Lane,
        fetch: impl Future<Output = Result<Fetched, Trouble>> + Send,
    ) -> Result<Arc<Token>, Trouble> {
        match self.unexpired() {
            Some(token) if token.satisfies(lane) => Ok(token),
            Some(token) => self.renew(token, fetch).await,
            None => self.wait_or_fetch(lane, fetch).await,
        }
    }

    /// Drops this token, unless another has taken its place already.
    pub(crate) fn reject(&self, token: &Token) {
        let mut cache = self.cache();
        if cache.token.as_ref().is_some_and(|current| current.serial == token.serial) {
            cache.token = None;
        }
    }

    /// Drops the token and what is known of earlier failures; a fetch under way is not kept.
    pub(crate) fn forget(&self) {
        let mut cache = self.cache();
        cache.token = None;
        cache.epoch += 1;
    }

    /// Renews early. As long as the old token lives nobody waits for that but the one who does it, and its failure
    /// harms nobody.
    async fn renew(
        &self,
        old: Arc<Token>,
        fetch: impl Future<Output = Result<Fetched, Trouble>> + Send,
    ) -> Result<Arc<Token>, Trouble> {
        let Ok(mut flight) = self.open.try_lock() else { return Ok(old) };
        if self.shared_failure(&flight, Instant::now(), PAUSE_AFTER_FAILURE).is_some() {
            return Ok(old);
        }
        let fetched = self.fetch(&mut flight, fetch).await;
        fetched.or_else(|trouble| if old.is_expired() { Err(trouble) } else { Ok(old) })
    }

    async fn wait_or_fetch(
        &self,
        lane: Lane,
        fetch: impl Future<Output = Result<Fetched, Trouble>> + Send,
    ) -> Result<Arc<Token>, Trouble> {
        let came = Instant::now();
        let (mut flight, pause) = match lane {
            Lane::Open => (self.open.lock().await, PAUSE_AFTER_FAILURE),
            // Only waiting is bounded, not the fetch: else a token route that is always slow would never give one.
            Lane::Close => match timeout(MOST_QUEUED, self.close.lock()).await {
                Ok(flight) => (flight, Duration::ZERO),
                Err(_) => return Err(SLOW),
            },
        };
        if let Some(token) = self.unexpired().filter(|token| token.satisfies(lane)) {
            return Ok(token);
        }
        if let Some(trouble) = self.shared_failure(&flight, came, pause) {
            return Err(trouble);
        }
        self.fetch(&mut flight, fetch).await
    }

    /// Who came before a fetch ended (or, in the open lane, right after) shares its failure.
    fn shared_failure(&self, last: &Option<Failed>, came: Instant, pause: Duration) -> Option<Trouble> {
        let epoch = self.cache().epoch;
        last.filter(|failed| failed.epoch == epoch && came <= failed.at + pause).map(|failed| failed.trouble)
    }

    async fn fetch(
        &self,
        last: &mut Option<Failed>,
        fetch: impl Future<Output = Result<Fetched, Trouble>> + Send,
    ) -> Result<Arc<Token>, Trouble> {
        let epoch = self.cache().epoch;
        let fetched = fetch.await;
        *last = match fetched {
            // Not a failure of the platform, and over at a known instant.
            Ok(_) | Err(Trouble::NotNow(_)) => None,
            Err(trouble) => Some(Failed { at: Instant::now(), epoch, trouble }),
        };
        fetched.map(|fetched| self.keep(fetched, epoch))
    }

    fn keep(&self, fetched: Fetched, epoch: u64) -> Arc<Token> {
        let Fetched { bearer, asked, lifetime, by } = fetched;
        let mut cache = self.cache();
        cache.serial += 1;
        let expires_at = asked + lifetime;
        let renew_at = expires_at - EARLY.min(lifetime / 2);
        let token = Arc::new(Token { bearer, by, serial: cache.serial, renew_at, expires_at });
        if cache.epoch == epoch {
            cache.token = Some(Arc::clone(&token));
        }
        token
    }

    fn unexpired(&self) -> Option<Arc<Token>> {
        self.cache().token.clone().filter(|token| !token.is_expired())
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
