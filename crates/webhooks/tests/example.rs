//! `docs/examples/receiver.py` takes what is signed and new, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use outbound::{Endpoint, Manner};
use webhooks::{Client, Failure, Message, SigningKey};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

struct Receiver {
    child: Child,
    url: String,
    /// It writes a line for each request: somebody has to hold the other end.
    _log: BufReader<ChildStderr>,
    client: Client,
}

impl Receiver {
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/receiver.py");
        let mut command = Command::new("python3");
        command.args([script, "0"]).env("SECRET", SECRET).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("python3");
        let mut told = String::new();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        log.read_line(&mut told).unwrap();
        let port = told.trim().strip_prefix("listening on port ").expect(&told);
        let manner = Manner { timeout: Duration::from_secs(5), proxy: None };
        let url = format!("http://127.0.0.1:{port}");
        let client = Client::new(Endpoint::parse(&url).unwrap(), &manner).unwrap();
        Self { child, url, client, _log: log }
    }

    async fn answers(&self, id: &str, body: &str, at: Timestamp, secret: Option<&str>) -> u16 {
        let message = Message { id: id.into(), body: body.into() };
        let key = secret.map(|secret| SigningKey::parse(secret).unwrap());
        match self.client.deliver(&message, at, key.as_ref()).await {
            Ok(()) => 204,
            Err(Failure::Answered { status, .. }) => status,
            Err(other) => panic!("{other}"),
        }
    }

    /// Ends it, and gives what it has printed.
    fn printed(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        BufReader::new(self.child.stdout.take().unwrap()).lines().map(Result::unwrap).collect()
    }
}

#[tokio::test]
async fn the_example_takes_each_signed_message_once_and_refuses_what_is_unsigned_forged_or_old() {
    let receiver = Receiver::start();
    let now = Timestamp::now();
    assert_eq!(receiver.answers("m-1", r#"{"n":1}"#, now, Some(SECRET)).await, 204);
    assert_eq!(receiver.answers("m-1", r#"{"n":1}"#, now, Some(SECRET)).await, 204, "a second try");
    assert_eq!(receiver.answers("m-2", r#"{"n":2}"#, now, Some(SECRET)).await, 204);
    assert_eq!(receiver.answers("m-3", r#"{"n":3}"#, now, None).await, 401, "unsigned");
    assert_eq!(receiver.answers("m-4", r#"{"n":4}"#, now, Some(OTHER)).await, 401, "another key");
    let old = now - SignedDuration::from_mins(6);
    assert_eq!(receiver.answers("m-5", r#"{"n":5}"#, old, Some(SECRET)).await, 400, "an old one");
    assert_eq!(receiver.printed(), [r#"{"n":1}"#, r#"{"n":2}"#]);
}

#[tokio::test]
async fn the_example_refuses_a_body_that_was_changed_on_its_way() {
    let receiver = Receiver::start();
    let now = Timestamp::now();
    let signature = SigningKey::parse(SECRET).unwrap().sign("m-1", now, br#"{"n":1}"#);
    let request = reqwest::Client::new().post(&receiver.url);
    let request = request.header("webhook-id", "m-1").header("webhook-timestamp", now.as_second());
    let answer = request.header("webhook-signature", signature).body(r#"{"n":2}"#).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(receiver.printed().is_empty());
}
