//! A platform with faults on demand: one campaign, its calls, an outside hand. Time is told, never taken.

use std::time::Duration;

use rules::kinds::{Observed, Target};
use rules::trouble::Trouble;
use uuid::Uuid;

/// What becomes of a read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Read {
    /// It fails at once.
    Fails(Trouble),
    /// No answer comes.
    Hangs,
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Write {
    /// Answered so, and nothing changes.
    Fails(Trouble),
    /// It takes effect, and no answer comes.
    AnswerLost,
    /// Nothing arrives, and no answer comes.
    Hangs,
    /// 200, and nothing changes.
    Lies,
    /// 200, and it takes effect that many seconds later.
    Late(u64),
}

/// A fault that lasts from one second (included) to another (excluded), counted from the start of the world.
pub type Spell<F> = (u64, u64, F);

/// Something that was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    State { urgent: bool },
    Stats,
    Put { to: Target, id: Uuid, blind: bool },
}

/// A request, when it was sent, and in which pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub at: Duration,
    pub pass: usize,
    pub what: What,
    /// What a read was answered; `None` where it failed.
    pub state: Option<Observed>,
    pub calls: Option<u32>,
}

/// The platform.
#[derive(Clone, Debug)]
pub struct World {
    pub mono: Duration,
    pub state: Observed,
    pub calls: u32,
    pub reads: Vec<Spell<Read>>,
    pub stats: Vec<Spell<Read>>,
    pub writes: Vec<Spell<Write>>,
    /// What will be without our doing at once: outside hands and late effects.
    pub coming: Vec<(Duration, Observed)>,
    pub log: Vec<Request>,
    /// Every state it has been in, and since when.
    pub past: Vec<(Duration, Observed)>,
    pub latency: Duration,
    pub timeout: Duration,
}

impl World {
    pub fn new(state: Observed) -> Self {
        Self {
            mono: Duration::ZERO,
            state,
            calls: 0,
            reads: Vec::new(),
            stats: Vec::new(),
            writes: Vec::new(),
            coming: Vec::new(),
            log: Vec::new(),
            past: vec![(Duration::ZERO, state)],
            latency: Duration::from_millis(20),
            timeout: Duration::from_secs(15),
        }
    }

    /// Lets time pass, with what comes about meanwhile in its order.
    pub fn advance(&mut self, by: Duration) {
        let end = self.mono + by;
        self.coming.sort_by_key(|(at, _)| *at);
        while let Some((at, state)) = self.coming.first().copied().filter(|(at, _)| *at <= end) {
            self.coming.remove(0);
            self.mono = self.mono.max(at);
            self.becomes(state);
        }
        self.mono = end;
    }

    /// Changes the state.
    pub fn becomes(&mut self, state: Observed) {
        if self.state != state {
            self.state = state;
            self.past.push((self.mono, state));
        }
    }

    fn spell<F: Copy>(&self, spells: &[Spell<F>]) -> Option<F> {
        let second = self.mono.as_secs();
        spells.iter().find(|(from, to, _)| (*from..*to).contains(&second)).map(|(_, _, fault)| *fault)
    }

    /// A request that gets no answer takes as long as its limit, and no longer than the pass may last.
    fn no_answer(&mut self, limit: Duration, cut: Duration) -> Trouble {
        self.advance(limit.min(cut.saturating_sub(self.mono)));
        Trouble::Interrupted
    }

    fn entry(&mut self, pass: usize, what: What) -> usize {
        self.log.push(Request { at: self.mono, pass, what, state: None, calls: None });
        self.log.len() - 1
    }

    /// Reads the state.
    pub fn read_state(&mut self, pass: usize, urgent: bool, cut: Duration) -> Result<Observed, Trouble> {
        let entry = self.entry(pass, What::State { urgent });
        match self.spell(&self.reads) {
            Some(Read::Hangs) => {
                let limit = if urgent { self.timeout.min(Duration::from_secs(3)) } else { self.timeout };
                Err(self.no_answer(limit, cut))
            }
            Some(Read::Fails(trouble)) => {
                self.advance(self.latency);
                Err(trouble)
            }
            None => {
                self.advance(self.latency);
                self.log[entry].state = Some(self.state);
                Ok(self.state)
            }
        }
    }

    /// Reads the statistics.
    pub fn read_stats(&mut self, pass: usize, cut: Duration) -> Result<u32, Trouble> {
        let entry = self.entry(pass, What::Stats);
        match self.spell(&self.stats) {
            Some(Read::Hangs) => Err(self.no_answer(self.timeout, cut)),
            Some(Read::Fails(trouble)) => {
                self.advance(self.latency);
                Err(trouble)
            }
            None => {
                self.advance(self.latency);
                self.log[entry].calls = Some(self.calls);
                Ok(self.calls)
            }
        }
    }

    /// Writes.
    pub fn put(
        &mut self,
        pass: usize,
        to: Target,
        id: Uuid,
        blind: bool,
        cut: Duration,
    ) -> Result<(), Trouble> {
        self.entry(pass, What::Put { to, id, blind });
        match self.spell(&self.writes) {
            Some(Write::Fails(trouble)) => {
                self.advance(self.latency);
                Err(trouble)
            }
            Some(Write::AnswerLost) => {
                self.becomes(to.into());
                Err(self.no_answer(self.timeout, cut))
            }
            Some(Write::Hangs) => Err(self.no_answer(self.timeout, cut)),
            Some(Write::Lies) => {
                self.advance(self.latency);
                Ok(())
            }
            Some(Write::Late(seconds)) => {
                self.coming.push((self.mono + Duration::from_secs(seconds), to.into()));
                self.advance(self.latency);
                Ok(())
            }
            None => {
                self.becomes(to.into());
                self.advance(self.latency);
                Ok(())
            }
        }
    }

    /// What was sent from this second on.
    pub fn since(&self, second: f64) -> impl Iterator<Item = &Request> {
        self.log.iter().filter(move |r| r.at.as_secs_f64() >= second)
    }

    /// The writes from this second on.
    pub fn puts(&self, second: f64) -> Vec<(f64, Target, Uuid, bool)> {
        self.since(second)
            .filter_map(|r| match r.what {
                What::Put { to, id, blind } => Some((r.at.as_secs_f64(), to, id, blind)),
                _ => None,
            })
            .collect()
    }

    /// Where the writes from this second on lead.
    pub fn targets(&self, second: f64) -> Vec<Target> {
        self.puts(second).into_iter().map(|p| p.1).collect()
    }
}
