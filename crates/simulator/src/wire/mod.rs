//! The wire as CXone speaks it.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;

use crate::connection::{Line, huge, truncated};
use crate::faults::{Effect, Loss};
use crate::log::{Outcome, Route};
use crate::shared::Shared;
use crate::world::Apply;
use crate::world::schedule::Key;

mod call;
mod reply;
mod state;
mod stats;
mod token;
mod visit;

use call::Call;
use reply::{Reply, prescribed};
use visit::Visit;

/// Answers everything that is neither the page nor the control API.
pub(crate) async fn handle(
    State(shared): State<Arc<Shared>>,
    Extension(line): Extension<Line>,
    request: Request,
) -> Response {
    let call = Call::read(request).await;
    let visit = Visit::begin(shared, &call);
    answer(&call, &visit, &line).await
}

/// The one place where a fault has its effect.
async fn answer(call: &Call, visit: &Visit, line: &Line) -> Response {
    let usual = |apply| usual(call, visit, apply);
    let Some((_, effect)) = &visit.fault else { return send(visit, usual(Apply::Now)) };
    match effect {
        Effect::Answer { .. } => send(visit, prescribed(effect).unwrap_or_else(not_found)),
        Effect::Hang => hang(visit, line).await,
        Effect::Reset => reset(visit, line).await,
        Effect::Redirect { location } => send(visit, Reply::redirect(location)),
        Effect::HugeBody { mebibytes, status } => send_huge(visit, *status, *mebibytes),

        Effect::Delay { ms } => {
            tokio::time::sleep(Duration::from_millis(*ms)).await;
            send(visit, usual(Apply::Now))
        }
        Effect::Truncated => send_half(visit, usual(Apply::Now)),
        Effect::UnknownStatus { word } => send(visit, usual(Apply::Now).reworded(word)),
        Effect::EndlessPages => {
            send(visit, usual(Apply::Now).with_next_page(&stats::endless_token(visit.seq)))
        }
        Effect::RepeatingToken => send(visit, usual(Apply::Now).with_next_page(&stats::endless_token(0))),
        Effect::MissingActiveCalls => send(visit, usual(Apply::Now).without_active_calls()),

        Effect::Lie => send(visit, usual(Apply::Never)),
        Effect::LostAnswer { how } => or_lost(visit, line, usual(Apply::Now), Some(*how)).await,
        Effect::Late { ms, lost } => {
            let reply = usual(Apply::After(Duration::from_millis(*ms)));
            or_lost(visit, line, reply, *lost).await
        }
        Effect::Conflict { applied } => {
            let reply = usual(if *applied { Apply::Now } else { Apply::Never });
            send(visit, if reply.status == 200 { Reply::conflict() } else { reply })
        }
    }
}

/// What CXone would answer.
fn usual(call: &Call, visit: &Visit, apply: Apply) -> Reply {
    let answered = match call.route {
        _ if call.body.is_none() => Err(Reply::error(413, "payload_too_large", "the body is too large")),
        Route::Token => token::issue(&visit.shared, call),
        Route::StateGet => state::read(visit, call),
        Route::StatePut => state::write(visit, call, apply),
        Route::Stats => stats::page(visit, call),
        Route::Other if call.is_wrong_method() => {
            Err(Reply::error(405, "method_not_allowed", format!("{} is not for this path", call.method)))
        }
        Route::Other => Err(Reply::error(404, "not_found", "there is nothing at this path")),
    };
    answered.unwrap_or_else(|refused| refused)
}

fn send(visit: &Visit, reply: Reply) -> Response {
    visit.note(Outcome::Answered, Some(reply.status));
    reply.into_response()
}

fn send_half(visit: &Visit, reply: Reply) -> Response {
    visit.note(Outcome::Truncated, Some(reply.status));
    let bytes = reply.bytes();
    truncated(reply.into_response(), bytes)
}

fn send_huge(visit: &Visit, status: u16, mebibytes: u32) -> Response {
    visit.note(Outcome::Answered, Some(status));
    let mut response = Reply { status, headers: Vec::new(), body: serde_json::Value::Null }.into_response();
    *response.body_mut() = huge(usize::try_from(mebibytes).unwrap_or_default());
    response
}

/// Sends the answer to a PUT that succeeded, unless it gets lost. A refusal is never lost.
async fn or_lost(visit: &Visit, line: &Line, reply: Reply, lost: Option<Loss>) -> Response {
    match lost {
        Some(Loss::Reset) if reply.status == 200 => reset(visit, line).await,
        Some(Loss::Hang) if reply.status == 200 => hang(visit, line).await,
        _ => send(visit, reply),
    }
}

async fn reset(visit: &Visit, line: &Line) -> Response {
    visit.note(Outcome::Reset, None);
    line.reset().await
}

/// A handler that does not return is a server that does not answer; it ends with the connection when the client goes.
async fn hang(visit: &Visit, line: &Line) -> Response {
    visit.note(Outcome::Hung, None);
    visit.fault_removed().await;
    line.reset().await
}

fn key(organization: String, call: &Call) -> Key {
    Key { organization, campaign: call.campaign.clone().unwrap_or_default() }
}

fn not_found() -> Reply {
    Reply::error(404, "not_found", "there is no such campaign")
}
