"""Gates A12 to A16: their borders, and that what nobody looked at is no pass."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from perflib.encoded import MASK, Encoded
from perflib.results import Invariance, Overlap
from perflib.validation.gates.integrity import ASKED_AGAIN, PADDED
from perflib.validation.numerics import invariances
from tests.ruled_gates import ruled
from tests.synthetic_records import identity

AGAIN = Invariance(ASKED_AGAIN, 1000, 0, 0.0)
OTHER = "1" * 64


def asked(what: str, changed_count: int = 0, difference: float = 0.0) -> Invariance:
    """Return a thousand examples asked in another way."""
    return Invariance(what, 1000, changed_count, difference)


class FixedArtifact:
    """Answers every example alike."""

    spec = SimpleNamespace(runtime=SimpleNamespace(batch_example_count=4))

    def predict(self, encoded: Encoded, **settings: Any) -> Any:
        """Return two even classes."""
        return np.full((len(encoded), 2), 0.5, np.float32)


@pytest.mark.parametrize(
    ("count", "limit", "verdict"), [(0, 0, "PASS"), (1, 0, "FAIL"), (2, 2, "PASS"), (3, 2, "FAIL")]
)
def test_an_answer_that_is_no_number_is_counted(count: int, limit: float, verdict: str) -> None:
    """By default none is allowed."""
    gate = ruled("A12-finite", limit, non_finite_count=count)

    assert (gate.verdict, gate.measured) == (verdict, count)


@pytest.mark.parametrize(("error", "verdict"), [(1e-5, "PASS"), (math.nextafter(1e-5, 1), "FAIL")])
def test_probabilities_sum_to_one(error: float, verdict: str) -> None:
    """Up to what is allowed."""
    assert ruled("A12-sums", 1e-5, worst_sum_error_ratio=error).verdict == verdict


@pytest.mark.parametrize(("count", "verdict"), [(871, "PASS"), (872, "INCONCLUSIVE")])
def test_sums_of_nothing_are_not_decided(count: int, verdict: str) -> None:
    """Where no answer is finite no sum was looked at, and its error of 0 is none."""
    gate = ruled("A12-sums", 1e-5, non_finite_count=count, worst_sum_error_ratio=0.0)

    assert gate.verdict == verdict


@pytest.mark.parametrize(
    ("changed", "difference", "verdict"), [(0, 0.0, "PASS"), (0, 5e-324, "FAIL"), (1, 0.0, "FAIL")]
)
def test_the_same_question_gets_the_same_answer(changed: int, difference: float, verdict: str) -> None:
    """To the bit, and also where an answer became no number."""
    unlike = asked("batches of 8", 500, 0.5)

    assert ruled("A12-again", 0.0, invariance=(unlike, asked(ASKED_AGAIN, changed, difference))).verdict == verdict


@pytest.mark.parametrize(("gate_id", "what"), [("A12-batch", "batches of 8"), ("A12-padding", PADDED)])
@pytest.mark.parametrize(
    ("changed", "warn_limit", "verdict"),
    [(1, 0.005, "PASS"), (2, 0.005, "WARN"), (5, 0.005, "WARN"), (6, 0.005, "FAIL"), (2, None, "FAIL")],
)
def test_company_and_padding_may_change_few_labels(
    gate_id: str, what: str, changed: int, warn_limit: float | None, verdict: str
) -> None:
    """One of a thousand passes, five warn; how far a probability moves is told, not judged."""
    gate = ruled(gate_id, 0.001, warn_limit=warn_limit, invariance=(AGAIN, asked(what, changed, 0.75)))

    assert (gate.verdict, gate.measured) == (verdict, changed / 1000)
    assert "0.75" in gate.sentence


@pytest.mark.parametrize(
    ("gate_id", "bad", "harmless"),
    [
        ("A12-batch", ("one at a time", "batches of 8", "batches of 32, other neighbours"), (ASKED_AGAIN, PADDED)),
        ("A12-padding", (PADDED,), (ASKED_AGAIN, "one at a time", "batches of 8")),
        ("A12-again", (ASKED_AGAIN,), (PADDED, "one at a time", "batches of 8")),
        ("A12-difference", (PADDED, "one at a time", "batches of 8"), (ASKED_AGAIN,)),
    ],
)
def test_each_gate_looks_at_its_own_ways_of_asking(
    gate_id: str, bad: tuple[str, ...], harmless: tuple[str, ...]
) -> None:
    """A change in one of them fails, whatever its place; a change in the others is none of its business."""
    for what in (*bad, *harmless):
        ways = tuple(asked(way, 500 * (way == what), 0.5 * (way == what)) for way in (*harmless, *bad))

        assert ruled(gate_id, 0.001, invariance=ways).verdict == ("FAIL" if what in bad else "PASS")


@pytest.mark.parametrize(
    ("changed", "difference", "verdict"),
    [(0, 1e-4, "PASS"), (0, math.nextafter(1e-4, 1), "FAIL"), (1, 0.0, "FAIL")],
)
def test_the_largest_difference_is_judged_where_a_limit_asks(changed: int, difference: float, verdict: str) -> None:
    """A label that changed is one, whatever the probabilities say."""
    assert ruled("A12-difference", 1e-4, invariance=(asked("batches of 8", changed, difference),)).verdict == verdict


def test_without_padding_there_is_nothing_to_pad() -> None:
    """Inputs without a mask pass, but only where the model was asked again at all."""
    assert ruled("A12-padding", 0.001, invariance=(AGAIN, asked("batches of 8"))).verdict == "PASS"
    assert ruled("A12-padding", 0.001, invariance=(asked("batches of 8"),)).verdict == "INCONCLUSIVE"
    assert ruled("A12-padding", 0.001, invariance=()).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize("gate_id", ["A12-again", "A12-batch", "A12-difference"])
def test_who_was_not_asked_again_does_not_pass(gate_id: str) -> None:
    """Nor does the answer to another question help."""
    other = {"A12-again": "batches of 8"}.get(gate_id, ASKED_AGAIN)

    assert ruled(gate_id, 0.001, invariance=()).verdict == "INCONCLUSIVE"
    assert ruled(gate_id, 0.001, invariance=(asked(other),)).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize("has_mask", [True, False])
def test_the_gates_know_the_ways_by_the_names_they_are_asked_under(has_mask: bool) -> None:
    """A way that were renamed would pass for padding that does not exist."""
    arrays = {"input_ids": np.ones((8, 3), np.int64)}
    inputs = Encoded(arrays | ({MASK: np.ones((8, 3), np.int64)} if has_mask else {}))

    ways = [one.what for one in invariances(FixedArtifact(), inputs)]  # type: ignore[arg-type]

    assert (ASKED_AGAIN in ways, PADDED in ways) == (True, has_mask)
    assert len(set(ways) - {ASKED_AGAIN, PADDED}) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"timed_candidate_sha256": OTHER}, "the candidate that was timed"),
        ({"timed_baseline_sha256": OTHER}, "the baseline that was timed"),
        ({"timed_baseline_sha256": None}, "the baseline that was timed"),
        ({"timed_inputs_sha256": OTHER}, "the inputs that were timed"),
        ({"timed_inputs_sha256": None}, "the inputs that were timed"),
        ({"candidate_inputs_sha256": OTHER}, "what the candidate was asked"),
    ],
)
def test_speed_and_answers_are_of_one_model(change: dict[str, Any], words: str) -> None:
    """Each of four things may be another one, and the sentence names it alone."""
    gate = ruled("A13", 0.0, identity=identity(**change))

    assert (gate.verdict, gate.measured) == ("FAIL", 1.0)
    assert f": {words} differs" in gate.sentence


def test_without_a_timing_the_model_cannot_be_the_one_that_was_timed() -> None:
    """It is not decided, and the same model throughout passes."""
    assert ruled("A13", 0.0, identity=identity(timed_candidate_sha256=None)).verdict == "INCONCLUSIVE"
    assert ruled("A13", 0.0).verdict == "PASS"


@pytest.mark.parametrize(("counts", "verdict"), [((0, 0), "PASS"), ((0, 1), "FAIL"), ((2, 0), "FAIL")])
def test_no_test_text_was_used_before(counts: tuple[int, int], verdict: str) -> None:
    """In whichever split; nearly equal texts are for people to judge."""
    splits = tuple(
        Overlap(split, 100, count, 5, ("nearly",)) for split, count in zip(("train", "tuning"), counts, strict=True)
    )

    gate = ruled("A14", 0.0, overlaps=splits)

    assert (gate.verdict, gate.measured) == (verdict, sum(counts))
    assert all(f"{one.exact_count} in {one.split}" in gate.sentence for one in splits if one.exact_count)


@pytest.mark.parametrize(("timed_on", "verdict"), [("abc", "PASS"), ("other", "FAIL"), (None, "INCONCLUSIVE")])
def test_speed_and_answers_are_of_one_kind_of_machine(timed_on: str | None, verdict: str) -> None:
    """Int8 may saturate on one processor and not on the other."""
    gate = ruled("A15", 0.0, identity=identity(timed_hardware_class=timed_on))

    assert gate.verdict == verdict
    assert verdict == "INCONCLUSIVE" or f"{timed_on}" in gate.sentence


@pytest.mark.parametrize(("cut", "verdict"), [(0.01, "PASS"), (math.nextafter(0.01, 1), "FAIL")])
@pytest.mark.parametrize("long_ratio", [0.25, None])
def test_inputs_may_be_cut_to_the_limit(cut: float, long_ratio: float | None, verdict: str) -> None:
    """How many reach the greatest length is told where it is known."""
    gate = ruled("A16", 0.01, cut_ratio=cut, long_ratio=long_ratio)

    assert (gate.verdict, gate.measured) == (verdict, cut)
    assert ("25.00 % reach" in gate.sentence) == (long_ratio is not None)
