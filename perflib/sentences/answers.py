"""What changed in the answers, and for whom."""

from perflib import units
from perflib.results import Churn, ProbeResult, Validation


def quality_sentence(validation: Validation) -> str:
    """Say what changed in the answers, and what hides behind the mean."""
    change = validation.accuracy_change_ratio
    verdicts = [gate.verdict for gate in validation.gates]
    counts = [f"{verdicts.count(word)} {word}" for word in ("PASS", "WARN", "INCONCLUSIVE", "FAIL") if word in verdicts]
    waived_count = sum(gate.waiver is not None for gate in validation.gates)
    counts += [f"{waived_count} waived"] if waived_count else []
    return (
        f"Accuracy changes by {units.points(change.estimate)} (95 % sure: no worse than {units.points(change.low)}). "
        f"Behind that, {validation.negative_flip_count} answers became wrong and {validation.positive_flip_count} "
        f"right, of {validation.example_count:,}. Guardrails: {validation.verdict} "
        f"({', '.join(counts) or 'no gate was asked'})."
    )


def slices_sentence(validation: Validation) -> str:
    """Name the slice that lost most, and say how many were judged and how many were too small."""
    gated = [one for one in validation.slices if one.is_gated]
    small_count = sum(not one.is_gated and not one.is_exploratory for one in validation.slices)
    if not gated:
        return f"None of the slices ({small_count}) has enough examples to be judged."
    worst = min(gated, key=lambda one: one.change_ratio)
    is_shown = worst.holm_high_ratio is not None and worst.holm_high_ratio < 0
    shown = "and that is shown to be real" if is_shown else "and that is not shown to be real"
    too_small = f" Too small to judge: {small_count}." if small_count else ""
    return (
        f"Slices judged: {len(gated)}. {worst.column} = {worst.value} has the lowest change of accuracy, "
        f"{units.points(worst.change_ratio)} [{units.points(worst.holm_low_ratio)}, "
        f"{units.points(worst.holm_high_ratio)}], {shown}.{too_small}"
    )


def confidence_sentence(validation: Validation) -> str:
    """Say how the calibration error changed."""
    change = next((one for one in validation.differences if one.name == "ece"), None)
    before, after = validation.baseline_confidence, validation.candidate_confidence
    if change is None or before is None or after is None:
        return "Some answers are no numbers, so confidence cannot be judged."
    return (
        f"The expected calibration error goes from {units.percent(before.ece_ratio)} to "
        f"{units.percent(after.ece_ratio)} ({units.points(change.estimate)} [{units.points(change.low)}, "
        f"{units.points(change.high)}])."
    )


def probes_sentence(validation: Validation) -> str:
    """Name the probe that the candidate fails most often beyond the baseline."""
    gated = [one for one in validation.probes if one.is_gated]
    if not gated:
        return "No kind of probe has enough of them to be judged."
    worst = max(gated, key=lambda one: one.increase.estimate)
    total_count = sum(one.probe_count for one in gated)
    return f"Of {total_count:,} probes of {len(gated)} kinds, failures change most for the worse in {_increase(worst)}."


def notes_sentence(validation: Validation) -> str:
    """Say what could not be asked, and what else a reader should know of the data."""
    return " ".join(f"Note: {note}" for note in validation.notes)


def churn_sentence(churn: Churn) -> str:
    """Say how many answers training again with another seed changes."""
    return (
        f"Training {churn.workload} again with another seed turns {units.percent(churn.negative_flip_ratio, 2)} of "
        f"{churn.example_count:,} answers wrong and changes {units.percent(churn.flips_ratio, 2)} between right and "
        "wrong."
    )


def _increase(one: ProbeResult) -> str:
    change = one.increase
    return (
        f"{one.kind}, by {units.points(change.estimate)} [{units.points(change.low)}, {units.points(change.high)}] "
        f"({one.probe_count:,} probes)"
    )
