"""
The paired rerun: the last good state and the suspect, side by side, now, on this machine.

History only nominates, because a series moves for many reasons. Here the last good artifact runs in the environment of
its own lock, the suspect in its own, in fresh interleaved processes on the same inputs. Only what is worse then is
confirmed, and only then is it asked which component did it: one is swapped at a time.

    confirmations = confirm(case, bench)   # one for each family that was nominated
"""

import dataclasses
from collections.abc import Sequence

from perflib import units
from perflib.regression.culprit import find_culprits
from perflib.regression.reruns import Bench, Case, Judged, Reruns
from perflib.results.history import Family
from perflib.results.regression import Confirmation, Culprit, Nomination, Rerun
from perflib.results.speed import Comparison, Interval

FAMILIES: tuple[Family, ...] = ("speed", "memory", "size", "quality")


def confirm(case: Case, bench: Bench) -> tuple[Confirmation, ...]:
    """
    Decide about everything that was nominated of one candidate.

    Args:
        case: The last good state, the suspect, and what was nominated.
        bench: Runs models; tests pass their own.

    Returns:
        One confirmation for each nominated family, in the order of `FAMILIES`. What cannot be run (an environment that
        cannot be built, an arm that dies) is INCONCLUSIVE, never silence.
    """
    reruns = Reruns(case, bench)
    whole = reruns.judge(case.differing)
    found = [_decide(case, family, whole, reruns) for family in FAMILIES if case.of(family)]
    return tuple(found)


def inconclusive(candidate: str, nominations: Sequence[Nomination], why: str) -> tuple[Confirmation, ...]:
    """Return undecided confirmations for all that was nominated of a candidate that cannot be rerun."""
    families = [family for family in FAMILIES if any(one.family == family for one in nominations)]
    good = nominations[0].good_run_id if nominations else ""
    return tuple(
        Confirmation(candidate, family, "INCONCLUSIVE", None, (), (), good, f"not decided: {why}")
        for family in families
    )


def _decide(case: Case, family: Family, whole: dict[Family, Judged], reruns: Reruns) -> Confirmation:
    judged = whole[family]
    made = Confirmation(
        candidate=case.candidate,
        family=family,
        verdict="INCONCLUSIVE",
        ratio=judged.rerun.ratio,
        culprits=(),
        reruns=(judged.rerun,),
        good_run_id=case.good.run_id,
        sentence=f"not decided: {judged.rerun.sentence}",
        lives_count=len(judged.comparison.processes) if judged.comparison else None,
        comparisons=_one(judged.comparison),
    )
    if judged.rerun.is_worse is None:
        return made
    if judged.rerun.is_worse:
        culprits, tried = find_culprits(case, family, judged.rerun, reruns)
        return dataclasses.replace(
            made,
            verdict="CONFIRMED",
            culprits=culprits,
            reruns=(judged.rerun, *tried),
            sentence=_confirmed_sentence(family, judged.rerun, culprits),
        )
    return _not_worse(case, judged, made)


def _not_worse(case: Case, judged: Judged, made: Confirmation) -> Confirmation:
    """Side by side nothing is worse: then it was the data, the machine, or nothing that lasts."""
    if "data" in case.changed:
        culprit = Culprit("data", "the test data are others than the last good run had", None)
        sentence = (
            "the last good model answers today's data as the suspect does, and the data have changed since: "
            "they are the cause, not the model"
        )
        return dataclasses.replace(made, verdict="CONFIRMED", culprits=(culprit,), sentence=sentence)
    if judged.is_level_new:
        sentence = "the last good model is as slow today, in the environment of its own lock: it is the machine"
        return dataclasses.replace(made, verdict="MACHINE", sentence=sentence)
    sentence = f"it did not come back when run side by side ({judged.rerun.sentence})"
    return dataclasses.replace(made, verdict="WITHDRAWN", sentence=sentence)


def _confirmed_sentence(family: Family, rerun: Rerun, culprits: Sequence[Culprit]) -> str:
    by = _worse_words(family, rerun.ratio)
    if not culprits:
        return f"{by}; no single component does it alone, it takes several together"
    return f"{by}; the cause is the {' and the '.join(f'{one.component} ({one.detail})' for one in culprits)}"


def _worse_words(family: Family, ratio: Interval | None) -> str:
    if ratio is None:
        return "it is worse than the last good run"
    if family == "quality":
        return f"accuracy is {units.points(ratio.estimate)} beside the last good run"
    word = {"speed": "slower", "memory": "larger in memory", "size": "larger"}[family]
    low, high = ratio.low, ratio.high
    bounds = f" [{units.percent(low - 1)}, {units.percent(high - 1)}]" if low is not None and high is not None else ""
    return f"it is {units.percent(ratio.estimate - 1)}{bounds} {word} than the last good run"


def _one(comparison: Comparison | None) -> tuple[Comparison, ...]:
    return () if comparison is None else (comparison,)
