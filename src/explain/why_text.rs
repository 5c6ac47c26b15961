//! Why, as text: the answer first, then everything that it is made of.

use super::plan_text::{notes, transitions};
use super::screen::{Screen, Tone, line, wrapped};
use super::views::{GateView, Source, WhyReport};
use super::when::Zone;

/// The whole report.
pub fn text(report: &WhyReport, screen: &Screen) -> String {
    let zone = Zone::first_of([report.zone.as_str()].into_iter());
    let mut out = String::new();
    line!(out, "{}", screen.paint(Tone::Title, wrapped(&report.answer, 0, 2)));
    line!(out);
    facts(&mut out, report, &zone);
    for (row, title) in [
        ("run", "May it run? Where not, it is closed."),
        ("start", "May it start? Where not, a start waits."),
        ("facts", "Read by the operator in the moment of a start."),
    ] {
        line!(out);
        line!(out, "{}", screen.paint(Tone::Title, title));
        for gate in report.gates.iter().filter(|gate| gate.row == row) {
            one(&mut out, gate, &zone, screen);
        }
    }
    line!(out);
    line!(out, "{}", screen.paint(Tone::Title, "What happens next"));
    transitions(&mut out, &report.next, &zone, screen);
    if !report.advice.is_empty() {
        line!(out);
        line!(out, "{}", screen.paint(Tone::Title, "What you can do"));
        for advice in &report.advice {
            line!(out, "  {}", wrapped(advice, 2, 4));
        }
    }
    if !report.notes.is_empty() {
        line!(out);
        notes(&mut out, &report.notes);
    }
    out
}

fn facts(out: &mut String, report: &WhyReport, zone: &Zone) {
    let WhyReport { namespace, name, campaign_id, tenant, .. } = report;
    line!(out, "Campaign   {namespace}/{name}, {campaign_id} of tenant {tenant}");
    line!(out, "Declared   {}", report.declared);
    line!(out, "Effective  {:?}", report.effective);
    line!(out, "Observed   {}, when the operator last read it", report.observed);
    for Source { policy, citation } in &report.policies {
        let source = citation.as_ref().map_or_else(String::new, |citation| format!(" [{citation}]"));
        line!(out, "Policy     {}", wrapped(&format!("{}{source}", policy.name), 11, 11));
    }
    line!(out, "Now        {}, zone database {}", zone.named_local(report.at), report.zone_database);
}

fn one(out: &mut String, gate: &GateView, zone: &Zone, screen: &Screen) {
    let tone = match gate.verdict {
        "open" => Tone::Good,
        "closed" => Tone::Bad,
        _ => Tone::Quiet,
    };
    let verdict = screen.paint(tone, format!("{:7}", gate.verdict));
    let Some(holding) = &gate.holding else {
        match gate.closes {
            Some(at) => line!(out, "  {verdict}  {:24} closes {}", gate.gate, zone.named_local(at)),
            None => line!(out, "  {verdict}  {}", gate.gate),
        }
        if let Some(within) = &gate.within {
            line!(out, "           {}", wrapped(&format!("within {within}"), 11, 11));
        }
        return;
    };
    let until = holding.until.map_or_else(String::new, |at| format!(" until {}", zone.named_local(at)));
    line!(out, "  {verdict}  {:24} {}{until}", gate.gate, holding.reason);
    line!(out, "           {}", wrapped(&holding.words(), 11, 11));
    if let Some(citation) = holding.citation.as_ref().filter(|citation| !holding.detail.contains(*citation)) {
        line!(out, "           {}", wrapped(&format!("[{citation}]"), 11, 11));
    }
}
