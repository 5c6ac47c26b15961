//! One brake for all campaigns of the cluster.

use anyhow::Result;

use super::{SURVEY, WINTER};
use crate::stage::Stage;
use crate::tell;

const POLICY: &str = "emergency";
const FILE: &str = "05-emergency-freeze.yaml";

/// A freeze, and its end.
pub async fn freeze(stage: &Stage) -> Result<()> {
    stage.kubectl.show(&["apply", "-f", FILE]).await?;
    tell::prose(
        "A DialingPolicy concerns every campaign of the namespaces that it selects; this one selects all, and says nothing yet.",
    );

    let since = stage.sim.last_seq();
    let patch = r#"{"spec":{"freeze":{"reason":"bad list, ask Kim","until":null,"pauseRunning":null}}}"#;
    let ran = stage.kubectl.show(&["patch", "dpol", POLICY, "--type", "merge", "-p", patch]).await?;
    let winter = stage.until_applied(WINTER, "Paused", since).await?;
    let survey = stage.until_applied(SURVEY, "Paused", since).await?;
    tell::prose(&format!(
        "Both campaigns that ran were paused, {} and {} after Enter; nothing starts any more, in any namespace.",
        winter.after(ran.entered),
        survey.after(ran.entered),
    ));
    winter.tell();
    tell::gap();
    stage.kubectl.show(&["get", "dpol"]).await?;

    let since = stage.sim.last_seq();
    let patch = r#"{"spec":{"freeze":null}}"#;
    let ran = stage.kubectl.show(&["patch", "dpol", POLICY, "--type", "merge", "-p", patch]).await?;
    let winter = stage.until_applied(WINTER, "Running", since).await?;
    let survey = stage.until_applied(SURVEY, "Running", since).await?;
    let (one, other) = (winter.after(ran.entered), survey.after(ran.entered));
    tell::prose(&format!(
        "Lifted: they ran again {one} and {other} after Enter, through every gate, and spread over ten seconds: a whole floor \
         that starts dialing in the same second helps nobody."
    ));
    winter.tell();
    Ok(())
}
