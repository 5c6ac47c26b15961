//! A platform, or who stands in its place, that means harm.

use std::time::{Duration, Instant};

use cxone::{Dialer, Lane, Trouble};

use crate::server::{Reply, Server};
use crate::support::*;

/// What becomes of a reading that this answers, and how long it takes a client whose patience is 300 ms.
async fn observed(reply: Reply) -> (Trouble, Duration) {
    let server = platform(move |_, _| reply.clone()).await;
    let client = impatient_client(&server);
    client.check_token().await.unwrap();
    let begun = Instant::now();
    (client.observe("c-1", Lane::Open).await.unwrap_err(), begun.elapsed())
}

#[tokio::test]
async fn an_answer_that_never_ends_is_left_in_time_wherever_it_does_not_end() {
    let state = r#"{"campaignId":"c-1","status":"running","note":""#;
    for (what, begin, again, pause) in [
        ("a head", "HTTP/1.1 200 OK\r\n", "x-more: and more\r\n", 0),
        ("a header's value", "HTTP/1.1 200 OK\r\nx-more: ", "and more", 0),
        ("heads before the head", "", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", 0),
        ("a head, drop by drop", "HTTP/1.1 200 OK\r\n", "x-more: and more\r\n", 20),
        (
            "a body, drop by drop",
            &format!("HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n{state}"),
            "z",
            20,
        ),
        ("a chunk's size", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "0", 0),
        ("a chunk's extension", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", "x", 0),
        (
            "trailers",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n",
            "x-more: y\r\n",
            0,
        ),
    ] {
        let pause = Duration::from_millis(pause);
        let reply = Reply::Stream { begin: begin.to_owned(), again: again.to_owned(), pause };
        let (trouble, took) = observed(reply).await;
        assert!(matches!(trouble, Trouble::Interrupted(_) | Trouble::Unreadable(_)), "{what}: {trouble:?}");
        assert!(took < Duration::from_secs(3), "{what}: {took:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_packed_is_not_asked_for_and_not_unpacked() {
    let packed = || state("running").with("content-encoding: gzip");
    let server = platform(move |_, _| packed()).await;
    // It is read as it stands, so that no small answer can become a large one.
    client(&server).observe("c-1", Lane::Open).await.unwrap();
    assert!(server.log().iter().all(|request| request.header("accept-encoding").is_none()));
}

#[tokio::test]
async fn an_answer_that_is_nested_without_end_or_no_text_is_unreadable_and_does_no_harm() {
    for body in
        ["[".repeat(60_000), "{\"status\":".repeat(6_000), "\u{0}".repeat(100), "\u{feff}{}".to_owned()]
    {
        let (trouble, _) = observed(Reply::json(body)).await;
        assert!(matches!(trouble, Trouble::Unreadable(_)), "{trouble:?}");
    }
}

#[tokio::test]
async fn a_token_that_would_write_headers_of_its_own_is_none() {
    for token in [r"a\r\nhost: evil.example", r"a\nx: y", r"a\u0000b", r"a\u007fb"] {
        let body = format!(r#"{{"access_token":"{token}","expires_in":1800}}"#);
        let server = Server::start(move |_, _| Reply::json(&body)).await;
        let nonsense = Trouble::Unreachable("the token route answered nonsense");
        assert_eq!(client(&server).observe("c-1", Lane::Open).await, Err(nonsense), "{token}");
        assert_eq!(server.log().len(), 1, "nothing follows");
    }
}

#[tokio::test]
async fn a_page_token_stays_in_its_place_whatever_it_is() {
    let server = platform(|_, before| match before {
        0 => Reply::json(
            r#"{"page":[],"nextPageToken":"x&pageSize=1#/../\r\nhost: evil.example\r\n\r\nGET /"}"#,
        ),
        _ => Reply::json(r#"{"page":[{"activeCalls":1}]}"#),
    })
    .await;
    let _ = client(&server).volume("c-1").await;
    let last = server.log().pop().unwrap();
    assert_eq!(
        last.target,
        "/api/v2/campaigns/outbound/c-1/stats?pageSize=100&pageToken=x%26pageSize%3D1%23%2F..%2F%0D%0Ahost%3A+\
         evil.example%0D%0A%0D%0AGET+%2F"
    );
    assert!(server.log().iter().all(|request| request.header("host") != Some("evil.example")));
}

#[tokio::test]
async fn what_a_campaign_is_called_stays_one_segment_of_the_path() {
    let server = platform(|_, _| state("running")).await;
    let client = client(&server);
    for name in
        ["../../oauth/token", "a/b", "a?b", "a#b", "a\r\nhost: evil.example", "%2e%2e", "a\\b", "@evil"]
    {
        let _ = client.observe(name, Lane::Open).await;
        let asked = server.log().pop().unwrap().target;
        let path = asked.strip_prefix("/api/v2/campaigns/outbound/").and_then(|p| p.strip_suffix("/state"));
        assert!(path.is_some_and(|name| !name.contains(['/', '?', '#', '\r', '\n'])), "{name:?}: {asked}");
    }
}
