"""Gates: each border, the worst of several, and never a pass for want of data."""

from typing import Any

import numpy as np
import pytest

from perflib import params
from perflib.errors import ParameterError
from perflib.results import Gate, Validation
from perflib.validation.gates import GATES, Limit, validate, worst
from perflib.validation.predictions import Paired
from perflib.validation.quality import tango_lower


def answers(count: int, *, right: int = 0, negative: int = 0, positive: int = 0, broken: int = 0) -> Paired:
    """Return paired answers: so many both right, flipped each way, not finite; the rest are wrong in both."""
    labels = np.zeros(count, np.int64)
    before, after = np.ones(count, int), np.ones(count, int)
    before[: right + negative] = 0
    after[:right] = 0
    after[right + negative : right + negative + positive] = 0
    rows = np.eye(2, dtype=np.float32)
    candidate = rows[after].copy()
    candidate[count - broken :] = np.nan
    return Paired(tuple(map(str, range(count))), labels, rows[before], candidate, {})


def judged(paired: Paired, **gates: Limit) -> Validation:
    """Validate against one profile."""
    return validate(
        paired,
        name="int8",
        guardrails={"lossy": {name.replace("_", "-"): limit for name, limit in gates.items()}},
        guardrails_sha256="g",
        profile="lossy",
        slice_columns=(),
        baseline_sha256="b",
        candidate_sha256="c",
        split_sha256="s",
    )


def ruled(paired: Paired, gate_id: str, limit: float, warn_limit: float | None = None) -> Gate:
    """Return the ruling of one gate."""
    (gate,) = judged(paired, **{gate_id: Limit(limit, "house", warn_limit)}).gates
    return gate


@pytest.mark.parametrize(("negative", "verdict"), [(0, "PASS"), (1, "PASS"), (2, "FAIL")])
def test_retention_passes_at_its_limit(negative: int, verdict: str) -> None:
    """Of 100 right answers 99 are 99 %, which passes; 98 are not enough."""
    gate = ruled(answers(120, right=100 - negative, negative=negative), "A1", 0.99)

    assert gate.verdict == verdict
    assert gate.measured == pytest.approx(1 - negative / 100)


def test_retention_of_nothing_is_not_decided() -> None:
    """A baseline without a right answer leaves nothing to retain."""
    gate = ruled(answers(10, positive=3), "A1", 0.99)

    assert (gate.verdict, gate.measured) == ("INCONCLUSIVE", None)


@pytest.mark.parametrize(
    ("count", "negative", "positive", "margin", "verdict"),
    [
        (5000, 9, 4, 0.01, "PASS"),
        (872, 9, 4, 0.02, "PASS"),
        (872, 9, 4, 0.01, "INCONCLUSIVE"),  # the worked example of the reference
        (872, 12, 12, 0.01, "PASS"),
        (872, 0, 0, 0.002, "INCONCLUSIVE"),  # no flip at all, and still too few examples
        (1000, 10, 0, 0.01, "FAIL"),  # the point estimate is at the margin
        (1000, 9, 0, 0.01, "INCONCLUSIVE"),
    ],
)
def test_non_inferiority_needs_its_bound_above_the_margin(
    count: int, negative: int, positive: int, margin: float, verdict: str
) -> None:
    """PASS by the bound, FAIL by the estimate, otherwise not decided."""
    gate = ruled(answers(count, right=count // 2, negative=negative, positive=positive), "A2", margin)

    assert gate.verdict == verdict
    assert gate.measured == tango_lower(negative, positive, count)


def test_an_undecided_margin_says_how_many_examples_would_decide() -> None:
    """The number is that of the power formula at the churn seen."""
    gate = ruled(answers(872, right=700, negative=9, positive=4), "A2", 0.01)

    assert "872 examples cannot show" in gate.sentence
    assert "about 5,065 could" in gate.sentence


@pytest.mark.parametrize(
    ("negative", "warn_limit", "verdict"),
    [(10, 0.02, "PASS"), (11, 0.02, "WARN"), (20, 0.02, "WARN"), (21, 0.02, "FAIL"), (11, None, "FAIL")],
)
def test_negative_flips_pass_warn_and_fail_at_their_limits(
    negative: int, warn_limit: float | None, verdict: str
) -> None:
    """At a limit it still holds; without a limit for warnings there is no warning."""
    gate = ruled(answers(1000, right=500, negative=negative, positive=30), "A3-negative", 0.01, warn_limit)

    assert gate.verdict == verdict


def test_balanced_flips_hide_from_the_mean_and_not_from_the_count() -> None:
    """Two per cent each way leave accuracy equal: retention is green, all flips are not."""
    both = answers(1000, right=500, negative=20, positive=20)

    assert ruled(both, "A1", 0.99).verdict == "PASS"
    assert ruled(both, "A3-all", 0.04).verdict == "PASS"
    assert ruled(both, "A3-all", 0.039).verdict == "FAIL"


def test_one_answer_that_is_no_number_fails() -> None:
    """It counts as wrong, it is counted by itself, and its row is not dropped."""
    found = judged(answers(1000, right=1000, broken=1), A12=Limit(0.0, "house"))

    assert found.verdict == "FAIL"
    assert found.non_finite_count == 1
    assert found.negative_flip_count == 1
    assert found.example_count == 1000


def test_a_model_that_answers_nothing_fails_every_gate() -> None:
    """All answers NaN against a perfect baseline: FAIL everywhere, without a crash."""
    limits, _ = params.load_guardrails("guardrails.yaml")
    found = judged(
        answers(100, right=100, broken=100), **{name.replace("-", "_"): one for name, one in limits["lossy"].items()}
    )

    assert {gate.verdict for gate in found.gates} == {"FAIL"}
    assert found.accuracy_change_ratio.low == -1.0


def test_the_same_answers_pass_every_gate_of_the_shipped_lossy_profile() -> None:
    """The baseline against itself on 872 examples is green throughout."""
    limits, _ = params.load_guardrails("guardrails.yaml")
    found = judged(answers(872, right=700), **{name.replace("-", "_"): one for name, one in limits["lossy"].items()})

    assert found.verdict == "PASS"
    assert {gate.id for gate in found.gates} == set(GATES)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["PASS", "PASS"], "PASS"),
        (["PASS", "WARN"], "WARN"),
        (["WARN", "INCONCLUSIVE", "PASS"], "INCONCLUSIVE"),
        (["INCONCLUSIVE", "FAIL", "WARN"], "FAIL"),
        ([], "INCONCLUSIVE"),
    ],
)
def test_the_worst_verdict_counts(verdicts: list[Any], expected: str) -> None:
    """FAIL, then INCONCLUSIVE, then WARN; and no gate at all is no pass."""
    assert worst(verdicts) == expected


def test_a_profile_without_gates_decides_nothing() -> None:
    """An empty profile is never a pass."""
    assert judged(answers(10, right=10)).verdict == "INCONCLUSIVE"


def test_an_unknown_profile_is_refused() -> None:
    """The sentence suggests the profile that was meant."""
    with pytest.raises(ParameterError, match="guardrail profile `losy` is not in the file; did you mean `lossy`"):
        validate(
            answers(10, right=5),
            name="x",
            guardrails={"lossy": {}},
            guardrails_sha256="",
            profile="losy",
            slice_columns=(),
            baseline_sha256="",
            candidate_sha256="",
            split_sha256="",
        )


def test_an_unknown_gate_is_refused() -> None:
    """A limit that nothing checks would look like safety."""
    with pytest.raises(ParameterError, match="guardrail `A99` is not known"):
        judged(answers(10, right=5), A99=Limit(0.0, "house"))


def test_a_gate_carries_its_limit_its_source_and_a_sentence() -> None:
    """A reader sees the number, where the limit comes from, and why; and the record holds all digests."""
    found = judged(answers(100, right=90), A1=Limit(0.99, "MLPerf"))
    (gate,) = found.gates

    assert (gate.limit, gate.source, gate.name) == (0.99, "MLPerf", "accuracy retention")
    assert gate.sentence.endswith(".")
    assert (found.guardrails_sha256, found.baseline_sha256, found.candidate_sha256) == ("g", "b", "c")
    assert Validation.from_dict(found.to_dict()) == found
