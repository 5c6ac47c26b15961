//! The webhook sinks of a tenant: a client for each that is on the operator's list.

use std::sync::Arc;
use std::time::Duration;

use cxone::{AllowList, Endpoint};
use jiff::SignedDuration;
use kube::Client;
use outbound::{ClientError, Manner};
use rules::campaign::SinkStanding;
use rules::kinds::{CXoneTenantSpec, Sink, WebhookSink};
use tokio::sync::Semaphore;
use url::Url;
use webhooks::Message;

use crate::clock;
use crate::kubernetes::{NoKey, SigningSource};

/// Tries at one sink that are under way at a time: a freeze of a thousand campaigns should not storm it.
const MOST_TRIES: usize = 16;

/// What all sinks have in common.
pub struct SinkRules {
    /// Where notifications may go.
    pub allowed: AllowList,
    /// The only proxy that is used.
    pub proxy: Option<Url>,
}

/// The sinks that a tenant names.
#[derive(Default)]
pub struct TenantSinks {
    workforce: Option<Slot>,
    agent_pool: Option<Slot>,
}

enum Slot {
    Allowed(Arc<SinkClient>),
    Refused(String),
}

/// A sink that may be told.
pub struct SinkClient {
    /// Where it could not be built every try says so.
    client: Result<webhooks::Client, ClientError>,
    key: Option<SigningSource>,
    give_up_after: SignedDuration,
    turns: Semaphore,
}

/// Why a try was none.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    #[error(transparent)]
    NoClient(#[from] ClientError),
    #[error(transparent)]
    NoKey(#[from] NoKey),
    #[error(transparent)]
    Failed(#[from] webhooks::Failure),
}

impl Undelivered {
    /// How long the receiver asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failed(failure) => failure.retry_after(),
            Self::NoClient(_) | Self::NoKey(_) => None,
        }
    }
}

impl SinkClient {
    /// Tries once to deliver a message; never unsigned where it is to be signed.
    pub async fn deliver(&self, message: &Message) -> Result<(), Undelivered> {
        let _turn = self.turns.acquire().await;
        let client = self.client.as_ref().map_err(|error| *error)?;
        let key = match &self.key {
            Some(source) => Some(source.key().await?),
            None => None,
        };
        Ok(client.deliver(message, clock::now().wall, key.as_ref()).await?)
    }
}

impl TenantSinks {
    /// The sinks of this tenant.
    pub fn new(kube: &Client, namespace: &str, spec: &CXoneTenantSpec, rules: &SinkRules) -> Self {
        let slot = |sink| spec.sink(sink).map(|named| build(kube, namespace, sink, named, rules));
        Self { workforce: slot(Sink::Workforce), agent_pool: slot(Sink::AgentPool) }
    }

    /// What the tenant says of a sink.
    pub fn standing(&self, sink: Sink) -> SinkStanding {
        match self.slot(sink) {
            None => SinkStanding::Absent,
            Some(Slot::Refused(_)) => SinkStanding::NotAllowed,
            Some(Slot::Allowed(client)) => SinkStanding::InForce { give_up_after: client.give_up_after },
        }
    }

    /// The client of a sink that may be told.
    pub fn client(&self, sink: Sink) -> Option<&Arc<SinkClient>> {
        match self.slot(sink)? {
            Slot::Allowed(client) => Some(client),
            Slot::Refused(_) => None,
        }
    }

    /// Why sinks get nothing; `None` where the tenant names none.
    pub fn refusals(&self) -> Option<Vec<String>> {
        let named: Vec<&Slot> = Sink::ALL.into_iter().filter_map(|sink| self.slot(sink)).collect();
        let why = |slot: &&Slot| match slot {
            Slot::Refused(why) => Some(why.clone()),
            Slot::Allowed(_) => None,
        };
        (!named.is_empty()).then(|| named.iter().filter_map(why).collect())
    }

    /// Which signing keys are missing, and why; `None` where no sink that may be told is signed for.
    pub async fn missing_keys(&self) -> Option<Vec<String>> {
        let clients = Sink::ALL.into_iter().filter_map(|sink| Some((sink, self.client(sink)?)));
        let signed: Vec<_> = clients.filter_map(|(sink, c)| Some((sink, c.key.as_ref()?))).collect();
        if signed.is_empty() {
            return None;
        }
        let mut missing = Vec::new();
        for (sink, source) in signed {
            if let Err(error) = source.key().await {
                missing.push(format!("{}: {error}; its notifications wait", sink.field()));
            }
        }
        Some(missing)
    }

    fn slot(&self, sink: Sink) -> Option<&Slot> {
        match sink {
            Sink::Workforce => self.workforce.as_ref(),
            Sink::AgentPool => self.agent_pool.as_ref(),
        }
    }
}

fn build(kube: &Client, namespace: &str, sink: Sink, named: &WebhookSink, rules: &SinkRules) -> Slot {
    let endpoint = match Endpoint::parse(&named.url) {
        Ok(endpoint) => endpoint,
        Err(error) => return Slot::Refused(format!("{}.url can't be used: {error}", sink.field())),
    };
    if !rules.allowed.permits(&endpoint) {
        let (host, scheme) = (endpoint.authority(), if endpoint.is_plaintext() { "http://" } else { "" });
        return Slot::Refused(format!(
            "{}: {host} is not on the operator's list and gets nothing: start the operator with --allow-sink {scheme}{host}",
            sink.field()
        ));
    }
    let timeout = Duration::from_secs(u64::try_from(named.timeout_seconds).unwrap_or(5));
    let manner = Manner { timeout, proxy: rules.proxy.clone() };
    let signed = named.signing_secret_ref.as_ref();
    Slot::Allowed(Arc::new(SinkClient {
        client: webhooks::Client::new(endpoint, &manner),
        key: signed.map(|by| SigningSource::new(kube.clone(), namespace, &by.name, &by.key)),
        give_up_after: named.give_up_after(),
        turns: Semaphore::new(MOST_TRIES),
    }))
}
