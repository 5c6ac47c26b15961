//! What the operator needs of a dialing platform.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::Trouble;

/// Who a request is sent for, and so what it may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Reads, starts, and everything else: paid for by [`Client::admit`](crate::Client::admit), stopped by a hold.
    Open,
    /// What stops dialing, with the reads that belong to it. Waits for nothing but its like, first come, first
    /// served. Paid for afterwards, by the open lane.
    ///
    /// Of its changes at most 16 are under way at a time, not counting those without an answer for 6 s. What was not
    /// sent within 5 s, be it for want of a place or of a token, is never sent: [`Trouble::Unreachable`].
    ///
    /// Of its reads at most 64, by [`Client::turn_to_look`](crate::Client::turn_to_look). They and the changes do not
    /// wait for each other, but for a token that one of them is fetching.
    Close,
}

/// The state of a campaign, on the wire in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CampaignStatus {
    /// It dials.
    Running,
    /// It does not dial; its place in the lists is kept.
    Paused,
    /// It does not dial.
    Stopped,
}

impl CampaignStatus {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

impl std::fmt::Display for CampaignStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the platform takes dialing up again, on the wire in lower case. It is told to the platform as declared;
/// nothing here ramps or schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ResumeMode {
    /// At full pace.
    Immediate,
    /// The platform ramps up.
    Gradual,
    /// At a time that was agreed before.
    Scheduled,
}

/// A value that was read, with the two clocks at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading<T> {
    /// What was read.
    pub value: T,
    /// The platform's clock: the `Date` header of the answer, to the second. None when absent or malformed.
    pub date: Option<Timestamp>,
    /// Our clock when the head of the answer came in.
    pub received: Timestamp,
}

/// How busy a campaign is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Calls under way in the newest snapshot.
    pub active_calls: u32,
    /// Pages that were read to find it: what the reading cost in requests.
    pub pages: u32,
}

/// A change of state to ask for.
///
/// There is no pause duration: `pauseDurationSeconds` is always 0 on the wire. A timed pause would be ended by the
/// platform itself, past every gate of the operator, and no call is known that takes such a timer back. Who wants a
/// timed pause keeps the time and asks for `running` when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Names this change in the platform's metadata; the same change is repeated under the same id.
    pub id: Uuid,
    /// The state to bring about.
    pub to: CampaignStatus,
    /// How dialing is to be resumed.
    pub resume_mode: ResumeMode,
    /// Whether the platform tells the agent pool.
    pub notify_agent_pool: bool,
    /// When the change was decided.
    pub requested_at: Timestamp,
}

/// A platform whose campaigns can be watched and steered.
///
/// A request is a wish and a reading is the proof: an implementation may need several calls for one transition, and
/// the platform may take its time to get there.
#[async_trait]
pub trait Dialer: Send + Sync {
    /// Reads the state of a campaign.
    ///
    /// In [`Lane::Open`] the caller has paid by [`Client::admit`](crate::Client::admit). In [`Lane::Close`] he holds a
    /// turn of [`Client::turn_to_look`](crate::Client::turn_to_look): the reading itself takes none and waits for none.
    ///
    /// # Errors
    /// [`Trouble`]; [`Trouble::NotFound`] says that the platform knows no such campaign.
    async fn observe(&self, campaign: &str, lane: Lane) -> Result<Reading<CampaignStatus>, Trouble>;

    /// Reads how busy a campaign is, from all pages of its statistics. Always in [`Lane::Open`].
    ///
    /// # Errors
    /// [`Trouble`]; anything but a whole, plain answer is [`Trouble::Unreadable`], never a zero.
    async fn volume(&self, campaign: &str) -> Result<Reading<Volume>, Trouble>;

    /// Asks for a transition. `Ok` means accepted, not done: [`observe`](Self::observe) proves it.
    ///
    /// # Errors
    /// [`Trouble`]; [`Trouble::may_have_been_applied`] says whether the outcome is open.
    async fn request(
        &self,
        campaign: &str,
        transition: &Transition,
        lane: Lane,
    ) -> Result<Reading<()>, Trouble>;
}
