//! The points. Tests read this very file, so that a deed that is added here is tried by them as well.

macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every one.
            #[allow(dead_code, reason = "for tests")]
            pub const ALL: &[Self] = &[$(Self::$variant),+];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }
    };
}

named! {
    /// Something durable, or visible to others.
    Deed {
        /// A status write that persists the intent of a start.
        IntentWrite => "intent-write",
        /// A status write that holds an outcome.
        OutcomeWrite => "outcome-write",
        /// A status write that takes what was delivered from the outbox.
        OutboxWrite => "outbox-write",
        /// Any other status write of a campaign.
        StatusWrite => "status-write",
        /// Our finalizer, set or taken away.
        FinalizerWrite => "finalizer-write",
        /// An Event.
        EventCreate => "event-create",
        /// The audit line that announces a PUT.
        IntentAppend => "intent-append",
        /// The audit line that tells an outcome.
        OutcomeAppend => "outcome-append",
        /// The PUT.
        Put => "put",
        /// A read of the state.
        Read => "read",
        /// A notification.
        Notify => "notify",
    }
}

named! {
    /// When.
    Moment {
        /// Nothing of it has happened.
        Before => "before",
        /// It is sent and not answered.
        Under => "under-way",
        /// It has happened, and nobody has acted on its answer.
        After => "after",
    }
}

impl Deed {
    /// The moments of it that can be told apart.
    #[allow(dead_code, reason = "for tests")]
    pub fn moments(self) -> &'static [Moment] {
        match self {
            Self::Put | Self::Notify => Moment::ALL,
            _ => &[Moment::Before, Moment::After],
        }
    }
}
