"""What a profile lets one expect, and what became of it."""

import html
from collections.abc import Sequence

from perflib import units
from perflib.results import Finding, FindingOutcome, Findings
from perflib.tables.cells import interval
from perflib.tables.markup import table


def findings_table(findings: Findings) -> str:
    """Return every finding with its evidence, its price, what must hold, and how to find out."""
    rows = [
        (
            html.escape(one.claim),
            one.scenario,
            html.escape(one.evidence),
            units.speedup(one.predicted_speedup_ratio),
            html.escape(one.assumption),
            _trial(one),
        )
        for one in findings.findings
    ]
    head = ("finding", "scenario", "evidence", "predicted", "if it holds that", "experiment")
    caption = "What to try, the largest saving first; each is priced as if it were the only change, so do not add them."
    return table(caption, head, rows)


def outcomes_table(outcomes: Sequence[FindingOutcome]) -> str:
    """Return what was predicted beside what its experiment measured, and what that makes of the finding."""
    rows = [
        (
            html.escape(one.finding.claim),
            one.finding.scenario,
            units.speedup(one.finding.predicted_speedup_ratio),
            _name(one.finding.experiment),
            interval(one.measured_ratio),
            one.outcome,
        )
        for one in outcomes
    ]
    head = ("finding", "scenario", "predicted", "experiment", "measured", "what became of it")
    caption = (
        "Confirmed: at least half of the predicted gain, on a scale of factors, is sure; refuted: it is surely not "
        "there. An experiment's ratio holds everything that it changes; intervals at 90 %."
    )
    return table(caption, head, rows)


def _trial(finding: Finding) -> str:
    lines = ", ".join(f"{name} ({_options(options)})" for line in finding.recipe for name, options in line.items())
    return f"{_name(finding.experiment)}{': ' if finding.experiment and lines else ''}{html.escape(lines)}" or "–"


def _name(experiment: str) -> str:
    return f"<code>{html.escape(experiment)}</code>" if experiment else ""


def _options(options: object) -> str:
    return ", ".join(f"{key}: {value}" for key, value in options.items()) if isinstance(options, dict) else ""
