//! A proxy in front of an API server, to hold back, refuse or falsify what a client asks for. Plain HTTP, on loopback; what a
//! client may do is decided by the token that it sends along.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use devcluster::Cluster;
use futures::stream;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::asked::{Asked, Known};
use crate::stage::PATIENCE;

/// More than any object has.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// A proxy with a kubeconfig that leads through it.
pub struct Proxy {
    pub kubeconfig: PathBuf,
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

struct Inner {
    upstream: String,
    client: reqwest::Client,
    asked: Mutex<(Vec<Asked>, Known)>,
    /// The first that applies decides.
    rules: watch::Sender<Vec<Arc<Rule>>>,
}

/// Which requests it applies to, and what becomes of them.
struct Rule {
    test: Box<dyn Fn(&Asked) -> bool + Send + Sync>,
    deed: Deed,
    /// To how many requests it still applies; without a limit where absent.
    left: Option<AtomicU32>,
}

type Rules = watch::Receiver<Vec<Arc<Rule>>>;

/// What becomes of a request instead of being passed on and answered.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    /// It waits until the rules change, and is asked of them anew.
    Hold,
    /// It is answered so.
    Answer(StatusCode, &'static str),
    /// It is answered as one too many, with or without the seconds to wait.
    Throttle(Option<u32>),
    /// It never gets anywhere and no answer comes.
    Hang,
    /// It is passed on and no answer comes.
    LoseAnswer,
    /// It is passed on and the connection is cut within the answer.
    CutAnswer,
    /// It is passed on and every piece of the answer comes so much later.
    Delay(Duration),
    /// It is passed on, and what there is to tell waits until the rules change; that there is an answer is told at once.
    HoldAnswer,
}

impl Proxy {
    /// A proxy for who has this kubeconfig of the cluster.
    pub async fn start(cluster: &Cluster, kubeconfig: &Path, folder: &Path) -> Self {
        let ca = reqwest::Certificate::from_pem(cluster.ca_pem().as_bytes()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let upstream = cluster.server_url().to_owned();
        let text = std::fs::read_to_string(kubeconfig).unwrap();
        assert!(text.contains(&upstream), "the kubeconfig names its server");
        let through = folder.join("through-the-proxy.kubeconfig");
        std::fs::write(&through, text.replace(&upstream, &url)).unwrap();

        let rules = watch::Sender::new(Vec::new());
        let inner = Arc::new(Inner { upstream, client, asked: Mutex::default(), rules });
        let app = Router::new().fallback(answer).with_state(inner.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { kubeconfig: through, inner, serving }
    }

    /// From now on this becomes of such requests. Watches under way end, and meet it when they begin anew.
    pub fn rule(&self, test: impl Fn(&Asked) -> bool + Send + Sync + 'static, deed: Deed) {
        let rule = Rule { test: Box::new(test), deed, left: None };
        self.inner.rules.send_modify(|rules| rules.push(Arc::new(rule)));
    }

    /// This becomes of the next such requests, so many. Watches under way go on.
    pub fn next(&self, times: u32, test: impl Fn(&Asked) -> bool + Send + Sync + 'static, deed: Deed) {
        let rule = Rule { test: Box::new(test), deed, left: Some(AtomicU32::new(times)) };
        self.inner.rules.send_if_modified(|rules| {
            rules.push(Arc::new(rule));
            false
        });
    }

    /// Passes everything on again, also what waits.
    pub fn clear(&self) {
        self.inner.rules.send_modify(Vec::clear);
    }

    /// What has been asked for so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap().0.clone()
    }

    /// Waits until that has been asked for, from now on.
    pub async fn until_asked(&self, what: &str, test: impl Fn(&Asked) -> bool) {
        let before = self.asked().len();
        self.until(what, |asked| asked[before..].iter().any(&test)).await;
    }

    /// Waits until this holds of what has been asked for.
    pub async fn until(&self, what: &str, holds: impl Fn(&[Asked]) -> bool) {
        let seen = async {
            while !holds(&self.inner.asked.lock().unwrap().0) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, seen).await.is_ok(), "never asked for: {what}");
    }
}

impl Inner {
    /// Notes a request; gives its number.
    fn note(&self, asked: impl FnOnce(&Known) -> Asked) -> (usize, Asked) {
        let (all, known) = &mut *self.asked.lock().unwrap();
        let asked = asked(known);
        all.push(asked.clone());
        (all.len() - 1, asked)
    }

    fn met(&self, number: usize) {
        self.asked.lock().unwrap().0[number].met = true;
    }

    fn answered(&self, number: usize, status: StatusCode) {
        let (all, known) = &mut *self.asked.lock().unwrap();
        all[number].answered = Some((status, Timestamp::now()));
        known.take_in(&all[number]);
    }
}

impl Rule {
    fn applies(&self, asked: &Asked) -> bool {
        let take = |left: &AtomicU32| {
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        };
        (self.test)(asked) && self.left.as_ref().is_none_or(take)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let (number, asked) = inner.note(|known| Asked::new(&head.method, path, query, &body, known));
    let mut rules = inner.rules.subscribe();
    let deed = deed(&asked, &mut rules).await;
    if deed.is_some() {
        inner.met(number);
    }
    match deed {
        Some(Deed::Answer(status, body)) => {
            return (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        }
        Some(Deed::Throttle(seconds)) => return throttled(seconds),
        Some(Deed::Hang) => return std::future::pending().await,
        _ => {}
    }
    let target = head.uri.path_and_query().map_or("/", |part| part.as_str());
    let request = inner.client.request(head.method, format!("{}{target}", inner.upstream));
    let Ok(answer) = request.headers(end_to_end(&head.headers)).body(body).send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    inner.answered(number, answer.status());
    match deed {
        Some(Deed::LoseAnswer) => std::future::pending().await,
        Some(Deed::CutAnswer) => cut(),
        _ => passed_on(answer, rules, asked.query.contains("watch=true"), deed),
    }
}

/// What becomes of it, once it no longer waits.
async fn deed(asked: &Asked, rules: &mut Rules) -> Option<Deed> {
    loop {
        let deed = rules.borrow_and_update().iter().find(|rule| rule.applies(asked)).map(|rule| rule.deed);
        match deed {
            Some(Deed::Hold) if rules.changed().await.is_ok() => {}
            other => return other,
        }
    }
}

/// As an API server says it under load: in plain text.
fn throttled(seconds: Option<u32>) -> Response {
    let body = "Too many requests, please try again later.\n";
    let mut response = (StatusCode::TOO_MANY_REQUESTS, body).into_response();
    if let Some(seconds) = seconds {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn cut() -> Response {
    let pieces = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("the connection is cut"))];
    Response::new(Body::from_stream(stream::iter(pieces)))
}

/// The answer, piece by piece as it comes, or later; that of a watch until the rules change.
fn passed_on(answer: reqwest::Response, rules: Rules, watching: bool, deed: Option<Deed>) -> Response {
    let (status, headers) = (answer.status(), end_to_end(answer.headers()));
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(pass_on(answer, rules, watching, deed, sender));
    let pieces = stream::unfold(receiver, async |mut pieces| {
        let (due, piece) = pieces.recv().await?;
        tokio::time::sleep_until(due).await;
        Some((piece, pieces))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

type Piece = (Instant, Result<Bytes, reqwest::Error>);

async fn pass_on(
    mut answer: reqwest::Response,
    mut rules: Rules,
    watching: bool,
    deed: Option<Deed>,
    sender: mpsc::UnboundedSender<Piece>,
) {
    let delay = if let Some(Deed::Delay(delay)) = deed { delay } else { Duration::ZERO };
    let holds = matches!(deed, Some(Deed::HoldAnswer));
    let mut release = rules.clone();
    let mut held = Vec::new();
    loop {
        let piece = tokio::select! {
            piece = answer.chunk() => piece.transpose(),
            _ = rules.changed(), if watching || holds => None,
            () = sender.closed() => None,
        };
        let Some(piece) = piece else { break };
        let piece = (Instant::now() + delay, piece);
        if holds {
            held.push(piece);
        } else if sender.send(piece).is_err() {
            break;
        }
    }
    if holds {
        tokio::select! {
            _ = release.changed() => {}
            () = sender.closed() => {}
        }
    }
    for piece in held {
        let _ = sender.send(piece);
    }
}

/// The headers that do not belong to one connection alone.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
    headers
}
