//! Who waits through a transition never hears too early that it is done.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Effect, Fault, FaultRoute, State};
use tokio::sync::watch::{self, Receiver};

use super::{kstatus, oracle};
use crate::stage::{ORG, Stage};

/// The object as it was read, and the states of the campaign just before and after.
struct Look {
    object: Value,
    states: [State; 2],
}

/// Looks again and again while something is done, which is told how many looks there have been.
async fn looks_while(stage: &Stage, doing: impl AsyncFnOnce(Receiver<usize>)) -> Vec<Look> {
    let looks = Mutex::new(Vec::new());
    let (count, counted) = watch::channel(0);
    let campaign = stage.sim.campaign(ORG, "c-1");
    let looking = async {
        loop {
            let before = campaign.state();
            if let Some(object) = stage.campaigns().get_opt("c-1").await.unwrap() {
                let states = [before, campaign.state()];
                looks.lock().unwrap().push(Look { object: json!(object), states });
                count.send_modify(|count| *count += 1);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = looking => {}
        () = doing(counted) => {}
    }
    looks.into_inner().unwrap()
}

/// Waits for a look that begins now.
async fn looked_at(looks: &mut Receiver<usize>) {
    let now = *looks.borrow();
    // The next one may have begun before.
    looks.wait_for(|count| *count >= now + 2).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_transition_neither_engine_ever_says_that_it_is_done_before_cxone_does_it() {
    let mut stage = Stage::without_operator().await;
    stage.sim.campaign(ORG, "c-1").set(State::Paused);
    // Accepted at once, done a second later, so that only a read can tell.
    let late = Effect::Late { ms: 1000, lost: None };
    stage.sim.fault(Fault::new(FaultRoute::StatePut, late).campaign("c-1"));
    stage.declare("c-1", "Running", json!({})).await;
    stage.start_operator(&[]);
    let looks = looks_while(&stage, async |mut looks| {
        stage.until_ready("c-1", "True", "Running").await;
        looked_at(&mut looks).await;
        for state in ["Paused", "Running", "Stopped", "Running"] {
            stage.change("c-1", json!({"state": state})).await;
            stage.until_ready("c-1", "True", state).await;
            looked_at(&mut looks).await;
        }
        // A change that needs no work is no excuse to speak of what was before.
        stage.change("c-1", json!({"checkIntervalSeconds": 30})).await;
        stage.until_ready("c-1", "True", "Running").await;
        looked_at(&mut looks).await;
    })
    .await;

    let objects: Vec<Value> = looks.iter().map(|look| look.object.clone()).collect();
    let argo = oracle::health(&oracle::health_script("DialerCampaignState"), &objects);
    let strict = oracle::health(&oracle::strict_script(), &objects);
    let flux = kstatus(&objects);
    let mut done_in = std::collections::BTreeMap::<i64, [usize; 2]>::new();
    for (i, Look { object, states }) in looks.iter().enumerate() {
        let done = [argo[i].0 == "Healthy", strict[i].0 == "Healthy", flux[i].0 == "Current"];
        assert!(done == [done[0]; 3], "they disagree: {:?} {:?}: {object:#}", argo[i], flux[i]);
        let begun = ["Progressing", "Healthy"].contains(&argo[i].0.as_str());
        assert!(begun && ["InProgress", "Current"].contains(&flux[i].0.as_str()), "{:?}", argo[i]);
        let generation = object["metadata"]["generation"].as_i64().unwrap();
        done_in.entry(generation).or_default()[usize::from(done[0])] += 1;
        if done[0] {
            let declared = object["spec"]["state"].as_str().unwrap().to_lowercase();
            assert!(states.iter().any(|state| state.as_str() == declared), "{states:?}: {object:#}");
            assert_eq!(object["status"]["observedGeneration"], generation);
            assert_eq!(object["status"]["declared"], object["spec"]["state"]);
        }
    }
    println!("FIGURE looks by generation, [under way, done]: {done_in:?}");
    let awaited = done_in.values().take(5).all(|[under_way, _]| *under_way > 0);
    let seen = done_in.values().all(|[_, done]| *done > 0);
    assert!(done_in.len() == 6 && awaited && seen, "{done_in:?}");
}
