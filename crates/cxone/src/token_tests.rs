use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::advance;

use super::*;

const LIFETIME: Duration = Duration::from_secs(1800);
const SECOND: Duration = Duration::from_secs(1);
const DOWN: Trouble = Trouble::Unreachable("down");

fn anybody() -> Arc<Credentials> {
    Arc::new(Credentials { client_id: "id".to_owned(), client_secret: "secret".into() })
}

/// A token route that answers when a permit is given, and counts.
struct Platform {
    asked: AtomicU32,
    answers: Semaphore,
    lifetime: Duration,
}

impl Platform {
    fn prompt() -> Self {
        Self { asked: AtomicU32::new(0), answers: Semaphore::new(1000), lifetime: LIFETIME }
    }

    fn hanging() -> Self {
        Self { answers: Semaphore::new(0), ..Self::prompt() }
    }

    async fn token(&self) -> Result<Fetched, Trouble> {
        let asked = Instant::now();
        let count = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.answers.acquire().await.unwrap().forget();
        let bearer = HeaderValue::try_from(format!("Bearer {count}")).unwrap();
        Ok(Fetched { bearer, asked, lifetime: self.lifetime, by: anybody() })
    }

    async fn failure(&self) -> Result<Fetched, Trouble> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.answers.acquire().await.unwrap().forget();
        Err(DOWN)
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn bearer(tokens: &Tokens, lane: Lane, platform: &Platform) -> String {
    tokens.get(lane, platform.token()).await.unwrap().bearer.to_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_token_is_used_until_a_minute_before_it_expires() {
    let (tokens, platform) = (Tokens::default(), Platform::prompt());
    assert_eq!(bearer(&tokens, Lane::Open, &platform).await, "Bearer 1");
    advance(LIFETIME - 61 * SECOND).await;
    assert_eq!(bearer(&tokens, Lane::Open, &platform).await, "Bearer 1");
    advance(SECOND).await;
    assert_eq!(bearer(&tokens, Lane::Open, &platform).await, "Bearer 2");
}

#[tokio::test(start_paused = true)]
async fn a_short_token_is_used_for_half_its_life() {
    let (tokens, platform) = (Tokens::default(), Platform { lifetime: 10 * SECOND, ..Platform::prompt() });
    for (wait, expected) in [(0, "Bearer 1"), (4, "Bearer 1"), (1, "Bearer 2"), (4, "Bearer 2")] {
        advance(wait * SECOND).await;
        assert_eq!(bearer(&tokens, Lane::Open, &platform).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_counts_from_before_the_request() {
    let tokens = Tokens::default();
    let slow = async {
        let asked = Instant::now();
        advance(10 * SECOND).await;
        let bearer = HeaderValue::from_static("Bearer slow");
        Ok(Fetched { bearer, asked, lifetime: 10 * SECOND, by: anybody() })
    };
    tokens.get(Lane::Close, slow).await.unwrap();
    assert_eq!(bearer(&tokens, Lane::Close, &Platform::prompt()).await, "Bearer 1");
}

#[tokio::test(start_paused = true)]
async fn all_who_find_no_token_share_one_fetch() {
    for lane in [Lane::Open, Lane::Close] {
        let (tokens, platform) = (Tokens::default(), Platform::prompt());
        let bearers = join_all((0..50).map(|_| bearer(&tokens, lane, &platform))).await;
        assert!(bearers.iter().all(|bearer| bearer == "Bearer 1"));
        assert_eq!(platform.asked(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_share_a_failure() {
    for lane in [Lane::Open, Lane::Close] {
        let (tokens, platform) = (Tokens::default(), Platform::prompt());
        let results = join_all((0..50).map(|_| tokens.get(lane, platform.failure()))).await;
        assert!(results.into_iter().all(|result| result.unwrap_err() == DOWN));
        assert_eq!(platform.asked(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_the_open_lane_pauses_and_the_close_lane_does_not() {
    let (tokens, platform) = (Tokens::default(), Platform::prompt());
    for (lane, asked) in [(Lane::Open, 1), (Lane::Open, 1), (Lane::Close, 2), (Lane::Close, 3)] {
        advance(SECOND / 10).await;
        assert_eq!(tokens.get(lane, platform.failure()).await.unwrap_err(), DOWN);
        assert_eq!(platform.asked(), asked);
    }
    advance(SECOND).await;
    assert_eq!(bearer(&tokens, Lane::Open, &platform).await, "Bearer 4");
}

#[tokio::test(start_paused = true)]
async fn an_old_token_lives_on_while_its_renewal_fails() {
    let (tokens, platform) = (Tokens::default(), Platform::prompt());
    bearer(&tokens, Lane::Open, &platform).await;
    advance(LIFETIME - 30 * SECOND).await;
    for _ in 0..3 {
        let token = tokens.get(Lane::Open, platform.failure()).await.unwrap();
        assert_eq!(token.bearer, "Bearer 1");
    }
    assert_eq!(platform.asked(), 2, "a failing renewal is not hammered");
    advance(30 * SECOND).await;
    assert_eq!(tokens.get(Lane::Open, platform.failure()).await.unwrap_err(), DOWN);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_renewal_but_the_one_who_does_it() {
    let (tokens, platform, stuck) = (Tokens::default(), Platform::prompt(), Platform::hanging());
    bearer(&tokens, Lane::Open, &platform).await;
    advance(LIFETIME - 30 * SECOND).await;
    let mut renewal = Box::pin(bearer(&tokens, Lane::Open, &stuck));
    assert!(futures::poll!(&mut renewal).is_pending());
    for lane in [Lane::Open, Lane::Close] {
        assert_eq!(bearer(&tokens, lane, &stuck).await, "Bearer 1");
    }
    stuck.answers.add_permits(1);
    renewal.await;
    assert_eq!(stuck.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_close_does_not_wait_for_the_fetch_of_an_open_call() {
    let (tokens, stuck, platform) = (Tokens::default(), Platform::hanging(), Platform::prompt());
    let mut open = Box::pin(bearer(&tokens, Lane::Open, &stuck));
    assert!(futures::poll!(&mut open).is_pending());
    assert_eq!(bearer(&tokens, Lane::Close, &platform).await, "Bearer 1");
    assert!(futures::poll!(&mut open).is_pending());
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_no_longer_than_5_s_for_the_fetch_of_another_which_goes_on() {
    let (tokens, slow) = (Tokens::default(), Platform::hanging());
    let mut leader = Box::pin(bearer(&tokens, Lane::Close, &slow));
    assert!(futures::poll!(&mut leader).is_pending());
    let came = Instant::now();
    assert_eq!(tokens.get(Lane::Close, slow.token()).await.unwrap_err(), SLOW);
    assert_eq!(came.elapsed().as_secs(), 5);
    slow.answers.add_permits(1);
    assert_eq!(leader.await, "Bearer 1");
    assert_eq!(bearer(&tokens, Lane::Close, &slow).await, "Bearer 1");
    assert_eq!(slow.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_fetch_is_taken_over_by_the_next_who_waits() {
    let (tokens, stuck, platform) = (Tokens::default(), Platform::hanging(), Platform::prompt());
    let mut leader = Box::pin(bearer(&tokens, Lane::Open, &stuck));
    assert!(futures::poll!(&mut leader).is_pending());
    let mut waiter = Box::pin(bearer(&tokens, Lane::Open, &platform));
    assert!(futures::poll!(&mut waiter).is_pending());
    drop(leader);
    assert_eq!(waiter.await, "Bearer 1");
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_goes_but_not_its_successor() {
    let (tokens, platform) = (Tokens::default(), Platform::prompt());
    let first = tokens.get(Lane::Open, platform.token()).await.unwrap();
    tokens.reject(&first);
    assert_eq!(bearer(&tokens, Lane::Open, &platform).await, "Bearer 2");
    tokens.reject(&first);
    assert_eq!(bearer(&tokens, Lane::Open, &platform).await, "Bearer 2");
}

#[tokio::test(start_paused = true)]
async fn what_was_fetched_with_former_credentials_is_not_kept() {
    let (tokens, slow, platform) = (Tokens::default(), Platform::hanging(), Platform::prompt());
    let mut before = Box::pin(tokens.get(Lane::Open, slow.token()));
    assert!(futures::poll!(&mut before).is_pending());
    tokens.forget();
    slow.answers.add_permits(1);
    before.await.unwrap();
    bearer(&tokens, Lane::Open, &platform).await;
    assert_eq!(platform.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn new_credentials_are_tried_at_once_after_a_failure() {
    let (tokens, platform) = (Tokens::default(), Platform::prompt());
    assert!(tokens.get(Lane::Open, platform.failure()).await.is_err());
    tokens.forget();
    assert_eq!(bearer(&tokens, Lane::Open, &platform).await, "Bearer 2");
}
