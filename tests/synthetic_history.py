"""
A history of runs that never were: points, checks and alerts, the same for the same arguments.

    points = make_points(planted=Planted("int8", first_index=25, cost_ratio=1.1))
    check = make_check(points, is_worse=True)
    alert = make_alert(check.nominations)
"""

import dataclasses
import datetime
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from ulid import ULID

from perflib.results.history import CANARY, METRICS, NO_SCENARIO, Component, HistoryPoint, Promotion, SeriesKey
from perflib.results.regression import (
    Alert,
    AlertEvent,
    AlertState,
    Canary,
    Check,
    Confirmation,
    Culprit,
    Nomination,
    Quarantine,
    Rerun,
    SeriesCheck,
)
from perflib.results.speed import Interval

WORKLOAD = "reviews-tiny"
HARDWARE_CLASS = "amd-epyc-7b13-2c-8g-0a1b2c3d"
HOST_ID = "host-1"
MACHINE = "AMD EPYC 7B13 · 2 cores · 8 GiB · avx2"
FIRST_RUN = datetime.datetime(2026, 3, 1, 8, 0, 0, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)

# Candidate -> what one call and one pass of it take, what it holds and how often it is right.
_LEVELS: dict[str, dict[str, float]] = {
    "baseline": {
        "call_sec": 0.0012,
        "pass_sec": 0.080,
        "load_sec": 0.9,
        "rss": 410e6,
        "size": 1_204_224,
        "right": 0.87,
    },
    "int8": {"call_sec": 0.0007, "pass_sec": 0.036, "load_sec": 0.6, "rss": 350e6, "size": 342_016, "right": 0.866},
}
_EXAMPLES_PER_PASS_COUNT = 128


@dataclasses.dataclass(frozen=True)
class Planted:
    """
    What was made worse from one run on: time by a factor, size by a factor, right answers by a share.

    ``component`` is what changed with it; its digest differs from then on.
    """

    candidate: str
    first_index: int
    cost_ratio: float = 1.0
    size_ratio: float = 1.0
    accuracy_drop_ratio: float = 0.0
    component: Component = "artifact"


def run_ulid(index: int) -> str:
    """Return the ulid of a run; later runs are greater."""
    moment = int((FIRST_RUN + index * DAY).timestamp() * 1000)
    return str(ULID.from_bytes(moment.to_bytes(6, "big") + hashlib.sha256(f"run {index}".encode()).digest()[:10]))


def run_id(index: int) -> str:
    """Return the name of a run."""
    return f"{FIRST_RUN + index * DAY:%Y%m%d-%H%M%S}_smoke_{commit7(index)}"


def commit7(index: int) -> str:
    """Return the commit of a run."""
    return sha(f"commit {index}")[:7]


def sha(word: str) -> str:
    """Return a digest that belongs to a word."""
    return hashlib.sha256(word.encode()).hexdigest()


def make_points(
    *,
    run_count: int = 30,
    candidates: Sequence[str] = ("baseline", "int8"),
    workload: str = WORKLOAD,
    hardware_class: str = HARDWARE_CLASS,
    noise_ratio: float = 0.01,
    seed: int = 0,
    planted: Planted | None = None,
    marked: Sequence[int] = (),
    has_canary: bool = True,
) -> tuple[HistoryPoint, ...]:
    """
    Return what runs of these candidates give to a history, run after run: 16 points a run, 18 with the canary.

    Args:
        run_count: The length of every series.
        candidates: ``baseline``, ``int8`` or others, which are as fast as ``int8``.
        workload: Its name.
        hardware_class: Its key.
        noise_ratio: The standard deviation of the logarithm of what is timed; size and accuracy have none.
        seed: Of the noise.
        planted: What became worse, and since when.
        marked: Runs (their indices) of a quarantined machine.
        has_canary: Whether the machine's own reference was measured too.
    """
    random = np.random.default_rng(seed)
    found: list[HistoryPoint] = []
    for index in range(run_count):
        mark = "the machine is quarantined" if index in marked else None
        passes_sec: dict[str, dict[str, float]] = {}
        for candidate in candidates:
            values, passes_sec[candidate] = _values(candidate, index, noise_ratio, random, planted)
            if candidate != "baseline" and "baseline" in passes_sec:
                for scenario, pass_sec in passes_sec[candidate].items():
                    values[scenario, "speedup_ratio"] = passes_sec["baseline"][scenario] / pass_sec
            for (scenario, metric), value in values.items():
                key = SeriesKey(workload, candidate, scenario, metric, hardware_class)
                found.append(make_point(key, value, index, planted=planted, mark=mark))
        if has_canary:
            for metric, level in (("level_sec", 0.02), ("sd_ratio", 0.012)):
                key = SeriesKey(CANARY, "cpu", NO_SCENARIO, metric, hardware_class)
                value = level * float(np.exp(random.normal(0, noise_ratio)))
                found.append(make_point(key, value, index, mark=mark))
    return tuple(found)


def make_point(
    key: SeriesKey,
    value: float,
    index: int = 0,
    *,
    planted: Planted | None = None,
    mark: str | None = None,
    **change: Any,
) -> HistoryPoint:
    """Return one point of a series in the run of that index; ``change`` replaces fields."""
    digests = {
        "artifact": f"artifact {key.workload} {key.candidate}",
        "lock": "lock",
        "parameters": f"parameters {key.candidate}",
        "data": f"data {key.workload}",
    }
    if planted and key.candidate == planted.candidate and index >= planted.first_index:
        digests[planted.component] += " planted"
    point = HistoryPoint(
        **dataclasses.asdict(key),
        value=value,
        unit=METRICS[key.metric].unit,
        run_ulid=run_ulid(index),
        run_id=run_id(index),
        recorded=f"{FIRST_RUN + index * DAY:%Y-%m-%dT%H:%M:%S+00:00}",
        commit=commit7(index),
        **{f"{component}_sha256": sha(word) for component, word in digests.items()},
        host_id=HOST_ID,
        operating_system="Debian GNU/Linux 12 (bookworm)",
        driver=None,
        image_digest=None,
        mark=mark,
    )
    return dataclasses.replace(point, **change)


def make_series(values: Sequence[float], *, metric: str = "p50_sec", **key: str) -> tuple[HistoryPoint, ...]:
    """Return one series with just these values, one a run; ``key`` replaces words of its name."""
    words = {"workload": WORKLOAD, "candidate": "int8", "scenario": "single", "hardware_class": HARDWARE_CLASS} | key
    return tuple(make_point(SeriesKey(metric=metric, **words), value, at) for at, value in enumerate(values))


def make_nomination(key: SeriesKey, *, ratio: float = 1.1, before: float = 0.0007, index: int = 25) -> Nomination:
    """Return a suspect whose level changed by a factor in the run of that index."""
    metric = METRICS[key.metric]
    return Nomination(
        series=key,
        family=metric.family,
        rule="exact" if metric.is_exact else "level",
        is_worse=(ratio > 1) == (metric.better == "less"),
        shift_ratio=Interval(ratio, 0.98 * ratio, 1.02 * ratio, 0.95),
        before_value=before,
        after_value=before * ratio,
        unit=metric.unit,
        good_run_id=run_id(index - 1),
        good_run_ulid=run_ulid(index - 1),
        since_run_id=run_id(index),
        since_run_ulid=run_ulid(index),
        after_count=2,
    )


def make_confirmation(nomination: Nomination, **change: Any) -> Confirmation:
    """Return the paired rerun that confirmed a suspect and found its artifact guilty."""
    ratio = nomination.shift_ratio
    one = Confirmation(
        candidate=nomination.series.candidate,
        family=nomination.family,
        verdict="CONFIRMED",
        ratio=ratio,
        culprits=(Culprit("artifact", "artifact 0a1b2c3d became 4e5f6071", ratio),),
        reruns=(_rerun(ratio),),
        good_run_id=nomination.good_run_id,
        sentence="the suspect takes 10 % longer than the last good one, run side by side.",
    )
    return dataclasses.replace(one, **change)


def make_check(
    points: Sequence[HistoryPoint] | None = None,
    *,
    is_worse: bool = False,
    is_quarantined: bool = False,
    alert_ulids: tuple[str, ...] = (),
    **change: Any,
) -> Check:
    """
    Return the check of the newest run of these points.

    Args:
        points: One hardware class; `make_points` if not given.
        is_worse: Whether ``int8`` is nominated and confirmed in its single p50.
        is_quarantined: Whether the machine may not speak.
        alert_ulids: What it alerted.
        change: Fields to replace.
    """
    points = make_points() if points is None else points
    series = tuple(_series_check(key, points, is_worse=is_worse) for key in sorted({one.key for one in points}))
    nominations = [one.nomination for one in series if one.nomination]
    newest = max(points, key=lambda one: one.run_ulid)
    one = Check(
        run_id=newest.run_id,
        run_ulid=newest.run_ulid,
        checked=newest.recorded,
        hardware_class=newest.hardware_class,
        host_id=newest.host_id,
        machine=MACHINE,
        quarantine=Quarantine(
            is_quarantined, ("canary cpu: its level is 7 % from the class.",) if is_quarantined else (), 0
        ),
        canaries=(Canary("cpu", newest.hardware_class, 0.02, 0.012, 0.8, 8, 0, 0.0),),
        noise_sentence="this machine can see 3 % in 14 pairs.",
        series=series,
        appeared=(),
        disappeared=(),
        confirmations=tuple(make_confirmation(found) for found in nominations),
        alert_ulids=alert_ulids,
        exit_code=3 if nominations else 0,
        sentence="int8 is 10 % slower since the run before." if nominations else "nothing is worse.",
    )
    return dataclasses.replace(one, **change)


def make_alert(
    nominations: Sequence[Nomination] | None = None, *, index: int = 0, state: AlertState = "OPEN", **change: Any
) -> Alert:
    """
    Return an alert over these suspects, confirmed and in that state.

    Args:
        nominations: At least one; a slower single p50 of ``int8`` if not given.
        index: Of the alert, for its ulid.
        state: Where its life has come to.
        change: Fields to replace.
    """
    key = SeriesKey(WORKLOAD, "int8", "single", "p50_sec", HARDWARE_CLASS)
    nominations = tuple(nominations) if nominations else (make_nomination(key),)
    first = nominations[0]
    one = Alert(
        ulid=run_ulid(1000 + index),
        kind="performance",
        state=state,
        workload=first.series.workload,
        hardware_class=first.series.hardware_class,
        host_id=HOST_ID,
        machine=MACHINE,
        nominations=nominations,
        confirmations=tuple(make_confirmation(found) for found in nominations),
        good_run_id=first.good_run_id,
        good_run_ulid=first.good_run_ulid,
        since_run_id=first.since_run_id,
        since_run_ulid=first.since_run_ulid,
        run_id=first.since_run_id,
        owner="@models",
        snoozed_until=None,
        events=(AlertEvent("2026-03-26T08:10:00+00:00", "perflib", state, "confirmed by a paired rerun."),),
    )
    return dataclasses.replace(one, **change)


def make_promotion(candidate: str = "int8", *, index: int = 20, **change: Any) -> Promotion:
    """Return what a person said after the run of that index; ``change`` replaces fields."""
    one = Promotion(
        ulid=run_ulid(2000 + index),
        workload=WORKLOAD,
        candidate=candidate,
        run_id=run_id(index),
        run_ulid=run_ulid(index),
        hardware_class=HARDWARE_CLASS,
        artifact_sha256=sha(f"artifact {WORKLOAD} {candidate}"),
        lock_sha256=sha("lock"),
        promoted="2026-03-21T09:00:00+00:00",
        promoted_by="somebody",
        reason="it is faster and as right.",
    )
    return dataclasses.replace(one, **change)


def _values(
    candidate: str, index: int, noise_ratio: float, random: np.random.Generator, planted: Planted | None
) -> tuple[dict[tuple[str, str], float], dict[str, float]]:
    """Return scenario and metric -> value of one run, and the seconds per pass of each scenario."""
    level = _LEVELS.get(candidate, _LEVELS["int8"])
    is_planted = planted is not None and planted.candidate == candidate and index >= planted.first_index
    worse = planted if planted is not None and is_planted else Planted(candidate, 0)

    def noisy(value: float) -> float:
        return value * float(np.exp(random.normal(0.0, noise_ratio)))

    call_sec, pass_sec = (noisy(level[name] * worse.cost_ratio) for name in ("call_sec", "pass_sec"))
    values = {
        ("single", "p50_sec"): call_sec,
        ("single", "p95_sec"): noisy(1.15 * call_sec),
        ("offline", "examples_per_sec"): _EXAMPLES_PER_PASS_COUNT / pass_sec,
        (NO_SCENARIO, "load_sec"): noisy(level["load_sec"]),
        (NO_SCENARIO, "peak_rss_bytes"): float(round(noisy(level["rss"]))),
        (NO_SCENARIO, "size_bytes"): float(round(level["size"] * worse.size_ratio)),
        (NO_SCENARIO, "accuracy_ratio"): level["right"] - worse.accuracy_drop_ratio,
    }
    return values, {"single": call_sec, "offline": pass_sec}


def _rerun(ratio: Interval) -> Rerun:
    return Rerun(
        swapped=("artifact",),
        package=None,
        is_worse=True,
        ratio=ratio,
        evidence=240.0,
        sentence="with the suspect's artifact alone it is worse too.",
    )


def _series_check(key: SeriesKey, points: Sequence[HistoryPoint], *, is_worse: bool) -> SeriesCheck:
    line = sorted((one for one in points if one.key == key), key=lambda one: one.run_ulid)
    is_suspect = is_worse and (key.candidate, key.scenario, key.metric) == ("int8", "single", "p50_sec")
    noise_ratio = None if METRICS[key.metric].is_exact else 0.01
    nomination = make_nomination(key, before=line[-1].value / 1.1, index=len(line) - 1) if is_suspect else None
    return SeriesCheck(
        series=key,
        state="nominated" if is_suspect else "quiet" if len(line) >= 12 else "too few",
        point_count=len(line),
        value=line[-1].value,
        unit=line[-1].unit,
        noise_ratio=noise_ratio,
        visible_effect_ratio=None if noise_ratio is None else 5 * noise_ratio,
        nomination=nomination,
    )
