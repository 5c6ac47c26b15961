//! A plan as text: a bar for each day, the transitions, and the rules behind them once each.

use std::fmt::Write as _;

use rules::text::clean;

use super::bars::{CELLS, Cell};
use super::screen::{Screen, Tone, WIDTH, line, wrapped};
use super::views::{Day, Holding, PlanReport, PlannedCampaign, Transition, mark};
use super::when::{Zone, hours};

/// Where a bar has ended.
const BESIDES: usize = "Mon 2026-11-23  ".len() + CELLS + 2;

/// The whole report.
pub fn text(report: &PlanReport, screen: &Screen) -> String {
    let mut out = String::new();
    for (place, campaign) in report.campaigns.iter().enumerate() {
        if place > 0 {
            line!(out);
        }
        one(&mut out, report, campaign, screen);
    }
    if !report.warnings.is_empty() {
        line!(out);
        warnings(&mut out, &report.warnings, screen);
    }
    line!(out);
    let supposed =
        format!("Supposed: {}. Zone database {}.", report.assumptions.join("; "), report.zone_database);
    line!(out, "{}", screen.paint(Tone::Quiet, wrapped(&supposed, 0, 2)));
    notes(&mut out, &report.notes);
    // Where no campaign is planned.
    out.trim_start_matches('\n').to_owned()
}

fn one(out: &mut String, report: &PlanReport, campaign: &PlannedCampaign, screen: &Screen) {
    let zone = Zone::first_of([campaign.zone.as_str()].into_iter());
    let PlannedCampaign { namespace, name, campaign_id, source, declared, effective, .. } = campaign;
    let title = format!("{namespace}/{name} (campaign {campaign_id}, {source})");
    line!(out, "{}", screen.paint(Tone::Title, title));
    let begins = zone.named_local(report.from);
    let (observed, by) = (campaign.observed, campaign.observed_by);
    line!(out, "declared {declared}, effective {effective:?}, in CXone {observed} ({by})");
    for held in &campaign.held_now {
        let until = held.until.map_or_else(String::new, |at| format!(" until {}", zone.named_local(at)));
        let told = format!("held now, {}{until}: {}", held.reason, held.words());
        line!(out, "{}", screen.paint(Tone::Doubt, wrapped(&told, 0, 2)));
    }
    let policies: Vec<_> = campaign.policies.iter().map(|policy| policy.name.as_str()).collect();
    if !policies.is_empty() {
        line!(out, "{}", wrapped(&format!("policies that concern it: {}", policies.join(", ")), 0, 2));
    }
    line!(out, "from {begins}, {} days, times in {}", campaign.days.len(), campaign.zone);
    notes(out, &campaign.notes);
    line!(out);
    line!(
        out,
        "{:15} {}",
        "",
        (0..24).step_by(2).map(|hour| format!("{hour:<4}")).collect::<String>().trim_end()
    );
    for day in &campaign.days {
        line!(out, "{}", bar(day, screen));
    }
    line!(out);
    transitions(out, &campaign.transitions, &zone, screen);
    for held in &campaign.held_at_end {
        line!(out, "{}", screen.paint(Tone::Doubt, wrapped(&at_the_end(held, &zone), 0, 2)));
    }
    warnings(out, &campaign.warnings, screen);
}

fn warnings(out: &mut String, warnings: &[String], screen: &Screen) {
    for warning in warnings {
        line!(out, "{}", screen.paint(Tone::Bad, wrapped(&format!("WARNING: {warning}"), 0, 2)));
    }
}

/// That it is night when the plan ends is no more than the next opening.
fn at_the_end(held: &Holding, zone: &Zone) -> String {
    let until = held.until.map(|at| zone.named_local(at));
    match (held.reason, until) {
        ("OutsideWindow", Some(opens)) => format!("The plan ends outside the hours; they open {opens}."),
        (reason, until) => {
            let until = until.map_or_else(String::new, |at| format!(" until {at}"));
            format!("Held when the plan ends, {reason}{until}: {}", held.words())
        }
    }
}

fn bar(day: &Day, screen: &Screen) -> String {
    let marks = screen.marks();
    let mut cells = String::new();
    for part in day.cells.chunk_by(|a, b| a == b) {
        let tone = match part[0] {
            Cell::Runs => Tone::Good,
            Cell::Partly => Tone::Doubt,
            Cell::Rests | Cell::Blank => Tone::Quiet,
        };
        let text: String = part.iter().map(|cell| mark(*cell, marks)).collect();
        cells.push_str(&screen.paint(tone, text));
    }
    let mut besides = hours(day.running_seconds);
    if day.clock_change {
        let _ = write!(besides, "  [{} day]", hours(day.length_minutes * 60));
    }
    if !day.closed.is_empty() {
        let _ = write!(besides, "  {}", clean(&day.closed.join(", ")));
    }
    let left = WIDTH - BESIDES;
    if besides.chars().count() > left {
        besides = besides.chars().take(left - 3).chain("...".chars()).collect();
    }
    format!("{} {}  {cells}  {besides}", day.weekday, day.date)
}

/// The table of transitions, and below it each rule once.
pub fn transitions(out: &mut String, all: &[Transition], zone: &Zone, screen: &Screen) {
    if all.is_empty() {
        line!(out, "No transition.");
        return;
    }
    let mut rules: Vec<(&str, Option<&str>)> = Vec::new();
    let header = format!("{:23}  {:6}  {:7}  {:16}  RULE", "AT", "OFFSET", "TO", "CAUSE");
    line!(out, "{}", screen.paint(Tone::Title, header));
    for change in all {
        let rule = (change.rule.as_str(), change.citation.as_deref());
        let number = rules.iter().position(|known| *known == rule).unwrap_or_else(|| {
            rules.push(rule);
            rules.len() - 1
        }) + 1;
        let whose = change.policy.as_ref().map_or("the declaration's own", |policy| policy.name.as_str());
        let to = change.to.map_or_else(|| format!("{:?}", change.effective), |to| to.to_string());
        let tone = if change.starts() { Tone::Good } else { Tone::Doubt };
        let cause = change.cause.map_or_else(|| "-".to_owned(), |cause| cause.to_string());
        let (at, offset) = (zone.local(change.at), zone.offset(change.at));
        let to = screen.paint(tone, format!("{to:7}"));
        line!(out, "{at}  {offset}  {to}  {cause:16}  [{number}] {whose}");
    }
    line!(out);
    for (place, (rule, citation)) in rules.iter().enumerate() {
        // The hours of a policy tell its citation themselves.
        let source = citation.filter(|source| !rule.contains(source)).map(|source| format!(" [{source}]"));
        let told = format!("[{}] {rule}{}", place + 1, source.unwrap_or_default());
        line!(out, "{}", wrapped(&told, 0, 4));
    }
}

/// What is to be said besides.
pub fn notes(out: &mut String, notes: &[String]) {
    for note in notes {
        line!(out, "{}", wrapped(&format!("note: {note}"), 0, 2));
    }
}
