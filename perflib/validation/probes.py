"""
Robustness questions: texts that must be answered alike, rightly, or not with less of something than another.

All suites are one list of probes. Each model answers every text once, and one table keeps question and answers, so
that anybody can recompute who failed what.

    >>> spelled = Probe("perturbation", "typo", 1, "same", before="good film", after="goid film", key="17")
    >>> plain = Probe("behaviour", "vocabulary", 1, "right", before=None, after="good film", label=1, key="good")
    >>> texts_of([spelled, plain])
    ['good film', 'goid film']
"""

import collections
import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from perflib import records
from perflib.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Suite = Literal["perturbation", "counterfactual", "behaviour"]
Rule = Literal["same", "right", "not less"]
Arm = Literal["baseline", "candidate"]

_QUESTION = ("suite", "kind", "version", "rule", "key", "label", "before", "after")
_ANSWERS = ("baseline_before", "baseline_after", "candidate_before", "candidate_after")


@dataclasses.dataclass(frozen=True)
class Probe:
    """
    One question.

    ``same``: ``before`` and ``after`` get the same label. ``right``: ``after`` gets ``label``, and there is no
    ``before``. ``not less``: ``after`` makes ``label`` no less probable than ``before`` does.
    ``key`` says what the probe was made from; it is unique within its suite and kind. ``version`` counts up when a kind
    is made in another way.
    """

    suite: Suite
    kind: str
    version: int
    rule: Rule
    before: str | None
    after: str
    label: int | None = None
    key: str = ""

    def __post_init__(self) -> None:
        is_known = self.suite in get_args(Suite) and self.rule in get_args(Rule)
        has_before, has_label = self.before is not None, self.label is not None
        if not is_known or has_before != (self.rule != "right") or has_label != (self.rule != "same"):
            raise DataError(
                f"the probe {self.key!r} of {self.suite} {self.kind} cannot be asked by the rule {self.rule!r} "
                f"(before: {has_before}, label: {self.label}); `same` compares two texts, `right` needs one text and "
                "a label, `not less` needs two texts and a label."
            )


@dataclasses.dataclass(frozen=True)
class ProbeAnswers:
    """
    What both models answer: probabilities, float32 of shape (probes, classes), in the order of ``probes``.

    A row of ``*_before`` is NaN where the probe has no text before.
    """

    probes: tuple[Probe, ...]
    baseline_before: NDArray[np.float32]
    baseline_after: NDArray[np.float32]
    candidate_before: NDArray[np.float32]
    candidate_after: NDArray[np.float32]

    def __post_init__(self) -> None:
        shapes = {name: getattr(self, name).shape for name in _ANSWERS}
        first = self.baseline_before.shape
        if set(shapes.values()) != {first} or len(first) != 2 or first[0] != len(self.probes) or not first[1]:
            raise DataError(
                f"the answers to {len(self.probes)} probes do not belong together: their shapes are {shapes}; "
                "ask two models with the same classes every text."
            )
        _check_together(self.probes, class_count=first[1])

    def __len__(self) -> int:
        return len(self.probes)

    def before(self, arm: Arm) -> NDArray[np.float32]:
        """Return one model's answers to the texts before, shape (probes, classes)."""
        return self.baseline_before if arm == "baseline" else self.candidate_before

    def after(self, arm: Arm) -> NDArray[np.float32]:
        """Return one model's answers to the texts after, shape (probes, classes)."""
        return self.baseline_after if arm == "baseline" else self.candidate_after

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per probe: the question's fields, then baseline_before_0 … and so on for each class."""
        import pandas as pd

        columns: dict[str, Any] = {name: [getattr(probe, name) for probe in self.probes] for name in _QUESTION}
        # Without these, a column of nothing but None would have no type in the file.
        columns["label"] = pd.array(columns["label"], dtype="Int64")
        columns["before"] = pd.array(columns["before"], dtype="str")
        for name in _ANSWERS:
            values: NDArray[np.float32] = getattr(self, name)
            columns |= {f"{name}_{index}": values[:, index] for index in range(values.shape[1])}
        return pd.DataFrame(columns)

    def write(self, path: Path) -> Path:
        """Write the frame as compressed Parquet, atomically."""
        return records.write_parquet(path, self.to_frame())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote; `DataError` if it is anything else."""
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile

        try:
            with ParquetFile(path) as file:
                table = file.read()
            class_count = (table.num_columns - len(_QUESTION)) // len(_ANSWERS)
            wanted = [*_QUESTION, *(f"{name}_{index}" for name in _ANSWERS for index in range(class_count))]
            if table.column_names != wanted:
                raise ValueError(f"columns are {', '.join(table.column_names)}")
            questions = zip(*(table.column(name).to_pylist() for name in _QUESTION), strict=True)
            probes = tuple(Probe(**dict(zip(_QUESTION, fields, strict=True))) for fields in questions)
            arrays = {
                name: np.column_stack(
                    [table.column(f"{name}_{index}").to_numpy().astype(np.float32) for index in range(class_count)]
                )
                for name in _ANSWERS
            }
        except (ArrowException, OSError, ValueError, TypeError) as error:
            raise DataError(f"{path} holds no answers to probes ({error}); ask the models again.") from error
        return cls(probes, **arrays)


def texts_of(probes: Iterable[Probe]) -> list[str]:
    """Return every different text once, in the order of first use."""
    both = (text for probe in probes for text in (probe.before, probe.after))
    return list(dict.fromkeys(text for text in both if text is not None))


def answer_probes(
    probes: Sequence[Probe], baseline: NDArray[np.float32], candidate: NDArray[np.float32]
) -> ProbeAnswers:
    """
    Put the models' answers to texts in the places of the probes.

    Args:
        probes: All of them.
        baseline: Its probabilities of the texts that `texts_of` gives, in that order, shape (texts, classes).
        candidate: The same of the candidate.

    Raises:
        DataError: If a text was not answered, or the two answer different numbers of classes.
    """
    rows = {text: row for row, text in enumerate(texts_of(probes))}
    answers: dict[str, NDArray[np.float32]] = {}
    for arm, given in (("baseline", baseline), ("candidate", candidate)):
        if given.ndim != 2 or len(given) != len(rows):
            raise DataError(
                f"the {arm} gave answers of shape {given.shape} to the {len(rows)} texts of the probes; "
                "ask it every text once."
            )
        # One row more, for probes without a text before.
        padded = np.vstack([given, np.full((1, given.shape[1]), np.nan)]).astype(np.float32)
        before = [-1 if probe.before is None else rows[probe.before] for probe in probes]
        answers[f"{arm}_before"] = padded[np.array(before, int)]
        answers[f"{arm}_after"] = padded[np.array([rows[probe.after] for probe in probes], int)]
    return ProbeAnswers(tuple(probes), **answers)


def _check_together(probes: Sequence[Probe], *, class_count: int) -> None:
    """Refuse labels that no class has, probes that stand twice, and kinds of two versions."""
    for probe in probes:
        if probe.label is not None and not 0 <= probe.label < class_count:
            raise DataError(
                f"the probe {probe.key!r} of {probe.suite} {probe.kind} has the label {probe.label}, but the models "
                f"answer {class_count} classes; leave out what was not made for these classes."
            )
    for name, count in collections.Counter((probe.suite, probe.kind, probe.key) for probe in probes).items():
        if count > 1:
            raise DataError(f"the probe {name} stands {count} times; give each a key of its own.")
    versions = {(probe.suite, probe.kind, probe.version) for probe in probes}
    if len(versions) != len({version[:2] for version in versions}):
        raise DataError(f"a kind of probe has two versions ({sorted(versions)}); make all its probes in one way.")
