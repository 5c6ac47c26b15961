use proptest::prelude::*;
use serde_json::json;

use super::*;

fn state(body: &str) -> Result<CampaignStatus, &'static str> {
    decode_state(body.as_bytes())
}

#[test]
fn a_state_is_known_only_from_one_plain_known_word() {
    use CampaignStatus::{Paused, Running, Stopped};
    for (body, expected) in [
        (r#"{"status":"running"}"#, Ok(Running)),
        (r#"{"status":"PAUSED","extra":[1,{"a":2}]}"#, Ok(Paused)),
        (r#"{"currentStatus":"Stopped"}"#, Ok(Stopped)),
        (r#"{"status":"running","currentStatus":"RUNNING"}"#, Ok(Running)),
        (r#"{"status":null,"currentStatus":"paused"}"#, Ok(Paused)),
        (r#"{"status":"running","currentStatus":"paused"}"#, Err("status and currentStatus differ")),
        (r#"{"status":"running","currentStatus":"who knows"}"#, Err("unknown status")),
        (r#"{"status":"running","status":"paused"}"#, Err("state is not the expected JSON")),
        (r#"{"status":"draining"}"#, Err("unknown status")),
        (r#"{"status":" running"}"#, Err("unknown status")),
        (r#"{"status":""}"#, Err("unknown status")),
        (r#"{"status":1}"#, Err("status is not a string")),
        (r#"{"status":["running"]}"#, Err("status is not a string")),
        (r#"{"Status":"running"}"#, Err("no status")),
        (r#"{}"#, Err("no status")),
        (r#"{"status":"running""#, Err("state is not the expected JSON")),
        (r#""running""#, Err("state is not the expected JSON")),
        ("", Err("state is not the expected JSON")),
        ("<html>running</html>", Err("state is not the expected JSON")),
    ] {
        assert_eq!(state(body), expected, "{body}");
    }
}

#[test]
fn an_array_is_no_answer_whatever_stands_in_it() {
    assert_eq!(state(r#"["running",null]"#), Err("state is not the expected JSON"));
    assert_eq!(decode_token(br#"["t",1800]"#), None);
    assert_eq!(fold(&[json!([[calls(0)], null])]), Err("statistics are not the expected JSON"));
    assert_eq!(state(" \r\n\t{\"status\":\"running\"} "), Ok(CampaignStatus::Running));
}

#[test]
fn a_lifetime_that_is_missing_or_absurd_is_bounded() {
    for (expires_in, seconds) in [
        (json!(1800), 1800),
        (json!(1), 1),
        (json!("1800"), 1800),
        (json!(null), 300),
        (json!(0), 300),
        (json!(-5), 300),
        (json!("soon"), 300),
        (json!("NaN"), 300),
        (json!([1]), 300),
        (json!("inf"), 86_400),
        (json!(1e300), 86_400),
        (json!(u64::MAX), 86_400),
    ] {
        let body = json!({"access_token": "t", "token_type": "Bearer", "expires_in": expires_in});
        let expected = Some(("t".to_owned(), Duration::from_secs(seconds)));
        assert_eq!(decode_token(body.to_string().as_bytes()), expected, "{body}");
    }
    assert_eq!(decode_token(br#"{"access_token":"t"}"#), Some(("t".to_owned(), DEFAULT_LIFETIME)));
    for body in [r#"{"expires_in":1800}"#, r#"{"access_token":5}"#, r#"{"access_token":null}"#, "", "[]"] {
        assert_eq!(decode_token(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn a_change_goes_out_as_documented_and_never_with_a_timer() {
    let transition = Transition {
        id: Uuid::from_u128(1),
        to: CampaignStatus::Paused,
        resume_mode: ResumeMode::Gradual,
        notify_agent_pool: false,
        requested_at: "2026-11-23T09:00:00-05:00".parse().unwrap(),
    };
    assert_eq!(
        serde_json::to_value(Change::new("c-1", &transition)).unwrap(),
        json!({
            "campaignId": "c-1",
            "status": "paused",
            "pauseDurationSeconds": 0,
            "resumeMode": "gradual",
            "notifyAgentPool": false,
            "metadata": {
                "transitionId": "00000000-0000-0000-0000-000000000001",
                "requestedAt": "2026-11-23T14:00:00Z"
            }
        })
    );
}

fn fold(bodies: &[Value]) -> Result<Option<Volume>, &'static str> {
    let mut pages = Pages::default();
    let mut volume = None;
    for body in bodies {
        volume = pages.add(body.to_string().as_bytes())?;
    }
    Ok(volume)
}

fn calls(active: u32) -> Value {
    json!({"activeCalls": active, "completedCalls": 5, "status": "running"})
}

fn calls_at(active: u32, at: &str) -> Value {
    json!({"activeCalls": active, "timestamp": at})
}

#[test]
fn the_last_row_of_the_last_page_is_the_newest() {
    let pages = [
        json!({"page": [calls(1), calls(2)], "nextPageToken": "a"}),
        json!({"page": [calls(3), calls(4)], "nextPageToken": null}),
    ];
    assert_eq!(fold(&pages), Ok(Some(Volume { active_calls: 4, pages: 2 })));
    assert_eq!(fold(&pages[..1]), Ok(None));
}

#[test]
fn a_last_page_without_rows_leaves_the_last_row_before_it() {
    let pages = [json!({"page": [calls(7)], "nextPageToken": "a"}), json!({"page": [], "nextPageToken": ""})];
    assert_eq!(fold(&pages), Ok(Some(Volume { active_calls: 7, pages: 2 })));
}

#[test]
fn timestamps_decide_when_all_rows_have_one() {
    let (old, new) = ("2026-11-23T09:00:00Z", "2026-11-23T05:00:00-05:00");
    for (rows, active_calls) in [
        (json!([calls_at(1, new), calls_at(2, old)]), 1),
        (json!([calls_at(1, old), calls_at(2, new)]), 2),
        (json!([calls_at(1, new), calls_at(2, new)]), 2),
        (json!([calls_at(1, new), calls(3), calls_at(2, old)]), 2),
        (json!([calls_at(1, new), calls_at(2, "yesterday")]), 2),
    ] {
        assert_eq!(fold(&[json!({"page": rows})]), Ok(Some(Volume { active_calls, pages: 1 })), "{rows}");
    }
}

#[test]
fn a_number_of_calls_that_is_not_plain_is_unknown_not_zero() {
    for active in [json!(null), json!(-1), json!(1.5), json!("3"), json!(true), json!(4_294_967_296_u64)] {
        assert_eq!(fold(&[json!({"page": [{"activeCalls": active}]})]), Err("activeCalls"), "{active}");
    }
    assert_eq!(fold(&[json!({"page": [{"completedCalls": 1}]})]), Err("activeCalls"));
    assert_eq!(fold(&[json!({"page": [5]})]), Err("activeCalls"));
    assert_eq!(fold(&[json!({"page": []})]), Err("no statistics rows"));
    assert_eq!(fold(&[json!({"rows": [calls(1)]})]), Err("statistics are not the expected JSON"));
    assert_eq!(fold(&[json!({"page": {}})]), Err("statistics are not the expected JSON"));
}

#[test]
fn paging_that_does_not_end_is_ended() {
    let page = |token: &str| json!({"page": [calls(1)], "nextPageToken": token});
    assert_eq!(fold(&[page("a"), page("b"), page("a")]), Err("a page token repeats"));
    let endless: Vec<_> = (0..100).map(|n| page(&n.to_string())).collect();
    assert_eq!(fold(&endless[..99]), Ok(None));
    assert_eq!(fold(&endless), Err("too many pages of statistics"));
    assert_eq!(fold(&[page(&"x".repeat(4097))]), Err("nextPageToken"));
    assert_eq!(fold(&[json!({"page": [calls(1)], "nextPageToken": 7})]), Err("nextPageToken"));
}

/// JSON of any shape under the names that matter, so that decoding gets past the parser.
fn near_miss() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        Just(json!("running")),
    ];
    let name = prop::sample::select(vec![
        "status",
        "currentStatus",
        "page",
        "nextPageToken",
        "activeCalls",
        "timestamp",
        "access_token",
        "expires_in",
    ]);
    let value = leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name.clone().prop_map(str::to_owned), inner, 0..4)
                .prop_map(|map| Value::from(map.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    });
    value.prop_map(|value| value.to_string().into_bytes())
}

proptest! {
    #[test]
    fn no_body_makes_decoding_panic(body in prop_oneof![near_miss(), prop::collection::vec(any::<u8>(), 0..200)]) {
        let _ = decode_state(&body);
        let _ = decode_token(&body);
        let _ = Pages::default().add(&body);
    }
}
