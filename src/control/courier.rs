//! Couriers: one lane for each campaign and sink, in order, for as long as there is something to deliver. No pass waits for one;
//! what came of it is left at the desk for the next pass.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rules::kinds::{Notification, Sink};
use rules::trouble::exponential;
use tokio::sync::watch;
use tracing::{debug, warn};
use webhooks::Message;

use super::context::Context;
use super::sinks::{SinkClient, Undelivered};
use crate::clock;
use crate::crash::{self, Deed};
use crate::metrics::Notice;

/// The shortest wait between two tries, whatever the receiver asks for.
const SHORTEST: Duration = Duration::from_secs(1);

/// The courier of one declaration.
#[derive(Default)]
pub struct Courier {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lanes: HashMap<Sink, watch::Sender<Orders>>,
    reports: Vec<Report>,
    /// How many of this declaration the gauge of what waits has counted.
    counted: i64,
}

/// Whose notifications they are.
#[derive(Clone)]
pub struct Sender {
    pub namespace: String,
    pub name: String,
    pub campaign: String,
}

/// What a lane has to deliver, in order, and to whom.
#[derive(Clone)]
pub struct Orders {
    pub sink: Sink,
    pub client: Arc<SinkClient>,
    pub waiting: Vec<Notification>,
}

/// What came of a notification.
pub enum Report {
    /// Its sink has it.
    Delivered(String),
    /// A try failed, for another reason than the one before.
    Failed(Notification, String),
}

impl Courier {
    /// Hands out what is to be delivered now: lanes without orders end. `waiting` is how many there are in all.
    pub fn send_out(
        self: &Arc<Self>,
        ctx: &Arc<Context>,
        sender: &Sender,
        orders: Vec<Orders>,
        waiting: usize,
    ) {
        let mut state = self.lock();
        count(&mut state, ctx, waiting);
        state.lanes.retain(|sink, _| orders.iter().any(|order| order.sink == *sink));
        for order in orders {
            match state.lanes.get(&order.sink) {
                Some(lane) => lane.send_modify(|old| *old = order),
                None => {
                    let sink = order.sink;
                    let (lane, orders) = watch::channel(order);
                    state.lanes.insert(sink, lane);
                    let lane = Lane { ctx: ctx.clone(), courier: self.clone(), sender: sender.clone() };
                    tokio::spawn(lane.run(orders));
                }
            }
        }
    }

    /// What came of deliveries since this was last asked.
    pub fn reports(&self) -> Vec<Report> {
        std::mem::take(&mut self.lock().reports)
    }

    /// Nothing is delivered any more.
    pub fn end(&self, ctx: &Context) {
        let mut state = self.lock();
        state.lanes.clear();
        count(&mut state, ctx, 0);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(state: &mut State, ctx: &Context, waiting: usize) {
    let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
    let before = std::mem::replace(&mut state.counted, waiting);
    ctx.metrics.pending_notifications.inc_by(waiting - before);
}

/// Delivers to one sink.
struct Lane {
    ctx: Arc<Context>,
    courier: Arc<Courier>,
    sender: Sender,
}

impl Lane {
    async fn run(self, mut orders: watch::Receiver<Orders>) {
        // Status may go on naming what was delivered for a while.
        let mut delivered = HashSet::new();
        // What was said last of each.
        let mut said: HashMap<String, String> = HashMap::new();
        let mut failures = 0;
        loop {
            if orders.has_changed().is_err() {
                // Nobody waits for it any more: what was not delivered is on record as lost.
                return;
            }
            let order = orders.borrow_and_update().clone();
            let Some(next) = order.waiting.iter().find(|n| !delivered.contains(&n.webhook_id)) else {
                match orders.changed().await {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            };
            match self.try_once(&order, next).await {
                Ok(()) => {
                    failures = 0;
                    delivered.insert(next.webhook_id.clone());
                    self.report(Report::Delivered(next.webhook_id.clone()));
                }
                Err(error) => {
                    let why = error.to_string();
                    if said.insert(next.webhook_id.clone(), why.clone()).as_ref() != Some(&why) {
                        self.complain(next, why);
                    }
                    let wait = pause(failures, error.retry_after(), clock::jitter());
                    failures = failures.saturating_add(1);
                    match until_due(wait, &order.client, &mut orders).await {
                        Due::Again => {}
                        Due::Anew => failures = 0,
                        Due::Never => return,
                    }
                }
            }
        }
    }

    async fn try_once(&self, order: &Orders, notification: &Notification) -> Result<(), Undelivered> {
        let body = notification.body(&self.sender.campaign);
        let message = Message { id: notification.webhook_id.clone(), body };
        let done = crash::around(Deed::Notify, order.client.deliver(&message)).await;
        self.ctx.metrics.notified(order.sink, if done.is_ok() { Notice::Delivered } else { Notice::Failed });
        let Sender { namespace, name, .. } = &self.sender;
        let (sink, id) = (order.sink.field(), &notification.webhook_id);
        match &done {
            Ok(()) => debug!(namespace, name, sink, id, "a notification was delivered"),
            Err(error) => debug!(namespace, name, sink, id, %error, "a notification was not taken"),
        }
        done
    }

    /// Says, once for each notification and reason, that its sink does not take it.
    fn complain(&self, notification: &Notification, why: String) {
        let Sender { namespace, name, .. } = &self.sender;
        let (sink, id) = (notification.sink.field(), &notification.webhook_id);
        warn!(
            namespace,
            name,
            sink,
            id,
            error = why,
            "a notification was not taken; trying again until it is given up"
        );
        self.report(Report::Failed(notification.clone(), why));
    }

    fn report(&self, report: Report) {
        self.courier.lock().reports.push(report);
        self.ctx.wake(&self.sender.namespace, &self.sender.name);
    }
}

/// When the next try is due.
enum Due {
    /// The wait is over.
    Again,
    /// The tenant has changed: at once.
    Anew,
    /// Nothing is left to deliver.
    Never,
}

async fn until_due(wait: Duration, client: &Arc<SinkClient>, orders: &mut watch::Receiver<Orders>) -> Due {
    let wait = tokio::time::sleep(wait);
    tokio::pin!(wait);
    loop {
        tokio::select! {
            () = &mut wait => return Due::Again,
            changed = orders.changed() => match changed {
                Err(_) => return Due::Never,
                Ok(()) if !Arc::ptr_eq(client, &orders.borrow().client) => return Due::Anew,
                Ok(()) => {}
            }
        }
    }
}

/// How long to wait after so many failures in a row before this one. What the receiver asks for is not cut short, and a little
/// more, so that many do not come at once.
fn pause(failures: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
    match retry_after {
        Some(wait) => wait.max(SHORTEST) + SHORTEST.mul_f64(0.5 * jitter),
        None => exponential(failures, jitter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_what_the_receiver_asks_for_is_never_cut_short() {
        let secs = Duration::from_secs;
        for (failures, wait) in
            [(0, 1), (1, 2), (2, 4), (8, 256), (9, 300), (31, 300), (32, 300), (u32::MAX, 300)]
        {
            assert_eq!(pause(failures, None, 0.0), secs(wait), "{failures}");
            assert!(pause(failures, None, 0.9) <= secs(300), "{failures}");
            assert_eq!(pause(failures, Some(secs(7)), 0.0), secs(7));
        }
        assert_eq!(pause(0, Some(secs(0)), 0.0), secs(1), "no storm, even if asked for");
        assert!(pause(0, Some(secs(7)), 0.9) > secs(7));
    }
}
