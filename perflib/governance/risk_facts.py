"""Risks that answers and times of a candidate show: how near to a limit, how many changed, what nobody looked at."""

from collections.abc import Iterable, Sequence

from perflib import units
from perflib.governance.backlog.risk import MARGIN_GATE
from perflib.governance.ledger import Ledger
from perflib.results import Gate, Validation
from perflib.results.governance import Impact, Likelihood, Pointer, Risk

NOBODY = "unassigned"
# What the stages of a rollout watch.
ERRORS, LATENCY, LABELS = "error_ratio", "p99_sec", "label_agreement_ratio"
_NEAR_RATIO = 0.5
_FLIP_GATE = "A3-negative"
_TAIL_RATIO = 0.99
_MOST_NAMED = 5


def make_risk(
    id_: str,
    title: str,
    *,
    cause: str,
    effect: str,
    likelihood: Likelihood,
    impact: Impact,
    treatment: str,
    residual: str,
    trigger: str,
    candidates: Iterable[str],
    evidence: Iterable[Pointer],
) -> Risk:
    """Return a risk that nobody owns yet."""
    return Risk(
        id=id_,
        title=title,
        cause=cause,
        effect=effect,
        likelihood=likelihood,
        impact=impact,
        treatment=treatment,
        residual=residual,
        owner=NOBODY,
        trigger=trigger,
        candidates=tuple(candidates),
        evidence=tuple(evidence),
    )


def answers_at_the_margin(ledger: Ledger, names: Sequence[str]) -> Risk | None:
    """Return the risk of candidates whose sure loss of accuracy uses half of the margin or more."""
    near = []
    for name, validation in _validated(ledger, names):
        gate = _gate(validation, MARGIN_GATE)
        low = validation.accuracy_change_ratio.low
        if gate is not None and low is not None and gate[1].limit > 0 and -low >= _NEAR_RATIO * gate[1].limit:
            near.append((name, low, gate))
    if not near:
        return None
    words = [f"{name} may lose {units.points(low)} of {units.points(gate.limit)}" for name, low, (_, gate) in near]
    evidence = [
        pointer
        for name, _, (place, _) in near
        for pointer in (
            ledger.place("validation", name, "/accuracy_change_ratio/low"),
            ledger.place("validation", name, f"/gates/{place}/limit"),
        )
    ]
    return make_risk(
        "R-accuracy-margin",
        "The accuracy lies near its limit",
        cause=f"With 95 % confidence {'; '.join(words)}.",
        effect="On other data the loss may be larger than what was agreed.",
        likelihood="possible",
        impact="serious",
        treatment="Start with a small share of traffic and compare the labels with the baseline's.",
        residual="A loss smaller than the margin is accepted.",
        trigger=LABELS,
        candidates=[name for name, _, _ in near],
        evidence=evidence,
    )


def changed_answers(ledger: Ledger, names: Sequence[str]) -> Risk | None:
    """Return the risk of answers that were right and became wrong, even where as many went the other way."""
    flipped = [(name, one) for name, one in _validated(ledger, names) if one.negative_flip_count > 0]
    if not flipped:
        return None
    words = [f"{name} {one.negative_flip_count:,} of {one.example_count:,}" for name, one in flipped]
    is_near = any(_uses_half(one, _FLIP_GATE) for _, one in flipped)
    return make_risk(
        "R-changed-answers",
        "Some users get a wrong answer where they had a right one",
        cause=f"Answers that were right and are wrong now: {'; '.join(words)}.",
        effect="They notice it, though the accuracy as a whole stays.",
        likelihood="likely" if is_near else "possible",
        impact="minor",
        treatment="Read the examples in records/exemplars-*.csv before the rollout; watch the labels during it.",
        residual="The guardrail allows a small share of such answers.",
        trigger=LABELS,
        candidates=[name for name, _ in flipped],
        evidence=[ledger.place("validation", name, "/negative_flip_count") for name, _ in flipped],
    )


def small_slices(ledger: Ledger, names: Sequence[str]) -> Risk | None:
    """Return the risk for groups of which the test split holds too few examples."""
    small = [
        (name, place, part)
        for name, validation in _validated(ledger, names)
        for place, part in enumerate(validation.slices)
        if not part.is_gated and not part.is_exploratory
    ]
    if not small:
        return None
    groups = list(dict.fromkeys(f"{part.column} = {part.value} ({part.example_count:,})" for _, _, part in small))
    rest = f" and {len(groups) - _MOST_NAMED} more" if len(groups) > _MOST_NAMED else ""
    return make_risk(
        "R-small-groups",
        "Some groups are too small to be judged",
        cause=f"Too few examples: {', '.join(groups[:_MOST_NAMED])}{rest}.",
        effect="A loss for one of these groups would not have been seen.",
        likelihood="possible",
        impact="serious",
        treatment="Collect labelled examples of these groups and validate again.",
        residual="Groups that no column names stay unseen.",
        trigger=LABELS,
        candidates=dict.fromkeys(name for name, _, _ in small),
        evidence=[ledger.place("validation", name, f"/slices/{place}/example_count") for name, place, _ in small],
    )


def open_gates(ledger: Ledger, names: Sequence[str]) -> Risk | None:
    """Return the risk of gates that warn, or that were waived."""
    marked = [
        (name, place, gate)
        for name, validation in _validated(ledger, names)
        for place, gate in enumerate(validation.gates)
        if gate.counts_as != "PASS" or gate.waiver
    ]
    if not marked:
        return None
    is_waived = any(gate.waiver for _, _, gate in marked)
    return make_risk(
        "R-open-guardrails",
        "A guardrail was let pass" if is_waived else "A guardrail warns",
        cause=" ".join(f"{name}, {gate.id}: {gate.sentence}" for name, _, gate in marked[:_MOST_NAMED]),
        effect="What this guardrail stands for may be met less than planned.",
        likelihood="likely" if is_waived else "possible",
        impact="serious",
        treatment="Read the reason, and renew or end it before its last day."
        if is_waived
        else "Watch it in the rollout.",
        residual="Somebody has accepted it." if is_waived else "It stays inside what is allowed.",
        trigger=LABELS,
        candidates=dict.fromkeys(name for name, _, _ in marked),
        evidence=[ledger.place("validation", name, f"/gates/{place}/verdict") for name, place, _ in marked],
    )


def untested(ledger: Ledger, names: Sequence[str]) -> Risk | None:
    """Return the risk of probes that could not be made of this workload's inputs."""
    without = [(name, one) for name, one in _validated(ledger, names) if one.absent_suites]
    if not without:
        return None
    suites = sorted({suite for _, one in without for suite in one.absent_suites})
    return make_risk(
        "R-not-probed",
        "Some kinds of behaviour were not tried",
        cause=f"No probes could be made: {', '.join(suites)}.",
        effect="Behaviour under such inputs may have changed unseen.",
        likelihood="possible",
        impact="serious",
        treatment="Give the workload the texts or templates that these probes need, and validate again.",
        residual="Probes show some behaviour, never all.",
        trigger=LABELS,
        candidates=[name for name, _ in without],
        evidence=[ledger.place("validation", name, "/absent_suites") for name, _ in without],
    )


def drift(ledger: Ledger, names: Sequence[str]) -> Risk | None:
    """Return the risk that users ask other things than the test split holds."""
    validated = list(_validated(ledger, names))
    if not validated:
        return None
    counts = sorted({one.example_count for _, one in validated})
    return make_risk(
        "R-data-drift",
        "Users may ask other things than the test data",
        cause=f"Everything said of answers rests on {counts[-1]:,} examples of one fixed split.",
        effect="Baseline and candidate may differ more on what comes in later.",
        likelihood="possible",
        impact="serious",
        treatment="Shadow traffic compares both models on real inputs before any user sees the candidate.",
        residual="Slow drift after the rollout is seen only where somebody watches.",
        trigger=LABELS,
        candidates=[name for name, _ in validated],
        evidence=[ledger.place("validation", name, "/split_sha256") for name, _ in validated],
    )


def guessed_tail(ledger: Ledger, names: Sequence[str]) -> Risk | None:
    """Return the risk of a slow hundredth that too few calls were timed to see."""
    evidence = {}
    for name in names:
        comparison = ledger.comparisons.get(name)
        for place, one in enumerate(comparison.scenarios if comparison else ()):
            shares = [tail.share_ratio for tail in one.candidate.percentiles]
            if shares and max(shares) < _TAIL_RATIO:
                evidence[name] = ledger.place("comparison", name, f"/scenarios/{place}/candidate/percentiles")
    if not evidence:
        return None
    return make_risk(
        "R-slow-tail",
        "The slowest hundredth of calls was not measured",
        cause="Too few calls were timed for a 99th percentile.",
        effect="A few users may wait longer than the medians say.",
        likelihood="possible",
        impact="minor",
        treatment="The rollout holds the 99th percentile against the baseline's in the same window.",
        residual="Rarer delays than one call in a hundred stay unknown.",
        trigger=LATENCY,
        candidates=list(evidence),
        evidence=evidence.values(),
    )


def _validated(ledger: Ledger, names: Sequence[str]) -> Iterable[tuple[str, Validation]]:
    return ((name, ledger.validations[name]) for name in names if name in ledger.validations)


def _gate(validation: Validation, id_: str) -> tuple[int, Gate] | None:
    return next(((place, one) for place, one in enumerate(validation.gates) if one.id == id_), None)


def _uses_half(validation: Validation, id_: str) -> bool:
    found = _gate(validation, id_)
    return found is not None and (found[1].measured or 0.0) >= _NEAR_RATIO * found[1].limit
