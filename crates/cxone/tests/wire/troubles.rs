use cxone::{ClientConfig, Dialer, Lane, Trouble};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::server::{Reply, Server};
use crate::support::*;

async fn observe_against(reply: Reply) -> Trouble {
    let server = platform(move |_, _| reply.clone()).await;
    impatient_client(&server).observe("c-1", Lane::Open).await.unwrap_err()
}

#[tokio::test]
async fn a_body_is_read_no_further_than_it_can_be_of_use() {
    assert_eq!(observe_against(Reply::Endless).await, Trouble::Unreadable("body too large"));
    let huge = Reply::json(" ".repeat(70_000));
    assert_eq!(observe_against(huge.clone()).await, Trouble::Unreadable("body too large"));
    let server = platform(move |_, _| Reply::json(" ".repeat(1_100_000))).await;
    assert_eq!(client(&server).volume("c-1").await, Err(Trouble::Unreadable("body too large")));
    let server = Server::start(|_, _| Reply::Endless).await;
    let nonsense = Trouble::Unreachable("the token route answered nonsense");
    assert_eq!(client(&server).check_token().await, Err(nonsense));
}

#[tokio::test]
async fn what_breaks_off_leaves_the_outcome_open() {
    let truncated = "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"status\":\"running\"}".to_owned();
    for (reply, expected) in [
        (Reply::Close, "the connection was lost"),
        (Reply::Hang, "no whole answer in time"),
        (Reply::Raw(truncated), "the answer was cut short"),
        (Reply::Raw("HTTP/1.1 200 OK\r\ncontent-le".to_owned()), "the connection was lost"),
        (Reply::Raw("SSH-2.0-OpenSSH_9.9\r\n".to_owned()), "the connection was lost"),
    ] {
        assert_eq!(observe_against(reply).await, Trouble::Interrupted(expected));
    }
}

#[tokio::test]
async fn a_put_that_hangs_or_is_cut_off_may_have_been_applied() {
    for reply in [Reply::Hang, Reply::Close, Reply::status(500)] {
        let server = platform(move |_, _| reply.clone()).await;
        let trouble = impatient_client(&server).request("c-1", &pause(), Lane::Close).await.unwrap_err();
        assert!(trouble.may_have_been_applied(), "{trouble}");
        assert_eq!(server.count("PUT", "/state"), 1, "it is never repeated by the client");
    }
}

#[tokio::test]
async fn a_body_that_never_comes_does_not_hide_the_status() {
    let head = |status: u16| Reply::Raw(format!("HTTP/1.1 {status} X\r\ncontent-length: 50\r\n\r\n{{"));
    assert_eq!(observe_against(head(404)).await, Trouble::NotFound);
    assert_eq!(observe_against(head(502)).await, Trouble::Unavailable { status: 502 });
}

#[tokio::test]
async fn what_was_surely_not_delivered_says_so() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let trouble = client_with(config(&url)).check_token().await.unwrap_err();
    assert_eq!(trouble, Trouble::Unreachable("connection refused"));

    let no_tls = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let https = client_with(config(&format!("https://{}", no_tls.local_addr().unwrap())));
    let (trouble, hello) = tokio::join!(https.check_token(), async {
        let (mut stream, _) = no_tls.accept().await.unwrap();
        let mut hello = [0; 512];
        let length = stream.read(&mut hello).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&hello[..length]).into_owned()
    });
    assert_eq!(trouble, Err(Trouble::Unreachable("TLS failed")));
    assert!(!hello.contains("POST") && !hello.contains("hunter2"), "nothing is said in plain text");
}

#[tokio::test]
async fn a_name_that_does_not_exist_was_surely_not_delivered() {
    let trouble = client_with(config("http://cxone.invalid")).check_token().await.unwrap_err();
    assert!(matches!(trouble, Trouble::Unreachable(_)), "{trouble:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = platform(|_, _| state("running")).await;
    let location = format!("location: {}/", elsewhere.url);
    let server = platform(move |_, _| Reply::status(307).with(&location)).await;
    let trouble = client(&server).request("c-1", &pause(), Lane::Close).await.unwrap_err();
    assert_eq!(trouble, Trouble::Rejected { status: 307 });
    assert!(elsewhere.log().is_empty());
}

#[tokio::test]
async fn no_text_repeats_a_secret() {
    let body = format!(r#"{{"message":"{SECRET} token-1","status":"{SECRET} token-1"}}"#);
    let mut texts = Vec::new();
    for status in [200, 302, 400, 401, 403, 404, 409, 429, 500, 503] {
        let reply = Reply::Http { status, headers: vec!["retry-after: 0".to_owned()], body: body.clone() };
        let script = reply.clone();
        let calls = platform(move |_, _| script.clone()).await;
        let tokens = Server::start(move |_, _| reply.clone()).await;
        for server in [calls, tokens] {
            let client = client(&server);
            let trouble = client.observe("c-1", Lane::Open).await.unwrap_err();
            texts.push(format!("{trouble} {trouble:?} {client:?}"));
        }
    }
    let proxy = Some("http://user:hunter2@127.0.0.1:1".parse().unwrap());
    texts.push(format!("{:?}", ClientConfig { proxy, ..config("http://127.0.0.1:1") }));
    let credentials = cxone::Credentials { client_id: "id".to_owned(), client_secret: SECRET.into() };
    texts.push(format!("{credentials:?}"));
    for text in texts {
        assert!(!text.contains("hunter2") && !text.contains("token-1"), "{text}");
    }
}
