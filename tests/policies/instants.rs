//! The policies at instants that are data: files of the folder beside this one.

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::DateTime;
use rules::calendar::Calendar;
use rules::kinds::{ComplianceWindow, DialingPolicySpec, Hours, Zone};
use rules::zones;
use serde::Deserialize;

use crate::folder::{self, File, labels, read, selected_by, zones_of};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    /// Where the namespace calls.
    calls: Vec<String>,
    /// Those of the campaign.
    #[serde(default)]
    zones: Vec<Zone>,
    instants: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    at: String,
    allowed: bool,
    why: String,
}

impl Row {
    fn at(&self) -> Timestamp {
        self.at.parse().unwrap_or_else(|error| panic!("{}: {error}", self.at))
    }
}

fn groups() -> Vec<Group> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies/instants");
    let files = folder.read_dir().unwrap().map(|entry| read(&entry.unwrap().path()));
    files.flat_map(|text| serde_saphyr::from_str::<Vec<Group>>(&text).unwrap()).collect()
}

#[test]
fn every_instant_is_allowed_or_refused_as_the_sources_say_and_the_policy_is_named() {
    let mut wrong = Vec::new();
    for Group { calls, zones, instants } in groups() {
        // The campaign gives no hours of its own.
        let window = ComplianceWindow { time_zones: zones, hours: None, close_lead_seconds: 0 };
        let policies = selected_by(&labels(&calls));
        let calendar = Calendar::new(Some(&window), &policies, true).unwrap();
        for row in instants {
            let (allowed, rule) = (calendar.allowed(row.at()), calendar.view(row.at()).rule);
            let named = calls.iter().any(|place| rule.text.starts_with(&format!("policy {place}")));
            if allowed != row.allowed || !named || !rule.text.ends_with(']') {
                wrong.push(format!("{calls:?} {} ({}): {allowed}, {}", row.at, row.why, rule.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_instant_has_the_offset_of_a_zone_that_its_policies_are_read_in() {
    for group in groups() {
        let policies = selected_by(&labels(&group.calls));
        let read_in: Vec<&Zone> =
            policies.iter().flat_map(|policy| zones_of(&policy.spec, &group.zones)).collect();
        for row in &group.instants {
            let local: DateTime = row.at[..19].parse().unwrap();
            let fits = |zone: &&Zone| local_time(zone, row.at()) == local;
            assert!(read_in.iter().any(fits), "{:?} {}", group.calls, row.at);
        }
    }
}

#[test]
fn every_boundary_of_every_file_is_tried_on_both_sides_and_so_is_the_weekend() {
    let groups = groups();
    let mut untried = Vec::new();
    for file in folder::all().iter().filter(|file| file.spec().hours.is_some()) {
        let moments = moments(file, &groups);
        for hours in file.spec().hours.iter().flatten() {
            let missing = boundaries(hours).into_iter().filter(|boundary| !boundary.tried(hours, &moments));
            untried.extend(missing.map(|boundary| format!("{}: {hours:?}: {boundary:?}", file.stem)));
        }
        for day in [5, 6] {
            if !moments.iter().any(|moment| moment.day == day) {
                untried.push(format!("{}: no instant on day {day}", file.stem));
            }
        }
    }
    assert!(untried.is_empty(), "{untried:#?}");
}

/// A row, in one of the zones that a policy is read in.
struct Moment {
    /// Days since Monday.
    day: u16,
    minute: u16,
    allowed: bool,
}

/// Those of a policy, as long as it applies.
fn moments(file: &File, groups: &[Group]) -> Vec<Moment> {
    let selector = &file.spec().namespace_selector;
    let alone = |group: &&Group| group.calls.len() == 1 && selector.matches(&labels(&group.calls));
    let mut moments = Vec::new();
    for group in groups.iter().filter(alone) {
        for (row, zone) in group.instants.iter().flat_map(|row| {
            let zones = zones_of(file.spec(), &group.zones);
            zones.iter().map(move |zone| (row, zone))
        }) {
            let local = local_time(zone, row.at());
            if applies(file.spec(), local) {
                let day = u16::try_from(local.weekday().to_monday_zero_offset()).unwrap();
                let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap();
                moments.push(Moment { day, minute, allowed: row.allowed });
            }
        }
    }
    moments
}

fn applies(spec: &DialingPolicySpec, local: DateTime) -> bool {
    let date = local.date().to_string();
    spec.effective_from.as_ref().is_none_or(|from| from.0 <= date)
        && spec.effective_until.as_ref().is_none_or(|until| date <= until.0)
}

#[derive(Debug)]
struct Boundary {
    minute: u16,
    allowed: bool,
}

/// The minutes beside the ends of an interval: none in this folder touches another one, or midnight.
fn boundaries(hours: &Hours) -> [Boundary; 4] {
    let (from, to) = (hours.from.minute().unwrap(), hours.to.minute().unwrap());
    assert!(0 < from && from < to && to < 24 * 60, "{hours:?}");
    let minutes = [(from - 1, false), (from, true), (to - 1, true), (to, false)];
    minutes.map(|(minute, allowed)| Boundary { minute, allowed })
}

impl Boundary {
    fn tried(&self, hours: &Hours, moments: &[Moment]) -> bool {
        let on_day = |day| hours.days.iter().any(|it| it.index() == day);
        moments.iter().any(|it| on_day(it.day) && (it.minute, it.allowed) == (self.minute, self.allowed))
    }
}

fn local_time(zone: &Zone, at: Timestamp) -> DateTime {
    zones::zone(&zone.0).unwrap().to_datetime(at)
}
