"""
The findings that no experiment of a run tried, and what may be expected of them.

A prediction is an orientation, and a finding counts as confirmed when half of it, on the scale of factors, is sure. So
half is the middle of what we expect of one that nobody tried: its P50 is the root of the predicted ratio, its P90 the
prediction in full, and its P10 no gain at all.
"""

import dataclasses
import math
import re
from collections import Counter

from perflib.governance.backlog.recipes import Recipe, digest, is_same
from perflib.governance.ledger import Ledger
from perflib.results import Finding, FindingOutcome, Interval

# From P10 to P90.
EXPECTED_LEVEL_RATIO = 0.8


@dataclasses.dataclass(frozen=True)
class Untried:
    """One thing to try: its findings, by scenario, and where each stands among the baseline's findings."""

    id: str
    experiment: str
    recipe: Recipe
    findings: tuple[Finding, ...]
    places: tuple[int, ...]


def untried(ledger: Ledger) -> tuple[Untried, ...]:
    """
    Return what was found and not tried; findings of the same experiment and recipe are one.

    What a candidate of the run did under the same name, or with the same recipe, was tried. An id is ``HYP-`` and the
    rule; where findings of two recipes share a rule, tried or not, each has its experiment and digits of its recipe's
    digest as well. So no id depends on the order, or on what a run came to try.
    """
    groups: dict[tuple[str, str], list[tuple[int, FindingOutcome]]] = {}
    for place, outcome in enumerate(ledger.outcomes):
        groups.setdefault((outcome.finding.experiment, digest(outcome.finding.recipe)), []).append((place, outcome))
    rules = {key: min(_word(one.finding.rule) for _, one in group) for key, group in groups.items()}
    shared = Counter(rules.values())
    return tuple(
        _item(f"HYP-{rule}" if shared[rule] == 1 else f"HYP-{rule}-{_short(key)}", groups[key])
        for key, rule in rules.items()
        if not any(_was_tried(ledger, one) for _, one in groups[key])
    )


def expected_ratio(one: Untried, scenario: str) -> Interval | None:
    """Return what may be expected in a scenario; None where no finding speaks of a gain there."""
    predicted = [found.predicted_speedup_ratio for found in one.findings if found.scenario == scenario]
    best = max(predicted, default=1.0)
    return Interval(math.sqrt(best), 1.0, best, EXPECTED_LEVEL_RATIO) if best > 1 else None


def _item(name: str, group: list[tuple[int, FindingOutcome]]) -> Untried:
    found = sorted(((one.finding, place) for place, one in group), key=lambda pair: (pair[0].scenario, pair[0].rule))
    first = found[0][0]
    return Untried(
        name, first.experiment, first.recipe, tuple(one for one, _ in found), tuple(place for _, place in found)
    )


def _was_tried(ledger: Ledger, outcome: FindingOutcome) -> bool:
    finding = outcome.finding
    if outcome.outcome != "not tried" or any(one.name == finding.experiment for one in ledger.candidates):
        return True
    return any(is_same(build.recipe, finding.recipe) for build in ledger.builds.values())


def _short(key: tuple[str, str]) -> str:
    experiment, recipe = key
    return f"{_word(experiment)}-{recipe[:6]}" if experiment else recipe[:6]


def _word(text: str) -> str:
    """Return a rule's or an experiment's name as a part of an id."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-") or "rule"
