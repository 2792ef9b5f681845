"""
Does a converted model answer as its source does, at every length that real texts have?

An engine has been seen to be wrong at exactly one padded length and right at all others; a mean over a test split hides
that. So each length is looked at by itself, in calls of one text, in calls of several, and padded to each length that
the engine has a plan for.

A lossless conversion is held to an absolute limit. A lossy one differs everywhere, so its lengths are held against each
other: a length is faulty where the typical difference is several times that of the others and of its neighbours.

    found = check_lengths(parent, made, real_texts(materials), limit_logit=LOSSLESS_LOGIT, label="int8")
    found.require()  # StageError that names the lengths
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from perflib.artifact import Artifact, softmax
from perflib.compression.materials import Materials
from perflib.encoded import MASK, Encoded
from perflib.engines import Session
from perflib.errors import StageError
from perflib.progress import Progress

# Two fp32 engines add in different orders; a fault is a hundred times larger.
LOSSLESS_LOGIT = 1e-2
# The fault that was seen is 7 times the usual difference; the median of eight texts is next to never 4 times it.
OUTLIER_RATIO = 4.0
# Of the spread of the source's logits: what is below it changes no answer worth the name, what is above 1 is no answer.
FLOOR_RATIO, LOST_RATIO = 0.05, 1.0
EXAMPLES_COUNT, LONG_EXAMPLES_COUNT, LONG_TOKENS_COUNT = 8, 4, 256
_COVERED_QUANTILE = 0.999
_NEIGHBOURS_COUNT = 8
# Stands for NaN, which is no number that a record can hold.
_NO_NUMBER = 1e9

Way = Literal["alone", "together", "padded"]


@dataclasses.dataclass(frozen=True)
class LengthRow:
    """
    How far answers are from the source's at one length.

    ``alone`` is one text a call, ``together`` several of one length, ``padded`` texts padded to a planned length in
    calls of ``batch_example_count``. Of the examples, ``real_count`` have this length, ``cut_count`` were longer and
    cut to it, the others were shorter and padded to it. Differences are of an example's worst class.
    """

    token_count: int
    way: Way
    batch_example_count: int
    example_count: int
    real_count: int
    cut_count: int
    median_logit: float
    mean_logit: float
    largest_logit: float
    mean_probability: float
    largest_probability: float


@dataclasses.dataclass(frozen=True)
class LengthParity:
    """
    All rows, and those that are faulty.

    ``limit_logit`` is that of a lossless conversion; None where lengths were held against each other.
    ``spread_logit`` is the standard deviation of the source's logits over the texts.
    """

    label: str
    limit_logit: float | None
    spread_logit: float
    rows: tuple[LengthRow, ...]
    faulty: tuple[LengthRow, ...]

    @property
    def faulty_lengths(self) -> tuple[int, ...]:
        """Lengths in tokens at which answers are wrong, rising."""
        return tuple(sorted({row.token_count for row in self.faulty}))

    @property
    def faulty_plans(self) -> tuple[int, ...]:
        """Planned lengths to which no text may be padded, rising."""
        return tuple(sorted({row.token_count for row in self.faulty if row.way == "padded"}))

    def to_proof(self) -> dict[str, Any]:
        """Return the plain data for a build record: sums, one number a length, and every faulty row."""
        by_way = {
            way: {str(row.token_count): row.mean_logit for row in self.rows if row.way == way}
            for way in dict.fromkeys(row.way for row in self.rows)
        }
        once = {row.token_count: row for row in self.rows}.values()
        return {
            "length_count": len(once),
            "real_example_count": sum(row.real_count for row in once),
            "cut_example_count": sum(row.cut_count for row in once),
            "limit_logit": self.limit_logit,
            "mean_logit_difference": float(np.mean([row.mean_logit for row in self.rows])),
            "largest_logit_difference": max(row.largest_logit for row in self.rows),
            "largest_probability_difference": max(row.largest_probability for row in self.rows),
            "mean_logit_difference_by_length": by_way,
            "faulty": [dataclasses.asdict(row) for row in self.faulty],
        }

    def sentence(self) -> str:
        """Say in words which lengths are wrong, and by how much."""
        worst = max(self.faulty, key=lambda row: row.median_logit)
        usual = float(np.median([row.median_logit for row in self.rows]))
        lengths = ", ".join(str(length) for length in self.faulty_lengths[:8])
        more = f" and {len(self.faulty_lengths) - 8} more" if len(self.faulty_lengths) > 8 else ""
        return (
            f"{self.label} answers wrongly at {lengths}{more} tokens: at {worst.token_count} its logits are off by "
            f"{worst.median_logit:.2g} (median of {worst.example_count} texts), over all lengths by {usual:.2g}"
        )

    def require(self) -> None:
        """Raise `StageError` if a length is faulty."""
        if self.faulty:
            raise StageError(f"{self.sentence()}; nothing was kept, use another engine, shape or arithmetic.")


def real_texts(materials: Materials) -> Encoded:
    """Return the calibration inputs and, where there are any, the tuning inputs."""
    parts = [materials.calibration] + ([materials.tuning.inputs] if materials.tuning else [])
    return Encoded(
        {
            name: np.concatenate([_widened(part.arrays[name], _width(parts, name)) for part in parts])
            for name in materials.calibration.arrays
        }
    )


def check_lengths(
    source: Artifact, made: Artifact, inputs: Encoded, *, limit_logit: float | None, label: str
) -> LengthParity:
    """
    Compare an artifact with its source at every length from the shortest text to the longest usual one.

    Lengths up to the 99.9 % quantile are covered without a gap, longer ones where a text has them. Up to eight texts
    are asked at each: real ones of that length first, then longer ones cut to it, then shorter ones padded to it.

    Args:
        source: What the artifact was made from.
        made: Any engine; ``lengths`` and ``batches`` of its options are the shapes that it has plans for.
        inputs: Real texts, such as `real_texts`.
        limit_logit: The largest difference allowed, for a lossless conversion; None holds lengths against each other.
        label: What the artifact is called in words.
    """
    asked, answering = source.open(), made.open()
    jobs = _jobs(inputs, made.spec.options)
    rows, answers = [], []
    with Progress(f"comparing {label} at every length", len(jobs)) as bar:
        for width, ways in jobs.items():
            examples, real_count, cut_count = _examples(inputs, width)
            expected = np.asarray(asked(examples), np.float64)
            answers.append(expected)
            for way, batch in ways:
                size = batch or len(expected)
                given = _ask(answering, examples, batch_example_count=size)
                rows.append(_row(width, way, (real_count, cut_count), batch=size, expected=expected, given=given))
            bar.step(f"{width} tokens")
    spread = float(np.concatenate(answers).std(axis=0).mean())
    faulty = _over_limit(rows, limit_logit) if limit_logit is not None else _outliers(rows, spread)
    return LengthParity(label, limit_logit, spread, tuple(rows), tuple(faulty))


def _jobs(inputs: Encoded, options: Mapping[str, Any]) -> dict[int, list[tuple[Way, int]]]:
    """Return width -> how it is asked, with the examples of a call; 0 for all in one call."""
    is_planned = options.get("shapes", "dynamic") != "dynamic"
    batches: list[int] = list(options.get("batches", ())) if is_planned else []
    if MASK not in inputs.arrays:
        return {1: [("alone", 1), ("together", 0), *(("padded", batch) for batch in batches)]}
    lengths = np.maximum(inputs.lengths(), 1)
    usual = int(np.quantile(lengths, _COVERED_QUANTILE))
    jobs: dict[int, list[tuple[Way, int]]] = {
        width: [("alone", 1), ("together", 0)]
        for width in sorted(set(range(int(lengths.min()), usual + 1)) | set(lengths.tolist()))
    }
    for width in options.get("lengths", ()) if is_planned else ():
        jobs.setdefault(width, []).extend(("padded", batch) for batch in batches)
    return jobs


def _examples(inputs: Encoded, width: int) -> tuple[dict[str, NDArray[np.generic]], int, int]:
    """Return arrays of exactly this width, how many texts have this length, and how many were cut to it."""
    count = EXAMPLES_COUNT if width <= LONG_TOKENS_COUNT else LONG_EXAMPLES_COUNT
    if MASK not in inputs.arrays:
        rows = inputs.stratified_rows(count)
        return inputs.rows(rows), len(rows), 0
    lengths = np.maximum(inputs.lengths(), 1)
    # Real texts first, then the least cut, then the least padded.
    rows = np.lexsort((np.abs(lengths - width), lengths < width))[:count]
    arrays = {name: _of_width(array[rows], lengths[rows], width) for name, array in inputs.arrays.items()}
    return arrays, int((lengths[rows] == width).sum()), int((lengths[rows] > width).sum())


def _of_width(array: NDArray[np.generic], lengths: NDArray[np.int64], width: int) -> NDArray[np.generic]:
    if array.ndim != 2:
        return array
    wide = _widened(array, width)[:, :width].copy()
    cut = lengths > width
    # A text that is cut keeps its closing token, as the tokenizer would leave it.
    wide[cut, -1] = array[cut, lengths[cut] - 1]
    return wide


def _widened(array: NDArray[np.generic], width: int) -> NDArray[np.generic]:
    missing = width - array.shape[1] if array.ndim == 2 else 0
    return np.pad(array, ((0, 0), (0, missing))) if missing > 0 else array


def _width(parts: Sequence[Encoded], name: str) -> int:
    return max(part.arrays[name].shape[1] if part.arrays[name].ndim > 1 else 0 for part in parts)


def _ask(
    session: Session, arrays: Mapping[str, NDArray[np.generic]], *, batch_example_count: int
) -> NDArray[np.float64]:
    """Ask in calls of exactly that many examples; the last call is filled up with the first examples."""
    count = len(next(iter(arrays.values())))
    calls_count = -(-count // batch_example_count)
    rows = np.resize(np.arange(count), calls_count * batch_example_count)
    calls = np.split(rows, calls_count)
    answers = [session({name: array[call] for name, array in arrays.items()}) for call in calls]
    return np.concatenate(answers)[:count].astype(np.float64)


def _row(
    width: int,
    way: Way,
    counts: tuple[int, int],
    *,
    batch: int,
    expected: NDArray[np.float64],
    given: NDArray[np.float64],
) -> LengthRow:
    logit = _worst(given - expected)
    probability = _worst(softmax(given).astype(np.float64) - softmax(expected))
    return LengthRow(
        token_count=width,
        way=way,
        batch_example_count=batch,
        example_count=len(expected),
        real_count=counts[0],
        cut_count=counts[1],
        median_logit=float(np.median(logit)),
        mean_logit=float(logit.mean()),
        largest_logit=float(logit.max()),
        mean_probability=float(probability.mean()),
        largest_probability=float(probability.max()),
    )


def _worst(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    worst: NDArray[np.float64] = np.nan_to_num(np.abs(differences), nan=_NO_NUMBER, posinf=_NO_NUMBER).max(axis=1)
    return worst


def _over_limit(rows: Sequence[LengthRow], limit_logit: float) -> list[LengthRow]:
    return [row for row in rows if row.largest_logit > limit_logit]


def _outliers(rows: Sequence[LengthRow], spread: float) -> list[LengthRow]:
    groups: dict[tuple[str, int], list[LengthRow]] = {}
    for row in rows:
        key = (row.way, row.batch_example_count if row.way == "padded" else 0)
        groups.setdefault(key, []).append(row)
    # The least of the ways: where one plan serves every text, its fault would be the usual of its own way.
    usual = min(float(np.median([row.median_logit for row in group])) for group in groups.values())
    faulty = []
    for group in groups.values():
        sizes = np.array([row.median_logit for row in group])
        for place, row in enumerate(group):
            # Very short texts may all be harder than long ones; a fault stands out from its neighbours too.
            near = np.delete(sizes, place)[max(place - _NEIGHBOURS_COUNT, 0) : place + _NEIGHBOURS_COUNT]
            reference = max(usual, float(np.median(near))) if row.way != "padded" and len(near) else usual
            is_outlier = sizes[place] > max(OUTLIER_RATIO * reference, FLOOR_RATIO * spread)
            if is_outlier or sizes[place] > LOST_RATIO * max(spread, LOSSLESS_LOGIT) or row.largest_logit >= _NO_NUMBER:
                faulty.append(row)
    return faulty
