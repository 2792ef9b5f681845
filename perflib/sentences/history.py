"""
What a series, a nomination, a rerun and a check say, in words.

What was not decided always stands beside what could have been seen: silence of a short or noisy series is no proof.
"""

from collections.abc import Iterable, Sequence

from perflib import units
from perflib.results.history import LEAST_RUNS_COUNT, METRICS, Family, HistoryPoint, SeriesKey
from perflib.results.regression import (
    Canary,
    ChangePoint,
    Check,
    Confirmation,
    Nomination,
    NominationRule,
    SeriesCheck,
    SeriesScan,
    SeriesState,
)
from perflib.sentences.series_words import (
    VERDICT_WORDS,
    coverage_words,
    full_name,
    ratio_words,
    scanned_places,
    series_name,
    shift_words,
    swap_words,
    value_words,
    worse_words,
)

# So large a step, in units of a series' noise, is nominated within two runs at the median.
SURE_STEP_COUNT = 5
RULE_WORDS: dict[NominationRule, str] = {
    "segment": "two stretches of runs lie apart",
    "level": "the newest runs lie far from the level",
    "signs": "many runs in a row lie on one side of the level",
    "drift": "the level creeps in one direction",
    "exact": "a value without noise changed",
}
_COSTS: dict[Family, str] = {
    "speed": "the time",
    "memory": "the memory",
    "size": "the size",
    "machine": "the time",
    "quality": "",
}
# In the order in which they are told.
_STATE_WORDS: dict[SeriesState, str] = {
    "nominated": "nominated",
    "known": "already in an open alert",
    "better": "better",
    "quiet": "quiet",
    "too few": f"with fewer than {LEAST_RUNS_COUNT} runs",
    "first": "seen for the first time",
}


def series_sentence(
    points: Sequence[HistoryPoint],
    scan: SeriesScan,
    *,
    nomination: Nomination | None = None,
    visible_effect_ratio: float | None = None,
) -> str:
    """
    Say what a series did: its level, every change with interval and n, and what counted for nothing.

    Args:
        points: Oldest first.
        scan: Of all of them, or of those without a mark.
        nomination: Of this series; a few runs are suspected before a scan sees a new level.
        visible_effect_ratio: The step that the detector would nominate at once, where it is known.
    """
    if not points:
        return "This series has no run yet, so there is nothing to tell."
    key, newest = points[-1].key, points[-1]
    name = _capital(full_name(key))
    if len(points) == 1:
        now = value_words(newest.value, key)
        return f"{name}: {now} in its only run, {newest.run_id}; a change needs a run to be held against."
    places = scanned_places(points, scan)
    spread = f"a run varies by {units.percent(scan.noise_ratio)} about its level" if scan.noise_ratio else "no noise"
    parts = [f"{name}, over {len(points)} runs, {points[0].recorded[:10]} to {newest.recorded[:10]}: {spread}."]
    parts += [
        f"{'Then' if number else 'It changed'} by {_change_words(one, key, scan.levels[number : number + 2])} since "
        f"run {points[places[one.index]].run_id} ({one.before_count} runs before, {one.after_count} after)."
        for number, one in enumerate(scan.change_points)
    ]
    if not scan.change_points:
        suspected = "The scan sees no new level yet, but the newest runs are suspected."
        parts.append(suspected if nomination else _quiet_words(scan, visible_effect_ratio))
    spikes = [points[places[index]].run_id for index in scan.spikes]
    parts += [f"No weight: {_counted(len(spikes), 'spike')} ({_listed(spikes)})."] if spikes else []
    marks = [point.mark for point in points if point.mark is not None]
    parts += [f"No baseline: {_counted(len(marks), 'run')} ({_listed(dict.fromkeys(marks))})."] if marks else []
    return " ".join(parts)


def nomination_sentence(nomination: Nomination | None) -> str:
    """Say which series is suspected of what and since when, and that a suspicion decides nothing."""
    if nomination is None:
        return "Nothing is nominated in this series."
    one, key = nomination, nomination.series
    before, after = (value_words(value, key) for value in (one.before_value, one.after_value))
    shift = shift_words(one.shift_ratio, before=one.before_value, family=one.family)
    went = f"{full_name(key)}, went from {before} to {after}, {shift}{coverage_words(one.shift_ratio)}"
    since = (
        f"since run {one.since_run_id} ({_counted(one.after_count, 'run')}; the last before it was {one.good_run_id})"
    )
    why = f"{_capital(RULE_WORDS[one.rule])}."
    if not one.is_worse:
        return f"Better and not explained: {went}, {since}. {why} Nobody is paged for it."
    return f"Nominated, not decided: {went}, worse, {since}. {why} This pages nobody; a paired rerun decides."


def confirmation_sentence(confirmation: Confirmation) -> str:
    """Say what running it again side by side decided, with interval and n, and what is not to blame or still open."""
    one = confirmation
    of = f" of {_COSTS[one.family]} of {one.good_run_id}" if _COSTS[one.family] else f" beside {one.good_run_id}"
    measured = f", {ratio_words(one.ratio, one.family)}{of}{coverage_words(one.ratio)}" if one.ratio else ""
    parts = [
        f"{_capital(one.family)} of {one.candidate}: {VERDICT_WORDS[one.verdict]}{measured}{_lives(one)}.",
        _capital(_stopped(one.sentence)),
    ]
    rest = one.reruns[1:]
    innocent = [swap_words(run.swapped, run.package) for run in rest if run.is_worse is False]
    parts += [f"Not to blame: {_listed(innocent)}."] if innocent else []
    parts += [
        f"Not decided: {swap_words(run.swapped, run.package)} ({run.sentence})." for run in rest if run.is_worse is None
    ]
    if one.verdict == "INCONCLUSIVE":
        parts.append(_could_have_seen(one))
    return " ".join(parts)


def check_sentence(check: Check | None) -> str:
    """Say what a check found, in how many series, on which machine, and what it could not have seen."""
    if check is None:
        return "No run of this hardware class was checked yet; `perflib check` does it."
    counts = [(sum(one.state == state for one in check.series), word) for state, word in _STATE_WORDS.items()]
    told = ", ".join(f"{count} {word}" for count, word in counts if count)
    parts = [
        f"Run {check.run_id} on {check.machine}: {_stopped(check.sentence)}",
        f"Of {len(check.series)} series {told}." if check.series else "No series was looked at.",
    ]
    if check.quarantine.is_quarantined:
        parts.append(f"The machine is in quarantine: {_stopped('; '.join(check.quarantine.reasons))}")
    for word, keys in (("New", check.appeared), ("No longer measured", check.disappeared)):
        parts += [f"{word}: {_listed(series_name(key) for key in keys)}."] if keys else []
    parts.append(_capital(_stopped(check.noise_sentence)) or watch_noise_sentence(check.series, check.canaries))
    return " ".join(parts)


def watch_noise_sentence(series: Sequence[SeriesCheck], canaries: Sequence[Canary] = ()) -> str:
    """Say the smallest step that would be nominated at once here, in the steadiest and the noisiest series."""
    seen = sorted(
        (one.visible_effect_ratio, series_name(one.series)) for one in series if one.visible_effect_ratio is not None
    )
    blind = sum(one.visible_effect_ratio is None and not METRICS[one.series.metric].is_exact for one in series)
    if not seen:
        parts = [f"No series has the {LEAST_RUNS_COUNT} runs yet from which this machine could see a step."]
    else:
        (least, steadiest), (most, noisiest) = seen[0], seen[-1]
        parts = [f"The smallest step that one run can show here is {units.percent(least)} ({steadiest})"]
        parts[0] += f" to {units.percent(most)} ({noisiest}), {len(seen)} series." if len(seen) > 1 else "."
        parts += [f"{blind} more with too few runs can show none."] if blind else []
    parts += [
        f"The reference {one.name} varies by {units.percent(one.sd_ratio)} here ({one.unit_count} units)."
        for one in canaries
    ]
    return " ".join(parts)


def _change_words(one: ChangePoint, key: SeriesKey, levels: Sequence[float]) -> str:
    before, after = levels
    shift = shift_words(one.shift_ratio, before=before, family=METRICS[key.metric].family)
    went = f"from {value_words(before, key)} to {value_words(after, key)}"
    return f"{shift}{coverage_words(one.shift_ratio)}, {went}, {worse_words(key, one.shift_ratio)},"


def _quiet_words(scan: SeriesScan, visible_effect_ratio: float | None) -> str:
    if scan.point_count < LEAST_RUNS_COUNT and scan.noise_ratio:
        return f"No change was found, but fewer than {LEAST_RUNS_COUNT} runs say too little to exclude one."
    if visible_effect_ratio is not None:
        return f"No change was found; a step of {units.percent(visible_effect_ratio)} would have shown at once."
    if not scan.noise_ratio:
        return "It never changed."
    step = units.percent(SURE_STEP_COUNT * scan.noise_ratio)
    return (
        f"No change was found; a step of {step} ({SURE_STEP_COUNT} times the noise) would show within about two runs."
    )


def _could_have_seen(one: Confirmation) -> str:
    seen = [
        f"a slowdown of {units.percent(timed.visible_effect_ratio)} in {timed.scenario}"
        for comparison in one.comparisons
        for timed in comparison.scenarios
        if timed.visible_effect_ratio is not None
    ]
    if seen:
        return f"It could have seen {_listed(seen)}."
    if one.ratio is not None and one.family == "quality" and one.ratio.low is not None:
        return f"A change below {units.points(one.ratio.low)} is ruled out."
    if one.ratio is not None and one.family != "quality" and one.ratio.high is not None:
        return f"More than {units.speedup(one.ratio.high)} is ruled out."
    return "It rules nothing out."


def _lives(one: Confirmation) -> str:
    counts = [len(timed.log_ratios) for comparison in one.comparisons for timed in comparison.scenarios]
    return f", {max(counts)} lives" if counts else ""


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"


def _listed(words: Iterable[str]) -> str:
    known = list(words)
    return ", ".join(known[:3]) + (f" and {len(known) - 3} more" if len(known) > 3 else "")


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _stopped(sentence: str) -> str:
    """Return it with one full stop; nothing where there is nothing."""
    return f"{sentence.rstrip('. ')}." if sentence.strip() else ""
