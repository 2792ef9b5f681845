"""Gates that are judged again: both rules agree on thousands of borders, and what is altered is named."""

import dataclasses
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from perflib import project
from perflib.errors import DataError
from perflib.governance.recompute import recompute_gates
from perflib.governance.recompute.gates import RULES
from perflib.guardrails import NEVER_WAIVED, load_guardrails
from perflib.results import (
    Change,
    Churn,
    ClassResult,
    Distances,
    GapResult,
    Interval,
    Invariance,
    Overlap,
    SliceChurn,
    Validation,
)
from perflib.validation.gates import CHURN_GATES, GATES, TIE_GATES, WARNING_GATES, Limit, judge
from tests.synthetic_records import SHA, full_validation, identity, part, probe
from tests.whole_records import write_validation

FILE = yaml.safe_load((project.root() / "params" / "guardrails.yaml").read_text(encoding="utf-8"))
Limits = Mapping[str, Limit]


def plain(record: Validation) -> dict[str, Any]:
    """Return the record as its file holds it."""
    found: dict[str, Any] = json.loads(json.dumps(record.to_dict()))
    return found


def fields(limits: Limits) -> dict[str, Any]:
    """Return limits as their file holds them."""
    return {
        gate: {
            "limit": one.limit,
            "source": one.source,
            "above_churn": one.is_above_churn,
            "free_ties": one.has_free_ties,
            **({} if one.warn_limit is None else {"warn_limit": one.warn_limit}),
        }
        for gate, one in limits.items()
    }


def judged(found: Validation, limits: Limits, waivers: Mapping[str, str] | None = None) -> Validation:
    """Judge a record under the limits of one profile."""
    return judge(found, {found.profile: limits}, waivers=waivers)


# --- random records, on a coarse grid so that values meet limits and each other


def grid(rng: np.random.Generator, low: float = -0.04, high: float = 0.06) -> float:
    """Return a multiple of half a point, written as people write it."""
    return round(0.005 * int(rng.integers(round(low / 0.005), round(high / 0.005) + 1)), 3)


def change(rng: np.random.Generator, name: str = "x") -> Change:
    """Return a change with bounds near it."""
    estimate = grid(rng)
    return Change(name, estimate, estimate - abs(grid(rng)), estimate + abs(grid(rng)), 0.95)


def one_of(rng: np.random.Generator, *words: str | None) -> str | None:
    """Return one of several words."""
    return words[int(rng.integers(len(words)))]


def slices(rng: np.random.Generator) -> Iterator[Any]:
    """Yield slices, gated or not, with bounds or without."""
    for place in range(int(rng.integers(0, 5))):
        one = change(rng)
        has_bounds = rng.random() < 0.9
        yield part(
            f"value {place}",
            example_count=int(rng.integers(100, 1500)),
            baseline_accuracy_ratio=0.8 + grid(rng),
            change_ratio=one.estimate,
            holm_low_ratio=one.low if has_bounds else None,
            holm_high_ratio=one.high if has_bounds else None,
            is_gated=bool(rng.random() < 0.8),
        )


def probes(rng: np.random.Generator) -> Iterator[Any]:
    """Yield probes of every suite, with few pairs or many."""
    for suite, place in itertools.product(("perturbation", "counterfactual", "behaviour"), range(3)):
        if rng.random() < 0.3:
            continue
        count = int(rng.choice([100, 250, 500]))
        has_gaps = suite == "counterfactual" and rng.random() < 0.9
        yield probe(
            f"{suite} {place}",
            suite=suite,
            probe_count=count,
            baseline_fail_count=int(rng.integers(0, count // 10)),
            candidate_fail_count=int(rng.integers(0, count // 5)),
            increase=change(rng),
            is_gated=bool(rng.random() < 0.9),
            token_gap_change_ratio=grid(rng) if has_gaps else None,
            baseline_mean_gap_ratio=grid(rng) if has_gaps else None,
            candidate_mean_gap_ratio=grid(rng) if has_gaps else None,
        )


CHURN = Churn(
    workload="reviews-tiny",
    baseline_sha256=SHA,
    retrained_sha256="1" * 64,
    split_sha256=SHA,
    example_count=872,
    negative_flip_ratio=0.005,
    flips_ratio=0.015,
    distances=Distances(0.97, 0.95, 0.02, 0.001, 0.1, 0.4, 1.0, 0.98, 20.0),
    worst_perturbation_increase_ratio=0.004,
    slices=(),
)


def churn(rng: np.random.Generator, found: Any) -> Churn | None:
    """Return what another seed changes: of this baseline, of another, or unknown."""
    if rng.random() < 0.1:
        return None
    return dataclasses.replace(
        CHURN,
        baseline_sha256=SHA if rng.random() < 0.9 else "2" * 64,
        negative_flip_ratio=abs(grid(rng)),
        flips_ratio=abs(grid(rng)),
        distances=Distances(0.97, 0.95, abs(grid(rng)), 0.001, 0.1, 0.4, 1.0, 0.98, 20.0),
        worst_perturbation_increase_ratio=None if rng.random() < 0.2 else grid(rng),
        slices=tuple(
            SliceChurn(one.column, one.value, one.example_count, int(rng.integers(0, 40)))
            for one in found
            if rng.random() < 0.8
        ),
    )


def random_record(seed: int) -> Validation:
    """Return a record that no run would leave and that a rule must bear."""
    rng = np.random.default_rng(seed)
    cut = tuple(slices(rng))
    negative_count, positive_count = rng.integers(0, 30, size=2).tolist()
    class_count = int(rng.choice([2, 2, 3]))
    return full_validation(
        example_count=1000,
        baseline_accuracy_ratio=float(rng.choice([0.0, 0.8, 0.9])),
        candidate_accuracy_ratio=float(rng.choice([0.7, 0.792, 0.8, 0.891])),
        accuracy_change_ratio=Interval(grid(rng), None if rng.random() < 0.1 else grid(rng), None, 0.95),
        negative_flip_count=negative_count,
        positive_flip_count=positive_count,
        tie_count=int(rng.integers(0, 1 + negative_count + positive_count)),
        negative_tie_count=int(rng.integers(0, 1 + negative_count)),
        non_finite_count=int(rng.choice([0, 0, 3, 1000])),
        worst_sum_error_ratio=float(rng.choice([0.0, 1e-5, 1e-3])),
        cut_ratio=float(rng.choice([0.0, 0.01])),
        distances=(
            None
            if rng.random() < 0.1
            else Distances(
                1 - abs(grid(rng)), 0.9, abs(grid(rng)), 0.0, abs(grid(rng)), 0.3, 1.0, 1 - abs(grid(rng)), 20.0
            )
        ),
        differences=() if rng.random() < 0.1 else (change(rng, "ece"), change(rng, "brier")),
        slices=cut,
        classes=tuple(
            ClassResult(f"class {place}", 300, change(rng), change(rng), is_gated=bool(rng.random() < 0.8))
            for place in range(class_count)
        ),
        gaps=tuple(
            GapResult(f"column {place}", ("a", "b"), change(rng), change(rng) if rng.random() < 0.7 else None)
            for place in range(int(rng.integers(0, 3)))
        ),
        probes=tuple(probes(rng)),
        invariance=tuple(
            Invariance(what, 1000, int(rng.choice([0, 0, 1, 7])), float(rng.choice([0.0, 1e-4, 0.01])))
            for what in ("asked again", "batches of 8", "batches of 32", "padded to the longest")
            if rng.random() < 0.7
        ),
        overlaps=tuple(
            Overlap(name, 100, int(rng.choice([0, 0, 2])), 0, ()) for name in ("train", "tuning")[: rng.integers(3)]
        ),
        identity=identity(
            built_sha256=one_of(rng, SHA, None, "3" * 64),
            timed_candidate_sha256=one_of(rng, SHA, None, "4" * 64),
            timed_inputs_sha256=one_of(rng, SHA, "5" * 64),
            timed_hardware_class=one_of(rng, "abc", None, "other"),
        ),
        churn=churn(rng, cut),
    )


def random_limits(seed: int) -> Limits:
    """Return a limit for every gate, with all that its kind of gate may have."""
    rng = np.random.default_rng(seed)
    found = {}
    for gate in GATES:
        limit = float(rng.choice([0.0, 0.005, 0.01, 0.02, 0.05])) if gate != "A2" else 0.01
        limit = 1 - limit if gate in ("A1", "A4-label-loyalty", "A4-cosine") else limit
        found[gate] = Limit(
            limit,
            "house default",
            warn_limit=limit + 0.01 if gate in WARNING_GATES and rng.random() < 0.5 else None,
            is_above_churn=gate in CHURN_GATES and bool(rng.random() < 0.4),
            has_free_ties=gate in TIE_GATES and bool(rng.random() < 0.4),
        )
    return found


def at_borders(found: Validation, limits: Limits) -> Iterator[Limits]:
    """Yield limits that lie exactly on what was measured and on its bounds, and next to them on either side."""
    for field, towards, sign in itertools.product(("measured", "low", "high"), (0.0, -math.inf, math.inf), (1, -1)):
        moved: dict[str, dict[str, Limit]] = {}
        for gate in found.gates:
            value = sign * (getattr(gate, field) or 0.0)
            border = value if towards == 0.0 else float(np.nextafter(value, towards))
            one = limits[gate.id]
            if gate.id == "A2" and border < 1e-6:
                continue  # the reader of the file refuses a margin of nothing
            # The border is once that of passing, once that of warning.
            moved.setdefault("limit", {})[gate.id] = dataclasses.replace(one, limit=border)
            if one.warn_limit is not None:
                moved.setdefault("warn_limit", {})[gate.id] = dataclasses.replace(one, warn_limit=border)
        yield {**limits, **moved.get("limit", {})}
        yield {**limits, **moved.get("warn_limit", {})}


def test_both_rules_agree_on_random_records_at_all_borders() -> None:
    """Every gate gives every verdict that it can, so none of them agrees for want of cases."""
    seen: dict[str, set[str]] = {gate: set() for gate in GATES}
    for seed in range(60):
        found, limits = random_record(seed), random_limits(seed)
        first = judged(found, limits)
        for border in [limits, *at_borders(first, limits)]:
            record = judged(found, border)
            assert recompute_gates(plain(record), {record.profile: fields(border)}) == (), (seed, border)
            for gate in record.gates:
                seen[gate.id].add(gate.verdict)

    assert set(RULES) == set(GATES)
    assert {gate for gate, verdicts in seen.items() if not {"PASS", "FAIL"} <= verdicts} == set()
    assert {gate for gate in WARNING_GATES if "WARN" not in seen[gate]} == set()
    never_open = {gate for gate, verdicts in seen.items() if "INCONCLUSIVE" not in verdicts}
    assert never_open == {"A12-finite", "A16"}


@pytest.mark.parametrize("example_count", [200, 300])
def test_both_leave_out_the_same_restless_slices(example_count: int) -> None:
    """One by one over the flips of a re-training, so that the border is among them, and is crossed."""
    limits = {"A7-bound": Limit(0.05, "house default", is_above_churn=True)}
    bounds: dict[str, Any] = {"holm_low_ratio": -0.08, "holm_high_ratio": 0.02, "is_gated": True}
    cut = part("short", example_count=example_count, **bounds), part("long", is_gated=True, holm_low_ratio=-0.01)
    verdicts = []
    for flip_count in range(80):
        known = dataclasses.replace(CHURN, slices=(SliceChurn("length", "short", example_count, flip_count),))
        record = judged(full_validation(slices=cut, churn=known), limits)
        verdicts.append(record.verdict)

        assert recompute_gates(plain(record), {record.profile: fields(limits)}) == ()

    assert verdicts == sorted(verdicts)
    assert set(verdicts) == {"INCONCLUSIVE", "PASS"}


@pytest.mark.parametrize("profile", list(FILE))
def test_the_shipped_limits_are_read_alike(tmp_path: Path, profile: str) -> None:
    """The file as YAML has it gives the verdicts that its own reader gives."""
    path = write_validation(tmp_path, profile=profile, noise=0.3)

    assert recompute_gates(json.loads(path.read_text(encoding="utf-8")), FILE) == ()
    assert len(json.loads(path.read_text(encoding="utf-8"))["gates"]) == len(FILE[profile])


# --- what is altered is named


def shipped(waivers: Mapping[str, str] | None = None, **change: Any) -> dict[str, Any]:
    """Return a record under the shipped limits of its profile."""
    guardrails, _ = load_guardrails("guardrails.yaml")
    return plain(judge(full_validation(**change), guardrails, waivers=waivers))


@pytest.mark.parametrize("gate_id", sorted(FILE["lossy"]))
def test_an_altered_gate_is_named(gate_id: str) -> None:
    """Its verdict, its number, its limit and where that comes from, each by itself."""
    assert recompute_gates(shipped(), FILE) == ()
    for field in ("verdict", "measured", "limit", "source", "low", "high", "warn_limit"):
        record = shipped()
        (gate,) = [one for one in record["gates"] if one["id"] == gate_id]
        if field == "verdict":
            gate[field] = "PASS" if gate[field] != "PASS" else "FAIL"
        elif field == "source":
            gate[field] = "somebody else"
        else:
            gate[field] = (gate[field] or 0.0) + 1e-6
        found = recompute_gates(record, FILE)

        assert any(sentence.startswith(f"{gate_id}: {field} is ") for sentence in found), (field, found)


def test_loosened_guardrails_are_named() -> None:
    """Whoever changes the file after the run has another limit than the record, in one gate."""
    loose = json.loads(json.dumps(FILE))
    loose["lossy"]["A2"]["limit"] = 0.05

    assert recompute_gates(shipped(), loose)[0] == "A2: limit is 0.01, and follows as 0.05."


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (lambda record: record["gates"].pop(0), "missing A1; added none"),
        (lambda record: record["gates"].append(record["gates"][0]), "missing none; added A1"),
        (lambda record: record["gates"].reverse(), "in their order: missing none; added none"),
        (lambda record: record["gates"][0].update(id="A99"), "missing A1; added A99"),
        (lambda record: record.update(verdict="PASS" if record["verdict"] != "PASS" else "FAIL"), "The verdict is"),
        (lambda record: record.update(profile="free"), "no profile `free`"),
        (lambda record: record["gates"][0].update(waiver="A. Person"), "A1: it is waived and needs none"),
        (lambda record: record.update(absent_suites=["behaviour"]), "Probes of behaviour are said to be absent"),
    ],
)
def test_other_alterations_are_named(alter: Any, words: str) -> None:
    """A gate less, one twice, another order, a verdict that does not follow, a suite that is hidden."""
    record = shipped()
    alter(record)

    assert any(words in sentence for sentence in recompute_gates(record, FILE))


def test_ties_are_forgiven_only_where_the_guardrails_say_so() -> None:
    """A sentence that claims so, or does not, is compared with the file: slices are recomputed by it."""
    record = shipped()
    (gate,) = [one for one in record["gates"] if one["id"] == "A3-negative"]
    gate["sentence"] += " (ties of the baseline left out)"

    assert recompute_gates(record, FILE) == (
        "A3-negative: it does not treat ties of the baseline as the guardrails say.",
    )


# --- waivers


@pytest.mark.parametrize(
    ("change_of", "gate_id"),
    [
        ({"negative_flip_count": 80}, "A3-negative"),
        ({"differences": ()}, "A5-ece"),
    ],
)
def test_a_waived_gate_counts_as_a_warning(change_of: dict[str, Any], gate_id: str) -> None:
    """FAIL and INCONCLUSIVE alike, and the record's verdict follows; without the waiver it would be another."""
    open_gates = {one["id"] for one in shipped(**change_of)["gates"] if one["verdict"] in ("FAIL", "INCONCLUSIVE")}
    record = shipped(dict.fromkeys(open_gates, "A. Person, until 2026-12-01: known."), **change_of)
    assert gate_id in open_gates
    assert record["verdict"] == "WARN"

    assert recompute_gates(record, FILE) == tuple(
        f"{name}: it is waived, and no waiver can make it true." for name in sorted(open_gates & NEVER_WAIVED)
    )
    (gate,) = [one for one in record["gates"] if one["id"] == gate_id]
    gate["waiver"] = None
    assert recompute_gates(record, FILE)[0].startswith("The verdict is WARN, but its gates make it ")


@pytest.mark.parametrize("gate_id", sorted(NEVER_WAIVED))
def test_what_no_waiver_can_make_true_is_named(gate_id: str) -> None:
    """The model that was timed, and texts that were learnt by heart."""
    of_gate: dict[str, dict[str, Any]] = {
        "A13": {"identity": identity(timed_candidate_sha256="9" * 64)},
        "A14": {"overlaps": (Overlap("train", 100, 3, 0, ()),)},
    }
    spoilt = of_gate[gate_id]

    found = recompute_gates(shipped({gate_id: "A. Person, until 2026-12-01: known."}, **spoilt), FILE)

    assert f"{gate_id}: it is waived, and no waiver can make it true." in found


def test_a_record_without_a_part_is_refused() -> None:
    """With a sentence."""
    record = shipped()
    del record["slices"]

    with pytest.raises(DataError, match=r"cannot be judged again .*slices"):
        recompute_gates(record, FILE)
