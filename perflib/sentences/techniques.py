"""Why a technique helped or not, and whether a guess made beforehand was right."""

from collections.abc import Sequence
from typing import Literal

from perflib import units
from perflib.results import Build, Candidate, Validation
from perflib.results.techniques import PaddingPlan, TechniqueRow, Trial, UpperBound, Work
from perflib.sentences.build import mechanisms


def why_sentence(
    candidate: Candidate, build: Build | None, validation: Validation | None, *, bound_ratio: float | None = None
) -> str:
    """
    Say what took effect in a candidate by the proofs of its stages, how near it came to its bound, and its verdict.

    Args:
        candidate: With its verdict and reasons.
        build: None where it was not built; then the reason is all that there is.
        validation: None where its answers were not compared.
        bound_ratio: The most that the part which its technique speeds up could give in throughput.
    """
    if build is None:
        return candidate.reasons[0] if candidate.reasons else "It was not built."
    told = [_capital(f"{'; '.join(mechanisms(build))}.")]
    offline = candidate.offline_throughput_speedup_ratio
    if bound_ratio is not None and offline is not None:
        told.append(_reach(offline.estimate, bound_ratio))
    if validation is not None:
        told.append(f"{validation.changed_label_count:,} of {validation.example_count:,} answers changed.")
    if candidate.verdict != "approved" and candidate.reasons:
        more_count = len(candidate.reasons) - 1
        more = f" ({more_count} more)" if more_count else ""
        told.append(f"{candidate.verdict.capitalize()}{more}: {candidate.reasons[0]}")
    return " ".join(told)


def bounds_sentence(bounds: Sequence[UpperBound]) -> str:
    """Say what faster products could give by themselves, what a perfect engine would add, and what padding costs."""
    offline = [one for one in bounds if one.scenario == "offline"]
    if not offline:
        return "This run has no profile or no ceilings, so nothing bounds what a technique can give."
    parts = []
    for family in ("precision", "quantization"):
        found = sorted((one.bound_ratio, one.technique) for one in offline if one.family == family)
        parts += [f"{units.speedup(ratio)} from {technique}" for ratio, technique in found]
    parts += [f"{units.speedup(one.bound_ratio)} from {one.technique}" for one in offline if one.family == "serving"]
    most = ", ".join(parts) or "nothing that is known"
    return f"All at once, there is to be gained at most: {most}. What a technique does not touch sets its limit."


def family_sentence(predicted: str, best: TechniqueRow | None) -> str:
    """Say whether the predicted family has the fastest candidate of one technique that may be shipped."""
    if best is None:
        return "No single technique of this run is approved and faster. **The prediction stays open.**"
    word = "right" if best.family == predicted else "wrong"
    return (
        f"You predicted {predicted}, and it is {best.family}: {best.name}, {units.speedup(best.best_ratio)}. "
        f"**The prediction was {word}.**"
    )


def guess_sentence(
    what: str,
    guess: float,
    found: float | None,
    *,
    kind: Literal["factor", "share", "count"],
    slack_ratio: float = 0.25,
) -> str:
    """
    Say whether a guess was right.

    Args:
        what: What was guessed.
        guess: What was written down before.
        found: What came out; None where this machine or run cannot tell.
        kind: How the numbers are written.
        slack_ratio: How far off a right guess may be, as a share of what came out.

    Example:
        >>> guess_sentence("the size", 0.5, 1.0, kind="share")
        'The size: you predicted 50.0 %, and it is 100.0 %. **The prediction was wrong.**'
    """
    start = f"{_capital(what)}: you predicted {_shown(guess, kind)}, and"
    if found is None:
        return f"{start} this run cannot tell. **The prediction stays open.**"
    word = "right" if abs(guess - found) <= slack_ratio * abs(found) else "wrong"
    return f"{start} it is {_shown(found, kind)}. **The prediction was {word}.**"


def work_sentence(before: Work, after: Work, trial: Trial) -> str:
    """Say what became of the multiplications and of the file, and what follows from that."""
    done = after.multiplication_count / before.multiplication_count
    useful = after.useful_count / after.multiplication_count
    if done < 1:
        lesson = "The matrices are smaller, so there is less to do for any kernel."
    elif useful < 1:
        lesson = "Zeros are multiplied like any other number, so nothing can be faster."
    else:
        lesson = "Nothing was left out."
    return (
        f"The kernels do {units.percent(done, 0)} of the multiplications that they did, and "
        f"{units.percent(useful, 0)} of those are by a weight that is not zero; the file has "
        f"{units.percent(trial.size_ratio, 0)} of its size. {lesson}"
    )


def trials_sentence(trials: Sequence[Trial]) -> str:
    """Say how many answers each trial changed, and whether the last one changed fewest."""
    parts = [f"{one.name} changes {one.changed_label_count:,}" for one in trials]
    fewest = min(one.changed_label_count for one in trials)
    word = "fewest" if trials[-1].changed_label_count == fewest else "not fewest"
    return (
        f"Of {trials[0].example_count:,} answers on the tuning split {', '.join(parts)}: {trials[-1].name} changes "
        f"{word}. All of them run the same kernels, so this is what the calibration examples bought."
    )


def padding_sentence(plans: Sequence[PaddingPlan]) -> str:
    """Say how much less each way computes than the first."""
    first = plans[0]
    parts = [
        f"{one.batching} {units.percent(one.padding_ratio, 0)}, which leaves "
        f"{units.percent(one.token_count / first.token_count, 0)} of the work"
        for one in plans[1:]
    ]
    return (
        f"Of the tokens that are computed {units.percent(first.padding_ratio, 0)} are padding when texts are served "
        f"{first.batching}; {', '.join(parts)}. No weight and no answer has changed for that."
    )


def choice_sentence(rows: Sequence[TechniqueRow], *, machine: str, unit: str) -> str:
    """Say what gave most on this machine: in all, at no cost in accuracy, and per point of it."""
    faster = [row for row in rows if row.best_ratio > 1]
    shown = [row for row in faster if row.candidate.verdict == "approved"]
    stopped = [f"{row.name} ({row.candidate.verdict})" for row in faster if row not in shown]
    end = f" Faster and not to be shipped: {', '.join(stopped)}." if stopped else ""
    where = f"On {machine}, for these {unit},"
    if not shown:
        return f"{where} no technique of this run is approved and faster.{end}"
    best = max(shown, key=lambda row: row.best_ratio)
    parts = [f"{best.name} gave most, {units.speedup(best.best_ratio)} for {_cost(best)}"]
    free = [row for row in shown if _lost_points(row) <= 0]
    if free and best not in free:
        one = max(free, key=lambda row: row.best_ratio)
        parts.append(f"{one.name} gave most of what costs no accuracy, {units.speedup(one.best_ratio)}")
    paid = [row for row in shown if _lost_points(row) > 0]
    if len(paid) > 1:
        one = max(paid, key=lambda row: (row.best_ratio - 1) / _lost_points(row))
        parts.append(f"{one.name} gave most per point of accuracy, {units.speedup(one.best_ratio)} for {_cost(one)}")
    return f"{where} {'; '.join(parts)}.{end}"


def _reach(reached_ratio: float, bound_ratio: float) -> str:
    """Hold a speed-up against the most that the part which is made faster could give."""
    alone = f"that part alone could give at most {units.speedup(bound_ratio)}"
    if reached_ratio <= bound_ratio:
        return f"It is {units.speedup(reached_ratio)} all at once; {alone}."
    return f"It is {units.speedup(reached_ratio)} all at once; {alone}, so the rest has become faster as well."


def _lost_points(row: TechniqueRow) -> float:
    change = row.candidate.accuracy_change
    return -100 * change.estimate if change else 0.0


def _cost(row: TechniqueRow) -> str:
    change = row.candidate.accuracy_change
    return f"{units.points(change.estimate)} of accuracy" if change else "an accuracy that nobody measured"


def _shown(value: float, kind: str) -> str:
    if kind == "count":
        return f"{value:,.0f}"
    return units.speedup(value) if kind == "factor" else units.percent(value)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
