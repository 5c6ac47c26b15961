//! What a calendar says at one instant: open or closed, until when, and by which rule.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::rule::Rule;
use super::search::{Close, Search, later};
use super::{Calendar, Closer, HORIZON, words};
use crate::kinds::PolicyRef;

/// The window as it is at one instant, the close lead taken off.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowView {
    /// Whether dialing is allowed.
    pub open: bool,
    /// When it opens next (after the next close, where it is open). `None`: not within [`HORIZON`].
    pub next_open: Option<Timestamp>,
    /// When it closes next. `None`: not within [`HORIZON`].
    pub next_close: Option<Timestamp>,
    /// The rule behind the next change, or behind there being none.
    pub rule: RuleText,
    /// The first rule that closes it now; absent where it is open. What opens it last may be another one.
    pub closed_by: Option<RuleText>,
    /// The lowest cap of the policies that apply now.
    pub cap: Option<Cap>,
    /// Until when all of this holds at most: a clock jumps then, or a rule begins or ceases to apply.
    pub holds_until: Timestamp,
}

/// A rule in words, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleText {
    /// At most 512 characters.
    pub text: String,
    /// The policy; none: the campaign's own window.
    pub policy: Option<PolicyRef>,
}

/// The most calls that may be active when a campaign starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// How many.
    pub calls: i32,
    /// Which policy says so.
    pub policy: Option<PolicyRef>,
}

impl Cap {
    pub(super) fn of(rule: &Rule) -> Option<Self> {
        Some(Self { calls: rule.cap?, policy: rule.policy.clone() })
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.policy {
            None => write!(f, "{} calls", self.calls),
            Some(policy) => write!(f, "{} calls (policy {})", self.calls, policy.name),
        }
    }
}

impl WindowView {
    /// The next change.
    pub fn next_edge(&self) -> Option<Timestamp> {
        if self.open { self.next_close } else { self.next_open }
    }
}

/// An open span: its close, the lead not taken off, is absent where it does not end within [`HORIZON`].
pub(super) struct Span {
    pub(super) from: Timestamp,
    close: Option<Close>,
}

impl Span {
    fn until(&self) -> Option<Timestamp> {
        self.close.map(|close| close.at.checked_sub(close.lead).unwrap_or(Timestamp::MIN))
    }

    fn lead(&self) -> SignedDuration {
        self.close.map_or(SignedDuration::ZERO, |close| close.lead)
    }
}

impl Calendar {
    /// The window at this instant, the close lead taken off.
    pub fn view(&self, at: Timestamp) -> WindowView {
        let search = Search::new(self, at);
        let (cap, lead, stretch_ends, next_change) =
            (search.cap(), search.lead(), search.stretch_ends(), search.next_change(at));
        let view = |open, next_open, next_close, rule| WindowView {
            open,
            next_open,
            next_close,
            rule,
            closed_by: None,
            cap,
            // While it is closed another rule may close too, or one may open: then another is the first.
            holds_until: if open || next_open.is_none() { stretch_ends } else { next_change },
        };
        let mut spans = self.spans(search, at);
        match spans.next() {
            None => view(false, None, None, self.rules_at(at, lead)),
            Some(span) if span.from <= at => {
                let rule = self.rule_at(span.close.map_or(at, |close| close.at), span.lead());
                view(true, spans.next().map(|next| next.from), span.until(), rule)
            }
            Some(span) => {
                let before = span.from.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(span.from);
                let rule = self.rule_at(before.max(at), span.lead());
                let closed_by = self.closed_by(at, span.lead());
                WindowView { closed_by, ..view(false, Some(span.from), span.until(), rule) }
            }
        }
    }

    /// The first rule that does not allow dialing at this instant, or the first of all.
    fn rule_at(&self, at: Timestamp, lead: SignedDuration) -> RuleText {
        match (self.closer(at), self.rules.first()) {
            (Some(Closer::Rule(rule, zone)), _) => {
                let rule = &self.rules[rule];
                rule.text(Some(self.zones[zone].to_datetime(at)), lead)
            }
            (None, Some(first)) => first.text(None, lead),
            (Some(Closer::NoHours), _) | (None, None) => no_hours(),
        }
    }

    /// The rule that closes at this instant, or by whose end of the hours the lead does.
    fn closed_by(&self, at: Timestamp, lead: SignedDuration) -> Option<RuleText> {
        let closed = if self.allowed(at) { self.next_edge(at)? } else { at };
        Some(self.rule_at(closed, lead))
    }

    /// What never opens: all rules that close anything, since which of them is closed first changes from hour to hour.
    fn rules_at(&self, at: Timestamp, lead: SignedDuration) -> RuleText {
        let closing: Vec<_> = self.rules.iter().filter(|rule| rule.closes()).collect();
        match closing.as_slice() {
            _ if self.lacks_hours_at(at) => no_hours(),
            [only] => only.text(None, lead),
            several => {
                let texts: Vec<_> = several.iter().map(|rule| rule.words(None, lead)).collect();
                let policy = several.first().and_then(|rule| rule.policy.clone());
                RuleText { text: words::short(texts.join(" with ")), policy }
            }
        }
    }

    /// The open spans from `at` on; those that the lead uses up are left out.
    pub(super) fn spans<'a>(
        &'a self,
        mut search: Search<'a>,
        at: Timestamp,
    ) -> impl Iterator<Item = Span> + 'a {
        let end = later(at, HORIZON);
        // No span since `found` was left over.
        let (mut cursor, mut found) = (at, at);
        std::iter::from_fn(move || {
            loop {
                let from = search.next_open(cursor, end)?;
                let Some(close) = search.next_close(from, later(end, LONGEST_LEAD)) else {
                    cursor = end;
                    return Some(Span { from, close: None });
                };
                let span = Span { from, close: Some(close) };
                if span.until().is_some_and(|until| until > from) {
                    (cursor, found) = (close.at, close.at);
                    return Some(span);
                }
                cursor = search.past_repeats(found, close.at, end);
            }
        })
    }
}

fn no_hours() -> RuleText {
    RuleText { text: "no policy that gives hours applies then".to_owned(), policy: None }
}

/// No kind admits a longer one: a span that begins within the horizon is followed so much further.
pub(super) const LONGEST_LEAD: SignedDuration = SignedDuration::from_secs(3600);
