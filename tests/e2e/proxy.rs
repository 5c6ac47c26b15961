//! A proxy in front of an API server, to hold back, refuse or falsify what a client asks for. Plain HTTP, on loopback; what a
//! client may do is decided by the token that it sends along.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use devcluster::Cluster;
use futures::stream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

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
    asked: Mutex<Vec<Asked>>,
    /// Which requests it applies to, and what becomes of them: the first that applies decides. A change ends every watch.
    rules: watch::Sender<Vec<(Test, Deed)>>,
}

type Test = Arc<dyn Fn(&Asked) -> bool + Send + Sync>;

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub query: String,
}

/// What becomes of a request instead of being passed on.
#[derive(Clone)]
pub enum Deed {
    /// It waits until the rules change, and is asked of them anew.
    Hold,
    /// It is answered so.
    Answer(StatusCode, &'static str),
}

impl Asked {
    /// Whether it is the list or the watch of that resource, in all namespaces.
    pub fn is_list_of(&self, resource: &str) -> bool {
        self.method == Method::GET && self.path.ends_with(&format!("/{resource}"))
    }
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
        self.inner.rules.send_modify(|rules| rules.push((Arc::new(test), deed)));
    }

    /// Passes everything on again, also what waits.
    pub fn clear(&self) {
        self.inner.rules.send_modify(Vec::clear);
    }

    /// What has been asked for so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// Waits until that has been asked for, from now on.
    pub async fn until_asked(&self, what: &str, test: impl Fn(&Asked) -> bool) {
        let before = self.asked().len();
        let seen = async {
            while !self.asked()[before..].iter().any(&test) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, seen).await.is_ok(), "never asked for: {what}");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let asked = Asked {
        method: head.method.clone(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
    };
    inner.asked.lock().unwrap().push(asked.clone());
    let mut rules = inner.rules.subscribe();
    loop {
        let deed =
            rules.borrow_and_update().iter().find(|(test, _)| test(&asked)).map(|(_, deed)| deed.clone());
        match deed {
            None => break,
            Some(Deed::Answer(status, body)) => {
                return (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
            }
            Some(Deed::Hold) => {
                if rules.changed().await.is_err() {
                    break;
                }
            }
        }
    }
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let target = head.uri.path_and_query().map_or("/", |part| part.as_str());
    let request = inner.client.request(head.method, format!("{}{target}", inner.upstream));
    match request.headers(end_to_end(&head.headers)).body(body).send().await {
        Ok(answer) => passed_on(answer, rules, asked.query.contains("watch=true")),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// The answer, piece by piece as it comes; that of a watch until the rules change.
fn passed_on(
    answer: reqwest::Response,
    rules: watch::Receiver<Vec<(Test, Deed)>>,
    watching: bool,
) -> Response {
    let (status, headers) = (answer.status(), end_to_end(answer.headers()));
    let pieces = stream::unfold((answer, rules), move |(mut answer, mut rules)| async move {
        let piece = tokio::select! {
            piece = answer.chunk() => piece.transpose()?,
            _ = rules.changed(), if watching => return None,
        };
        Some((piece, (answer, rules)))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The headers that do not belong to one connection alone.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
    headers
}
