"""Parity at every length: a fault at one length is found, and noise that is everywhere is not accused."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from perflib.artifact import Artifact
from perflib.compression import parity
from perflib.compression.materials import Labelled, Materials
from perflib.compression.parity import EXAMPLES_COUNT, LOSSLESS_LOGIT, LengthParity, check_lengths, real_texts
from perflib.encoded import MASK, Encoded
from perflib.errors import StageError
from perflib.records import dumps
from tests.tiny_artifact import make_inputs, write_artifact

Arrays = Mapping[str, NDArray[np.generic]]
Change = Callable[[Arrays, NDArray[np.float64]], NDArray[np.float64]]


def texts(lengths: list[int], *, width: int | None = None) -> Encoded:
    """Make token ids of these lengths; the last token of each is 3, as a tokenizer closes a text."""
    rng, widest = np.random.default_rng(1), width or max(lengths)
    ids = rng.integers(4, 40, (len(lengths), widest))
    mask = (np.arange(widest) < np.array(lengths)[:, None]).astype(np.int64)
    ids[np.arange(len(lengths)), np.array(lengths) - 1] = 3
    return Encoded({"input_ids": ids * mask, MASK: mask})


class Fake:
    """An artifact of any engine: logits that depend on the tokens alone, changed as a test asks."""

    def __init__(self, change: Change | None = None, options: dict[str, Any] | None = None) -> None:
        self.calls: list[tuple[int, ...]] = []
        self.asked: list[Arrays] = []
        self.spec = type("Spec", (), {"options": options or {}})()
        self._change = change

    def open(self) -> Callable[[Arrays], NDArray[np.float64]]:
        """Return the call."""

        def call(arrays: Arrays) -> NDArray[np.float64]:
            self.calls.append(arrays["input_ids"].shape)
            self.asked.append(arrays)
            total = (arrays["input_ids"] * arrays[MASK]).sum(axis=1) % 7 - 3.0
            logits = np.stack([total, -total], axis=1)
            return logits if self._change is None else self._change(arrays, logits)

        return call


def compare(made: Fake, inputs: Encoded, *, limit: float | None = None) -> LengthParity:
    """Compare a fake with an unchanged one."""
    source: Any = Fake()
    return check_lengths(source, made, inputs, limit_logit=limit, label="the fake")  # type: ignore[arg-type]


def noise(size: float, seed: int = 0) -> Change:
    """Add normal noise of this size to every logit."""
    rng = np.random.default_rng(seed)
    return lambda arrays, logits: logits + rng.normal(0, size, logits.shape)


def wrong_at(width: int, *, by: float, rest: float = 0.0) -> Change:
    """Be off by this much where a call is so many tokens wide, and noisy elsewhere."""
    add = noise(rest)
    return lambda arrays, logits: add(arrays, logits) + by * (arrays["input_ids"].shape[1] == width)


ALL = texts([*range(4, 40), *range(4, 40, 2), *range(4, 40, 3)])


def test_an_unchanged_engine_is_right_at_every_length() -> None:
    """No difference, no fault, and every length from the shortest to the longest is there once each way."""
    found = compare(Fake(), ALL, limit=0.0)

    assert found.faulty == ()
    assert [row.token_count for row in found.rows if row.way == "alone"] == list(range(4, 40))
    assert [row.token_count for row in found.rows if row.way == "together"] == list(range(4, 40))
    assert {row.largest_logit for row in found.rows} == {0.0}


def test_a_lossless_conversion_is_held_to_its_limit() -> None:
    """A difference at the limit passes and one above it does not, at the length where it is."""
    assert compare(Fake(wrong_at(20, by=0.25)), ALL, limit=0.25).faulty_lengths == ()
    assert compare(Fake(wrong_at(20, by=0.25)), ALL, limit=0.2499).faulty_lengths == (20,)


@pytest.mark.parametrize("width", [4, 5, 32, 38, 39])
def test_a_lossy_engine_that_is_wrong_at_one_length_is_found(width: int) -> None:
    """The length is found although the mean over all lengths hides it, at either end too."""
    found = compare(Fake(wrong_at(width, by=0.7, rest=0.06)), ALL)

    assert found.faulty_lengths == (width,)
    with pytest.raises(StageError, match=rf"the fake answers wrongly at {width} tokens: .*off by 0\.[678]"):
        found.require()


@pytest.mark.parametrize("size", [0.0, 1e-6, 0.01, 0.1, 0.4])
@pytest.mark.parametrize("seed", range(3))
def test_an_engine_that_is_noisy_everywhere_is_not_accused(size: float, seed: int) -> None:
    """Quantization changes every answer a little, also with the heavy tails of a few sensitive texts."""
    heavy = np.random.default_rng(seed)

    def change(arrays: Arrays, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        return logits + size * heavy.standard_t(3, logits.shape) / 2

    found = compare(Fake(change), ALL)

    assert found.faulty == ()
    found.require()


def test_short_texts_that_are_harder_than_long_ones_are_not_accused() -> None:
    """A difference that falls slowly with the length is no fault at one length."""
    add = noise(1.0)

    def change(arrays: Arrays, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        return logits + (add(arrays, logits) - logits) * (0.05 + 0.4 * np.exp(-arrays["input_ids"].shape[1] / 8))

    assert compare(Fake(change), ALL).faulty_lengths == ()


def test_what_changes_no_answer_is_no_fault() -> None:
    """A length ten times as far off as the others passes where that is a hundredth of the spread of answers."""
    assert compare(Fake(wrong_at(20, by=0.02, rest=0.002)), ALL).faulty_lengths == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("limit", [None, 1.0])
def test_an_answer_that_is_no_number_is_a_fault(value: float, limit: float | None) -> None:
    """One NaN among many texts is found under both rules, and the record stays plain JSON."""

    def change(arrays: Arrays, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        if logits.shape[0] > 1 and arrays["input_ids"].shape[1] == 9:
            logits[0, 0] = value
        return logits

    found = compare(Fake(change), ALL, limit=limit)

    assert [(row.token_count, row.way) for row in found.faulty] == [(9, "together")]
    assert "NaN" not in dumps(found.to_proof())
    assert "Infinity" not in dumps(found.to_proof())


def test_an_engine_that_answers_something_else_is_wrong_at_every_length() -> None:
    """Where all lengths are equally wrong none stands out, so answers further off than texts differ are faults."""
    found = compare(Fake(lambda arrays, logits: logits + 40.0), ALL)

    assert found.faulty_lengths == tuple(range(4, 40))


def test_a_length_without_a_text_is_filled_from_longer_and_then_shorter_ones() -> None:
    """Real ones first, then cut ones that keep their closing token, then padded ones; the record counts them."""
    fake = Fake()
    found = compare(fake, texts([3] * 10 + [5, 5, 6]), limit=0.0)
    rows = {row.token_count: row for row in found.rows if row.way == "together"}
    asked = {arrays["input_ids"].shape: arrays for arrays in fake.asked}

    assert sorted(rows) == [3, 4, 5, 6]
    counts = {width: (row.example_count, row.real_count, row.cut_count) for width, row in rows.items()}
    assert counts == {3: (8, 8, 0), 4: (8, 0, 3), 5: (8, 2, 1), 6: (8, 1, 0)}
    ids, mask = asked[8, 4]["input_ids"], asked[8, 4][MASK]
    assert mask.sum(axis=1).tolist() == [4, 4, 4, 3, 3, 3, 3, 3]
    assert ids[:3, -1].tolist() == [3, 3, 3]
    assert ids[3:, -1].tolist() == [0] * 5


def test_lengths_that_nearly_no_text_has_are_covered_only_where_one_has_them() -> None:
    """Beyond the 99.9 % quantile there are gaps; below it there are none."""
    found = compare(Fake(), texts([5] * 1000 + [9] * 1000 + [30]), limit=0.0)

    assert sorted({row.token_count for row in found.rows}) == [5, 6, 7, 8, 9, 30]


def test_long_texts_are_asked_in_smaller_numbers() -> None:
    """At 256 tokens there are eight examples, at 257 four."""
    found = compare(Fake(), texts([256] * 9 + [257] * 9), limit=0.0)

    assert [(row.token_count, row.example_count) for row in found.rows if row.way == "alone"] == [(256, 8), (257, 4)]


def test_planned_lengths_are_asked_in_calls_of_exactly_the_planned_examples() -> None:
    """Each plan is met by texts padded to it, also where it is longer than every text."""
    options = {"shapes": "bucketed", "lengths": [6, 50], "batches": [1, 3]}
    fake = Fake(options=options)
    found = compare(fake, texts([4, 5, 6, 7] * 3), limit=0.0)
    padded = [row for row in found.rows if row.way == "padded"]

    assert [(row.token_count, row.batch_example_count) for row in padded] == [(6, 1), (6, 3), (50, 1), (50, 3)]
    assert fake.calls.count((1, 50)) == EXAMPLES_COUNT
    assert fake.calls.count((3, 50)) == 3
    assert {shape for shape in fake.calls if shape[1] == 50} == {(1, 50), (3, 50)}


def test_a_faulty_plan_is_told_from_a_faulty_length() -> None:
    """Only a length at which padded texts are wrong too is the plan's fault."""
    options = {"shapes": "bucketed", "lengths": [8, 16, 24], "batches": [1]}

    def change(arrays: Arrays, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        count, width = arrays["input_ids"].shape
        is_planned = count == 1 and 8 < width <= 16
        return logits + 0.7 * (is_planned or width == 30)

    found = compare(Fake(change, options), ALL)

    assert found.faulty_plans == (16,)
    assert {16, 30} <= set(found.faulty_lengths) <= {*range(9, 17), 30}


def test_one_plan_for_every_text_is_found_wrong_by_the_calls_without_a_plan() -> None:
    """With a single length every text alone is equally wrong, and still the plan is named."""
    options = {"shapes": "fixed", "lengths": [40], "batches": [1]}
    found = compare(Fake(lambda arrays, logits: logits + 0.7 * (len(logits) == 1), options), ALL)

    assert found.faulty_plans == (40,)


def test_inputs_without_lengths_are_compared_once_each_way() -> None:
    """Images have one shape; a planned batch is asked in full."""

    class Images(Fake):
        def open(self) -> Callable[[Arrays], NDArray[np.float64]]:
            def call(arrays: Arrays) -> NDArray[np.float64]:
                self.calls.append(arrays["images"].shape)
                return arrays["images"].reshape(len(arrays["images"]), -1)[:, :2].astype(np.float64)

            return call

    images = Encoded({"images": np.random.default_rng(0).random((20, 1, 3, 3), np.float32)})
    made = Images(options={"shapes": "fixed", "lengths": [], "batches": [5]})
    found = check_lengths(Images(), made, images, limit_logit=0.0, label="images")  # type: ignore[arg-type]

    assert [(row.way, row.batch_example_count, row.example_count) for row in found.rows] == [
        ("alone", 1, 8),
        ("together", 8, 8),
        ("padded", 5, 8),
    ]
    assert set(made.calls) == {(1, 1, 3, 3), (8, 1, 3, 3), (5, 1, 3, 3)}


def test_real_texts_are_calibration_and_tuning_in_one_width() -> None:
    """Two splits of different widths are padded on the right, and lengths stay."""
    calibration, tuning = make_inputs(4).take([0, 1]), make_inputs(8)
    materials = Materials(calibration, tuning=Labelled(tuning, np.zeros(8, np.int64)))
    both = real_texts(materials)

    assert both.lengths().tolist() == [1, 2, 1, 2, 3, 4, 5, 6, 7, 8]
    assert both.arrays["input_ids"].shape == (10, 8)
    assert both.take(range(2, 10)).digest() == tuning.digest()
    assert real_texts(Materials(calibration)).digest() == calibration.digest()


def test_an_artifact_is_compared_with_itself_through_its_own_engine(tmp_path: Path) -> None:
    """Real sessions answer with logits; one text alone and several together differ by rounding only."""
    artifact: Artifact = write_artifact(tmp_path)
    found = check_lengths(artifact, artifact, make_inputs(24), limit_logit=LOSSLESS_LOGIT, label="itself")
    proof = found.to_proof()

    assert found.faulty == ()
    assert proof["length_count"] == 8
    assert proof["real_example_count"] == 24
    assert 0.0 <= proof["largest_logit_difference"] < 1e-5
    assert list(proof["mean_logit_difference_by_length"]["alone"]) == [str(length) for length in range(1, 9)]


def test_the_rule_is_a_factor_above_the_usual_and_above_the_floor() -> None:
    """The borders of the rule, on rows made by hand."""

    def row(width: int, size: float) -> parity.LengthRow:
        return parity.LengthRow(width, "alone", 1, 8, 8, 0, size, size, size, size, size)

    usual = [row(width, 0.1) for width in range(20)]
    at, above = [*usual[:9], row(9, 0.4), *usual[10:]], [*usual[:9], row(9, 0.401), *usual[10:]]

    assert parity._outliers(at, 1.0) == []
    assert parity._outliers(above, 1.0) == [above[9]]
    assert parity._outliers(above, 8.0) == [above[9]]
    assert parity._outliers(above, 8.1) == []
