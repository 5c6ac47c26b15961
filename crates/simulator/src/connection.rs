//! Connections, down to the tricks that only a bad network plays.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, DATE};
use axum::http::{HeaderValue, Request};
use axum::response::Response;
use futures::stream::{self, StreamExt};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::shared::Shared;

/// Wait after a failed accept, so that a lack of file descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const MEBIBYTE: usize = 1 << 20;
const CHUNK: usize = 64 << 10;

/// Serves connections until `stop`, then drops them all.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(stream, router.clone(), Arc::clone(&shared));
                tokio::spawn(stop.clone().run_until_cancelled_owned(connection));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream, router: Router, shared: Arc<Shared>) {
    let line = Line::default();
    let service = service_fn(|mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(line.clone());
        let answer = router.clone().oneshot(request.map(Body::new));
        let shared = &shared;
        async move { answer.await.map(|response| dated(response, shared)) }
    });
    // A late packet of a small answer would look like a slow platform.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    let mut serving = http.auto_date_header(false).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = &mut serving => {}
        // Closing a socket that must not linger sends RST instead of FIN.
        () = line.reset.cancelled() => {
            let _ = serving.into_parts().io.into_inner().set_zero_linger();
        }
    }
}

/// Hyper's own `Date` can't be wrong or absent, so it is off and this one is in its place.
fn dated(mut response: Response, shared: &Shared) -> Response {
    let date = shared.with(|world, now| {
        world.settings.date_header.then(|| httpdate::fmt_http_date(world.platform_time(now)))
    });
    if let Some(date) = date.and_then(|date| HeaderValue::try_from(date).ok()) {
        response.headers_mut().insert(DATE, date);
    }
    response
}

/// The connection that a request came in on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    reset: CancellationToken,
}

impl Line {
    /// Resets the connection. The caller waits for an answer that never comes, and ends with the connection.
    pub(crate) async fn reset(&self) -> Response {
        self.reset.cancel();
        std::future::pending().await
    }
}

/// Half of a body under the `Content-Length` of the whole.
///
/// A body that fails makes hyper close the connection. What came before the failure is only sent if hyper gets a chance
/// to flush in between, hence the yield.
pub(crate) fn truncated(mut response: Response, body: Bytes) -> Response {
    let half = body.slice(..body.len() / 2);
    let cut = async {
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::BrokenPipe))
    };
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = Body::from_stream(stream::iter([Ok(half)]).chain(stream::once(cut)));
    response
}

/// A body of valid JSON that is a little longer than that.
pub(crate) fn huge(mebibytes: usize) -> Body {
    let filler = Bytes::from(vec![b'x'; CHUNK]);
    let chunks = stream::repeat(filler).take(mebibytes * (MEBIBYTE / CHUNK));
    let head = stream::iter([Bytes::from_static(br#"{"status":"running","filler":""#)]);
    let tail = stream::iter([Bytes::from_static(br#""}"#)]);
    Body::from_stream(head.chain(chunks).chain(tail).map(Ok::<_, Infallible>))
}
