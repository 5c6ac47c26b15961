//! One try of one delivery.

use std::time::Duration;

use jiff::Timestamp;
use outbound::{Body, ClientError, Endpoint, Manner};
use reqwest::header::CONTENT_TYPE;

use crate::SigningKey;

/// What is delivered. The same over all tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Tells a receiver that it has had this one before. Visible ASCII without dots.
    pub id: String,
    /// JSON.
    pub body: Vec<u8>,
}

/// Why a try was none. None is final: what helps against each is another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// An answer that is not a success. Redirects are not followed.
    #[error("it answered with status {status}")]
    Answered {
        /// The HTTP status.
        status: u16,
        /// How long it asks to be left alone, at most 300 s.
        retry_after: Option<Duration>,
    },
    /// It surely did not arrive.
    #[error("it can't be reached: {0}")]
    NotDelivered(&'static str),
    /// It may have arrived.
    #[error("it did not answer: {0}")]
    BrokenOff(&'static str),
}

impl Failure {
    /// How long the receiver asks to be left alone.
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Answered { retry_after, .. } => retry_after,
            Self::NotDelivered(_) | Self::BrokenOff(_) => None,
        }
    }
}

/// The client of one receiver.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    http: reqwest::Client,
}

impl Client {
    /// A client for this URL. The caller has checked that requests may go there ([`outbound::AllowList`]).
    ///
    /// # Errors
    /// Where the proxy is not usable or TLS can't be set up.
    pub fn new(endpoint: Endpoint, manner: &Manner) -> Result<Self, ClientError> {
        Ok(Self { http: outbound::client(&endpoint, manner)?, endpoint })
    }

    /// Tries once to deliver a message, signed where there is a key. Any 2xx is a success; the rest of the answer is read to at
    /// most 64 KiB and thrown away.
    ///
    /// # Errors
    /// [`Failure`], where there is no success.
    pub async fn deliver(
        &self,
        message: &Message,
        now: Timestamp,
        key: Option<&SigningKey>,
    ) -> Result<(), Failure> {
        let mut request = self
            .http
            .post(self.endpoint.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", now.as_second())
            .body(message.body.clone());
        if let Some(key) = key {
            request = request.header("webhook-signature", key.sign(&message.id, now, &message.body));
        }
        let head = outbound::exchange(request, Body::Ignored).await.map_err(failure)?.head;
        if head.is_success() {
            return Ok(());
        }
        Err(Failure::Answered { status: head.status, retry_after: head.retry_after })
    }
}

fn failure(failure: outbound::Failure) -> Failure {
    match failure {
        outbound::Failure::NotDelivered(how) => Failure::NotDelivered(how),
        outbound::Failure::BrokenOff(how) => Failure::BrokenOff(how),
        outbound::Failure::TooLarge => Failure::BrokenOff("the answer is too large"),
    }
}
