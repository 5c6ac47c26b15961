//! A receiver of notifications whose answers tests set, and its log.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::Value;
use webhooks::SigningKey;

use crate::stage::PATIENCE;

/// The signing secret of every test.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// How a delivery is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Status(u16),
    /// 503 with `Retry-After`, in seconds.
    Later(u64),
    /// 307 to that place.
    Elsewhere(String),
    /// 200 with a body that never ends.
    Endless,
    Hang,
}

/// What was sent, and how it was answered.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub at: Instant,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub answer: Answer,
}

#[derive(Default)]
struct State {
    log: Vec<Delivery>,
    next: VecDeque<Answer>,
    then: Option<Answer>,
}

/// A receiver on loopback.
#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// Takes everything.
    pub async fn start() -> Self {
        let receiver = Self::down().await;
        receiver.open().await;
        receiver
    }

    /// Does not listen yet.
    pub async fn down() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { url: format!("http://{address}"), address, state: Arc::default() }
    }

    /// Listens from now on.
    pub async fn open(&self) {
        let state = self.state.clone();
        let app = Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let answer = {
                let mut state = state.lock().unwrap();
                let answer =
                    state.next.pop_front().or_else(|| state.then.clone()).unwrap_or(Answer::Status(204));
                let (path, answer) = (uri.path().to_owned(), answer);
                state.log.push(Delivery { at: Instant::now(), path, headers, body, answer: answer.clone() });
                answer
            };
            respond(answer)
        });
        let listener = tokio::net::TcpListener::bind(self.address).await.unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
    }

    /// Answers the next deliveries so, and then as before.
    pub fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.lock().unwrap().next.extend(answers);
    }

    /// Answers all others so from now on.
    pub fn always(&self, answer: Answer) {
        self.state.lock().unwrap().then = Some(answer);
    }

    /// All deliveries to a path, taken or not.
    pub fn log(&self, path: &str) -> Vec<Delivery> {
        self.state.lock().unwrap().log.iter().filter(|d| d.path == path).cloned().collect()
    }

    /// Waits until that many deliveries to a path have been taken, and gives them.
    pub async fn until_taken(&self, path: &str, count: usize) -> Vec<Delivery> {
        self.until(path, &format!("{count} taken"), |log| taken(log).len() >= count).await;
        taken(&self.log(path))
    }

    /// Waits for a fact about the deliveries to a path.
    pub async fn until(&self, path: &str, what: &str, holds: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        let waiting = async {
            while !holds(&self.log(path)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let came = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(came.is_ok(), "{path} never came to: {what}: {:#?}", self.log(path));
        self.log(path)
    }
}

fn taken(log: &[Delivery]) -> Vec<Delivery> {
    log.iter().filter(|d| d.answer == Answer::Status(204) || d.answer == Answer::Endless).cloned().collect()
}

async fn respond(answer: Answer) -> Response {
    match answer {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Later(seconds) => {
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, seconds.to_string())]).into_response()
        }
        Answer::Elsewhere(place) => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, place)]).into_response()
        }
        Answer::Endless => {
            let chunk = || Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 64 * 1024]));
            Body::from_stream(futures::stream::repeat_with(chunk)).into_response()
        }
        Answer::Hang => std::future::pending().await,
    }
}

impl Delivery {
    /// The id that it carries.
    pub fn id(&self) -> String {
        self.headers["webhook-id"].to_str().unwrap().to_owned()
    }

    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Asserts that it is signed with the tests' secret, just now.
    pub fn assert_signed(&self) {
        let text = |name: &str| self.headers[name].to_str().unwrap().to_owned();
        let at = Timestamp::from_second(text("webhook-timestamp").parse().unwrap()).unwrap();
        let signature = SigningKey::parse(SECRET).unwrap().sign(&self.id(), at, &self.body);
        assert_eq!(text("webhook-signature"), signature);
        assert!(Timestamp::now().duration_since(at).as_secs().abs() < 120);
    }
}
