//! What is counted for Prometheus. Labels are bounded: no names of users' objects but in the violation gauge.

use std::sync::atomic::AtomicI64;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use rules::kinds::{Sink, TransitionRecord};

use crate::audit::Heads;

/// Labels of a finished transition.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    to: String,
    outcome: String,
    cause: String,
}

/// Labels of a campaign that violates.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Violator {
    namespace: String,
    name: String,
}

/// Labels of the time that a transition took.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Took {
    to: String,
    outcome: String,
}

/// Labels of a notification.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Notified {
    sink: &'static str,
    outcome: &'static str,
}

/// What became of a notification, or of one try.
#[derive(Clone, Copy)]
pub enum Notice {
    /// Its sink has it.
    Delivered,
    /// A try failed.
    Failed,
    /// Its sink will never have it.
    Lost,
}

/// Upper bounds of what a transition took, in seconds.
const SECONDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Every metric of the process.
pub struct Metrics {
    ended: Family<Ended, Counter>,
    violations: Family<Violator, Gauge<i64, AtomicI64>>,
    latency: Family<Took, Histogram, fn() -> Histogram>,
    notifications: Family<Notified, Counter>,
    pub pending_notifications: Gauge<i64, AtomicI64>,
    pub campaigns: Gauge<i64, AtomicI64>,
    pub policies: Gauge<i64, AtomicI64>,
    pub policies_current: Gauge<i64, AtomicI64>,
    pub unreadable_policies: Gauge<i64, AtomicI64>,
    pub kubernetes_write_failures: Counter,
    pub status_writes: Counter,
}

impl Metrics {
    /// The metrics, and the registry that prints them.
    pub fn new() -> (Self, Registry) {
        let metrics = Self {
            ended: Family::default(),
            violations: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            notifications: Family::default(),
            pending_notifications: Gauge::default(),
            campaigns: Gauge::default(),
            policies: Gauge::default(),
            policies_current: Gauge::default(),
            unreadable_policies: Gauge::default(),
            kubernetes_write_failures: Counter::default(),
            status_writes: Counter::default(),
        };
        let mut registry = Registry::with_prefix("dialer");
        registry.register("transitions", "Transitions that have ended", metrics.ended.clone());
        registry.register(
            "transition_seconds",
            "How long transitions took from decision to outcome",
            metrics.latency.clone(),
        );
        registry.register(
            "notifications",
            "Notifications delivered and lost, and tries that failed",
            metrics.notifications.clone(),
        );
        registry.register(
            "notifications_pending",
            "Notifications that wait to be delivered",
            metrics.pending_notifications.clone(),
        );
        registry.register(
            "violation",
            "1 for a campaign that is seen running where it may not",
            metrics.violations.clone(),
        );
        registry.register("campaigns", "Declarations that are watched", metrics.campaigns.clone());
        registry.register("policies", "DialingPolicies that are watched", metrics.policies.clone());
        registry.register(
            "policies_current",
            "0 while policies or namespaces are not listed or not watched: nothing starts, and what runs is paused in the end",
            metrics.policies_current.clone(),
        );
        registry.register(
            "unreadable_policies",
            "DialingPolicies that can't be decoded: nothing may run that they may concern",
            metrics.unreadable_policies.clone(),
        );
        registry.register(
            "kubernetes_write_failures",
            "Writes that the API server refused or did not answer",
            metrics.kubernetes_write_failures.clone(),
        );
        registry.register("status_writes", "Status writes", metrics.status_writes.clone());
        (metrics, registry)
    }

    /// A transition has ended.
    pub fn transition_ended(&self, record: &TransitionRecord) {
        let labels = Ended {
            to: record.to.to_string(),
            outcome: record.outcome.to_string(),
            cause: record.cause.to_string(),
        };
        self.ended.get_or_create(&labels).inc();
        let took = Took { to: labels.to, outcome: labels.outcome };
        let seconds = std::time::Duration::from_millis(record.latency_ms.unsigned_abs()).as_secs_f64();
        self.latency.get_or_create(&took).observe(seconds);
    }

    /// A notification was delivered or lost, or a try of it failed.
    pub fn notified(&self, sink: Sink, what: Notice) {
        let outcome = match what {
            Notice::Delivered => "delivered",
            Notice::Failed => "failed",
            Notice::Lost => "lost",
        };
        self.notifications.get_or_create(&Notified { sink: sink.field(), outcome }).inc();
    }

    /// Whether this campaign violates.
    pub fn violation(&self, namespace: &str, name: &str, violates: bool) {
        let labels = Violator { namespace: namespace.to_owned(), name: name.to_owned() };
        if violates {
            self.violations.get_or_create(&labels).set(1);
        } else {
            self.violations.remove(&labels);
        }
    }
}

/// Tells with each scrape where the audit record's chains end. Nothing is told of a line that is not the last any more.
pub fn register_heads(registry: &mut Registry, heads: Heads) {
    registry.register_collector(Box::new(HeadCollector(heads)));
}

#[derive(Debug)]
struct HeadCollector(Heads);

/// Labels of a chain's last line.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ends {
    place: &'static str,
    chain: String,
    hash: String,
}

impl Collector for HeadCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "The number of the last line of the audit record in its chain; keep it to prove later that none was cut off";
        let mut encoder = encoder.encode_descriptor("audit_head", help, None, MetricType::Gauge)?;
        for (place, head) in self.0.now() {
            let labels = Ends { place, chain: head.chain.to_string(), hash: head.hash.to_string() };
            let seq = i64::try_from(head.seq).unwrap_or(i64::MAX);
            ConstGauge::new(seq).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
