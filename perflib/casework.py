"""
The case for a candidate, written by a learner and read by us: each claim against the record that it points at.

A claim is right when its number is the record's, and honest when it is the number that the reader will live to see:
the low end of a gain, the high end of a loss, no money while the prices are examples.

    remarks(run, draft)   # what a reviewer would write into the margin
"""

import dataclasses
import html
import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from perflib import units, verdict
from perflib.errors import DataError, ParameterError
from perflib.pointed import resolve
from perflib.records import read_json
from perflib.results import Comparison, Validation
from perflib.results.governance import Finops, RolloutPlan
from perflib.runs import Run
from perflib.tables.markup import table

About = Literal["gain", "loss", "money", "way back", "fact"]
Mistake = Literal[
    "no pointer",
    "another number",
    "the bright end",
    "example money",
    "money that is not saved",
    "not to be shipped",
    "silent about losses",
    "no way back",
]
# Two numbers are the same when a reader who sees three digits takes them for the same.
_SAME_RATIO = 0.005


@dataclasses.dataclass(frozen=True)
class Claim:
    """
    One number of a case: the words around it, its value, the record it is from, and what it is about.

    ``pointer`` is ``records/FILE.json#/json/pointer``; empty where the writer gave none.
    """

    words: str
    value: float
    pointer: str
    about: About = "fact"


@dataclasses.dataclass(frozen=True)
class Case:
    """What a reader is asked to agree to: ship ``candidate``, because of these claims."""

    candidate: str
    claims: tuple[Claim, ...]


@dataclasses.dataclass(frozen=True)
class Remark:
    """What a reviewer says of a case: the mistake by name, where, and how it is mended."""

    mistake: Mistake
    words: str
    sentence: str


def remarks(run: Run, case: Case) -> tuple[Remark, ...]:
    """
    Read a case as a reviewer would.

    Args:
        run: With the decision's records.
        case: As it was written.

    Returns:
        What is wrong with it; empty for a case that may go out.

    Raises:
        ParameterError: If the run has no such candidate.
    """
    found = [one for claim in case.claims for one in _of_claim(run, case, claim)]
    return (*_of_candidate(run, case), *found, *_missing(case))


def draft_case(run: Run, name: str) -> Case:
    """Return a first draft with the mistakes that people make: bright ends, no sources, nothing about losses."""
    place, speed = _scenario_place(run, name)
    ratio = speed["speedup_ratio"]
    bright = ratio["high"] if ratio["high"] is not None else ratio["estimate"]
    claims = [
        Claim("times as fast", bright, f"{place}/speedup_ratio/high", "gain"),
        Claim("of the answers stay right", 1.0, "", "fact"),
    ]
    finops, index = _arm(run, name)
    if finops is not None and finops.arms[index].elastic_saving_month_amount is not None:
        amount = finops.arms[index].elastic_saving_month_amount
        pointer = f"records/finops-run.json#/arms/{index}/elastic_saving_month_amount"
        claims.append(Claim(f"{finops.currency} saved a month", float(amount or 0.0), pointer, "money"))
    return Case(name, tuple(claims))


def honest_case(run: Run, name: str) -> Case:
    """Return a case that a reviewer would let pass, made of the run's records alone."""
    place, speed = _scenario_place(run, name)
    end = "low" if speed["speedup_ratio"]["low"] is not None else "estimate"
    validation = f"records/validation-{name}.json#"
    claims = [
        Claim("times as fast at least", speed["speedup_ratio"][end], f"{place}/speedup_ratio/{end}", "gain"),
        Claim(
            "answers that were right and are wrong now",
            _value(run, f"{validation}/negative_flip_count"),
            f"{validation}/negative_flip_count",
            "loss",
        ),
    ]
    if run.read(RolloutPlan, name) is not None:
        pointer = f"records/rollout-{name}.json#/rollback_sec"
        claims.append(Claim("seconds until everybody is back", _value(run, pointer), pointer, "way back"))
    else:
        pointer = f"{validation}/example_count"
        claims.append(Claim("examples were asked before anybody is served", _value(run, pointer), pointer, "way back"))
    return Case(name, tuple(claims))


def case_table(case: Case) -> str:
    """Return a case as people read it, each number beside its source."""
    rows = [
        (html.escape(claim.words), f"{claim.value:.4g}", f"<code>{html.escape(claim.pointer) or 'none'}</code>")
        for claim in case.claims
    ]
    return table(f"The case for {case.candidate}.", ("claim", "number", "record"), rows)


def remarks_table(found: Sequence[Remark]) -> str:
    """Return the remarks, a row each."""
    rows = [(html.escape(one.mistake), html.escape(one.words), html.escape(one.sentence)) for one in found]
    caption = f"{len(found)} remarks of a reviewer." if found else "A reviewer has nothing to say."
    return table(caption, ("mistake", "at", "what to do"), rows)


def grade_sentence(guessed: Iterable[str], found: Sequence[Remark]) -> str:
    """Say which mistakes a learner has seen before being told."""
    real, said = {one.mistake for one in found}, set(guessed)
    missed, wrong = sorted(real - said), sorted(said - real)
    words = [f"You have seen {len(real & said)} of {len(real)} mistakes."]
    words += [f"Missed: {', '.join(missed)}."] if missed else []
    words += [f"Not there: {', '.join(wrong)}."] if wrong else []
    return " ".join(words)


def _of_candidate(run: Run, case: Case) -> list[Remark]:
    summary = run.summary()
    judged = {one.name: one for one in (summary.candidates if summary else verdict.judge_run(run))}
    if case.candidate not in judged:
        raise ParameterError(f"{run.run_id} has no candidate `{case.candidate}`; it has {', '.join(judged) or 'none'}.")
    one = judged[case.candidate]
    if verdict.is_offered(one):
        return []
    said = " ".join(one.reasons)
    return [Remark("not to be shipped", case.candidate, f"It is {one.verdict}: {said} Propose what is approved.")]


def _of_claim(run: Run, case: Case, claim: Claim) -> list[Remark]:
    if not claim.pointer:
        return [Remark("no pointer", claim.words, "Name the record and the place in it, or leave the number out.")]
    try:
        held = _value(run, claim.pointer)
    except DataError as error:
        return [Remark("no pointer", claim.words, f"The pointer leads nowhere: {error}")]
    if not math.isclose(held, claim.value, rel_tol=_SAME_RATIO):
        return [Remark("another number", claim.words, f"The record says {held:.4g}, the case {claim.value:.4g}.")]
    if claim.about == "gain" and not claim.pointer.endswith("/low") and _has_low(run, claim.pointer):
        low = _value(run, _low(claim.pointer))
        sentence = f"Promise what is sure: the low end, {units.speedup(low)}, is what one may plan with."
        return [Remark("the bright end", claim.words, sentence)]
    return _of_money(run, case, claim) if claim.about == "money" else []


def _of_money(run: Run, case: Case, claim: Claim) -> list[Remark]:
    finops, index = _arm(run, case.candidate)
    if finops is None:
        return []
    found = []
    if finops.is_example:
        sentence = "The prices are examples; say the ratio, or make params/prices.yaml yours first."
        found.append(Remark("example money", claim.words, sentence))
    if finops.arms[index].realisable == "no":
        found.append(Remark("money that is not saved", claim.words, finops.arms[index].realisable_sentence))
    return found


def _missing(case: Case) -> list[Remark]:
    about = {claim.about for claim in case.claims}
    found = []
    if "loss" not in about:
        sentence = "Say what gets worse and for whom: the flips and the worst slice stand in the validation."
        found.append(Remark("silent about losses", case.candidate, sentence))
    if "way back" not in about:
        sentence = "Say how one gets back, and how long that takes: it stands in the rollout plan."
        found.append(Remark("no way back", case.candidate, sentence))
    return found


def _scenario_place(run: Run, name: str) -> tuple[str, dict[str, Any]]:
    """Return where a candidate's throughput is (or its first scenario), and what stands there."""
    compared = run.read(Comparison, name)
    if compared is None or not compared.scenarios or run.read(Validation, name) is None:
        raise ParameterError(f"candidate `{name}` of {run.run_id} was not measured to the end; take another one.")
    names = [one.scenario for one in compared.scenarios]
    index = names.index("offline") if "offline" in names else 0
    return f"records/comparison-{name}.json#/scenarios/{index}", compared.to_dict()["scenarios"][index]


def _arm(run: Run, name: str) -> tuple[Finops | None, int]:
    finops = run.read(Finops, "run")
    names = [one.name for one in finops.arms] if finops else []
    return (finops, names.index(name)) if name in names else (None, 0)


def _value(run: Run, pointer: str) -> float:
    path, _, place = pointer.partition("#")
    if not path.startswith("records/") or ".." in path:
        raise DataError(f"`{path}` is no record of this run; point at records/FILE.json.")
    value = resolve(read_json(run.folder / path), place)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{pointer} holds {value!r} and no number; point at a number.")
    return float(value)


def _low(pointer: str) -> str:
    return f"{pointer.rpartition('/')[0]}/low"


def _has_low(run: Run, pointer: str) -> bool:
    try:
        _value(run, _low(pointer))
    except DataError:
        return False
    return True
