//! `GET .../stats`

use serde_json::json;

use crate::config::Scope;
use crate::refusal::Refusal;
use crate::wire::call::Call;
use crate::wire::reply::Reply;
use crate::wire::visit::Visit;
use crate::wire::{key, not_found};

const DEFAULT_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// Page tokens that a fault gave out and that lead to the first page again.
const ENDLESS: char = 'e';

pub(super) fn page(visit: &Visit, call: &Call) -> Result<Reply, Reply> {
    visit.shared.with(|world, now| {
        let key = key(world.admit(now, call.token.as_deref(), Scope::CampaignsRead)?, call);
        let wall = world.wall(now);
        let campaign = world.campaign_mut(&key).ok_or_else(not_found)?;
        let size = page_size(call).map_err(|refusal| Reply::bad_field(&refusal))?;
        let from = offset(call).map_err(|refusal| Reply::bad_field(&refusal))?;
        let page = campaign.page(now, wall, from, size);
        Ok(Reply::ok(
            json!({"page": page.rows, "nextPageToken": page.next.map(|next| format!("p{next:06x}"))}),
        ))
    })
}

/// A page token that is valid, new for every `number`, and leads to the first page again.
pub(super) fn endless_token(number: u64) -> String {
    format!("{ENDLESS}{number:06x}")
}

fn page_size(call: &Call) -> Result<usize, Refusal> {
    let Some(text) = call.parameter("pageSize") else { return Ok(DEFAULT_PAGE) };
    let size = text.parse().ok().filter(|size| (1..=LARGEST_PAGE).contains(size));
    size.ok_or_else(|| Refusal::new("pageSize", text, format!("1 to {LARGEST_PAGE}")))
}

fn offset(call: &Call) -> Result<usize, Refusal> {
    let Some(token) = call.parameter("pageToken") else { return Ok(0) };
    if token.starts_with(ENDLESS) {
        return Ok(0);
    }
    let offset = token.strip_prefix('p').and_then(|hex| usize::from_str_radix(hex, 16).ok());
    offset.ok_or_else(|| Refusal::new("pageToken", token, "a nextPageToken of the page before"))
}
