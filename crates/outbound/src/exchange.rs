//! One HTTP exchange, bounded in time and size.

use std::io::{self, ErrorKind};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, redirect, retry};

use url::Url;

use crate::{Endpoint, retry_after};

const USER_AGENT: &str = concat!("dialer-operator/", env!("CARGO_PKG_VERSION"));

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Below the idle timeout of common load balancers (60 s), so that a request rarely meets a connection that the
/// other side is just closing.
const IDLE: Duration = Duration::from_secs(50);

/// A body that nobody needs is read so that the connection can be used again; it is not worth more than this.
const DRAIN: Duration = Duration::from_millis(250);
const DRAIN_BYTES: usize = 64 * 1024;

/// How requests to one endpoint are made.
#[derive(Clone)]
pub struct Manner {
    /// For a whole exchange, the body included; connecting has 5 s or four fifths of this, whichever is less.
    pub timeout: Duration,
    /// The only proxy that is used: the environment is not asked.
    pub proxy: Option<Url>,
}

/// A client cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The proxy's address is not usable.
    #[error("the proxy is not usable")]
    Proxy,
    /// No trust anchors, or another fault of the TLS setup.
    #[error("TLS could not be set up: are CA certificates installed?")]
    Tls,
}

/// The part of an answer that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// How long the other side asks to be left alone, at most [`retry_after::CAP`].
    pub retry_after: Option<Duration>,
}

impl Head {
    /// Whether it is one of 200 to 299.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// There is no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The request surely did not get out.
    NotDelivered(&'static str),
    /// It may have.
    BrokenOff(&'static str),
    /// The answer is larger than any sensible one.
    TooLarge,
}

/// What becomes of the body of a success.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// It is needed, and no larger than this many bytes.
    UpTo(usize),
    /// The status says it all.
    Ignored,
}

/// A whole answer: for a failure, the body holds what could be had of it.
pub struct Answer {
    /// Status and `Retry-After`.
    pub head: Head,
    /// What was read of the body.
    pub body: Vec<u8>,
    /// The other side's clock, where it tells.
    pub date: Option<Timestamp>,
    /// When the head came, by our clock.
    pub received: Timestamp,
}

/// A client for one endpoint: connections are shared by its calls and by nobody else's. Redirects are not followed.
///
/// # Errors
/// Where the proxy is not usable or TLS can't be set up.
pub fn client(endpoint: &Endpoint, manner: &Manner) -> Result<reqwest::Client, ClientError> {
    let plaintext = endpoint.is_plaintext();
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .timeout(manner.timeout)
        // The timeout of the whole call must not be first: then nobody could tell that nothing was delivered.
        .connect_timeout(CONNECT.min(manner.timeout * 4 / 5))
        .pool_idle_timeout(IDLE)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .https_only(!plaintext)
        .no_proxy();
    if let Some(proxy) = &manner.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy.clone()).map_err(|_| ClientError::Proxy)?);
    } else if plaintext {
        // A stand-in on loopback must be reachable from an image without CA certificates.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|_| ClientError::Tls)
}

/// Sends and reads.
///
/// # Errors
/// [`Failure`], where there is no whole answer.
pub async fn exchange(request: RequestBuilder, body: Body) -> Result<Answer, Failure> {
    let mut response = request.send().await.map_err(|error| failure(&error))?;
    let received = Timestamp::now();
    let date = date(response.headers());
    let retry_after = wait(response.headers(), date.unwrap_or(received));
    let head = Head { status: response.status().as_u16(), retry_after };
    let body = match body {
        Body::UpTo(limit) if head.is_success() => read(&mut response, limit).await?,
        Body::UpTo(_) | Body::Ignored => drain(&mut response).await,
    };
    Ok(Answer { head, body, date, received })
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = headers.get(DATE)?.to_str().ok()?;
    Timestamp::try_from(httpdate::parse_http_date(date).ok()?).ok()
}

fn wait(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    retry_after::parse(headers.get(RETRY_AFTER)?.to_str().ok()?, now.into())
}

async fn read(response: &mut Response, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

async fn drain(response: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    let drained = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            if body.len() + chunk.len() > DRAIN_BYTES {
                break;
            }
            body.extend_from_slice(&chunk);
        }
    };
    // Whether it came to its end or not: what decides is known already.
    let _ = tokio::time::timeout(DRAIN, drained).await;
    body
}

fn failure(error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        return Failure::NotDelivered("the request could not be built");
    }
    if error.is_connect() {
        return Failure::NotDelivered(why_not_connected(error));
    }
    if error.is_timeout() {
        return Failure::BrokenOff("no whole answer in time");
    }
    match error.is_body() || error.is_decode() {
        true => Failure::BrokenOff("the answer was cut short"),
        false => Failure::BrokenOff("the connection was lost"),
    }
}

fn why_not_connected(error: &reqwest::Error) -> &'static str {
    if error.is_dns() {
        return "name resolution failed";
    }
    if error.is_timeout() {
        return "no connection in time";
    }
    let error: &(dyn std::error::Error + 'static) = error;
    let io =
        std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref());
    match io.map(innermost_kind) {
        Some(ErrorKind::ConnectionRefused) => "connection refused",
        // This is how rustls reports what it does not accept.
        Some(ErrorKind::InvalidData) => "TLS failed",
        _ => "no connection",
    }
}

/// An `io::Error` that wraps another hides it from `source`.
fn innermost_kind(error: &io::Error) -> ErrorKind {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    inner.map_or_else(|| error.kind(), innermost_kind)
}
