"""What this machine can see, and how often we would be wrong on it."""

from collections.abc import Sequence

from perflib import units
from perflib.results import Calibration, NoiseFloor, NoiseStudy, RuleScore

# What the study of rules is summed up by.
_PLAIN_EFFECT_RATIO = 0.05
# More lives than this nobody waits for by default.
_PATIENCE_LIVES_COUNT = 60


def noise_sentence(noise: NoiseFloor) -> str:
    """Say the smallest usual effects that this machine can see, and how many lives that takes."""
    if noise.sd_ratio is None:
        return "This machine was too disturbed to say what it can see; end other programs and ask again."
    of = f"a life of a small NumPy model varies by {units.percent(noise.sd_ratio)} here ({noise.lives_count} lives)"
    # Of effects that need equally many lives the smallest says it all.
    smallest = {one.lives_count: one.effect_ratio for one in reversed(noise.visible)}
    seen = [
        f"{units.percent(effect_ratio, 0)} in {lives_count} lives"
        for lives_count, effect_ratio in sorted(smallest.items(), reverse=True)
        if lives_count <= _PATIENCE_LIVES_COUNT
    ]
    if not seen:
        return f"This machine can see no usual effect in {_PATIENCE_LIVES_COUNT} lives: {of}."
    return f"This machine can see {', '.join(seen)}: {of}."


def calibration_sentence(calibration: Calibration) -> str:
    """Say how often our own machinery was wrong, and what it found of what was planted."""
    same = next((cell for cell in calibration.cells if cell.effect_ratio == 0), None)
    parts = []
    if same is not None:
        alarms = same.regression_count + same.improvement_count
        parts.append(
            f"Of {same.comparison_count} comparisons of a model with itself {alarms} said slower or faster, "
            f"{same.pass_count} no regression, {same.inconclusive_count} not decided."
        )
    parts += [
        f"{units.percent(cell.effect_ratio, 0)} slower by {cell.kind}: found in {cell.regression_count} of "
        f"{cell.comparison_count}, median {cell.median_lives_count:.0f} lives."
        for cell in calibration.cells
        if cell.effect_ratio
    ]
    return " ".join(parts)


def rules_sentence(study: NoiseStudy) -> str:
    """Hold our rule against the others: false alarms in the worst noise first, then what a 5 % slowdown comes to."""
    same = [score for score in study.scores if score.effect_ratio == 0]
    worst = {score.rule: max((one for one in same if one.rule == score.rule), key=_said) for score in same}
    found = [score for score in study.scores if score.effect_ratio == _PLAIN_EFFECT_RATIO]
    ours = study.any_time[0].rule
    quietest = min((score for rule, score in worst.items() if rule != ours), key=_said)
    loudest = max((score for rule, score in worst.items() if rule != ours), key=_said)
    return (
        f"Where nothing differs, {ours} alarms in at most {units.percent(worst[ours].said_ratio)} of the comparisons, "
        f"and looked at after each of {study.any_time_lives_count} lives in at most "
        f"{units.percent(max(map(_said, study.any_time)))}; the habit of {loudest.rule} alarms in up to "
        f"{units.percent(loudest.said_ratio, 0)} ({loudest.noise}), that of {quietest.rule} in at most "
        f"{units.percent(quietest.said_ratio)}. Of slowdowns of {units.percent(_PLAIN_EFFECT_RATIO, 0)}, "
        f"{ours} finds {_range(found, ours)} and {quietest.rule} {_range(found, quietest.rule)}, by the kind of noise."
    )


def _said(score: RuleScore) -> float:
    return score.said_ratio


def _range(scores: Sequence[RuleScore], rule: str) -> str:
    shares = sorted(score.said_ratio for score in scores if score.rule == rule)
    return f"{units.percent(shares[0], 0)} to {units.percent(shares[-1], 0)}"
