//! One HTTP exchange, bounded in time and size.

use std::io::{self, ErrorKind};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, redirect, retry};

use crate::answer::{Failure, Head};
use crate::{ClientConfig, ClientError, Reading, retry_after};

const USER_AGENT: &str = concat!("dialer-operator/", env!("CARGO_PKG_VERSION"));

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Below the idle timeout of common load balancers (60 s), so that a request rarely meets a connection that the
/// other side is just closing.
const IDLE: Duration = Duration::from_secs(50);

/// A body that nobody needs is read so that the connection can be used again; it is not worth more than this.
const DRAIN: Duration = Duration::from_millis(250);
const DRAIN_BYTES: usize = 64 * 1024;

/// What becomes of the body of a success.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    /// It is needed, and no larger than this many bytes.
    UpTo(usize),
    /// The status says it all.
    Ignored,
}

/// A whole answer: for a failure, the body holds what could be had of it.
pub(crate) struct Answer {
    pub head: Head,
    pub body: Vec<u8>,
    date: Option<Timestamp>,
    received: Timestamp,
}

impl Answer {
    pub(crate) fn reading<T>(&self, value: T) -> Reading<T> {
        Reading { value, date: self.date, received: self.received }
    }
}

/// One client for each tenant: connections are shared by its calls and by nobody else's.
pub(crate) fn client(config: &ClientConfig) -> Result<reqwest::Client, ClientError> {
    let plaintext = config.endpoint.is_plaintext();
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .timeout(config.timeout)
        // The timeout of the whole call must not be first: then nobody could tell that nothing was delivered.
        .connect_timeout(CONNECT.min(config.timeout * 4 / 5))
        .pool_idle_timeout(IDLE)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .https_only(!plaintext)
        .no_proxy();
    if let Some(proxy) = &config.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy.clone()).map_err(|_| ClientError::Proxy)?);
    } else if plaintext {
        // A stand-in on loopback must be reachable from an image without CA certificates.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|_| ClientError::Tls)
}

/// Sends and reads.
pub(crate) async fn exchange(request: RequestBuilder, body: Body) -> Result<Answer, Failure> {
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

pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = headers.get(DATE)?.to_str().ok()?;
    Timestamp::try_from(httpdate::parse_http_date(date).ok()?).ok()
}

pub(crate) fn wait(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
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
