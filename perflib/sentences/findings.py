"""What a profile promises, in words, and which promises came true."""

from collections.abc import Sequence

from perflib import units
from perflib.results import Comparison, FindingOutcome, Findings, Outcome, Prediction

_WORDS: tuple[tuple[Outcome, str], ...] = (
    ("confirmed", "confirmed"),
    ("refuted", "refuted"),
    ("undecided", "left undecided"),
    ("not tried", "not tried"),
)


def findings_sentence(findings: Findings) -> str:
    """Say which finding promises most, and that promises are not additive."""
    hopes = [one for one in findings.findings if one.predicted_speedup_ratio > 1]
    if not hopes:
        return "No rule found anything worth an experiment: nothing that it could price saves two percent."
    best = hopes[0]
    trial = f"; `{best.experiment}` tells" if best.experiment else ""
    many = (
        f" {len(hopes)} findings are hypotheses about the same time, each priced as if it were the only change: their "
        "savings overlap and must not be added."
        if len(hopes) > 1
        else ""
    )
    return (
        f"The largest saving is predicted in {best.scenario}, {units.speedup(best.predicted_speedup_ratio)}{trial}. "
        f"{best.claim}{many}"
    )


def outcomes_sentence(outcomes: Sequence[FindingOutcome]) -> str:
    """Say how many findings came true, and name those that did not."""
    if not outcomes:
        return "There are no findings, so nothing could come true."
    counts = [(sum(one.outcome == outcome for one in outcomes), word) for outcome, word in _WORDS]
    (first_count, first_word), *others = [pair for pair in counts if pair[0]]
    parts = [f"{first_count} {_were(first_count)} {first_word}", *(f"{count} {word}" for count, word in others)]
    refuted = [
        f"{one.finding.rule} in {one.finding.scenario} (predicted "
        f"{units.speedup(one.finding.predicted_speedup_ratio)}, measured {_measured(one)})"
        for one in outcomes
        if one.outcome == "refuted"
    ]
    wrong = f" Wrong: {'; '.join(refuted)}." if refuted else ""
    return f"Of {len(outcomes)} finding{'s' * (len(outcomes) > 1)} {_joined(parts)}.{wrong}"


def promise_sentence(
    prediction: Prediction, comparison: Comparison | None, outcomes: Sequence[FindingOutcome] = ()
) -> str:
    """
    Say what a shipped experiment promised and what came true, in every scenario and for each finding behind it.

    Args:
        prediction: Written down before the experiment ran.
        comparison: What was measured; None if it was not.
        outcomes: Of the baseline's findings; those of this experiment are told.
    """
    promised = f"{prediction.name} promised {units.speedup(prediction.predicted_speedup_ratio)} ({prediction.because})"
    if comparison is None or not comparison.scenarios:
        return f"{promised}; it was not timed."
    measured = ", ".join(
        f"{units.speedup(one.speedup_ratio.estimate, one.speedup_ratio.low, one.speedup_ratio.high)} in {one.scenario}"
        for one in comparison.scenarios
    )
    mine = [one for one in outcomes if one.finding.experiment == prediction.name and one.outcome != "not tried"]
    told = _joined(
        [
            f"{one.finding.rule} in {one.finding.scenario} ({units.speedup(one.finding.predicted_speedup_ratio)}) "
            f"{_is(one.outcome)}"
            for one in mine
        ]
    )
    return f"{promised}; measured were {measured}." + (f" Of the profile's findings, {told}." if told else "")


def _measured(one: FindingOutcome) -> str:
    found = one.measured_ratio
    return units.UNKNOWN if found is None else units.speedup(found.estimate, found.low, found.high)


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _is(outcome: Outcome) -> str:
    return "stays undecided" if outcome == "undecided" else f"is {outcome}"


def _joined(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
