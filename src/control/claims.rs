//! Who owns a campaign that several declarations name: the oldest that can be driven.
//!
//! While an older declaration has not been examined, a younger one of the same campaign waits and writes nothing: after a
//! restart the loser must not act before the winner has been looked at.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use rules::inputs::Claim;

/// What has come of a declaration's first reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Examined {
    /// Nothing yet.
    No,
    /// One was good.
    Good,
    /// The newest can't be good without a hand.
    Bad,
}

/// One declaration's claim on a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    pub uid: String,
    pub namespace: String,
    pub name: String,
    pub tenant: String,
    pub created: Timestamp,
    pub examined: Examined,
}

impl Claimant {
    fn rank(&self) -> (Timestamp, &str) {
        (self.created, &self.uid)
    }
}

/// All claims, by campaign id. Which of them mean the same campaign depends on the hosts of their tenants.
#[derive(Default)]
pub struct Claims {
    by_campaign: Mutex<HashMap<String, Vec<Claimant>>>,
}

impl Claims {
    /// Enters a declaration, once.
    pub fn enter(&self, campaign_id: &str, claimant: Claimant) {
        let mut all = self.lock();
        let rivals = all.entry(campaign_id.to_owned()).or_default();
        if !rivals.iter().any(|other| other.uid == claimant.uid) {
            rivals.push(claimant);
        }
    }

    /// Takes a declaration out. Gives those that named the same campaign id: they may own it now.
    pub fn leave(&self, namespace: &str, name: &str) -> Vec<Claimant> {
        let mut all = self.lock();
        let left = |c: &Claimant| c.namespace == namespace && c.name == name;
        let Some((id, rivals)) = all.iter_mut().find(|(_, rivals)| rivals.iter().any(left)) else {
            return Vec::new();
        };
        rivals.retain(|c| !left(c));
        let (id, rest) = (id.clone(), rivals.clone());
        if rest.is_empty() {
            all.remove(&id);
        }
        rest
    }

    /// Notes what came of a read. Gives the rivals, where it changed something for them.
    pub fn examined(&self, campaign_id: &str, uid: &str, result: Examined) -> Vec<Claimant> {
        let mut all = self.lock();
        let Some(rivals) = all.get_mut(campaign_id) else { return Vec::new() };
        let Some(own) = rivals.iter_mut().find(|c| c.uid == uid) else { return Vec::new() };
        if own.examined == result {
            return Vec::new();
        }
        own.examined = result;
        rivals.iter().filter(|c| c.uid != uid).cloned().collect()
    }

    /// Whether this declaration owns its campaign. `host` gives the host of a claimant's tenant, where it is known.
    pub fn view(&self, campaign_id: &str, uid: &str, host: impl Fn(&Claimant) -> Option<String>) -> Claim {
        let all = self.lock();
        let Some(rivals) = all.get(campaign_id) else { return Claim::Held };
        let Some(own) = rivals.iter().find(|c| c.uid == uid) else { return Claim::Held };
        if rivals.len() == 1 {
            return Claim::Held;
        }
        let own_host = host(own);
        let others = rivals.iter().filter(|c| c.uid != uid && own_host.is_some() && host(c) == own_host);
        judge(own, others)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Claimant>>> {
        self.by_campaign.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn judge<'a>(own: &Claimant, others: impl Iterator<Item = &'a Claimant>) -> Claim {
    let mut claim = Claim::Held;
    for other in others {
        let older = other.rank() < own.rank();
        match (other.examined, older) {
            (Examined::Good, true) => {
                let winner = (other.namespace == own.namespace).then(|| other.name.clone());
                return Claim::Lost { winner };
            }
            (Examined::Good, false) if own.examined != Examined::Good => claim = Claim::Pending,
            (Examined::No, true) => claim = Claim::Pending,
            _ => {}
        }
    }
    claim
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant(uid: &str, namespace: &str, second: i64) -> Claimant {
        Claimant {
            uid: uid.into(),
            namespace: namespace.into(),
            name: format!("name-{uid}"),
            tenant: "default".into(),
            created: Timestamp::from_second(second).unwrap(),
            examined: Examined::No,
        }
    }

    fn two(second_namespace: &str) -> Claims {
        let claims = Claims::default();
        claims.enter("c-1", claimant("old", "a", 1));
        claims.enter("c-1", claimant("young", second_namespace, 2));
        claims
    }

    fn view(claims: &Claims, uid: &str) -> Claim {
        claims.view("c-1", uid, |_| Some("host:443".into()))
    }

    #[test]
    fn the_younger_waits_until_the_older_is_examined_and_then_loses() {
        let claims = two("a");
        assert_eq!(view(&claims, "young"), Claim::Pending);
        assert_eq!(view(&claims, "old"), Claim::Held);
        claims.examined("c-1", "old", Examined::Good);
        assert_eq!(view(&claims, "young"), Claim::Lost { winner: Some("name-old".into()) });
        assert_eq!(view(&claims, "old"), Claim::Held);
    }

    #[test]
    fn the_younger_owns_it_where_the_older_can_not_be_driven_until_it_can() {
        let claims = two("a");
        claims.examined("c-1", "old", Examined::Bad);
        assert_eq!(view(&claims, "young"), Claim::Held);
        claims.examined("c-1", "young", Examined::Good);
        assert_eq!(view(&claims, "old"), Claim::Pending);
        claims.examined("c-1", "old", Examined::Good);
        assert_eq!(view(&claims, "old"), Claim::Held);
        assert_eq!(view(&claims, "young"), Claim::Lost { winner: Some("name-old".into()) });
    }

    #[test]
    fn an_owner_that_can_not_be_driven_any_more_gives_way_until_it_can_again() {
        let claims = two("a");
        claims.examined("c-1", "old", Examined::Good);
        assert_eq!(claims.examined("c-1", "old", Examined::Bad).len(), 1, "the rival hears of it");
        assert_eq!(view(&claims, "young"), Claim::Held);
        claims.examined("c-1", "young", Examined::Good);
        assert_eq!(view(&claims, "old"), Claim::Pending);
        claims.examined("c-1", "old", Examined::Good);
        assert!(matches!(view(&claims, "young"), Claim::Lost { .. }));
    }

    #[test]
    fn a_name_from_another_namespace_is_not_told() {
        let claims = two("b");
        claims.examined("c-1", "old", Examined::Good);
        assert_eq!(view(&claims, "young"), Claim::Lost { winner: None });
    }

    #[test]
    fn the_loser_owns_it_when_the_winner_goes_and_other_hosts_do_not_matter() {
        let claims = two("a");
        claims.examined("c-1", "old", Examined::Good);
        let elsewhere = |c: &Claimant| Some(c.uid.clone());
        assert_eq!(claims.view("c-1", "young", elsewhere), Claim::Held);
        assert_eq!(claims.leave("a", "name-old").len(), 1);
        assert_eq!(view(&claims, "young"), Claim::Held);
    }

    #[test]
    fn of_two_that_are_equally_old_the_smaller_uid_wins() {
        let claims = Claims::default();
        claims.enter("c-1", claimant("b", "a", 1));
        claims.enter("c-1", claimant("a", "a", 1));
        for uid in ["a", "b"] {
            claims.examined("c-1", uid, Examined::Good);
        }
        assert_eq!(view(&claims, "a"), Claim::Held);
        assert!(matches!(view(&claims, "b"), Claim::Lost { .. }));
    }
}
