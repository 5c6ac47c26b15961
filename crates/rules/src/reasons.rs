//! Every reason that a condition can give, with what a person can do about it.

use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $advice:literal;)+) => {
        /// Why something is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[doc = $doc])+ $name),+ }

        impl Reason {
            /// All of them, in the order in which the documentation lists them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word that stands in a condition.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii()),+ }
            }

            /// What a person can do.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice),+ }
            }
        }
    };
}

reasons! {
    /// CXone runs the campaign, as it should.
    Running => "Nothing.";
    /// CXone has the campaign paused, as declared.
    Paused => "Nothing.";
    /// CXone has the campaign stopped, as declared (or stopped where paused was declared).
    Stopped => "Nothing.";
    /// The declaration is not applied; window and hold still close.
    Suspended => "Set `spec.suspend: false` when the declaration is to apply again.";
    /// The operator only reports what it would do.
    Observe => "Set `spec.mode: Enforce` when it is to act.";
    /// The state differs from what is declared.
    Declared => "See `Held` and `Ready` for why; where they say nothing, wait: it is about to be applied.";

    /// Within the hours of the campaign and of every policy.
    WithinWindow => "Nothing.";
    /// Nothing holds the campaign.
    NotHeld => "Nothing.";
    /// Few enough calls are active to start.
    WithinCap => "Nothing.";

    /// Outside the hours of the campaign or of a policy.
    OutsideWindow => "Wait for `status.window.nextOpen`, or change what `status.window.rule` names.";
    /// Neither the campaign nor a policy gives hours.
    NoWindow => "Set `spec.complianceWindow` with `timeZones` and `hours`, or apply a DialingPolicy that gives hours.";
    /// The hours do not open within 400 days.
    NeverOpen => "Change `spec.complianceWindow` or the policies: their hours never meet in all zones, or the lead uses them up.";
    /// A time zone is not in the operator's database.
    UnknownZone => "Use another zone, or update the operator.";
    /// The hold annotation is set.
    Manual => "Remove the annotation: `kubectl annotate dcs NAME dialer.cxone-operator.io/hold-`.";
    /// A policy's freeze holds the campaign.
    Frozen => "`kubectl get dpol` tells why and until when; lift it with `kubectl patch dpol NAME --type merge -p '{\"spec\":{\"freeze\":null}}'`.";
    /// A policy that may concern the campaign can't be read, or the policies can't be listed.
    PolicyUnreadable => "Read the message: mend the DialingPolicy or the operator's rights; `--no-policies` is the explicit way to live without them.";
    /// `resumeAt` has not come.
    ScheduledResume => "Wait for `spec.resumeAt`, or change `spec.resumeMode`.";
    /// A timed pause is over and `pauseExpiry: Hold` keeps it.
    PauseExpired => "Declare `state: Running` to go on.";
    /// Somebody else paused in CXone what should run.
    ExternalPause => "Start it in CXone, or release it: `kubectl annotate --overwrite dcs NAME dialer.cxone-operator.io/release=$(date +%s)`.";
    /// Somebody else pauses it again and again; three starts in 15 minutes did not hold.
    Contested => "Find out who pauses it, then release it as an ExternalPause.";
    /// The hours end too soon to start now.
    ClosingSoon => "Wait for the next opening.";
    /// The clock of CXone and the operator's differ by more than 30 s.
    ClockSkew => "Mend the clock of the operator's node.";
    /// The audit log can't be written.
    AuditUnavailable => "Free space or mend the path of `--audit-log`; closes go on meanwhile, recorded on standard error.";

    /// More calls are active than `maxActiveCalls`.
    TooManyCalls => "Wait until they drain, or raise `spec.maxActiveCalls`.";
    /// A change has been sent and a read has not confirmed it yet.
    Confirming => "Wait.";
    /// The operator has not read the campaign yet.
    NotYetObserved => "Wait.";
    /// The operator has not read all declarations yet.
    NotListed => "Wait; if it stays, look at the operator's `/readyz` and its rights.";
    /// Another declaration of the same campaign has not been examined yet.
    ClaimPending => "Wait.";
    /// CXone's state of the campaign can't be read; nothing starts.
    StateUnreadable => "Look at the operator's log; CXone answers errors or something odd.";
    /// CXone's statistics can't be read; nothing starts.
    StatsUnreadable => "Look at the operator's log; CXone answers errors or something odd.";
    /// CXone asked for fewer requests (429, or 503 with Retry-After).
    RateLimited => "Wait; lower the tenant's `requestsPerSecond` if it comes often. Closes are not held.";
    /// CXone does not answer, or answers 5xx.
    Unavailable => "Wait; check CXone's status page and the network.";
    /// A write was refused because of another writer (409).
    Conflict => "Wait: the operator reads again and decides anew.";

    /// The CXoneTenant of `tenantRef` does not exist.
    TenantNotFound => "Create the CXoneTenant in the same namespace.";
    /// The tenant's host is not on the operator's list; it gets no request.
    EndpointNotAllowed => "Use `organization`, or have the operator started with `--allow-endpoint [http://]HOST[:PORT]`.";
    /// The Secret with the credentials is missing, lacks a key, or may not be read: the CXoneTenant says which.
    CredentialsMissing => "Create the Secret of `credentialsSecretRef` with the keys `clientId` and `clientSecret`. Nothing starts until then; closes go on with the credentials that CXone honoured before.";
    /// CXone refuses the credentials (401).
    Unauthorized => "Correct the Secret (`kubectl create secret ... --dry-run=client -o yaml | kubectl apply -f -`); the operator notices within a minute.";
    /// The credentials lack a scope or the dialer role (403).
    Forbidden => "Give the service account `campaigns:read`, `campaigns:write` and the dialer role.";
    /// CXone knows no such campaign (404).
    CampaignNotFound => "Correct `campaignId` (delete and create: it is immutable), or create the campaign.";
    /// CXone refuses the change although the campaign is not there yet (409 twice).
    InvalidTransition => "Look at the campaign in CXone: something there forbids the change.";
    /// CXone refuses the request (another 3xx or 4xx).
    Rejected => "Look at the operator's log and the tenant's `baseUrl`.";
    /// Another declaration owns this campaign; this one does nothing.
    DuplicateClaim => "Delete one of the two.";
    /// The change has not come about within `progressDeadlineSeconds`; the operator keeps trying.
    ProgressDeadlineExceeded => "Read the message, and look at the campaign in CXone.";
    /// The object can't be decoded; the operator leaves its campaign alone.
    Undecodable => "Apply the object anew with a manifest that the current CRD accepts.";

    /// The policy can be read and applies.
    PolicyReady => "Nothing.";
    /// CXone has accepted the tenant's credentials.
    TenantReady => "Nothing.";
    /// Every sink of the tenant is on the operator's list.
    AllAllowed => "Nothing.";
    /// A sink is not on the operator's list; it gets nothing.
    SinkNotAllowed => "Correct the sink's `url`, or have the operator started with `--allow-sink [http://]HOST[:PORT]`.";
    /// Each key that sinks are signed with was found.
    AllFound => "Nothing.";
    /// A key that a sink is signed with is missing, or is no signing secret; its notifications wait.
    SigningSecretMissing => "Create the Secret and key of `signingSecretRef`: `whsec_` and 24 to 64 bytes in base64.";

    /// A notification could not be delivered in time.
    GivenUp => "Mend the sink; tell its owner of what `status.history` holds. The next delivered notification ends this.";
    /// A notification was pushed out of a full outbox by newer ones.
    Superseded => "Mend the sink, or find out why the campaign changes so often.";
    /// A notification was pending when its declaration was deleted.
    Deleted => "Tell the sink's owner what became of the campaign.";
    /// A notification was pending when the tenant ceased to name its sink.
    SinkRemoved => "Nothing, if that was meant.";

    /// The tenant's host does not answer, or answers 5xx.
    Unreachable => "Check the host, the network and CXone's status page.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The condition types of a campaign, in the order in which status lists them.
pub mod conditions {
    /// Observed equals effective.
    pub const READY: &str = "Ready";
    /// Work is under way. Present only when True.
    pub const RECONCILING: &str = "Reconciling";
    /// Nothing moves without a hand, or not in time. Present only when True.
    pub const STALLED: &str = "Stalled";
    /// Seen running where it may not. Present only when True.
    pub const VIOLATION: &str = "Violation";
    /// Observed equals declared.
    pub const IN_SYNC: &str = "InSync";
    /// It should run and may not.
    pub const HELD: &str = "Held";
    /// The dialing window is open.
    pub const WINDOW_OPEN: &str = "WindowOpen";
    /// Few enough calls are active. Present while a start is wanted and they were counted.
    pub const CALL_VOLUME_OK: &str = "CallVolumeOK";
    /// A notification was lost. Present only when True.
    pub const SYNC_FAILED: &str = "SyncFailed";
    /// All of them.
    pub const ALL: [&str; 9] =
        [READY, RECONCILING, STALLED, VIOLATION, IN_SYNC, HELD, WINDOW_OPEN, CALL_VOLUME_OK, SYNC_FAILED];
    /// Of a tenant that names sinks: all of them are on the operator's list.
    pub const SINKS_ALLOWED: &str = "SinksAllowed";
    /// Of a tenant whose sinks are signed for: each has its key.
    pub const SIGNING_SECRETS_FOUND: &str = "SigningSecretsFound";
}
