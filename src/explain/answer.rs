//! The answer in one sentence, and what is to be said of how far it can be trusted.

use jiff::SignedDuration;
use rules::decide::Decision;
use rules::gates::Obstacle;
use rules::inputs::{Inputs, Window};
use rules::kinds::{CampaignStatus, Cause, Effective, Mode, Observed};
use rules::reasons::{Reason, conditions};
use rules::report::{refusal, report};
use rules::wants::Wants;

use super::views::{GateView, Transition};
use super::when::{Zone, from_now};
use super::why::first_obstacle;

/// An announced change that is over for that long has not been followed.
const LATE: SignedDuration = SignedDuration::from_secs(15);

/// Conditions that tell of something in the way.
const COMPLAINTS: [(&str, &str); 4] = [
    (conditions::STALLED, "True"),
    (conditions::VIOLATION, "True"),
    (conditions::RECONCILING, "True"),
    (conditions::CALL_VOLUME_OK, "False"),
];
/// Advice that is none.
const EMPTY: [&str; 2] = ["Nothing.", "Wait."];

/// What the answer is made of.
pub struct Asked<'a> {
    pub inputs: &'a Inputs<'a>,
    pub decision: &'a Decision,
    /// What CXone said when the operator last read it.
    pub observed: Observed,
    pub status: &'a CampaignStatus,
    pub next: &'a [Transition],
    pub zone: &'a Zone,
}

/// Whether it dials, why, and what comes next.
pub fn sentence(asked: &Asked<'_>, name: &str) -> String {
    let Asked { inputs, decision, observed, .. } = asked;
    let id = &inputs.spec.campaign_id;
    let name = if id == name { name.to_owned() } else { format!("{name} (campaign {id})") };
    match observed {
        Observed::Unknown => {
            format!("whether {name} is dialing is not known: {}", said(asked.status))
        }
        Observed::Running if decision.must_close() => {
            let what = if inputs.spec.mode == Mode::Observe {
                "mode Observe forbids closing it"
            } else {
                "the operator closes it as soon as it can"
            };
            format!("{name} is dialing and must not: {}; {what}", reason(asked))
        }
        Observed::Running => match asked.next.first() {
            Some(change) => format!("{name} is dialing; it stops {}: {}", when(asked, change), change.rule),
            None => format!("{name} is dialing; nothing that is known ends that"),
        },
        Observed::Paused | Observed::Stopped => {
            format!("{name} is not dialing: {}; {}", reason(asked), start(asked))
        }
    }
}

fn reason(asked: &Asked<'_>) -> String {
    let Asked { inputs, decision, .. } = asked;
    match (decision.effective, first_obstacle(decision)) {
        (Effective::Paused | Effective::Stopped, _) if inputs.meta.deleting => {
            "the declaration is being deleted".to_owned()
        }
        (Effective::Paused | Effective::Stopped, _) if inputs.spec.suspend => "suspended".to_owned(),
        (Effective::Paused, _) => pause(asked),
        (Effective::Stopped, _) => "declared Stopped".to_owned(),
        (_, Some(obstacle)) => against(obstacle, inputs.window),
        (_, None) => format!("no gate that can be asked from here is closed; {}", said(asked.status)),
    }
}

fn pause(asked: &Asked<'_>) -> String {
    let until = asked.inputs.campaign.status.pause.as_ref().map(|pause| pause.until.0);
    until.map_or_else(
        || "declared Paused".to_owned(),
        |until| format!("declared Paused, until {}", asked.zone.named_local(until)),
    )
}

/// What stands against it, without the instants that are told beside it.
fn against(obstacle: &Obstacle, window: &Window) -> String {
    match (obstacle.reason, window) {
        (Reason::OutsideWindow, Window::Known(view)) => match &view.closed_by {
            Some(closing) if closing != &view.rule => {
                format!("outside {}; what opens last is {}", closing.text, view.rule.text)
            }
            _ => format!("outside {}", view.rule.text),
        },
        _ => obstacle.detail.clone(),
    }
}

/// When it starts.
fn start(asked: &Asked<'_>) -> String {
    let wants_none = asked.inputs.spec.mode == Mode::Observe;
    match asked.next.iter().find(|change| change.starts()) {
        Some(_) if wants_none => "mode Observe: it is not started".to_owned(),
        Some(change) if change.at <= asked.inputs.now.wall => match refusal(asked.status) {
            Some((reason, message)) => {
                format!("a start is due now, and the operator last said {reason}: {message}")
            }
            None => "a start is due now".to_owned(),
        },
        Some(change) => format!("it will {}, if nothing else holds it then", when(asked, change)),
        None => "nothing that is known starts it".to_owned(),
    }
}

fn when(asked: &Asked<'_>, change: &Transition) -> String {
    let now = asked.inputs.now.wall;
    format!("{} ({})", asked.zone.named_local(change.at), from_now(change.at, now))
}

fn said(status: &CampaignStatus) -> String {
    status.condition(conditions::READY).map_or_else(
        || "the operator has said nothing of it yet".to_owned(),
        |c| format!("the operator last said Ready={} {}: {}", c.status, c.reason, c.message),
    )
}

/// What a person can do about each thing that stands in the way, or that the operator complains of.
pub fn advice(asked: &Asked<'_>, gates: &[GateView]) -> Vec<String> {
    let Asked { inputs, decision, status, .. } = asked;
    let mut told: Vec<String> = Vec::new();
    if matches!(decision.wants, Wants::Closed(_, Cause::Declared)) {
        told.push(format!("Declared: set `spec.state: Running` where {} is not wanted.", inputs.spec.state));
    }
    for (applies, reason) in
        [(inputs.spec.suspend, Reason::Suspended), (inputs.spec.mode == Mode::Observe, Reason::Observe)]
    {
        told.extend(applies.then(|| format!("{reason}: {}", reason.advice())));
    }
    told.extend(
        gates.iter().filter_map(|gate| gate.holding.as_ref()).map(|h| format!("{}: {}", h.reason, h.advice)),
    );
    let complaints =
        status.conditions.iter().filter(|c| COMPLAINTS.contains(&(c.type_.as_str(), c.status.as_str())));
    for condition in complaints {
        let reason = Reason::ALL.iter().find(|reason| reason.as_str() == condition.reason);
        let Some(reason) = reason.filter(|reason| !EMPTY.contains(&reason.advice())) else { continue };
        // What a gate says names the object and the policy.
        if !told.iter().any(|line| line.starts_with(&format!("{reason}: "))) {
            told.push(format!("{reason}: {}", reason.advice()));
        }
    }
    told
}

/// What is to be said of how far the answer can be trusted.
pub fn notes(asked: &Asked<'_>) -> Vec<String> {
    let Asked { inputs, decision, status, zone, .. } = asked;
    let (generation, spoken_of) = (inputs.meta.generation, status.observed_generation);
    let mut notes = Vec::new();
    if spoken_of < 0 {
        notes.push(
            "the operator has not seen this object yet: does it run, and does it watch this namespace?"
                .to_owned(),
        );
        return notes;
    }
    if spoken_of != generation {
        notes.push(format!(
            "status speaks of generation {spoken_of}, the declaration is generation {generation}: the operator is behind, or does not run"
        ));
    }
    let announced = status.next_transition.as_ref().map(|next| next.at.0);
    if let Some(at) = announced.filter(|at| inputs.now.wall.duration_since(*at) > LATE) {
        let at = zone.named_local(at);
        notes.push(format!("a change was announced for {at} and status does not tell of it: the operator is behind, or does not run"));
    }
    notes.extend(disagreement(asked));
    if inputs.spec.mode == Mode::Observe {
        notes.push("mode Observe: the operator writes nothing to CXone, not even a close".to_owned());
    }
    if let Some(volume) = status.condition(conditions::CALL_VOLUME_OK) {
        notes.push(format!("calls, when they were last counted: {}", volume.message));
    }
    // A violation is Stalled too, in the same words.
    let worst = status.condition(conditions::VIOLATION).or_else(|| status.condition(conditions::STALLED));
    for condition in worst.into_iter().chain(status.condition(conditions::RECONCILING)) {
        notes.push(format!(
            "the operator says {}, {}: {}",
            condition.type_, condition.reason, condition.message
        ));
    }
    if decision.must_close() && asked.observed == Observed::Running && inputs.spec.mode == Mode::Enforce {
        notes.push(
            "it may not run, and was last seen running: see the Violation condition and the operator's log"
                .to_owned(),
        );
    }
    notes
}

/// Where the status says something else than the decision does.
fn disagreement(asked: &Asked<'_>) -> Option<String> {
    let (now, _) = report(asked.inputs, asked.decision);
    let held = |status: &CampaignStatus| {
        let held = status.condition(conditions::HELD).filter(|c| c.status == "True");
        held.map_or_else(|| "not held".to_owned(), |c| format!("held, {}", c.reason))
    };
    let tell = |status: &CampaignStatus| {
        let effective = status.effective.map_or_else(|| "nothing".to_owned(), |e| format!("{e:?}"));
        format!("{effective}, {}", held(status))
    };
    let (then, now) = (tell(asked.status), tell(&now));
    (then != now).then(|| {
        format!("status says {then}; by what is declared and the clock it is {now}: the operator is a moment behind, does not run, or knows what can't be read from here")
    })
}
