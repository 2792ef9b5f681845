"""Sentences of the watch: values with interval and n, and beside all that is not decided what could have been seen."""

import dataclasses
from typing import Any

import pytest

from perflib.results.history import CANARY, METRICS, HistoryPoint, SeriesKey
from perflib.results.regression import ChangePoint, Confirmation, Rerun, SeriesScan
from perflib.results.speed import Interval
from perflib.sentences.history import (
    RULE_WORDS,
    check_sentence,
    confirmation_sentence,
    nomination_sentence,
    series_sentence,
    watch_noise_sentence,
)
from perflib.sentences.series_words import (
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
from tests.synthetic_history import make_check, make_confirmation, make_nomination, make_points, make_series, run_id
from tests.synthetic_records import comparison, scenario

SHIFT = Interval(1.1, 1.08, 1.12, 0.95)


def key(metric: str = "p50_sec", scenario_name: str = "single", workload: str = "reviews-tiny") -> SeriesKey:
    """Return the name of a series of `int8`."""
    return SeriesKey(workload, "int8", scenario_name, metric, "any")


def series(count: int = 30) -> tuple[HistoryPoint, ...]:
    """Return a series that takes a tenth longer from its 21st run on."""
    return make_series([0.001 if index < 20 else 0.0011 for index in range(count)])


def scan(count: int = 30, *, has_step: bool = True, **change: Any) -> SeriesScan:
    """Return what a detector would see there."""
    steps = (ChangePoint(20, "segment", SHIFT, 12, 10),) if has_step else ()
    levels = (0.001, 0.0011) if has_step else (0.001,)
    return dataclasses.replace(SeriesScan(count, 0.01, 0.0, (), steps, levels), **change)


def confirmation(**change: Any) -> Confirmation:
    """Return the rerun of a slower `int8`."""
    return make_confirmation(make_nomination(key()), **change)


def rerun(*swapped: Any, is_worse: bool | None, sentence: str = "") -> Rerun:
    """Return a rerun with these parts of the suspect."""
    return Rerun(swapped, None, is_worse, None if is_worse is None else SHIFT, None, sentence)


# --- words ------------------------------------------------------------------------------------------------------


def test_every_metric_has_a_name_and_a_unit() -> None:
    """No column of a database is shown to people, and every value can be written."""
    for metric in METRICS:
        assert metric not in series_name(key(metric))
        assert value_words(0.5, key(metric))


@pytest.mark.parametrize(
    ("metric", "value", "words"),
    [
        ("p50_sec", 0.00123, "1.23 ms"),
        ("examples_per_sec", 3492.0, "3,492 examples/s"),
        ("peak_rss_bytes", 410e6, "410 MB"),
        ("accuracy_ratio", 0.8661, "86.61 %"),
        ("speedup_ratio", 1.61, "1.61×"),
    ],
)
def test_a_value_is_in_the_unit_of_people(metric: str, value: float, words: str) -> None:
    """Seconds, bytes, rates, shares and factors."""
    assert value_words(value, key(metric)) == words


@pytest.mark.parametrize(
    ("shift", "family", "words"),
    [
        (Interval(1.123, 1.101, 1.146, 0.95), "speed", "+12.3 % [10.1, 14.6]"),
        (Interval(0.9, 0.88, 1.01, 0.95), "speed", "−10.0 % [−12.0, 1.0]"),
        (Interval(0.99999, None, None, 0.95), "memory", "0.0 %"),
        (Interval(1.05, 1.05, 1.05, 1.0), "size", "+5.0 %"),
        (Interval(0.99, 0.98, 1.0, 0.95), "quality", "−0.80 pp [−1.60, 0.00]"),
    ],
)
def test_a_shift_has_sign_and_bounds(shift: Interval, family: Any, words: str) -> None:
    """Percent of the level, or percentage points of right answers; no sign at nothing, no bounds without width."""
    assert shift_words(shift, before=0.8, family=family) == words


@pytest.mark.parametrize(
    ("metric", "ratio", "word"),
    [
        ("p50_sec", 1.1, "worse"),
        ("p50_sec", 0.9, "better"),
        ("examples_per_sec", 1.1, "better"),
        ("accuracy_ratio", 0.9, "worse"),
    ],
)
def test_worse_has_the_direction_of_the_metric(metric: str, ratio: float, word: str) -> None:
    """More time is worse, more examples a second are better."""
    assert worse_words(key(metric), Interval(ratio, None, None, 0.95)) == word


def test_names_tell_where_and_of_what() -> None:
    """The scenario where there is one, the workload where a name stands alone; the machine's own reference has none."""
    assert full_name(key()) == "median latency of int8 in single, reviews-tiny"
    assert full_name(key("size_bytes", "all")) == "size of int8, reviews-tiny"
    assert full_name(SeriesKey(CANARY, "cpu", "all", "level_sec", "any")) == "time of the reference cpu"


def test_a_scan_may_leave_out_marked_runs() -> None:
    """Its indices then count the sound ones; a scan of other points is refused."""
    points = [
        dataclasses.replace(point, mark="quarantined" if index == 1 else None) for index, point in enumerate(series(4))
    ]

    assert scanned_places(points, scan(4)) == (0, 1, 2, 3)
    assert scanned_places(points, scan(3)) == (0, 2, 3)
    with pytest.raises(ValueError, match="a scan of 2 points"):
        scanned_places(points, scan(2))


def test_a_measured_ratio_has_bounds_and_coverage_or_none() -> None:
    """Costs are factors, answers a difference."""
    assert ratio_words(SHIFT, "speed") == "1.10× [1.08, 1.12]"
    assert ratio_words(Interval(-0.015, -0.02, -0.01, 0.98), "quality") == "−1.50 pp [−2.00, −1.00]"
    assert ratio_words(Interval(1.5, 1.5, 1.5, 0.98), "size") == "1.50×"
    assert ratio_words(None, "speed") == "no figure"
    assert (coverage_words(SHIFT), coverage_words(None)) == (" (95 %)", "")
    assert coverage_words(Interval(1.5, 1.5, 1.5, 0.98)) == ""


def test_a_swap_is_named_by_its_parts_or_its_package() -> None:
    """A package alone is not the whole lock."""
    assert swap_words(("artifact", "lock")) == "artifact + lock"
    assert swap_words(("lock",), "torch") == "package torch"
    assert swap_words(()) == "nothing"


# --- a series ---------------------------------------------------------------------------------------------------


def test_a_change_is_told_with_levels_interval_and_counts() -> None:
    """What, how much, how sure, since which run, from how many."""
    assert series_sentence(series(), scan()) == (
        "Median latency of int8 in single, reviews-tiny, over 30 runs, 2026-03-01 to 2026-03-30: a run varies by 1.0 % "
        "about its level. It changed by +10.0 % [8.0, 12.0] (95 %), from 1.00 ms to 1.10 ms, worse, since run "
        f"{run_id(20)} (12 runs before, 10 after)."
    )


def test_silence_says_what_would_have_shown() -> None:
    """Five times the noise, or what the detector says; with too few runs, that it proves nothing."""
    quiet = scan(20, has_step=False)

    assert "a step of 5.0 % (5 times the noise) would show" in series_sentence(series(20), quiet)
    assert "a step of 3.7 % would have shown" in series_sentence(series(20), quiet, visible_effect_ratio=0.037)
    few = series_sentence(series(19), dataclasses.replace(quiet, point_count=19))
    assert "fewer than 20 runs say too little to exclude one" in few
    assert "would show" not in few


def test_a_suspicion_is_not_called_silence() -> None:
    """A few far runs are nominated before a scan sees a level."""
    told = series_sentence(series(20), scan(20, has_step=False), nomination=make_nomination(key()))

    assert "the newest runs are suspected" in told
    assert "No change" not in told


def test_an_exact_series_never_changed_or_did() -> None:
    """No noise needs no number of runs."""
    sizes = make_series([342_016.0] * 3, metric="size_bytes", scenario="all")
    told = series_sentence(sizes, SeriesScan(3, 0.0, 0.0, (), (), (342_016.0,)))

    assert told.endswith("no noise. It never changed.")


def test_what_counts_for_nothing_is_listed() -> None:
    """Spikes and marked runs; more than three are counted."""
    points = list(series())
    points[3] = dataclasses.replace(points[3], mark="the machine is quarantined")
    told = series_sentence(points, scan(spikes=(1, 5, 7, 9)))

    assert f"No weight: 4 spikes ({run_id(1)}, {run_id(5)}, {run_id(7)} and 1 more)." in told
    assert "No baseline: 1 run (the machine is quarantined)." in told


def test_a_spike_after_a_marked_run_is_named_rightly() -> None:
    """Where the scan has not seen the marked run, its indices are moved."""
    points = list(series())
    points[3] = dataclasses.replace(points[3], mark="quarantined")

    assert f"No weight: 1 spike ({run_id(6)})." in series_sentence(points, scan(29, spikes=(5,), has_step=False))


def test_none_and_one_run_have_a_sentence() -> None:
    """Both say why there is nothing to find."""
    assert "no run yet" in series_sentence((), SeriesScan(0, 0.0, 0.0, (), (), ()))
    assert f"1.00 ms in its only run, {run_id(0)}" in series_sentence(series(1), scan(1, has_step=False))


# --- nomination, rerun, check -----------------------------------------------------------------------------------


def test_a_nomination_decides_nothing_and_pages_nobody() -> None:
    """With both levels, the interval, both runs and the rule."""
    told = nomination_sentence(make_nomination(key(), index=25))

    assert told.startswith("Nominated, not decided: median latency of int8 in single, reviews-tiny, went from 700 µs")
    assert "to 770 µs, +10.0 % [7.8, 12.2] (95 %), worse" in told
    assert f"since run {run_id(25)} (2 runs; the last before it was {run_id(24)})" in told
    assert "pages nobody; a paired rerun decides" in told
    assert nomination_sentence(None) == "Nothing is nominated in this series."


def test_a_gain_is_told_too_and_is_no_alarm() -> None:
    """What nobody can explain may be a broken benchmark."""
    told = nomination_sentence(make_nomination(key(), ratio=0.9))

    assert told.startswith("Better and not explained")
    assert "worse" not in told


@pytest.mark.parametrize("rule", RULE_WORDS)
def test_every_rule_is_told_in_words(rule: Any) -> None:
    """A reader does not know the names of rules."""
    told = nomination_sentence(dataclasses.replace(make_nomination(key()), rule=rule))

    assert RULE_WORDS[rule][1:] in told


def test_a_confirmation_names_ratio_lives_innocent_and_open_parts() -> None:
    """The first rerun is all that differs; the others are told apart."""
    reruns = (
        rerun("artifact", "lock", "parameters", is_worse=True),
        rerun("artifact", is_worse=True),
        rerun("lock", is_worse=False),
        rerun("parameters", is_worse=None, sentence="4 lives; slowdowns of 9 % or more are ruled out"),
    )
    told = confirmation_sentence(confirmation(reruns=reruns, comparisons=(comparison(scenario()),)))

    assert told.startswith(f"Speed of int8: confirmed, 1.10× [1.08, 1.12] of the time of {run_id(24)} (95 %), 5 lives.")
    assert "Not to blame: lock." in told
    assert "Not decided: parameters (4 lives; slowdowns of 9 % or more are ruled out)." in told


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"comparisons": (comparison(scenario(visible_effect_ratio=0.042)),)}, "could have seen a slowdown of 4.2 %"),
        ({"ratio": Interval(1.02, 0.97, 1.07, 0.98)}, "More than 1.07× is ruled out."),
        ({"ratio": Interval(-0.004, -0.02, 0.012, 0.98), "family": "quality"}, "A change below −2.00 pp is ruled out."),
        ({"ratio": None}, "It rules nothing out."),
    ],
)
def test_not_decided_says_what_could_have_been_seen(change: dict[str, Any], said: str) -> None:
    """From the comparison, else from the interval, else plainly nothing."""
    told = confirmation_sentence(confirmation(verdict="INCONCLUSIVE", culprits=(), **change))

    assert "not decided" in told
    assert said in told


def test_a_check_counts_its_series_by_state() -> None:
    """Who, where, what, how many, and what it could not have seen."""
    told = check_sentence(make_check(is_worse=True, noise_sentence=""))

    assert "int8 is 10 % slower since the run before." in told
    assert "Of 18 series 1 nominated, 17 quiet." in told
    assert "The smallest step that one run can show here is 5.0 %" in told
    assert "`perflib check`" in check_sentence(None)


def test_a_check_tells_quarantine_and_what_comes_and_goes() -> None:
    """A series that vanished is no quiet one."""
    check = make_check(is_quarantined=True, appeared=(key(),), disappeared=(key("size_bytes", "all"),))
    told = check_sentence(check)

    assert "The machine is in quarantine: canary cpu: its level is 7 % from the class." in told
    assert "New: median latency of int8 in single." in told
    assert "No longer measured: size of int8." in told
    assert "This machine can see 3 % in 14 pairs." in told


def test_the_floor_is_the_range_over_all_series() -> None:
    """The steadiest and the noisiest are named; those with too few runs are counted, exact ones are not blind."""
    check = make_check(make_points(has_canary=False, candidates=("baseline",)))
    visible = {"p50_sec": 0.02, "p95_sec": 0.09, "load_sec": None}
    some = [
        dataclasses.replace(one, visible_effect_ratio=visible.get(one.series.metric, one.visible_effect_ratio))
        for one in check.series
    ]
    told = watch_noise_sentence(some, check.canaries)

    assert "is 2.0 % (median latency of baseline in single) to 9.0 % (95 % latency of baseline in single), 4" in told
    assert "1 more with too few runs can show none." in told
    assert "The reference cpu varies by 1.2 % here (8 units)." in told
    assert watch_noise_sentence(()).startswith("No series has the 20 runs")
