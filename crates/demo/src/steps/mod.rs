//! The steps: each does one thing that happens in the life of a dialer, and tells what came of it, and why.

mod declared;
mod frozen;
mod guarded;
mod recorded;
mod troubled;

use anyhow::Result;

use crate::stage::Stage;
use crate::tell;
use crate::transition::Subject;

const WINTER: Subject =
    Subject { name: "winter-renewals", campaign: "c-7731", file: "02-winter-renewals.yaml" };
const PAYMENT: Subject =
    Subject { name: "payment-reminders", campaign: "c-7732", file: "03-payment-reminders.yaml" };
const SURVEY: Subject = Subject { name: "survey-east", campaign: "c-7733", file: "04-survey-east.yaml" };

/// Plays all steps.
///
/// # Errors
/// Where a step does not come true: which fact was awaited, and what was seen instead.
pub async fn play(stage: &Stage) -> Result<()> {
    tell::heading("1. Declare");
    declared::first(stage).await?;
    tell::heading("2. Pause: edit the file, apply it");
    declared::pause(stage).await?;
    tell::heading("3. Resume");
    declared::resume(stage).await?;
    tell::heading("4. Somebody starts a campaign beyond its hours");
    guarded::outside_hand(stage).await?;
    tell::heading("5. Too many calls");
    guarded::too_many_calls(stage).await?;
    tell::heading("6. The brake: hold");
    guarded::hold(stage).await?;
    tell::heading("7. One brake for all: freeze");
    frozen::freeze(stage).await?;
    tell::heading("8. A lost answer");
    troubled::lost_answer(stage).await?;
    tell::heading("9. CXone asks for fewer requests: 429");
    troubled::rate_limit(stage).await?;
    tell::heading("10. Another writer was faster: 409");
    troubled::conflict(stage).await?;
    tell::heading("11. What is on record, and who changes it afterwards");
    recorded::record(stage).await?;
    tell::heading("How it stands now");
    stage.kubectl.show(&["get", "dcs"]).await?;
    Ok(())
}
