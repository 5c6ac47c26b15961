//! What every answer means: one pure function.

use std::time::Duration;

use outbound::{Failure, Head};

use crate::Trouble;

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The token route, which knows no campaign and whose failures say that the real request was never sent.
    Token,
    /// The state of a campaign.
    State,
    /// A change of that state.
    Change,
    /// A page of statistics.
    Stats,
}

/// A call is repeated once, with a new token, and for no other reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    First,
    Repeat,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Accept,
    RenewToken,
    Fail(Trouble),
}

/// What to do next, and how long the tenant's open lane has to be quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub next: Next,
    pub hold: Option<Duration>,
}

/// Classifies every answer of every route.
pub(crate) fn classify(route: Route, attempt: Attempt, answer: Result<Head, Failure>) -> Verdict {
    match answer {
        Ok(head) => Verdict { next: by_status(route, attempt, head), hold: hold(head) },
        Err(failure) => Verdict { next: Next::Fail(by_failure(route, failure)), hold: None },
    }
}

/// Without a `Retry-After` nothing is held: then each object backs off on its own.
fn hold(head: Head) -> Option<Duration> {
    matches!(head.status, 429 | 503).then_some(head.retry_after).flatten()
}

fn by_status(route: Route, attempt: Attempt, head: Head) -> Next {
    Next::Fail(match (route, head.status) {
        (_, 200..=299) => return Next::Accept,
        (_, 429) => Trouble::Throttled { retry_after: head.retry_after },
        (_, 403) => Trouble::Forbidden,
        (Route::Token, 400 | 401) => Trouble::Unauthorized,
        (Route::Token, 408 | 500..) => Trouble::Unreachable("the token route failed"),
        (Route::Token, 300..=399) => Trouble::Unreachable("the token route redirects"),
        // A 404 here says that the address is wrong, not that a campaign does not exist and so cannot dial.
        (Route::Token, status) => Trouble::Rejected { status },
        (_, 401) if attempt == Attempt::First => return Next::RenewToken,
        (_, 401) => Trouble::Unauthorized,
        (_, 404) => Trouble::NotFound,
        (_, 409) => Trouble::Conflict,
        (_, status @ (408 | 500..)) => Trouble::Unavailable { status },
        (_, status) => Trouble::Rejected { status },
    })
}

fn by_failure(route: Route, failure: Failure) -> Trouble {
    match (route, failure) {
        (_, Failure::NotDelivered(how)) => Trouble::Unreachable(how),
        (Route::Token, Failure::BrokenOff(_)) => Trouble::Unreachable("the token route did not answer"),
        (Route::Token, Failure::TooLarge) => Trouble::Unreachable("the token route answered nonsense"),
        (_, Failure::BrokenOff(how)) => Trouble::Interrupted(how),
        (_, Failure::TooLarge) => Trouble::Unreadable("body too large"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(7);

    fn status(route: Route, attempt: Attempt, status: u16) -> Next {
        classify(route, attempt, Ok(Head { status, retry_after: None })).next
    }

    #[test]
    fn each_status_of_a_call_means_one_thing() {
        for route in [Route::State, Route::Change, Route::Stats] {
            for (code, expected) in [
                (200, Next::Accept),
                (202, Next::Accept),
                (301, Next::Fail(Trouble::Rejected { status: 301 })),
                (307, Next::Fail(Trouble::Rejected { status: 307 })),
                (400, Next::Fail(Trouble::Rejected { status: 400 })),
                (401, Next::RenewToken),
                (403, Next::Fail(Trouble::Forbidden)),
                (404, Next::Fail(Trouble::NotFound)),
                (405, Next::Fail(Trouble::Rejected { status: 405 })),
                (408, Next::Fail(Trouble::Unavailable { status: 408 })),
                (409, Next::Fail(Trouble::Conflict)),
                (410, Next::Fail(Trouble::Rejected { status: 410 })),
                (429, Next::Fail(Trouble::Throttled { retry_after: None })),
                (500, Next::Fail(Trouble::Unavailable { status: 500 })),
                (503, Next::Fail(Trouble::Unavailable { status: 503 })),
                (504, Next::Fail(Trouble::Unavailable { status: 504 })),
                (599, Next::Fail(Trouble::Unavailable { status: 599 })),
            ] {
                assert_eq!(status(route, Attempt::First, code), expected, "{route:?} {code}");
            }
            assert_eq!(status(route, Attempt::Repeat, 401), Next::Fail(Trouble::Unauthorized));
        }
    }

    #[test]
    fn each_status_of_the_token_route_means_one_thing() {
        for (code, expected) in [
            (200, Next::Accept),
            (307, Next::Fail(Trouble::Unreachable("the token route redirects"))),
            (400, Next::Fail(Trouble::Unauthorized)),
            (401, Next::Fail(Trouble::Unauthorized)),
            (403, Next::Fail(Trouble::Forbidden)),
            (404, Next::Fail(Trouble::Rejected { status: 404 })),
            (409, Next::Fail(Trouble::Rejected { status: 409 })),
            (429, Next::Fail(Trouble::Throttled { retry_after: None })),
            (500, Next::Fail(Trouble::Unreachable("the token route failed"))),
            (503, Next::Fail(Trouble::Unreachable("the token route failed"))),
        ] {
            assert_eq!(status(Route::Token, Attempt::First, code), expected, "{code}");
        }
    }

    #[test]
    fn only_429_and_503_hold_the_tenant_and_only_with_retry_after() {
        for route in [Route::Token, Route::State, Route::Change, Route::Stats] {
            for code in 200..600 {
                let with =
                    classify(route, Attempt::First, Ok(Head { status: code, retry_after: Some(WAIT) }));
                let without = classify(route, Attempt::First, Ok(Head { status: code, retry_after: None }));
                assert_eq!(with.hold, matches!(code, 429 | 503).then_some(WAIT), "{route:?} {code}");
                assert_eq!(without.hold, None, "{route:?} {code}");
            }
        }
    }

    #[test]
    fn what_happens_on_the_token_route_never_leaves_an_outcome_open() {
        let failures = [Failure::NotDelivered("x"), Failure::BrokenOff("x"), Failure::TooLarge].map(Err);
        let statuses = (300..600).map(|status| Ok(Head { status, retry_after: None }));
        for answer in statuses.chain(failures) {
            let Next::Fail(trouble) = classify(Route::Token, Attempt::First, answer).next else {
                panic!("{answer:?} is no success");
            };
            assert!(!trouble.may_have_been_applied(), "{answer:?}");
            assert!(!matches!(trouble, Trouble::NotFound | Trouble::Conflict), "{answer:?}");
        }
    }

    #[test]
    fn what_broke_off_after_it_may_have_been_sent_leaves_the_outcome_open() {
        for (failure, expected, open) in [
            (Failure::NotDelivered("x"), Trouble::Unreachable("x"), false),
            (Failure::BrokenOff("x"), Trouble::Interrupted("x"), true),
            (Failure::TooLarge, Trouble::Unreadable("body too large"), true),
        ] {
            let verdict = classify(Route::Change, Attempt::First, Err(failure));
            assert_eq!(verdict, Verdict { next: Next::Fail(expected), hold: None });
            assert_eq!(expected.may_have_been_applied(), open);
        }
    }
}
