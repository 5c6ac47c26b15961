//! The client of one tenant.

mod login;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use outbound::{Answer, Body};
use reqwest::RequestBuilder;
use reqwest::header::AUTHORIZATION;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

#[cfg(feature = "fuzzing")]
pub(crate) use login::bearer;

use self::login::{Account, Logins};
use crate::answer::{Attempt, Next, Route, classify};
use crate::budget::Budget;
use crate::token::Tokens;
use crate::wire::{self, Change, Pages};
use crate::{
    CampaignStatus, ClientConfig, ClientError, CredentialSource, Dialer, Endpoint, Lane, NotNow, Reading,
    Transition, Trouble, Volume, Why,
};

/// Changes of the close lane that are under way at a time, for each tenant; those that hang do not count.
const MOST_CLOSES: usize = 16;

/// Reads that belong to closes and are under way at a time, for each tenant.
const MOST_LOOKS: usize = 64;

/// How long a close may wait until it is sent. Less than the caller's patience for one try, so that a try that was
/// never sent can't go out after it has been given up.
pub(crate) const MOST_QUEUED: Duration = Duration::from_secs(5);

/// A close that has no answer after this long gives its place to the next and goes on without it.
const HANGS_AFTER: Duration = Duration::from_secs(6);

const CROWDED: Trouble = Trouble::Unreachable("other closes of this tenant are under way");
const LATE: Trouble = Trouble::Unreachable("no accepted token in time");

/// Rows to a page of statistics.
const PAGE_SIZE: &str = "100";

/// The campaign API v2 of one tenant. Cheap to share behind an [`Arc`]; dropped calls are cancelled.
pub struct Client {
    endpoint: Endpoint,
    timeout: Duration,
    http: reqwest::Client,
    source: Arc<dyn CredentialSource>,
    tokens: Tokens,
    logins: Logins,
    budget: Budget,
    closes: Semaphore,
    looks: Semaphore,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.endpoint.to_string()).finish_non_exhaustive()
    }
}

/// The right to one reading in [`Lane::Close`], given back when dropped. See [`Client::turn_to_look`].
#[must_use = "the turn is over when this is dropped"]
#[derive(Debug)]
pub struct LookTurn<'a> {
    _permit: Option<SemaphorePermit<'a>>,
}

/// Whether the first request of a call was paid for by [`Client::admit`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Paid {
    Before,
    Afterwards,
}

/// One call, whoever it is made by.
struct Call<'a> {
    route: Route,
    lane: Lane,
    request: &'a (dyn Fn() -> RequestBuilder + Sync),
    send_before: Instant,
}

/// How an attempt at a call failed.
struct Failed {
    trouble: Trouble,
    paid: Paid,
    /// There was no token to be had.
    at_login: bool,
}

impl<'a> Call<'a> {
    fn new(route: Route, lane: Lane, request: &'a (dyn Fn() -> RequestBuilder + Sync)) -> Self {
        Self { route, lane, request, send_before: Instant::now() + MOST_QUEUED }
    }

    /// Stopping must not hang on a Secret, nor looking out for what has to be stopped. Where the tenant's own
    /// credentials are honoured but lack a right, looking on by others would only hide that.
    fn may_be_made_by_another(&self, failed: &Failed) -> bool {
        let can_start = self.lane == Lane::Open && self.route != Route::State;
        failed.trouble.is_about_credentials() && !can_start && (self.lane == Lane::Close || failed.at_login)
    }
}

impl Client {
    /// A client without a token; the first call fetches one.
    ///
    /// # Errors
    /// [`ClientError`] when the proxy is not usable or TLS cannot be set up.
    pub fn new(config: ClientConfig, source: Arc<dyn CredentialSource>) -> Result<Self, ClientError> {
        let http = outbound::client(&config.endpoint, &config.manner())?;
        let ClientConfig { endpoint, timeout, requests_per_second, burst, proxy: _ } = config;
        let budget = Budget::new(requests_per_second, burst, Instant::now());
        let (closes, looks) = (Semaphore::new(MOST_CLOSES), Semaphore::new(MOST_LOOKS));
        let (tokens, logins) = (Tokens::default(), Logins::default());
        Ok(Self { endpoint, timeout, http, source, tokens, logins, budget, closes, looks })
    }

    /// Pays for the first open-lane request of a pass, normally the reading of the state.
    ///
    /// # Errors
    /// [`NotNow`] with the instant to come back at; a slot is kept for this campaign until 60 s past it.
    pub fn admit(&self, campaign: &str) -> Result<(), NotNow> {
        self.budget.admit(campaign, Instant::now())
    }

    /// Waits for the turn to read in [`Lane::Close`]: 64 hold one at a time, first come, first served, and it waits
    /// behind nothing but other such turns. To be held until the reading is there or given up; a clock for the
    /// reading is started when the turn has come.
    pub async fn turn_to_look(&self) -> LookTurn<'_> {
        // It fails only when closed, and nobody closes it.
        LookTurn { _permit: self.looks.acquire().await.ok() }
    }

    /// Until when the platform has asked this tenant to be quiet, if it has.
    #[must_use]
    pub fn hold(&self) -> Option<Instant> {
        self.budget.hold(Instant::now())
    }

    /// Makes sure that a token can be had; asks the platform only when none is cached.
    ///
    /// # Errors
    /// [`Trouble`], as for any call in [`Lane::Open`].
    pub async fn check_token(&self) -> Result<(), Trouble> {
        self.own_token(Lane::Open).await.map(drop)
    }

    /// Drops the token: the next call fetches one with the credentials as they are then.
    pub fn credentials_changed(&self) {
        self.tokens.forget();
    }

    /// Calls as the tenant, or, where its credentials are of no use and that can start nothing, as who was honoured before.
    async fn call(&self, call: &Call<'_>, paid: Paid) -> Result<Answer, Trouble> {
        let (trouble, paid) = match self.attempt(call, paid, None).await {
            Ok(answer) => return Ok(answer),
            Err(failed) if call.may_be_made_by_another(&failed) => (failed.trouble, failed.paid),
            Err(failed) => return Err(failed.trouble),
        };
        for account in self.logins.others() {
            // The tenant's status tells of its credentials; looks would tell it again and again.
            if call.route == Route::Change {
                let endpoint = &self.endpoint;
                tracing::warn!(%endpoint, %trouble, "closing with credentials that were honoured before");
            }
            match self.attempt(call, paid, Some(&account)).await {
                Ok(answer) => return Ok(answer),
                Err(failed) if failed.trouble.may_have_been_applied() => return Err(failed.trouble),
                Err(_) => {}
            }
        }
        Err(trouble)
    }

    /// Calls with a token; once more, with a new one, when the first is not accepted.
    async fn attempt(
        &self,
        call: &Call<'_>,
        paid: Paid,
        account: Option<&Account>,
    ) -> Result<Answer, Failed> {
        let tokens = account.map_or(&self.tokens, |account| &account.tokens);
        for (attempt, paid) in [(Attempt::First, paid), (Attempt::Repeat, Paid::Afterwards)] {
            let token = match account {
                None => self.own_token(call.lane).await,
                Some(account) => self.token_of(account, call.lane).await,
            };
            let token = token.map_err(|trouble| Failed { trouble, paid, at_login: true })?;
            let failed = |trouble| Failed { trouble, paid: Paid::Afterwards, at_login: false };
            let turn = self.turn(call.route, call.lane, call.send_before).await.map_err(failed)?;
            if paid == Paid::Afterwards {
                self.budget.pay(Instant::now());
            }
            let request = (call.request)().header(AUTHORIZATION, token.bearer.clone());
            match until_it_hangs(turn, self.send(call.route, attempt, request)).await.map_err(failed)? {
                Some(answer) => {
                    self.logins.honour(call.route, &token.by);
                    return Ok(answer);
                }
                None => tokens.reject(&token),
            }
        }
        Err(Failed { trouble: Trouble::Unauthorized, paid: Paid::Afterwards, at_login: false })
    }

    /// The answer, if it is a success; none when a new token is needed.
    async fn send(
        &self,
        route: Route,
        attempt: Attempt,
        request: RequestBuilder,
    ) -> Result<Option<Answer>, Trouble> {
        let sent = Instant::now();
        let answer = outbound::exchange(request, body(route)).await;
        let verdict =
            classify(route, attempt, answer.as_ref().map(|answer| answer.head).map_err(|failure| *failure));
        tracing::debug!(?route, latency_ms = sent.elapsed().as_millis(), ?verdict, "call");
        if let Some(wait) = verdict.hold {
            self.budget.hold_for(wait, Instant::now());
        }
        match verdict.next {
            Next::Accept => Ok(answer.ok()),
            Next::RenewToken => Ok(None),
            Next::Fail(trouble) => Err(trouble),
        }
    }

    /// A close waits for other closes only, and not for long. Nobody else waits: an open call comes back when the
    /// hold is over, and a read that belongs to a close has its turn already.
    async fn turn(
        &self,
        route: Route,
        lane: Lane,
        send_before: Instant,
    ) -> Result<Option<SemaphorePermit<'_>>, Trouble> {
        match (lane, route) {
            (Lane::Open, _) => self.heed_hold(lane).map(|()| None),
            (Lane::Close, Route::Change) => match timeout_at(send_before, self.closes.acquire()).await {
                Err(_) => Err(CROWDED),
                // The place was free, but the token, or the refusal of the one before, took too long.
                Ok(_) if Instant::now() >= send_before => Err(LATE),
                Ok(permit) => Ok(permit.ok()),
            },
            (Lane::Close, _) => Ok(None),
        }
    }

    fn heed_hold(&self, lane: Lane) -> Result<(), Trouble> {
        match self.hold() {
            Some(until) if lane == Lane::Open => Err(NotNow { until, why: Why::Hold }.into()),
            _ => Ok(()),
        }
    }

    fn campaign_url(&self, campaign: &str, what: &str) -> Result<Url, Trouble> {
        // These would name another resource; no campaign is called so.
        if matches!(campaign, "" | "." | "..") {
            return Err(Trouble::NotFound);
        }
        Ok(self.endpoint.at(&["api", "v2", "campaigns", "outbound", campaign, what]))
    }
}

#[async_trait]
impl Dialer for Client {
    async fn observe(&self, campaign: &str, lane: Lane) -> Result<Reading<CampaignStatus>, Trouble> {
        let url = self.campaign_url(campaign, "state")?;
        let paid = match lane {
            Lane::Open => Paid::Before,
            Lane::Close => Paid::Afterwards,
        };
        let answer = self.call(&Call::new(Route::State, lane, &|| self.http.get(url.clone())), paid).await?;
        Ok(reading(&answer, wire::decode_state(&answer.body).map_err(Trouble::Unreadable)?))
    }

    async fn volume(&self, campaign: &str) -> Result<Reading<Volume>, Trouble> {
        let url = self.campaign_url(campaign, "stats")?;
        let mut pages = Pages::default();
        loop {
            let url = page_url(&url, pages.next());
            let request = || self.http.get(url.clone());
            let answer = self.call(&Call::new(Route::Stats, Lane::Open, &request), Paid::Afterwards).await?;
            if let Some(volume) = pages.add(&answer.body).map_err(Trouble::Unreadable)? {
                return Ok(reading(&answer, volume));
            }
        }
    }

    /// Any 2xx is taken as accepted, whatever its body: the proof is a reading.
    async fn request(
        &self,
        campaign: &str,
        transition: &Transition,
        lane: Lane,
    ) -> Result<Reading<()>, Trouble> {
        let url = self.campaign_url(campaign, "state")?;
        let change = Change::new(campaign, transition);
        let request = || self.http.put(url.clone()).json(&change);
        let answer = self.call(&Call::new(Route::Change, lane, &request), Paid::Afterwards).await?;
        Ok(reading(&answer, ()))
    }
}

/// The outcome of the exchange, which goes on without its turn when it hangs.
async fn until_it_hangs<T>(turn: Option<SemaphorePermit<'_>>, exchange: impl Future<Output = T>) -> T {
    let mut exchange = pin!(exchange);
    if let Ok(outcome) = timeout(HANGS_AFTER, &mut exchange).await {
        return outcome;
    }
    drop(turn);
    exchange.await
}

fn reading<T>(answer: &Answer, value: T) -> Reading<T> {
    Reading { value, date: answer.date, received: answer.received }
}

fn page_url(stats: &Url, token: Option<&str>) -> Url {
    let mut url = stats.clone();
    url.query_pairs_mut()
        .append_pair("pageSize", PAGE_SIZE)
        .extend_pairs(token.map(|token| ("pageToken", token)));
    url
}

const fn body(route: Route) -> Body {
    match route {
        Route::Token | Route::State => Body::UpTo(64 * 1024),
        Route::Stats => Body::UpTo(1024 * 1024),
        Route::Change => Body::Ignored,
    }
}
